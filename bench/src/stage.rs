//! One publisher and its viewers on the pure machine, with nothing between them and the bench.
//!
//! `stage` sets a call up to the point where media flows: commands, one check and the keys for each client. Then each
//! `Publisher::burst` goes into one `Stage::turn`, what a shard does in a wake-up less its system calls. `Ciphers` does
//! only what no server could leave out: open each packet once, seal it once for each viewer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidewire_core::codec::{Codec, Kind};
use tidewire_core::count::Counter;
use tidewire_core::handshake::{Fingerprint, MasterKey, Profile, Progress as Handshake, SrtpKeys};
use tidewire_core::ice::Ufrags;
use tidewire_core::id::{ConnectionId, Mid, ShardId};
use tidewire_core::machine::{Batch, Budget, Datagram, Egress, Machine, Path, Progress};
use tidewire_core::negotiate::{Agreement, Cname, Credentials, Extensions, Feedback, Format, Media, Source, Spec};
use tidewire_core::rtp::Header;
use tidewire_core::srtp::{Inbound, Outbound};
use tidewire_core::stun::{REQUEST_LEN_MAX, Request, Role};
use tidewire_core::time::Instant;
use tidewire_sfu::{Command, OpenDownstream, OpenUpstream, PublicationId, SessionId, SessionTable, TableConfig};

const SECRET: [u8; 16] = [3; 16];
const PASSWORD: &str = "a password of enough length";
const SSRC: u32 = 0xcafe;

/// Packets that a slice of the fan-out may seal: as many as a shard allows it.
const BUDGET: Budget = Budget { packets_max: 256 };

/// So little between two turns that no consent ever runs out.
const TURN_INTERVAL: Duration = Duration::from_micros(1);

/// A publisher's packets, sealed.
pub type Burst = Vec<Vec<u8>>;

/// A call of one publisher and this many viewers, all keyed under `profile`, in which the first key frame has passed.
pub fn stage(profile: Profile, viewers: u16, payload: &[u8]) -> (Publisher, Stage) {
    let table = SessionTable::new(TableConfig { shard: ShardId(0), secret: SECRET, seed: 1 });
    let mut stage = Stage { table, train: Train::default(), now: Instant::ORIGIN };
    stage.open(0, &open_upstream());
    stage.connect(0, profile);
    for viewer in 1..=viewers {
        stage.open(viewer, &open_downstream(viewer));
        stage.connect(viewer, profile);
    }
    let mut publisher = Publisher::new(profile, payload);
    stage.turn(&mut publisher.key_frame());
    (publisher, stage)
}

/// The sending end of the publisher.
pub struct Publisher {
    outbound: Outbound,
    plain: Vec<u8>,
    header_len: usize,
    index: u64,
}

impl Publisher {
    fn new(profile: Profile, payload: &[u8]) -> Self {
        let plain = crate::rtp(SSRC, 0, payload);
        let header_len = plain.len() - payload.len();
        Self { outbound: Outbound::new(profile, &master(profile, 0)), plain, header_len, index: 0 }
    }

    /// The next packets of a frame that began long ago.
    pub fn burst(&mut self, packets: usize) -> Burst {
        (0..packets).map(|_| self.packet([0, 1])).collect()
    }

    fn key_frame(&mut self) -> Burst {
        vec![self.packet([0x10, 0])]
    }

    /// `vp8` is the descriptor and the first byte behind it (RFC 7741 4.2, 4.3).
    fn packet(&mut self, vp8: [u8; 2]) -> Vec<u8> {
        self.index += 1;
        self.plain[2..4].copy_from_slice(&(self.index as u16).to_be_bytes());
        self.plain[self.header_len..][..2].copy_from_slice(&vp8);
        let mut sealed = self.plain[..self.header_len].to_vec();
        sealed.resize(self.plain.len() + self.outbound.rtp_overhead(), 0);
        let payload = &self.plain[self.header_len..];
        self.outbound.seal_rtp(self.index, self.header_len, payload, &mut sealed).expect("exact room");
        sealed
    }
}

/// The machine with its clients.
pub struct Stage {
    table: SessionTable,
    train: Train,
    now: Instant,
}

impl Stage {
    /// Takes a burst in, and forwards it to everybody.
    pub fn turn(&mut self, burst: &mut Burst) {
        self.now += TURN_INTERVAL;
        let mut batch = Batch::new();
        for bytes in burst {
            let datagram = Datagram { path: path(0), arrival: self.now, bytes };
            batch.push(datagram).expect("a burst is no longer than a batch");
        }
        self.table.handle(self.now, &mut batch, &mut self.train);
        while self.table.forward(self.now, BUDGET, &mut self.train) == Progress::More {}
    }

    /// Packets sealed for viewers so far.
    pub fn forwarded(&self) -> u64 {
        self.table.tally().of(Counter::Forwarded)
    }

    /// Datagrams written into the egress so far.
    pub fn sent(&self) -> u64 {
        self.train.datagrams
    }

    fn open(&mut self, client: u16, command: &dyn Fn(Credentials) -> Command) {
        let ufrag = Ufrags::new(&SECRET).encode(ShardId(0), connection(client), 0);
        let local = Credentials { ufrag, password: PASSWORD.into() };
        self.table.handle_command(self.now, command(local), &mut self.train);
    }

    /// Validates the client's path and brings its keys.
    fn connect(&mut self, client: u16, profile: Profile) {
        let ufrag = Ufrags::new(&SECRET).encode(ShardId(0), connection(client), 0);
        let request = Request {
            transaction: [1; 12],
            receiver_ufrag: &ufrag,
            sender_ufrag: "client",
            priority: 1,
            role: Role::Controlling(1),
            use_candidate: true,
        };
        let mut bytes = [0; REQUEST_LEN_MAX];
        let len = request.write(PASSWORD.as_bytes(), &mut bytes).expect("room for a request");
        let mut batch = Batch::new();
        let datagram = Datagram { path: path(client), arrival: self.now, bytes: &mut bytes[..len] };
        batch.push(datagram).expect("an empty batch");
        self.table.handle(self.now, &mut batch, &mut self.train);
        let keys = SrtpKeys { profile, inbound: master(profile, client), outbound: master(profile, client) };
        let keys = Handshake::Keys { connection: connection(client), keys };
        self.table.handle_handshake(self.now, keys, &mut self.train);
    }
}

/// The ciphers of the same call, and nothing else.
pub struct Ciphers {
    inbound: Inbound,
    viewers: Vec<Outbound>,
    train: Train,
}

impl Ciphers {
    /// Bytes of the header that a viewer gets: the fixed part, MID and dependency descriptor.
    const HEADER_LEN: usize = 24;

    pub fn new(profile: Profile, viewers: u16) -> Self {
        let inbound = Inbound::new(profile, &master(profile, 0));
        let viewers = (1..=viewers).map(|viewer| Outbound::new(profile, &master(profile, viewer))).collect();
        Self { inbound, viewers, train: Train::default() }
    }

    /// Opens a burst and seals it for everybody.
    pub fn turn(&mut self, burst: &mut Burst) {
        let (mut index, mut payload_at) = (0, 0);
        for packet in burst.iter_mut() {
            let header = Header::parse(packet).expect("our own packet");
            index = self.inbound.open_rtp(&header, packet).expect("our own packet").index;
            payload_at = header.len;
        }
        let first = index + 1 - burst.len() as u64;
        for (at, viewer) in self.viewers.iter().enumerate() {
            for (index, packet) in (first..).zip(burst.iter()) {
                let payload = &packet[payload_at..packet.len() - viewer.rtp_overhead()];
                let len = Self::HEADER_LEN + payload.len() + viewer.rtp_overhead();
                let out = self.train.reserve(&path(at as u16), len).expect("an arena larger than a packet");
                out[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                viewer.seal_rtp(index, Self::HEADER_LEN, payload, out).expect("exact room");
                self.train.commit(len);
            }
        }
    }
}

/// An egress that sends nothing: datagrams are written one behind the other, round and round.
struct Train {
    arena: Box<[u8]>,
    at: usize,
    datagrams: u64,
}

impl Default for Train {
    /// As much as a shard's trains of one flush take: more than the second cache level would make every write a miss.
    fn default() -> Self {
        Self { arena: vec![0; 256 * 1024].into_boxed_slice(), at: 0, datagrams: 0 }
    }
}

impl Egress for Train {
    fn reserve(&mut self, _path: &Path, len: usize) -> Option<&mut [u8]> {
        if self.at + len > self.arena.len() {
            self.at = 0;
        }
        self.arena.get_mut(self.at..)?.get_mut(..len)
    }

    fn commit(&mut self, len: usize) {
        self.at += len;
        self.datagrams += 1;
    }
}

fn open_upstream() -> impl Fn(Credentials) -> Command {
    |local| {
        Command::OpenUpstream(Box::new(OpenUpstream {
            connection: connection(0),
            session: SessionId(0),
            publication: PublicationId(0),
            local,
            agreement: agreement(crate::publisher_ids(), SSRC),
        }))
    }
}

fn open_downstream(viewer: u16) -> impl Fn(Credentials) -> Command {
    move |local| {
        Command::OpenDownstream(Box::new(OpenDownstream {
            connection: connection(viewer),
            session: SessionId(0),
            publication: PublicationId(0),
            local,
            agreement: agreement(crate::viewer_ids(), u32::from(viewer)),
            cname: Cname::new(),
        }))
    }
}

/// One video section with retransmission, as everybody here agrees to it.
fn agreement(extensions: Extensions, ssrc: u32) -> Agreement {
    let spec = Spec { codec: Codec::Vp8, clock_rate: 90_000, channels: 1, parameters: String::new() };
    let feedback = Feedback { nack: true, pli: true, ..Feedback::default() };
    let media = Media {
        mid: Mid::from("0").expect("a short name"),
        kind: Kind::Video,
        formats: vec![Format { payload_type: 96, spec, rtx: Some(97), feedback }],
        extensions,
        sources: vec![Source { primary: ssrc, rtx: Some(ssrc | 1 << 31) }],
        rids: Vec::new(),
    };
    let remote = Credentials { ufrag: "client".into(), password: PASSWORD.into() };
    Agreement { remote, fingerprint: Fingerprint([0; 32]), media: vec![media] }
}

fn connection(client: u16) -> ConnectionId {
    ConnectionId { slot: client.into(), generation: 0 }
}

fn path(client: u16) -> Path {
    Path { local: 0, remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000 + client) }
}

/// Everybody has their own key.
fn master(profile: Profile, client: u16) -> MasterKey {
    let [high, low] = client.to_be_bytes();
    MasterKey {
        key: (0..profile.key_len()).map(|at| if at == 0 { high } else { low }).collect(),
        salt: std::iter::repeat_n(9, profile.salt_len()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_everything() {
        let (mut publisher, mut stage) = stage(Profile::AeadAes128Gcm, 3, &crate::payload(1200));
        let (forwarded, sent) = (stage.forwarded(), stage.sent());
        assert_eq!(forwarded, 3, "the key frame");
        stage.turn(&mut publisher.burst(8));
        assert_eq!(stage.forwarded() - forwarded, 24);
        assert_eq!(stage.sent() - sent, 24);
    }
}
