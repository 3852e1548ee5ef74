//! Reception statistics of one incoming stream (RFC 3550 6.4.1, A.3, A.8), as its publisher is told them.

use std::time::Duration;

use tidewire_core::rtcp::Report;
use tidewire_core::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Reception {
    first: Option<u64>,
    highest: u64,
    received: u64,
    /// Expected and received at the last report, for the fraction since.
    reported: (u64, u64),
    /// Interarrival jitter in timestamp units, scaled by 16 as in RFC 3550 A.8.
    jitter_x16: u64,
    last_transit: Option<u32>,
}

impl Reception {
    /// Notes a packet of the stream itself; repairs do not count as received (RFC 4588 6.3 counts them on their own).
    pub(super) fn record(&mut self, now: Instant, sequence: u64, timestamp: u32, clock_rate: u32) {
        let first = *self.first.get_or_insert(sequence);
        self.first = Some(first.min(sequence));
        self.highest = self.highest.max(sequence);
        self.received += 1;
        let arrival = (u128::from(now.nanos()) * u128::from(clock_rate) / 1_000_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.last_transit.replace(transit) {
            let difference = u64::from(transit.wrapping_sub(last).cast_signed().unsigned_abs());
            self.jitter_x16 = (self.jitter_x16 + difference).saturating_sub((self.jitter_x16 + 8) >> 4);
        }
    }

    /// Packets that there were, and how many of them did not come by themselves.
    pub(super) fn counts(&self) -> (u64, u64) {
        let expected = self.first.map_or(0, |first| self.highest - first + 1);
        (expected, expected.saturating_sub(self.received))
    }

    pub(super) fn jitter_ms(&self, clock_rate: u32) -> u32 {
        ((self.jitter_x16 >> 4) * 1000).checked_div(clock_rate.into()).unwrap_or(0) as u32
    }

    /// The report block since the last one; nothing before the first packet. `last` is the publisher's latest sender
    /// report: the middle of its NTP time, and when it came.
    pub(super) fn report(&mut self, now: Instant, ssrc: u32, last: Option<(u32, Instant)>) -> Option<Report> {
        let expected = self.highest - self.first? + 1;
        let (before_expected, before_received) = std::mem::replace(&mut self.reported, (expected, self.received));
        let since = expected - before_expected.min(expected);
        let lost = since.saturating_sub(self.received - before_received);
        let fraction = (lost * 256).checked_div(since).unwrap_or(0).min(255);
        Some(Report {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: i32::try_from(expected.saturating_sub(self.received)).unwrap_or(i32::MAX),
            highest_sequence: self.highest as u32,
            jitter: (self.jitter_x16 >> 4) as u32,
            last_report: last.map_or(0, |(middle, _)| middle),
            delay: last.map_or(0, |(_, arrival)| units(now.since(arrival))),
        })
    }
}

/// A duration in units of 1/65536 s (RFC 3550 6.4.1), saturating.
fn units(duration: Duration) -> u32 {
    u32::try_from((duration.as_micros() << 16) / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_since_the_last_report_and_in_all() {
        let mut reception = Reception::default();
        for sequence in (0..100).filter(|sequence| sequence % 4 != 3) {
            reception.record(Instant::from_millis(sequence), sequence, sequence as u32 * 90, 90_000);
        }
        let first = reception.report(Instant::from_millis(100), 7, None).unwrap();
        assert_eq!((first.fraction_lost, first.cumulative_lost, first.highest_sequence), (62, 24, 98));
        assert_eq!(first.jitter, 0);
        let second = reception.report(Instant::from_millis(200), 7, Some((5, Instant::from_millis(100)))).unwrap();
        assert_eq!((second.fraction_lost, second.last_report, second.delay), (0, 5, 6553));
    }
}
