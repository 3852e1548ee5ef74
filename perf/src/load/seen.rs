//! Which packets of a stream have arrived: a bit each.

use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    words: Vec<u64>,
    pub(super) duplicates: u64,
}

impl Seen {
    /// Whether it is new. An index beyond the bound of a run counts as a duplicate, since no such packet was sent.
    pub(super) fn insert(&mut self, index: u64) -> bool {
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

    pub(super) fn has(&self, index: u64) -> bool {
        self.words.get((index / 64) as usize).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// How many of the range have arrived.
    pub(super) fn count(&self, range: Range<u64>) -> u64 {
        range.filter(|index| self.has(*index)).count() as u64
    }
}

/// Packets of one stream in one run: hours at any rate that one publisher sends.
const INDEX_MAX: u64 = 1 << 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_twice_counts_once() {
        let mut seen = Seen::default();
        assert!(seen.insert(5) && seen.insert(200) && !seen.insert(5) && !seen.insert(INDEX_MAX));
        assert_eq!((seen.count(0..300), seen.count(6..300), seen.duplicates), (2, 1, 2));
    }
}
