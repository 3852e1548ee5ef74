//! Commands that a shard did not take and that must arrive: what they do stands in control's books already, and whoever asked
//! for it cannot ask again.
//!
//! They wait in their order and are offered again and again; what is for a shard that is owed something goes behind that.
//! Bounded: a shard that takes nothing for so long has more to answer for. It waits for nothing and knows no clock.

use std::collections::VecDeque;

use tidewire_core::id::ShardId;

/// Commands that may wait, for all shards together.
const OWED_MAX: usize = 1024;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Owed<C>(VecDeque<(ShardId, C)>);

impl<C> Default for Owed<C> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<C> Owed<C> {
    pub(super) fn is_owed(&self, shard: ShardId) -> bool {
        self.0.iter().any(|(one, _)| *one == shard)
    }

    /// Lets a command wait; gives it back where too many do.
    pub(super) fn owe(&mut self, shard: ShardId, command: C) -> Result<(), C> {
        if self.0.len() >= OWED_MAX {
            return Err(command);
        }
        self.0.push_back((shard, command));
        Ok(())
    }

    /// Offers each shard what it is owed, up to the first command that it gives back.
    pub(super) fn pay(&mut self, mut offer: impl FnMut(ShardId, C) -> Result<(), C>) {
        let mut deaf: Vec<ShardId> = Vec::new();
        for (shard, command) in std::mem::take(&mut self.0) {
            let offered = if deaf.contains(&shard) { Err(command) } else { offer(shard, command) };
            if let Err(command) = offered {
                deaf.push(shard);
                self.0.push_back((shard, command));
            }
        }
    }

    /// A shard is gone.
    pub(super) fn forgive(&mut self, shard: ShardId) {
        self.0.retain(|(one, _)| *one != shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEA: ShardId = ShardId(0);
    const SKY: ShardId = ShardId(1);

    #[test]
    fn what_is_owed_arrives_in_order_and_one_deaf_shard_keeps_nothing_from_another() {
        let mut owed = Owed::default();
        for (shard, command) in [(SEA, 1), (SKY, 2), (SEA, 3)] {
            owed.owe(shard, command).unwrap();
        }
        let mut taken = Vec::new();
        // How many more each takes.
        for (sea, sky) in [(0, 9), (1, 9), (9, 9)] {
            let mut room = [sea, sky];
            owed.pay(|shard, command| {
                let left = &mut room[usize::from(shard.0)];
                *left = i32::checked_sub(*left, 1).filter(|left| *left >= 0).ok_or(command)?;
                taken.push(command);
                Ok(())
            });
            assert!(!owed.is_owed(SKY));
        }
        assert_eq!((&taken[..], owed.is_owed(SEA)), (&[2, 1, 3][..], false));
    }

    #[test]
    fn no_more_waits_than_there_is_room_for_and_nothing_for_a_shard_that_is_gone() {
        let mut owed = Owed::default();
        let waiting = (0..2 * OWED_MAX).filter(|command| owed.owe(SEA, *command).is_ok()).count();
        assert_eq!(waiting, OWED_MAX);
        owed.forgive(SEA);
        assert_eq!((owed.is_owed(SEA), owed.owe(SKY, 0)), (false, Ok(())));
    }
}
