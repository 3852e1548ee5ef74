//! Places that are taken and given back; who holds a number finds its entry without a search.
//!
//! Places lie in chunks that are claimed when the first of their places is taken, and stay claimed. Invariant: an entry
//! never moves, so taking a place costs at most one chunk, however many are taken already; a vector that doubles would
//! copy every connection of a shard in the middle of a turn.

/// Places of one chunk: few enough that a shard with one connection is small, and claiming a chunk is short.
pub(crate) const CHUNK_LEN: usize = 64;

/// For the first cache line of a large entry. It has more values that it never takes than any other field, so that one of these
/// is how the compiler writes that a place is free: else a look at whether it is taken would be a look into the entry's depths.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Presence {
    Here,
}

#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// A chunk that was never needed is empty.
    chunks: Vec<Box<[Option<T>]>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        let (chunk, place) = split(slot);
        self.chunks.get(chunk)?.get(place)?.as_ref()
    }

    /// Where an entry is or would be, without a look at it.
    #[inline]
    pub(crate) fn place_of(&self, slot: u32) -> Option<&Option<T>> {
        let (chunk, place) = split(slot);
        self.chunks.get(chunk)?.get(place)
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.place(slot)?.as_mut()
    }

    /// Puts an entry in its place; what was there before is returned.
    pub(crate) fn put(&mut self, slot: u32, entry: T) -> Option<T> {
        let (chunk, place) = split(slot);
        if chunk >= self.chunks.len() {
            self.chunks.resize_with(chunk + 1, Box::default);
        }
        let chunk = &mut self.chunks[chunk];
        if chunk.is_empty() {
            *chunk = (0..CHUNK_LEN).map(|_| None).collect();
        }
        chunk[place].replace(entry)
    }

    pub(crate) fn take(&mut self, slot: u32) -> Option<T> {
        self.place(slot)?.take()
    }

    /// The taken places, ascending. Walks all of them: for the end of a shard, not for its turns.
    pub(crate) fn taken(&self) -> impl Iterator<Item = u32> + '_ {
        let chunks = (0..).step_by(CHUNK_LEN).zip(&self.chunks);
        let places = chunks.flat_map(|(first, chunk)| (first..).zip(chunk));
        places.filter(|(_, place)| place.is_some()).map(|(slot, _)| slot)
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<T>> {
        let (chunk, place) = split(slot);
        self.chunks.get_mut(chunk)?.get_mut(place)
    }
}

/// The chunk that holds a slot, and the place in it.
const fn split(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK_LEN, slot % CHUNK_LEN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slots_hold_what_a_map_holds(steps in prop::collection::vec((0u32..300, any::<Option<u8>>()), 0..200)) {
            let (mut slots, mut map) = (Slots::default(), BTreeMap::new());
            for (slot, entry) in steps {
                match entry {
                    Some(entry) => prop_assert_eq!(slots.put(slot, entry), map.insert(slot, entry)),
                    None => prop_assert_eq!(slots.take(slot), map.remove(&slot)),
                }
                prop_assert_eq!(slots.at(slot), map.get(&slot));
                prop_assert_eq!(slots.at_mut(slot), map.get_mut(&slot));
            }
            prop_assert!(slots.taken().eq(map.keys().copied()));
        }
    }

    #[test]
    fn growth_moves_nobody() {
        let mut slots = Slots::default();
        slots.put(0, 7);
        let before = std::ptr::from_ref(slots.at(0).unwrap());
        (1..16_384).for_each(|slot| assert_eq!(slots.put(slot, 7), None));
        assert_eq!(std::ptr::from_ref(slots.at(0).unwrap()), before);
    }

    #[test]
    fn chunks_between_two_far_places_are_not_claimed() {
        let mut slots = Slots::default();
        slots.put(0, 1);
        slots.put(10_000, 2);
        assert_eq!(slots.chunks.iter().filter(|chunk| !chunk.is_empty()).count(), 2);
    }
}
