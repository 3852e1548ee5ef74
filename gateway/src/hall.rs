//! The hall: who is here, what they ask of each other and of the media servers, and what they are told.
//!
//! Every decision, whoever asks, is a function from the [`Book`] to a list of effects: [`clients`], [`channels`],
//! [`messages`], [`upstreams`], [`downstreams`], [`quality`] for those who are registered, [`sessions`] for WHIP and WHEP. [`Hall`]
//! carries effects out in memory: it writes the book, puts what is told on each client's [`Line`], and keeps the questions
//! for the media servers until they are polled. In go requests, answers of the media server (`settle`), its events, sockets
//! that come and go, and the time; `poll_*` and `take` give. Invariant: nothing but an effect changes the book. No I/O, no
//! clock, no randomness: time and fresh keys are arguments.

pub mod effects;
mod figures;
pub mod book;
pub mod crowd;
mod admission;
pub mod clients;
pub mod channels;
pub mod messages;
pub mod upstreams;
pub mod downstreams;
pub mod quality;
pub mod sessions;
mod carry;
pub mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewire_core::id::{ConnectionKey, LinkKey};
use tidewire_core::message::client::{self, EndReason, LeaveReason};
use tidewire_core::message::{CloseReason, Event, Request, Response};
use tidewire_core::time::Instant;

use crate::limits::{EXPIRED_AT_ONCE_MAX, LEASE};
use crate::problem::{Code, Problem};
use crate::token::Claims;
use book::Book;
use clients::{Fresh, Introduction};
use effects::{Caller, Cause, Effect, Ticket};
pub use figures::Figures;
use line::Line;

pub use line::Taken;

/// What a request comes to, if it is not refused.
pub type Decision = Result<Vec<Effect>, Problem>;

/// How many connections the gateway has room for.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub connections_max: usize,
}

impl Room {
    fn check(self, book: &Book) -> Result<(), Problem> {
        if book.connections_len() >= self.connections_max { Err(refuse(Code::SessionsFull)) } else { Ok(()) }
    }
}

/// A client's request, with its token already verified where it has one.
#[derive(Debug)]
pub struct Asked {
    pub request: client::Request,
    pub claims: Option<Claims>,
}

#[derive(Debug)]
pub struct Hall {
    book: Book,
    lines: BTreeMap<LinkKey, Line>,
    room: Room,
    asks: VecDeque<(Request, Ticket)>,
    /// Downstreams with a question for which nobody waits, and how many such questions are out.
    due: BTreeSet<ConnectionKey>,
    turns_out: usize,
    /// Connections to end at the media server: kept until the question is on its way.
    hang_ups: BTreeSet<ConnectionKey>,
    /// Clients for whom there is something to take.
    woken: BTreeSet<LinkKey>,
    given_up: (u64, u64),
}

impl Hall {
    pub fn new(room: Room) -> Self {
        Self {
            book: Book::default(),
            lines: BTreeMap::new(),
            room,
            asks: VecDeque::new(),
            due: BTreeSet::new(),
            turns_out: 0,
            hang_ups: BTreeSet::new(),
            woken: BTreeSet::new(),
            given_up: (0, 0),
        }
    }

    /// Registers a client, whose first frame has the number 1, and gives its key.
    pub fn register(
        &mut self,
        claims: &Claims,
        introduction: Introduction,
        fresh: &Fresh,
        socket: u64,
    ) -> Result<LinkKey, Problem> {
        let newcomer = clients::newcomer(&self.book, claims, introduction, fresh)?;
        if let Some(old) = newcomer.replaces {
            self.end(old, EndReason::Replaced, LeaveReason::Left);
        }
        let client = fresh.link();
        self.lines.insert(client, Line::new(socket));
        let effects = clients::register(&self.book, Caller { client, to: 1 }, newcomer);
        self.carry_out(effects);
        Ok(client)
    }

    /// Another socket goes on with a client. Gives the number of the last frame that was seen of it.
    pub fn resume(&mut self, client: LinkKey, seen: u64, socket: u64) -> Result<u64, EndReason> {
        let line = self.lines.get_mut(&client).filter(|line| !line.has_ended()).ok_or(EndReason::ResumeUnknown)?;
        let Ok(acknowledged) = line.resume(socket, seen) else {
            self.violate(client);
            return Err(EndReason::ProtocolViolation);
        };
        self.carry_out(vec![Effect::Lease(client, None)]);
        // The socket before has to hear that it is not the one any longer.
        self.woken.insert(client);
        Ok(acknowledged)
    }

    /// A socket is gone. Its client has the lease's time to come back.
    pub fn hang(&mut self, client: LinkKey, socket: u64, now: Instant) {
        let Some(line) = self.lines.get_mut(&client).filter(|line| line.is_on(socket)) else { return };
        line.hang();
        if line.has_ended() {
            self.lines.remove(&client);
        } else {
            self.carry_out(vec![Effect::Lease(client, Some(now + LEASE))]);
        }
    }

    /// What a frame says that its sender has seen.
    pub fn acknowledge(&mut self, client: LinkKey, seen: u64) {
        if self.lines.get_mut(&client).is_some_and(|line| line.acknowledge(seen).is_err()) {
            self.violate(client);
        }
    }

    /// A call of WHIP or WHEP. A question that follows is for the caller to ask, behind those that are polled.
    pub fn call(&mut self, who: &Claims, call: sessions::Call) -> Result<sessions::Step, Problem> {
        let (effects, step) = sessions::handle(&self.book, self.room, who, call)?;
        self.carry_out(effects);
        Ok(step)
    }

    /// The answer to a call's question.
    pub fn settle_call(&mut self, ticket: Ticket, response: Response) -> Result<sessions::Reply, Problem> {
        let (effects, reply) = sessions::settle(&self.book, ticket, response);
        self.carry_out(effects);
        reply
    }

    /// Nobody waits for a call's answer any longer. Gives the connection to close, if there is one.
    pub fn abandon(&mut self, ticket: &Ticket) -> Option<ConnectionKey> {
        let key = sessions::abandon(&self.book, ticket)?;
        self.carry_out(vec![Effect::Drop(key)]);
        Some(key)
    }

    /// The answer to a question that was polled, or why there is none.
    pub fn settle(&mut self, ticket: Ticket, response: Result<Response, Problem>) {
        if let Ticket::Offer { cause: Cause::Others, .. } = ticket {
            self.turns_out = self.turns_out.saturating_sub(1);
        }
        let effects = match ticket {
            Ticket::Open(key, Some(to)) => upstreams::settle_open(&self.book, key, to, response),
            Ticket::Restart { key, generation, remote, to: Some(to) } => {
                upstreams::settle_restart(&self.book, key, generation, remote, to, response)
            }
            Ticket::Offer { key, load, wants, to, cause } => {
                let offered = downstreams::Offered { key, load, wants, to, cause, response };
                downstreams::settle_offer(&self.book, offered)
            }
            Ticket::Answer(key, to) => downstreams::settle_answer(&self.book, key, to, response),
            Ticket::Note(key, to) => quality::settle(&self.book, key, to, response),
            // These are HTTP's, and settled as calls.
            Ticket::Open(_, None) | Ticket::Restart { to: None, .. } | Ticket::Close(_) => Vec::new(),
        };
        self.carry_out(effects);
    }

    /// What the media server tells of its own accord.
    pub fn event(&mut self, event: &Event) {
        let effects = match event {
            Event::Connected { connection } => upstreams::connected(&self.book, *connection),
            Event::Closed { connection, reason } => upstreams::closed(&self.book, *connection, *reason),
            Event::Demand { connection, encodings } => quality::demanded(&self.book, *connection, encodings),
            Event::Layer { connection, media_id, layer, reason } => {
                quality::switched(&self.book, *connection, media_id, layer, *reason)
            }
            Event::Speakers { channel, speakers } => quality::speaking(&self.book, channel, speakers),
            Event::Statistics { connection, statistics } => quality::measured(&self.book, *connection, statistics),
        };
        self.carry_out(effects);
    }

    /// The media server is gone, and every connection with it. Channels, members and messages stay.
    pub fn media_lost(&mut self) {
        let lost = |(key, connection)| channels::ended(key, connection, CloseReason::MediaServerLost, None);
        let effects = self.book.connections().flat_map(lost).collect();
        self.carry_out(effects);
        self.hang_ups.clear();
    }

    /// Ends clients whose lease has expired, so many at a time. Whether there are more.
    pub fn tick(&mut self, now: Instant) -> bool {
        let expired: Vec<_> = self.book.expired(now).collect();
        // Nobody will read these. Whoever is next would be told of everybody before it.
        for client in &expired {
            self.lines.remove(client);
        }
        let (first, rest) = expired.split_at(expired.len().min(EXPIRED_AT_ONCE_MAX));
        let effects = clients::expire(&self.book, first);
        self.carry_out(effects);
        !rest.is_empty()
    }

    /// Tells every client that the gateway goes.
    pub fn shut_down(&mut self) {
        for (client, line) in &mut self.lines {
            line.end(EndReason::Shutdown);
            self.woken.insert(*client);
        }
    }

    /// What a socket is to write.
    pub fn take(&mut self, client: LinkKey, socket: u64) -> Taken {
        let Some(line) = self.lines.get_mut(&client).filter(|line| line.is_on(socket)) else {
            return Taken { end: Some(EndReason::SocketReplaced), ..Taken::default() };
        };
        if let Some(lost) = line.caught_up() {
            self.restate(client, lost);
        }
        self.lines.get_mut(&client).map(Line::take).unwrap_or_default()
    }

    /// An acknowledgement alone, when more than `frames` of the client's have none.
    pub fn acknowledgement(&mut self, client: LinkKey, socket: u64, frames: u64) -> Option<String> {
        let line = self.lines.get_mut(&client).filter(|line| line.is_on(socket))?;
        if line.unacknowledged() > frames { line.acknowledgement() } else { None }
    }

    pub fn poll_ask(&mut self) -> Option<(Request, Ticket)> {
        if self.asks.is_empty() {
            self.take_turns();
        }
        self.asks.pop_front()
    }

    /// The link has no room for a question. Says whether it can wait: then it is asked again in its turn.
    pub fn put_off(&mut self, ticket: &Ticket) -> bool {
        let Ticket::Offer { key, cause: Cause::Others, .. } = ticket else { return false };
        self.turns_out = self.turns_out.saturating_sub(1);
        for effect in downstreams::put_off(&self.book, *key) {
            self.book.execute(effect);
        }
        self.due.insert(*key);
        true
    }

    /// Whoever waits for this answer does so no longer. The answer itself is still to be settled, since the media server
    /// will have done what it was asked.
    pub fn tire(&mut self, ticket: &mut Ticket, problem: &Problem) {
        if let Ticket::Offer { to, .. } = ticket {
            let tired = std::mem::take(to);
            self.carry_out(tired.into_iter().map(|caller| Effect::Answer(caller, Err(problem.clone()))).collect());
        }
    }

    /// A connection that the media server is to end. Give it back by `owe` when it cannot be asked.
    pub fn poll_hang_up(&mut self) -> Option<ConnectionKey> {
        self.hang_ups.pop_first()
    }

    pub fn owe(&mut self, connection: ConnectionKey) {
        self.hang_ups.insert(connection);
    }

    /// A client for whom there is something to take.
    pub fn poll_woken(&mut self) -> Option<LinkKey> {
        self.woken.pop_first()
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    pub fn figures(&self) -> Figures {
        let (messages_given_up, events_given_up) = self.given_up;
        Figures {
            clients: self.book.clients_len(),
            channels: self.book.channels_len(),
            connections: self.book.connections_len(),
            messages_given_up,
            events_given_up,
        }
    }

    fn end(&mut self, client: LinkKey, reason: EndReason, left: LeaveReason) {
        let effects = clients::end(&self.book, client, reason, left);
        self.carry_out(effects);
    }

    /// Ends a client that broke the rules of the link.
    pub fn violate(&mut self, client: LinkKey) {
        self.end(client, EndReason::ProtocolViolation, LeaveReason::Left);
    }

    fn decide(&self, caller: Caller, asked: Asked, fresh: &Fresh) -> Decision {
        use client::Request as Ask;
        let (book, room) = (&self.book, self.room);
        let claims = asked.claims.ok_or_else(|| refuse(Code::TokenMissing));
        match asked.request {
            Ask::Register { .. } | Ask::Resume { .. } => Err(refuse(Code::AlreadyRegistered)),
            Ask::Renew { .. } => clients::renew(book, caller, &claims?),
            Ask::Join { .. } => channels::join(book, caller, &claims?),
            Ask::Leave { channel } => channels::leave(book, caller, channel),
            Ask::Update { user_alias, device_alias, tag } => {
                clients::update(book, caller, [user_alias, device_alias, tag])
            }
            Ask::Send { channel, user_id, device_id, client_id, payload } => {
                messages::send(book, caller, channel, &messages::Scope { user_id, device_id, client_id }, payload)
            }
            Ask::OpenUpstream { channel, media_id, offer, state } => {
                upstreams::open(book, room, caller, fresh, upstreams::Publication { channel, media_id, offer, state })
            }
            Ask::UpdateUpstream { connection, state } => upstreams::update(book, caller, connection, state),
            Ask::OpenDownstream { channel, wants } => downstreams::open(book, room, caller, fresh, channel, wants),
            Ask::ChangeDownstream { connection, wants } => downstreams::change(book, caller, connection, wants),
            Ask::Prefer { connection, wishes } => quality::prefer(book, caller, connection, wishes),
            Ask::Observe { connection, seconds } => quality::observe(book, caller, connection, seconds),
            Ask::Answer { connection, revision, answer } => {
                downstreams::answer(book, caller, connection, revision, answer)
            }
            Ask::Restart { connection, ufrag, password } => {
                upstreams::restart(book, caller, connection, ufrag, password)
            }
            Ask::Trickle { connection, .. } => upstreams::trickle(book, caller, connection),
            Ask::Close { connection } => upstreams::end(book, caller, connection),
            Ask::Grant { channel, client_id, rights } => channels::grant(book, caller, channel, &client_id, rights),
            Ask::Kick { channel, client_id } => channels::kick(book, caller, channel, &client_id),
            Ask::Unregister => Ok(clients::unregister(book, caller)),
        }
    }
}

/// A refusal that has nothing to add to its code.
pub(crate) fn refuse(code: Code) -> Problem {
    Problem::new(code, code.meaning())
}
