//! The hash of the tables that are asked for every datagram, and of those that must not search.
//!
//! Maps with it are looked up and never walked, so their order decides nothing.

use std::hash::{BuildHasher, Hasher};

/// A multiply-and-fold hash: a few nanoseconds for an address, unpredictable without the seed.
///
/// The default has no seed: for keys that the server itself gives out.
#[derive(Clone, Debug, Default)]
pub struct Folding {
    seed: u64,
}

impl Folding {
    #[inline]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }
}

impl BuildHasher for Folding {
    type Hasher = Fold;

    #[inline]
    fn build_hasher(&self) -> Fold {
        Fold { state: self.seed | 1 }
    }
}

/// A hash under way.
#[derive(Debug)]
pub struct Fold {
    state: u64,
}

impl Fold {
    #[inline]
    const fn mix(&mut self, word: u64) {
        let wide = (self.state ^ word) as u128 * 0x9e37_79b9_7f4a_7c15_u128;
        self.state = ((wide >> 64) as u64 ^ wide as u64).rotate_left(23);
    }
}

impl Hasher for Fold {
    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
}
