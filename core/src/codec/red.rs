//! Redundant audio (RFC 2198): a packet that carries earlier packets again, in front of its own.
//!
//! In: a payload without padding. Out: its blocks, the primary one (what the packet would carry without redundancy), or the same
//! payload with other payload types, in place. A payload whose headers or lengths do not work out is none at all. Knows nothing
//! of what is in the blocks.

/// One block of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub payload_type: u8,
    /// How much earlier than the packet's its timestamp is; 0 for the primary.
    pub offset: u16,
    pub data: &'a [u8],
}

/// The blocks in their order, the oldest first; the last one is the primary.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    /// Headers that are left, the primary's included.
    headers: &'a [u8],
    data: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// `None` when the headers are cut short, or name more bytes than there are.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let redundant = redundant_len(payload)?;
        let (headers, data) = payload.split_at_checked(redundant.headers + PRIMARY_HEADER_LEN)?;
        (redundant.data <= data.len()).then_some(Self { headers, data })
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let &first = self.headers.first()?;
        let Some((header, rest)) = self.headers.split_first_chunk::<HEADER_LEN>().filter(|_| follows(first)) else {
            self.headers = &[];
            return Some(Block { payload_type: first & PAYLOAD_TYPE, offset: 0, data: self.data });
        };
        let (data, after) = self.data.split_at_checked(data_len(header))?;
        (self.headers, self.data) = (rest, after);
        let offset = u16::from_be_bytes([header[1], header[2]]) >> 2;
        Some(Block { payload_type: first & PAYLOAD_TYPE, offset, data })
    }
}

/// What the packet carries itself, without what it repeats.
pub fn primary(payload: &[u8]) -> Option<&[u8]> {
    let redundant = redundant_len(payload)?;
    payload.get(redundant.headers + PRIMARY_HEADER_LEN + redundant.data..)
}

/// Gives each block the payload type that `of` makes of its present one. Says whether the payload could be read; if not, it is as
/// it was.
pub fn retype(payload: &mut [u8], of: impl Fn(u8) -> u8) -> bool {
    let Some(headers) = Blocks::read(payload).map(|blocks| blocks.headers.len()) else { return false };
    for first in payload.iter_mut().take(headers).step_by(HEADER_LEN) {
        *first = *first & FOLLOWS | of(*first & PAYLOAD_TYPE) & PAYLOAD_TYPE;
    }
    true
}

/// Bytes of the headers and of the data of all redundant blocks.
struct Redundant {
    headers: usize,
    data: usize,
}

/// RFC 2198 3: F (1 bit, another block follows), payload type (7), and if one follows, offset (14) and length (10).
fn redundant_len(payload: &[u8]) -> Option<Redundant> {
    let mut rest = payload;
    let mut data = 0;
    while follows(*rest.first()?) {
        let (header, after) = rest.split_first_chunk::<HEADER_LEN>()?;
        data += data_len(header);
        rest = after;
    }
    Some(Redundant { headers: payload.len() - rest.len(), data })
}

const fn follows(first: u8) -> bool {
    first & FOLLOWS != 0
}

const fn data_len(header: &[u8; HEADER_LEN]) -> usize {
    (u16::from_be_bytes([header[2], header[3]]) & 0x03ff) as usize
}

const HEADER_LEN: usize = 4;
const PRIMARY_HEADER_LEN: usize = 1;
const FOLLOWS: u8 = 0x80;
const PAYLOAD_TYPE: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two frames of Opus, 960 and 1920 before, and a third: as Chromium sends them.
    const THREE: [u8; 18] =
        [0xef, 0x1e, 0x00, 0x02, 0xef, 0x0f, 0x00, 0x03, 0x6f, 0xa1, 0xa2, 0xb1, 0xb2, 0xb3, 0xc1, 0xc2, 0xc3, 0xc4];

    #[test]
    fn blocks_come_oldest_first_and_the_primary_takes_the_rest() {
        let blocks: Vec<_> = Blocks::read(&THREE).unwrap().collect();
        let expected = [
            Block { payload_type: 111, offset: 1920, data: &[0xa1, 0xa2] },
            Block { payload_type: 111, offset: 960, data: &[0xb1, 0xb2, 0xb3] },
            Block { payload_type: 111, offset: 0, data: &[0xc1, 0xc2, 0xc3, 0xc4] },
        ];
        assert_eq!(blocks, expected);
        assert_eq!(primary(&THREE), Some(&THREE[14..]));
    }

    #[test]
    fn a_packet_may_repeat_nothing() {
        assert_eq!(primary(&[0x6f, 1, 2]), Some(&[1, 2][..]));
        assert_eq!(Blocks::read(&[0x6f, 1, 2]).unwrap().count(), 1);
        assert_eq!(primary(&[0x6f]), Some(&[][..]));
    }

    #[test]
    fn lengths_that_do_not_work_out_are_no_payload() {
        for len in 0..14 {
            assert!(Blocks::read(&THREE[..len]).is_none(), "{len}");
            assert_eq!(primary(&THREE[..len]), None, "{len}");
        }
        // The last block may be of any length, none included.
        assert_eq!(primary(&THREE[..14]), Some(&[][..]));
    }

    #[test]
    fn payload_types_are_changed_and_nothing_else() {
        let mut payload = THREE;
        assert!(retype(&mut payload, |payload_type| payload_type - 11));
        let mut expected = THREE;
        (expected[0], expected[4], expected[8]) = (0x80 | 100, 0x80 | 100, 100);
        assert_eq!(payload, expected);
        let mut cut = [0xef, 0x1e, 0x00, 0x02, 0x6f, 0xa1];
        assert!(!retype(&mut cut, |_| 0));
        assert_eq!(cut, [0xef, 0x1e, 0x00, 0x02, 0x6f, 0xa1]);
    }

    proptest! {
        #[test]
        fn blocks_lie_side_by_side_and_end_with_the_payload(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let blocks: Option<Vec<_>> = Blocks::read(&payload).map(Iterator::collect);
            prop_assert_eq!(blocks.as_ref().and_then(|blocks| blocks.last()).map(|block| block.data), primary(&payload));
            if let Some(blocks) = blocks {
                let data: Vec<u8> = blocks.iter().flat_map(|block| block.data).copied().collect();
                prop_assert!(payload.ends_with(&data));
                prop_assert_eq!(payload.len(), 4 * blocks.len() - 3 + data.len());
            }
        }

        #[test]
        fn a_payload_survives_other_payload_types(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut changed = payload.clone();
            let readable = retype(&mut changed, |payload_type| payload_type ^ 0x55);
            prop_assert_eq!(readable, Blocks::read(&payload).is_some());
            retype(&mut changed, |payload_type| payload_type ^ 0x55);
            prop_assert_eq!(changed, payload);
        }
    }
}
