//! A virtual client's side of signalling: its offer as SDP, and what it makes of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::peer::Peer;
use super::publisher::{Publisher, Stream};
use super::viewer::Viewer;
use crate::codec::Kind;
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

impl Client {
    /// An offer to send Opus and VP8, with its SSRCs announced.
    pub fn offer_to_send(&self) -> String {
        let [audio, video, repair] = self.ssrcs();
        let (mut group, mut repairs) = (String::new(), String::new());
        if self.rtx {
            group = format!("a=ssrc-group:FID {video} {repair}\r\n");
            repairs = format!("a=ssrc:{repair} cname:c\r\n");
        }
        let audio = format!("a=ssrc:{audio} cname:c\r\n");
        self.offer("sendonly", &audio, &format!("{group}a=ssrc:{video} cname:c\r\n{repairs}"))
    }

    /// An offer to receive the same.
    pub fn offer_to_receive(&self) -> String {
        self.offer("recvonly", "", "")
    }

    /// The publisher that the answer makes of this client; it sends until `until`.
    pub fn publisher(&self, answer: &str, server: SocketAddr, until: Instant) -> Option<Publisher> {
        Some(Publisher::new(self.peer(answer, server)?, self.streams(), self.number.into(), until))
    }

    /// The viewer that the answer makes of this client.
    pub fn viewer(&self, answer: &str, server: SocketAddr) -> Option<Viewer> {
        Some(Viewer::new(self.peer(answer, server)?, &announced(answer)))
    }

    fn peer(&self, answer: &str, server: SocketAddr) -> Option<Peer> {
        let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let remote = Credentials { ufrag: value("a=ice-ufrag:")?, password: value("a=ice-pwd:")? };
        let local = Credentials { ufrag: self.ufrag(), password: PASSWORD.to_owned() };
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
    fn streams(&self) -> Vec<Stream> {
        let [audio, video, repair] = self.ssrcs();
        vec![
            Stream {
                kind: Kind::Audio,
                ssrc: audio,
                payload_type: 111,
                rtx: None,
                clock_rate: 48_000,
                interval: Duration::from_millis(20),
                packets: 1,
                len: 100,
            },
            Stream {
                kind: Kind::Video,
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

    fn offer(&self, direction: &str, audio: &str, video: &str) -> String {
        let (formats, rtx) = if self.rtx { (" 97", "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n") } else { ("", "") };
        let fingerprint = ["AA"; 32].join(":");
        let transport = format!(
            "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{PASSWORD}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
             a=setup:actpass\r\na=rtcp-mux\r\n",
            self.ufrag()
        );
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:0\r\na={direction}\r\n\
             a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n{audio}\
             m=video 9 UDP/TLS/RTP/SAVPF 96{formats}\r\n{transport}a=mid:1\r\na={direction}\r\n\
             a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n\
             {rtx}{video}"
        )
    }
}

/// Primary SSRCs of an answer in the order of its sections, each with that of its retransmissions.
fn announced(answer: &str) -> Vec<(u32, Option<u32>)> {
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
