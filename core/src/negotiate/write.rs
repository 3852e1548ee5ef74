//! The text of an answer (RFC 3264 6, RFC 8829 5.3), and of candidates.
//!
//! As many media sections as the offer has, in its order; what is not accepted is mirrored with port 0. Every accepted
//! section repeats the transport, since some clients look for it in each; candidates stand in the first of the BUNDLE
//! group only. Whatever is echoed came out of single SDP lines, so it cannot make lines of its own.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use super::agreement::{Extensions, Format, Media, Source};
use super::capabilities::{self, EXTENSIONS};
use super::matching::{Answer, Local};
use super::parse::is_token;
use super::section::Section;
use crate::handshake::Fingerprint;
use crate::id::Rid;

/// Writes an answer.
pub(super) fn answer(answer: &Answer<'_>) -> String {
    debug_assert!(answer.cname.is_none_or(|cname| cname.bytes().all(is_token)), "the caller's cname is a token");
    let mut sdp = Sdp(String::with_capacity(4096));
    sdp.session(answer);
    let tagged = answer.bundled().next().map(|(section, _)| std::ptr::from_ref(section));
    for (section, accepted) in answer.offer.sections.iter().zip(&answer.accepted) {
        match accepted {
            Some(media) => sdp.accepted(answer, section, media, tagged == Some(std::ptr::from_ref(section))),
            None => sdp.rejected(section),
        }
    }
    sdp.0
}

/// A host candidate as `a=candidate` and the message to the gateway carry it (RFC 8839 5.1), without `a=`.
///
/// `index` counts from the best: it makes the foundation, and lowers the priority.
pub fn candidate_line(address: SocketAddr, index: usize) -> String {
    let local_preference = 65_535 - u32::try_from(index).unwrap_or(u32::MAX).min(65_535);
    // RFC 8445 5.1.2.1: type preference 126 for host, component 1.
    let priority = (126 << 24) + (local_preference << 8) + 255;
    format!("candidate:{} 1 udp {priority} {} {} typ host", index + 1, address.ip(), address.port())
}

/// The text so far.
pub(super) struct Sdp(pub(super) String);

impl Sdp {
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        self.0.write_fmt(line).and_then(|()| self.0.write_str("\r\n")).unwrap_or_default();
    }

    /// The lines that every description begins with. `version` counts the descriptions of one session (RFC 8829 5.2.2).
    pub(super) fn head(&mut self, session_id: u64, version: u32) {
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {session_id} {version} IN IP4 127.0.0.1"));
        self.line(format_args!("s=-"));
        self.line(format_args!("t=0 0"));
    }

    fn session(&mut self, answer: &Answer<'_>) {
        self.head(answer.local.session_id, 1);
        // A lone section may have no mid, and then is in no group.
        let mids: String = answer
            .bundled()
            .filter(|(section, _)| section.mid.is_some())
            .map(|(_, media)| format!(" {}", media.mid))
            .collect();
        if !mids.is_empty() {
            self.line(format_args!("a=group:BUNDLE{mids}"));
        }
        if answer.offer.mixed {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        self.line(format_args!("a=ice-lite"));
        self.line(format_args!("a=ice-options:trickle"));
    }

    /// RFC 3264 6: a rejected section has port 0 and keeps its formats, which mean nothing.
    fn rejected(&mut self, section: &Section) {
        self.line(format_args!("m={} 0 {} {}", section.media, section.protocol, section.formats_text));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        if let Some(mid) = section.mid {
            self.line(format_args!("a=mid:{mid}"));
        }
        self.line(format_args!("a=inactive"));
    }

    fn accepted(&mut self, answer: &Answer<'_>, section: &Section, media: &Media, tagged: bool) {
        let numbers: String = media
            .formats
            .iter()
            .flat_map(|format| [Some(format.payload_type), format.rtx])
            .flatten()
            .map(|number| format!(" {number}"))
            .collect();
        self.line(format_args!("m={} 9 {}{numbers}", section.media, section.protocol));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.transport(answer, tagged);
        if section.mid.is_some() {
            self.line(format_args!("a=mid:{}", media.mid));
        }
        self.extensions(&media.extensions, answer.offer.mixed);
        self.line(format_args!("a={}", answer.direction.name()));
        self.line(format_args!("a=rtcp-mux"));
        if section.reduced_rtcp {
            self.line(format_args!("a=rtcp-rsize"));
        }
        for format in &media.formats {
            self.format(format);
        }
        self.encodings(&media.rids);
        if let Some(cname) = answer.cname {
            self.line(format_args!("a=msid:{cname} {cname}-{}", media.mid));
            self.sources(&media.sources, cname);
        }
    }

    /// RFC 8853 5.3: the encodings that are received.
    fn encodings(&mut self, rids: &[Rid]) {
        for rid in rids {
            self.line(format_args!("a=rid:{rid} recv"));
        }
        if !rids.is_empty() {
            self.line(format_args!("a=simulcast:recv {}", rids.join(";")));
        }
    }

    fn transport(&mut self, answer: &Answer<'_>, tagged: bool) {
        if tagged {
            self.candidates(answer.local);
        }
        self.end(answer.local);
        self.line(format_args!("a=setup:passive"));
    }

    pub(super) fn candidates(&mut self, local: &Local<'_>) {
        for (index, &address) in local.candidates.iter().enumerate() {
            self.line(format_args!("a={}", candidate_line(address, index)));
        }
        self.line(format_args!("a=end-of-candidates"));
    }

    /// Who this end is, for ICE and for DTLS.
    pub(super) fn end(&mut self, local: &Local<'_>) {
        self.line(format_args!("a=ice-ufrag:{}", local.credentials.ufrag));
        self.line(format_args!("a=ice-pwd:{}", local.credentials.password));
        self.line(format_args!("a=fingerprint:sha-256 {}", Hex(local.fingerprint)));
    }

    fn extensions(&mut self, extensions: &Extensions, mixed_session: bool) {
        if extensions.mixed && !mixed_session {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        self.extension_ids(extensions);
    }

    pub(super) fn extension_ids(&mut self, extensions: &Extensions) {
        for row in &EXTENSIONS {
            if let Some(id) = extensions.id(row.extension) {
                self.line(format_args!("a=extmap:{id} {}", row.uri));
            }
        }
    }

    pub(super) fn format(&mut self, format: &Format) {
        let (number, spec, feedback) = (format.payload_type, &format.spec, format.feedback);
        let name = capabilities::name_of(spec.codec);
        match spec.channels {
            1 => self.line(format_args!("a=rtpmap:{number} {name}/{}", spec.clock_rate)),
            channels => self.line(format_args!("a=rtpmap:{number} {name}/{}/{channels}", spec.clock_rate)),
        }
        let named = [
            (feedback.remb, "goog-remb"),
            (feedback.transport_cc, "transport-cc"),
            (feedback.fir, "ccm fir"),
            (feedback.nack, "nack"),
            (feedback.pli, "nack pli"),
        ];
        for (_, name) in named.into_iter().filter(|(agreed, _)| *agreed) {
            self.line(format_args!("a=rtcp-fb:{number} {name}"));
        }
        if !spec.parameters.is_empty() {
            self.line(format_args!("a=fmtp:{number} {}", spec.parameters));
        }
        if let Some(rtx) = format.rtx {
            self.line(format_args!("a=rtpmap:{rtx} rtx/{}", spec.clock_rate));
            self.line(format_args!("a=fmtp:{rtx} apt={number}"));
        }
    }

    /// RFC 5576: the SSRCs of one section. Tracks that share a canonical name (and, RFC 8830, a media stream) are played in
    /// sync.
    pub(super) fn sources(&mut self, sources: &[Source], cname: &str) {
        for source in sources {
            if let Some(rtx) = source.rtx {
                self.line(format_args!("a=ssrc-group:FID {} {rtx}", source.primary));
            }
            for ssrc in [Some(source.primary), source.rtx].into_iter().flatten() {
                self.line(format_args!("a=ssrc:{ssrc} cname:{cname}"));
            }
        }
    }
}

/// A fingerprint as RFC 8122 5 writes it.
struct Hex<'a>(&'a Fingerprint);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}
