//! Which packets of an encoding are for whom: one small machine per stream, fed with each packet once, whatever the viewers.
//!
//! A *decode target* is what a viewer can be given of an encoding: all frames up to a spatial and a temporal layer (AV1 payload
//! format, A.1). For each packet the machine says of which targets its frame is a part, which targets can be entered with it,
//! and who is able to decode it. With that a viewer's choice is a bit in a set, the same for every codec: forward what is part
//! of its target; turn from one target to another at a frame that is an entry to the new one and can be decoded in the old.
//! Nothing here knows viewers.
//!
//! Each codec's machine stands in its file; this one picks. A dependency descriptor that can be read goes before the payload, but
//! for the numbers, which stand in both.

use super::dependency::{self, Dependency};
use super::{Codec, Inspection, av1, h264, h265, vp8, vp9};

/// Targets of one encoding at most: a set of them is a word. The dependency descriptor allows as many.
pub const TARGETS_MAX: usize = 32;

/// All frames up to these layers, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub spatial: u8,
    pub temporal: u8,
}

/// A set of decode targets: bit n stands for the target of that index in [`Layering::targets`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets(pub u32);

impl Targets {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u32::MAX);

    /// Whether the target of this index is in the set.
    #[inline]
    pub const fn has(self, index: u8) -> bool {
        self.0 >> (index & 31) & 1 != 0
    }
}

/// For whom a packet is. Bits beyond the targets that there are say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The targets that its frame is a part of.
    pub part_of: Targets,
    /// The targets that can be entered with its frame, at the frame's first packet: from there on all frames of such a target can
    /// be decoded, if this one can. A frame that starts the stream anew is an entry to all that it is part of.
    pub entry_to: Targets,
    /// The targets whose viewers can decode its frame, having had all frames of their target.
    pub decodable_in: Targets,
    pub spatial: u8,
    pub temporal: u8,
}

impl Reach {
    /// Of an encoding with one target.
    pub const LONE: Self =
        Self { part_of: Targets::ALL, entry_to: Targets::NONE, decodable_in: Targets::ALL, spatial: 0, temporal: 0 };
    /// Of a frame that starts the stream anew.
    pub const START: Self = Self { entry_to: Targets::ALL, ..Self::LONE };
}

/// A packet, as a layering looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Extended sequence number. Packets may come late, and some never come.
    pub sequence: u64,
    pub marker: bool,
    /// Without padding.
    pub payload: &'a [u8],
    /// The dependency descriptor (a header extension), where it was negotiated and is there. What it says goes before what
    /// the payload says, which may be encrypted end to end.
    pub descriptor: Option<&'a [u8]>,
}

/// The layers of one stream in one codec.
#[derive(Debug)]
pub struct Layering {
    codec: Codec,
    described: Described,
    /// Boxed when the first template structure comes, since few streams have one.
    dependency: Option<Box<Dependency>>,
}

/// What the payload format itself says of layers.
#[derive(Debug)]
enum Described {
    Vp8(vp8::Layers),
    Vp9(vp9::Layers),
    /// Formats that name no layers: what is kept is the size, and from which packet on it holds.
    Not {
        size: Option<(u16, u16)>,
        since: u64,
        led: Led,
    },
}

impl Layering {
    pub fn new(codec: Codec) -> Self {
        let described = match codec {
            Codec::Vp8 => Described::Vp8(vp8::Layers::new()),
            Codec::Vp9 => Described::Vp9(vp9::Layers::new()),
            Codec::Opus
            | Codec::Red
            | Codec::Pcmu
            | Codec::Pcma
            | Codec::G722
            | Codec::H264
            | Codec::H265
            | Codec::Av1 => Described::Not { size: None, since: 0, led: Led(2) },
        };
        Self { codec, described, dependency: None }
    }

    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Looks at a packet, in the order of arrival.
    pub fn inspect(&mut self, packet: &Packet<'_>) -> Inspection {
        let Some(frame) = self.read_descriptor(packet) else {
            let seen = self.inspect_payload(packet);
            // Bits of the payload's own targets would mean others among those of the descriptors, which may be still to come.
            let described = self.dependency.is_some() || packet.descriptor.is_some();
            return if described { seen.without_layers() } else { seen };
        };
        frame.inspection(self.inspect_beside(packet, &frame))
    }

    /// The targets that there are, one at least: in the order of the dependency descriptors, else the lowest first and then as they
    /// appeared, so compare them, not their indices. An index keeps its meaning until the next key frame; new ones may be added
    /// behind.
    pub fn targets(&self) -> &[Target] {
        match (&self.dependency, &self.described) {
            (Some(dependency), _) => dependency.targets(),
            (None, Described::Vp8(layers)) => layers.targets(),
            (None, Described::Vp9(layers)) => layers.targets(),
            (None, Described::Not { .. }) => &LONE_TARGET,
        }
    }

    /// The targets that are sent at present, as far as the publisher says it: a viewer of another waits for nothing.
    pub fn active(&self) -> Targets {
        match (&self.dependency, &self.described) {
            (Some(dependency), _) => dependency.active(),
            (None, Described::Vp9(layers)) => layers.active(),
            (None, Described::Vp8(_) | Described::Not { .. }) => Targets::ALL,
        }
    }

    /// The size of a spatial layer's pictures in pixels, as the last key frame has it.
    pub fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        if let Some(size) = self.dependency.as_ref().and_then(|dependency| dependency.size(spatial)) {
            return Some(size);
        }
        match &self.described {
            Described::Vp8(layers) => layers.size().filter(|_| spatial == 0),
            Described::Vp9(layers) => layers.size(spatial),
            Described::Not { size, .. } => size.filter(|_| spatial == 0),
        }
    }

    /// Whether a descriptor can be read by the structures that have come. One that cannot belongs to a structure that is still
    /// missing, and until it comes nobody knows for whom the packet is.
    pub fn can_read(&self, sequence: u64, descriptor: &[u8]) -> bool {
        match &self.dependency {
            Some(dependency) => dependency.can_read(sequence, descriptor),
            None => Dependency::open(descriptor).is_some(),
        }
    }

    fn read_descriptor(&mut self, packet: &Packet<'_>) -> Option<dependency::Frame> {
        let descriptor = packet.descriptor?;
        if self.dependency.is_none() {
            self.dependency = Dependency::open(descriptor).map(Box::new);
        }
        self.dependency.as_mut()?.read(packet.sequence, descriptor)
    }

    /// What only the payload tells, of a packet whose descriptor was read: its own numbers, and sizes where the descriptors have
    /// none. What may be encrypted end to end is not asked for a size: of VP8 the whole frame, of AV1 the whole payload, of VP9
    /// the payload descriptor too.
    fn inspect_beside(&mut self, packet: &Packet<'_>, frame: &dependency::Frame) -> Inspection {
        let is_sized = self.dependency.as_ref().is_some_and(|dependency| dependency.size(frame.spatial).is_some());
        match (&mut self.described, self.codec) {
            (Described::Vp8(_), _) if is_sized => vp8::numbers(packet.payload).into(),
            (Described::Vp8(layers), _) => layers.inspect(packet),
            (Described::Vp9(layers), _) => {
                let is_opaque = layers.is_opaque_beside(packet.payload, frame);
                if is_opaque { Inspection::default() } else { layers.inspect(packet) }
            }
            (Described::Not { .. }, Codec::H264 | Codec::H265) if frame.key_frame && !is_sized => {
                self.inspect_payload(packet)
            }
            (Described::Not { .. }, _) => Inspection::default(),
        }
    }

    fn inspect_payload(&mut self, packet: &Packet<'_>) -> Inspection {
        let (kept, since, led) = match &mut self.described {
            Described::Vp8(layers) => return layers.inspect(packet),
            Described::Vp9(layers) => return layers.inspect(packet),
            Described::Not { size, since, led } => (size, since, led),
        };
        let seen = match self.codec {
            Codec::H264 => led.inspect(h264::inspect(packet.payload), h264::has_parameters(packet.payload)),
            Codec::H265 => led.inspect(h265::inspect(packet.payload), h265::has_parameters(packet.payload)),
            Codec::Av1 => av1::inspect(packet.payload),
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Vp8 | Codec::Vp9 => {
                return Inspection::audio(packet.payload);
            }
        };
        if seen.size.is_some() && packet.sequence >= *since {
            (*kept, *since) = (seen.size, packet.sequence);
        }
        // RFC 6184 5.1, RFC 7798 4.1, AV1 4.2: the marker is on the last packet of a picture.
        Inspection { frame_end: packet.marker && !packet.payload.is_empty(), ..seen }
    }
}

/// Key frames lead with their parameter sets: for so many more that come without, these are waited for. A stream that never
/// sends them is begun with its third key frame.
///
/// A slice may overtake the packet with the sets. Whoever began with it would lack them, or decode it by those of another
/// encoding.
#[derive(Debug)]
struct Led(u8);

impl Led {
    /// A publisher whose key frames go without their sets so many times does not send them. One is the slice behind its sets.
    const PATIENCE: u8 = 4;

    fn inspect(&mut self, seen: Inspection, has_parameters: bool) -> Inspection {
        if has_parameters {
            self.0 = Self::PATIENCE;
        } else if seen.key_frame && self.0 > 0 {
            self.0 -= 1;
            return Inspection { key_frame: false, reach: Reach::LONE, ..seen };
        }
        seen
    }
}

const LONE_TARGET: [Target; 1] = [Target { spatial: 0, temporal: 0 }];
