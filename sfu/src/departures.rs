//! What left for one viewer, numbered across its streams (draft-holmer-rmcat-transport-wide-cc-extensions-01 2), and what
//! the viewer says of it: which of these packets arrived, and when.
//!
//! A packet takes the next number as it leaves, and its time and length go into a ring; feedback is joined with that ring, so
//! that an estimator hears of packets and not of numbers. Invariant: a packet is reported lost at most once and arrived at
//! most once, whatever a viewer repeats or invents. Only streams with RTX are numbered: a repair without is the same packet
//! again, bit for bit, and cannot have a number of its own. Estimates nothing.

use arrayvec::ArrayVec;
use tidewire_core::count::Discard;
use tidewire_core::machine::Egress;
use tidewire_core::rebuild::Form;
use tidewire_core::rtcp::TransportFeedback;
use tidewire_core::rtp;
use tidewire_core::time::Instant;

/// Packets that are remembered: at 4 Mb/s more than a second, in which a browser reports ten times.
const RING_LEN: usize = 512;

/// Numbers are counted from here, so that those before the first have room.
const FIRST: u64 = 1 << 16;

/// No path holds one packet this much longer than another: a feedback that says so has no clock.
const VARIATION_MAX_NS: u64 = 5_000_000_000;

/// Packets that are handed over at once.
pub(crate) const ARRIVED_LEN: usize = 64;

/// A packet of which the viewer has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub sent: Instant,
    pub bytes: u16,
    /// When it arrived, on the viewer's own clock in units of 250 us; none if it has not.
    pub arrival_250us: Option<i64>,
    /// Whether it was reported lost before, and came late.
    pub was_lost: bool,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Departures {
    /// The number of the next packet.
    next: u64,
    /// Bytes that have left, headers of IP and UDP not counted.
    bytes: u64,
    /// The viewer's clock at its last reference time, extended.
    clock_250us: Option<i64>,
    places: [Place; RING_LEN],
}

/// A packet that left: its time in units of 1,024 ns, modulo 2^32, its length, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Place {
    sent_1024ns: u32,
    bytes: u16,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing was said of it yet.
    Unknown,
    Lost,
    Arrived,
}

impl Departures {
    pub(crate) fn new() -> Box<Self> {
        let empty = Place { sent_1024ns: 0, bytes: 0, fate: Fate::Unknown };
        Box::new(Self { next: FIRST, bytes: 0, clock_250us: None, places: [empty; RING_LEN] })
    }

    /// Bytes that have left so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Has the place of the next packet fetched.
    #[inline]
    pub(crate) fn expect<E: Egress>(&self, egress: &E) {
        egress.expect(&self.places[place(self.next)]);
    }

    /// Writes the number of the packet that is about to leave, if its viewer reports on its transport and its form has room.
    #[inline]
    pub(crate) fn number(departures: Option<&Self>, form: &Form, header: &mut [u8]) {
        if let Some(departures) = departures.filter(|_| form.is_numbered()) {
            form.number(header, departures.next as u16);
        }
    }

    /// The packet that was numbered last has left.
    #[inline]
    pub(crate) fn note(&mut self, now: Instant, len: usize) {
        self.places[place(self.next)] = Place { sent_1024ns: units(now), bytes: len as u16, fate: Fate::Unknown };
        self.bytes += len as u64;
        self.next += 1;
    }

    /// Joins a feedback with what left; `take` gets what is news, in the order of the numbers, and not more than
    /// [`ARRIVED_LEN`] at once. Feedback on packets that never left is refused whole; one by a clock that cannot be, from
    /// there on.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        feedback: &TransportFeedback<'_>,
        mut take: impl FnMut(&[Arrived]),
    ) -> Result<(), Discard> {
        let base = rtp::extend_sequence(self.next - 1, feedback.base_sequence);
        if base + u64::from(feedback.status_count) > self.next {
            return Err(Discard::FeedbackImplausible);
        }
        let reference = self.reference(feedback.reference_time_64ms);
        self.clock_250us = Some(reference);
        let mut joining =
            Joining { now, number: base, at: reference, path: None, is_sound: true, news: ArrayVec::new() };
        // Those that were forgotten, or never were, are places of others.
        let known = FIRST.max(self.next.saturating_sub(RING_LEN as u64))..self.next;
        feedback.statuses().for_each(|(_, step)| {
            let place = known.contains(&joining.number).then(|| &mut self.places[place(joining.number)]);
            joining.join(place, step);
            if joining.news.is_full() {
                take(&joining.news);
                joining.news.clear();
            }
        });
        take(&joining.news);
        if joining.is_sound { Ok(()) } else { Err(Discard::FeedbackImplausible) }
    }

    /// The reference time on the viewer's clock, extended: 24 bits of 64 ms wrap where 32 bits of 250 us do.
    fn reference(&self, reference_64ms: i32) -> i64 {
        let reference = reference_64ms << 8;
        let before = self.clock_250us.unwrap_or(reference.into());
        before + i64::from(reference.wrapping_sub(before as i32))
    }
}

impl Place {
    /// What a status tells of a packet that was not known.
    #[inline]
    fn learn(&mut self, now: Instant, arrival_250us: Option<i64>) -> Option<Arrived> {
        let fate = if arrival_250us.is_some() { Fate::Arrived } else { Fate::Lost };
        if self.fate == fate || self.fate == Fate::Arrived {
            return None;
        }
        let was_lost = std::mem::replace(&mut self.fate, fate) == Fate::Lost;
        Some(Arrived { sent: sent(now, self.sent_1024ns), bytes: self.bytes, arrival_250us, was_lost })
    }
}

/// A feedback on its way through the ring.
struct Joining {
    now: Instant,
    /// The packet that is told of next.
    number: u64,
    /// When the last one arrived.
    at: i64,
    /// How long the first packet that arrived took, by two clocks.
    path: Option<i64>,
    /// Whether all others took about as long; one that did not ends it.
    is_sound: bool,
    news: ArrayVec<Arrived, ARRIVED_LEN>,
}

impl Joining {
    /// Takes the next status; `place` is that of its packet, and `step` the time since the arrival before.
    #[inline]
    fn join(&mut self, place: Option<&mut Place>, step: Option<i16>) {
        self.number += 1;
        self.at += i64::from(step.unwrap_or(0));
        let Some(place) = place.filter(|_| self.is_sound) else { return };
        let Some(one) = place.learn(self.now, step.map(|_| self.at)) else { return };
        self.is_sound = self.is_near(&one);
        if self.is_sound {
            self.news.push(one);
        }
    }

    #[inline]
    fn is_near(&mut self, one: &Arrived) -> bool {
        let Some(arrival) = one.arrival_250us else { return true };
        let held_ns = arrival.wrapping_mul(250_000).wrapping_sub(one.sent.nanos().cast_signed());
        let first = *self.path.get_or_insert(held_ns);
        first.abs_diff(held_ns) <= VARIATION_MAX_NS
    }
}

const fn place(number: u64) -> usize {
    (number % RING_LEN as u64) as usize
}

/// A shift where microseconds would take a division, for each packet.
const fn units(at: Instant) -> u32 {
    (at.nanos() >> 10) as u32
}

/// When a packet left, less than an hour ago.
fn sent(now: Instant, sent_1024ns: u32) -> Instant {
    Instant::from_nanos(now.nanos().saturating_sub(u64::from(units(now).wrapping_sub(sent_1024ns)) << 10))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidewire_core::rtcp::{FEEDBACK_LEN_MAX, Packet, Telling, Writer, packets};

    use super::*;

    /// Packets of 1,000 bytes and a few, one a millisecond from the first on.
    fn departed(count: u64) -> Departures {
        let mut departures = *Departures::new();
        for at in 0..count {
            departures.note(Instant::from_millis(1_000 + at), 1_000 + at as usize % 7);
        }
        departures
    }

    /// Says this of the packets from `base` on; returns what was news, or why it was refused.
    fn hear(departures: &mut Departures, base: u16, arrivals: &[Option<u32>]) -> Result<Vec<Arrived>, Discard> {
        let mut bytes = [0; FEEDBACK_LEN_MAX];
        let mut writer = Writer::new(&mut bytes);
        let telling = Telling { sender: 1, media: 2, number: 0, base_sequence: base, arrivals_250us: arrivals };
        assert_eq!(writer.transport_feedback(&telling), arrivals.len());
        let len = writer.len();
        let Some(Packet::TransportWide(feedback)) = packets(&bytes[..len]).unwrap().next() else { panic!() };
        let mut news = Vec::new();
        departures.hear(Instant::from_millis(2_000), &feedback, |some| news.extend_from_slice(some))?;
        Ok(news)
    }

    #[test]
    fn feedback_is_joined_with_what_left_and_what_is_said_twice_is_no_news() {
        let mut departures = departed(4);
        let first = hear(&mut departures, 0, &[Some(400), None, Some(408)]).unwrap();
        let told: Vec<_> =
            first.iter().map(|one| ((one.sent.nanos() + 1_024) / 1_000_000, one.bytes, one.arrival_250us)).collect();
        assert_eq!(told, [(1_000, 1_000, Some(400)), (1_001, 1_001, None), (1_002, 1_002, Some(408))]);
        assert_eq!(hear(&mut departures, 0, &[Some(400), None, Some(408)]), Ok(Vec::new()));
        let late = hear(&mut departures, 1, &[Some(420), None]).unwrap();
        assert_eq!((late.len(), late[0].was_lost), (1, true), "an arrival is not taken back");
    }

    #[test]
    fn feedback_on_packets_that_never_left_is_refused_whole() {
        let mut departures = departed(3);
        for (base, count) in [(0, 4), (3, 1), (2, 2), (30_000, 5), (32_767, 400)] {
            let arrivals = vec![Some(400); count];
            assert_eq!(hear(&mut departures, base, &arrivals), Err(Discard::FeedbackImplausible), "{base} {count}");
        }
        assert_eq!(hear(&mut departures, 65_535, &[None, Some(400)]).unwrap().len(), 1, "none left before the first");
        assert_eq!(hear(&mut Departures::new(), 0, &[Some(1)]), Err(Discard::FeedbackImplausible));
    }

    #[test]
    fn a_clock_that_cannot_be_is_not_believed_and_one_of_another_origin_is() {
        let mut departures = departed(3);
        assert_eq!(hear(&mut departed(3), 0, &[Some(40_000), Some(10_000)]), Err(Discard::FeedbackImplausible));
        let origin = u32::MAX - 3;
        let news = hear(&mut departures, 0, &[Some(origin), Some(origin.wrapping_add(8))]).unwrap();
        let [before, after] = [0, 1].map(|at: usize| news[at].arrival_250us.unwrap());
        assert_eq!(after - before, 8, "across the wrap of the clock");
    }

    #[test]
    fn what_was_forgotten_is_no_news() {
        let mut departures = departed(1_000);
        assert_eq!(hear(&mut departures, 400, &[Some(0); 200]).unwrap().len(), 112);
    }

    proptest! {
        #[test]
        fn no_packet_is_news_more_often_than_once_as_lost_and_once_as_arrived(
            said in prop::collection::vec((0u16..80, prop::collection::vec(prop::option::of(0u32..1_000), 1..70)), 0..20),
        ) {
            let mut departures = departed(100);
            let mut news = std::collections::BTreeMap::new();
            for (base, arrivals) in said.iter().filter(|(_, arrivals)| arrivals.iter().any(Option::is_some)) {
                for one in hear(&mut departures, *base, arrivals).unwrap_or_default() {
                    let count = news.entry((one.sent, one.arrival_250us.is_some())).or_insert(0);
                    *count += 1;
                    prop_assert_eq!(*count, 1);
                }
            }
        }
    }
}
