//! The table of a shard's connections, sessions and upstreams: the pure machine behind its sockets.
//!
//! Parts in their own files: `receive` takes datagrams, `arrivals` tells publishers of them, `feedback` reads RTCP, `lifecycle`
//! opens, connects and closes, `layers` has viewers choose, `speakers` listens to audio, `observation` tells how connections
//! fare, `slots` is where connections live. This file holds the state and the order of things in a turn.

mod arrivals;
mod feedback;
mod layers;
mod lifecycle;
mod observation;
mod receive;
pub(crate) mod slots;
mod speakers;

use std::collections::VecDeque;

use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::handshake;
use tidewire_core::ice::Ufrags;
use tidewire_core::id::{ConnectionId, ShardId};
use tidewire_core::limits::HANDSHAKE_QUEUE_MAX;
use tidewire_core::machine::{Batch, Budget, Egress, Machine, Path, Progress};
use tidewire_core::random::Seeded;
use tidewire_core::rtcp::Writer;
use tidewire_core::time::Instant;

use self::observation::Observation;
use self::slots::Slots;
use crate::arrivals::Arrivals;
use crate::command::{Command, Event, SessionId};
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::fanout::Item;
use crate::notices::Notices;
use crate::paths::PathIndex;
use crate::round::{Floor, Turned};
use crate::session::Session;
use crate::timers::{Reason, SLACK, Timer, Timers};
use crate::upstream::Upstream;

/// The canonical name under which the server itself reports to publishers.
const OWN_NAME: &str = "tidewire";

/// What a table is made with.
#[derive(Clone, Debug)]
pub struct TableConfig {
    pub shard: ShardId,
    /// The media server's secret behind user fragments; the same for control.
    pub secret: [u8; 16],
    /// Start of the table's own randomness: first sequence numbers, feedback SSRCs, hashing.
    pub seed: u64,
    /// How many audio tracks of a session are forwarded at a time: the loudest. 0 for all of them, and at most
    /// [`LOUDEST_MAX`](crate::limits::LOUDEST_MAX).
    pub loudest: usize,
}

/// See the module's description.
#[derive(Debug)]
pub struct SessionTable {
    shard: ShardId,
    ufrags: Ufrags,
    connections: Slots<Connection>,
    upstreams: Slots<Upstream>,
    /// When publishers' packets arrived, under their connections' slots.
    arrivals: Slots<Arrivals>,
    /// Of connections that are observed.
    observations: Slots<Box<Observation>>,
    /// What viewers report, under their connections' slots.
    deliveries: Slots<Delivery>,
    sessions: Slots<Session>,
    paths: PathIndex,
    timers: Timers,
    /// Those that may be [`SLACK`] late.
    lenient: Timers,
    /// When somebody who spoke in a session may have fallen silent, or others than before may be told of.
    silences: Timers<SessionId>,
    /// Audio tracks of a session that are forwarded at a time; 0 for all.
    loudest: usize,
    /// Sessions with something to forward.
    queued: VecDeque<SessionId>,
    /// Who is to be told of its layer since the last slice, when the media is out of the way.
    turned: Turned,
    turned_at: Instant,
    /// Whether the last slice left a fan-out that waits for too long.
    behind: bool,
    events: VecDeque<Event>,
    /// Events of which the latest of each kind and connection counts.
    notices: Notices,
    handshakes: VecDeque<handshake::Request>,
    /// Where connections went that ended a moment ago.
    parting: VecDeque<(ConnectionId, Path)>,
    random: Seeded,
    tally: Tally,
}

impl SessionTable {
    pub fn new(config: TableConfig) -> Self {
        let mut random = Seeded::new(config.seed);
        Self {
            shard: config.shard,
            ufrags: Ufrags::new(&config.secret),
            connections: Slots::default(),
            upstreams: Slots::default(),
            arrivals: Slots::default(),
            observations: Slots::default(),
            deliveries: Slots::default(),
            sessions: Slots::default(),
            paths: PathIndex::new(random.next_u64()),
            timers: Timers::default(),
            lenient: Timers::default(),
            silences: Timers::default(),
            loudest: config.loudest,
            queued: VecDeque::new(),
            turned: Turned::new(),
            turned_at: Instant::ORIGIN,
            behind: false,
            events: VecDeque::new(),
            notices: Notices::default(),
            handshakes: VecDeque::new(),
            parting: VecDeque::new(),
            random,
            tally: Tally::default(),
        }
    }

    /// What a viewer has reported of its transport so far; nothing for others.
    pub fn delivery(&self, viewer: ConnectionId) -> Option<Delivery> {
        self.connections.at(viewer.slot).filter(|connection| connection.id == viewer)?;
        self.deliveries.at(viewer.slot).copied()
    }

    /// The connection, if it is still the one that was meant.
    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.at_mut(id.slot).filter(|connection| connection.id == id)
    }

    /// Queues something for all viewers of a session.
    fn queue(&mut self, now: Instant, id: SessionId, item: Item) {
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        if session.viewers().is_empty() {
            return;
        }
        let starved = session.fan_out.push(now, item, &mut self.tally);
        if !session.queued {
            session.queued = true;
            self.queued.push_back(id);
        }
        if let Some((upstream, track)) = starved {
            self.want_key_frame(now, upstream, track);
        }
    }

    fn want_key_frame(&mut self, now: Instant, publisher: u32, track: u8) {
        if let Some(upstream) = self.upstreams.at_mut(publisher) {
            upstream.want_key_frame(now, track);
        }
        self.arm_feedback(publisher);
    }

    /// Makes sure that the upstream's next deadline wakes the shard. Where nothing can be said to the publisher, its next packet
    /// comes here again.
    fn arm_feedback(&mut self, slot: u32) {
        let (Some(upstream), Some(connection)) = (self.upstreams.at_mut(slot), self.connections.at(slot)) else {
            return;
        };
        if connection.has_way() {
            let timer = Timer { connection: connection.id, reason: Reason::Feedback };
            self.timers.arm(timer, upstream.deadline(), &mut upstream.armed);
        }
    }

    fn arm_consent(&mut self, slot: u32) {
        if let Some(connection) = self.connections.at_mut(slot) {
            let timer = Timer { connection: connection.id, reason: Reason::Consent };
            self.timers.arm(timer, connection.ice.consent_deadline(), &mut connection.consent);
        }
    }

    /// Sends what the publisher has to hear.
    fn send_feedback<E: Egress>(&mut self, now: Instant, slot: u32, egress: &mut E) {
        let (Some(upstream), Some(connection)) = (self.upstreams.at_mut(slot), self.connections.at_mut(slot)) else {
            return;
        };
        if let Some((mut way, _)) = connection.way(now, egress) {
            let tally = &mut self.tally;
            if way.send_rtcp(|writer: &mut Writer<'_>| upstream.write_feedback(now, writer, OWN_NAME, tally)) {
                self.tally.count(Counter::RtcpSent);
            }
        }
    }

    /// Tells a handshake thread something; a full queue is a discard.
    fn tell_handshake(&mut self, request: handshake::Request) -> Result<(), Discard> {
        if self.handshakes.len() >= HANDSHAKE_QUEUE_MAX {
            return Err(Discard::HandshakeQueueFull);
        }
        self.handshakes.push_back(request);
        Ok(())
    }
}

impl Machine for SessionTable {
    type Command = Command;
    type Event = Event;

    fn handle<E: Egress>(&mut self, now: Instant, batch: &mut Batch<'_>, egress: &mut E) {
        for datagram in batch.iter_mut() {
            self.tally.count(Counter::Received);
            if let Err(reason) = self.receive(now, datagram, egress) {
                self.tally.discard(reason);
            }
        }
    }

    fn handle_command<E: Egress>(&mut self, now: Instant, command: Command, egress: &mut E) {
        match command {
            Command::OpenUpstream(open) => self.open_upstream(now, *open),
            Command::OpenDownstream(open) => self.open_downstream(now, *open),
            Command::ChangeDownstream { connection, ended, begun } => {
                self.change_downstream(now, connection, &ended, begun, egress);
            }
            Command::Prefer { connection, wishes } => self.prefer(now, connection, &wishes, egress),
            Command::Observe { connection, seconds } => self.observe(now, connection, seconds),
            Command::Restart { connection, local, remote } => {
                if let Some(connection) = self.connection(connection) {
                    connection.ice.restart(local, remote);
                }
            }
            Command::Close { connection, reason } => self.close(now, connection, reason, egress),
            Command::Shutdown => self.shut_down(now, egress),
        }
    }

    fn handle_handshake<E: Egress>(&mut self, now: Instant, progress: handshake::Progress, egress: &mut E) {
        match progress {
            handshake::Progress::Records { connection, bytes } => self.send_records(connection, &bytes, egress),
            handshake::Progress::Keys { connection, keys } => self.connect(now, connection, &keys, egress),
            handshake::Progress::Ended { connection, reason } => {
                self.close(now, connection, lifecycle::close_reason(reason), egress);
            }
        }
    }

    fn handle_timeout<E: Egress>(&mut self, now: Instant, egress: &mut E) {
        while let Some((at, timer)) = self.timers.pop(now).or_else(|| self.lenient.pop(now)) {
            match timer.reason {
                Reason::Consent => self.consent_timeout(now, at, timer.connection, egress),
                Reason::Arrivals => self.arrivals_timeout(now, at, timer.connection, egress),
                Reason::Feedback => self.feedback_timeout(now, at, timer.connection, egress),
                Reason::Observation => self.observation_timeout(now, at, timer.connection),
                Reason::Review => self.review_timeout(now, at, timer.connection),
            }
        }
        while let Some((at, session)) = self.silences.pop(now) {
            self.speakers_timeout(now, at, session);
        }
        while self.notices.has_room_for_layers()
            && let Some(viewer) = self.turned.pop()
        {
            self.tell_layers(now, viewer);
        }
    }

    fn forward<E: Egress>(&mut self, now: Instant, budget: Budget, egress: &mut E) -> Progress {
        let mut left = budget.packets_max;
        self.behind = false;
        while let Some(id) = self.queued.pop_front() {
            let Some(session) = self.sessions.at_mut(id.0) else { continue };
            let mut floor = Floor {
                now,
                connections: &mut self.connections,
                upstreams: &mut self.upstreams,
                egress,
                tally: &mut self.tally,
                budget: &mut left,
                turned: &mut self.turned,
            };
            match session.forward(&mut floor) {
                Progress::Done => {
                    session.queued = false;
                    self.drop_if_empty(id);
                }
                Progress::More => {
                    self.behind |= session.fan_out.is_behind(now);
                    self.queued.push_back(id);
                }
            }
            if left == 0 {
                break;
            }
        }
        self.turned_at = now;
        if self.queued.is_empty() { Progress::Done } else { Progress::More }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.notices.pop())
    }

    fn poll_handshake(&mut self) -> Option<handshake::Request> {
        self.handshakes.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let lenient = self.lenient.next().map(|at| at + SLACK);
        let turned = (!self.turned.is_empty()).then_some(self.turned_at);
        [self.timers.next(), self.silences.next(), lenient, turned].into_iter().flatten().min()
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}
