//! Extended reports (RFC 3611), as far as they tell whoever only receives how long the way to a sender and back is.
//!
//! The receiver says its own time (4.4), the sender says how long it has held the last time that it heard (4.5); what has
//! passed since, less that, is the round trip. Browsers answer without having agreed to it, and Chromium asks where it was
//! offered. Other blocks are passed over, and so is what is said a second time in one report.

use super::{Packet, Writer, word, write_words};
use crate::time::Ntp;

pub(super) const EXTENDED_REPORT: u8 = 207;

/// Block types (RFC 3611 4.4, 4.5).
const REFERENCE_TIME: u8 = 4;
const HELD: u8 = 5;

/// How long a sender has held somebody's reference time (RFC 3611 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose reference time.
    pub ssrc: u32,
    /// Middle of the reference time; zero if none was heard.
    pub reference: u32,
    /// In 1/65536 s.
    pub delay: u32,
}

impl Held {
    /// The round trip in 1/65536 s at the time `now`, of the clock that the reference time was taken from; nothing if there is
    /// none, or none below ten seconds.
    pub fn round_trip(&self, now: Ntp) -> Option<u32> {
        let passed = now.middle().wrapping_sub(self.reference);
        let round_trip = passed.checked_sub(self.delay)?;
        (self.reference != 0 && round_trip < 10 << 16).then_some(round_trip)
    }
}

/// Iterates over the answers of an extended report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers<'a>(&'a [u8]);

impl Iterator for Answers<'_> {
    type Item = Held;

    fn next(&mut self) -> Option<Held> {
        let (block, rest) = self.0.split_first_chunk::<12>()?;
        self.0 = rest;
        Some(Held { ssrc: word(block, 0)?, reference: word(block, 4)?, delay: word(block, 8)? })
    }
}

/// What a report says of times; none when it says nothing of them.
pub(super) fn read(packet: &[u8]) -> Option<Packet<'_>> {
    let body_of = |wanted: u8| blocks(packet).find(|(block_type, _)| *block_type == wanted).map(|(_, body)| body);
    let time = |body: &[u8]| Some(Ntp(u64::from(word(body, 0)?) << 32 | u64::from(word(body, 4)?)));
    let (reference, held) = (body_of(REFERENCE_TIME).and_then(time), body_of(HELD));
    let answers = Answers(held.unwrap_or_default());
    (reference.is_some() || held.is_some()).then_some(Packet::Times { ssrc: word(packet, 4)?, reference, answers })
}

/// The types and bodies of the blocks behind the sender's SSRC, up to the first that is longer than its packet.
fn blocks(packet: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = packet.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&[block_type, _, high, low], after) = rest.split_first_chunk::<4>()?;
        let (body, after) = after.split_at_checked(4 * usize::from(u16::from_be_bytes([high, low])))?;
        rest = after;
        Some((block_type, body))
    })
}

impl Writer<'_> {
    /// Says this end's own time, so that senders answer how long they held it.
    pub fn reference_time(&mut self, ssrc: u32, now: Ntp) {
        let block_head = u32::from(REFERENCE_TIME) << 24 | 2;
        self.words(0, EXTENDED_REPORT, &[ssrc, block_head, (now.0 >> 32) as u32, now.0 as u32]);
    }

    /// Says how long reference times were held; nothing where there are none.
    pub fn held(&mut self, ssrc: u32, held: &[Held]) {
        if held.is_empty() {
            return;
        }
        let Some(out) = self.begin(0, EXTENDED_REPORT, 12 + 12 * held.len()) else { return };
        write_words(&mut out[4..12], &[ssrc, (u32::from(HELD) << 24) | (3 * held.len() as u32)]);
        for (block, one) in out[12..].chunks_exact_mut(12).zip(held) {
            write_words(block, &[one.ssrc, one.reference, one.delay]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, packets};
    use super::*;

    /// The reference time and the answers of a report.
    fn told(bytes: &[u8]) -> Option<(Option<Ntp>, Vec<Held>)> {
        match packets(bytes).unwrap().next()? {
            Packet::Times { reference, answers, .. } => Some((reference, answers.collect())),
            _ => None,
        }
    }

    #[test]
    fn a_reference_time_is_written_as_the_rfc_has_it_and_read_again() {
        let mut bytes = [0; 20];
        let mut writer = Writer::new(&mut bytes);
        writer.reference_time(7, Ntp(0x0102_0304_0506_0708));
        assert_eq!(bytes, [0x80, 207, 0, 4, 0, 0, 0, 7, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(told(&bytes), Some((Some(Ntp(0x0102_0304_0506_0708)), Vec::new())));
        bytes[11] = 1;
        assert_eq!(told(&bytes), None, "a block that is too short for a time");
    }

    #[test]
    fn answers_are_written_as_the_rfc_has_them_and_read_again() {
        let mut bytes = [0; 36];
        let mut writer = Writer::new(&mut bytes);
        let held = [Held { ssrc: 7, reference: 1 << 16, delay: 2 }, Held { ssrc: 8, reference: 3, delay: 4 }];
        writer.held(1, &[]);
        writer.held(1, &held);
        assert_eq!(bytes[..20], [0x80, 207, 0, 8, 0, 0, 0, 1, 5, 0, 0, 6, 0, 0, 0, 7, 0, 1, 0, 0]);
        assert_eq!(told(&bytes), Some((None, held.to_vec())));
    }

    #[test]
    fn a_report_may_tell_the_time_and_answer() {
        let mut bytes = vec![0x80, 207, 0, 8, 0, 0, 0, 1, 5, 0, 0, 3, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0x80, 0];
        bytes.extend([4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        let held = Held { ssrc: 7, reference: 1 << 16, delay: 1 << 15 };
        assert_eq!(told(&bytes), Some((Some(Ntp(1 << 32 | 2)), vec![held])));
    }

    #[test]
    fn answers_are_found_behind_other_blocks() {
        let mut bytes = vec![0x80, 207, 0, 8, 0, 0, 0, 1, 42, 0, 0, 1, 9, 9, 9, 9, 5, 0, 0, 3, 0, 0, 0, 7];
        bytes.extend([0, 1, 0, 0, 0, 0, 0x80, 0]);
        bytes.extend([42, 0, 0, 0]);
        let (_, held) = told(&bytes).unwrap();
        assert_eq!(held, [Held { ssrc: 7, reference: 1 << 16, delay: 1 << 15 }]);
        let now = Ntp((2 << 32) | (1 << 31));
        assert_eq!(held[0].round_trip(now), Some(1 << 16));
        bytes[19] = 9;
        assert_eq!(told(&bytes), None, "a block longer than its packet");
    }

    #[test]
    fn a_round_trip_that_cannot_be_is_none() {
        let held = |reference, delay| Held { ssrc: 7, reference, delay };
        let now = Ntp(20 << 32);
        for lie in [held(0, 0), held(20 << 16, 1), held(21 << 16, 0), held(5 << 16, 0), held(19 << 16, u32::MAX)] {
            assert_eq!(lie.round_trip(now), None, "{lie:?}");
        }
    }
}
