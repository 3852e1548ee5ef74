//! The clock of every shard: CLOCK_MONOTONIC, from its own origin, so that all shards of a process share one time.
//!
//! The kernel stamps packets with the wall clock; `Stamps` brings a stamp onto the monotonic clock by an offset that is
//! measured again and again, since the wall clock is slewed and stepped.

use std::time::Duration;

use tidewire_core::time::{Instant, Ntp};

/// Now, on the clock of all shards.
pub fn now() -> Instant {
    Instant::from_nanos(nanos(libc::CLOCK_MONOTONIC))
}

/// The wall clock in NTP format.
pub fn wall() -> Ntp {
    /// Seconds from 1900 to 1970 (RFC 868).
    const NTP_TO_UNIX_S: u64 = 2_208_988_800;
    let nanos = nanos(libc::CLOCK_REALTIME);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    Ntp(((seconds + NTP_TO_UNIX_S) << 32) | ((rest << 32) / 1_000_000_000))
}

/// Whether the kernel holds the wall clock to be in step with others (adjtimex(2)); nothing where it does not say.
pub fn wall_is_synchronised() -> Option<bool> {
    // SAFETY: all-zero bytes are a valid `timex` that asks for no change, and the kernel only writes to it.
    let state = unsafe {
        let mut status: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut status)
    };
    (state != -1).then_some(state != libc::TIME_ERROR)
}

fn nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid timespec to write to. Both clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Maps kernel receive stamps to the shards' clock.
#[derive(Debug)]
pub(crate) struct Stamps {
    /// Wall clock minus monotonic clock, in nanoseconds.
    offset: u64,
    measured: Instant,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        let mut stamps = Self { offset: 0, measured: Instant::ORIGIN };
        stamps.measure(now());
        stamps
    }

    /// Measures the offset anew if the last time is a while ago.
    pub(crate) fn refresh(&mut self, now: Instant) {
        if now.since(self.measured) >= MEASURE_EVERY {
            self.measure(now);
        }
    }

    /// When a packet with this stamp arrived. A stamp from the future, or so old that the wall clock must have been set,
    /// counts as now.
    pub(crate) fn arrival(&self, stamp: Option<Duration>, now: Instant) -> Instant {
        let Some(stamp) = stamp else { return now };
        let nanos = u64::try_from(stamp.as_nanos()).unwrap_or(u64::MAX).wrapping_sub(self.offset);
        let arrival = Instant::from_nanos(nanos);
        if arrival > now || now.since(arrival) > AGE_MAX { now } else { arrival }
    }

    fn measure(&mut self, now: Instant) {
        self.offset = nanos(libc::CLOCK_REALTIME).wrapping_sub(nanos(libc::CLOCK_MONOTONIC));
        self.measured = now;
    }
}

/// At 500 ppm, the fastest slew, the offset is wrong by 50 us at most.
const MEASURE_EVERY: Duration = Duration::from_millis(100);

/// No packet waits longer in a socket of a shard that runs.
const AGE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_of_the_wall_clock_becomes_an_instant() {
        let stamps = Stamps::new();
        let before = now();
        let stamp = Duration::from_nanos(nanos(libc::CLOCK_REALTIME));
        let after = now();
        let arrival = stamps.arrival(Some(stamp), after);
        assert!(arrival + Duration::from_micros(100) >= before && arrival <= after);
    }

    #[test]
    fn stamp_that_cannot_be_is_now() {
        let stamps = Stamps::new();
        let now = now();
        let wall = Duration::from_nanos(nanos(libc::CLOCK_REALTIME));
        assert_eq!(stamps.arrival(Some(wall + Duration::from_secs(3600)), now), now);
        assert_eq!(stamps.arrival(Some(wall - Duration::from_secs(3600)), now), now);
        assert_eq!(stamps.arrival(Some(Duration::ZERO), now), now);
        assert_eq!(stamps.arrival(None, now), now);
    }
}
