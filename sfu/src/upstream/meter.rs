//! How many bits a second a track brings, in all and for each of its decode targets.
//!
//! Whole seconds are measured and smoothed, since a key frame alone would look like ten times the rate. One addition a packet
//! for each target that it is part of; nothing is remembered of single packets. What a track brought last stays known when it
//! falls silent: it is what its return would cost.

use std::time::Duration;

use tidewire_core::codec::{TARGETS_MAX, Targets};
use tidewire_core::time::Instant;

/// Long enough for every pattern of temporal layers, short enough to follow a speaker who begins to move.
const WINDOW: Duration = Duration::from_secs(1);

/// See the module's description.
#[derive(Debug)]
pub(super) struct Meter {
    since: Instant,
    bytes: [u32; TARGETS_MAX],
    rates_bps: [u32; TARGETS_MAX],
}

impl Default for Meter {
    fn default() -> Self {
        Self { since: Instant::ORIGIN, bytes: [0; TARGETS_MAX], rates_bps: [0; TARGETS_MAX] }
    }
}

impl Meter {
    /// Notes a packet of a track that has this many targets.
    pub(super) fn record(&mut self, now: Instant, len: usize, part_of: Targets, targets: usize) {
        let elapsed = now.since(self.since);
        if elapsed >= WINDOW {
            self.close(elapsed);
            self.since = now;
        }
        let known = u32::MAX >> (TARGETS_MAX - targets.clamp(1, TARGETS_MAX));
        let mut left = part_of.0 & known;
        while left != 0 {
            let bytes = &mut self.bytes[left.trailing_zeros() as usize];
            *bytes = bytes.saturating_add(len as u32);
            left &= left - 1;
        }
    }

    /// Of each target, in bits per second; 0 where nothing was measured yet.
    pub(super) const fn rates_bps(&self) -> &[u32; TARGETS_MAX] {
        &self.rates_bps
    }

    /// Ends a window. One that began in a silence says nothing of what is sent.
    fn close(&mut self, elapsed: Duration) {
        let bytes = std::mem::replace(&mut self.bytes, [0; TARGETS_MAX]);
        if elapsed >= 2 * WINDOW {
            return;
        }
        for (rate, bytes) in self.rates_bps.iter_mut().zip(bytes) {
            let measured = (u128::from(bytes) * 8_000_000 / elapsed.as_micros().max(1)) as u32;
            // The first measure stands for itself; after that a quarter of each counts.
            *rate = if *rate == 0 { measured } else { *rate - *rate / 4 + measured / 4 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_measured_by_the_packets_that_are_part_of_it() {
        let mut meter = Meter::default();
        for at in 0..31 {
            // Every second packet is for the upper of two targets alone.
            let part_of = if at % 2 == 0 { Targets(0b11) } else { Targets(0b10) };
            meter.record(Instant::from_millis(10_000 + at * 100), 1_250, part_of, 2);
        }
        let rates = meter.rates_bps();
        assert!((49_000..=51_000).contains(&rates[0]), "{}", rates[0]);
        assert!((98_000..=102_000).contains(&rates[1]), "{}", rates[1]);
        assert_eq!(rates[2], 0);
    }

    #[test]
    fn a_silence_does_not_make_a_track_cheap() {
        let mut meter = Meter::default();
        for at in 0..21 {
            meter.record(Instant::from_millis(10_000 + at * 100), 1_250, Targets::ALL, 1);
        }
        let before = meter.rates_bps()[0];
        meter.record(Instant::from_millis(60_000), 1_250, Targets::ALL, 1);
        assert_eq!(meter.rates_bps()[0], before);
        assert!(before > 90_000);
    }
}
