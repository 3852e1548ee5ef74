//! The desk: the table of WHIP and WHEP sessions, and every decision about them. One machine for both protocols.
//!
//! `handle(who, call)` either answers at once or names what to ask of the media server; the answer comes back through
//! `settle`, or `abandon` when nobody waits for it any longer; `event` takes what the media server tells of its own
//! accord. Invariant: a session is in the table from before its connection is asked for until the media server has
//! said that it is gone, or the caller of `abandon` has been told to close it; the table is bounded. No I/O, no clock,
//! no randomness: keys and claims are arguments. RFC 9725, draft-ietf-wish-whep-03.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tidewire_core::id::{ChannelName, ConnectionKey, MediaId};
use tidewire_core::message::{ErrorCode, Event, Request, Response};
use tidewire_core::negotiate::{Credentials, write_fragment};

use crate::outline::{self, Outline};
use crate::problem::{Code, Problem};
use crate::token::{Claims, Side};

/// The sessions of one gateway.
#[derive(Debug)]
pub struct Desk {
    sessions: HashMap<ConnectionKey, Session>,
    sessions_max: usize,
}

/// What a client asks for, with its wire form already undone.
#[derive(Clone, Debug)]
pub enum Call {
    /// POST to an endpoint. `key` is fresh and unguessable.
    Open { key: ConnectionKey, side: Side, channel: ChannelName, media_id: MediaId, offer: String },
    /// PATCH of a session.
    Change { key: ConnectionKey, if_match: Option<String>, fragment: String },
    /// DELETE of a session.
    Close { key: ConnectionKey },
    /// GET or HEAD of a session.
    Look { key: ConnectionKey },
}

/// What follows from a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Answer(Reply),
    /// Ask the media server, then `settle` the ticket with its answer, or `abandon` it.
    Ask {
        request: Request,
        ticket: Ticket,
    },
}

/// A call that waits for the media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    Open(ConnectionKey),
    Restart { key: ConnectionKey, generation: u32, remote: Credentials },
    Close(ConnectionKey),
}

/// What a client is told when all is well.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Opened {
        key: ConnectionKey,
        etag: String,
        answer: String,
    },
    /// The candidates are taken, in that an ICE-lite end needs none.
    Trickled,
    Restarted {
        etag: String,
        fragment: String,
    },
    Closed,
    /// The session is there; it has no representation.
    Present,
}

#[derive(Debug)]
struct Session {
    side: Side,
    channel: ChannelName,
    /// Whether the media server has opened it; until then only its opener knows of it.
    is_open: bool,
    /// The client's ICE credentials: others in a fragment mean a restart.
    remote: Option<Credentials>,
    /// Names the section of the bundle's transport.
    mid: Option<String>,
    /// Counts the restarts that were asked for; each has its own entity-tag, and none is used twice.
    generation_last: u32,
    /// The restart that is in force.
    generation: u32,
}

impl Desk {
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions: HashMap::new(), sessions_max }
    }

    /// Decides a call. `who` are the verified claims of the request's token.
    pub fn handle(&mut self, who: &Claims, call: Call) -> Result<Step, Problem> {
        match call {
            Call::Open { key, side, channel, media_id, offer } => self.open(who, key, side, channel, media_id, offer),
            Call::Change { key, if_match, fragment } => self.change(who, key, if_match.as_deref(), &fragment),
            Call::Close { key } => {
                self.session(who, key)?;
                Ok(Step::Ask { request: Request::Close { connection: key }, ticket: Ticket::Close(key) })
            }
            Call::Look { key } => self.session(who, key).map(|_| Step::Answer(Reply::Present)),
        }
    }

    /// Takes the media server's answer to what a ticket asked.
    pub fn settle(&mut self, ticket: Ticket, response: Response) -> Result<Reply, Problem> {
        match ticket {
            Ticket::Open(key) => self.settle_open(key, response),
            Ticket::Restart { key, generation, remote } => self.settle_restart(key, generation, remote, response),
            Ticket::Close(key) => self.settle_close(key, response),
        }
    }

    /// Nobody waits for this ticket any longer. Returns the connection to close so that nothing is left behind;
    /// `None` when it was settled before, or was no opening: a session that was open stays open.
    pub fn abandon(&mut self, ticket: &Ticket) -> Option<ConnectionKey> {
        let Ticket::Open(key) = ticket else { return None };
        self.sessions.get(key).filter(|session| !session.is_open)?;
        self.sessions.remove(key);
        Some(*key)
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Connected { .. } => {}
            Event::Closed { connection, .. } => {
                self.sessions.remove(connection);
            }
        }
    }

    /// The media server is gone, and every connection with it.
    pub fn clear(&mut self) {
        self.sessions.clear();
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn open(
        &mut self,
        who: &Claims,
        key: ConnectionKey,
        side: Side,
        channel: ChannelName,
        media_id: MediaId,
        offer: String,
    ) -> Result<Step, Problem> {
        who.may(side, &channel)?;
        let outline = Outline::of(&offer)?;
        who.may_offer(side, &channel, outline.kinds)?;
        if self.sessions.len() >= self.sessions_max {
            return Err(Problem::new(Code::SessionsFull, Code::SessionsFull.meaning()));
        }
        self.sessions.insert(key, Session::opening(side, channel.clone(), outline));
        let request = match side {
            Side::Publish => Request::OpenUpstream { connection: key, channel: who.key(channel), media_id, offer },
            Side::Watch => Request::OpenDownstream { connection: key, channel: who.key(channel), media_id, offer },
        };
        Ok(Step::Ask { request, ticket: Ticket::Open(key) })
    }

    fn change(
        &mut self,
        who: &Claims,
        key: ConnectionKey,
        if_match: Option<&str>,
        text: &str,
    ) -> Result<Step, Problem> {
        let session = self.session(who, key)?;
        session.check_precondition(if_match)?;
        let fragment = outline::fragment(text)?;
        // RFC 9725 4.3.3: other credentials than the session's mean a restart, whatever else the fragment holds.
        let Some(credentials) = fragment.credentials.filter(|new| session.remote.as_ref() != Some(new)) else {
            return Ok(Step::Answer(Reply::Trickled));
        };
        session.generation_last += 1;
        let Credentials { ufrag, password } = credentials.clone();
        let ticket = Ticket::Restart { key, generation: session.generation_last, remote: credentials };
        Ok(Step::Ask { request: Request::Restart { connection: key, ufrag, password }, ticket })
    }

    /// An open session that the bearer may touch: who may not open it may not change or end it either.
    fn session(&mut self, who: &Claims, key: ConnectionKey) -> Result<&mut Session, Problem> {
        let session = self.sessions.get_mut(&key).filter(|session| session.is_open).ok_or_else(unknown)?;
        who.may(session.side, &session.channel)?;
        Ok(session)
    }

    fn settle_open(&mut self, key: ConnectionKey, response: Response) -> Result<Reply, Problem> {
        match response {
            Response::Opened { answer } => {
                // The media server may have told of its end before this answer was looked at.
                let ended = || Problem::new(Code::ConnectionEnded, Code::ConnectionEnded.meaning());
                let session = self.sessions.get_mut(&key).ok_or_else(ended)?;
                session.is_open = true;
                Ok(Reply::Opened { key, etag: session.etag(), answer })
            }
            Response::Refused { code, detail } => {
                self.sessions.remove(&key);
                Err((code, detail).into())
            }
            _ => Err(out_of_turn()),
        }
    }

    fn settle_restart(
        &mut self,
        key: ConnectionKey,
        generation: u32,
        remote: Credentials,
        response: Response,
    ) -> Result<Reply, Problem> {
        let session = self.sessions.get_mut(&key).ok_or_else(unknown)?;
        match response {
            Response::Restarted { ufrag, password, candidates } => {
                // Answers to overlapping restarts may come to be looked at in any order: the last asked for holds.
                if generation > session.generation {
                    session.generation = generation;
                    session.remote = Some(remote);
                }
                let mid = session.mid.as_deref().unwrap_or("0");
                let fragment = write_fragment(&Credentials { ufrag, password }, &candidates, mid);
                Ok(Reply::Restarted { etag: etag(generation), fragment })
            }
            Response::Refused { code: ErrorCode::ConnectionUnknown, .. } => {
                self.sessions.remove(&key);
                Err(unknown())
            }
            // RFC 9725 4.3.3: a restart that fails leaves the session and its ICE session as they were.
            Response::Refused { code, detail } => Err((code, detail).into()),
            _ => Err(out_of_turn()),
        }
    }

    fn settle_close(&mut self, key: ConnectionKey, response: Response) -> Result<Reply, Problem> {
        match response {
            Response::Closed | Response::Refused { code: ErrorCode::ConnectionUnknown, .. } => {
                self.sessions.remove(&key);
                Ok(Reply::Closed)
            }
            Response::Refused { code, detail } => Err((code, detail).into()),
            _ => Err(out_of_turn()),
        }
    }
}

impl Session {
    fn opening(side: Side, channel: ChannelName, outline: Outline) -> Self {
        let Outline { credentials: remote, mid, .. } = outline;
        Self { side, channel, is_open: false, remote, mid, generation_last: 0, generation: 0 }
    }

    fn etag(&self) -> String {
        etag(self.generation)
    }

    /// RFC 9725 4.3.1: PATCH is conditional, since requests may overtake each other.
    fn check_precondition(&self, if_match: Option<&str>) -> Result<(), Problem> {
        let tags =
            if_match.ok_or_else(|| Problem::new(Code::PreconditionRequired, Code::PreconditionRequired.meaning()))?;
        let current = self.etag();
        // RFC 9110 13.1.1: a list, compared strongly, so that a weak tag (W/"...") never matches.
        if tags.trim() == "*" || tags.split(',').any(|tag| tag.trim() == current) {
            return Ok(());
        }
        Err(Problem::new(
            Code::PreconditionFailed,
            format!("If-Match does not name the current ICE session, {current}."),
        ))
    }
}

/// A strong entity-tag (RFC 9110 8.8.3) that names one ICE session.
fn etag(generation: u32) -> String {
    format!("\"ice-{generation}\"")
}

fn unknown() -> Problem {
    Problem::new(Code::SessionUnknown, Code::SessionUnknown.meaning())
}

/// The media server broke the contract of `core::message`.
fn out_of_turn() -> Problem {
    Problem::new(Code::MediaServerUnavailable, "The media server gave an answer to another question.")
}
