//! The client's SDP offer (RFC 8866, RFC 8829, RFC 9725): one text, written from what the caller wants to send or hear.
//!
//! Everything is bundled on one transport with rtcp-mux. A section names exactly the codecs it was given, best first.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::media::Codec;
use super::stun::Credentials;
use super::twcc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// WHIP: the client sends.
    Send,
    /// WHEP: the client receives.
    Receive,
}

/// What the caller wants to agree on.
#[derive(Clone, Debug)]
pub struct Offer {
    pub direction: Direction,
    pub sections: Vec<Section>,
}

/// One media section.
#[derive(Clone, Debug)]
pub struct Section {
    pub mid: String,
    /// All of one kind.
    pub codecs: Vec<Codec>,
    pub retransmission: Retransmission,
    /// The SSRC that is announced, and that of its retransmissions; only a sender has one.
    pub ssrc: u32,
    pub rtx_ssrc: u32,
}

/// Whether RTX (RFC 4588) is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retransmission {
    Rtx,
    InPlace,
}

/// The offer's parts that belong to the transport.
#[derive(Clone, Debug)]
pub struct TransportLines<'a> {
    pub credentials: &'a Credentials,
    /// SHA-256 of the client's certificate, as `AB:CD:...`.
    pub fingerprint: &'a str,
    pub candidate: SocketAddr,
    pub cname: &'a str,
}

/// The header extension id under which MID is offered.
pub const MID_EXTENSION: u8 = 4;
/// The id under which the transport-wide sequence number is offered.
pub const TRANSPORT_EXTENSION: u8 = 5;

impl Offer {
    /// Sections of one codec each, with MIDs `0`, `1`, ... and SSRCs grown from `seed`.
    pub fn of(direction: Direction, codecs: &[Codec], retransmission: Retransmission, seed: u32) -> Self {
        let section = |(place, codec): (usize, &Codec)| Section {
            mid: place.to_string(),
            codecs: vec![*codec],
            retransmission,
            ssrc: seed.wrapping_add(1 + 2 * place as u32),
            rtx_ssrc: seed.wrapping_add(2 + 2 * place as u32),
        };
        Self { direction, sections: codecs.iter().enumerate().map(section).collect() }
    }

    /// The document.
    pub fn text(&self, transport: &TransportLines<'_>) -> String {
        let mids = self.sections.iter().map(|section| section.mid.as_str()).collect::<Vec<_>>().join(" ");
        let mut lines = vec![
            "v=0".to_owned(),
            "o=- 4611731400430051336 2 IN IP4 127.0.0.1".to_owned(),
            "s=-".to_owned(),
            "t=0 0".to_owned(),
            format!("a=group:BUNDLE {mids}"),
            "a=extmap-allow-mixed".to_owned(),
            "a=msid-semantic: WMS *".to_owned(),
        ];
        for (place, section) in self.sections.iter().enumerate() {
            section.write(self.direction, place, transport, &mut lines);
        }
        lines.iter().fold(String::new(), |mut text, line| {
            // Writing to a string cannot fail.
            write!(text, "{line}\r\n").unwrap_or_default();
            text
        })
    }
}

impl Section {
    /// The payload type of the codec at this place; its RTX is one above.
    pub fn payload_type(&self, place: usize, codec: Codec) -> u8 {
        let own = self.codecs.iter().position(|offered| *offered == codec).unwrap_or(0);
        codec.static_payload_type().unwrap_or(96 + (8 * place + 2 * own) as u8)
    }

    pub fn offers_rtx(&self) -> bool {
        self.retransmission == Retransmission::Rtx && self.codecs.iter().all(|codec| codec.is_video())
    }

    fn write(&self, direction: Direction, place: usize, transport: &TransportLines<'_>, lines: &mut Vec<String>) {
        let kind = if self.codecs.iter().any(|codec| codec.is_video()) { "video" } else { "audio" };
        let mut formats = Vec::new();
        let mut attributes = Vec::new();
        for codec in &self.codecs {
            self.write_format(*codec, self.payload_type(place, *codec), &mut formats, &mut attributes);
        }
        lines.push(format!("m={kind} 9 UDP/TLS/RTP/SAVPF {}", formats.join(" ")));
        lines.push("c=IN IP4 0.0.0.0".to_owned());
        lines.push("a=rtcp:9 IN IP4 0.0.0.0".to_owned());
        write_transport(transport, lines);
        lines.push(format!("a=mid:{}", self.mid));
        lines.push(format!("a=extmap:{MID_EXTENSION} urn:ietf:params:rtp-hdrext:sdes:mid"));
        lines.push(format!("a=extmap:{TRANSPORT_EXTENSION} {}", twcc::URI));
        lines.push(if direction == Direction::Send { "a=sendonly" } else { "a=recvonly" }.to_owned());
        lines.push("a=rtcp-mux".to_owned());
        lines.push("a=rtcp-rsize".to_owned());
        lines.append(&mut attributes);
        if direction == Direction::Send {
            self.write_sources(kind, transport.cname, lines);
        }
    }

    fn write_format(&self, codec: Codec, payload_type: u8, formats: &mut Vec<String>, attributes: &mut Vec<String>) {
        formats.push(payload_type.to_string());
        attributes.push(format!("a=rtpmap:{payload_type} {}", codec.rtpmap()));
        attributes.extend(codec.fmtp().map(|fmtp| format!("a=fmtp:{payload_type} {fmtp}")));
        if codec.is_video() {
            attributes.extend(
                ["transport-cc", "nack", "nack pli", "ccm fir"].map(|kind| format!("a=rtcp-fb:{payload_type} {kind}")),
            );
        }
        if self.offers_rtx() {
            let rtx = payload_type + 1;
            formats.push(rtx.to_string());
            attributes.push(format!("a=rtpmap:{rtx} rtx/{}", codec.clock_rate()));
            attributes.push(format!("a=fmtp:{rtx} apt={payload_type}"));
        }
    }

    fn write_sources(&self, kind: &str, cname: &str, lines: &mut Vec<String>) {
        lines.push(format!("a=msid:{cname} {cname}-{kind}"));
        if self.offers_rtx() {
            lines.push(format!("a=ssrc-group:FID {} {}", self.ssrc, self.rtx_ssrc));
        }
        lines.push(format!("a=ssrc:{} cname:{cname}", self.ssrc));
        if self.offers_rtx() {
            lines.push(format!("a=ssrc:{} cname:{cname}", self.rtx_ssrc));
        }
    }
}

fn write_transport(transport: &TransportLines<'_>, lines: &mut Vec<String>) {
    let (ip, port) = (transport.candidate.ip(), transport.candidate.port());
    lines.push(format!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host"));
    lines.push("a=end-of-candidates".to_owned());
    lines.push(format!("a=ice-ufrag:{}", transport.credentials.ufrag));
    lines.push(format!("a=ice-pwd:{}", transport.credentials.password));
    lines.push("a=ice-options:ice2".to_owned());
    lines.push(format!("a=fingerprint:sha-256 {}", transport.fingerprint));
    lines.push("a=setup:actpass".to_owned());
}
