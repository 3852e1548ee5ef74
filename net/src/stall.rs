//! The stall detector: how long a shard's turns take, and how late it wakes from its sleeps.
//!
//! It is told of the clock reads that a driver makes anyway, so it costs a subtraction a turn and no read of its own. A
//! turn lasts from its beginning to the next one's, or to the moment at which the shard goes to sleep: tasks that run
//! beside the packets in between count, since packets wait for them as well. A sleep that ends later than its deadline
//! is another thing and counted as such: then the core was somebody else's, or the kernel was slow. What a sleep without
//! a deadline costs cannot be seen here.
//!
//! A gauge holds the longest of the present window and of the one before, so whoever asks at least once a
//! [`WINDOW`] misses none, and nobody's asking takes it from somebody else.

use std::time::Duration;

use tidewire_core::limits::{OVERSHOOT_MAX, TURN_MAX};
use tidewire_core::time::Instant;

use crate::count::{IoCounter, IoTally, ShardGauge};

/// What the shard is at.
#[derive(Clone, Copy, Debug)]
enum State {
    Turning {
        since: Instant,
    },
    /// `due` is when it asked to be woken, if it did.
    Sleeping {
        due: Option<Instant>,
    },
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct StallWatch {
    state: State,
    turn: Longest,
    overshoot: Longest,
    window_began: Instant,
}

impl StallWatch {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Sleeping { due: None },
            turn: Longest::default(),
            overshoot: Longest::default(),
            window_began: Instant::ORIGIN,
        }
    }

    /// A turn begins; what was before it has ended.
    pub(crate) fn begin(&mut self, now: Instant, tally: &mut IoTally) {
        self.roll(now);
        self.end(now, tally);
        self.state = State::Turning { since: now };
    }

    /// The shard is about to sleep, and asks to be woken at `due` if at all.
    pub(crate) fn sleep(&mut self, now: Instant, due: Option<Instant>, tally: &mut IoTally) {
        self.roll(now);
        self.end(now, tally);
        self.state = State::Sleeping { due };
    }

    /// When the shard has to wake for the gauges' sake: a stall must not stand in them while the shard sleeps for hours.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let stalled = self.turn.value() > TURN_MAX || self.overshoot.value() > OVERSHOOT_MAX;
        stalled.then(|| self.window_began + WINDOW)
    }

    /// The values of the gauges, in the order of their registry.
    pub(crate) fn gauges(&self) -> impl Iterator<Item = u64> + '_ {
        ShardGauge::ALL.iter().map(|gauge| {
            let value = match gauge {
                ShardGauge::TurnMax => self.turn.value(),
                ShardGauge::OvershootMax => self.overshoot.value(),
            };
            u64::try_from(value.as_nanos()).unwrap_or(u64::MAX)
        })
    }

    fn end(&mut self, now: Instant, tally: &mut IoTally) {
        match self.state {
            State::Turning { since } => {
                if self.turn.note(now.since(since)) > TURN_MAX {
                    tally.count(IoCounter::TurnStalls);
                }
            }
            State::Sleeping { due } => {
                // Woken before its time, by whatever came, it is not late.
                if due.is_some_and(|due| self.overshoot.note(now.since(due)) > OVERSHOOT_MAX) {
                    tally.count(IoCounter::SleepOvershoots);
                }
            }
        }
    }

    fn roll(&mut self, now: Instant) {
        let passed = now.since(self.window_began);
        if passed < WINDOW {
            return;
        }
        for longest in [&mut self.turn, &mut self.overshoot] {
            // After a whole window of sleep the present one is no neighbour of the next.
            longest.before = if passed < 2 * WINDOW { longest.present } else { Duration::ZERO };
            longest.present = Duration::ZERO;
        }
        self.window_began = now;
    }
}

/// The longest duration of the present window, and of the one before.
#[derive(Debug, Default)]
struct Longest {
    present: Duration,
    before: Duration,
}

impl Longest {
    fn note(&mut self, duration: Duration) -> Duration {
        self.present = self.present.max(duration);
        duration
    }

    fn value(&self) -> Duration {
        self.present.max(self.before)
    }
}

/// How long a gauge remembers at least, and half of how long at most: longer than scrapes are apart.
const WINDOW: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn gauges(watch: &StallWatch) -> Vec<u64> {
        watch.gauges().map(|nanos| nanos / 1_000_000).collect()
    }

    #[test]
    fn a_long_turn_and_a_late_awakening_are_told_apart() {
        let (mut watch, mut tally) = (StallWatch::new(), IoTally::default());
        watch.begin(at(0), &mut tally);
        watch.begin(at(30), &mut tally);
        watch.sleep(at(31), Some(at(40)), &mut tally);
        assert_eq!((gauges(&watch), tally.of(IoCounter::TurnStalls)), (vec![30, 0], 1));
        watch.begin(at(90), &mut tally);
        watch.sleep(at(91), None, &mut tally);
        watch.begin(at(5_000), &mut tally);
        assert_eq!(gauges(&watch), [30, 50]);
        assert_eq!((tally.of(IoCounter::TurnStalls), tally.of(IoCounter::SleepOvershoots)), (1, 1));
    }

    #[test]
    fn what_comes_before_the_deadline_is_no_overshoot() {
        let (mut watch, mut tally) = (StallWatch::new(), IoTally::default());
        watch.sleep(at(0), Some(at(1_000)), &mut tally);
        watch.begin(at(500), &mut tally);
        assert_eq!((gauges(&watch), tally.of(IoCounter::SleepOvershoots)), (vec![0, 0], 0));
    }

    #[test]
    fn a_stall_is_shown_for_a_whole_window_and_forgotten_after_two() {
        let (mut watch, mut tally) = (StallWatch::new(), IoTally::default());
        let window = WINDOW.as_millis() as u64;
        watch.begin(at(window), &mut tally);
        watch.sleep(at(window + 40), None, &mut tally);
        assert_eq!(watch.deadline(), Some(at(2 * window)), "the shard wakes to forget it");
        for (now, shown) in [(2 * window, 40), (3 * window - 1, 40), (3 * window, 0)] {
            watch.begin(at(now), &mut tally);
            watch.sleep(at(now), None, &mut tally);
            assert_eq!(gauges(&watch)[0], shown, "at {now} ms");
        }
        assert_eq!(watch.deadline(), None);
    }
}
