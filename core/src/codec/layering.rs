//! Which packets of an encoding are for whom: one small machine per stream, fed with each packet once, whatever the viewers.
//!
//! A *decode target* is what a viewer can be given of an encoding: all frames up to a spatial and a temporal layer (AV1 payload
//! format, A.1). For each packet the machine says of which targets its frame is a part, which targets can be entered with it,
//! and who is able to decode it. With that a viewer's choice is a bit in a set, the same for every codec: forward what is part
//! of its target; turn from one target to another at a frame that is an entry to the new one and can be decoded in the old.
//! Nothing here knows viewers.

use super::{Codec, Inspection};

/// Targets of one encoding at most: a set of them is a word. The dependency descriptor allows as many.
pub const TARGETS_MAX: usize = 32;

/// All frames up to these layers, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub spatial: u8,
    pub temporal: u8,
}

/// A set of decode targets: bit n stands for the target of that index in [`Layering::targets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// For whom a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The targets that its frame is a part of.
    pub part_of: Targets,
    /// The targets that can be entered with its frame: from there on all frames of such a target can be decoded, if this one
    /// can. A frame that starts the stream anew is an entry to all.
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
}

impl Layering {
    pub const fn new(codec: Codec) -> Self {
        Self { codec }
    }

    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Looks at a packet, in the order of arrival.
    pub fn inspect(&mut self, packet: &Packet<'_>) -> Inspection {
        self.codec.inspect(packet.payload)
    }

    /// The targets that there are, the lowest first; one at least.
    pub fn targets(&self) -> &[Target] {
        &[Target { spatial: 0, temporal: 0 }]
    }
}
