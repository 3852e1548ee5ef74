//! What one viewer's path is thought to carry.
//!
//! In go the packets that left, what became of each, and what the viewer says itself: loss, round trip, its own estimate.
//! Out comes a bitrate, or nothing as long as nothing bounds it. This is the interface of an estimator and not yet one: it
//! keeps what was delivered and lost, and takes the viewer's own estimate (REMB) for its only bound. Nothing is throttled by
//! it, and nobody may take its silence for room.

use std::time::Duration;

use tidewire_core::time::Instant;

use crate::departures::Arrived;

/// What a viewer may claim to receive, in bits per second: below the least nothing can be heard, beyond the most it is no
/// bound. Claims outside are taken for the nearest.
const CLAIM_BPS: (u64, u64) = (30_000, 10_000_000_000);

/// How long a claim stands: receivers repeat it each second.
const CLAIM_HOLDS: Duration = Duration::from_secs(10);

/// Over which time deliveries and losses are summed up.
const SPAN: Duration = Duration::from_millis(500);

/// See the module's description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    claim: Option<(u64, Instant)>,
    round_trip: Option<Duration>,
    /// Bytes that have left, and those that had when the present span began.
    sent: u64,
    sent_before: u64,
    present: Span,
    last: Span,
    sent_bps: u64,
    reported_loss: u8,
}

/// What was reported within a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    began: Instant,
    bytes: u64,
    arrived: u32,
    lost: u32,
    length: Duration,
}

impl Estimate {
    /// So many bytes have left in all, repairs included. Told before each feedback, not for each packet.
    pub fn on_sent(&mut self, bytes: u64) {
        self.sent = bytes;
    }

    /// News of packets, each as lost at most once and as arrived at most once.
    pub fn on_feedback(&mut self, now: Instant, packets: &[Arrived]) {
        self.turn(now);
        for packet in packets {
            let (arrived, lost) = (packet.arrival_250us.is_some(), packet.arrival_250us.is_none());
            self.present.bytes += if arrived { u64::from(packet.bytes) } else { 0 };
            self.present.arrived += u32::from(arrived);
            self.present.lost = (self.present.lost + u32::from(lost)).saturating_sub(packet.was_lost.into());
        }
    }

    /// The viewer's own estimate of what it can receive in all.
    pub fn on_remb(&mut self, now: Instant, bits_per_second: u64) {
        self.claim = Some((bits_per_second.clamp(CLAIM_BPS.0, CLAIM_BPS.1), now));
    }

    /// A reception report: the loss of one stream since its last, in 1/256.
    pub fn on_loss_report(&mut self, fraction_lost: u8) {
        self.reported_loss = fraction_lost;
    }

    pub fn on_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// What the path is thought to carry, in bits per second; none as long as nothing bounds it.
    pub fn available_bps(&self, now: Instant) -> Option<u64> {
        self.claim.filter(|(_, since)| now.since(*since) < CLAIM_HOLDS).map(|(claim, _)| claim)
    }

    /// The viewer's last round trip, once it is known.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Bits per second that arrived lately, by this end's clock.
    pub fn delivered_bps(&self) -> u64 {
        per_second(self.last.bytes, self.last.length)
    }

    /// Bits per second that left at the same time.
    pub const fn sent_bps(&self) -> u64 {
        self.sent_bps
    }

    /// Thousandths of the packets reported lately that had not arrived; by reception reports where there is no other.
    pub fn loss_thousandths(&self) -> u16 {
        let reported = u32::from(self.reported_loss) * 1000 / 256;
        let told = self.last.arrived + self.last.lost;
        (self.last.lost * 1000).checked_div(told).unwrap_or(reported) as u16
    }

    /// Begins a new span when the present one is over.
    fn turn(&mut self, now: Instant) {
        let length = now.since(self.present.began);
        if length < SPAN {
            return;
        }
        self.last = Span { length, ..self.present };
        self.sent_bps = per_second(self.sent - self.sent_before, length);
        self.sent_before = self.sent;
        self.present = Span { began: now, ..Span::default() };
    }
}

fn per_second(bytes: u64, time: Duration) -> u64 {
    (u128::from(bytes) * 8_000_000).checked_div(time.as_micros()).map_or(0, |bits| bits as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn packet(arrived: bool, was_lost: bool) -> Arrived {
        Arrived { sent: at(0), bytes: 1_000, arrival_250us: arrived.then_some(7), was_lost }
    }

    #[test]
    fn what_arrived_and_what_did_not_is_summed_up_over_a_while() {
        let mut estimate = Estimate::default();
        for feedback in 1..=20 {
            estimate.on_sent(feedback * 10_000);
            let packets = [0; 10].map(|_: u8| packet(true, false));
            estimate.on_feedback(at(feedback * 50), &packets);
        }
        assert_eq!((estimate.delivered_bps(), estimate.sent_bps()), (1_600_000, 1_600_000));
        assert_eq!(estimate.loss_thousandths(), 0);
        assert_eq!(estimate.available_bps(at(1_000)), None, "no bound is no room");
    }

    #[test]
    fn a_late_packet_is_lost_no_longer() {
        let mut estimate = Estimate::default();
        estimate.on_feedback(at(500), &[packet(false, false), packet(false, false), packet(true, false)]);
        estimate.on_feedback(at(600), &[packet(true, true)]);
        estimate.on_feedback(at(1_000), &[]);
        assert_eq!(estimate.loss_thousandths(), 333);
    }

    #[test]
    fn a_claim_bounds_for_a_while_and_nonsense_is_taken_for_the_nearest_that_makes_sense() {
        let mut estimate = Estimate::default();
        for (claim, expected) in [(1_500_000, 1_500_000), (0, 30_000), (u64::MAX, 10_000_000_000)] {
            estimate.on_remb(at(0), claim);
            assert_eq!(estimate.available_bps(at(9_999)), Some(expected));
        }
        assert_eq!(estimate.available_bps(at(10_000)), None);
    }

    #[test]
    fn reports_tell_of_loss_where_there_is_no_feedback_on_the_transport() {
        let mut estimate = Estimate::default();
        estimate.on_loss_report(64);
        assert_eq!(estimate.loss_thousandths(), 250);
    }
}
