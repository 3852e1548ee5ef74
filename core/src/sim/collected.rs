//! Egress that keeps what is sent, and what is told about paths, for whoever wants to look at it.

use crate::machine::{Egress, Path};

/// Datagrams in the order in which they were committed.
#[derive(Debug, Default)]
pub struct Collected {
    pub datagrams: Vec<(Path, Vec<u8>)>,
    pub told: Vec<Told>,
    reserved: Option<(Path, Vec<u8>)>,
}

/// What a machine told about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Devoted(Path),
    Released(Path),
}

impl Told {
    /// Keeps the list of devoted paths; panics where a path is devoted twice, or released without need.
    pub fn note(self, devoted: &mut Vec<Path>) {
        match self {
            Self::Devoted(path) => {
                assert!(!devoted.contains(&path), "{path:?} was devoted twice");
                devoted.push(path);
            }
            Self::Released(path) => {
                let known = devoted.iter().position(|one| *one == path);
                devoted.swap_remove(known.unwrap_or_else(|| panic!("{path:?} was not devoted")));
            }
        }
    }
}

impl Egress for Collected {
    fn reserve(&mut self, path: &Path, len: usize) -> Option<&mut [u8]> {
        let (_, bytes) = self.reserved.insert((*path, vec![0xee; len]));
        Some(bytes)
    }

    fn commit(&mut self, len: usize) {
        if let Some((path, mut bytes)) = self.reserved.take() {
            assert!(len <= bytes.len(), "more was committed than reserved");
            bytes.truncate(len);
            self.datagrams.push((path, bytes));
        }
    }

    fn devote(&mut self, path: &Path) {
        self.told.push(Told::Devoted(*path));
    }

    fn release(&mut self, path: &Path) {
        self.told.push(Told::Released(*path));
    }
}
