//! A virtual client's side of signalling: its offer as SDP, and what it makes of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::answerer::Answerer;
use super::peer::Peer;
use super::publisher::{Publisher, Stream};
use super::viewer::Viewer;
use crate::codec::Codec;
use crate::handshake::{MasterKey, Profile, SrtpKeys};
use crate::negotiate::Credentials;
use crate::random::Seeded;
use crate::time::Instant;

/// A client before it has an answer. Clients of different numbers share no SSRC, address or user fragment.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub number: u16,
    /// Whether it can retransmit in a stream of its own (RFC 4588).
    pub rtx: bool,
    /// The protection profile that its pretended DTLS agrees on.
    pub profile: Profile,
}

/// Enough characters for RFC 8839 5.4.
const PASSWORD: &str = "clientpasswordofenoughlength";

/// The header extension that numbers packets on their transport, as SDP names it.
const TRANSPORT_SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

impl Client {
    /// An offer to send Opus and VP8, with its SSRCs announced.
    pub fn offer_to_send(&self) -> String {
        self.offer_to_send_in(Codec::Vp8)
    }

    /// The same with another video codec: VP8 or H.264.
    pub fn offer_to_send_in(&self, video_codec: Codec) -> String {
        let [audio, video, repair] = self.ssrcs();
        let (mut group, mut repairs) = (String::new(), String::new());
        if self.rtx {
            group = format!("a=ssrc-group:FID {video} {repair}\r\n");
            repairs = format!("a=ssrc:{repair} cname:c\r\n");
        }
        let audio = format!("a=ssrc:{audio} cname:c\r\n");
        let video = format!("{group}a=ssrc:{video} cname:c\r\n{repairs}");
        self.offer("sendonly", &audio, &video, video_codec)
    }

    /// An offer to receive the same.
    pub fn offer_to_receive(&self) -> String {
        self.offer("recvonly", "", "", Codec::Vp8)
    }

    /// The publisher that the answer makes of this client; it sends until `until`.
    pub fn publisher(&self, answer: &str, server: SocketAddr, until: Instant) -> Option<Publisher> {
        self.publisher_in(Codec::Vp8, answer, server, until)
    }

    /// The same for an answer to [`offer_to_send_in`](Self::offer_to_send_in).
    pub fn publisher_in(&self, video: Codec, answer: &str, server: SocketAddr, until: Instant) -> Option<Publisher> {
        Some(Publisher::new(self.peer(answer, server)?, self.streams(video), self.number.into(), until))
    }

    /// The viewer that the server's answer, or its offer, makes of this client.
    pub fn viewer(&self, description: &str, server: SocketAddr) -> Option<Viewer> {
        Some(Viewer::new(self.peer(description, server)?, &announced(description)))
    }

    /// An answer to the server's offer: it receives all that is sent. `restart` counts the ICE restarts, each of which has
    /// other credentials.
    pub fn answer_to(&self, offer: &str, restart: u8) -> String {
        let Credentials { ufrag, password } = self.credentials(restart);
        const CODECS: [&str; 6] = ["opus/48000/2", "VP8/90000", "H264/90000", "VP9/90000", "AV1/90000", "H265/90000"];
        Answerer { ufrag, password, codecs: &CODECS, rtx: self.rtx }.answer(offer)
    }

    /// Its own credentials after so many ICE restarts.
    pub fn credentials(&self, restart: u8) -> Credentials {
        let ufrag = if restart == 0 { self.ufrag() } else { format!("{}r{restart}", self.ufrag()) };
        Credentials { ufrag, password: PASSWORD.to_owned() }
    }

    pub(super) fn peer(&self, description: &str, server: SocketAddr) -> Option<Peer> {
        let (local, remote) = (self.credentials(0), server_credentials(description)?);
        let address = SocketAddr::from(([198, 51, 100, 1], 20_000 + self.number));
        let mut random = Seeded::new(self.number.into());
        let mut master = || MasterKey {
            key: (0..self.profile.key_len()).map(|_| random.next_u64() as u8).collect(),
            salt: (0..self.profile.salt_len()).map(|_| random.next_u64() as u8).collect(),
        };
        let keys = SrtpKeys { profile: self.profile, inbound: master(), outbound: master() };
        Some(Peer::new(address, server, local, remote, keys))
    }

    /// SSRCs of audio, video, and the repairs of video.
    fn ssrcs(&self) -> [u32; 3] {
        let base = u32::from(self.number) * 100;
        [base + 1, base + 2, base + 3]
    }

    fn ufrag(&self) -> String {
        format!("client{:05}", self.number)
    }

    /// Audio of 50 packets a second, video of 30 frames of three packets: about 0.8 Mb/s.
    fn streams(&self, video_codec: Codec) -> Vec<Stream> {
        let [audio, video, repair] = self.ssrcs();
        vec![
            Stream {
                codec: Codec::Opus,
                ssrc: audio,
                payload_type: 111,
                rtx: None,
                clock_rate: 48_000,
                interval: Duration::from_millis(20),
                packets: 1,
                len: 100,
            },
            Stream {
                codec: video_codec,
                ssrc: video,
                payload_type: 96,
                rtx: self.rtx.then_some((repair, 97)),
                clock_rate: 90_000,
                interval: Duration::from_millis(33),
                packets: 3,
                len: 1000,
            },
        ]
    }

    /// The lines of its own transport, as each section of an offer has them.
    pub(super) fn transport(&self) -> String {
        let fingerprint = ["AA"; 32].join(":");
        format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{PASSWORD}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=setup:actpass\r\na=rtcp-mux\r\n",
            self.ufrag()
        )
    }

    fn offer(&self, direction: &str, audio: &str, video: &str, video_codec: Codec) -> String {
        let encoding = match video_codec {
            Codec::H264 => "H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id=42e01f",
            _ => "VP8/90000",
        };
        let (formats, rtx) = if self.rtx { (" 97", "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n") } else { ("", "") };
        let transport = self.transport();
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:0\r\na={direction}\r\n\
             a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n{audio}\
             m=video 9 UDP/TLS/RTP/SAVPF 96{formats}\r\n{transport}a=mid:1\r\na={direction}\r\n\
             a=rtpmap:96 {encoding}\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n\
             a=rtcp-fb:96 transport-cc\r\na=extmap:7 {TRANSPORT_SEQUENCE}\r\n{rtx}{video}"
        )
    }
}

/// The credentials that the server's description names first.
pub fn server_credentials(description: &str) -> Option<Credentials> {
    let value = |name: &str| description.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    Some(Credentials { ufrag: value("a=ice-ufrag:")?, password: value("a=ice-pwd:")? })
}

/// Primary SSRCs of the server's description in the order of its sections, each with that of its retransmissions.
pub fn announced(answer: &str) -> Vec<(u32, Option<u32>)> {
    let groups: Vec<(u32, u32)> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("a=ssrc-group:FID ")?.split_once(' '))
        .filter_map(|(primary, rtx)| Some((primary.trim().parse().ok()?, rtx.trim().parse().ok()?)))
        .collect();
    let ssrc = |line: &str| line.strip_prefix("a=ssrc:")?.split(' ').next()?.parse().ok();
    let mut all: Vec<u32> = answer.lines().filter_map(ssrc).collect();
    all.dedup();
    all.retain(|ssrc| groups.iter().all(|(_, rtx)| rtx != ssrc));
    let rtx_of = |ssrc: u32| groups.iter().find(|(primary, _)| *primary == ssrc).map(|(_, rtx)| *rtx);
    all.into_iter().map(|ssrc| (ssrc, rtx_of(ssrc))).collect()
}
