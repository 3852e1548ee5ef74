//! The RTP header as one viewer gets it: fixed part and header extensions with that viewer's numbers (RFC 8285).
//!
//! What a publisher sent is collected once per packet into a neutral block, `(extension, length, data)` one behind the
//! other; for each viewer the block is written out in that viewer's `Form`, under the ids it negotiated and with the MID
//! in front. The same packet gives the same bytes for the same viewer every time: repair without RTX depends on it. Where a
//! packet is never repeated so, its header may have room for a transport sequence number, which is another each time.

use arrayvec::ArrayVec;

use crate::id::Mid;
use crate::negotiate::{Extension, Extensions};
use crate::rtp::{FIXED_LEN, Header, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};

/// Bytes of a neutral block. A dependency descriptor with its template structure is the longest guest, below 200.
pub const BLOCK_LEN_MAX: usize = 256;

/// The longest header `write` makes: fixed part, extension head, MID, transport sequence number, and a whole block in the
/// two-byte form, padded.
pub const HEADER_LEN_MAX: usize = FIXED_LEN + 4 + 18 + 4 + BLOCK_LEN_MAX + 3;

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
            block.try_extend_from_slice(data).unwrap_or_default();
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

/// Bytes that a block's elements take in the one-byte form behind a MID of one character and a transport sequence number, as
/// nearly every header of video has them.
pub fn extensions_len(block: &[u8]) -> usize {
    let elements: usize = Elements(block).map(|(_, data)| 1 + data.len()).sum();
    (NUMBER_LEN + 2 + elements).next_multiple_of(4)
}

/// How one outgoing stream dresses its packets: the MID they lead with, whether they are numbered on their transport, and the
/// ids its viewer negotiated.
///
/// Made once per stream. Nearly every packet takes the one-byte form, which is written without looking twice.
#[derive(Clone, Debug)]
pub struct Form {
    /// What leads in the one-byte form, finished: the place of the transport sequence number, and the MID.
    lead: [u8; LEAD_LEN_MAX],
    lead_len: u8,
    is_numbered: bool,
    /// Whether the MID needs the two-byte form.
    long_lead: bool,
    mid: Mid,
    ids: Extensions,
}

/// Bytes of a transport sequence number's element and of the longest MID's, and as many more as make a whole number of words.
const LEAD_LEN_MAX: usize = 24;

/// Bytes that a transport sequence number takes: an element of the two-byte form, or one of the other behind a byte of
/// padding. So it stands at one place in either.
const NUMBER_LEN: usize = 4;
const NUMBER_AT: usize = FIXED_LEN + 4 + 2;

impl Form {
    pub fn new(ids: &Extensions, mid: &Mid) -> Self {
        let mut form = Self {
            lead: [0; LEAD_LEN_MAX],
            lead_len: 0,
            is_numbered: false,
            long_lead: false,
            mid: *mid,
            ids: ids.clone(),
        };
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

    /// The same for a stream whose packets are numbered on their transport, as far as its viewer negotiated that. Each packet
    /// is given its number by [`number`](Self::number).
    pub fn numbered(ids: &Extensions, mid: &Mid) -> Self {
        let mut form = Self::new(ids, mid);
        let Some(id) = ids.id(Extension::TransportSequence).filter(|id| fits(*id, &UNNUMBERED)) else { return form };
        form.is_numbered = true;
        let mid_len = usize::from(form.lead_len);
        form.lead.copy_within(..mid_len, NUMBER_LEN);
        form.lead[0] = 0;
        write_one_byte(id, &UNNUMBERED, &mut form.lead[1..NUMBER_LEN]);
        form.lead_len = (NUMBER_LEN + mid_len) as u8;
        form
    }

    /// Whether packets of this form are numbered on their transport.
    #[inline]
    pub const fn is_numbered(&self) -> bool {
        self.is_numbered
    }

    /// Writes a packet's transport sequence number into the header that `write` made of it. To be called for numbered forms
    /// alone.
    #[inline]
    pub fn number(&self, header: &mut [u8], number: u16) {
        debug_assert!(self.is_numbered, "the header has a place for a number");
        if let Some(slot) = header.get_mut(NUMBER_AT..NUMBER_AT + 2) {
            slot.copy_from_slice(&number.to_be_bytes());
        }
    }

    fn leads_with_mid(&self) -> bool {
        !self.mid.is_empty() && self.ids.id(Extension::Mid).is_some()
    }

    /// Writes a header with the elements of `block`; returns its length, or `None` when `out` is too short.
    /// [`HEADER_LEN_MAX`] bytes are always enough. What lies behind the header may be overwritten, so the payload comes after.
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
        let lead = self.leads_with_mid().then_some((Extension::Mid, self.mid.as_bytes()));
        let number = self.is_numbered.then_some((Extension::TransportSequence, &UNNUMBERED[..]));
        let mut len = 0;
        for (extension, data) in number.into_iter().chain(lead).chain(Elements(block)) {
            let Some(id) = self.ids.id(extension) else { continue };
            let (start, rest) = body.get_mut(len..len + 2 + data.len())?.split_at_mut(2);
            start.copy_from_slice(&[id, data.len() as u8]);
            rest.copy_from_slice(data);
            len += 2 + data.len();
        }
        finish(TWO_BYTE_PROFILE, len, head, body)
    }
}

/// A transport sequence number before it is known.
const UNNUMBERED: [u8; 2] = [0; 2];

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
    // The last word, with zeros for what is too much of it.
    let last = body.get_mut(padded - 4..padded)?.first_chunk_mut::<4>()?;
    *last = (u32::from_be_bytes(*last) & u32::MAX << (8 * (padded - len))).to_be_bytes();
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
    fn a_transport_number_is_written_before_the_mid_in_either_form() {
        let mut block = vec![Extension::DependencyDescriptor as u8, 40];
        block.extend([5; 40]);
        let all = [(Extension::Mid, 2), (Extension::TransportSequence, 7), (Extension::DependencyDescriptor, 3)];
        for (mid, block, expected) in [("a0", &[][..], 2), ("a0", &block[..], 3), ("", &[][..], 1), ("", &block[..], 2)]
        {
            let form = Form::numbered(&ids(&all, true), &Mid::from(mid).unwrap());
            assert!(form.is_numbered());
            let mut out = [0xff; HEADER_LEN_MAX];
            let len = form.write(&fields(), block, &mut out).unwrap();
            form.number(&mut out[..len], 0x1234);
            let elements: Vec<_> = Header::parse(&out[..len]).unwrap().extensions(&out).collect();
            assert_eq!(elements.len(), expected, "{elements:?}");
            assert_eq!(elements[0], (7, &[0x12, 0x34][..]));
            assert!(mid.is_empty() || elements[1] == (2, mid.as_bytes()));
        }
    }

    #[test]
    fn a_form_has_a_transport_number_only_where_it_was_negotiated_and_asked_for() {
        let mid = Mid::from("a").unwrap();
        assert!(!Form::numbered(&ids(&[(Extension::Mid, 2)], true), &mid).is_numbered());
        assert!(!Form::new(&ids(&[(Extension::TransportSequence, 2)], true), &mid).is_numbered());
        let mut out = [0; FIXED_LEN + 4 + LEAD_LEN_MAX];
        let longest = Form::numbered(
            &ids(&[(Extension::Mid, 14), (Extension::TransportSequence, 1)], false),
            &Mid::from("0123456789abcdef").unwrap(),
        );
        let len = longest.write(&fields(), &[], &mut out).unwrap();
        longest.number(&mut out[..len], 9);
        let number = Header::parse(&out).unwrap().extensions(&out).next();
        assert_eq!((len, number), (out.len(), Some((1, &[0, 9][..]))));
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
