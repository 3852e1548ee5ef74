//! VP9 in RTP (RFC 9628): the payload descriptor.
//!
//! In: a payload without padding. Out: whether it starts a picture, and whether that picture can be started with.
//! Reads only the descriptor, which stays legible when the media behind it is encrypted end to end.

use super::Inspection;

/// Reads the descriptor of one packet.
pub fn inspect(payload: &[u8]) -> Inspection {
    read(payload).unwrap_or_default()
}

fn read(payload: &[u8]) -> Option<Inspection> {
    let (&first, mut rest) = payload.split_first()?;
    if first & PICTURE_ID != 0 {
        // RFC 9628 4.2: M, the picture id has 15 bits instead of 7.
        let wide = rest.first()? & 0x80 != 0;
        rest = rest.get(if wide { 2 } else { 1 }..)?;
    }
    // RFC 9628 4.2: without L the frame is the picture's only one, as if its SID were 0.
    let spatial_id = if first & LAYERS == 0 { 0 } else { rest.first()? >> 1 & 0x07 };
    let frame_start = first & BEGINS_FRAME != 0 && spatial_id == 0;
    // P is 0 for a picture that leans on no earlier one. Higher layers of a key picture have P 0 as well, but lean on
    // the base layer, so a start at one of them would not decode.
    Some(Inspection::start(frame_start && first & INTER_PREDICTED == 0, frame_start))
}

const PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const LAYERS: u8 = 0x20;
const BEGINS_FRAME: u8 = 0x08;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Inspection = Inspection::start(true, true);
    const DELTA: Inspection = Inspection::start(false, true);
    const INSIDE: Inspection = Inspection::start(false, false);

    #[test]
    fn a_picture_without_inter_prediction_is_a_key_frame() {
        assert_eq!(inspect(&[0x08, 0x82]), KEY);
        assert_eq!(inspect(&[0x48, 0x86]), DELTA);
        assert_eq!(inspect(&[0x88, 0x7f, 0x82]), KEY);
        assert_eq!(inspect(&[0x88, 0x92, 0x34, 0x82]), KEY);
    }

    #[test]
    fn only_the_base_layer_of_a_key_picture_starts_it() {
        // I, L, F, B, V; 15-bit picture id; TID 0, SID 0 or 1.
        assert_eq!(inspect(&[0xba, 0x92, 0x34, 0x00, 0x00]), KEY);
        assert_eq!(inspect(&[0xba, 0x92, 0x34, 0x03, 0x00]), INSIDE);
        assert_eq!(inspect(&[0xe8, 0x92, 0x34, 0x00, 0x00]), DELTA);
    }

    #[test]
    fn later_packets_and_cut_descriptors_start_nothing() {
        for payload in [&[0x00, 0x82][..], &[0x88], &[0x88, 0x92], &[0xa8, 0x92, 0x34]] {
            assert_eq!(inspect(payload), INSIDE);
        }
    }
}
