//! Bits, the highest first, as descriptors and parameter sets are written in.
//!
//! The simulator's own, so that nothing it writes is read back by the code that is under test.

/// Collects bits into bytes; the last byte is filled up with zeros.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// The lowest `count` bits of a value.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> at & 1) as u8) << (7 - self.len % 8);
            }
            self.len += 1;
        }
    }

    pub(super) fn flag(&mut self, set: bool) {
        self.put(u32::from(set), 1);
    }

    /// AV1 4.10.7: one of `count` values, in as few bits as will do.
    pub(super) fn put_one_of(&mut self, value: u32, count: u32) {
        let width = u32::BITS - count.leading_zeros();
        let short = (1 << width) - count;
        if value < short {
            self.put(value, width - 1);
        } else {
            self.put(value + short, width);
        }
    }

    /// H.264 9.1: Exp-Golomb.
    pub(super) fn put_golomb(&mut self, value: u32) {
        let width = u32::BITS - (value + 1).leading_zeros();
        self.put(0, width - 1);
        self.put(value + 1, width);
    }
}

/// Reads what [`Bits`] wrote; past the end there is nothing.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    pub(super) fn take_one_of(&mut self, count: u32) -> Option<u32> {
        let width = u32::BITS - count.leading_zeros();
        let short = (1 << width) - count;
        let value = self.take(width - 1)?;
        if value < short { Some(value) } else { Some((value << 1 | self.take(1)?) - short) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken() {
        let mut bits = Bits::default();
        bits.put(5, 3);
        for value in 0..5 {
            bits.put_one_of(value, 5);
        }
        bits.flag(true);
        bits.put(0xabcd, 16);
        let mut reader = BitReader::new(&bits.bytes);
        assert_eq!(reader.take(3), Some(5));
        for value in 0..5 {
            assert_eq!(reader.take_one_of(5), Some(value));
        }
        assert_eq!((reader.flag(), reader.take(16)), (Some(true), Some(0xabcd)));
        assert_eq!(reader.take(32), None);
    }

    #[test]
    fn golomb_codes_are_those_of_the_standard() {
        let mut bits = Bits::default();
        (0..4).for_each(|value| bits.put_golomb(value));
        // 1, 010, 011, 00100
        assert_eq!(bits.bytes, [0b1010_0110, 0b0100_0000]);
    }
}
