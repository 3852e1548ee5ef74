//! The server's SDP answer, read as far as a client must: credentials, certificate, candidates, formats, sources.
//!
//! Attributes that may stand at the session or at a media section are taken from whichever names them. What the answer
//! leaves out is an error here, since a browser would refuse it as well.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};

use super::offer::{Offer, Section};
use super::stun::Credentials;

#[derive(Clone, Debug)]
pub struct Answer {
    pub credentials: Credentials,
    /// SHA-256 of the server's certificate.
    pub fingerprint: Vec<u8>,
    pub setup: String,
    pub ice_lite: bool,
    /// UDP host candidates, in the answer's order.
    pub candidates: Vec<SocketAddr>,
    pub media: Vec<Media>,
}

/// One media section of the answer.
#[derive(Clone, Debug, Default)]
pub struct Media {
    pub kind: String,
    /// Zero when the section was refused.
    pub port: u16,
    pub mid: String,
    pub direction: String,
    /// Payload types in the answer's order, and what each stands for (`VP8/90000`).
    pub formats: Vec<u8>,
    pub rtpmaps: HashMap<u8, String>,
    /// Which payload type each RTX payload type repairs.
    pub apts: HashMap<u8, u8>,
    pub ssrcs: Vec<u32>,
    /// Primary and RTX SSRC (RFC 5576 4.2).
    pub fid: Option<(u32, u32)>,
    pub extensions: HashMap<String, u8>,
    pub rtcp_mux: bool,
}

impl Answer {
    /// What a server would answer that takes whatever is offered and sends nothing but its own candidate.
    pub fn to_everything(offer: &Offer, candidate: SocketAddr) -> Self {
        Self {
            credentials: Credentials { ufrag: String::new(), password: String::new() },
            fingerprint: Vec::new(),
            setup: "passive".to_owned(),
            ice_lite: true,
            candidates: vec![candidate],
            media: offer.sections.iter().enumerate().map(|(place, section)| Media::of(place, section)).collect(),
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        let mut transport = HashMap::new();
        let mut candidates = Vec::new();
        let mut ice_lite = false;
        let mut media: Vec<Media> = Vec::new();
        for line in text.lines().map(str::trim_end) {
            match line.split_once('=') {
                Some(("m", value)) => media.push(Media::from_line(value)?),
                Some(("a", "ice-lite")) => ice_lite = true,
                Some(("a", value)) => match value.split_once(':').unwrap_or((value, "")) {
                    ("candidate", candidate) => candidates.extend(udp_host(candidate)),
                    (name @ ("ice-ufrag" | "ice-pwd" | "fingerprint" | "setup"), value) => {
                        transport.entry(name).or_insert(value);
                    }
                    (name, value) => media.last_mut().map_or(Ok(()), |section| section.attribute(name, value))?,
                },
                Some(_) | None => {}
            }
        }
        let of = |name: &str| {
            transport.get(name).map(|value| (*value).to_owned()).with_context(|| format!("no {name} in the answer"))
        };
        candidates.dedup();
        Ok(Self {
            credentials: Credentials { ufrag: of("ice-ufrag")?, password: of("ice-pwd")? },
            fingerprint: sha256_bytes(&of("fingerprint")?)?,
            setup: of("setup")?,
            ice_lite,
            candidates,
            media,
        })
    }
}

impl Media {
    fn of(place: usize, section: &Section) -> Self {
        let formats = section.codecs.iter().map(|codec| (section.payload_type(place, *codec), *codec));
        Self {
            kind: if section.codecs.iter().any(|codec| codec.is_video()) { "video" } else { "audio" }.to_owned(),
            port: 9,
            mid: section.mid.clone(),
            formats: formats.clone().map(|(format, _)| format).collect(),
            rtpmaps: formats.map(|(format, codec)| (format, codec.rtpmap().to_owned())).collect(),
            rtcp_mux: true,
            ..Self::default()
        }
    }

    fn from_line(value: &str) -> Result<Self> {
        let mut words = value.split(' ');
        let kind = words.next().unwrap_or_default().to_owned();
        let port = words.next().context("an m= line without a port")?.parse()?;
        let formats = words.skip(1).map(str::parse).collect::<Result<_, _>>().context("formats of an m= line")?;
        Ok(Self { kind, port, formats, ..Self::default() })
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<()> {
        let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
        match name {
            "mid" => self.mid = value.to_owned(),
            "sendonly" | "recvonly" | "sendrecv" | "inactive" => self.direction = name.to_owned(),
            "rtcp-mux" => self.rtcp_mux = true,
            "rtpmap" => {
                self.rtpmaps.insert(first.parse()?, rest.to_owned());
            }
            "fmtp" => {
                if let Some(apt) = rest.strip_prefix("apt=") {
                    self.apts.insert(first.parse()?, apt.parse()?);
                }
            }
            "ssrc" => {
                let ssrc = first.parse()?;
                if !self.ssrcs.contains(&ssrc) {
                    self.ssrcs.push(ssrc);
                }
            }
            "ssrc-group" => self.fid = fid(value).or(self.fid),
            "extmap" => {
                let id = first.split('/').next().unwrap_or(first);
                self.extensions.insert(rest.to_owned(), id.parse()?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn fid(value: &str) -> Option<(u32, u32)> {
    let mut words = value.strip_prefix("FID ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// RFC 8839 5.1: `foundation component transport priority address port typ type`.
fn udp_host(candidate: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = candidate.split(' ').collect();
    let is_host = words.get(2)?.eq_ignore_ascii_case("udp") && *words.get(7)? == "host";
    let ip: IpAddr = words.get(4)?.parse().ok()?;
    is_host.then_some(SocketAddr::new(ip, words.get(5)?.parse().ok()?))
}

fn sha256_bytes(value: &str) -> Result<Vec<u8>> {
    let (name, hex) = value.split_once(' ').context("a fingerprint without a hash name")?;
    ensure!(name.eq_ignore_ascii_case("sha-256"), "a fingerprint that is no sha-256");
    let bytes: Vec<u8> = hex.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    ensure!(bytes.len() == 32, "a fingerprint of {} bytes", bytes.len());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole() {
        let fingerprint = vec!["AB"; 32].join(":");
        let text = format!(
            "v=0\r\na=ice-lite\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:passive\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n\
             a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:x\r\na=ssrc:2 cname:x\r\n\
             a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=candidate:1 1 udp 2130706431 127.0.0.1 7000 typ host\r\n\
             a=candidate:2 1 tcp 2130706431 127.0.0.1 9 typ host tcptype active\r\n"
        );
        let answer = Answer::parse(&text).unwrap();
        assert!(answer.ice_lite);
        assert_eq!(answer.setup, "passive");
        assert_eq!(answer.candidates, vec!["127.0.0.1:7000".parse().unwrap()]);
        assert_eq!(answer.fingerprint, vec![0xab; 32]);
        let media = &answer.media[0];
        assert_eq!((media.fid, media.ssrcs.as_slice()), (Some((1, 2)), [1, 2].as_slice()));
        assert_eq!(media.apts[&97], 96);
        assert_eq!(media.extensions["urn:ietf:params:rtp-hdrext:sdes:mid"], 4);
        assert!(media.rtcp_mux && media.direction == "sendonly");
    }

    #[test]
    fn an_answer_without_credentials_is_refused() {
        assert!(Answer::parse("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n").is_err());
    }
}
