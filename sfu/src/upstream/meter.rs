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
    /// Targets whose rate is no mere expectation.
    measured: Targets,
}

impl Default for Meter {
    fn default() -> Self {
        Self { since: Instant::ORIGIN, bytes: [0; TARGETS_MAX], rates_bps: [0; TARGETS_MAX], measured: Targets::NONE }
    }
}

impl Meter {
    /// Notes a packet of a track that has this many targets.
    #[inline]
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

    /// Has a rate stand for a target that was not measured yet; 0 for none.
    pub(super) fn expect(&mut self, target: u8, rate_bps: u32) {
        if let Some(rate) = self.rates_bps.get_mut(usize::from(target)).filter(|_| !self.measured.has(target)) {
            *rate = rate_bps;
        }
    }

    /// Of each target, in bits per second; 0 where nothing was measured or is expected.
    pub(super) const fn rates_bps(&self) -> &[u32; TARGETS_MAX] {
        &self.rates_bps
    }

    /// Ends a window. One that began in a silence says nothing of what is sent.
    #[cold]
    fn close(&mut self, elapsed: Duration) {
        let bytes = std::mem::replace(&mut self.bytes, [0; TARGETS_MAX]);
        if elapsed >= 2 * WINDOW {
            return;
        }
        for ((at, rate), bytes) in (0..).zip(&mut self.rates_bps).zip(bytes) {
            let measured = (u128::from(bytes) * 8_000_000 / elapsed.as_micros().max(1)) as u32;
            if self.measured.has(at) && *rate > 0 {
                *rate = *rate - *rate / 4 + measured / 4;
            } else if measured > 0 {
                // The first measure stands for itself; after that a quarter of each counts.
                *rate = measured;
                self.measured.0 |= 1 << at;
            }
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
    fn what_is_expected_stands_until_it_is_measured() {
        let mut meter = Meter::default();
        meter.expect(0, 70_000);
        meter.expect(1, 700_000);
        for at in 0..21 {
            meter.record(Instant::from_millis(10_000 + at * 100), 1_250, Targets(0b01), 2);
        }
        let [measured, expected, ..] = *meter.rates_bps();
        assert!((99_000..=106_000).contains(&measured), "{measured}");
        assert_eq!(expected, 700_000, "of this target nothing has come");
        meter.expect(0, 1);
        meter.expect(1, 600_000);
        assert_eq!(meter.rates_bps()[..2], [measured, 600_000]);
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
