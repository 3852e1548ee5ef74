//! The RTP header as one viewer gets it: fixed part and header extensions with that viewer's numbers (RFC 8285).
//!
//! What a publisher sent is collected once per packet into a neutral block, `(extension, length, data)` one behind the
//! other; for each viewer the block is written out under the ids that viewer negotiated, with the MID in front. The
//! same packet gives the same bytes for the same viewer every time: repair without RTX depends on it.

use arrayvec::ArrayVec;

use crate::id::Mid;
use crate::negotiate::{Extension, Extensions};
use crate::rtp::{FIXED_LEN, Header, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};

/// Bytes of a neutral block. A dependency descriptor with its template structure is the longest guest, below 200.
pub const BLOCK_LEN_MAX: usize = 256;

/// The longest header `write` makes: fixed part, extension head, MID, and a whole block in the two-byte form, padded.
pub const HEADER_LEN_MAX: usize = FIXED_LEN + 4 + 18 + BLOCK_LEN_MAX + 3;

/// The longest element and the largest id of the one-byte form (RFC 8285 4.2).
const ONE_BYTE_LEN_MAX: usize = 16;
const ONE_BYTE_ID_MAX: u8 = 14;

/// The numbers of an outgoing packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub padded: bool,
}

/// Extensions that speak of the media and so go on to viewers; the others speak of one hop only.
const fn passes(extension: Extension) -> bool {
    match extension {
        Extension::AudioLevel
        | Extension::AbsCaptureTime
        | Extension::VideoOrientation
        | Extension::PlayoutDelay
        | Extension::VideoContentType
        | Extension::VideoTiming
        | Extension::ColorSpace
        | Extension::DependencyDescriptor => true,
        Extension::Mid
        | Extension::Rid
        | Extension::RepairedRid
        | Extension::AbsSendTime
        | Extension::TransportSequence
        | Extension::VideoLayersAllocation => false,
    }
}

/// Collects what is passed on from a publisher's packet. An element that finds no room is left out.
pub fn collect(header: &Header, packet: &[u8], ids: &Extensions) -> ArrayVec<u8, BLOCK_LEN_MAX> {
    let mut block = ArrayVec::new();
    for (id, data) in header.extensions(packet) {
        let Some(extension) = ids.of(id).filter(|extension| passes(*extension)) else { continue };
        if block.remaining_capacity() >= 2 + data.len() {
            block.push(extension as u8);
            block.push(data.len() as u8);
            // Cannot fail: the room was checked, element lengths fit a byte.
            block.extend(data.iter().copied());
        }
    }
    block
}

/// Writes a header; returns its length, or `None` when `out` is too short.
pub fn write(fields: &Fields, block: &[u8], ids: &Extensions, mid: &Mid, out: &mut [u8]) -> Option<usize> {
    let (fixed, rest) = out.split_first_chunk_mut::<FIXED_LEN>()?;
    let extension_len = write_extensions(block, ids, mid, rest)?;
    fixed[0] = 0x80 | if fields.padded { 0x20 } else { 0 } | if extension_len > 0 { 0x10 } else { 0 };
    fixed[1] = if fields.marker { 0x80 } else { 0 } | (fields.payload_type & 0x7f);
    fixed[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
    fixed[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
    fixed[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
    Some(FIXED_LEN + extension_len)
}

/// The elements of one outgoing packet: the MID first, then the block's under the viewer's ids.
fn elements<'a>(block: &'a [u8], ids: &'a Extensions, mid: &'a Mid) -> impl Iterator<Item = (u8, &'a [u8])> + Clone {
    let first = ids.id(Extension::Mid).filter(|_| !mid.is_empty()).map(|id| (id, mid.as_bytes()));
    first.into_iter().chain(Elements(block).filter_map(|(extension, data)| Some((ids.id(extension)?, data))))
}

fn write_extensions(block: &[u8], ids: &Extensions, mid: &Mid, out: &mut [u8]) -> Option<usize> {
    let fits = |(id, data): &(u8, &[u8])| *id <= ONE_BYTE_ID_MAX && (1..=ONE_BYTE_LEN_MAX).contains(&data.len());
    let all = elements(block, ids, mid);
    // RFC 8285 4.1.2: without extmap-allow-mixed a stream stays in the one-byte form, so what needs two is left out.
    let two_byte = ids.mixed && !all.clone().all(|element| fits(&element));
    let (head, body) = out.split_first_chunk_mut::<4>()?;
    let mut len = 0;
    for (id, data) in all.filter(|element| two_byte || fits(element)) {
        let end = len + if two_byte { 2 } else { 1 } + data.len();
        let slot = body.get_mut(len..end)?;
        if two_byte {
            slot[..2].copy_from_slice(&[id, data.len() as u8]);
        } else {
            slot[0] = id << 4 | (data.len() - 1) as u8;
        }
        let data_at = slot.len() - data.len();
        slot[data_at..].copy_from_slice(data);
        len = end;
    }
    if len == 0 {
        return Some(0);
    }
    let padded = len.next_multiple_of(4);
    body.get_mut(len..padded)?.fill(0);
    head[..2].copy_from_slice(&if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE }.to_be_bytes());
    head[2..].copy_from_slice(&((padded / 4) as u16).to_be_bytes());
    Some(4 + padded)
}

/// Walks a neutral block.
#[derive(Clone, Debug)]
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (Extension, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([extension, len], rest) = self.0.split_first_chunk::<2>()?;
        let (data, rest) = rest.split_at_checked(usize::from(*len))?;
        self.0 = rest;
        Some((*Extension::ALL.get(usize::from(*extension))?, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(pairs: &[(Extension, u8)], mixed: bool) -> Extensions {
        let mut ids = Extensions::default();
        ids.mixed = mixed;
        for (extension, id) in pairs {
            ids.bind(*extension, *id);
        }
        ids
    }

    fn fields() -> Fields {
        Fields { marker: true, payload_type: 96, sequence: 7, timestamp: 8, ssrc: 9, padded: false }
    }

    #[test]
    fn ids_are_translated_and_hops_own_extensions_stay_behind() {
        let from = ids(&[(Extension::AudioLevel, 1), (Extension::TransportSequence, 3), (Extension::Mid, 4)], false);
        let to = ids(&[(Extension::AudioLevel, 9), (Extension::Mid, 2), (Extension::TransportSequence, 3)], false);
        let packet = [
            0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, // fixed
            0xbe, 0xde, 0, 2, 0x10, 0x7f, 0x31, 0, 5, 0x40, b'x', 0,
        ];
        let header = Header::parse(&packet).unwrap();
        let block = collect(&header, &packet, &from);
        let mut out = [0xff; HEADER_LEN_MAX];
        let len = write(&fields(), &block, &to, &Mid::from("a0").unwrap(), &mut out).unwrap();
        let rebuilt = Header::parse(&out[..len]).unwrap();
        assert_eq!((rebuilt.len, rebuilt.sequence, rebuilt.ssrc, rebuilt.marker), (len, 7, 9, true));
        assert_eq!(rebuilt.extensions(&out).collect::<Vec<_>>(), [(2, &b"a0"[..]), (9, &[0x7f][..])]);
    }

    #[test]
    fn a_long_element_takes_the_two_byte_form_only_where_forms_may_mix() {
        let mut block = vec![Extension::DependencyDescriptor as u8, 40];
        block.extend([5; 40]);
        let mut out = [0; HEADER_LEN_MAX];
        for (mixed, expected) in [(true, 1), (false, 0)] {
            let to = ids(&[(Extension::DependencyDescriptor, 3)], mixed);
            let len = write(&fields(), &block, &to, &Mid::new(), &mut out).unwrap();
            let rebuilt = Header::parse(&out[..len]).unwrap();
            assert_eq!(rebuilt.extensions(&out).count(), expected);
        }
    }

    #[test]
    fn no_extension_means_no_extension_header() {
        let mut out = [0; FIXED_LEN + 4];
        assert_eq!(write(&fields(), &[], &Extensions::default(), &Mid::new(), &mut out), Some(FIXED_LEN));
        assert_eq!(out[0], 0x80);
    }
}
