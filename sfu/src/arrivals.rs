//! When the packets of one publisher arrived, as it is told by transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01): from that its congestion control takes what the path carries.
//!
//! In goes every authenticated packet of the connection with the time at which the kernel took it in, whatever becomes of it
//! later: media, retransmission or padding. Out comes feedback, when the deadline has come that `note` gives. Invariant: a
//! packet is told of with the arrival of its first copy; one that comes late is told of once more, with those after it.
//! Owns a window over the last [`WINDOW`] numbers; draws no conclusions.

use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::negotiate::{Extension, Media};
use tidewire_core::rtcp::{STATUSES_MAX, Telling, Writer};
use tidewire_core::rtp::{self, Header};
use tidewire_core::time::Instant;

use crate::timers::Armed;

/// Numbers that are remembered: what has not been told of by then is not told of any more. 100 ms of 90 Mb/s.
const WINDOW: u64 = 1024;

/// So many packets that wait are told of at once: 50 ms of 25 Mb/s, or a key frame in one burst.
const WAITING_MAX: u16 = 128;

/// Between two feedbacks. libwebrtc's own receiver takes 50 to 250 ms; a sender that gets it seldom finds its rate slowly.
const INTERVAL: Duration = Duration::from_millis(100);
const INTERVAL_BUSY: Duration = Duration::from_millis(50);

/// A feedback that told of so many is followed by the next sooner: it costs less than 3 % of what it tells of.
const BUSY: usize = 20;

/// How far behind what was told a late packet may be and still be told of: the reordering of a path, not an old copy.
const LATE_MAX: u64 = 128;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// The id under which packets carry their number.
    id: u8,
    /// The SSRC under which this server sends feedback.
    sender: u32,
    /// Of the packet noted last.
    media: u32,
    /// Counts feedback packets.
    number: u8,
    waiting: u16,
    interval: Duration,
    due: Option<Instant>,
    pub(crate) armed: Armed,
    highest: Option<u64>,
    /// The first number that was not told of.
    next: u64,
    window: Box<Window>,
}

/// Bytes of a publisher's window.
pub(crate) const WINDOW_LEN: usize = size_of::<Window>();

#[derive(Debug)]
struct Window {
    arrived: [u64; WINDOW as usize / 64],
    /// In units of 250 us, modulo 2^32; means something where the packet has arrived.
    at_250us: [u32; WINDOW as usize],
}

impl Arrivals {
    /// For a publisher with whom feedback on the transport was agreed; all its sections then number packets alike.
    pub(crate) fn agreed(media: &[Media], sender: u32) -> Option<Self> {
        let told = |media: &&Media| media.formats.iter().any(|format| format.feedback.transport_cc);
        let id = media.iter().filter(told).find_map(|media| media.extensions.id(Extension::TransportSequence))?;
        Some(Self {
            id,
            sender,
            media: 0,
            number: 0,
            waiting: 0,
            interval: INTERVAL,
            due: None,
            armed: None,
            highest: None,
            next: 0,
            window: Box::new(Window { arrived: [0; WINDOW as usize / 64], at_250us: [0; WINDOW as usize] }),
        })
    }

    /// Notes a packet, if it has a number; says when feedback is due.
    pub(crate) fn note(&mut self, arrival: Instant, header: &Header, packet: &[u8]) -> Option<Instant> {
        let mut numbers = header.extensions(packet).filter(|(id, _)| *id == self.id);
        if let Some(number) = numbers.next().and_then(|(_, data)| data.first_chunk()) {
            self.media = header.ssrc;
            self.mark(arrival, u16::from_be_bytes(*number));
        }
        self.due
    }

    pub(crate) const fn sender(&self) -> u32 {
        self.sender
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Writes one feedback. What one cannot hold is due at once.
    pub(crate) fn tell(&mut self, now: Instant, writer: &mut Writer<'_>) {
        let Some(highest) = self.highest else { return };
        let numbers = self.next..=highest;
        let arrivals: ArrayVec<_, STATUSES_MAX> =
            numbers.take(STATUSES_MAX).map(|number| self.window.of(number)).collect();
        let told = writer.transport_feedback(&Telling {
            sender: self.sender,
            media: self.media,
            number: self.number,
            base_sequence: self.next as u16,
            arrivals_250us: &arrivals,
        });
        self.number = self.number.wrapping_add(u8::from(told > 0));
        // A stretch in which nothing arrived is passed over: its sender hears of it by what comes after.
        self.next += if told == 0 { arrivals.len() } else { told } as u64;
        self.interval = if told >= BUSY { INTERVAL_BUSY } else { INTERVAL };
        self.waiting = 0;
        self.due = (self.next <= highest).then_some(now);
    }

    fn mark(&mut self, arrival: Instant, number: u16) {
        let highest = *self.highest.get_or_insert_with(|| {
            self.next = FIRST + u64::from(number);
            self.next - 1
        });
        let number = rtp::extend_sequence(highest, number);
        if number > highest {
            self.advance(highest, number);
        } else if !self.reaches_back(highest, number) {
            return;
        }
        self.window.mark(number, arrival);
        self.waiting += 1;
        let at = if self.waiting < WAITING_MAX { arrival + self.interval } else { arrival };
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Makes room for everything up to `number`.
    fn advance(&mut self, highest: u64, number: u64) {
        let oldest = number.saturating_sub(WINDOW - 1);
        for absent in (highest + 1).max(oldest)..number {
            self.window.clear(absent);
        }
        self.highest = Some(number);
        self.next = self.next.max(oldest);
    }

    /// Whether a packet behind the highest is news that can still be told; if so it will be.
    fn reaches_back(&mut self, highest: u64, number: u64) -> bool {
        if highest - number >= WINDOW || self.next.saturating_sub(number) > LATE_MAX || self.window.has(number) {
            return false;
        }
        if number < self.next {
            // Places before the first packet of all were never cleared, and so are empty.
            self.next = number;
        }
        true
    }
}

/// Numbers are counted from here, so that those before the first have room.
const FIRST: u64 = 1 << 16;

impl Window {
    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.arrived[word] & bit != 0
    }

    fn of(&self, number: u64) -> Option<u32> {
        self.has(number).then(|| self.at_250us[(number % WINDOW) as usize])
    }

    fn mark(&mut self, number: u64, arrival: Instant) {
        let (word, bit) = place(number);
        self.arrived[word] |= bit;
        self.at_250us[(number % WINDOW) as usize] = (arrival.nanos() / 250_000) as u32;
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.arrived[word] &= !bit;
    }
}

const fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use tidewire_core::rtcp::{FEEDBACK_LEN_MAX, Packet, packets};

    use super::*;

    fn arrivals() -> Arrivals {
        let mut media = media();
        media.formats[0].feedback.transport_cc = true;
        Arrivals::agreed(&[media], 7).unwrap()
    }

    fn media() -> Media {
        use tidewire_core::codec::{Codec, Kind};
        use tidewire_core::negotiate::{Extensions, Feedback, Format, Spec};
        let mut extensions = Extensions::default();
        extensions.bind(Extension::TransportSequence, 3);
        let spec = Spec { codec: Codec::Vp8, clock_rate: 90_000, channels: 1, parameters: String::new() };
        let format = Format { payload_type: 96, spec, rtx: None, feedback: Feedback::default() };
        let mid = tidewire_core::id::Mid::new();
        Media { mid, kind: Kind::Video, formats: vec![format], extensions, sources: Vec::new(), rids: Vec::new() }
    }

    /// A packet of SSRC 5 with this number arrives; returns when feedback is due, in milliseconds.
    fn note(arrivals: &mut Arrivals, at_ms: u64, number: u16) -> Option<u64> {
        let [high, low] = number.to_be_bytes();
        let packet = [0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0xbe, 0xde, 0, 1, 0x31, high, low, 0];
        let due = arrivals.note(Instant::from_millis(at_ms), &Header::parse(&packet).unwrap(), &packet);
        due.map(|due| due.nanos() / 1_000_000)
    }

    /// The next feedback: its number, and its statuses with arrivals in milliseconds since the reference time.
    fn told(arrivals: &mut Arrivals, now_ms: u64) -> (u8, Vec<(u16, Option<u64>)>) {
        let mut bytes = [0; FEEDBACK_LEN_MAX];
        let mut writer = Writer::new(&mut bytes);
        arrivals.tell(Instant::from_millis(now_ms), &mut writer);
        let len = writer.len();
        let Some(Packet::TransportWide(feedback)) = packets(&bytes[..len]).unwrap().next() else { panic!() };
        let mut at = feedback.reference_time_64ms * 256;
        let mut arrival = |step: i16| {
            at += i32::from(step);
            (at / 4) as u64
        };
        (feedback.number, feedback.statuses().map(|(number, step)| (number, step.map(&mut arrival))).collect())
    }

    #[test]
    fn what_came_and_what_did_not_is_told_across_the_wrap_and_never_twice() {
        let mut arrivals = arrivals();
        assert_eq!(note(&mut arrivals, 1_000, 65_534), Some(1_100));
        assert_eq!(note(&mut arrivals, 1_010, 65_535), Some(1_100), "the deadline is the first packet's");
        note(&mut arrivals, 1_020, 1);
        assert!(!arrivals.is_due(Instant::from_millis(1_099)) && arrivals.is_due(Instant::from_millis(1_100)));
        let expected = vec![(65_534, Some(1_000)), (65_535, Some(1_010)), (0, None), (1, Some(1_020))];
        assert_eq!(told(&mut arrivals, 1_100), (0, expected));
        assert_eq!(arrivals.due(), None);
        note(&mut arrivals, 1_200, 2);
        assert_eq!(told(&mut arrivals, 1_300), (1, vec![(2, Some(1_200))]));
    }

    #[test]
    fn one_that_comes_late_is_told_with_those_after_it_and_a_copy_is_not() {
        let mut arrivals = arrivals();
        for number in [10, 11, 13] {
            note(&mut arrivals, 64, number);
        }
        told(&mut arrivals, 164);
        assert_eq!(note(&mut arrivals, 200, 13), None, "a copy");
        note(&mut arrivals, 201, 12);
        assert_eq!(told(&mut arrivals, 301).1, [(12, Some(201)), (13, Some(64))]);
        note(&mut arrivals, 302, 9);
        assert_eq!(told(&mut arrivals, 402).1[0], (9, Some(302)), "the first of all was overtaken");
    }

    #[test]
    fn many_that_wait_are_told_of_at_once_and_many_that_were_told_of_sooner_the_next_time() {
        let mut arrivals = arrivals();
        assert_eq!((0..127).map(|number| note(&mut arrivals, 50, number)).last(), Some(Some(150)));
        assert_eq!(note(&mut arrivals, 60, 127), Some(60));
        assert_eq!(told(&mut arrivals, 60).1.len(), 128);
        assert_eq!(note(&mut arrivals, 70, 128), Some(120));
    }

    #[test]
    fn a_jump_tells_of_a_window_at_most_and_the_rest_of_a_long_one_at_once() {
        let mut arrivals = arrivals();
        note(&mut arrivals, 0, 0);
        note(&mut arrivals, 1, 30_000);
        note(&mut arrivals, 2, 30_000 - 1_000);
        let mut all = Vec::new();
        let mut bytes = [0; FEEDBACK_LEN_MAX];
        while arrivals.is_due(Instant::from_millis(101)) || all.is_empty() {
            let mut writer = Writer::new(&mut bytes);
            arrivals.tell(Instant::from_millis(101), &mut writer);
            all.push(writer.len());
        }
        assert!(all.len() <= 3 && arrivals.due().is_none(), "{all:?}");
    }

    #[test]
    fn without_an_agreement_or_a_number_nothing_is_due() {
        assert!(Arrivals::agreed(&[media()], 7).is_none());
        let mut arrivals = arrivals();
        let packet = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5];
        assert_eq!(arrivals.note(Instant::ORIGIN, &Header::parse(&packet).unwrap(), &packet), None);
    }
}
