//! One publisher and its viewers on the pure machine, with nothing between them and the bench.
//!
//! `stage` sets a call up to the point where media flows: commands, one check and the keys for each client. Then each
//! `Publisher::burst` goes into one `Stage::turn`, what a shard does in a wake-up less its system calls. `Ciphers` does
//! only what no server could leave out: open each packet once, seal it once for each viewer.

use std::ops::Range;
use std::time::Duration;

use tidewire_core::codec::{Codec, Kind};
use tidewire_core::count::Counter;
use tidewire_core::handshake::{Fingerprint, Profile, Progress as Handshake, SrtpKeys};
use tidewire_core::id::{Mid, ShardId};
use tidewire_core::machine::{Batch, Budget, Datagram, Egress, Machine, Path, Progress};
use tidewire_core::message::quality::Wish;
use tidewire_core::negotiate::{Agreement, Cname, Credentials, Extensions, Feedback, Format, Media, Source, Spec};
use tidewire_core::rtp::Header;
use tidewire_core::srtp::{Inbound, Outbound};
use tidewire_core::time::Instant;
use tidewire_core::trains::Trains;
use tidewire_sfu::{
    Carried, Command, OpenDownstream, OpenUpstream, PublicationId, SessionId, SessionTable, TableConfig, Tells,
};

use crate::client::{
    Burst, PASSWORD, PUBLISHER, Publisher, SECRET, SSRC, check, connection, local_ufrag, master, path,
};

const SESSION: SessionId = SessionId(0);
const IDLE_SESSION: SessionId = SessionId(1);

/// Packets that a slice of the fan-out may seal: as many as a shard allows it.
const BUDGET: Budget = Budget { packets_max: 256 };

/// Datagrams of one message, as Linux takes them.
const SEGMENTS_MAX: usize = 64;

/// So little between two turns that no consent ever runs out.
const TURN_INTERVAL: Duration = Duration::from_micros(1);

/// A call of one publisher and this many viewers, all keyed under `profile`, in which the first key frame has passed.
pub fn stage(profile: Profile, viewers: u16, payload: &[u8]) -> (Publisher, Stage) {
    let (mut publisher, mut stage) = stage_before_start(profile, viewers, payload);
    stage.turn(&mut publisher.key_frame());
    (publisher, stage)
}

/// The same before its first packet: every viewer waits for a key frame.
pub fn stage_before_start(profile: Profile, viewers: u16, payload: &[u8]) -> (Publisher, Stage) {
    let table = SessionTable::new(TableConfig { shard: ShardId(0), secret: SECRET, seed: 1, loudest: 0 });
    let mut stage = Stage { table, outlet: Outlet::default(), now: Instant::ORIGIN };
    stage.open(PUBLISHER, &open_upstream());
    stage.connect(PUBLISHER, profile);
    stage.add_viewers(profile, SESSION, 1..viewers + 1);
    (Publisher::new(profile, payload), stage)
}

/// The machine with its clients.
pub struct Stage {
    table: SessionTable,
    outlet: Outlet,
    now: Instant,
}

impl Stage {
    /// Takes a burst in, and forwards it to everybody.
    pub fn turn(&mut self, burst: &mut Burst) {
        self.take(burst);
        self.forward();
    }

    /// Takes a burst of the publisher in.
    pub fn take(&mut self, burst: &mut Burst) {
        self.now += TURN_INTERVAL;
        let mut batch = Batch::new();
        for bytes in burst {
            let datagram = Datagram { path: path(PUBLISHER), arrival: self.now, bytes };
            batch.push(datagram).expect("a burst is no longer than a batch");
        }
        self.table.handle(self.now, &mut batch, &mut self.outlet);
    }

    /// Forwards what was taken in to everybody.
    pub fn forward(&mut self) {
        while self.table.forward(self.now, BUDGET, &mut self.outlet) == Progress::More {}
    }

    /// Does what is due beside the media, and takes the events.
    pub fn settle(&mut self) {
        self.table.handle_timeout(self.now, &mut self.outlet);
        while self.table.poll_event().is_some() {}
    }

    /// Takes one datagram of a client in.
    pub fn hear(&mut self, client: u16, bytes: &mut [u8]) {
        let mut batch = Batch::new();
        let datagram = Datagram { path: path(client), arrival: self.now, bytes };
        batch.push(datagram).expect("an empty batch");
        self.table.handle(self.now, &mut batch, &mut self.outlet);
    }

    /// Adds connected viewers of a channel in which nobody publishes.
    pub fn add_idle(&mut self, profile: Profile, clients: Range<u16>) {
        self.add_viewers(profile, IDLE_SESSION, clients);
    }

    /// What was counted so far.
    pub fn count(&self, counter: Counter) -> u64 {
        self.table.tally().of(counter)
    }

    /// The datagram that was sent last.
    pub fn last_sent(&self) -> &[u8] {
        let last = self.outlet.trains.iter().last();
        last.and_then(|train| self.outlet.trains.datagrams(train).last()).unwrap_or(&[])
    }

    /// Packets sealed for viewers so far.
    pub fn forwarded(&self) -> u64 {
        self.count(Counter::Forwarded)
    }

    /// Datagrams written into the egress so far.
    pub fn sent(&self) -> u64 {
        self.outlet.datagrams
    }

    fn add_viewers(&mut self, profile: Profile, session: SessionId, clients: Range<u16>) {
        for client in clients {
            self.open(client, &open_downstream(session, client));
            self.connect(client, profile);
        }
    }

    fn open(&mut self, client: u16, command: &dyn Fn(Credentials) -> Command) {
        let local = Credentials { ufrag: local_ufrag(client), password: PASSWORD.into() };
        self.table.handle_command(self.now, command(local), &mut self.outlet);
    }

    /// Validates the client's path and brings its keys.
    fn connect(&mut self, client: u16, profile: Profile) {
        self.hear(client, &mut check(client));
        let keys = SrtpKeys { profile, inbound: master(profile, client), outbound: master(profile, client) };
        let keys = Handshake::Keys { connection: connection(client), keys };
        self.table.handle_handshake(self.now, keys, &mut self.outlet);
    }
}

/// The ciphers of the same call, and nothing else.
pub struct Ciphers {
    inbound: Inbound,
    viewers: Vec<Outbound>,
    outlet: Outlet,
}

impl Ciphers {
    /// Bytes of the header that a viewer gets: the fixed part, MID, transport sequence number and dependency descriptor.
    const HEADER_LEN: usize = 28;

    pub fn new(profile: Profile, viewers: u16) -> Self {
        let inbound = Inbound::new(profile, &master(profile, PUBLISHER));
        let viewers = (1..=viewers).map(|viewer| Outbound::new(profile, &master(profile, viewer))).collect();
        Self { inbound, viewers, outlet: Outlet::default() }
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
                let out = self.outlet.reserve(&path(at as u16), len).expect("an arena larger than a packet");
                out[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                viewer.seal_rtp(index, Self::HEADER_LEN, payload, out).expect("exact room");
                self.outlet.commit(len);
            }
        }
    }
}

/// An egress that forms trains as a shard's does, and forgets them instead of sending them.
struct Outlet {
    trains: Trains,
    datagrams: u64,
}

impl Default for Outlet {
    fn default() -> Self {
        Self { trains: Trains::new(SEGMENTS_MAX), datagrams: 0 }
    }
}

impl Egress for Outlet {
    fn reserve(&mut self, path: &Path, len: usize) -> Option<&mut [u8]> {
        if !self.trains.has_room_for(len) {
            self.trains.clear();
        }
        self.trains.reserve(path, len)
    }

    fn commit(&mut self, len: usize) {
        self.trains.commit(len);
        self.datagrams += 1;
    }
}

fn open_upstream() -> impl Fn(Credentials) -> Command {
    |local| {
        Command::OpenUpstream(Box::new(OpenUpstream {
            connection: connection(PUBLISHER),
            session: SESSION,
            publication: PublicationId(0),
            local,
            agreement: agreement(crate::publisher_ids(), SSRC),
        }))
    }
}

fn open_downstream(session: SessionId, viewer: u16) -> impl Fn(Credentials) -> Command {
    move |local| {
        let Agreement { remote, fingerprint, media } = agreement(crate::viewer_ids(), u32::from(viewer));
        let carried =
            |media| Carried { publication: PublicationId(0), cname: Cname::new(), media, wish: Wish::default() };
        Command::OpenDownstream(Box::new(OpenDownstream {
            connection: connection(viewer),
            session,
            local,
            remote,
            fingerprint,
            streams: media.into_iter().map(carried).collect(),
            tells: Tells::Layers,
        }))
    }
}

/// One video section with retransmission, as everybody here agrees to it.
fn agreement(extensions: Extensions, ssrc: u32) -> Agreement {
    let spec = Spec { codec: Codec::Vp8, clock_rate: 90_000, channels: 1, parameters: String::new() };
    let feedback = Feedback { nack: true, pli: true, transport_cc: true, ..Feedback::default() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Viewer;

    #[test]
    fn everybody_gets_everything() {
        let (mut publisher, mut stage) = stage(Profile::AeadAes128Gcm, 3, &crate::payload(1200));
        let (forwarded, sent) = (stage.forwarded(), stage.sent());
        assert_eq!(forwarded, 3, "the key frame");
        stage.turn(&mut publisher.burst(8));
        assert_eq!(stage.forwarded() - forwarded, 24);
        assert_eq!(stage.sent() - sent, 24);
    }
    #[test]
    fn what_a_viewer_says_is_heard() {
        let profile = Profile::AeadAes128Gcm;
        let (mut publisher, mut stage) = stage(profile, 1, &crate::payload(1200));
        stage.turn(&mut publisher.burst(20));
        let sent = u16::from_be_bytes([stage.last_sent()[2], stage.last_sent()[3]]);
        let mut viewer = Viewer::new(profile, 1);
        for mut said in [viewer.receiver_report(), viewer.transport_feedback(), viewer.nack(sent), check(1)] {
            stage.hear(1, &mut said);
        }
        assert_eq!(stage.count(Counter::RtcpAccepted), 3);
        assert_eq!(stage.count(Counter::Repaired), 1);
        assert_eq!(stage.count(Counter::StunAnswered), 3, "the first ones of both, and the consent");
    }

    #[test]
    fn nobody_forwards_to_idle_connections() {
        let (mut publisher, mut stage) = stage(Profile::AeadAes128Gcm, 2, &crate::payload(1200));
        stage.add_idle(Profile::AeadAes128Gcm, 3..9);
        let sent = stage.sent();
        stage.turn(&mut publisher.burst(4));
        assert_eq!(stage.sent() - sent, 8);
    }
}
