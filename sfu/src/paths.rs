//! Which connection a datagram's path belongs to: one probe per datagram.
//!
//! Only paths that ICE has validated are ever in the table, so its size is bounded by connections times paths each,
//! and nobody without a password can put an entry into it.

use hashbrown::HashMap;
use tidewire_core::hashing::Folding;
use tidewire_core::machine::Path;

/// Path to connection slot.
#[derive(Debug)]
pub(crate) struct PathIndex {
    slots: HashMap<Path, u32, Folding>,
}

impl PathIndex {
    /// `seed` keeps clients from choosing addresses that collide.
    pub(crate) fn new(seed: u64) -> Self {
        Self { slots: HashMap::with_hasher(Folding::new(seed)) }
    }

    pub(crate) fn of(&self, path: &Path) -> Option<u32> {
        self.slots.get(path).copied()
    }

    /// Binds a path; returns the slot that it was taken from, if that is another one.
    pub(crate) fn bind(&mut self, path: Path, slot: u32) -> Option<u32> {
        self.slots.insert(path, slot).filter(|before| *before != slot)
    }

    /// Lets go of a path if it is still this slot's.
    pub(crate) fn unbind(&mut self, path: &Path, slot: u32) {
        if self.of(path) == Some(slot) {
            self.slots.remove(path);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_whoever_validated_it_last() {
        let mut index = PathIndex::new(7);
        let path = Path { local: 0, remote: "192.0.2.1:5000".parse().unwrap() };
        assert_eq!(index.bind(path, 1), None);
        assert_eq!(index.bind(path, 2), Some(1));
        index.unbind(&path, 1);
        assert_eq!(index.of(&path), Some(2));
        index.unbind(&path, 2);
        assert_eq!(index.len(), 0);
    }
}
