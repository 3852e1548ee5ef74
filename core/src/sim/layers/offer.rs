//! How a virtual client offers layered video, and what it makes of the descriptions that it gets.

use std::fmt::Write;
use std::net::SocketAddr;

use super::encoder::Encoding;
use super::publisher::{LayeredPublisher, Wire};
use super::viewer::DecodingViewer;
use crate::codec::Codec;
use crate::id::{Mid, Rid};
use crate::negotiate::{Extension, Extensions};
use crate::sim::client::{Client, announced};
use crate::time::Instant;

/// What a publisher sends: an encoding alone, or several, each under a RID.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The lowest first.
    pub encodings: Vec<(&'static str, Encoding)>,
    /// Whether the offer names the SSRCs, as Firefox does with several encodings, and Chromium with one.
    pub announced: bool,
}

const DESCRIPTOR_URI: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const PAYLOAD_TYPE: u8 = 96;
const RTX: u8 = 97;

impl Client {
    /// An offer to send one video in layers.
    pub fn offer_to_send_layers(&self, layers: &Layers) -> String {
        let Some(codec) = layers.encodings.first().map(|(_, encoding)| encoding.codec) else { return String::new() };
        let (name, parameters) = format_of(codec);
        let mut offer = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE} {RTX}\r\n{}a=mid:0\r\na=sendonly\r\n\
             a=rtpmap:{PAYLOAD_TYPE} {name}/90000\r\n{parameters}a=rtcp-fb:{PAYLOAD_TYPE} nack\r\n\
             a=rtcp-fb:{PAYLOAD_TYPE} nack pli\r\na=rtcp-fb:{PAYLOAD_TYPE} ccm fir\r\n\
             a=rtpmap:{RTX} rtx/90000\r\na=fmtp:{RTX} apt={PAYLOAD_TYPE}\r\n",
            self.transport()
        );
        let uris = [
            "urn:ietf:params:rtp-hdrext:sdes:mid",
            "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            DESCRIPTOR_URI,
        ];
        for (uri, extension) in uris.iter().zip(OFFERED) {
            offer += &format!("a=extmap:{} {uri}\r\n", extension.1);
        }
        self.offer_encodings(layers, &mut offer);
        offer
    }

    /// The publisher that the answer makes of this client.
    pub fn layered_publisher(
        &self,
        layers: &Layers,
        answer: &str,
        server: SocketAddr,
        until: Instant,
    ) -> Option<LayeredPublisher> {
        let mut extensions = Extensions::default();
        extensions.mixed = true;
        OFFERED.iter().for_each(|(extension, id)| extensions.bind(*extension, *id));
        let several = layers.encodings.len() > 1;
        let wire = |(index, (rid, encoding)): (usize, &(&str, Encoding))| {
            let (ssrc, rtx) = self.layer_ssrcs(index);
            let rid = Rid::from(rid).ok().filter(|_| several);
            Wire { ssrc, payload_type: PAYLOAD_TYPE, rtx: Some((rtx, RTX)), rid, encoding: encoding.clone() }
        };
        let wires = layers.encodings.iter().enumerate().map(wire).collect();
        let (peer, mid) = (self.peer(answer, server)?, Mid::from("0").ok()?);
        Some(LayeredPublisher::new(peer, mid, extensions, wires, self.number.into(), until))
    }

    /// The viewer that the server's offer makes of this client, for videos in this codec.
    pub fn decoding_viewer(&self, description: &str, codec: Codec, server: SocketAddr) -> Option<DecodingViewer> {
        let extmap = |line: &str| {
            line.strip_prefix("a=extmap:")?.split_once(' ').map(|(id, uri)| (id.to_owned(), uri.to_owned()))
        };
        let descriptor = description.lines().filter_map(extmap).find(|(_, uri)| uri == DESCRIPTOR_URI);
        let id = descriptor.and_then(|(id, _)| id.parse().ok());
        // Sections of other kinds have no retransmissions.
        let videos: Vec<_> = announced(description).into_iter().filter(|(_, rtx)| rtx.is_some()).collect();
        Some(DecodingViewer::new(self.peer(description, server)?, &videos, codec, id))
    }

    fn offer_encodings(&self, layers: &Layers, offer: &mut String) {
        let several = layers.encodings.len() > 1;
        if several {
            let rids: Vec<_> = layers.encodings.iter().map(|(rid, _)| *rid).collect();
            rids.iter().for_each(|rid| *offer += &format!("a=rid:{rid} send\r\n"));
            *offer += &format!("a=simulcast:send {}\r\n", rids.join(";"));
        }
        if layers.announced {
            for index in 0..layers.encodings.len() {
                let (ssrc, rtx) = self.layer_ssrcs(index);
                *offer +=
                    &format!("a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{ssrc} cname:c\r\na=ssrc:{rtx} cname:c\r\n");
            }
        }
    }

    /// SSRCs of an encoding and of its repairs.
    fn layer_ssrcs(&self, index: usize) -> (u32, u32) {
        let primary = u32::from(self.number) * 100 + 11 + 2 * index as u32;
        (primary, primary + 1)
    }
}

const OFFERED: [(Extension, u8); 4] =
    [(Extension::Mid, 4), (Extension::Rid, 10), (Extension::RepairedRid, 11), (Extension::DependencyDescriptor, 13)];

/// Its name, and a line of parameters where it has any.
fn format_of(codec: Codec) -> (&'static str, String) {
    let (name, parameters) = match codec {
        Codec::Vp9 => ("VP9", "profile-id=0"),
        Codec::H264 => ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        Codec::H265 => ("H265", "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"),
        Codec::Av1 => ("AV1", "level-idx=5;profile=0;tier=0"),
        _ => ("VP8", ""),
    };
    let mut line = String::new();
    if !parameters.is_empty() {
        // Writing to a string cannot fail.
        write!(line, "a=fmtp:{PAYLOAD_TYPE} {parameters}\r\n").unwrap_or_default();
    }
    (name, line)
}
