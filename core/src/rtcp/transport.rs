//! Transport-wide feedback: which packets of a transport arrived, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1).
//!
//! A checked view: `read` walks the chunks once, without unfolding them, and makes sure that every delta they promise is
//! there; so counting what arrived costs as much as the packet has bytes, however many packets it states. A run of two
//! bytes may state 8,191 lost packets and a feedback 65,535: whoever walks `statuses` needs a budget for that.

/// Status symbols (3.1.1). The fourth is reserved and makes a packet unreadable, since nobody knows the length of its delta.
const SMALL_DELTA: u16 = 1;
const LARGE_DELTA: u16 = 2;

/// One feedback packet, all of whose parts are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// The transport-wide sequence number of the first packet that is told of.
    pub base_sequence: u16,
    /// How many packets are told of, one at least.
    pub status_count: u16,
    /// The time from which the deltas count, on the receiver's own clock, in units of 64 ms: 24 bits, signed.
    pub reference_time_64ms: i32,
    /// Counts the feedback packets, so that a lost one is noticed.
    pub number: u8,
    received: u16,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// Reads what stands behind the two SSRCs, padding taken off.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<8>()?;
        let status_count = u16::from_be_bytes([head[2], head[3]]);
        let (chunks_len, small, large) = survey(rest, status_count)?;
        let (chunks, rest) = rest.split_at_checked(chunks_len)?;
        let deltas = rest.get(..usize::from(small) + 2 * usize::from(large))?;
        Some(Self {
            base_sequence: u16::from_be_bytes([head[0], head[1]]),
            status_count,
            reference_time_64ms: i32::from_be_bytes([head[4], head[5], head[6], 0]) >> 8,
            number: head[7],
            received: small + large,
            chunks,
            deltas,
        })
    }

    /// Packets that arrived, of those that are told of.
    pub fn received(&self) -> u16 {
        self.received
    }

    /// Packets that had not arrived when this was written; some may do so later.
    pub fn lost(&self) -> u16 {
        self.status_count - self.received
    }

    /// Every packet that is told of, in ascending order (modulo 2^16).
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            chunks: self.chunks,
            deltas: self.deltas,
            symbols: Symbols::of(Chunk(0)),
            sequence: self.base_sequence,
            left: self.status_count,
        }
    }
}

/// Walks the chunks of `count` statuses: their length in bytes, and how many small and large deltas they promise.
fn survey(bytes: &[u8], count: u16) -> Option<(usize, u16, u16)> {
    let (mut left, mut small, mut large) = (count, 0, 0);
    let mut chunks = bytes.chunks_exact(2);
    let mut len = 0;
    while left > 0 {
        let chunk = Chunk::read(chunks.next()?)?;
        // The last chunk may have room for more than is stated.
        let stated = chunk.len().min(left);
        let (more_small, more_large) = chunk.deltas(stated)?;
        small += more_small;
        large += more_large;
        left -= stated;
        len += 2;
    }
    (count > 0).then_some((len, small, large))
}

/// A packet status chunk (3.1.3, 3.1.4): one symbol many times, or 14 symbols of one bit, or 7 of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk(u16);

impl Chunk {
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|bytes| Self(u16::from_be_bytes(*bytes)))
    }

    const fn is_run(self) -> bool {
        self.0 >> 15 == 0
    }

    const fn is_of_one_bit(self) -> bool {
        self.0 >> 14 == 0b10
    }

    /// Statuses for which there is room.
    const fn len(self) -> u16 {
        if self.is_run() {
            self.0 & 0x1fff
        } else if self.is_of_one_bit() {
            14
        } else {
            7
        }
    }

    /// Small and large deltas among the first `count` statuses; nothing if one of them is reserved.
    const fn deltas(self, count: u16) -> Option<(u16, u16)> {
        if self.is_run() {
            return match self.0 >> 13 & 3 {
                0 => Some((0, 0)),
                SMALL_DELTA => Some((count, 0)),
                LARGE_DELTA => Some((0, count)),
                _ => None,
            };
        }
        if self.is_of_one_bit() {
            return Some((((self.0 & 0x3fff) >> (14 - count)).count_ones() as u16, 0));
        }
        let symbols = (self.0 & 0x3fff) >> (14 - 2 * count);
        let (low, high) = (symbols & 0x1555, symbols >> 1 & 0x1555);
        if low & high == 0 { Some((low.count_ones() as u16, high.count_ones() as u16)) } else { None }
    }
}

/// What is left of a chunk's symbols, the next one in the highest bits.
#[derive(Clone, Copy, Debug)]
struct Symbols {
    bits: u16,
    /// By how much `bits` go down to the next symbol, and up to the one after it: not at all in a run.
    down: u8,
    up: u8,
    left: u16,
}

impl Symbols {
    const fn of(chunk: Chunk) -> Self {
        let left = chunk.len();
        if chunk.is_run() {
            Self { bits: chunk.0 << 1, down: 14, up: 0, left }
        } else if chunk.is_of_one_bit() {
            Self { bits: chunk.0 << 2, down: 15, up: 1, left }
        } else {
            Self { bits: chunk.0 << 2, down: 14, up: 2, left }
        }
    }

    /// Those of the first of some chunks, and the other chunks.
    #[inline]
    fn first(chunks: &[u8]) -> Option<(Self, &[u8])> {
        let (chunk, rest) = chunks.split_first_chunk()?;
        Some((Self::of(Chunk(u16::from_be_bytes(*chunk))), rest))
    }

    #[inline]
    const fn next(&mut self) -> u16 {
        let symbol = self.bits >> self.down;
        self.bits <<= self.up;
        self.left -= 1;
        symbol
    }
}

/// Iterates over (sequence number, arrival): the arrival is the time since the packet that arrived before, the first
/// since the reference time, in units of 250 us; `None` for a packet that did not arrive.
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    symbols: Symbols,
    sequence: u16,
    left: u16,
}

/// What a symbol says, with the delta that it promises taken off.
#[inline]
fn arrival(symbol: u16, deltas: &[u8]) -> Option<(Option<i16>, &[u8])> {
    match symbol {
        SMALL_DELTA => deltas.split_first().map(|(delta, rest)| (Some(i16::from(*delta)), rest)),
        LARGE_DELTA => deltas.split_first_chunk().map(|(delta, rest)| (Some(i16::from_be_bytes(*delta)), rest)),
        _ => Some((None, deltas)),
    }
}

impl Iterator for Statuses<'_> {
    type Item = (u16, Option<i16>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        while self.symbols.left == 0 {
            (self.symbols, self.chunks) = Symbols::first(self.chunks)?;
        }
        let (arrival_250us, deltas) = arrival(self.symbols.next(), self.deltas)?;
        self.deltas = deltas;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Some((sequence, arrival_250us))
    }

    /// The same chunk by chunk, with next to nothing to remember from symbol to symbol: for who hears them all.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut take: F) -> B {
        let Self { mut chunks, mut deltas, mut symbols, mut sequence, mut left } = self;
        let mut folded = init;
        loop {
            let stated = symbols.left.min(left);
            for _ in 0..stated {
                let Some((arrival_250us, rest)) = arrival(symbols.next(), deltas) else { return folded };
                deltas = rest;
                folded = take(folded, (sequence, arrival_250us));
                sequence = sequence.wrapping_add(1);
            }
            left -= stated;
            match Symbols::first(chunks).filter(|_| left > 0) {
                Some(more) => (symbols, chunks) = more,
                None => return folded,
            }
        }
    }
}
