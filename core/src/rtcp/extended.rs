//! Extended reports (RFC 3611), as far as they tell whoever only receives how long the way to a sender and back is.
//!
//! The receiver says its own time (4.4), the sender says how long it has held the last time that it heard (4.5); what has
//! passed since, less that, is the round trip. Browsers answer without having agreed to it. Other blocks are passed over.

use super::{Writer, word};
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

/// The first block of answers behind the sender's SSRC.
pub(super) fn answers(packet: &[u8]) -> Option<Answers<'_>> {
    let mut rest = packet.get(8..)?;
    loop {
        let (&[block_type, _, high, low], after) = rest.split_first_chunk::<4>()?;
        let (body, after) = after.split_at_checked(4 * usize::from(u16::from_be_bytes([high, low])))?;
        if block_type == HELD {
            return Some(Answers(body));
        }
        rest = after;
    }
}

impl Writer<'_> {
    /// Says this end's own time, so that senders answer how long they held it.
    pub fn reference_time(&mut self, ssrc: u32, now: Ntp) {
        let block_head = u32::from(REFERENCE_TIME) << 24 | 2;
        self.words(0, EXTENDED_REPORT, &[ssrc, block_head, (now.0 >> 32) as u32, now.0 as u32]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, packets};
    use super::*;

    fn answered(bytes: &[u8]) -> Option<Vec<Held>> {
        match packets(bytes).unwrap().next()? {
            Packet::Answers { answers } => Some(answers.collect()),
            _ => None,
        }
    }

    #[test]
    fn a_reference_time_is_written_as_the_rfc_has_it() {
        let mut bytes = [0; 20];
        let mut writer = Writer::new(&mut bytes);
        writer.reference_time(7, Ntp(0x0102_0304_0506_0708));
        assert_eq!(bytes, [0x80, 207, 0, 4, 0, 0, 0, 7, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(answered(&bytes), None);
    }

    #[test]
    fn answers_are_found_behind_other_blocks() {
        let mut bytes = vec![0x80, 207, 0, 8, 0, 0, 0, 1, 42, 0, 0, 1, 9, 9, 9, 9, 5, 0, 0, 3, 0, 0, 0, 7];
        bytes.extend([0, 1, 0, 0, 0, 0, 0x80, 0]);
        bytes.extend([42, 0, 0, 0]);
        let held = answered(&bytes).unwrap();
        assert_eq!(held, [Held { ssrc: 7, reference: 1 << 16, delay: 1 << 15 }]);
        let now = Ntp((2 << 32) | (1 << 31));
        assert_eq!(held[0].round_trip(now), Some(1 << 16));
        bytes[19] = 9;
        assert_eq!(answered(&bytes), None, "a block longer than its packet");
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
