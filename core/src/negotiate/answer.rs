//! A client's answer to an offer of ours (RFC 3264 6, RFC 8829 5.3): read, held against the offer, and made an agreement.
//!
//! Formats and extensions are those of the offer that the answer kept, by number and by meaning; what it has beyond that was
//! not offered and is left out. Whatever touches the one transport, or the order of sections, must be right, else the whole
//! answer is refused and nothing of it is in force.

use super::agreement::{Agreement, Extensions, Format, Media};
use super::capabilities::EXTENSIONS;
use super::offer::{self, OwnSection, Sends};
use super::parse::{Offer, SdpError, Setup, Transport};
use super::section::Section;
use crate::codec::Kind;
use crate::id::Mid;

/// What a client makes of an offer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Its media are the sections that send something and that the client receives.
    pub agreement: Agreement,
    /// The sections that it never wants, in the order of the offer.
    pub rejected: Vec<Mid>,
}

/// What an answer got wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("the answer's media sections are not those of the offer")]
    OtherSections,
    #[error("the answer rejects every media section")]
    NothingAccepted,
    #[error("the answer's media section {0:?} is not in its BUNDLE group: this server has one transport for all media")]
    NotBundled(Mid),
    #[error("the answer's media section {0:?} lacks a=rtcp-mux: this server has one port for RTP and RTCP")]
    NoRtcpMux(Mid),
    #[error("the answer's media section {0:?} would send, which was not offered")]
    WouldSend(Mid),
    #[error("a=setup must be active in an answer: this server is the DTLS server")]
    NotDtlsClient,
    #[error("the answer has no a=ice-ufrag and a=ice-pwd")]
    NoCredentials,
    #[error("the answer has no a=fingerprint, or none by SHA-256")]
    NoFingerprint,
}

/// Reads the answer to an offer of `sections`.
pub fn read_answer(text: &str, sections: &[OwnSection]) -> Result<Answered, AnswerError> {
    // An answer has the form of an offer.
    let answer = Offer::parse(text)?;
    if answer.sections.len() != sections.len() {
        return Err(AnswerError::OtherSections);
    }
    let (mut media, mut rejected) = (Vec::new(), Vec::new());
    for (index, (own, section)) in sections.iter().zip(&answer.sections).enumerate() {
        if !is_same(own, section) {
            return Err(AnswerError::OtherSections);
        }
        if !section.offered || own.sends == Sends::Never {
            rejected.push(own.mid);
            continue;
        }
        check(&answer, index, own, section)?;
        media.extend(agreed(own, section));
    }
    if rejected.len() == sections.len() {
        return Err(AnswerError::NothingAccepted);
    }
    // RFC 4145 4.1: an answer that says nothing means "passive".
    if find(&answer, |transport| transport.setup) != Some(Setup::Client) {
        return Err(AnswerError::NotDtlsClient);
    }
    let remote = find(&answer, |transport| transport.credentials.clone()).ok_or(AnswerError::NoCredentials)?;
    let fingerprint = find(&answer, |transport| transport.fingerprint).ok_or(AnswerError::NoFingerprint)?;
    Ok(Answered { agreement: Agreement { remote, fingerprint, media }, rejected })
}

/// RFC 3264 6: an answer has the offer's sections, in its order. A rejected one keeps its kind; its mid it may leave out.
fn is_same(own: &OwnSection, section: &Section) -> bool {
    let kind = match own.kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    };
    section.media == kind && section.mid.map_or(!section.offered, |mid| mid == own.mid)
}

fn check(answer: &Offer, index: usize, own: &OwnSection, section: &Section) -> Result<(), AnswerError> {
    if section.kind.is_none() {
        return Err(AnswerError::OtherSections);
    }
    if !answer.bundle.as_ref().is_some_and(|bundle| bundle.contains(&index)) {
        return Err(AnswerError::NotBundled(own.mid));
    }
    if !section.rtcp_mux {
        return Err(AnswerError::NoRtcpMux(own.mid));
    }
    // RFC 3264 6.1: to "sendonly" one answers "recvonly" or "inactive".
    if section.direction.sends() {
        return Err(AnswerError::WouldSend(own.mid));
    }
    Ok(())
}

/// A section that carries a stream which the client receives; `None` for all others.
fn agreed(own: &OwnSection, section: &Section) -> Option<Media> {
    let Sends::Stream { source, .. } = own.sends else { return None };
    let formats: Vec<Format> = offer::formats(own.kind).filter_map(|format| kept(format, &section.formats)).collect();
    (section.direction.receives() && !formats.is_empty()).then(|| Media {
        mid: own.mid,
        kind: own.kind,
        formats,
        extensions: kept_extensions(&offer::extensions(own.kind), &section.extensions),
        sources: vec![source],
        rids: Vec::new(),
    })
}

/// An offered format as the answer has it: with its parameters, and with only the feedback and repair that both name.
fn kept(offered: Format, answered: &[Format]) -> Option<Format> {
    let same = |format: &&Format| format.payload_type == offered.payload_type && format.spec.matches(&offered.spec);
    let answer = answered.iter().find(same)?;
    Some(Format {
        payload_type: offered.payload_type,
        spec: answer.spec.clone(),
        rtx: offered.rtx.filter(|rtx| answer.rtx == Some(*rtx)),
        feedback: offered.feedback.and(answer.feedback),
    })
}

fn kept_extensions(offered: &Extensions, answered: &Extensions) -> Extensions {
    let mut kept = Extensions::default();
    kept.mixed = answered.mixed;
    for extension in EXTENSIONS.iter().map(|row| row.extension) {
        if let Some(id) = offered.id(extension).filter(|id| answered.id(extension) == Some(*id)) {
            kept.bind(extension, id);
        }
    }
    kept
}

/// A part of the client's transport: the tagged section's, which is the first of the group (RFC 9143 7.3.1), else of
/// another, else the session's.
fn find<T>(answer: &Offer, part: impl Fn(&Transport) -> Option<T>) -> Option<T> {
    let bundled = answer.bundle.iter().flatten().filter_map(|&index| answer.sections.get(index));
    let open = bundled.filter(|section| section.offered).map(|section| &section.transport);
    open.chain([&answer.transport]).find_map(part)
}

#[cfg(test)]
mod tests;
