//! What an offer and its answer agreed on: the shapes that the forwarding plane is built from.

use arrayvec::ArrayString;

use crate::codec::{Codec, Kind};
use crate::handshake::Fingerprint;
use crate::id::{Mid, Rid};

/// ICE credentials of one end (RFC 8839 5.4): a user fragment of 4 to 256 and a password of 22 to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub password: String,
}

/// ICE credentials that RFC 8839 5.4 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ice-ufrag has 4 to 256 and an ice-pwd 22 to 256 of the characters A-Z a-z 0-9 + /")]
pub struct BadCredentials;

impl Credentials {
    /// Credentials from the wire, checked.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, BadCredentials> {
        let is_ice = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&password.len());
        if fits && is_ice(ufrag) && is_ice(password) {
            Ok(Self { ufrag: ufrag.to_owned(), password: password.to_owned() })
        } else {
            Err(BadCredentials)
        }
    }
}

/// One connection as agreed.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The client's ICE credentials.
    pub remote: Credentials,
    /// The client's certificate.
    pub fingerprint: Fingerprint,
    /// The accepted media sections only, in the order of the offer.
    pub media: Vec<Media>,
}

/// One accepted media section.
#[derive(Clone, Debug)]
pub struct Media {
    pub mid: Mid,
    pub kind: Kind,
    /// The formats of the answer, best first.
    pub formats: Vec<Format>,
    pub extensions: Extensions,
    /// The SSRCs that the client announced (upstream) or that we announced (downstream); may be empty for an upstream,
    /// whose streams are then told apart by MID.
    pub sources: Vec<Source>,
    /// The simulcast encodings that are accepted (RFC 8853), in the order of the offer; empty where there is one stream alone.
    pub rids: Vec<Rid>,
}

/// An SSRC and, if there is one, that of its retransmissions (RFC 5576 4.2, RFC 4588 8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub primary: u32,
    pub rtx: Option<u32>,
}

/// A payload type and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub payload_type: u8,
    pub spec: Spec,
    /// The payload type of its retransmissions (RFC 4588).
    pub rtx: Option<u8>,
    /// Feedback that both ends understand.
    pub feedback: Feedback,
}

/// A codec with the parameters that decide whether two ends mean the same by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub codec: Codec,
    pub clock_rate: u32,
    pub channels: u8,
    /// The `a=fmtp` parameters as the publisher wrote them; empty when there are none.
    pub parameters: String,
}

/// RTCP feedback agreed for a format (RFC 4585 4.2, RFC 5104 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    pub nack: bool,
    pub pli: bool,
    pub fir: bool,
    pub transport_cc: bool,
    pub remb: bool,
}

impl Feedback {
    /// What both ends understand.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            nack: self.nack && other.nack,
            pli: self.pli && other.pli,
            fir: self.fir && other.fir,
            transport_cc: self.transport_cc && other.transport_cc,
            remb: self.remb && other.remb,
        }
    }
}

/// The header extensions that Tidewire knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Extension {
    Mid,
    Rid,
    RepairedRid,
    AudioLevel,
    AbsSendTime,
    AbsCaptureTime,
    TransportSequence,
    VideoOrientation,
    PlayoutDelay,
    VideoContentType,
    VideoTiming,
    ColorSpace,
    DependencyDescriptor,
    VideoLayersAllocation,
}

impl Extension {
    pub const ALL: [Self; 14] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::AbsSendTime,
        Self::AbsCaptureTime,
        Self::TransportSequence,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::VideoContentType,
        Self::VideoTiming,
        Self::ColorSpace,
        Self::DependencyDescriptor,
        Self::VideoLayersAllocation,
    ];
}

/// Which id each known extension has in one media section; ids are 1 to 14 (one-byte form) or up to 255 (two-byte form).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    ids: [Option<std::num::NonZeroU8>; Extension::ALL.len()],
    /// Whether both forms may be mixed in a stream (`a=extmap-allow-mixed`, RFC 8285 6).
    pub mixed: bool,
}

impl Extensions {
    pub fn id(&self, extension: Extension) -> Option<u8> {
        self.ids[extension as usize].map(std::num::NonZeroU8::get)
    }

    /// Binds an extension to an id; zero is no id and is ignored.
    pub fn bind(&mut self, extension: Extension, id: u8) {
        self.ids[extension as usize] = std::num::NonZeroU8::new(id);
    }

    pub(super) fn unbind(&mut self, extension: Extension) {
        self.ids[extension as usize] = None;
    }

    /// The extension that has this id.
    #[inline]
    pub fn of(&self, id: u8) -> Option<Extension> {
        let id = std::num::NonZeroU8::new(id)?;
        self.ids.iter().zip(Extension::ALL).find(|(own, _)| **own == Some(id)).map(|(_, extension)| extension)
    }
}

/// A canonical name (RFC 3550 6.5.1): constant for all streams of one publisher, so that viewers play them in sync.
pub type Cname = ArrayString<32>;
