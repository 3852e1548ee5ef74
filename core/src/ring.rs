//! The retransmission ring: the last packets of one encoding, each stored once however many viewers there are.
//!
//! Viewers are sealed from here, at once and again when they ask. Bytes lie one behind the other in an arena that is
//! written round and round; an index finds a packet by its extended sequence number. Memory is claimed when the ring is
//! made. A packet is gone when its index place or its bytes have been taken by a later one; `get` knows, so that nobody
//! ever reads another packet's bytes. Behind each payload lies room for padding (RFC 3550 5.1), so that a packet can be
//! made as long as its neighbours, once for all viewers, and stays so when it is sent again.

use crate::codec::{Numbers, Reach};

/// Bytes of padding that a packet may get at most.
pub const PADDING_LEN_MAX: usize = 16;

/// What of a packet's header is kept beside its bytes, and what its descriptor says. 36 bytes, of an entry's 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub timestamp: u32,
    pub payload_type: u8,
    pub marker: bool,
    /// The first packet of a key frame.
    pub key_frame: bool,
    /// The first packet of its picture, and the last of its frame, as far as the codec tells.
    pub frame_start: bool,
    pub frame_end: bool,
    pub numbers: Numbers,
    /// For which of its encoding's targets it is.
    pub reach: Reach,
}

impl Default for Meta {
    /// Of a packet of an encoding without layers.
    fn default() -> Self {
        Self {
            timestamp: 0,
            payload_type: 0,
            marker: false,
            key_frame: false,
            frame_start: false,
            frame_end: false,
            numbers: Numbers::NONE,
            reach: Reach::LONE,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    sequence: u64,
    /// Position in the endless tape of which the arena shows the last stretch.
    start: u64,
    extensions_len: u16,
    payload_len: u16,
    padding_len: u8,
    meta: Meta,
    used: bool,
}

/// A stored packet, borrowed from its ring.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub sequence: u64,
    pub meta: Meta,
    /// In the form of [`rebuild::collect`](crate::rebuild::collect).
    pub extensions: &'a [u8],
    pub payload: &'a [u8],
    /// The payload with the padding behind it, if there is any: what a first transmission carries.
    pub body: &'a [u8],
}

impl Stored<'_> {
    /// Whether the body ends with padding.
    #[inline]
    pub const fn is_padded(&self) -> bool {
        self.body.len() > self.payload.len()
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct RetransmissionRing {
    entries: Box<[Entry]>,
    arena: Box<[u8]>,
    /// Where the next packet is written on the tape.
    head: u64,
}

impl RetransmissionRing {
    /// A ring of at most `packets` packets (rounded up to a power of two) in `bytes` bytes.
    pub fn new(packets: usize, bytes: usize) -> Self {
        Self {
            entries: vec![Entry::default(); packets.next_power_of_two()].into_boxed_slice(),
            arena: vec![0; bytes].into_boxed_slice(),
            head: 0,
        }
    }

    /// A ring that claims no memory and keeps nothing.
    pub fn empty() -> Self {
        Self { entries: Box::default(), arena: Box::default(), head: 0 }
    }

    pub const fn is_empty(&self) -> bool {
        self.arena.is_empty()
    }

    /// What such a ring allocates.
    pub const fn bytes(packets: usize, bytes: usize) -> usize {
        packets.next_power_of_two() * size_of::<Entry>() + bytes
    }

    /// Stores a packet over the oldest ones. Returns whether it fitted: only one larger than the arena does not.
    ///
    /// A packet without payload (its publisher's padding, taken off) gets one byte of padding of its own, so that it keeps
    /// its place in the sequence.
    pub fn insert(&mut self, sequence: u64, meta: Meta, extensions: &[u8], payload: &[u8]) -> bool {
        let len = extensions.len() + payload.len() + PADDING_LEN_MAX;
        let (Ok(extensions_len), Ok(payload_len)) = (extensions.len().try_into(), payload.len().try_into()) else {
            return false;
        };
        let Some(at) = self.claim(len) else { return false };
        let (head, tail) = self.arena[at..at + len].split_at_mut(extensions.len());
        head.copy_from_slice(extensions);
        tail[..payload.len()].copy_from_slice(payload);
        let place = self.place(sequence);
        let start = self.head;
        self.entries[place] = Entry { sequence, start, extensions_len, payload_len, padding_len: 0, meta, used: true };
        self.head += len as u64;
        if payload.is_empty() {
            self.pad(sequence, 1);
        }
        true
    }

    /// Gives a packet that is here this much padding (1 to [`PADDING_LEN_MAX`] bytes). To be called before it is first
    /// sent, never after: what was sealed once must stay the same.
    pub fn pad(&mut self, sequence: u64, padding_len: u8) {
        let place = self.place(sequence);
        let size = self.arena.len() as u64;
        let Some(entry) = self.entries.get_mut(place).filter(|entry| entry.used && entry.sequence == sequence) else {
            return;
        };
        let end = (entry.start % size) as usize + usize::from(entry.extensions_len) + usize::from(entry.payload_len);
        let padding = self.arena.get_mut(end..end + usize::from(padding_len).min(PADDING_LEN_MAX));
        if let Some((last, zeros)) = padding.and_then(<[u8]>::split_last_mut) {
            // RFC 3550 5.1: the last byte says how many there are.
            zeros.fill(0);
            *last = padding_len;
            entry.padding_len = padding_len;
        }
    }

    /// Where the next `len` bytes lie in one piece; `None` if they never do.
    fn claim(&mut self, len: usize) -> Option<usize> {
        let size = self.arena.len();
        if len > size {
            return None;
        }
        let at = (self.head % size as u64) as usize;
        if at + len <= size {
            return Some(at);
        }
        // A packet never wraps: the rest of the arena stays empty this time round.
        self.head += (size - at) as u64;
        Some(0)
    }

    /// The packet, if it is still here.
    #[inline]
    pub fn get(&self, sequence: u64) -> Option<Stored<'_>> {
        let entry = self.entries.get(self.place(sequence))?;
        let size = self.arena.len() as u64;
        if !entry.used || entry.sequence != sequence || self.head - entry.start > size {
            return None;
        }
        let at = (entry.start % size) as usize;
        let bytes = self.arena.get(at..)?;
        let (extensions, rest) = bytes.split_at_checked(usize::from(entry.extensions_len))?;
        let payload = rest.get(..usize::from(entry.payload_len))?;
        let body = rest.get(..payload.len() + usize::from(entry.padding_len))?;
        Some(Stored { sequence, meta: entry.meta, extensions, payload, body })
    }

    fn place(&self, sequence: u64) -> usize {
        sequence as usize & self.entries.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_packet_reads_back_whole_or_not_at_all(lens in prop::collection::vec(0usize..300, 1..200)) {
            let mut ring = RetransmissionRing::new(16, 2_000);
            let bytes = |sequence: usize, len: usize| vec![sequence as u8; len];
            for (sequence, len) in lens.iter().enumerate() {
                let meta = Meta { timestamp: sequence as u32, ..Meta::default() };
                prop_assert!(ring.insert(sequence as u64, meta, &bytes(sequence, len / 4), &bytes(sequence, *len)));
                for (older, len) in lens.iter().enumerate().take(sequence + 1) {
                    if let Some(stored) = ring.get(older as u64) {
                        prop_assert_eq!(stored.payload, bytes(older, *len));
                        prop_assert_eq!(stored.extensions, bytes(older, len / 4));
                        prop_assert_eq!(stored.meta.timestamp, older as u32);
                    }
                }
                prop_assert!(ring.get(sequence as u64).is_some());
            }
        }
    }

    #[test]
    fn a_packet_larger_than_the_arena_is_refused() {
        let mut ring = RetransmissionRing::new(4, 10 + PADDING_LEN_MAX);
        assert!(!ring.insert(0, Meta::default(), &[], &[0; 11]));
        assert!(ring.insert(0, Meta::default(), &[], &[0; 10]));
    }

    #[test]
    fn an_empty_ring_keeps_nothing_and_pads_nothing() {
        let mut ring = RetransmissionRing::empty();
        assert!(ring.is_empty() && !ring.insert(7, Meta::default(), &[], &[1]));
        ring.pad(7, 3);
        assert!(ring.get(7).is_none());
    }

    #[test]
    fn padding_lies_behind_the_payload_and_counts_itself() {
        let mut ring = RetransmissionRing::new(4, 200);
        ring.insert(0, Meta::default(), &[9], &[7; 3]);
        ring.insert(1, Meta::default(), &[9], &[8; 2]);
        assert!(!ring.get(0).unwrap().is_padded());
        ring.pad(0, 4);
        ring.pad(2, 4);
        let padded = ring.get(0).unwrap();
        assert_eq!((padded.payload, padded.body), (&[7; 3][..], &[7, 7, 7, 0, 0, 0, 4][..]));
        assert_eq!(ring.get(1).unwrap().body, [8; 2]);
    }

    #[test]
    fn a_packet_without_payload_keeps_its_place_as_padding() {
        let mut ring = RetransmissionRing::new(4, 200);
        ring.insert(0, Meta::default(), &[], &[]);
        assert_eq!(ring.get(0).unwrap().body, [1]);
    }
}
