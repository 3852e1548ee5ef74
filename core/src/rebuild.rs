//! The RTP header as one viewer gets it: fixed part and header extensions with that viewer's numbers (RFC 8285).
//!
//! What a publisher sent is collected once per packet into a neutral block, `(extension, length, data)` one behind the
//! other; for each viewer the block is written out in that viewer's `Form`, under the ids it negotiated and with the MID
//! in front. The same packet gives the same bytes for the same viewer every time: repair without RTX depends on it.

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

/// The data of an element of a block.
pub fn element(block: &[u8], wanted: Extension) -> Option<&[u8]> {
    Elements(block).find(|(extension, _)| *extension == wanted).map(|(_, data)| data)
}

/// Where the data of an element lies in a block.
pub fn place_of(block: &[u8], wanted: Extension) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    for (extension, data) in Elements(block) {
        let start = at + 2;
        at = start + data.len();
        if extension == wanted {
            return Some(start..at);
        }
    }
    None
}

/// Bytes that a block's elements take in the one-byte form behind a MID of one character, as nearly every header has them.
pub fn extensions_len(block: &[u8]) -> usize {
    let elements: usize = Elements(block).map(|(_, data)| 1 + data.len()).sum();
    (2 + elements).next_multiple_of(4)
}

/// How one outgoing stream dresses its packets: the MID they lead with, and the ids its viewer negotiated.
///
/// Made once per stream. Nearly every packet takes the one-byte form, which is written without looking twice.
#[derive(Clone, Debug)]
pub struct Form {
    /// The MID as a finished element of the one-byte form.
    lead: [u8; LEAD_LEN_MAX],
    lead_len: u8,
    /// Whether the MID needs the two-byte form.
    long_lead: bool,
    mid: Mid,
    ids: Extensions,
}

/// Bytes of a MID element in the one-byte form, and as many more as make a whole number of words.
const LEAD_LEN_MAX: usize = 20;

impl Form {
    pub fn new(ids: &Extensions, mid: &Mid) -> Self {
        let mut form = Self { lead: [0; LEAD_LEN_MAX], lead_len: 0, long_lead: false, mid: *mid, ids: ids.clone() };
        let Some(id) = ids.id(Extension::Mid).filter(|_| !mid.is_empty()) else { return form };
        match form.lead.get_mut(..=mid.len()).filter(|_| fits(id, mid.as_bytes())) {
            Some(lead) => {
                write_one_byte(id, mid.as_bytes(), lead);
                form.lead_len = lead.len() as u8;
            }
            None => form.long_lead = true,
        }
        form
    }

    /// Writes a header with the elements of `block`; returns its length, or `None` when `out` is too short.
    /// [`HEADER_LEN_MAX`] bytes are always enough.
    #[inline]
    pub fn write(&self, fields: &Fields, block: &[u8], out: &mut [u8]) -> Option<usize> {
        let (fixed, rest) = out.split_first_chunk_mut::<FIXED_LEN>()?;
        let extension_len = self.write_extensions(block, rest)?;
        let [s0, s1] = fields.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = fields.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = fields.ssrc.to_be_bytes();
        let flags = 0x80 | u8::from(fields.padded) << 5 | u8::from(extension_len > 0) << 4;
        let marked = u8::from(fields.marker) << 7 | (fields.payload_type & 0x7f);
        *fixed = [flags, marked, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3];
        Some(FIXED_LEN + extension_len)
    }

    #[inline]
    fn write_extensions(&self, block: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.needs_two_bytes(block) {
            return self.write_long(block, out);
        }
        if self.lead_len == 0 && block.is_empty() {
            return Some(0);
        }
        let (head, body) = out.split_first_chunk_mut::<4>()?;
        body.first_chunk_mut::<LEAD_LEN_MAX>()?.copy_from_slice(&self.lead);
        let mut len = usize::from(self.lead_len);
        for (extension, data) in Elements(block) {
            // RFC 8285 4.1.2: without extmap-allow-mixed a stream stays in the one-byte form, so what needs two is left out.
            let Some(id) = self.ids.id(extension).filter(|id| fits(*id, data)) else { continue };
            let end = len + 1 + data.len();
            write_one_byte(id, data, body.get_mut(len..end)?);
            len = end;
        }
        finish(ONE_BYTE_PROFILE, len, head, body)
    }

    /// Whether the packet has an element for which the one-byte form is too small, and may take the other.
    #[inline]
    fn needs_two_bytes(&self, block: &[u8]) -> bool {
        let too_long = |(extension, data): (Extension, &[u8])| self.ids.id(extension).is_some_and(|id| !fits(id, data));
        self.ids.mixed && (self.long_lead || Elements(block).any(too_long))
    }

    fn write_long(&self, block: &[u8], out: &mut [u8]) -> Option<usize> {
        let (head, body) = out.split_first_chunk_mut::<4>()?;
        let lead = (!self.mid.is_empty()).then_some((Extension::Mid, self.mid.as_bytes()));
        let mut len = 0;
        for (extension, data) in lead.into_iter().chain(Elements(block)) {
            let Some(id) = self.ids.id(extension) else { continue };
            let (start, rest) = body.get_mut(len..len + 2 + data.len())?.split_at_mut(2);
            start.copy_from_slice(&[id, data.len() as u8]);
            rest.copy_from_slice(data);
            len += 2 + data.len();
        }
        finish(TWO_BYTE_PROFILE, len, head, body)
    }
}

/// RFC 8285 4.2: what the one-byte form can hold.
const fn fits(id: u8, data: &[u8]) -> bool {
    id <= ONE_BYTE_ID_MAX && data.len() <= ONE_BYTE_LEN_MAX && !data.is_empty()
}

/// Writes an element that fits into `out`, which is one byte longer than the data.
#[inline]
fn write_one_byte(id: u8, data: &[u8], out: &mut [u8]) {
    if let Some((first, rest)) = out.split_first_mut() {
        *first = id << 4 | (data.len() - 1) as u8;
        rest.copy_from_slice(data);
    }
}

/// Pads the elements in `body[..len]` to whole words and writes the head before them; returns the length of both.
#[inline]
fn finish(profile: u16, len: usize, head: &mut [u8; 4], body: &mut [u8]) -> Option<usize> {
    if len == 0 {
        return Some(0);
    }
    let padded = len.next_multiple_of(4);
    for byte in body.get_mut(len..padded)? {
        *byte = 0;
    }
    let ([p0, p1], [w0, w1]) = (profile.to_be_bytes(), ((padded / 4) as u16).to_be_bytes());
    *head = [p0, p1, w0, w1];
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
        let form = Form::new(&to, &Mid::from("a0").unwrap());
        let len = form.write(&fields(), &block, &mut out).unwrap();
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
            let len = Form::new(&to, &Mid::new()).write(&fields(), &block, &mut out).unwrap();
            let rebuilt = Header::parse(&out[..len]).unwrap();
            assert_eq!(rebuilt.extensions(&out).count(), expected);
        }
    }

    #[test]
    fn an_element_of_a_block_is_found_where_it_lies() {
        let block = [Extension::AudioLevel as u8, 1, 0x7f, Extension::DependencyDescriptor as u8, 3, 1, 2, 3];
        assert_eq!(element(&block, Extension::DependencyDescriptor), Some(&[1, 2, 3][..]));
        assert_eq!(place_of(&block, Extension::DependencyDescriptor), Some(5..8));
        assert_eq!((place_of(&block, Extension::AudioLevel), place_of(&block, Extension::Mid)), (Some(2..3), None));
    }

    #[test]
    fn no_extension_means_no_extension_header() {
        let mut out = [0; FIXED_LEN + 4];
        let form = Form::new(&Extensions::default(), &Mid::new());
        assert_eq!(form.write(&fields(), &[], &mut out), Some(FIXED_LEN));
        assert_eq!(out[0], 0x80);
    }
}
