//! Time, network, machine and clients together: the loop that a shard runs, on a virtual clock.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::collected::Collected;
use super::layers::{DecodingViewer, LayeredPublisher};
use super::network::{Flight, Link, Network};
use super::peer::{Heard, Peer};
use super::publisher::Publisher;
use super::viewer::Viewer;
use crate::count::Counter;
use crate::handshake::{Progress as Handshake, Request};
use crate::id::ConnectionId;
use crate::machine::{Batch, Budget, Datagram, Machine, Path, Progress};
use crate::time::Instant;

/// What a client does with media.
pub enum Media {
    Publishes(Publisher),
    Views(Viewer),
    PublishesLayers(Box<LayeredPublisher>),
    Decodes(Box<DecodingViewer>),
}

/// A client and the connection that the machine knows it by.
pub struct Actor {
    pub connection: ConnectionId,
    pub media: Media,
}

impl Actor {
    fn address(&self) -> SocketAddr {
        match &self.media {
            Media::Publishes(publisher) => publisher.peer.address,
            Media::Views(viewer) => viewer.peer.address,
            Media::PublishesLayers(publisher) => publisher.peer.address,
            Media::Decodes(viewer) => viewer.peer.address,
        }
    }

    pub fn peer(&mut self) -> &mut Peer {
        match &mut self.media {
            Media::Publishes(publisher) => &mut publisher.peer,
            Media::Views(viewer) => &mut viewer.peer,
            Media::PublishesLayers(publisher) => &mut publisher.peer,
            Media::Decodes(viewer) => &mut viewer.peer,
        }
    }

    pub fn handle(&mut self, now: Instant, bytes: &mut [u8]) {
        match &mut self.media {
            Media::Publishes(publisher) => {
                if let Heard::Rtcp(datagram) = publisher.peer.handle(bytes) {
                    publisher.handle_rtcp(&datagram);
                }
            }
            Media::Views(viewer) => viewer.handle(now, bytes),
            Media::PublishesLayers(publisher) => {
                if let Heard::Rtcp(datagram) = publisher.peer.handle(bytes) {
                    publisher.handle_rtcp(now, &datagram);
                }
            }
            Media::Decodes(viewer) => viewer.handle(now, bytes),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.media {
            Media::Publishes(publisher) => publisher.handle_timeout(now),
            Media::Views(viewer) => viewer.handle_timeout(now),
            Media::PublishesLayers(publisher) => publisher.handle_timeout(now),
            Media::Decodes(viewer) => viewer.handle_timeout(now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.media {
            Media::Publishes(publisher) => publisher.deadline(),
            Media::Views(viewer) => viewer.deadline(),
            Media::PublishesLayers(publisher) => publisher.deadline(),
            Media::Decodes(viewer) => viewer.deadline(),
        }
    }
}

/// Turns without a moment passing between them: more than anybody has reason for.
const TURNS_MAX: u32 = 10_000;

/// See the module's description.
pub struct World<M: Machine> {
    pub now: Instant,
    pub machine: M,
    pub actors: Vec<Actor>,
    pub events: Vec<M::Event>,
    /// Everything that the machine has sent, when it is asked to be kept.
    pub sent: Option<Vec<(Path, Vec<u8>)>>,
    /// Paths that the machine holds to be worth a backend's care.
    pub devoted: Vec<Path>,
    network: Network,
    server: SocketAddr,
    budget: Budget,
    /// When the machine became slow, what it had forwarded by then, and how many packets it has time for in a millisecond.
    slow: Option<(Instant, u64, u64)>,
    /// Whether the machine had more to forward than time.
    unfinished: bool,
    keyed: BTreeSet<ConnectionId>,
}

impl<M: Machine> World<M> {
    pub fn new(machine: M, server: SocketAddr, seed: u64, link: Link, budget: Budget) -> Self {
        Self {
            now: Instant::ORIGIN,
            machine,
            actors: Vec::new(),
            events: Vec::new(),
            sent: None,
            devoted: Vec::new(),
            network: Network::new(seed, link),
            server,
            budget,
            slow: None,
            unfinished: false,
            keyed: BTreeSet::new(),
        }
    }

    pub fn command(&mut self, command: M::Command) {
        let mut egress = Collected::default();
        self.machine.handle_command(self.now, command, &mut egress);
        self.settle(egress);
    }

    /// Runs until this time.
    pub fn run_until(&mut self, end: Instant) {
        let mut turns = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            turns = if next > self.now { 0 } else { turns + 1 };
            assert!(turns < TURNS_MAX, "woken without end at {:?}", self.now);
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    /// Gives an actor a link of its own.
    pub fn connect(&mut self, client: SocketAddr, link: Link) {
        self.network.connect(client, link);
    }

    /// From now on the machine has time to forward this many packets in a millisecond; `None`: as many as there are.
    pub fn slow_down(&mut self, packets_per_ms: Option<u64>) {
        self.slow = packets_per_ms.map(|packets| (self.now, self.machine.tally().of(Counter::Forwarded), packets));
    }

    /// Hands the machine a datagram that no actor sent.
    pub fn inject(&mut self, from: SocketAddr, bytes: &[u8]) {
        let mut egress = Collected::default();
        self.deliver(Flight { from, to: self.server, bytes: bytes.to_vec() }, &mut egress);
        self.settle(egress);
    }

    pub fn viewers(&self) -> impl Iterator<Item = &Viewer> {
        self.actors.iter().filter_map(|actor| match &actor.media {
            Media::Views(viewer) => Some(viewer),
            Media::Publishes(_) | Media::PublishesLayers(_) | Media::Decodes(_) => None,
        })
    }

    pub fn publishers(&self) -> impl Iterator<Item = &Publisher> {
        self.actors.iter().filter_map(|actor| match &actor.media {
            Media::Publishes(publisher) => Some(publisher),
            Media::Views(_) | Media::PublishesLayers(_) | Media::Decodes(_) => None,
        })
    }

    pub fn decoding_viewers(&self) -> impl Iterator<Item = &DecodingViewer> {
        self.actors.iter().filter_map(|actor| match &actor.media {
            Media::Decodes(viewer) => Some(&**viewer),
            Media::Publishes(_) | Media::Views(_) | Media::PublishesLayers(_) => None,
        })
    }

    pub fn layered_publishers(&mut self) -> impl Iterator<Item = &mut LayeredPublisher> {
        self.actors.iter_mut().filter_map(|actor| match &mut actor.media {
            Media::PublishesLayers(publisher) => Some(&mut **publisher),
            Media::Publishes(_) | Media::Views(_) | Media::Decodes(_) => None,
        })
    }

    fn next(&self) -> Option<Instant> {
        let actors = self.actors.iter().filter_map(Actor::deadline).min();
        let unfinished = self.unfinished.then(|| self.now + Duration::from_millis(1));
        [self.network.next(), self.machine.poll_timeout(), actors, unfinished].into_iter().flatten().min()
    }

    fn step(&mut self) {
        let mut egress = Collected::default();
        while let Some(flight) = self.network.receive(self.now) {
            if flight.to == self.server {
                self.deliver(flight, &mut egress);
            } else if let Some(actor) = self.actors.iter_mut().find(|actor| actor.address() == flight.to) {
                let mut bytes = flight.bytes;
                actor.handle(self.now, &mut bytes);
            }
        }
        self.machine.handle_timeout(self.now, &mut egress);
        self.settle(egress);
        for actor in &mut self.actors {
            if actor.deadline().is_some_and(|at| at <= self.now) {
                actor.handle_timeout(self.now);
            }
        }
        self.collect();
    }

    fn deliver(&mut self, mut flight: Flight, egress: &mut Collected) {
        let mut batch = Batch::new();
        let path = Path { local: 0, remote: flight.from };
        let datagram = Datagram { path, arrival: self.now, bytes: &mut flight.bytes };
        assert!(batch.push(datagram).is_ok(), "an empty batch has room for one");
        self.machine.handle(self.now, &mut batch, egress);
    }

    /// After anything that was told to the machine: handshakes, fan-out, events, and everything sent goes on its way.
    fn settle(&mut self, mut egress: Collected) {
        while let Some(request) = self.machine.poll_handshake() {
            self.shake(request, &mut egress);
        }
        self.forward(&mut egress);
        while let Some(event) = self.machine.poll_event() {
            self.events.push(event);
        }
        egress.told.into_iter().for_each(|told| told.note(&mut self.devoted));
        for (path, bytes) in egress.datagrams {
            if let Some(sent) = &mut self.sent {
                sent.push((path, bytes.clone()));
            }
            self.network.send(self.now, Flight { from: self.server, to: path.remote, bytes });
        }
        self.collect();
    }

    /// Forwards until nothing is left or the machine's time is over.
    fn forward(&mut self, egress: &mut Collected) {
        self.unfinished = true;
        while self.unfinished && self.has_time() {
            self.unfinished = self.machine.forward(self.now, self.budget, egress) == Progress::More;
        }
    }

    fn has_time(&self) -> bool {
        let Some((since, before, per_ms)) = self.slow else { return true };
        let allowed = per_ms * (self.now.since(since).as_millis() as u64 + 1);
        self.machine.tally().of(Counter::Forwarded) - before < allowed
    }

    /// Stands in for a handshake thread: every hello is answered, the first one gives keys.
    fn shake(&mut self, request: Request, egress: &mut Collected) {
        let Request::Datagram { connection, .. } = request else { return };
        let Some(actor) = self.actors.iter_mut().find(|actor| actor.connection == connection) else { return };
        let keys = actor.peer().keys.clone();
        if self.keyed.insert(connection) {
            self.machine.handle_handshake(self.now, Handshake::Keys { connection, keys }, egress);
        }
        let bytes = Box::from([22, 254, 253, 0, 0]);
        self.machine.handle_handshake(self.now, Handshake::Records { connection, bytes }, egress);
    }

    fn collect(&mut self) {
        for actor in &mut self.actors {
            let peer = actor.peer();
            for bytes in peer.outbox.drain(..) {
                self.network.send(self.now, Flight { from: peer.address, to: peer.server, bytes });
            }
        }
    }
}
