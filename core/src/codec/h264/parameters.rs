//! The sequence parameter set of H.264 (ITU-T H.264 7.3.2.1.1), as far as the size of the pictures stands in it.
//!
//! In: an SPS without its NAL unit header. Out: width and height in pixels, cropped as they are shown. Only the first
//! [`LEN_MAX`] bytes are read; the size stands before anything that is long, but for scaling lists.

use arrayvec::ArrayVec;

use crate::codec::bits::Bits;

/// Bytes that the size lies within: 14 of a plain set, and four dozen numbers of scaling lists.
const LEN_MAX: usize = 128;

/// The size of the pictures; `None` when the set is cut short, or the size is none.
pub(super) fn size(body: &[u8]) -> Option<(u16, u16)> {
    let bytes = unescaped(body);
    let mut bits = Bits::new(&bytes);
    let profile = bits.read(8)?;
    // Constraint flags and level.
    bits.skip(16)?;
    // seq_parameter_set_id
    bits.exp_golomb()?;
    let chroma = if has_chroma(profile) { read_chroma(&mut bits)? } else { Chroma::HALVED };
    // log2_max_frame_num_minus4
    bits.exp_golomb()?;
    skip_picture_order(&mut bits)?;
    // max_num_ref_frames, gaps_in_frame_num_value_allowed_flag
    bits.exp_golomb()?;
    bits.skip(1)?;
    read_size(&mut bits, chroma)
}

/// 7.4.1.1: a 3 behind two zeros is there only so that no start code appears.
fn unescaped(body: &[u8]) -> ArrayVec<u8, LEN_MAX> {
    let mut bytes = ArrayVec::new();
    for &byte in body {
        let escaping = byte == 3 && bytes.ends_with(&[0, 0]);
        if !escaping && bytes.try_push(byte).is_err() {
            break;
        }
    }
    bytes
}

/// Samples of chroma per sample of luma, which cropping is counted in.
#[derive(Clone, Copy)]
struct Chroma {
    width: u32,
    height: u32,
}

impl Chroma {
    const HALVED: Self = Self { width: 2, height: 2 };

    /// Table 6-1, by chroma_format_idc.
    const fn of(format: u32) -> Self {
        match format {
            1 => Self::HALVED,
            2 => Self { width: 2, height: 1 },
            _ => Self { width: 1, height: 1 },
        }
    }
}

/// 7.3.2.1.1: the profiles in which the chroma format is written.
const fn has_chroma(profile: u32) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn read_chroma(bits: &mut Bits<'_>) -> Option<Chroma> {
    let format = bits.exp_golomb()?;
    if format == SEPARATE_COLOURS {
        bits.skip(1)?;
    }
    // Bit depths of luma and chroma, and the transform bypass.
    bits.exp_golomb()?;
    bits.exp_golomb()?;
    bits.skip(1)?;
    if bits.flag()? {
        skip_scaling_lists(bits, if format == SEPARATE_COLOURS { 12 } else { 8 })?;
    }
    Some(Chroma::of(format))
}

/// 7.3.2.1.1.1: six lists of 16 numbers, the others of 64, each told by its flag.
fn skip_scaling_lists(bits: &mut Bits<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if bits.flag()? {
            skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
        }
    }
    Some(())
}

/// A list ends early with a step to zero.
fn skip_scaling_list(bits: &mut Bits<'_>, len: usize) -> Option<()> {
    let mut scale = 8;
    for _ in 0..len {
        scale = (scale + bits.signed_exp_golomb()?).rem_euclid(256);
        if scale == 0 {
            break;
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.exp_golomb()? {
        // log2_max_pic_order_cnt_lsb_minus4
        0 => bits.exp_golomb().map(drop),
        1 => {
            // A flag, two offsets, then as many offsets as are announced, 255 at most.
            bits.skip(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            let offsets = bits.exp_golomb()?.min(255);
            (0..offsets).try_for_each(|_| bits.exp_golomb().map(drop))
        }
        _ => Some(()),
    }
}

fn read_size(bits: &mut Bits<'_>, chroma: Chroma) -> Option<(u16, u16)> {
    let width = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let height = bits.exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let frames_only = bits.flag()?;
    // Where pictures may be fields, a unit of height is a pair of lines of macroblocks.
    let fields = if frames_only { 1 } else { 2 };
    if !frames_only {
        bits.skip(1)?;
    }
    // direct_8x8_inference_flag
    bits.skip(1)?;
    let (cut_width, cut_height) = if bits.flag()? { read_cropping(bits)? } else { (0, 0) };
    let width = width.checked_sub(cut_width.checked_mul(chroma.width)?)?;
    let height = height.checked_mul(fields)?.checked_sub(cut_height.checked_mul(chroma.height * fields)?)?;
    let size = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// What is cut off in all: left and right, top and bottom.
fn read_cropping(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let width = bits.exp_golomb()?.checked_add(bits.exp_golomb()?)?;
    let height = bits.exp_golomb()?.checked_add(bits.exp_golomb()?)?;
    Some((width, height))
}

/// chroma_format_idc of 4:4:4, whose three planes may be coded apart.
const SEPARATE_COLOURS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bits::writer::BitWriter;

    #[test]
    fn sizes_of_sets_that_encoders_write() {
        for (set, expected) in [
            // libx264: baseline; high, cropped to 1080 lines; the same interlaced; 4:4:4 and 4:2:2, cropped in both directions.
            (
                &[0x42, 0xc0, 0x16, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01][..],
                (640, 360),
            ),
            (&[0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03], (1920, 1080)),
            (&[0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x04, 0x4f, 0xde, 0x02, 0x20, 0x00, 0x00, 0x03], (1920, 1080)),
            (&[0xf4, 0x00, 0x0c, 0x91, 0x9b, 0x28, 0x2a, 0x33, 0xc7, 0xc5, 0xe0, 0x22, 0x00, 0x00, 0x03], (322, 182)),
            (&[0x7a, 0x00, 0x0c, 0xbc, 0xd9, 0x41, 0x51, 0x9e, 0x22, 0x2f, 0x01, 0x10, 0x00, 0x00, 0x03], (322, 182)),
        ] {
            assert_eq!(size(set), Some(expected));
        }
    }

    /// A high profile set of 64x48 with what comes before the size as given.
    fn set(fill: impl Fn(&mut BitWriter)) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.write(100, 8).write(0, 16).exp_golomb(0);
        fill(&mut bits);
        bits.exp_golomb(1).write(0, 1).exp_golomb(3).exp_golomb(2).write(1, 1).write(1, 1).write(0, 1).write(1, 1);
        bits.into_bytes()
    }

    #[test]
    fn scaling_lists_and_picture_orders_are_passed_over() {
        let plain = set(|bits| {
            bits.exp_golomb(1).exp_golomb(0).exp_golomb(0).write(0, 1).write(0, 1).exp_golomb(0).exp_golomb(2);
        });
        assert_eq!(size(&plain), Some((64, 48)));
        let scaled = set(|bits| {
            bits.exp_golomb(1).exp_golomb(0).exp_golomb(0).write(0, 1).write(1, 1);
            // A whole list of 16 steps by 1, one that ends at once (-8), six that are not there.
            bits.write(1, 1);
            for _ in 0..16 {
                bits.exp_golomb(1);
            }
            bits.write(1, 1).exp_golomb(16).write(0, 6);
            // Picture order 1 with two offsets.
            bits.exp_golomb(0).exp_golomb(1).write(0, 1).exp_golomb(0).exp_golomb(0).exp_golomb(2);
            bits.exp_golomb(7).exp_golomb(7);
        });
        assert_eq!(size(&scaled), Some((64, 48)));
    }

    #[test]
    fn a_set_that_is_cut_or_absurd_has_no_size() {
        let set = [0x42, 0xc0, 0x16, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70];
        for len in 0..set.len() - 2 {
            assert_eq!(size(&set[..len]), None, "{len}");
        }
        let mut huge = BitWriter::default();
        huge.write(66, 8).write(0, 16).exp_golomb(0).exp_golomb(0).exp_golomb(2).exp_golomb(1).write(0, 1);
        huge.exp_golomb(u32::MAX - 2).exp_golomb(u32::MAX - 2).write(0xf, 4);
        assert_eq!(size(&huge.into_bytes()), None);
    }
}
