//! A simulated encoder: pictures on demand, cut into packets, each with its descriptors and its truth.
//!
//! Numbers start just before they wrap, each encoding's somewhere else.

use super::descriptor::{Described, DescriptorWriter};
use super::frame::Frame;
use super::structure::Structure;
use super::truth::Truth;
use super::{units, vp8, vp9};
use crate::codec::Codec;
use crate::random::Seeded;
use crate::time::Instant;

/// How payloads differ from the usual, which has picture ids of 15 bits and all else that its format can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Usual,
    /// Picture ids of 7 bits.
    ShortIds,
    /// VP8 without picture id and layers, as browsers send it beside a dependency descriptor.
    Bare,
    /// VP9 that names what each picture leans on.
    Flexible,
    /// End to end: of VP8 and H.264 but the headers, of others everything.
    Encrypted,
}

/// What an encoder makes.
#[derive(Clone, Debug)]
pub struct Encoding {
    pub codec: Codec,
    pub structure: Structure,
    pub payload: Payload,
    /// Whether packets carry the dependency descriptor.
    pub described: bool,
    /// Of each spatial layer.
    pub sizes: Vec<(u16, u16)>,
    /// Packets of a frame of the lowest spatial layer; each layer above has as many more. Key pictures have twice as many.
    pub packets: u8,
    /// Bytes of a packet's body.
    pub len: usize,
}

/// A packet before it has its RTP header.
#[derive(Clone, Debug)]
pub struct Packet {
    pub truth: Truth,
    /// The last one of its picture.
    pub marker: bool,
    pub payload: Vec<u8>,
    pub descriptor: Option<Vec<u8>>,
}

/// See the module's description.
#[derive(Debug)]
pub struct Encoder {
    encoding: Encoding,
    index: u8,
    stream: u32,
    next: Frame,
    descriptors: DescriptorWriter,
    next_number: u64,
}

impl Encoder {
    /// The encoder of the encoding of this index in its offer, for the stream of this SSRC.
    pub fn new(encoding: Encoding, index: u8, stream: u32, random: &mut Seeded) -> Self {
        let mut near = |top: u64| (top - random.below(40)) as u16;
        let (number, picture_id, frame_number, tl0) = (near(1 << 15), near(1 << 15), near(1 << 16), near(1 << 8));
        let first = Frame::first(encoding.structure, encoding.sizes.clone());
        Self {
            index,
            stream,
            next: Frame { picture_id: picture_id & 0x7fff, frame_number, tl0: tl0 as u8, ..first },
            descriptors: DescriptorWriter::new(encoding.structure, tl0 as u8, encoding.sizes.clone()),
            // A sequence number wraps soon as well.
            next_number: u64::from(number) + (1 << 15) - 200,
            encoding,
        }
    }

    /// Makes the next picture.
    pub fn encode(&mut self, now: Instant, key: bool) -> Vec<Packet> {
        if key {
            self.next.since_key = 0;
            self.next.key_index = self.next.key_index.wrapping_add(1);
            self.descriptors.renew();
        }
        let next = &mut self.next;
        next.temporal = next.structure.temporal(next.since_key);
        next.sync = next.structure.is_sync(next.since_key);
        next.tl0 = next.tl0.wrapping_add(u8::from(next.temporal == 0));
        let mut packets = Vec::new();
        for spatial in 0..self.encoding.structure.spatial_layers {
            self.next.spatial = spatial;
            self.cut(now, &mut packets);
            self.next.frame += 1;
            self.next.frame_number = self.next.frame_number.wrapping_add(1);
        }
        self.next.picture += 1;
        self.next.since_key += 1;
        self.next.picture_id = (self.next.picture_id + 1) & 0x7fff;
        if let Some(last) = packets.last_mut() {
            last.marker = true;
        }
        packets
    }

    /// Cuts a frame into packets.
    fn cut(&mut self, now: Instant, packets: &mut Vec<Packet>) {
        let usual = self.encoding.packets + self.next.spatial;
        let of = if self.next.since_key == 0 { 2 * usual } else { usual };
        for at in 0..of {
            let truth = Truth {
                stream: self.stream,
                number: self.next_number,
                sent: now,
                encoding: self.index,
                picture: self.next.picture,
                since_key: self.next.since_key,
                frame: self.next.frame,
                spatial: self.next.spatial,
                temporal: self.next.temporal,
                at,
                of,
                size: self.next.size(),
                references: self.next.references(),
                encrypted: self.encoding.payload == Payload::Encrypted,
            };
            // Encoders do not fill packets to the last byte.
            let body = truth.write(self.encoding.len + (self.next_number % 3) as usize);
            let mut payload = self.payload_descriptor(&truth);
            payload.extend(head(self.encoding.codec, &truth, body.len()));
            hide(self.encoding.codec, &truth, &mut payload);
            payload.extend(body);
            let descriptor = self.encoding.described.then(|| self.descriptor(&truth));
            packets.push(Packet { truth, marker: false, payload, descriptor });
            self.next_number += 1;
        }
    }

    fn payload_descriptor(&self, truth: &Truth) -> Vec<u8> {
        match self.encoding.codec {
            Codec::Vp8 => vp8::write(&self.next, self.encoding.payload, truth.at == 0),
            Codec::Vp9 => vp9::write(&self.next, self.encoding.payload, (truth.at == 0, truth.is_last())),
            _ => Vec::new(),
        }
    }

    fn descriptor(&self, truth: &Truth) -> Vec<u8> {
        self.descriptors.write(&Described {
            place: (truth.since_key, truth.spatial),
            number: self.next.frame_number,
            starts: truth.at == 0,
            ends: truth.is_last(),
            custom: truth.frame % 7 == 3,
        })
    }
}

/// What stands between a payload's descriptor and its body.
pub(super) fn head(codec: Codec, truth: &Truth, body_len: usize) -> Vec<u8> {
    match codec {
        Codec::Vp8 => vp8::head(truth.since_key == 0, truth.at == 0, truth.size),
        Codec::H264 => units::h264(truth, body_len),
        Codec::H265 => units::h265(truth, body_len),
        Codec::Av1 => units::av1(truth),
        _ => Vec::new(),
    }
}

/// Encrypts what stands before the body, if the truth says so, or makes it legible again.
pub(super) fn hide(codec: Codec, truth: &Truth, before: &mut [u8]) {
    let clear = match codec {
        // RFC 7741 4.3: behind the descriptor three bytes of header.
        Codec::Vp8 => vp8::read(before).map_or(0, |(_, len)| len + 3),
        Codec::H264 => units::h264_header_len(truth),
        _ => 0,
    };
    let mut key = Seeded::new(truth.number ^ 0x5ec2e7);
    let hidden = before.iter_mut().skip(clear).filter(|_| truth.encrypted);
    hidden.for_each(|byte| *byte ^= key.next_u64() as u8);
}
