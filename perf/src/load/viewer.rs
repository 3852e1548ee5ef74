//! A viewer of a load run: counts every packet by the sequence number that SRTP leaves readable, decrypts few.
//!
//! The server maps a viewer's sequence numbers by a constant offset as long as nothing is dropped. So a viewer decrypts one
//! packet in so many, learns from its stamp which index belongs to which sequence number, and knows the index of all others
//! without opening them. A witness opens all. Invariant: an index is only believed while every opened packet confirms it.

use std::time::Instant;

use anyhow::Result;

use crate::client::pattern;
use crate::client::rtcp::{self, Reception};
use crate::client::rtp::Packet;
use crate::client::{Arrival, Call};

/// How many of the packets a viewer decrypts and checks byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    /// Every packet.
    Witness,
    /// One in [`SAMPLE`].
    Counter,
}

pub(super) struct Viewer {
    pub(super) call: Call,
    attention: Attention,
    anchor: Option<Anchor>,
    seen: Seen,
    opened: u64,
    countdown: u32,
    pub(super) faults: Faults,
    next_report: Instant,
}

/// What no packet should ever show.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) corrupt: u64,
    pub(super) misplaced: u64,
    pub(super) garbage: u64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    /// The sequence number of index 0, had it been sent to this viewer.
    zero: u16,
    highest: u64,
}

impl Viewer {
    pub(super) fn new(call: Call, attention: Attention, first_report: Instant) -> Self {
        Self {
            call,
            attention,
            anchor: None,
            seen: Seen::default(),
            opened: 0,
            countdown: 0,
            faults: Faults::default(),
            next_report: first_report,
        }
    }

    /// Takes a datagram; for an RTP packet that is new, returns its index.
    pub(super) fn accept(&mut self, now: Instant, datagram: &[u8]) -> Option<u64> {
        let Some(header) = plain_header(datagram) else {
            if let Arrival::Garbage = self.call.handle(now, datagram) {
                self.faults.garbage += 1;
            }
            return None;
        };
        let index = match self.anchor {
            Some(anchor) if self.countdown > 0 && header.ssrc == anchor.ssrc => {
                self.countdown -= 1;
                anchor.index(header.sequence)
            }
            _ => self.open(now, datagram, header)?,
        };
        if let Some(anchor) = &mut self.anchor {
            anchor.highest = anchor.highest.max(index);
        }
        self.seen.insert(index).then_some(index)
    }

    /// Consent and receiver reports.
    pub(super) fn tick(&mut self, now: Instant) -> Result<()> {
        self.call.tick(now)?;
        if let Some(anchor) = self.anchor
            && now >= self.next_report
        {
            self.next_report = now + REPORT_INTERVAL;
            let highest = u32::from(anchor.zero).wrapping_add(anchor.highest as u32);
            let reception = Reception { ssrc: anchor.ssrc, lost: 0, highest };
            let report = rtcp::write_receiver_report(1, &[reception], &self.call.cname);
            self.call.send_rtcp(&report)?;
        }
        Ok(())
    }

    /// Distinct packets with an index in the range.
    pub(super) fn received(&self, range: std::ops::Range<u64>) -> u64 {
        self.seen.count(range)
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.seen.duplicates
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// Decrypts, checks every byte, and holds the packet's index against its sequence number.
    fn open(&mut self, now: Instant, datagram: &[u8], header: PlainHeader) -> Option<u64> {
        let Arrival::Rtp(bytes) = self.call.handle(now, datagram) else {
            self.faults.garbage += 1;
            return None;
        };
        let Ok(stamp) =
            Packet::parse(&bytes).ok_or(()).and_then(|packet| pattern::verify(packet.payload()).map_err(|_| ()))
        else {
            self.faults.corrupt += 1;
            return None;
        };
        self.opened += 1;
        self.countdown = match self.attention {
            Attention::Witness => 0,
            Attention::Counter => SAMPLE,
        };
        let zero = header.sequence.wrapping_sub(stamp.index as u16);
        let anchor = self.anchor.get_or_insert(Anchor { ssrc: header.ssrc, zero, highest: stamp.index });
        if anchor.zero != zero || anchor.ssrc != header.ssrc {
            self.faults.misplaced += 1;
            *anchor = Anchor { ssrc: header.ssrc, zero, highest: stamp.index };
        }
        Some(stamp.index)
    }
}

impl Anchor {
    /// The index nearest to the highest one that has this sequence number.
    fn index(&self, sequence: u16) -> u64 {
        let low = sequence.wrapping_sub(self.zero);
        let step = low.wrapping_sub(self.highest as u16) as i16;
        self.highest.saturating_add_signed(i64::from(step))
    }
}

#[derive(Clone, Copy, Debug)]
struct PlainHeader {
    sequence: u16,
    ssrc: u32,
}

/// The readable part of an SRTP packet; `None` for anything else.
fn plain_header(datagram: &[u8]) -> Option<PlainHeader> {
    match datagram {
        [128..=191, 192..=223, ..] => None,
        [128..=191, _, s1, s0, _, _, _, _, c3, c2, c1, c0, ..] => Some(PlainHeader {
            sequence: u16::from_be_bytes([*s1, *s0]),
            ssrc: u32::from_be_bytes([*c3, *c2, *c1, *c0]),
        }),
        _ => None,
    }
}

/// Which indices have arrived: a bit each.
#[derive(Clone, Debug, Default)]
struct Seen {
    words: Vec<u64>,
    duplicates: u64,
}

impl Seen {
    /// Whether it is new. An index beyond the bound of a run counts as a duplicate, since no such packet was sent.
    fn insert(&mut self, index: u64) -> bool {
        if index >= INDEX_MAX {
            self.duplicates += 1;
            return false;
        }
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.duplicates += u64::from(!is_new);
        is_new
    }

    fn count(&self, range: std::ops::Range<u64>) -> u64 {
        let has = |index: &u64| self.words.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1);
        range.filter(has).count() as u64
    }
}

/// A counter opens one packet in this many.
const SAMPLE: u32 = 64;

const REPORT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// Packets of one run: hours at any rate that one publisher sends.
const INDEX_MAX: u64 = 1 << 26;

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

    #[test]
    fn what_is_seen_twice_counts_once() {
        let mut seen = Seen::default();
        assert!(seen.insert(5) && seen.insert(200) && !seen.insert(5) && !seen.insert(INDEX_MAX));
        assert_eq!((seen.count(0..300), seen.count(6..300), seen.duplicates), (2, 1, 2));
    }

    #[test]
    fn only_rtp_has_a_plain_header() {
        assert!(
            plain_header(&[0x80, 96, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9]).is_some_and(|h| h.sequence == 258 && h.ssrc == 9)
        );
        assert!(plain_header(&[0x80, 200, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9]).is_none());
        assert!(plain_header(&[22, 1, 2]).is_none() && plain_header(&[]).is_none());
    }
}
