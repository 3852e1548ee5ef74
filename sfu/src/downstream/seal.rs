//! From a stored packet to the sealed one of a viewer.
//!
//! Nearly every packet is sealed from the ring straight into the egress, cipher and copy in one pass. One whose descriptor has
//! to be renumbered, or whose redundant blocks have other payload types, is copied into the egress first and sealed there; in
//! place of one that is not for the viewer goes padding.
//! Invariant: `Numbered` is a function of the packet and its leg, and says everything that the bytes depend on, so that a
//! number is only ever sealed with the same content.

use std::num::NonZeroU8;

use tidewire_core::codec::{self, Codec, Shift};
use tidewire_core::count::Discard;
use tidewire_core::machine::Egress;
use tidewire_core::negotiate::Extension;
use tidewire_core::rebuild::{self, BLOCK_LEN_MAX, Fields, HEADER_LEN_MAX};
use tidewire_core::ring::Stored;

use super::Way;
use super::course::{Mapped, fields};
use super::red::Redundancy;
use super::stream::Stream;
use super::trail::Leg;
use crate::departures::Departures;

/// RFC 3550 5.1: one byte of padding, which counts itself.
const PADDING: [u8; 1] = [1];

/// A packet under a stream's numbers.
pub(super) struct Numbered {
    pub(super) sequence: u64,
    pub(super) fields: Fields,
    pub(super) rtx_payload_type: Option<u8>,
    pub(super) shift: Shift,
    codec: Codec,
    redundancy: Redundancy,
    /// Whether padding goes in its place.
    pub(super) is_filler: bool,
}

impl Numbered {
    /// `ssrc`, payload types and codec are the stream's for this packet.
    pub(super) fn new(leg: &Leg, packet: &Stored<'_>, outgoing: u64, to: (u32, Mapped, Codec, Redundancy)) -> Self {
        let (ssrc, format, codec, redundancy) = to;
        let is_filler = !packet.meta.reach.part_of.has(leg.target);
        let whole = fields(packet, outgoing, ssrc, leg.timestamp_offset, leg.last_spatial(), format);
        Self {
            sequence: outgoing,
            fields: if is_filler { Fields { marker: false, padded: true, ..whole } } else { whole },
            rtx_payload_type: format.rtx.map(NonZeroU8::get),
            shift: leg.shift,
            codec,
            redundancy,
            is_filler,
        }
    }

    /// Whether anything in the payload or in the extensions is another than the publisher's.
    fn is_rewritten(&self) -> bool {
        self.shift != Shift::NONE || matches!(self.redundancy, Redundancy::Retyped { .. })
    }
}

impl Stream {
    /// Seals a packet under its own numbers: the same bytes each time.
    pub(super) fn seal<E: Egress>(
        &self,
        numbered: &Numbered,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<usize, Discard> {
        if numbered.is_filler {
            let filler = Stored { extensions: &[], payload: &[], body: &PADDING, ..*packet };
            return self.seal_whole(numbered.sequence, &numbered.fields, &filler, way);
        }
        let packet = &numbered.redundancy.cut(packet)?;
        if numbered.is_rewritten() {
            self.seal_rewritten(numbered, packet, way)
        } else {
            self.seal_whole(numbered.sequence, &numbered.fields, packet, way)
        }
    }

    /// Seals a packet as its publisher wrote it, behind a header of ours.
    #[inline]
    pub(super) fn seal_whole<E: Egress>(
        &self,
        outgoing: u64,
        fields: &Fields,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<usize, Discard> {
        let tail_len = packet.body.len() + way.outbound.rtp_overhead();
        let out = way.egress.reserve(&way.path, HEADER_LEN_MAX + tail_len).ok_or(Discard::EgressFull)?;
        let header_len = self.write_header(fields, packet.extensions, out)?;
        Departures::number(way.departures.as_deref(), &self.form, out);
        let out = out.get_mut(..header_len + tail_len).ok_or(Discard::TooLarge)?;
        let len = way.outbound.seal_rtp(outgoing, header_len, packet.body, out)?;
        way.commit(&self.form, len);
        Ok(len)
    }

    fn seal_rewritten<E: Egress>(
        &self,
        numbered: &Numbered,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<usize, Discard> {
        let tail_len = packet.body.len() + way.outbound.rtp_overhead();
        let out = way.egress.reserve(&way.path, HEADER_LEN_MAX + tail_len).ok_or(Discard::EgressFull)?;
        let header_len = self.write_renumbered(numbered, &numbered.fields, (&[], packet.body), packet, out)?;
        Departures::number(way.departures.as_deref(), &self.form, out);
        let out = out.get_mut(..header_len + tail_len).ok_or(Discard::TooLarge)?;
        let len = way.outbound.seal_rtp_in_place(numbered.sequence, header_len, packet.body.len(), out)?;
        way.commit(&self.form, len);
        Ok(len)
    }

    /// RFC 4588 4: the original sequence number, then the original payload, in a stream of its own. What was padding is the
    /// number alone.
    pub(super) fn retransmit<E: Egress>(
        &mut self,
        (ssrc, payload_type): (u32, u8),
        original: &Numbered,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<(), Discard> {
        let packet = &original.redundancy.cut(packet)?;
        let (extensions, payload): (&[u8], &[u8]) =
            if original.is_filler { (&[], &[]) } else { (packet.extensions, packet.payload) };
        let again = Stored { extensions, payload, body: payload, ..*packet };
        let body_len = 2 + payload.len();
        let overhead = way.outbound.rtp_overhead();
        let out = way.egress.reserve(&way.path, HEADER_LEN_MAX + body_len + overhead).ok_or(Discard::EgressFull)?;
        let fields = Fields { payload_type, ssrc, sequence: self.rtx_next as u16, padded: false, ..original.fields };
        let osn = (original.sequence as u16).to_be_bytes();
        let header_len = self.write_renumbered(original, &fields, (&osn, payload), &again, out)?;
        Departures::number(way.departures.as_deref(), &self.form, out);
        let out = out.get_mut(..header_len + body_len + overhead).ok_or(Discard::TooLarge)?;
        let len = way.outbound.seal_rtp_in_place(self.rtx_next, header_len, body_len, out)?;
        self.rtx_next += 1;
        way.commit(&self.form, len);
        Ok(())
    }

    /// Writes a header, what is to lie between, and the body, with what has to be another number for this viewer; returns the
    /// header's length. The header comes first, and once: its front is written in one piece that may reach beyond it.
    fn write_renumbered(
        &self,
        numbered: &Numbered,
        fields: &Fields,
        (between, body): (&[u8], &[u8]),
        packet: &Stored<'_>,
        out: &mut [u8],
    ) -> Result<usize, Discard> {
        let mut copy = [0; BLOCK_LEN_MAX];
        let extensions = shifted(numbered, packet.extensions, &mut copy)?;
        let header_len = self.write_header(fields, extensions, out)?;
        let rest = out.get_mut(header_len..).ok_or(Discard::TooLarge)?;
        let (front, rest) = rest.split_at_mut_checked(between.len()).ok_or(Discard::TooLarge)?;
        front.copy_from_slice(between);
        rest.get_mut(..body.len()).ok_or(Discard::TooLarge)?.copy_from_slice(body);
        let payload = rest.get_mut(..packet.payload.len()).ok_or(Discard::TooLarge)?;
        numbered.redundancy.retype(payload);
        if numbered.shift != Shift::NONE {
            codec::renumber(numbered.codec, payload, None, numbered.shift);
        }
        Ok(header_len)
    }

    /// Writes a packet's header with this viewer's extension ids; returns its length.
    #[inline]
    fn write_header(&self, fields: &Fields, extensions: &[u8], out: &mut [u8]) -> Result<usize, Discard> {
        self.form.write(fields, extensions, out).ok_or(Discard::TooLarge)
    }
}

/// The extensions with the dependency descriptor's number shifted: in a copy, where there is one to shift.
fn shifted<'a>(
    numbered: &Numbered,
    extensions: &'a [u8],
    copy: &'a mut [u8; BLOCK_LEN_MAX],
) -> Result<&'a [u8], Discard> {
    let place = rebuild::place_of(extensions, Extension::DependencyDescriptor);
    let Some(place) = place.filter(|_| numbered.shift != Shift::NONE) else { return Ok(extensions) };
    let block = copy.get_mut(..extensions.len()).ok_or(Discard::TooLarge)?;
    block.copy_from_slice(extensions);
    codec::renumber(numbered.codec, &mut [], block.get_mut(place), numbered.shift);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use tidewire_core::codec::{Codec, Kind};
    use tidewire_core::id::Mid;
    use tidewire_core::negotiate::{Cname, Extensions, Feedback, Format, Media, Source, Spec};
    use tidewire_core::random::Seeded;
    use tidewire_core::ring::Meta;

    use super::*;
    use crate::command::{Carried, PublicationId};

    fn stream() -> Stream {
        let spec = Spec { codec: Codec::Av1, clock_rate: 90_000, channels: 1, parameters: String::new() };
        let feedback = Feedback { transport_cc: true, ..Feedback::default() };
        let mut extensions = Extensions::default();
        [(Extension::Mid, 1), (Extension::TransportSequence, 2), (Extension::DependencyDescriptor, 3)]
            .into_iter()
            .for_each(|(extension, id)| extensions.bind(extension, id));
        let media = Media {
            mid: Mid::from("v").unwrap(),
            kind: Kind::Video,
            formats: vec![Format { payload_type: 96, spec, rtx: Some(97), feedback }],
            extensions,
            sources: vec![Source { primary: 7, rtx: Some(8) }],
            rids: Vec::new(),
        };
        let carried = Carried {
            publication: PublicationId(0),
            cname: Cname::new(),
            media,
            wish: tidewire_core::message::quality::Wish::default(),
        };
        Stream::new(carried, &mut Seeded::new(1)).unwrap()
    }

    #[test]
    fn a_descriptor_is_renumbered_and_the_payload_behind_its_header_stays() {
        let fields = Fields { marker: false, payload_type: 96, sequence: 1, timestamp: 2, ssrc: 7, padded: false };
        let shift = Shift { frame: 5, ..Shift::NONE };
        let numbered = Numbered {
            sequence: 1,
            fields,
            rtx_payload_type: Some(97),
            shift,
            codec: Codec::Av1,
            is_filler: false,
            redundancy: Redundancy::Kept,
        };
        // Start and end of a frame, template 0, frame number 0x0102.
        let block = [Extension::DependencyDescriptor as u8, 3, 0xc0, 1, 2];
        let payload = [0xee; 64];
        let packet =
            Stored { sequence: 9, meta: Meta::default(), extensions: &block, payload: &payload, body: &payload };
        let mut out = [0x55; HEADER_LEN_MAX + 64];
        let len = stream().write_renumbered(&numbered, &fields, (&[], &payload), &packet, &mut out).unwrap();
        assert_eq!(&out[len..len + 64], &payload);
        let header = tidewire_core::rtp::Header::parse(&out[..len]).unwrap();
        assert_eq!((header.len, header.extensions(&out).last()), (len, Some((3, &[0xc0, 1, 7][..]))));
    }
}
