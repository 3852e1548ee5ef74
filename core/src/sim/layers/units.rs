//! What stands before the body in payloads without numbers: H.264 (RFC 6184), H.265 (RFC 7798), AV1.
//!
//! A key picture leads with its parameter sets, the body in a supplemental unit behind them; then come slices in fragments.

use super::bits::Bits;
use super::truth::Truth;

/// H.264: parameter sets in an aggregate, slices whole or in fragments.
pub(super) fn h264(truth: &Truth, body_len: usize) -> Vec<u8> {
    let key = truth.since_key == 0;
    if key && truth.at == 0 {
        // 5.7.1: STAP-A, of SPS, PPS, and what is left.
        let mut bytes = vec![0x78];
        [sequence_parameters(truth.size), vec![0x68, 0xce, 0x3c, 0x80]]
            .iter()
            .for_each(|unit| put_unit(unit, &mut bytes));
        bytes.extend((1 + body_len as u16).to_be_bytes());
        bytes.push(0x06);
        return bytes;
    }
    let slice = if key { 0x65 } else { 0x41 };
    let first = truth.at == u8::from(key);
    if first && truth.is_last() {
        return vec![slice, FIRST_SLICE];
    }
    // 5.8: FU-A.
    let start = u8::from(first) << 7 | u8::from(truth.is_last()) << 6;
    let mut bytes = vec![slice & 0x60 | 28, start | slice & 0x1f];
    bytes.extend(first.then_some(FIRST_SLICE));
    bytes
}

/// Bytes in front that tell what a packet is: those of an aggregate up to its first unit's, or of a fragment or slice.
pub(super) const fn h264_header_len(truth: &Truth) -> usize {
    match (truth.since_key == 0 && truth.at == 0, truth.of) {
        (true, _) => 4,
        (false, 1) => 1,
        (false, _) => 2,
    }
}

/// H.265: the same, with two bytes of header and a video parameter set more.
pub(super) fn h265(truth: &Truth, body_len: usize) -> Vec<u8> {
    const IDR: u8 = 19;
    const TRAIL: u8 = 1;
    let key = truth.since_key == 0;
    if key && truth.at == 0 {
        // 4.4.2: an aggregation packet.
        let mut bytes = vec![48 << 1, 1];
        [[32 << 1, 1, 0x0c, 1], [33 << 1, 1, 1, 1], [34 << 1, 1, 0xc1, 0x72]]
            .iter()
            .for_each(|unit| put_unit(unit, &mut bytes));
        bytes.extend((2 + body_len as u16).to_be_bytes());
        bytes.extend([39 << 1, 1]);
        return bytes;
    }
    let slice = if key { IDR } else { TRAIL };
    let first = truth.at == u8::from(key);
    if first && truth.is_last() {
        return vec![slice << 1, 1, FIRST_SLICE];
    }
    // 4.4.3: a fragmentation unit.
    let start = u8::from(first) << 7 | u8::from(truth.is_last()) << 6;
    let mut bytes = vec![49 << 1, 1, start | slice];
    bytes.extend(first.then_some(FIRST_SLICE));
    bytes
}

/// AV1 (payload format, 4.4): a sequence header before the first frame of a key picture, then pieces of one frame each.
pub(super) fn av1(truth: &Truth) -> Vec<u8> {
    let continues = u8::from(truth.at > 0) << 7 | u8::from(!truth.is_last()) << 6;
    let mut bytes = if truth.is_start() {
        let sequence = sequence_header(truth.size);
        let mut bytes = vec![continues | 2 << 4 | 1 << 3, sequence.len() as u8];
        bytes.extend(sequence);
        bytes
    } else {
        vec![continues | 1 << 4]
    };
    if truth.at == 0 {
        bytes.extend([6 << 3 | 1 << 2, truth.temporal << 5 | truth.spatial << 3]);
        // AV1 5.9.2: shown; a key frame or not.
        bytes.push(if truth.since_key == 0 && truth.spatial == 0 { 0x10 } else { 0x30 });
    }
    bytes
}

/// `first_mb_in_slice` 0, or `first_slice_segment_in_pic_flag`.
const FIRST_SLICE: u8 = 0x80;

fn put_unit(unit: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend((unit.len() as u16).to_be_bytes());
    bytes.extend(unit);
}

/// H.264 7.3.2.1.1, constrained baseline.
fn sequence_parameters((width, height): (u16, u16)) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x67_42_e0_1f, 32);
    let macroblocks = |len: u16| u32::from(len).div_ceil(16);
    // Id, log2 of the frame number, order by type 2, one reference, no gaps.
    [0, 0, 2, 1].into_iter().for_each(|value| bits.put_golomb(value));
    bits.flag(false);
    bits.put_golomb(macroblocks(width) - 1);
    bits.put_golomb(macroblocks(height) - 1);
    // Frames only, direct 8x8 inference.
    bits.put(0b11, 2);
    let (right, bottom) = (macroblocks(width) * 16 - u32::from(width), macroblocks(height) * 16 - u32::from(height));
    bits.flag(right + bottom > 0);
    if right + bottom > 0 {
        [0, right / 2, 0, bottom / 2].into_iter().for_each(|value| bits.put_golomb(value));
    }
    // No VUI, and the stop bit.
    bits.put(0b01, 2);
    bits.bytes
}

/// AV1 5.5.1: an OBU without a size of its own, profile 0, one operating point.
fn sequence_header((width, height): (u16, u16)) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(1 << 3, 8);
    // Profile, still picture, reduced header, timing, display delay, operating points, their layers, level 5.
    bits.put(0, 3 + 1 + 1 + 1 + 1 + 5 + 12);
    bits.put(5, 5);
    bits.put(0xff, 8);
    bits.put(u32::from(width) - 1, 16);
    bits.put(u32::from(height) - 1, 16);
    bits.put(0, 32);
    bits.bytes
}
