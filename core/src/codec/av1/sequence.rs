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
