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
