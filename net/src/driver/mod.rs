//! The drivers that turn a shard, each a thread that sleeps in its own way when there is nothing to do.

pub(crate) mod executor;
pub(crate) mod plain;

use std::time::Duration;

use tidewire_core::machine::Machine;
use tidewire_core::time::Instant;

use crate::clock;
use crate::io::PacketIo;
use crate::precedence;
use crate::shard::{Shard, Turn};

/// What the driver does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Turn,
    Sleep,
    End,
}

/// Decides after each turn: turn again, spin a while, sleep, or end. The same for every driver.
struct Pace {
    spin: Spin,
    /// When the shard was seen to be stopping.
    stopping: Option<Instant>,
}

impl Pace {
    fn new(spin: Duration) -> Self {
        precedence::media();
        Self { spin: Spin::new(spin, clock::now()), stopping: None }
    }

    fn next<M: Machine, Io: PacketIo>(&mut self, shard: &Shard<M, Io>, turn: Turn, now: Instant) -> Next {
        if turn != Turn::Idle {
            self.spin.worked(now);
        }
        if shard.is_stopping() {
            let since = *self.stopping.get_or_insert(now);
            let late = now.since(since) > STOPPING_MAX;
            return if turn == Turn::Idle || late { Next::End } else { Next::Turn };
        }
        match turn {
            Turn::More => Next::Turn,
            Turn::Done | Turn::Idle if self.spin.is_worth_it(now) => Next::Turn,
            Turn::Done | Turn::Idle => Next::Sleep,
        }
    }
}

/// Whether to look on for packets before sleeping: a wake-up costs 20 us of CPU and as much delay, so spinning pays where
/// the next packet mostly comes sooner than that, and is waste where it does not.
struct Spin {
    max: Duration,
    /// When something was last done.
    worked: Instant,
    /// One bit for each of the last pauses between work: whether it was short enough to be spun through.
    short_pauses: u8,
}

impl Spin {
    const fn new(max: Duration, now: Instant) -> Self {
        Self { max, worked: now, short_pauses: u8::MAX }
    }

    fn worked(&mut self, now: Instant) {
        let pause = now.since(self.worked);
        self.worked = now;
        self.short_pauses = self.short_pauses << 1 | u8::from(pause < self.max);
    }

    /// Zero must not spin even once. With a quarter of the pauses short, spinning costs no more than the wake-ups it saves.
    fn is_worth_it(&self, now: Instant) -> bool {
        !self.max.is_zero() && now.since(self.worked) < self.max && self.short_pauses.count_ones() >= 2
    }
}

/// How long a stopping shard goes on as long as there is something to do.
const STOPPING_MAX: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(50);

    fn after(pauses_us: &[u64]) -> (Spin, Instant) {
        let mut now = Instant::ORIGIN;
        let mut spin = Spin::new(MAX, now);
        for pause in pauses_us {
            now += Duration::from_micros(*pause);
            spin.worked(now);
        }
        (spin, now)
    }

    #[test]
    fn spinning_ends_after_its_time() {
        let (spin, now) = after(&[10; 8]);
        assert!(spin.is_worth_it(now + Duration::from_micros(49)));
        assert!(!spin.is_worth_it(now + MAX));
    }

    #[test]
    fn a_shard_whose_packets_are_far_apart_does_not_spin_until_they_come_closer() {
        let (spin, now) = after(&[5000; 8]);
        assert!(!spin.is_worth_it(now));
        let (spin, now) = after(&[5000, 5000, 5000, 5000, 5000, 5000, 20, 20]);
        assert!(spin.is_worth_it(now));
    }

    #[test]
    fn no_time_to_spin_means_not_even_once() {
        let spin = Spin::new(Duration::ZERO, Instant::ORIGIN);
        assert!(!spin.is_worth_it(Instant::ORIGIN));
    }
}
