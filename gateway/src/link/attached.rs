//! One media server as the gateway has it: the way to it, and the questions that it has not answered.
//!
//! In go questions and what comes over the way; out come frames, or questions for a server in this process, and askers
//! with their answers. Invariant: a question is answered once, by the server or by whoever takes the server out; one
//! that waits takes a place, and the first close of each connection has a place of its own. Pure.

use std::collections::BTreeMap;

use tidewire_core::id::{ConnectionKey, Label, LinkKey};
use tidewire_core::message::lane::Full;
use tidewire_core::message::media::ToMedia;
use tidewire_core::message::{ErrorCode, Request, Response};
use tidewire_core::time::Instant;

use super::lanes::Lanes;
use super::{Ask, SocketId};
use crate::limits::ASKS_MAX;

/// A media server that is not given up.
#[derive(Debug)]
pub(super) struct Attached<A> {
    pub(super) name: Label,
    pub(super) way: Way,
    waiting: BTreeMap<u64, Waiting<A>>,
}

/// How questions reach a media server.
#[derive(Debug)]
pub(super) enum Way {
    /// It is in this process: a queue that loses nothing. Holds the number of the last question.
    Here(u64),
    Link(Box<Link>),
}

/// A link that outlives its sockets.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) key: LinkKey,
    pub(super) lanes: Lanes,
    pub(super) presence: Presence,
}

/// Whether a link has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Socket(SocketId),
    LostAt(Instant),
}

/// What is to be done so that a question reaches its server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Here(Ask),
    Frame(SocketId, String),
    /// It is kept until there is a socket again.
    Kept,
}

/// A question that is out.
#[derive(Debug)]
struct Waiting<A> {
    asker: A,
    connection: ConnectionKey,
    is_opening: bool,
}

/// A question that was answered.
#[derive(Debug)]
pub(super) struct Answered<A> {
    pub(super) asker: A,
    /// The connection that is not there, by this answer.
    pub(super) gone: Option<ConnectionKey>,
}

impl<A> Attached<A> {
    pub(super) fn new(name: Label, way: Way) -> Self {
        Self { name, way, waiting: BTreeMap::new() }
    }

    /// Whether another question may wait. A connection's first close always may.
    pub(super) fn has_room(&self, is_first_close: bool) -> bool {
        is_first_close || self.waiting.len() < ASKS_MAX
    }

    /// Puts a question. Gives the asker back when the way is full.
    pub(super) fn ask(&mut self, request: Request, asker: A) -> Result<Sent, A> {
        let (connection, is_opening) = subject(&request);
        let (n, sent) = match &mut self.way {
            Way::Here(last) => {
                *last += 1;
                (*last, Sent::Here(Ask { n: *last, request }))
            }
            Way::Link(link) => match link.lanes.say(&ToMedia::Ask { request }) {
                Ok((n, frame)) => (n, link.sent(frame)),
                Err(Full) => return Err(asker),
            },
        };
        self.waiting.insert(n, Waiting { asker, connection, is_opening });
        Ok(sent)
    }

    /// Takes the answer to the question of that number; nothing when nobody waits for it.
    pub(super) fn answered(&mut self, n: u64, response: &Response) -> Option<Answered<A>> {
        let Waiting { asker, connection, is_opening } = self.waiting.remove(&n)?;
        let is_gone = match response {
            Response::Closed | Response::Refused { code: ErrorCode::ConnectionUnknown, .. } => true,
            Response::Refused { .. } => is_opening,
            Response::Opened { .. }
            | Response::Restarted { .. }
            | Response::Offered { .. }
            | Response::Unchanged
            | Response::Answered
            | Response::Noted => false,
        };
        Some(Answered { asker, gone: is_gone.then_some(connection) })
    }

    /// Whoever waits for an answer, when none will come.
    pub(super) fn into_askers(self) -> impl Iterator<Item = A> {
        self.waiting.into_values().map(|waiting| waiting.asker)
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.way {
            Way::Here(_) => None,
            Way::Link(link) => Some(link),
        }
    }

    pub(super) fn socket(&self) -> Option<SocketId> {
        match &self.way {
            Way::Link(link) => link.socket(),
            Way::Here(_) => None,
        }
    }
}

impl Link {
    pub(super) fn socket(&self) -> Option<SocketId> {
        match self.presence {
            Presence::Socket(socket) => Some(socket),
            Presence::LostAt(_) => None,
        }
    }

    fn sent(&self, frame: String) -> Sent {
        self.socket().map_or(Sent::Kept, |socket| Sent::Frame(socket, frame))
    }
}

/// The connection that a request is about, and whether it opens it.
fn subject(request: &Request) -> (ConnectionKey, bool) {
    match request {
        Request::OpenUpstream { connection, .. }
        | Request::OpenDownstream { connection, .. }
        | Request::OfferDownstream { connection, .. } => (*connection, true),
        Request::ChangeDownstream { connection, .. }
        | Request::AnswerDownstream { connection, .. }
        | Request::Prefer { connection, .. }
        | Request::Observe { connection, .. }
        | Request::RestartDownstream { connection }
        | Request::Restart { connection, .. }
        | Request::Close { connection } => (*connection, false),
    }
}
