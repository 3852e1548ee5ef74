//! The clients of a stage: what a publisher and a viewer send, and the names and keys under which the machine knows them.
//!
//! A client is a number. Number 0 publishes, all others watch. Everybody has their own address and their own key.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tidewire_core::handshake::{MasterKey, Profile};
use tidewire_core::ice::Ufrags;
use tidewire_core::id::{ConnectionId, ShardId};
use tidewire_core::machine::Path;
use tidewire_core::rtcp::{Report, Writer};
use tidewire_core::rtp::FIXED_LEN;
use tidewire_core::srtp::Outbound;
use tidewire_core::stun::{REQUEST_LEN_MAX, Request, Role};

/// The client that publishes.
pub const PUBLISHER: u16 = 0;

/// The SSRC of its video.
pub(crate) const SSRC: u32 = 0xcafe;

/// The password of every client.
pub const PASSWORD: &str = "a password of enough length";

pub(crate) const SECRET: [u8; 16] = [3; 16];

/// A publisher's packets, sealed.
pub type Burst = Vec<Vec<u8>>;

/// The sending end of the publisher.
pub struct Publisher {
    outbound: Outbound,
    plain: Vec<u8>,
    header_len: usize,
    index: u64,
}

impl Publisher {
    pub(crate) fn new(profile: Profile, payload: &[u8]) -> Self {
        let plain = crate::rtp(SSRC, 0, payload);
        let header_len = plain.len() - payload.len();
        Self { outbound: Outbound::new(profile, &master(profile, PUBLISHER)), plain, header_len, index: 0 }
    }

    /// The next packets of a frame that began long ago.
    pub fn burst(&mut self, packets: usize) -> Burst {
        (0..packets).map(|_| self.packet(&crate::EXTENSIONS, [0, 1])).collect()
    }

    /// A key frame in one packet.
    pub fn key_frame(&mut self) -> Burst {
        vec![self.packet(&crate::KEY_EXTENSIONS, [0x10, 0])]
    }

    /// `vp8` is the descriptor and the first byte behind it (RFC 7741 4.2, 4.3).
    fn packet(&mut self, extensions: &[u8], vp8: [u8; 2]) -> Vec<u8> {
        self.index += 1;
        self.plain[2..4].copy_from_slice(&(self.index as u16).to_be_bytes());
        self.plain[FIXED_LEN..self.header_len].copy_from_slice(extensions);
        self.plain[self.header_len..][..2].copy_from_slice(&vp8);
        let mut sealed = self.plain[..self.header_len].to_vec();
        sealed.resize(self.plain.len() + self.outbound.rtp_overhead(), 0);
        let payload = &self.plain[self.header_len..];
        self.outbound.seal_rtp(self.index, self.header_len, payload, &mut sealed).expect("exact room");
        sealed
    }
}

/// The sending end of a viewer: feedback about what it gets, sealed.
pub struct Viewer {
    client: u16,
    outbound: Outbound,
    /// Packets that it has reported on.
    reported: u16,
}

impl Viewer {
    pub fn new(profile: Profile, client: u16) -> Self {
        Self { client, outbound: Outbound::new(profile, &master(profile, client)), reported: 0 }
    }

    /// A receiver report about one stream, with the viewer's name.
    pub fn receiver_report(&mut self) -> Vec<u8> {
        let report = Report { ssrc: self.client.into(), highest_sequence: 9, jitter: 3, ..Report::default() };
        self.compound(|writer| {
            writer.receiver_report(OWN_SSRC, &[report]);
            writer.canonical_name(OWN_SSRC, "a-viewer-16-long");
        })
    }

    /// Asks for one packet of the viewer's stream again.
    pub fn nack(&mut self, sequence: u16) -> Vec<u8> {
        let media = self.client.into();
        self.compound(|writer| writer.nack(OWN_SSRC, media, &[sequence]))
    }

    /// Transport-wide feedback on the next 20 packets, which all came, one tick apart
    /// (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1).
    pub fn transport_feedback(&mut self) -> Vec<u8> {
        let mut packet = vec![0x8f, 205, 0, 10];
        packet.extend(OWN_SSRC.to_be_bytes());
        packet.extend(u32::from(self.client).to_be_bytes());
        packet.extend(self.reported.to_be_bytes()); // the first packet's number
        packet.extend([0, 20]); // how many there are
        packet.extend([0, 0, 5, 0]); // reference time, count of feedback packets
        packet.extend([0x20, 20]); // a run: 20 times a small delta
        packet.extend([1; 20]);
        packet.extend([0; 2]);
        self.reported += 20;
        self.seal(packet)
    }

    fn compound(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        let mut writer = Writer::new(&mut bytes);
        write(&mut writer);
        let len = writer.len();
        bytes.truncate(len);
        self.seal(bytes)
    }

    fn seal(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let len = bytes.len();
        bytes.resize(len + self.outbound.rtcp_overhead(), 0);
        self.outbound.seal_rtcp(len, &mut bytes).expect("exact room");
        bytes
    }
}

/// The SSRC under which viewers report.
const OWN_SSRC: u32 = 1;

/// A connectivity check of the client, as it begins its way and as it shows its consent.
pub fn check(client: u16) -> Vec<u8> {
    let request = Request {
        transaction: [1; 12],
        receiver_ufrag: &local_ufrag(client),
        sender_ufrag: "client",
        priority: 1,
        role: Role::Controlling(1),
        use_candidate: true,
    };
    let mut bytes = vec![0; REQUEST_LEN_MAX];
    let len = request.write(PASSWORD.as_bytes(), &mut bytes).expect("room for a request");
    bytes.truncate(len);
    bytes
}

/// The server's user fragment towards the client.
pub(crate) fn local_ufrag(client: u16) -> String {
    Ufrags::new(&SECRET).encode(ShardId(0), connection(client), 0)
}

pub(crate) fn connection(client: u16) -> ConnectionId {
    ConnectionId { slot: client.into(), generation: 0 }
}

/// The way to a client.
pub fn path(client: u16) -> Path {
    Path { local: 0, remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000 + client) }
}

/// Everybody has their own key.
pub(crate) fn master(profile: Profile, client: u16) -> MasterKey {
    let [high, low] = client.to_be_bytes();
    MasterKey {
        key: (0..profile.key_len()).map(|at| if at == 0 { high } else { low }).collect(),
        salt: std::iter::repeat_n(9, profile.salt_len()).collect(),
    }
}
