//! What a viewer tells the server of what it hears, as a browser would: reports every second, transport-wide feedback every 100 ms.
//!
//! A viewer that reads everything describes what arrived and when. One that samples describes what it may assume: that
//! everything sent since the last time came as late as its last sample did. No viewer asks for anything again.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Call;
use crate::client::rtcp::{self, Reception};
use crate::client::twcc;

/// Which feedback viewers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Feedback {
    /// Receiver reports and transport-wide feedback.
    Browser,
    /// Receiver reports alone.
    Reports,
    None,
}

impl Feedback {
    pub fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Reports => "reports",
            Self::None => "none",
        }
    }
}

/// One viewer's share of it.
pub(super) struct Reporter {
    feedback: Feedback,
    next_report: Instant,
    next_transport: Instant,
    number: u8,
    base: u16,
    arrivals: Vec<Option<u64>>,
    packet: Vec<u8>,
    /// Feedback packets sent, both kinds.
    pub(super) sent: u64,
}

impl Reporter {
    /// `phase` lies in 0..1: viewers who joined together do not report together.
    pub(super) fn new(feedback: Feedback, now: Instant, phase: f64) -> Self {
        Self {
            feedback,
            next_report: now + REPORT_INTERVAL.mul_f64(phase),
            next_transport: now + TRANSPORT_INTERVAL.mul_f64(phase * 7.0 % 1.0),
            number: 0,
            base: 0,
            arrivals: Vec::new(),
            packet: Vec::new(),
            sent: 0,
        }
    }

    /// Whether it wants to know of every arrival.
    pub(super) fn listens(&self) -> bool {
        self.feedback == Feedback::Browser && self.arrivals.len() < twcc::STATUSES_MAX
    }

    pub(super) fn note(&mut self, arrival_ns: u64) {
        self.arrivals.push(Some(arrival_ns));
    }

    /// Packets noted so far that came later than this.
    pub(super) fn noted_after(&self, arrival_ns: u64) -> u16 {
        self.arrivals.iter().flatten().filter(|noted| **noted > arrival_ns).count() as u16
    }

    pub(super) fn is_transport_due(&self, now: Instant) -> bool {
        self.feedback == Feedback::Browser && now >= self.next_transport
    }

    pub(super) fn is_report_due(&self, now: Instant) -> bool {
        self.feedback != Feedback::None && now >= self.next_report
    }

    /// Tells of what was noted since the last time. `latest` is the transport sequence number of the last of it, if packets carry one.
    pub(super) fn send_transport(
        &mut self,
        now: Instant,
        call: &mut Call,
        media: u32,
        latest: Option<u16>,
    ) -> Result<()> {
        self.next_transport = later(self.next_transport, TRANSPORT_INTERVAL, now);
        self.arrivals.sort_unstable();
        let statuses = self.arrivals.len() as u16;
        let base = latest.map_or(self.base, |latest| latest.wrapping_add(1).wrapping_sub(statuses));
        self.packet.clear();
        let feedback = twcc::Feedback { sender: SENDER, media, base, number: self.number, arrivals: &self.arrivals };
        twcc::write(&feedback, &mut self.packet);
        self.arrivals.clear();
        if self.packet.is_empty() {
            return Ok(());
        }
        self.base = base.wrapping_add(statuses);
        self.number = self.number.wrapping_add(1);
        self.sent += 1;
        call.send_rtcp(&self.packet)
    }

    pub(super) fn send_report(&mut self, now: Instant, call: &mut Call, receptions: &[Reception]) -> Result<()> {
        self.next_report = later(self.next_report, REPORT_INTERVAL, now);
        self.sent += 1;
        let report = rtcp::write_receiver_report(SENDER, receptions, &call.cname);
        call.send_rtcp(&report)
    }
}

/// The next time in the same rhythm that is yet to come: what was missed while nothing was sent is not made up for.
fn later(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    if next > now { next } else { now + interval }
}

/// libwebrtc, too, reports as SSRC 1 where it sends nothing.
const SENDER: u32 = 1;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const TRANSPORT_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::client::offer::Retransmission;
    use crate::client::rtcp::Item;
    use crate::client::srtp::Protection;
    use crate::client::{Arrival, Codec, Direction, Offer, Profile};

    /// Two calls whose sockets are connected to each other.
    fn pair() -> (Call, Call) {
        let offer = Offer::of(Direction::Receive, &[Codec::Vp8], Retransmission::InPlace, 0);
        let sockets = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        let addresses = [0, 1].map(|end: usize| sockets[end].local_addr().unwrap());
        let [one, other] = sockets;
        one.connect(addresses[1]).unwrap();
        other.connect(addresses[0]).unwrap();
        let key = ([7; 16].as_slice(), [9; 12].as_slice());
        let call = |socket| {
            let protection = Protection::of_keys(Profile::AeadAes128Gcm, key, key).unwrap();
            Call::without_signalling(socket, protection, &offer, 0).unwrap()
        };
        (call(one), call(other))
    }

    #[test]
    fn the_other_end_can_read_what_a_viewer_tells() {
        let (mut viewer, mut server) = pair();
        let now = Instant::now();
        let mut reporter = Reporter::new(Feedback::Browser, now, 0.0);
        for place in 0..30 {
            reporter.note(1_000_000_000 + place * 3_000_000);
        }
        reporter.send_transport(now, &mut viewer, 5, None).unwrap();
        reporter.send_report(now, &mut viewer, &[Reception { ssrc: 5, highest: 30, ..Reception::default() }]).unwrap();
        let mut heard = Vec::new();
        while let Some(Arrival::Rtcp(compound)) = server.receive(now).unwrap() {
            heard.extend(rtcp::parse(&compound));
        }
        assert!(heard.contains(&Item::TransportFeedback) && heard.contains(&Item::ReceiverReport { blocks: 1 }));
        assert_eq!((reporter.sent, reporter.base), (2, 30));
    }

    #[test]
    fn feedback_ends_with_the_latest_number() {
        let (mut viewer, _server) = pair();
        let now = Instant::now();
        let mut reporter = Reporter::new(Feedback::Browser, now, 0.0);
        (0..5).for_each(|place| reporter.note(1_000_000_000 + place * 3_000_000));
        assert_eq!(reporter.noted_after(1_006_000_000), 2);
        reporter.send_transport(now, &mut viewer, 5, Some(102)).unwrap();
        // Numbers 98 to 102 were told; the next ones follow.
        assert_eq!(reporter.base, 103);
    }

    #[test]
    fn a_viewer_with_nothing_to_tell_is_silent() {
        let (mut viewer, mut server) = pair();
        let now = Instant::now();
        Reporter::new(Feedback::Browser, now, 0.5).send_transport(now, &mut viewer, 5, Some(3)).unwrap();
        assert!(server.receive(now).unwrap().is_none());
        assert!(!Reporter::new(Feedback::None, now, 0.0).is_report_due(now + REPORT_INTERVAL));
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let now = Instant::now();
        assert_eq!(later(now, TRANSPORT_INTERVAL, now), now + TRANSPORT_INTERVAL);
        let much_later = now + 50 * TRANSPORT_INTERVAL;
        assert_eq!(later(now, TRANSPORT_INTERVAL, much_later), much_later + TRANSPORT_INTERVAL);
    }
}
