//! The server's own offer of a downstream (RFC 8829 5.2): any number of sections that send, or wait for something to send.
//!
//! In: the sections in their order, which only ever grows. Out: the text. Invariant: the offers of one connection differ only
//! in what their sections send; payload types, extension ids and mids mean the same in all of them and in every section, so
//! that a section can be given to another stream. The transport stands once, at the session's level (RFC 8839 5.4, RFC 8842 5,
//! RFC 8122 5): an offer of a large meeting has a hundred sections.

use super::agreement::{Cname, Extensions, Feedback, Format, Source, Spec};
use super::capabilities::{self, EXTENSIONS, OFFERED, OfferRow};
use super::matching::Local;
use super::parse::{Direction, is_token};
use super::write::Sdp;
use crate::codec::Kind;
use crate::id::Mid;

/// One media section of an offer of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnSection {
    /// Unique in the offer; a token.
    pub mid: Mid,
    pub kind: Kind,
    pub sends: Sends,
}

/// What a section of ours sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// A stream. `cname` is its publisher's canonical name, and that of the media stream in which the publisher's other streams
    /// are played too; it has to be a token.
    Stream { source: Source, cname: Cname },
    /// Nothing for now.
    Nothing,
    /// Nothing any more: the client has rejected the section, which keeps its place (RFC 3264 8.2).
    Never,
}

/// Writes an offer. `version` grows with every offer of a connection; everything else that `local` says stays, but for the
/// credentials, whose change is an ICE restart.
pub fn offer_downstream(local: &Local<'_>, version: u32, sections: &[OwnSection]) -> String {
    let bodies = [Kind::Audio, Kind::Video].map(Body::of);
    let mut sdp = Sdp(String::with_capacity(1024 + 2048 * sections.len()));
    sdp.offered_session(local, version, sections);
    let tagged = sections.iter().find(|section| section.sends != Sends::Never).map(|section| section.mid);
    for section in sections {
        let body = &bodies[usize::from(section.kind == Kind::Video)];
        sdp.offered_head(section, body);
        if tagged == Some(section.mid) {
            sdp.candidates(local);
        }
        sdp.offered_media(section, body);
    }
    sdp.0
}

/// The formats of every section of a kind.
pub(super) fn formats(kind: Kind) -> impl Iterator<Item = Format> {
    OFFERED.iter().filter(move |row| row.codec.kind() == kind).map(format)
}

/// The header extensions of every section of a kind: each has its own id, whatever the kind.
pub(super) fn extensions(kind: Kind) -> Extensions {
    let mut extensions = Extensions::default();
    // With it a long element may go in the two-byte form while all others stay short (RFC 8285 6).
    extensions.mixed = true;
    for row in EXTENSIONS.iter().filter(|row| row.is_taken(kind, Direction::SendOnly)) {
        extensions.bind(row.extension, row.extension as u8 + 1);
    }
    extensions
}

fn format(row: &OfferRow) -> Format {
    let kind = row.codec.kind();
    let (clock_rate, channels) = capabilities::clock_of(row.codec);
    let spec = Spec { codec: row.codec, clock_rate, channels, parameters: row.parameters.to_owned() };
    // Whoever answers offers of ours reports on the transport; the older feedback would be another line for each format.
    let feedback = Feedback { remb: false, ..capabilities::feedback(kind, Direction::SendOnly) };
    Format { payload_type: row.payload_type, spec, rtx: row.rtx, feedback }
}

/// What all sections of a kind have in common, written once.
struct Body {
    /// Payload types, as the `m=` line lists them.
    numbers: String,
    extensions: String,
    formats: String,
}

impl Body {
    fn of(kind: Kind) -> Self {
        let (mut body, mut ids) = (Sdp(String::new()), Sdp(String::new()));
        let formats: Vec<Format> = formats(kind).collect();
        // A receiver that tells its time is answered, and knows how long to wait before it asks for a packet again. Chromium takes
        // this as leave to tell it, and does not mind that nobody answers for it.
        body.line(format_args!("a=rtcp-fb:* rrtr"));
        formats.iter().for_each(|format| body.format(format));
        ids.extension_ids(&extensions(kind));
        let numbers = formats.iter().flat_map(|format| [Some(format.payload_type), format.rtx]).flatten();
        let numbers = numbers.map(|number| format!(" {number}")).collect();
        Self { numbers, extensions: ids.0, formats: body.0 }
    }
}

impl Sdp {
    fn offered_session(&mut self, local: &Local<'_>, version: u32, sections: &[OwnSection]) {
        self.head(local.session_id, version);
        let open = sections.iter().filter(|section| section.sends != Sends::Never);
        let mids: String = open.map(|section| format!(" {}", section.mid)).collect();
        self.line(format_args!("a=group:BUNDLE{mids}"));
        self.line(format_args!("a=extmap-allow-mixed"));
        self.line(format_args!("a=ice-lite"));
        self.line(format_args!("a=ice-options:trickle"));
        self.end(local);
        // RFC 8842 5.5 wants `actpass`, which leaves the choice to the answerer. This end can only be the DTLS server, and
        // not every answerer chooses as RFC 5763 5 recommends; so it is said.
        self.line(format_args!("a=setup:passive"));
    }

    fn offered_head(&mut self, section: &OwnSection, body: &Body) {
        let port = if section.sends == Sends::Never { 0 } else { 9 };
        let kind = match section.kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
        };
        self.line(format_args!("m={kind} {port} UDP/TLS/RTP/SAVPF{}", body.numbers));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=mid:{}", section.mid));
    }

    fn offered_media(&mut self, section: &OwnSection, body: &Body) {
        if section.sends == Sends::Never {
            self.line(format_args!("a=inactive"));
            return;
        }
        self.0.push_str(&body.extensions);
        self.line(format_args!("a=rtcp-mux"));
        self.line(format_args!("a=rtcp-rsize"));
        self.0.push_str(&body.formats);
        match &section.sends {
            Sends::Stream { source, cname } => {
                debug_assert!(cname.bytes().all(is_token), "the caller's cname is a token");
                self.line(format_args!("a=sendonly"));
                // A section that is given to another stream names another track, so that nobody takes it for the old one.
                self.line(format_args!("a=msid:{cname} {cname}-{}", source.primary));
                self.sources(std::slice::from_ref(source), cname);
            }
            Sends::Nothing | Sends::Never => self.line(format_args!("a=inactive")),
        }
    }
}
