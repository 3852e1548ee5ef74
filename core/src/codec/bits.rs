//! Bits from the front of a slice, most significant first, each read checked.
//!
//! What parameter sets, sequence headers and dependency descriptors are written in. A read past the end gives `None` and the
//! reader is of no more use; values are never made up.

/// See the module's description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// An unsigned number of up to 32 bits: f(n) of AV1, u(n) of H.264.
    pub(super) fn read(&mut self, count: usize) -> Option<u32> {
        let end = self.at + count;
        let covered = self.bytes.get(self.at / 8..end.div_ceil(8))?;
        let window = covered.iter().fold(0_u64, |window, &byte| window << 8 | u64::from(byte));
        self.at = end;
        let value = window >> (end.next_multiple_of(8) - end) & ((1 << count) - 1);
        Some(value as u32)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// Exp-Golomb: ue(v) of H.264 9.1, uvlc() of AV1 4.10.3; at most 31 leading zeros.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.read(zeros)?)
    }

    /// se(v) of H.264 9.1.1: the numbers 0, 1, -1, 2, -2 and so on.
    pub(super) fn signed_exp_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.exp_golomb()?);
        Some(if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 })
    }

    /// ns(n) of AV1 4.10.7: one of `count` values, the first of which take a bit less.
    pub(super) fn non_symmetric(&mut self, count: u32) -> Option<u32> {
        let width = 32 - count.leading_zeros();
        let short = (1_u32 << width) - count;
        let value = self.read(width as usize - 1)?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) - short + self.read(1)?)
    }
}

/// AV1 4.10.5: a number in groups of seven bits, the lowest first, and what is behind it; at most four bytes of it.
pub(super) fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// The other way round, for tests.
#[cfg(test)]
pub(super) mod writer {
    #[derive(Clone, Debug, Default)]
    pub(in crate::codec) struct BitWriter(Vec<bool>);

    impl BitWriter {
        pub(in crate::codec) fn write(&mut self, value: u32, count: usize) -> &mut Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        pub(in crate::codec) fn exp_golomb(&mut self, value: u32) -> &mut Self {
            let width = (u64::from(value) + 1).ilog2() as usize;
            self.write(0, width).write(1, 1).write(value + 1, width)
        }

        /// One of `count` values, as in AV1 4.10.7.
        pub(in crate::codec) fn non_symmetric(&mut self, value: u32, count: u32) -> &mut Self {
            let width = count.ilog2() as usize + 1;
            let short = (1 << width) - count;
            if value < short { self.write(value, width - 1) } else { self.write(value + short, width) }
        }

        pub(in crate::codec) fn into_bytes(self) -> Vec<u8> {
            let byte =
                |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (at, &bit)| byte | u8::from(bit) << (7 - at));
            self.0.chunks(8).map(byte).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::writer::BitWriter;
    use super::*;

    #[test]
    fn numbers_are_read_across_bytes() {
        let mut bits = Bits::new(&[0b1010_0101, 0xff, 0x00, 0x80, 0x01]);
        assert_eq!(bits.read(3), Some(0b101));
        assert_eq!(bits.read(32), Some(0b0010_1111_1111_1000_0000_0100_0000_0000));
        assert_eq!(bits.read(0), Some(0));
        assert_eq!(bits.read(5), Some(1));
        assert_eq!(bits.read(1), None);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        assert_eq!(Bits::new(&[0xff]).read(9), None);
        assert_eq!(Bits::new(&[]).flag(), None);
        assert_eq!(Bits::new(&[0; 8]).exp_golomb(), None);
        assert_eq!(Bits::new(&[0xff]).skip(9), None);
    }

    #[test]
    fn exp_golomb_counts_as_in_table_9_2() {
        // 1, 010, 011, 00100, 00101.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        for expected in 0..5 {
            assert_eq!(bits.exp_golomb(), Some(expected));
        }
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        for expected in [0, 1, -1, 2, -2] {
            assert_eq!(bits.signed_exp_golomb(), Some(expected));
        }
    }

    #[test]
    fn five_values_take_two_bits_or_three() {
        // AV1 4.10.7: 00, 01, 10, 110, 111.
        let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
        for expected in 0..5 {
            assert_eq!(bits.non_symmetric(5), Some(expected));
        }
        assert_eq!(Bits::new(&[]).non_symmetric(1), Some(0));
    }
    #[test]
    fn what_is_written_is_read() {
        let mut writer = BitWriter::default();
        for value in 0..40 {
            writer.exp_golomb(value).non_symmetric(value % 33, 33);
        }
        let bytes = writer.into_bytes();
        let mut bits = Bits::new(&bytes);
        for value in 0..40 {
            assert_eq!(bits.exp_golomb(), Some(value));
            assert_eq!(bits.non_symmetric(33), Some(value % 33));
        }
    }
}
