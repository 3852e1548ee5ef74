//! The two clocks of a load run: the wall clock in nanoseconds, which the kernel stamps datagrams with, and nothing else.
//!
//! Timers use `Instant`. What travels inside a payload and is compared with a kernel timestamp uses this.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 by the wall clock (CLOCK_REALTIME, the clock of SO_TIMESTAMPNS).
pub fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The 64-bit NTP form of a wall-clock time (RFC 3550 4).
pub fn ntp(unix_ns: u64) -> u64 {
    const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
    let seconds = unix_ns / 1_000_000_000 + SECONDS_1900_TO_1970;
    let fraction = ((unix_ns % 1_000_000_000) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_is_half_of_the_ntp_fraction() {
        assert_eq!(ntp(1_500_000_000), (2_208_988_801 << 32) | (1 << 31));
    }
}
