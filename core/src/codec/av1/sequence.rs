//! The sequence header of AV1 (AV1 5.5.1), as far as the size of the pictures stands in it.
//!
//! In: the body of the OBU. Out: the largest width and height in pixels, which are those of the highest spatial layer.

use crate::codec::bits::Bits;

/// The size of the pictures; `None` when the header is cut short.
pub(super) fn size(body: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(body);
    // seq_profile, still_picture
    bits.skip(4)?;
    if bits.flag()? {
        // reduced_still_picture_header: a level alone.
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let width_bits = bits.read(4)? as usize + 1;
    let height_bits = bits.read(4)? as usize + 1;
    let width = bits.read(width_bits)?.checked_add(1)?;
    let height = bits.read(height_bits)?.checked_add(1)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let timing = bits.flag()?;
    let delay_bits = if timing { skip_timing(bits)? } else { None };
    let display_delay = bits.flag()?;
    let points = bits.read(5)? + 1;
    for _ in 0..points {
        // operating_point_idc
        bits.skip(12)?;
        // 5.5.1: a tier is written for levels above 7.
        if bits.read(5)? > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits {
            skip_if_present(bits, 2 * delay_bits + 1)?;
        }
        if display_delay {
            skip_if_present(bits, 4)?;
        }
    }
    Some(())
}

fn skip_if_present(bits: &mut Bits<'_>, count: usize) -> Option<()> {
    if bits.flag()? { bits.skip(count) } else { Some(()) }
}

/// timing_info and decoder_model_info (5.5.3, 5.5.4): how many bits the delays of a decoder model take, where there is one.
fn skip_timing(bits: &mut Bits<'_>) -> Option<Option<usize>> {
    // num_units_in_display_tick, time_scale
    bits.skip(64)?;
    if bits.flag()? {
        bits.exp_golomb()?;
    }
    if !bits.flag()? {
        return Some(None);
    }
    let delay_bits = bits.read(5)? as usize + 1;
    // num_units_in_decoding_tick and two lengths
    bits.skip(32 + 10)?;
    Some(Some(delay_bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::writer::BitWriter;

    #[test]
    fn sizes_of_headers_that_encoders_write() {
        // libaom, twice, and SVT-AV1.
        let small = [0x20, 0x00, 0x00, 0x0c, 0xc4, 0xff, 0x67, 0x36, 0xbe, 0x48, 0x08, 0x68, 0x01];
        assert_eq!(size(&small), Some((640, 360)));
        let large = [0x20, 0x00, 0x00, 0x42, 0xab, 0xbf, 0xc3, 0x73, 0x2b, 0xe4, 0x80, 0x86, 0x80, 0x10];
        assert_eq!(size(&large), Some((1920, 1080)));
        let other = [0x00, 0x00, 0x00, 0x0c, 0xc4, 0xff, 0x67, 0x3e, 0xfe, 0x40, 0x10];
        assert_eq!(size(&other), Some((640, 360)));
    }

    #[test]
    fn timing_and_operating_points_are_passed_over() {
        let mut bits = BitWriter::default();
        bits.write(0, 5).write(1, 1).write(0, 32).write(0, 32).write(1, 1).exp_golomb(5);
        // A decoder model whose delays take 3 bits; display delays; two points, the first with a tier and all of it.
        bits.write(1, 1).write(2, 5).write(0, 32).write(0, 10).write(1, 1).write(1, 5);
        bits.write(0, 12).write(8, 5).write(1, 1).write(1, 1).write(0, 7).write(1, 1).write(0, 4);
        bits.write(0, 12).write(7, 5).write(0, 1).write(0, 1);
        bits.write(8, 4).write(7, 4).write(319, 9).write(179, 8);
        assert_eq!(size(&bits.into_bytes()), Some((320, 180)));
    }

    #[test]
    fn a_still_picture_has_a_level_alone() {
        let mut bits = BitWriter::default();
        bits.write(0, 4).write(1, 1).write(0, 5).write(3, 4).write(3, 4).write(15, 4).write(7, 4);
        assert_eq!(size(&bits.into_bytes()), Some((16, 8)));
    }

    #[test]
    fn a_header_that_is_cut_has_no_size() {
        let header = [0x20, 0x00, 0x00, 0x0c, 0xc4, 0xff, 0x67];
        for len in 0..header.len() - 1 {
            assert_eq!(size(&header[..len]), None, "{len}");
        }
    }
}
