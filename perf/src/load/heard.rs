//! What a viewer has heard of one stream: which packets, and from where on the account runs.
//!
//! An index is a packet's place in its stream. It is read from a packet's stamp, or follows from the sequence number and an
//! anchor: one packet of which both are known.

use std::time::Instant;

use super::filter::Sampling;
use super::seen::Seen;
use super::tally::Tally;
use crate::client::rtcp::Reception;

pub(super) struct Heard {
    /// The publisher's SSRC, which its stamps carry.
    pub(super) stream: u32,
    pub(super) is_video: bool,
    /// Packets of the publisher that feedback has spoken of.
    pub(super) reported: usize,
    anchor: Option<Anchor>,
    seen: Seen,
    /// The first index that counts; `None` for a viewer who came later, until it hears something.
    from: Option<u64>,
    /// From here on only samples are read.
    sampled_from: Option<u64>,
    /// Packets that may go by without being opened.
    countdown: u32,
    last_report: Option<(u32, Instant)>,
}

/// One packet of which both index and sequence number are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    ssrc: u32,
    /// The sequence number of index 0, had it been sent to this viewer.
    zero: u16,
    highest: u64,
}

impl Heard {
    pub(super) fn of(stream: u32, is_video: bool) -> Self {
        Self {
            stream,
            is_video,
            reported: 0,
            anchor: None,
            seen: Seen::default(),
            from: None,
            sampled_from: None,
            countdown: 0,
            last_report: None,
        }
    }

    /// Whether the server sends this stream under this SSRC.
    pub(super) fn carries(&self, ssrc: u32) -> bool {
        self.ssrc() == Some(ssrc)
    }

    pub(super) fn ssrc(&self) -> Option<u32> {
        self.anchor.map(|anchor| anchor.ssrc)
    }

    /// Whether a packet has been opened, so that all others have an index.
    pub(super) fn is_known(&self) -> bool {
        self.anchor.is_some()
    }

    pub(super) fn index(&self, sequence: u16) -> Option<u64> {
        self.anchor.map(|anchor| anchor.index(sequence))
    }

    /// Whether the next packet may go unopened; counts it if so.
    pub(super) fn may_skip(&mut self) -> bool {
        let may = self.countdown > 0;
        self.countdown = self.countdown.saturating_sub(1);
        may
    }

    /// Holds an opened packet against what was believed; the next `skip` packets need not be opened.
    pub(super) fn confirm(&mut self, opened: Anchor, skip: u32) -> bool {
        self.countdown = skip;
        let known = *self.anchor.get_or_insert(opened);
        let is_confirmed = known.zero == opened.zero && known.ssrc == opened.ssrc;
        if !is_confirmed {
            self.anchor = Some(opened);
        }
        is_confirmed
    }

    /// Whether the packet is new.
    pub(super) fn hear(&mut self, index: u64) -> bool {
        if let Some(anchor) = &mut self.anchor {
            anchor.highest = anchor.highest.max(index);
        }
        self.from.get_or_insert(index);
        self.seen.insert(index)
    }

    /// The queue is empty and the filter is in place: what comes from here on are samples.
    pub(super) fn begin_to_sample(&mut self) {
        if let Some(anchor) = self.anchor {
            self.sampled_from.get_or_insert(anchor.highest + 1);
        }
    }

    pub(super) fn open_account(&mut self, sent: u64) {
        self.from = Some(sent);
        self.sampled_from = self.sampled_from.map(|_| sent);
        self.seen.duplicates = 0;
    }

    /// Drops are not known here.
    pub(super) fn tally(&self, sent: u64, sampling: Option<Sampling>) -> Tally {
        let Some(from) = self.from else {
            return Tally::default();
        };
        let missing = |(sampling, sampled_from, anchor): (Sampling, u64, Anchor)| {
            let kept = |index: &u64| sampling.keeps(anchor.zero.wrapping_add(*index as u16));
            (sampled_from.max(from)..sent).filter(kept).filter(|index| !self.seen.has(*index)).count() as u64
        };
        let sampled = sampling.zip(self.sampled_from).zip(self.anchor);
        Tally {
            expected: sent.saturating_sub(from),
            read: self.seen.count(from..sent),
            sampled_missing: sampled.map_or(0, |((sampling, from), anchor)| missing((sampling, from, anchor))),
            ..Tally::default()
        }
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.seen.duplicates
    }

    pub(super) fn note_report(&mut self, ntp_middle: u32, now: Instant) {
        self.last_report = Some((ntp_middle, now));
    }

    /// The block of a receiver report; without anything heard there is none.
    pub(super) fn reception(&self, now: Instant) -> Option<Reception> {
        let anchor = self.anchor?;
        let highest = u32::from(anchor.zero).wrapping_add(anchor.highest as u32);
        let since = |at: Instant| (now.saturating_duration_since(at).as_secs_f64() * 65_536.0) as u32;
        let (last_report, since_report) = self.last_report.map_or((0, 0), |(ntp, at)| (ntp, since(at)));
        Some(Reception { ssrc: anchor.ssrc, lost: 0, highest, last_report, since_report })
    }
}

impl Anchor {
    pub(super) fn new(ssrc: u32, sequence: u16, index: u64) -> Self {
        Self { ssrc, zero: sequence.wrapping_sub(index as u16), highest: index }
    }

    /// The index nearest to the highest one that has this sequence number.
    fn index(&self, sequence: u16) -> u64 {
        let low = sequence.wrapping_sub(self.zero);
        let step = low.wrapping_sub(self.highest as u16) as i16;
        self.highest.saturating_add_signed(i64::from(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_follows_its_sequence_number_across_the_wrap() {
        let anchor = Anchor { ssrc: 1, zero: 65_000, highest: 530 };
        assert_eq!(anchor.index(65_000_u16.wrapping_add(531)), 531);
        assert_eq!(anchor.index(65_000_u16.wrapping_add(700)), 700);
        assert_eq!(anchor.index(65_500), 500);
        let later = Anchor { ssrc: 1, zero: 65_000, highest: 70_000 };
        assert_eq!(later.index(65_000_u16.wrapping_add(70_002_u32 as u16)), 70_002);
    }

    /// A stream of which this viewer opened the packet of index 10, under sequence number 110.
    fn heard(indices: impl IntoIterator<Item = u64>) -> Heard {
        let mut heard = Heard::of(7, true);
        assert!(heard.confirm(Anchor::new(1, 110, 10), 64));
        indices.into_iter().for_each(|index| assert!(heard.hear(index)));
        heard
    }

    #[test]
    fn one_who_came_later_counts_from_its_first_packet() {
        let heard = heard((10..20).filter(|index| *index != 15));
        let tally = heard.tally(25, None);
        assert_eq!((tally.expected, tally.read), (15, 9));
        assert_eq!(Heard::of(7, true).tally(25, None), Tally::default());
    }

    #[test]
    fn one_who_was_there_counts_from_the_opening_of_the_account() {
        let mut heard = heard(10..20);
        heard.open_account(20);
        (20..30).for_each(|index| assert!(heard.hear(index)));
        let tally = heard.tally(35, None);
        assert_eq!((tally.expected, tally.read), (15, 10));
    }

    #[test]
    fn missing_samples_are_those_that_the_filter_would_have_kept() {
        // Sequence number 128 is index 28, 192 is index 92; both have residue 0.
        let mut heard = heard([10, 28]);
        heard.begin_to_sample();
        let sampling = Sampling::of_viewer(0);
        assert_eq!(heard.tally(92, Some(sampling)).sampled_missing, 0);
        assert_eq!(heard.tally(93, Some(sampling)).sampled_missing, 1);
        assert!(heard.hear(92));
        assert_eq!(heard.tally(150, Some(sampling)).sampled_missing, 0);
    }

    #[test]
    fn an_opened_packet_that_contradicts_is_noticed() {
        let mut heard = heard([10]);
        assert!(heard.confirm(Anchor::new(1, 111, 11), 64));
        assert!(!heard.confirm(Anchor::new(1, 113, 12), 64));
    }
}
