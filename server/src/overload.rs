//! Says when a shard cannot keep up: at most one line a second for each shard, from what it has counted.
//!
//! The shards themselves only count; a log line on the way of a packet would make an overload worse. It also says when a
//! shard was held up by something else than packets.

use std::collections::BTreeMap;
use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::id::ShardId;
use tidewire_net::count::IoCounter;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{Counts, Owner};

/// Looks at the counters for ever; `counts` must not block.
pub(crate) async fn watch(counts: impl Fn() -> Counts) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = BTreeMap::new();
    loop {
        ticks.tick().await;
        for (shard, present) in losses(&counts()) {
            let lost = present.since(before.insert(shard, present).unwrap_or_default());
            lost.log(shard);
        }
    }
}

/// What a shard has lost by having too much to do, since its start or since it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Losses {
    repairs: u64,
    video: u64,
    reports: u64,
    key_frames: u64,
    audio: u64,
    overrun: u64,
    stalls: u64,
}

impl Losses {
    fn of(values: &[u64]) -> Self {
        let at = |column: usize| values.get(column).copied().unwrap_or_default();
        let discarded = |reason: Discard| at(Counter::ALL.len() + reason as usize);
        Self {
            repairs: discarded(Discard::OverloadRepair),
            video: discarded(Discard::OverloadVideo),
            reports: discarded(Discard::OverloadReport),
            key_frames: discarded(Discard::OverloadKeyFrame),
            audio: discarded(Discard::OverloadAudio),
            overrun: discarded(Discard::Overrun),
            stalls: at(Counter::ALL.len() + Discard::ALL.len() + IoCounter::TurnStalls as usize),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            repairs: self.repairs.saturating_sub(before.repairs),
            video: self.video.saturating_sub(before.video),
            reports: self.reports.saturating_sub(before.reports),
            key_frames: self.key_frames.saturating_sub(before.key_frames),
            audio: self.audio.saturating_sub(before.audio),
            overrun: self.overrun.saturating_sub(before.overrun),
            stalls: self.stalls.saturating_sub(before.stalls),
        }
    }

    fn log(self, shard: ShardId) {
        let Self { repairs, video, reports, key_frames, audio, overrun, stalls } = self;
        let shard = shard.0;
        if self != (Self { stalls, ..Self::default() }) {
            let what = "a shard has more to send than time: packets were dropped";
            tracing::warn!(shard, repairs, video, reports, key_frames, audio, overrun, stalls, "{what}");
        } else if stalls > 0 {
            tracing::warn!(shard, stalls, "a shard was held up for longer than a turn may take");
        }
    }
}

fn losses(counts: &Counts) -> impl Iterator<Item = (ShardId, Losses)> {
    counts.iter().filter_map(|(owner, values)| match owner {
        Owner::Shard(shard) => Some((*shard, Losses::of(values))),
        Owner::Handshakes => None,
    })
}

/// How often is looked, and so how often at most a shard is told of.
const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tidewire_core::count::Tally;
    use tidewire_net::count::IoTally;

    use super::*;

    #[test]
    fn losses_are_read_from_their_columns_and_counted_since_the_last_look() {
        let (mut tally, mut io) = (Tally::default(), IoTally::default());
        let mut look = |video: u64, stalls: usize| {
            (0..video).for_each(|_| tally.discard(Discard::OverloadVideo));
            io.add(IoCounter::TurnStalls, stalls);
            let values: Vec<u64> = tally.values().chain(io.values()).collect();
            let counts = vec![(Owner::Handshakes, vec![]), (Owner::Shard(ShardId(3)), values)];
            let (shard, present) = losses(&counts).next().unwrap();
            assert_eq!(shard, ShardId(3));
            present
        };
        let first = look(2, 1);
        assert_eq!(first, Losses { video: 2, stalls: 1, ..Losses::default() });
        assert_eq!(look(5, 0).since(first), Losses { video: 5, ..Losses::default() });
    }
}
