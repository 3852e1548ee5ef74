//! What each packet of a layered stream says of itself, behind all descriptors: the truth that a model decoder goes by.

use std::time::Duration;

use crate::random::Seeded;
use crate::time::Instant;

/// A frame of one spatial layer, told apart from all others of its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameId {
    pub stream: u32,
    /// Counted from zero over all layers of the encoding.
    pub frame: u32,
}

/// See the module's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// SSRC at the publisher.
    pub stream: u32,
    /// Extended sequence number at the publisher.
    pub number: u64,
    pub sent: Instant,
    /// Index of the encoding, in the order of the publisher's offer.
    pub encoding: u8,
    /// Counted from zero, and from the last key picture.
    pub picture: u32,
    pub since_key: u32,
    pub frame: u32,
    pub spatial: u8,
    pub temporal: u8,
    /// This packet of its frame's, of so many.
    pub at: u8,
    pub of: u8,
    pub size: (u16, u16),
    /// The frames of the same encoding that the frame leans on.
    pub references: Vec<u32>,
    /// Whether what stands before this is encrypted.
    pub encrypted: bool,
}

/// Bytes before the references, and of the length at the end.
const FIXED_LEN: usize = 43;
const TAIL_LEN: usize = 2;

impl Truth {
    pub const fn id(&self) -> FrameId {
        FrameId { stream: self.stream, frame: self.frame }
    }

    /// Whether a decoder that has seen nothing can begin with the packet.
    pub const fn is_start(&self) -> bool {
        self.since_key == 0 && self.spatial == 0 && self.at == 0
    }

    pub const fn is_last(&self) -> bool {
        self.at + 1 == self.of
    }

    /// How long ago it was sent.
    pub const fn age(&self, now: Instant) -> Duration {
        now.since(self.sent)
    }

    /// A body of `len` bytes, or as long as it has to be; its rest is filled from the truth itself.
    pub fn write(&self, len: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(len);
        body.extend(self.stream.to_be_bytes());
        body.extend(self.number.to_be_bytes());
        body.extend(self.sent.nanos().to_be_bytes());
        body.extend(self.picture.to_be_bytes());
        body.extend(self.since_key.to_be_bytes());
        body.extend(self.frame.to_be_bytes());
        body.extend([self.encoding, self.spatial, self.temporal, self.at, self.of]);
        body.extend(self.size.0.to_be_bytes());
        body.extend(self.size.1.to_be_bytes());
        body.extend([u8::from(self.encrypted), self.references.len() as u8]);
        self.references.iter().for_each(|frame| body.extend(frame.to_be_bytes()));
        let mut filling = self.filling();
        body.resize_with((body.len() + TAIL_LEN).max(len) - TAIL_LEN, || filling.next_u64() as u8);
        body.extend((body.len() as u16).to_be_bytes());
        body
    }

    /// Reads the body at the end of a payload, and the bytes before it; `None` when any byte of the body is not as it was written.
    pub fn read(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (rest, len) = payload.split_last_chunk::<TAIL_LEN>()?;
        let (before, body) = rest.split_at_checked(rest.len().checked_sub(usize::from(u16::from_be_bytes(*len)))?)?;
        let truth = Self::read_fields(body)?;
        let mut filling = truth.filling();
        let filled = body.get(FIXED_LEN + 4 * truth.references.len()..)?;
        filled.iter().all(|byte| *byte == filling.next_u64() as u8).then_some((truth, before))
    }

    fn read_fields(body: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let word = |at: usize| Some(u32::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let long = |at: usize| Some(u64::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let byte = |at: usize| body.get(at).copied();
        let count = usize::from(byte(FIXED_LEN - 1)?);
        Some(Self {
            stream: word(0)?,
            number: long(4)?,
            sent: Instant::from_nanos(long(12)?),
            picture: word(20)?,
            since_key: word(24)?,
            frame: word(28)?,
            encoding: byte(32)?,
            spatial: byte(33)?,
            temporal: byte(34)?,
            at: byte(35)?,
            of: byte(36)?,
            size: (short(37)?, short(39)?),
            encrypted: byte(41)? == 1,
            references: (0..count).map(|at| word(FIXED_LEN + 4 * at)).collect::<Option<_>>()?,
        })
    }

    const fn filling(&self) -> Seeded {
        Seeded::new(self.number ^ (self.stream as u64) << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_found_behind_whatever_stands_before_it_and_no_byte_of_it_may_differ() {
        let truth = Truth {
            stream: 7,
            number: 1 << 40,
            sent: Instant::from_millis(5),
            encoding: 2,
            picture: 9,
            since_key: 3,
            frame: 27,
            spatial: 2,
            temporal: 1,
            at: 0,
            of: 2,
            size: (640, 360),
            references: vec![24, 26],
            encrypted: true,
        };
        let payload = [&[1, 2, 3][..], &truth.write(120)].concat();
        assert_eq!(payload.len(), 123);
        assert_eq!(Truth::read(&payload), Some((truth.clone(), &[1, 2, 3][..])));
        for at in [3, 60, 119] {
            let mut other = payload.clone();
            other[at] ^= 1;
            assert!(Truth::read(&other).is_none_or(|(read, _)| read != truth), "byte {at}");
        }
        assert!(truth.write(0).len() < 60);
    }
}
