//! The codecs that are forwarded, and what a forwarder must read of each.
//!
//! One file per codec, named for it; each reads the descriptor that its RTP payload format puts before the media and,
//! where that format has none, the first bytes of the media itself. Payloads come straight from the wire: whatever is
//! cut short or makes no sense inspects as nothing at all, never as an error. What has to be remembered from packet to
//! packet of one stream, a `Layering` keeps.

mod layering;
mod numbers;
mod vp8;
mod vp9;
mod h264;
mod h265;
mod av1;
mod dependency;
pub mod allocation;
pub mod red;
mod grid;
mod bits;

pub use self::layering::{Layering, Packet, Reach, TARGETS_MAX, Target, Targets};
pub use self::numbers::{Numbers, Shift, renumber};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Audio,
    Video,
}

/// A codec by its registered name (IANA media types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    /// Redundant audio (RFC 2198), here always of Opus.
    Red,
    Pcmu,
    Pcma,
    G722,
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
}

impl Codec {
    pub const ALL: [Self; 10] = [
        Self::Opus,
        Self::Red,
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Vp8,
        Self::Vp9,
        Self::H264,
        Self::H265,
        Self::Av1,
    ];

    pub const fn kind(self) -> Kind {
        match self {
            Self::Opus | Self::Red | Self::Pcmu | Self::Pcma | Self::G722 => Kind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => Kind::Video,
        }
    }

    /// What one packet's payload, without its padding, says by itself. An empty payload (a padding probe) says nothing.
    #[cfg(test)]
    fn inspect(self, payload: &[u8]) -> Inspection {
        Layering::new(self).inspect(&Packet { sequence: 0, marker: false, payload, descriptor: None })
    }
}

/// What can be told from one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// A decoder that has seen nothing yet can start with this packet, given the rest of its frame.
    pub key_frame: bool,
    /// Nothing of this packet's frame (of one spatial layer) comes before it; H.264 and H.265, which have no descriptor of their
    /// own, say so of each parameter set and of the first slice, hence more than once a frame.
    pub frame_start: bool,
    /// The last packet of its frame (of one spatial layer): behind it a viewer of this layer expects nothing more.
    pub frame_end: bool,
    pub reach: Reach,
    pub numbers: Numbers,
    /// The size of the pictures of its spatial layer from here on, in pixels, where the packet says it.
    pub size: Option<(u16, u16)>,
}

impl Default for Inspection {
    fn default() -> Self {
        Self::start(false, false)
    }
}

impl From<Numbers> for Inspection {
    fn from(numbers: Numbers) -> Self {
        Self { numbers, ..Self::default() }
    }
}

impl Inspection {
    /// Of an encoding without layers.
    const fn start(key_frame: bool, frame_start: bool) -> Self {
        let reach = if key_frame { Reach::START } else { Reach::LONE };
        Self { key_frame, frame_start, frame_end: false, reach, numbers: Numbers::NONE, size: None }
    }

    /// Each audio packet is a whole frame, and any can be started with.
    fn audio(payload: &[u8]) -> Self {
        let there = !payload.is_empty();
        Self { frame_end: there, ..Self::start(there, there) }
    }

    /// What two units of one packet say together.
    fn either(self, other: Self) -> Self {
        let together = Self::start(self.key_frame || other.key_frame, self.frame_start || other.frame_start);
        Self { size: self.size.or(other.size), ..together }
    }

    /// The same, of a frame for everybody.
    fn without_layers(self) -> Self {
        Self { reach: if self.key_frame { Reach::START } else { Reach::LONE }, ..self }
    }
}

#[cfg(test)]
mod tests;
