//! A list of connection slots in which nobody is searched for: coming, going and being asked after take constant time.
//!
//! Fan-outs walk such a list in slices, each from a cursor of its own. Invariant: whoever leaves, every cursor still has
//! the same slots before it and the same behind it, less the one that left; so nobody is served twice in a round or left
//! out of it. Order within each of those parts may change. Who comes goes to the end: it is behind every cursor.

use hashbrown::HashMap;

use tidewire_core::hashing::Folding;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    slots: Vec<u32>,
    /// Where in `slots` each of them is.
    places: HashMap<u32, u32, Folding>,
}

impl Roll {
    pub(crate) fn slots(&self) -> &[u32] {
        &self.slots
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Adds a slot at the end, unless it is here already.
    pub(crate) fn add(&mut self, slot: u32) {
        let end = self.slots.len() as u32;
        if *self.places.entry(slot).or_insert(end) == end {
            self.slots.push(slot);
        }
    }

    /// Takes a slot out, and keeps `cursors` where they are among the others. Returns whether it was here.
    ///
    /// The gap wanders to the end: over each cursor behind it by one step, for which the last slot before that cursor
    /// takes the gap's place.
    pub(crate) fn remove<const N: usize>(&mut self, slot: u32, mut cursors: [&mut usize; N]) -> bool {
        let Some(place) = self.places.remove(&slot) else { return false };
        let mut gap = place as usize;
        cursors.sort_by_key(|cursor| **cursor);
        for cursor in cursors {
            if gap < *cursor {
                *cursor -= 1;
                self.settle(*cursor, gap);
                gap = *cursor;
            }
        }
        let last = self.slots.len() - 1;
        self.settle(last, gap);
        self.slots.pop();
        true
    }

    /// Takes a slot out of a list that nobody is walking.
    pub(crate) fn strike(&mut self, slot: u32) -> bool {
        self.remove(slot, [])
    }

    /// Moves the slot at `from` to the place `to`.
    fn settle(&mut self, from: usize, to: usize) {
        if from != to {
            self.slots[to] = self.slots[from];
            self.places.insert(self.slots[to], to as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What a cursor has behind it in a round, as the round's own record has it.
    #[derive(Default)]
    struct Walk {
        cursor: usize,
        served: Vec<u32>,
        /// Who was there when the round began and has not left since.
        owed: BTreeSet<u32>,
    }

    impl Walk {
        fn step(&mut self, roll: &Roll) {
            if let Some(slot) = roll.slots().get(self.cursor) {
                self.cursor += 1;
                assert!(!self.served.contains(slot), "{slot} was served twice");
                self.served.push(*slot);
            } else {
                self.end(roll);
            }
        }

        fn end(&mut self, roll: &Roll) {
            let left_out: Vec<_> = self.owed.iter().filter(|slot| !self.served.contains(slot)).collect();
            assert!(left_out.is_empty(), "{left_out:?} were left out");
            *self = Self { owed: roll.slots().iter().copied().collect(), ..Self::default() };
        }

        fn leave(&mut self, slot: u32) {
            self.owed.remove(&slot);
            // It may come back within the round, and is somebody else then.
            self.served.retain(|served| *served != slot);
        }
    }

    proptest! {
        #[test]
        fn nobody_is_served_twice_or_left_out_whoever_comes_and_goes(
            steps in prop::collection::vec((0u8..7, 0u32..24), 0..400),
        ) {
            let (mut roll, [mut main, mut after, mut audio]) = (Roll::default(), std::array::from_fn(|_| Walk::default()));
            let mut expected = BTreeSet::new();
            for (step, slot) in steps {
                match step {
                    0 | 1 => {
                        roll.add(slot);
                        expected.insert(slot);
                    }
                    2 => {
                        let was_here = roll.remove(slot, [&mut main.cursor, &mut after.cursor, &mut audio.cursor]);
                        prop_assert_eq!(was_here, expected.remove(&slot));
                        [&mut main, &mut after, &mut audio].into_iter().for_each(|walk| walk.leave(slot));
                    }
                    3 | 4 => main.step(&roll),
                    5 => after.step(&roll),
                    _ => audio.step(&roll),
                }
                let listed: BTreeSet<_> = roll.slots().iter().copied().collect();
                prop_assert_eq!(roll.slots().len(), listed.len(), "somebody is listed twice");
                prop_assert_eq!(&listed, &expected);
            }
        }
    }

    #[test]
    fn who_is_struck_can_come_again() {
        let mut roll = Roll::default();
        [5, 6, 5].into_iter().for_each(|slot| roll.add(slot));
        assert_eq!(roll.slots(), [5, 6]);
        assert!(roll.strike(5) && !roll.strike(5));
        roll.add(5);
        assert_eq!(roll.slots(), [6, 5]);
    }
}
