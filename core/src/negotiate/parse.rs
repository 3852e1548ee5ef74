//! From a client's SDP to an [`Offer`]: everything of it that matching looks at, in checked types.
//!
//! The structure of lines is read by `sdp-types`; what the attributes mean is read here for the session and in
//! `section` for each media section. The size of everything is bounded. What breaks a rule that WebRTC needs is an
//! [`SdpError`]; what is merely unknown is left out, as SDP demands (RFC 8866 5.13).

use sdp_types::{Attribute, Session};

use super::agreement::{BadCredentials, Credentials, Extension};
use super::section::Section;
use crate::handshake::Fingerprint;
use crate::id::Mid;
use crate::limits::{MEDIA_SECTIONS_MAX, SDP_LEN_MAX};

/// A client's offer, read and checked.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(super) transport: Transport,
    /// Whether `a=extmap-allow-mixed` stands for the whole session.
    pub(super) mixed: bool,
    /// All media sections, in order.
    pub(super) sections: Vec<Section>,
    /// The sections (by index) that share the one transport, in the order of the group; `None` where the offer wants a
    /// transport each.
    pub(super) bundle: Option<Vec<usize>>,
}

impl Offer {
    /// Reads an offer.
    pub fn parse(sdp: &str) -> Result<Self, SdpError> {
        if sdp.len() > SDP_LEN_MAX {
            return Err(SdpError::TooLong);
        }
        let session = Session::parse(sdp.as_bytes()).map_err(|error| SdpError::NotSdp(error.to_string()))?;
        if session.medias.is_empty() {
            return Err(SdpError::NoMedia);
        }
        if session.medias.len() > MEDIA_SECTIONS_MAX {
            return Err(SdpError::TooManyMedia);
        }
        let direction = direction_of(&session.attributes).unwrap_or(Direction::SendReceive);
        let mixed = has(&session.attributes, "extmap-allow-mixed");
        let sections = session
            .medias
            .iter()
            .map(|media| Section::parse(media, &session.attributes, direction))
            .collect::<Result<Vec<_>, _>>()?;
        reject_repeated_mids(&sections)?;
        let bundle = bundle_of(&session.attributes, &sections);
        reject_clashing_extensions(&sections, bundle.as_deref().unwrap_or_default())?;
        Ok(Self { transport: Transport::parse(&session.attributes)?, mixed, sections, bundle })
    }
}

/// What an offer got wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("the description is longer than {SDP_LEN_MAX} bytes")]
    TooLong,
    #[error("the description is not SDP: {0}")]
    NotSdp(String),
    #[error("the description has no media section")]
    NoMedia,
    #[error("the description has more than {MEDIA_SECTIONS_MAX} media sections")]
    TooManyMedia,
    #[error("the mid {0:?} is not 1 to 16 characters of a token")]
    MidInvalid(String),
    #[error("the mid {0:?} names two media sections")]
    MidRepeated(String),
    #[error("{0:?} is not a payload type")]
    PayloadTypeInvalid(String),
    #[error(transparent)]
    CredentialsInvalid(#[from] BadCredentials),
    #[error("an ice-ufrag and an ice-pwd are needed together")]
    CredentialsHalf,
    #[error("{0:?} is not a SHA-256 fingerprint")]
    FingerprintInvalid(String),
    #[error(
        "header extension id {0} names sections in one part of a BUNDLE group, and means something else in another"
    )]
    ExtensionClash(u8),
    #[error("{0:?} is no line of a trickle ICE fragment")]
    FragmentInvalid(String),
}

/// What ICE and DTLS need of the other end; at the session's level or a media section's.
#[derive(Clone, Debug, Default)]
pub(super) struct Transport {
    pub credentials: Option<Credentials>,
    pub fingerprint: Option<Fingerprint>,
    pub setup: Option<Setup>,
    /// Whether there are fingerprints, but none by SHA-256.
    pub other_fingerprint: bool,
}

impl Transport {
    pub(super) fn parse(attributes: &[Attribute]) -> Result<Self, SdpError> {
        let mut transport = Self { credentials: credentials_of(attributes)?, ..Self::default() };
        transport.setup = value(attributes, "setup").map(Setup::parse);
        for text in values(attributes, "fingerprint") {
            match text.trim().split_once(' ') {
                Some((hash, hex)) if hash.eq_ignore_ascii_case("sha-256") => {
                    let fingerprint = read_fingerprint(hex).ok_or_else(|| SdpError::FingerprintInvalid(clip(hex)))?;
                    // RFC 8122 5: of several, one by the hash we speak is enough.
                    transport.fingerprint.get_or_insert(fingerprint);
                }
                Some(_) | None => transport.other_fingerprint = true,
            }
        }
        Ok(transport)
    }
}

/// Who opens the DTLS association (RFC 8842 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// It leaves the choice to the other end; only an offer may.
    Either,
    /// It is the client, as this server needs it.
    Client,
    /// It insists on being the server, or on no association.
    NotClient,
}

impl Setup {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "actpass" => Self::Either,
            "active" => Self::Client,
            _ => Self::NotClient,
        }
    }
}

/// Which way media flows, from the offerer's point of view (RFC 8866 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    SendReceive,
    SendOnly,
    ReceiveOnly,
    Inactive,
}

impl Direction {
    pub(super) fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    pub(super) fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendReceive),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::ReceiveOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// The direction that a level's attributes set, if they do.
pub(super) fn direction_of(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| Direction::parse(&attribute.attribute))
}

/// The values of all attributes of a name, in order.
pub(super) fn values<'a>(attributes: &'a [Attribute], name: &str) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |attribute| attribute.attribute == name)
        .filter_map(|attribute| attribute.value.as_deref())
}

/// The value of the first attribute of a name.
pub(super) fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    values(attributes, name).next()
}

/// Whether an attribute is there, with or without a value.
pub(super) fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.attribute == name)
}

/// Checks a mid: a token (RFC 5888 4), and short enough for the header extension that carries it.
pub(super) fn read_mid(text: &str) -> Result<Mid, SdpError> {
    let mid = Mid::from(text).map_err(|_| SdpError::MidInvalid(clip(text)))?;
    if mid.is_empty() || !mid.bytes().all(is_token) {
        return Err(SdpError::MidInvalid(clip(text)));
    }
    Ok(mid)
}

/// RFC 8866 9: token-char.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte)
}

/// As much of a client's text as an error should repeat.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

pub(super) fn credentials_of(attributes: &[Attribute]) -> Result<Option<Credentials>, SdpError> {
    read_credentials(value(attributes, "ice-ufrag"), value(attributes, "ice-pwd"))
}

pub(super) fn read_credentials(ufrag: Option<&str>, password: Option<&str>) -> Result<Option<Credentials>, SdpError> {
    match (ufrag, password) {
        (Some(ufrag), Some(password)) => Ok(Some(Credentials::new(ufrag, password)?)),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(SdpError::CredentialsHalf),
    }
}

/// RFC 8122 5: 32 pairs of hexadecimal digits, upper case, between colons; lower case is taken too.
fn read_fingerprint(hex: &str) -> Option<Fingerprint> {
    let mut bytes = [0; 32];
    let mut pairs = hex.trim().split(':');
    for byte in &mut bytes {
        let pair =
            pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(Fingerprint(bytes))
}

fn reject_repeated_mids(sections: &[Section]) -> Result<(), SdpError> {
    let mut seen: Vec<Mid> = Vec::with_capacity(sections.len());
    for mid in sections.iter().filter_map(|section| section.mid) {
        if seen.contains(&mid) {
            return Err(SdpError::MidRepeated(mid.to_string()));
        }
        seen.push(mid);
    }
    Ok(())
}

/// RFC 9143 7.2: the first BUNDLE group, as indices. A lone section needs no group to have a transport of its own.
fn bundle_of(attributes: &[Attribute], sections: &[Section]) -> Option<Vec<usize>> {
    let Some(mids) = values(attributes, "group").find_map(|group| group.trim().strip_prefix("BUNDLE")) else {
        let mut offered =
            (0..sections.len()).filter(|&index| sections.get(index).is_some_and(|section| section.offered));
        return match (offered.next(), offered.next()) {
            (Some(only), None) => Some(vec![only]),
            (Some(_), Some(_)) | (None, _) => None,
        };
    };
    let mut bundle = Vec::new();
    for mid in mids.split_ascii_whitespace().take(MEDIA_SECTIONS_MAX) {
        let index = sections.iter().position(|section| section.mid.is_some_and(|own| own.as_str() == mid));
        // A mid of no section, or named twice: nothing to bundle.
        bundle.extend(index.filter(|index| !bundle.contains(index)));
    }
    Some(bundle)
}

/// RFC 9143 9.2 wants an id to mean the same in all sections of a BUNDLE group. Held to that are the ids by which a
/// packet's section is found; for the others the section's own meaning counts, since aiortc numbers each section anew.
fn reject_clashing_extensions(sections: &[Section], bundle: &[usize]) -> Result<(), SdpError> {
    let bundled = || bundle.iter().filter_map(|&index| sections.get(index));
    for naming in [Extension::Mid, Extension::Rid, Extension::RepairedRid] {
        for id in bundled().filter_map(|section| section.extensions.id(naming)) {
            if bundled().any(|section| section.extensions.of(id).is_some_and(|other| other != naming)) {
                return Err(SdpError::ExtensionClash(id));
            }
        }
    }
    Ok(())
}
