//! VP8 in RTP (RFC 7741): the payload descriptor, and the first bit of the frame behind it.
//!
//! In: a payload without padding. Out: whether it starts a frame, and whether that frame is a key frame.
//! Does not read the frame's dimensions nor its temporal layer.

use super::Inspection;

/// Reads the descriptor of one packet.
pub fn inspect(payload: &[u8]) -> Inspection {
    read(payload).unwrap_or_default()
}

fn read(payload: &[u8]) -> Option<Inspection> {
    let &first = payload.first()?;
    let frame = payload.get(descriptor_len(payload)?..)?;
    // RFC 7741 4.2: S marks the start of a partition, PID 0 is the first one, so both together start the frame.
    let frame_start = first & START != 0 && first & PARTITION == 0;
    // RFC 7741 4.3: P, the lowest bit of the frame's first byte, is 0 for a key frame (RFC 6386 9.1).
    let key_frame = frame_start && frame.first()? & 0x01 == 0;
    Some(Inspection::start(key_frame, frame_start))
}

/// RFC 7741 4.2: X announces a byte that announces, one by one, what follows it.
fn descriptor_len(payload: &[u8]) -> Option<usize> {
    let &first = payload.first()?;
    if first & EXTENDED == 0 {
        return Some(1);
    }
    let &announced = payload.get(1)?;
    let mut len = 2;
    if announced & PICTURE_ID != 0 {
        // M: the picture id has 15 bits instead of 7.
        len += if payload.get(2)? & 0x80 == 0 { 1 } else { 2 };
    }
    if announced & TL0_PICTURE_INDEX != 0 {
        len += 1;
    }
    if announced & (TEMPORAL_ID | KEY_INDEX) != 0 {
        len += 1;
    }
    Some(len)
}

const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;
const PARTITION: u8 = 0x07;

const PICTURE_ID: u8 = 0x80;
const TL0_PICTURE_INDEX: u8 = 0x40;
const TEMPORAL_ID: u8 = 0x20;
const KEY_INDEX: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Inspection = Inspection::start(true, true);
    const DELTA: Inspection = Inspection::start(false, true);
    const INSIDE: Inspection = Inspection::start(false, false);

    #[test]
    fn the_frame_lies_behind_a_descriptor_of_any_length() {
        assert_eq!(inspect(&[0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a]), KEY);
        assert_eq!(inspect(&[0x10, 0x31]), DELTA);
        assert_eq!(inspect(&[0x90, 0x80, 0x7f, 0x10]), KEY);
        assert_eq!(inspect(&[0x90, 0x80, 0x7f, 0x11]), DELTA);
        // As Chromium sends it: 15-bit picture id, TL0PICIDX, TID and KEYIDX.
        assert_eq!(inspect(&[0x90, 0xf0, 0x92, 0x34, 0x01, 0x20, 0x10]), KEY);
        assert_eq!(inspect(&[0x90, 0xf0, 0x92, 0x34, 0x01, 0x20, 0x11]), DELTA);
    }

    #[test]
    fn later_packets_and_later_partitions_start_nothing() {
        assert_eq!(inspect(&[0x00, 0x10]), INSIDE);
        assert_eq!(inspect(&[0x11, 0x10]), INSIDE);
        assert_eq!(inspect(&[0x80, 0x80, 0x05, 0x10]), INSIDE);
    }

    #[test]
    fn a_descriptor_without_a_frame_says_nothing() {
        for cut in [&[0x10][..], &[0x90], &[0x90, 0x80], &[0x90, 0xf0, 0x92, 0x34, 0x01, 0x20]] {
            assert_eq!(inspect(cut), INSIDE);
        }
    }
}
