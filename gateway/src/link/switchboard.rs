//! The switchboard: the gateway's end of every link to a media server, and the decisions between them.
//!
//! In go questions, frames that came over sockets, losses of sockets and the time; out come [`Effect`]s, to be carried
//! out in their order. A media server whose socket is lost is waited for during a lease: questions are kept for it, and
//! all goes on where it was once it resumes. Invariant: every question has one answer, every event of a connection is
//! told once and in order, and a server that is given up is told of as the end of each of its connections.
//! Authenticates nobody; no clock, no randomness, no socket.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use tidewire_core::id::{ConnectionKey, Label, LinkKey};
use tidewire_core::message::lane::{Bounds, Frame};
use tidewire_core::message::media::{FromMedia, ToMedia};
use tidewire_core::message::{CloseReason, ErrorCode, Event, Request, Response};
use tidewire_core::time::Instant;

use super::attached::{Answered, Attached, Link, Presence, Sent, Way};
use super::fleet::{Fleet, ServerId};
use super::lanes::{Lanes, greeting};
use super::{Ask, Farewell, SocketId};
use crate::limits::{ASK_LEN_MAX, ASKS_MAX, LINK_ACKNOWLEDGE_EVERY, MEDIA_SERVERS_MAX};

/// All media servers of one gateway. `A` is whatever an answer is given to.
#[derive(Debug)]
pub struct Switchboard<A> {
    lease: Duration,
    fleet: Fleet,
    servers: BTreeMap<ServerId, Attached<A>>,
    sockets: BTreeMap<SocketId, ServerId>,
    last: u64,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<A> {
    /// Hand a question to the media server in this process.
    Ask(Ask),
    Send(SocketId, String),
    /// End a socket.
    Drop(SocketId, Farewell),
    Answer(A, Response),
    Event(Event),
    /// Something that an operator wants to read.
    Note(Label, Note),
}

/// What became of a media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    Enlisted,
    Lost,
    Resumed,
    Draining,
    /// It is given up, and so many connections with it.
    GivenUp {
        connections: usize,
    },
}

/// Whoever is at the other end of a socket. Its token was verified; `key` is fresh and unguessable.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub socket: SocketId,
    pub name: Label,
    pub key: LinkKey,
}

/// How many there are at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Media servers that are not given up, and of these the ones that can be reached.
    pub servers: usize,
    pub reachable: usize,
    pub connections: usize,
}

impl Overview {
    /// Each number with its name in the metrics and what it means.
    pub fn named(self) -> [(&'static str, &'static str, usize); 3] {
        [
            ("media_servers", "Media servers that this gateway counts on.", self.servers),
            ("media_servers_reachable", "Of these, the ones whose link has a socket.", self.reachable),
            ("connections_placed", "Connections that are on a media server, or being opened there.", self.connections),
        ]
    }
}

impl<A> Switchboard<A> {
    pub fn new(lease: Duration) -> Self {
        let (servers, sockets) = (BTreeMap::new(), BTreeMap::new());
        Self { lease, fleet: Fleet::default(), servers, sockets, last: 0 }
    }

    /// Adds a media server in this process. There may be one.
    pub fn add_here(&mut self, name: Label, connections_max: usize) -> ServerId {
        self.add(Attached::new(name, Way::Here(0)), connections_max)
    }

    /// A question of the gateway's.
    pub fn ask(&mut self, request: Request, asker: A) -> Vec<Effect<A>> {
        let route = match self.fleet.find(&request) {
            Ok(route) => route,
            Err(nowhere) => return vec![Effect::Answer(asker, nowhere.into())],
        };
        let is_first_close = matches!(request, Request::Close { connection } if self.fleet.begin_close(connection));
        let Some(server) = self.servers.get_mut(&route.server).filter(|server| server.has_room(is_first_close)) else {
            return vec![Effect::Answer(asker, busy())];
        };
        let sent = match server.ask(request, asker) {
            Ok(sent) => sent,
            Err(asker) => return vec![Effect::Answer(asker, busy())],
        };
        self.fleet.place(route);
        match sent {
            Sent::Here(ask) => vec![Effect::Ask(ask)],
            Sent::Frame(socket, frame) => vec![Effect::Send(socket, frame)],
            Sent::Kept => vec![],
        }
    }

    /// What the media server in this process says.
    pub fn hear_here(&mut self, id: ServerId, message: FromMedia) -> Vec<Effect<A>> {
        self.take(id, message).unwrap_or_default()
    }

    /// A frame that came over a socket.
    pub fn hear(&mut self, visitor: &Visitor, text: &str) -> Vec<Effect<A>> {
        let Ok(frame) = serde_json::from_str::<Frame<FromMedia>>(text) else { return self.break_off(visitor) };
        let heard = match self.sockets.get(&visitor.socket) {
            Some(id) => self.hear_attached(*id, visitor.socket, frame),
            None => self.greet(visitor, frame),
        };
        heard.unwrap_or_else(|| self.break_off(visitor))
    }

    /// A socket is lost; its link waits for another.
    pub fn lose(&mut self, socket: SocketId, now: Instant) -> Vec<Effect<A>> {
        let Some(id) = self.sockets.remove(&socket) else { return vec![] };
        let Some(server) = self.servers.get_mut(&id) else { return vec![] };
        let (name, is_waited_for) = (server.name.clone(), server.is_waited_for());
        if let Some(link) = server.link() {
            link.presence = Presence::LostAt(now);
        }
        if self.fleet.is_drained(id) && !is_waited_for {
            return self.give_up(id);
        }
        vec![Effect::Note(name, Note::Lost)]
    }

    /// Gives up whoever has been missing for longer than the lease, and acknowledges what is owed. To be called about
    /// once a second.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect<A>> {
        let lease = self.lease;
        let is_over = |presence| matches!(presence, Presence::LostAt(at) if now.since(at) >= lease);
        let mut over = Vec::new();
        let mut effects = Vec::new();
        for (id, server) in &mut self.servers {
            let Some(link) = server.link() else { continue };
            over.extend(is_over(link.presence).then_some(*id));
            if let Some(socket) = link.socket() {
                effects.extend(link.lanes.acknowledgement(1).map(|frame| Effect::Send(socket, frame)));
            }
        }
        effects.extend(over.into_iter().flat_map(|id| self.give_up(id)));
        effects
    }

    /// Takes a media server out: its connections have ended, and what it was asked is refused.
    pub fn give_up(&mut self, id: ServerId) -> Vec<Effect<A>> {
        let Some(server) = self.servers.remove(&id) else { return vec![] };
        let (name, socket) = (server.name.clone(), server.socket());
        let lost = self.fleet.remove(id);
        let mut effects = vec![Effect::Note(name, Note::GivenUp { connections: lost.len() })];
        if let Some(socket) = socket {
            self.sockets.remove(&socket);
            effects.push(Effect::Drop(socket, Farewell::Broken));
        }
        let ended = |connection| Effect::Event(Event::Closed { connection, reason: CloseReason::MediaServerLost });
        effects.extend(lost.into_iter().map(ended));
        effects.extend(server.into_askers().map(|asker| Effect::Answer(asker, gone())));
        effects
    }

    pub fn overview(&self) -> Overview {
        let is_reachable = |server: &&Attached<A>| matches!(server.way, Way::Here(_)) || server.socket().is_some();
        Overview {
            servers: self.servers.len(),
            reachable: self.servers.values().filter(is_reachable).count(),
            connections: self.fleet.connections(),
        }
    }

    fn add(&mut self, server: Attached<A>, connections_max: usize) -> ServerId {
        self.last += 1;
        let id = ServerId(self.last);
        self.servers.insert(id, server);
        self.fleet.add(id, connections_max);
        id
    }

    /// The first frame of a socket. Nothing when it is no greeting.
    fn greet(&mut self, visitor: &Visitor, frame: Frame<FromMedia>) -> Option<Vec<Effect<A>>> {
        match (frame.n, frame.m?) {
            (Some(1), FromMedia::Enlist { server, connections_max, .. }) if server == visitor.name => {
                Some(self.enlist(visitor, connections_max))
            }
            (None, FromMedia::Resume { key, seen }) => Some(self.resume(visitor, key, seen)),
            _ => None,
        }
    }

    fn enlist(&mut self, visitor: &Visitor, connections_max: usize) -> Vec<Effect<A>> {
        let mut effects = Vec::new();
        if let Some(before) = self.named(&visitor.name) {
            if self.servers.get(&before).is_some_and(|server| server.socket().is_some()) {
                return vec![Effect::Drop(visitor.socket, Farewell::NameTaken)];
            }
            // It has forgotten the link, so it can answer nothing of what was asked over it.
            effects = self.give_up(before);
        }
        if self.servers.len() >= MEDIA_SERVERS_MAX {
            effects.push(Effect::Drop(visitor.socket, Farewell::TooMany));
            return effects;
        }
        let mut lanes = Lanes::new(bounds(connections_max));
        let enlisted = ToMedia::Enlisted { key: visitor.key, lease_s: self.lease.as_secs() as u32 };
        let greeting = Frame { n: Some(1), seen: None, m: Some(()) };
        // An empty pair of lanes takes any first frame.
        let (Ok(Some(_)), Ok((_, frame))) = (lanes.hear(greeting), lanes.say(&enlisted)) else { return effects };
        let link = Link { key: visitor.key, lanes, presence: Presence::Socket(visitor.socket) };
        let id = self.add(Attached::new(visitor.name.clone(), Way::Link(Box::new(link))), connections_max);
        self.sockets.insert(visitor.socket, id);
        effects.push(Effect::Send(visitor.socket, frame));
        effects.push(Effect::Note(visitor.name.clone(), Note::Enlisted));
        effects
    }

    fn resume(&mut self, visitor: &Visitor, key: LinkKey, seen: u64) -> Vec<Effect<A>> {
        let forgotten = || Effect::Send(visitor.socket, greeting(&ToMedia::Forgotten));
        let Some(id) = self.named(&visitor.name) else { return vec![forgotten()] };
        let link = self.servers.get_mut(&id).and_then(Attached::link).filter(|link| link.key == key);
        let Some(link) = link else { return vec![forgotten()] };
        let Ok(frames) = link.lanes.beyond(seen) else {
            let mut effects = self.give_up(id);
            effects.push(forgotten());
            return effects;
        };
        let resumed = greeting(&ToMedia::Resumed { seen: link.lanes.seen() });
        let before = std::mem::replace(&mut link.presence, Presence::Socket(visitor.socket));
        let mut effects = Vec::new();
        if let Presence::Socket(old) = before {
            self.sockets.remove(&old);
            effects.push(Effect::Drop(old, Farewell::Replaced));
        }
        self.sockets.insert(visitor.socket, id);
        effects.extend([resumed].into_iter().chain(frames).map(|frame| Effect::Send(visitor.socket, frame)));
        effects.push(Effect::Note(visitor.name.clone(), Note::Resumed));
        effects
    }

    fn named(&self, name: &Label) -> Option<ServerId> {
        self.servers.iter().find(|(_, server)| server.name == *name).map(|(id, _)| *id)
    }

    /// Nothing when the frame breaks the rules.
    fn hear_attached(&mut self, id: ServerId, socket: SocketId, frame: Frame<FromMedia>) -> Option<Vec<Effect<A>>> {
        let link = self.servers.get_mut(&id)?.link()?;
        let heard = link.lanes.hear(frame).ok()?;
        let acknowledgement = link.lanes.acknowledgement(LINK_ACKNOWLEDGE_EVERY);
        let mut effects = match heard {
            Some((_, message)) => self.take(id, message)?,
            None => vec![],
        };
        effects.extend(acknowledgement.map(|frame| Effect::Send(socket, frame)));
        Some(effects)
    }

    /// Nothing when the message has no place here.
    fn take(&mut self, id: ServerId, message: FromMedia) -> Option<Vec<Effect<A>>> {
        match message {
            FromMedia::Answer { to, response } => Some(self.answered(id, to, response)),
            FromMedia::Event { event } => {
                if let Event::Closed { connection, .. } = event {
                    self.fleet.release(connection);
                }
                Some(vec![Effect::Event(event)])
            }
            FromMedia::Load { connections } => {
                self.fleet.load(id, connections);
                Some(vec![])
            }
            FromMedia::Draining => {
                self.fleet.drain(id);
                let name = self.servers.get(&id)?.name.clone();
                Some(vec![Effect::Note(name, Note::Draining)])
            }
            FromMedia::Enlist { .. } | FromMedia::Resume { .. } => None,
        }
    }

    fn answered(&mut self, id: ServerId, to: u64, response: Response) -> Vec<Effect<A>> {
        let answered = self.servers.get_mut(&id).and_then(|server| server.answered(to, &response));
        let Some(Answered { asker, gone }) = answered else { return vec![] };
        gone.into_iter().for_each(|connection: ConnectionKey| self.fleet.release(connection));
        vec![Effect::Answer(asker, response)]
    }

    /// Ends a socket whose other end breaks the rules, and the link that it carried.
    fn break_off(&mut self, visitor: &Visitor) -> Vec<Effect<A>> {
        match self.sockets.get(&visitor.socket) {
            Some(id) => self.give_up(*id),
            None => vec![Effect::Drop(visitor.socket, Farewell::Broken)],
        }
    }
}

/// What may wait to be seen by a media server: every question that may wait for its answer, and a close for each
/// connection.
fn bounds(connections_max: usize) -> Bounds {
    let closes = connections_max.saturating_add(ASKS_MAX);
    Bounds {
        frames_max: closes.saturating_add(ASKS_MAX),
        bytes_max: closes.saturating_mul(128) + ASKS_MAX * ASK_LEN_MAX,
    }
}

fn busy() -> Response {
    refused("Too many requests wait for the media server.")
}

fn gone() -> Response {
    refused("The media server is gone.")
}

fn refused(detail: &str) -> Response {
    Response::Refused { code: ErrorCode::MediaServerUnavailable, detail: detail.to_owned() }
}
