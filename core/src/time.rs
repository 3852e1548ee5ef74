//! Monotonic time as an argument.
//!
//! `Instant` counts nanoseconds from an origin that the driver chose (the start of the program, the start of a
//! simulation). Only the edge turns a clock into one; the pure crates add, subtract and compare.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds since its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    pub const ORIGIN: Self = Self(0);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A wall-clock time in NTP format: seconds since 1900 in the upper half, fractions in the lower (RFC 3550 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ntp(pub u64);

impl Ntp {
    /// The driver's monotonic clock in this format, for what is compared with nothing but itself.
    pub const fn of(at: Instant) -> Self {
        let (seconds, nanos) = (at.0 / 1_000_000_000, at.0 % 1_000_000_000);
        Self((seconds << 32) | ((nanos << 32) / 1_000_000_000))
    }

    /// The middle 32 bits, as `LSR` carries them (RFC 3550 6.4.1), in units of 1/65536 s.
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}
