//! What an offer and this server have in common, section by section.
//!
//! In: an offer, this end's transport and, for a downstream, what the upstream sends. Out: the agreement for the shard
//! and the text of the answer, or a [`Refusal`] when nothing is left. A section that has nothing in common is rejected by
//! itself; the others go on. Draws no random numbers: SSRCs come from the caller.

use std::net::SocketAddr;

use super::agreement::{Agreement, Credentials, Extension, Extensions, Format, Media, Source, Spec};
use super::capabilities::{self, EXTENSIONS};
use super::parse::{Direction, Offer, Setup, Transport};
use super::section::Section;
use super::write;
use crate::codec::Kind;
use crate::handshake::Fingerprint;
use crate::id::Rid;

/// This end's transport, as every answer states it.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    pub credentials: &'a Credentials,
    pub fingerprint: &'a Fingerprint,
    /// Host candidates, best first.
    pub candidates: &'a [SocketAddr],
    /// The `o=` line's number; random, below 2^63 (RFC 8829 5.2.1).
    pub session_id: u64,
}

/// One of the media that an upstream sends: what it is in now.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub kind: Kind,
    pub spec: &'a Spec,
}

/// Why an offer that can be read is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("several media sections without one BUNDLE group: this server has one transport for all media")]
    NotBundled,
    #[error("no audio or video section of the BUNDLE group offers to send")]
    NothingSent,
    #[error("no audio or video section of the BUNDLE group offers to receive what is published")]
    NothingReceived,
    #[error("no codec in common")]
    NoCommonCodec,
    #[error("a media section lacks a=rtcp-mux: this server has one port for RTP and RTCP")]
    NoRtcpMux,
    #[error("the offer has no a=ice-ufrag and a=ice-pwd")]
    NoCredentials,
    #[error("the offer has no a=fingerprint, or none by SHA-256")]
    NoFingerprint,
    #[error("a=setup must be actpass or active: this server is the DTLS server")]
    NotDtlsClient,
}

/// Answers a client that sends (WHIP): every section that offers media we forward, with all such formats in the
/// client's order, received only.
pub fn answer_upstream(offer: &Offer, local: &Local<'_>) -> Result<(Agreement, String), Refusal> {
    let open = open_sections(offer)?;
    let sends = |section: &Section| section.direction.sends();
    if !open.iter().flatten().any(|section| sends(section)) {
        return Err(Refusal::NothingSent);
    }
    let mut accepted: Vec<Option<Media>> =
        open.into_iter().map(|section| section.filter(|section| sends(section)).and_then(upstream)).collect();
    number_alike(&mut accepted);
    let answer = Answer { offer, local, direction: Direction::ReceiveOnly, cname: None, accepted };
    answer.finish()
}

/// Answers a client that receives (WHEP): each of `wanted`, in order, gets the first section that still is free and can
/// play it. The section's first format is the one that plays what is sent now; every other format that we forward
/// follows, so that another codec later needs no new offer.
///
/// `cname` names the publisher's streams towards this client, and the one media stream that they play in sync in; it has
/// to be a token. `draw` gives random SSRCs. Of which upstream a section is follows from its kind and its first format.
pub fn answer_downstream(
    offer: &Offer,
    local: &Local<'_>,
    wanted: &[Wanted<'_>],
    cname: &str,
    draw: &mut dyn FnMut() -> u32,
) -> Result<(Agreement, String), Refusal> {
    let open = open_sections(offer)?;
    let mut accepted: Vec<Option<Media>> = vec![None; open.len()];
    let mut same_kind = false;
    for want in wanted {
        let mut free = open.iter().zip(&mut accepted).filter_map(|(section, place)| {
            let receives = |section: &&Section| section.direction.receives() && section.kind == Some(want.kind);
            Some((section.filter(receives)?, place))
        });
        let fits = free.find_map(|(section, place)| {
            same_kind = true;
            if place.is_some() { None } else { Some((downstream(section, want.spec)?, place)) }
        });
        if let Some((media, place)) = fits {
            *place = Some(media);
        }
    }
    if !same_kind {
        return Err(Refusal::NothingReceived);
    }
    number_alike(&mut accepted);
    draw_sources(&mut accepted, draw);
    let answer = Answer { offer, local, direction: Direction::SendOnly, cname: Some(cname), accepted };
    answer.finish()
}

/// By the offer's order: the sections that are audio or video, wanted by the offerer, and on the one transport.
fn open_sections(offer: &Offer) -> Result<Vec<Option<&Section>>, Refusal> {
    let bundle = offer.bundle.as_ref().ok_or(Refusal::NotBundled)?;
    let is_open =
        |index: usize, section: &Section| section.offered && section.kind.is_some() && bundle.contains(&index);
    Ok(offer.sections.iter().enumerate().map(|(index, section)| is_open(index, section).then_some(section)).collect())
}

fn upstream(section: &Section) -> Option<Media> {
    let kind = section.kind?;
    let formats: Vec<Format> =
        section.formats.iter().map(|format| agreed(format, kind, Direction::ReceiveOnly)).collect();
    (!formats.is_empty()).then(|| Media {
        mid: section.mid.unwrap_or_default(),
        kind,
        formats,
        extensions: answered_extensions(&section.extensions, kind, Direction::ReceiveOnly),
        sources: section.sources.clone(),
        rids: encodings(section),
    })
}

/// Encodings are told apart by their RID (RFC 8853 6), in each packet until its SSRC is known: without that extension there are none.
fn encodings(section: &Section) -> Vec<Rid> {
    let told_apart = section.extensions.id(Extension::Rid).is_some() && section.kind == Some(Kind::Video);
    if told_apart { section.rids.clone() } else { Vec::new() }
}

/// `None` where the section cannot play what is sent now.
fn downstream(section: &Section, current: &Spec) -> Option<Media> {
    let kind = section.kind?;
    let mut media = Media {
        mid: section.mid.unwrap_or_default(),
        kind,
        formats: section.formats.iter().map(|format| agreed(format, kind, Direction::SendOnly)).collect(),
        extensions: answered_extensions(&section.extensions, kind, Direction::SendOnly),
        sources: Vec::new(),
        rids: Vec::new(),
    };
    let first = media.format_for(current)?.payload_type;
    // Stable: behind the first, the client's own order stays.
    media.formats.sort_by_key(|format| format.payload_type != first);
    Some(media)
}

/// A format with only the feedback that both ends understand.
fn agreed(format: &Format, kind: Kind, direction: Direction) -> Format {
    Format { feedback: capabilities::feedback(kind, direction).and(format.feedback), ..format.clone() }
}

fn answered_extensions(offered: &Extensions, kind: Kind, direction: Direction) -> Extensions {
    let mut answered = Extensions::default();
    answered.mixed = offered.mixed;
    for row in EXTENSIONS.iter().filter(|row| row.is_taken(kind, direction)) {
        if let Some(id) = offered.id(row.extension) {
            answered.bind(row.extension, id);
        }
    }
    answered
}

/// All sections are on one transport, whose packets are numbered across them: a section that has the number under another
/// id than the first goes without.
fn number_alike(accepted: &mut [Option<Media>]) {
    let id = |media: &Media| media.extensions.id(Extension::TransportSequence);
    let first = accepted.iter().flatten().find_map(id);
    for media in accepted.iter_mut().flatten() {
        if id(media).is_none() || id(media) != first {
            media.extensions.unbind(Extension::TransportSequence);
            media.formats.iter_mut().for_each(|format| format.feedback.transport_cc = false);
        }
    }
}

/// One SSRC for each accepted section, and one for its retransmissions; never zero, never one twice.
fn draw_sources(accepted: &mut [Option<Media>], draw: &mut dyn FnMut() -> u32) {
    let mut taken = vec![0];
    let mut next = || {
        let mut ssrc = draw();
        while taken.contains(&ssrc) {
            ssrc = ssrc.wrapping_add(1);
        }
        taken.push(ssrc);
        ssrc
    };
    for media in accepted.iter_mut().flatten() {
        let primary = next();
        let rtx = media.formats.iter().any(|format| format.rtx.is_some()).then(&mut next);
        media.sources.push(Source { primary, rtx });
    }
}

/// An offer with what of it is accepted, section by section.
pub(super) struct Answer<'a> {
    pub offer: &'a Offer,
    pub local: &'a Local<'a>,
    /// Ours, in every accepted section.
    pub direction: Direction,
    /// The name of the streams we send.
    pub cname: Option<&'a str>,
    pub accepted: Vec<Option<Media>>,
}

impl Answer<'_> {
    fn finish(self) -> Result<(Agreement, String), Refusal> {
        if self.accepted.iter().all(Option::is_none) {
            return Err(Refusal::NoCommonCodec);
        }
        if !self.bundled().all(|(section, _)| section.rtcp_mux || section.bundle_only) {
            return Err(Refusal::NoRtcpMux);
        }
        if self.find(|transport| transport.setup) == Some(Setup::NotClient) {
            return Err(Refusal::NotDtlsClient);
        }
        let remote = self.find(|transport| transport.credentials.clone()).ok_or(Refusal::NoCredentials)?;
        let fingerprint = self.find(|transport| transport.fingerprint).ok_or(Refusal::NoFingerprint)?;
        let text = write::answer(&self);
        let media = self.accepted.into_iter().flatten().collect();
        Ok((Agreement { remote, fingerprint, media }, text))
    }

    /// The accepted sections in the order of the BUNDLE group. The first of them is the tagged one, whose transport
    /// is everybody's (RFC 9143 7.3.1).
    pub(super) fn bundled(&self) -> impl Iterator<Item = (&Section, &Media)> {
        let bundle = self.offer.bundle.as_deref().unwrap_or_default();
        bundle.iter().filter_map(|&index| Some((self.offer.sections.get(index)?, self.accepted.get(index)?.as_ref()?)))
    }

    /// A part of the offerer's transport: the tagged section's, else of one that was tagged before we rejected it
    /// (bundle-only sections have none of their own), else the session's.
    fn find<T>(&self, part: impl Fn(&Transport) -> Option<T>) -> Option<T> {
        let bundle = self.offer.bundle.iter().flatten();
        let rest = bundle.filter_map(|&index| self.offer.sections.get(index));
        let sections = self.bundled().map(|(section, _)| section).chain(rest);
        sections.map(|section| &section.transport).chain([&self.offer.transport]).find_map(part)
    }
}
