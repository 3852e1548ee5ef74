//! H.265 in RTP (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units.
//!
//! In: a payload without padding. Out: whether a decoder can start with it: at the VPS or SPS that precede a random
//! access picture, or at the first slice of an IDR, BLA or CRA picture. Only the base layer is looked at. Assumes that
//! decoding order is transmission order (`sprop-max-don-diff` 0, the default), so no DONL fields are present; PACI packets
//! are not opened.

use super::Inspection;

/// Reads the NAL unit types in one packet.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    match payload.split_first_chunk::<2>() {
        Some((header, rest)) => match nal_type(header) {
            AGGREGATION => aggregate(rest),
            FRAGMENTATION => fragment(header, rest),
            _ => nal(payload),
        },
        None => Inspection::default(),
    }
}

/// Whether a packet brings a video or sequence parameter set.
pub(super) fn has_parameters(payload: &[u8]) -> bool {
    let is_set = |header: &[u8; 2]| matches!(nal_type(header), VPS | SPS);
    let Some((header, mut rest)) = payload.split_first_chunk::<2>() else { return false };
    if nal_type(header) != AGGREGATION {
        return is_set(header);
    }
    while let Some((size, after)) = rest.split_first_chunk::<2>() {
        let Some((unit, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*size))) else { break };
        if unit.first_chunk::<2>().is_some_and(is_set) {
            return true;
        }
        rest = after;
    }
    false
}

/// RFC 7798 4.4.2: 16-bit size, NAL unit, and again; a size that overruns the packet ends the walk.
fn aggregate(mut rest: &[u8]) -> Inspection {
    let mut seen = Inspection::default();
    while let Some((size, after)) = rest.split_first_chunk::<2>() {
        let size = usize::from(u16::from_be_bytes(*size));
        let Some((unit, after)) = after.split_at_checked(size) else { break };
        seen = seen.either(nal(unit));
        rest = after;
    }
    seen
}

/// RFC 7798 4.4.3: the FU header's S bit marks the first fragment, its low six bits are the fragmented unit's type.
fn fragment(header: &[u8; 2], rest: &[u8]) -> Inspection {
    match rest.split_first() {
        Some((&fu, body)) if fu & 0x80 != 0 && layer(header) == 0 => unit(fu & 0x3f, body),
        Some(_) | None => Inspection::default(),
    }
}

fn nal(unit_bytes: &[u8]) -> Inspection {
    match unit_bytes.split_first_chunk::<2>() {
        Some((header, body)) if layer(header) == 0 => unit(nal_type(header), body),
        Some(_) | None => Inspection::default(),
    }
}

/// A NAL unit by its type and what stands behind its header (ITU-T H.265 7.4.2.2).
fn unit(nal_type: u8, body: &[u8]) -> Inspection {
    match nal_type {
        RANDOM_ACCESS_FIRST..=RANDOM_ACCESS_LAST => {
            let first = is_first_slice(body);
            Inspection::start(first, first)
        }
        0..=SLICE_LAST => Inspection::start(false, is_first_slice(body)),
        VPS | SPS => Inspection::start(true, true),
        PPS | DELIMITER | PREFIX_SEI => Inspection::start(false, true),
        _ => Inspection::default(),
    }
}

/// RFC 7798 1.1.4: F (1 bit), Type (6), LayerId (6), TID (3).
fn nal_type(header: &[u8; 2]) -> u8 {
    header[0] >> 1 & 0x3f
}

fn layer(header: &[u8; 2]) -> u8 {
    (header[0] & 0x01) << 5 | header[1] >> 3
}

/// ITU-T H.265 7.3.6.1: a slice segment begins with first_slice_segment_in_pic_flag.
fn is_first_slice(body: &[u8]) -> bool {
    body.first().is_some_and(|first| first & 0x80 != 0)
}

/// TRAIL to RASL and the reserved types beside them.
const SLICE_LAST: u8 = 9;
/// BLA_W_LP, BLA_W_RADL, BLA_N_LP, IDR_W_RADL, IDR_N_LP, CRA: 16 to 21.
const RANDOM_ACCESS_FIRST: u8 = 16;
const RANDOM_ACCESS_LAST: u8 = 21;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Inspection = Inspection::start(true, true);
    const DELTA: Inspection = Inspection::start(false, true);
    const INSIDE: Inspection = Inspection::start(false, false);

    #[test]
    fn single_units_are_told_by_their_type() {
        for nal in [VPS, SPS, 16, 18, 19, 20, 21] {
            assert_eq!(inspect(&[nal << 1, 1, 0x80]), KEY, "{nal}");
        }
        for nal in [0, 1, PPS, DELIMITER, PREFIX_SEI] {
            assert_eq!(inspect(&[nal << 1, 1, 0x80]), DELTA, "{nal}");
        }
        // Reserved, a suffix SEI, a PACI packet.
        for nal in [22, 40, 50] {
            assert_eq!(inspect(&[nal << 1, 1, 0x80]), INSIDE, "{nal}");
        }
    }

    #[test]
    fn a_later_slice_of_an_idr_picture_is_no_place_to_start() {
        assert_eq!(inspect(&[19 << 1, 1, 0x20]), INSIDE);
        assert_eq!(inspect(&[19 << 1, 1]), INSIDE);
    }

    #[test]
    fn an_aggregate_starts_a_key_frame_if_any_of_its_units_does() {
        assert_eq!(inspect(&[0x60, 1, 0, 3, 0x40, 1, 0x0c, 0, 3, 0x44, 1, 0xc1]), KEY);
        assert_eq!(inspect(&[0x60, 1, 0, 3, 0x46, 1, 0x10, 0, 3, 0x02, 1, 0xd0]), DELTA);
        assert_eq!(inspect(&[0x60, 1, 0, 9, 0x40, 1, 0x0c]), INSIDE);
    }

    #[test]
    fn of_a_fragmented_unit_only_the_first_packet_counts() {
        assert_eq!(inspect(&[0x62, 1, 0x80 | 19, 0xaf]), KEY);
        assert_eq!(inspect(&[0x62, 1, 19, 0xaf]), INSIDE);
        assert_eq!(inspect(&[0x62, 1, 0x81, 0xd0]), DELTA);
        assert_eq!(inspect(&[0x62, 1]), INSIDE);
    }

    #[test]
    fn enhancement_layers_start_nothing() {
        assert_eq!(inspect(&[0x42, 0x09, 0x80]), INSIDE);
        assert_eq!(inspect(&[0x62, 0x09, 0x80 | 19, 0xaf]), INSIDE);
    }
}
