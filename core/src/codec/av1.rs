//! AV1 in RTP (AOMedia's "RTP Payload Format For AV1" 1.0): the aggregation header and the OBUs behind it.
//!
//! In: a payload without padding. Out: whether it starts a coded video sequence. Senders say so with the N bit; some that
//! do not still put the sequence header in front, so that is looked for as well, and tells the size. Does not read the
//! dependency descriptor, which is a header extension.

mod sequence;

use super::Inspection;
use super::bits::leb128;

/// Reads the aggregation header and the headers of the packet's OBUs.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    let Some((&aggregation, rest)) = payload.split_first() else { return Inspection::default() };
    // 4.4: Z, the first element continues an OBU of the packet before.
    if aggregation & CONTINUES != 0 || rest.is_empty() {
        return Inspection::default();
    }
    let elements = Elements { rest, left: Left::of(aggregation) };
    let seen = walk(elements);
    // 4.4: N, the packet is the first of a coded video sequence.
    if aggregation & NEW_SEQUENCE != 0 {
        return Inspection { size: seen.size, ..Inspection::start(true, true) };
    }
    seen
}

/// A sequence header, then the frame it opens; when that frame is in a later packet, the header alone has to do.
fn walk(elements: Elements<'_>) -> Inspection {
    let mut size = None;
    let mut sequence = false;
    let mut frame_start = false;
    for obu in elements.filter_map(Obu::read) {
        if matches!(obu.obu_type, FRAME_HEADER | FRAME) {
            let key_frame = sequence && obu.is_key_frame();
            return Inspection { size, ..Inspection::start(key_frame, frame_start || obu.spatial_id == 0) };
        }
        if obu.obu_type == SEQUENCE_HEADER {
            (sequence, size) = (true, sequence::size(obu.body));
        }
        // 7.5: a temporal delimiter opens a temporal unit, a sequence header at most follows it.
        frame_start |= matches!(obu.obu_type, SEQUENCE_HEADER | TEMPORAL_DELIMITER);
    }
    Inspection { size, ..Inspection::start(sequence, frame_start) }
}

/// An OBU's header (AV1 5.3.2) and what it holds, as far as it is in the packet.
struct Obu<'a> {
    obu_type: u8,
    spatial_id: u8,
    body: &'a [u8],
}

impl<'a> Obu<'a> {
    fn read(element: &'a [u8]) -> Option<Self> {
        let (&header, mut rest) = element.split_first()?;
        let mut spatial_id = 0;
        if header & 0x04 != 0 {
            let (&extension, after) = rest.split_first()?;
            spatial_id = extension >> 3 & 0x03;
            rest = after;
        }
        if header & 0x02 != 0 {
            (_, rest) = leb128(rest)?;
        }
        Some(Self { obu_type: header >> 3 & 0x0f, spatial_id, body: rest })
    }

    /// AV1 5.9.2: show_existing_frame (1 bit), then frame_type (2), where 0 is a key frame.
    fn is_key_frame(&self) -> bool {
        self.body.first().is_none_or(|first| first & 0xe0 == 0)
    }
}

/// The OBU elements of a packet: each behind its size, but for the last of a counted number.
struct Elements<'a> {
    rest: &'a [u8],
    left: Left,
}

#[derive(Clone, Copy)]
enum Left {
    /// W is 0: sizes everywhere, to the end of the packet.
    Uncounted,
    Counted(u8),
}

impl Left {
    fn of(aggregation: u8) -> Self {
        match aggregation >> 4 & 0x03 {
            0 => Self::Uncounted,
            count => Self::Counted(count),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self.left {
            Left::Counted(0) => return None,
            Left::Counted(1) => {
                self.left = Left::Counted(0);
                return Some(self.rest);
            }
            Left::Counted(count) => self.left = Left::Counted(count - 1),
            Left::Uncounted => {}
        }
        let (size, after) = leb128(self.rest)?;
        let (element, rest) = after.split_at_checked(size)?;
        self.rest = rest;
        Some(element)
    }
}

const CONTINUES: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Inspection = Inspection::start(true, true);
    const DELTA: Inspection = Inspection::start(false, true);
    const INSIDE: Inspection = Inspection::start(false, false);

    #[test]
    fn the_n_bit_announces_a_new_sequence() {
        assert_eq!(inspect(&[0x28, 3, 0x08, 0, 0, 0x30, 0x10]), KEY);
        assert_eq!(inspect(&[0x18, 0x08, 0]), KEY);
    }

    #[test]
    fn a_packet_that_continues_starts_nothing() {
        assert_eq!(inspect(&[0x98, 0x08, 0]), INSIDE);
        assert_eq!(inspect(&[0x90, 0x08, 0]), INSIDE);
    }

    #[test]
    fn a_sequence_header_is_found_without_the_n_bit() {
        // W 2: sized sequence header, then a key frame to the end.
        assert_eq!(inspect(&[0x20, 3, 0x08, 0, 0, 0x30, 0x10]), KEY);
        // W 0: every element is sized; the frame is still to come.
        assert_eq!(inspect(&[0x00, 2, 0x08, 0]), KEY);
        // OBUs that carry their own size field, and an extension.
        assert_eq!(inspect(&[0x20, 4, 0x0e, 0x00, 1, 0, 0x32, 1, 0x10]), KEY);
    }

    #[test]
    fn a_sequence_header_before_an_inter_frame_starts_no_key_frame() {
        assert_eq!(inspect(&[0x20, 2, 0x08, 0, 0x30, 0x30]), DELTA);
    }

    #[test]
    fn frames_and_tiles_without_a_sequence_header_are_no_key_frame() {
        assert_eq!(inspect(&[0x10, 0x30, 0x10]), DELTA);
        assert_eq!(inspect(&[0x10, 0x34, 0x08, 0x30]), INSIDE);
        assert_eq!(inspect(&[0x10, 0x20, 0x10]), INSIDE);
    }

    #[test]
    fn cut_packets_say_nothing() {
        for payload in [&[0x18][..], &[0x20, 9, 0x08], &[0x00, 0xff, 0xff, 0xff, 0xff, 0x01], &[0x20, 0x80]] {
            assert_eq!(inspect(payload), INSIDE);
        }
    }
}
