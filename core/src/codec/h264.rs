//! H.264 in RTP (RFC 6184), packetization modes 0 and 1: single NAL unit packets, STAP-A and FU-A.
//!
//! In: a payload without padding. Out: whether a decoder can start with it. It can where the active parameter sets and
//! an IDR picture begin: encoders for conferences send SPS, PPS and IDR together, in that order, so the SPS is the place
//! to start; an IDR picture by itself counts too, for streams whose parameter sets travel in the session description.
//! An SPS that is whole in its packet tells the size. Does not know the interleaved mode 2, which is never negotiated,
//! nor temporal layers, which are named in dependency descriptors alone.

mod parameters;

use super::Inspection;

/// Reads the NAL unit types in one packet.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    match payload.split_first() {
        Some((&header, rest)) => match header & TYPE {
            STAP_A => aggregate(rest),
            FU_A => fragment(rest),
            _ => unit(header & TYPE, rest),
        },
        None => Inspection::default(),
    }
}

/// Whether a packet brings a sequence parameter set.
pub(super) fn has_parameters(payload: &[u8]) -> bool {
    let Some((&header, mut rest)) = payload.split_first() else { return false };
    if header & TYPE != STAP_A {
        return header & TYPE == SPS;
    }
    while let Some((size, after)) = rest.split_first_chunk::<2>() {
        let Some((nal, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*size))) else { break };
        if nal.first().is_some_and(|header| header & TYPE == SPS) {
            return true;
        }
        rest = after;
    }
    false
}

/// RFC 6184 5.7.1: 16-bit size, NAL unit, and again; a size that overruns the packet ends the walk.
fn aggregate(mut rest: &[u8]) -> Inspection {
    let mut seen = Inspection::default();
    while let Some((size, after)) = rest.split_first_chunk::<2>() {
        let size = usize::from(u16::from_be_bytes(*size));
        let Some((nal, after)) = after.split_at_checked(size) else { break };
        if let Some((&header, body)) = nal.split_first() {
            seen = seen.either(unit(header & TYPE, body));
        }
        rest = after;
    }
    seen
}

/// RFC 6184 5.8: the FU header's S bit marks the first fragment, its low five bits are the fragmented unit's type.
fn fragment(rest: &[u8]) -> Inspection {
    match rest.split_first() {
        Some((&header, body)) if header & 0x80 != 0 => unit(header & TYPE, body),
        Some(_) | None => Inspection::default(),
    }
}

/// A NAL unit by its type and what stands behind its header (ITU-T H.264 7.4.1).
fn unit(nal_type: u8, body: &[u8]) -> Inspection {
    match nal_type {
        IDR => {
            let first = is_first_slice(body);
            Inspection::start(first, first)
        }
        SLICE | PARTITION_A => Inspection::start(false, is_first_slice(body)),
        SPS => Inspection { size: parameters::size(body), ..Inspection::start(true, true) },
        SEI | PPS | DELIMITER => Inspection::start(false, true),
        _ => Inspection::default(),
    }
}

/// ITU-T H.264 7.3.3: a slice begins with first_mb_in_slice as ue(v), whose one-bit form is 0.
fn is_first_slice(body: &[u8]) -> bool {
    body.first().is_some_and(|first| first & 0x80 != 0)
}

const TYPE: u8 = 0x1f;

const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Inspection = Inspection::start(true, true);
    const DELTA: Inspection = Inspection::start(false, true);
    const INSIDE: Inspection = Inspection::start(false, false);

    #[test]
    fn single_units_are_told_by_their_type() {
        assert_eq!(inspect(&[0x67, 0x42, 0xe0, 0x1f]), KEY);
        assert_eq!(inspect(&[0x65, 0x88, 0x84]), KEY);
        assert_eq!(inspect(&[0x68, 0xce]), DELTA);
        assert_eq!(inspect(&[0x41, 0x9a]), DELTA);
        assert_eq!(inspect(&[0x0c, 0xff]), INSIDE);
    }

    #[test]
    fn a_later_slice_of_an_idr_picture_is_no_place_to_start() {
        assert_eq!(inspect(&[0x65, 0x48, 0x84]), INSIDE);
        assert_eq!(inspect(&[0x65]), INSIDE);
    }

    #[test]
    fn an_aggregate_starts_a_key_frame_if_any_of_its_units_does() {
        assert_eq!(inspect(&[0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce]), KEY);
        assert_eq!(inspect(&[0x78, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88]), KEY);
        assert_eq!(inspect(&[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x41, 0x9a]), DELTA);
    }

    #[test]
    fn a_unit_that_overruns_its_aggregate_is_not_looked_at() {
        assert_eq!(inspect(&[0x78, 0, 3, 0x67, 0x42]), INSIDE);
        assert_eq!(inspect(&[0x78, 0, 0, 0, 2, 0x65, 0x88]), KEY);
        assert_eq!(inspect(&[0x78, 0]), INSIDE);
    }

    #[test]
    fn of_a_fragmented_unit_only_the_first_packet_counts() {
        assert_eq!(inspect(&[0x7c, 0x85, 0x88]), KEY);
        assert_eq!(inspect(&[0x7c, 0x05, 0x88]), INSIDE);
        assert_eq!(inspect(&[0x7c, 0x45, 0x88]), INSIDE);
        assert_eq!(inspect(&[0x5c, 0x81, 0x9a]), DELTA);
        assert_eq!(inspect(&[0x7c]), INSIDE);
    }
}
