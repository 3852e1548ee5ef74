//! VP9 in RTP (RFC 9628): the payload descriptor.
//!
//! In: a payload without padding. Out: where the frames of each spatial layer start and end, which pictures can be started with, the
//! layers (full SVC and k-SVC alike), and the sizes that the scalability structure gives. Reads only the descriptor, which stays
//! legible when the media behind it is encrypted end to end; the frame's first byte is looked at where the descriptor says nothing
//! at all. Picture ids are shifted, never closed over: in non-flexible mode a receiver knows by them which pictures lean on which.

use super::bits::Bits;
use super::grid::{Grid, Place};
use super::numbers::{self, PictureId, Shift};
use super::{Inspection, Numbers, Packet, Reach, Target, Targets, dependency};

/// The layers of one stream.
#[derive(Debug)]
pub(super) struct Layers {
    grid: Grid,
    structure: Structure,
    /// The packet that brought it.
    since: u64,
    /// Whether payloads are encrypted together with their descriptors.
    is_opaque: bool,
}

impl Layers {
    pub(super) fn new() -> Self {
        Self { grid: Grid::new(), structure: Structure::UNKNOWN, since: 0, is_opaque: false }
    }

    pub(super) fn inspect(&mut self, packet: &Packet<'_>) -> Inspection {
        let Some(descriptor) = Descriptor::read(packet.payload) else { return Inspection::default() };
        let structure = descriptor.structure.filter(|_| packet.sequence >= self.since);
        if let Some(structure) = structure {
            self.since = packet.sequence;
            self.take(structure, descriptor.is_key_picture());
        }
        Inspection {
            key_frame: descriptor.frame_start && descriptor.is_key_picture(),
            frame_start: descriptor.frame_start,
            frame_end: descriptor.frame_end,
            reach: self.reach(&descriptor),
            numbers: descriptor.numbers(),
            size: structure.and_then(|structure| structure.size(descriptor.spatial)),
        }
    }

    /// Whether the payload of a frame that its dependency descriptor tells of says nothing: one that says otherwise is encrypted
    /// together with its own descriptor. Then so are all others, whatever they look like.
    pub(super) fn is_opaque_beside(&mut self, payload: &[u8], told: &dependency::Frame) -> bool {
        let agrees = |own: Descriptor| {
            (own.frame_start, own.frame_end) == (told.start, told.end)
                && (!own.is_layered || own.temporal == told.reach.temporal)
        };
        self.is_opaque |= !Descriptor::read(payload).is_some_and(agrees);
        self.is_opaque
    }

    pub(super) fn targets(&self) -> &[Target] {
        self.grid.targets()
    }

    pub(super) fn active(&self) -> Targets {
        match self.structure.layers {
            0 => Targets::ALL,
            layers => self.grid.below(layers),
        }
    }

    pub(super) fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        self.structure.size(spatial)
    }

    fn take(&mut self, structure: Structure, key_picture: bool) {
        if key_picture {
            self.grid.renew(structure.layers);
        }
        self.grid.grow(structure.layers, structure.temporal);
        // Without Y it says nothing of sizes, which are then as they were.
        let sizes = if structure.sized { structure.sizes } else { self.structure.sizes };
        self.structure = Structure { sizes, ..structure };
    }

    fn reach(&mut self, descriptor: &Descriptor) -> Reach {
        let Descriptor { spatial, temporal, .. } = *descriptor;
        let place = self.grid.place(spatial, temporal);
        let spatial_part = if descriptor.for_own_layer { place.spatial_at() } else { place.spatial_from() };
        let part_of = spatial_part & place.temporal_from();
        Reach {
            part_of: Targets(part_of),
            entry_to: Targets(descriptor.entry_to(place, part_of)),
            decodable_in: Targets(descriptor.decodable_in(place, part_of)),
            spatial,
            temporal,
        }
    }
}

/// Shifts picture id and TL0PICIDX.
pub(super) fn renumber(payload: &mut [u8], by: Shift) {
    let Some(descriptor) = Descriptor::read(payload) else { return };
    numbers::shift(payload, descriptor.picture, descriptor.tl0.map(|(_, at)| at), by);
}

/// RFC 9628 4.2, the fields that matter to a forwarder.
struct Descriptor {
    picture: Option<PictureId>,
    frame_start: bool,
    frame_end: bool,
    /// P: leans on earlier pictures.
    inter_picture: bool,
    /// D: leans on the spatial layer below, in the same picture.
    inter_layer: bool,
    /// Z: no higher spatial layer leans on this frame.
    for_own_layer: bool,
    /// U: from here on higher temporal layers lean on none of their past.
    switching_up: bool,
    /// L: the packet names its layers.
    is_layered: bool,
    spatial: u8,
    temporal: u8,
    /// TL0PICIDX, and where it stands.
    tl0: Option<(u8, usize)>,
    structure: Option<Structure>,
}

impl Descriptor {
    fn read(payload: &[u8]) -> Option<Self> {
        let &first = payload.first()?;
        let mut read = Self::flags(first);
        // Senders that write a bare byte (ffmpeg) leave P out of it, so the frame itself is asked.
        if first & !(BEGINS_FRAME | ENDS_FRAME) == 0 && read.frame_start {
            read.inter_picture = !starts_key_frame(*payload.get(1)?);
        }
        let mut at = 1;
        if first & PICTURE_ID != 0 {
            let picture = PictureId::read(payload, at)?;
            at += picture.len();
            read.picture = Some(picture);
        }
        if first & LAYERS != 0 {
            at = read.layers(payload, at, first & FLEXIBLE != 0)?;
        }
        if first & FLEXIBLE != 0 && first & INTER_PREDICTED != 0 {
            at = behind_references(payload, at)?;
        }
        if first & STRUCTURE != 0 {
            read.structure = Some(Structure::read(payload.get(at..)?)?);
        }
        Some(read)
    }

    const fn flags(first: u8) -> Self {
        Self {
            picture: None,
            frame_start: first & BEGINS_FRAME != 0,
            frame_end: first & ENDS_FRAME != 0,
            inter_picture: first & INTER_PREDICTED != 0,
            inter_layer: false,
            for_own_layer: first & NOT_FOR_UPPER != 0,
            switching_up: false,
            is_layered: first & LAYERS != 0,
            // Without L the frame is the picture's only one.
            spatial: 0,
            temporal: 0,
            tl0: None,
            structure: None,
        }
    }

    /// TID (3 bits), U, SID (3 bits), D; in non-flexible mode TL0PICIDX behind them.
    fn layers(&mut self, payload: &[u8], at: usize, flexible: bool) -> Option<usize> {
        let &byte = payload.get(at)?;
        self.temporal = byte >> 5;
        self.switching_up = byte & 0x10 != 0;
        self.spatial = byte >> 1 & 0x07;
        self.inter_layer = byte & 0x01 != 0;
        if flexible {
            return Some(at + 1);
        }
        self.tl0 = Some((*payload.get(at + 1)?, at + 1));
        Some(at + 2)
    }

    /// P is 0 for a picture that leans on no earlier one. Higher layers of a key picture have P 0 as well, but lean on the lowest
    /// layer, so a start at one of them would not decode.
    const fn is_key_picture(&self) -> bool {
        !self.inter_picture && self.spatial == 0
    }

    fn entry_to(&self, place: Place<'_>, part_of: u32) -> u32 {
        if self.is_key_picture() {
            return part_of;
        }
        // Where nothing of a layer's past is leaned on, nothing can be missing of it, nor of the layers that lean on it in turn.
        if !self.inter_picture {
            return part_of;
        }
        place.spatial_at() & if self.switching_up { place.temporal_from() } else { place.temporal_at() }
    }

    fn decodable_in(&self, place: Place<'_>, part_of: u32) -> u32 {
        match (self.inter_picture, self.inter_layer) {
            (true, _) => part_of,
            (false, true) => place.spatial_from_below() & place.temporal_from(),
            (false, false) => Targets::ALL.0,
        }
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            picture: self.picture.map_or(0, |picture| picture.value),
            picture_bits: self.picture.map_or(0, |picture| picture.bits),
            closes: false,
            tl0: self.tl0.map(|(value, _)| value),
            frame: None,
        }
    }
}

/// VP9 7.2: frame_marker (2 bits), profile (2, and a reserved one for the profile 3), show_existing_frame, frame_type, where 0 is
/// a key frame.
const fn starts_key_frame(first: u8) -> bool {
    let is_shown_anew_or_inter = if first & 0x30 == 0x30 { 0x06 } else { 0x0c };
    first & 0xc0 == 0x80 && first & is_shown_anew_or_inter == 0
}

/// P_DIFF (7 bits) and N, which announces a further one; three at most.
fn behind_references(payload: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..REFERENCES_MAX {
        at += 1;
        if payload.get(at - 1)? & 0x01 == 0 {
            return Some(at);
        }
    }
    None
}

/// The scalability structure, RFC 9628 4.2.1.
#[derive(Clone, Copy, Debug)]
struct Structure {
    /// How many spatial layers there are; 0 when nothing was said yet.
    layers: u8,
    /// How many temporal layers its picture group has; 0 without one.
    temporal: u8,
    sized: bool,
    sizes: [(u16, u16); SPATIAL_MAX],
}

impl Structure {
    const UNKNOWN: Self = Self { layers: 0, temporal: 0, sized: false, sizes: [(0, 0); SPATIAL_MAX] };

    /// N_S (3 bits, one less than there are), Y for sizes, G for a picture group, 3 bits reserved.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(bytes);
        let layers = bits.read(3)? as u8 + 1;
        let sized = bits.flag()?;
        let grouped = bits.flag()?;
        bits.skip(3)?;
        let mut read = Self { layers, sized, ..Self::UNKNOWN };
        if sized {
            for size in read.sizes.iter_mut().take(layers.into()) {
                *size = (bits.read(16)? as u16, bits.read(16)? as u16);
            }
        }
        if grouped {
            read.temporal = temporal_layers(&mut bits)?;
        }
        Some(read)
    }

    fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        let size = self.sizes.get(usize::from(spatial)).filter(|_| spatial < self.layers)?;
        (size.0 > 0 && size.1 > 0).then_some(*size)
    }
}

/// N_G pictures of TID (3 bits), U, R (2 bits) and 2 bits reserved, then R bytes of P_DIFF.
fn temporal_layers(bits: &mut Bits<'_>) -> Option<u8> {
    let pictures = bits.read(8)?;
    let mut layers = 0;
    for _ in 0..pictures {
        layers = layers.max(bits.read(3)? as u8 + 1);
        bits.skip(1)?;
        let references = bits.read(2)? as usize;
        bits.skip(2 + 8 * references)?;
    }
    Some(layers)
}

const SPATIAL_MAX: usize = 8;
const REFERENCES_MAX: usize = 3;

const PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS_FRAME: u8 = 0x08;
const ENDS_FRAME: u8 = 0x04;
const STRUCTURE: u8 = 0x02;
const NOT_FOR_UPPER: u8 = 0x01;

#[cfg(test)]
mod tests;
