//! WHIP and WHEP sessions: connections that belong to whoever bears a token that could have opened them.
//!
//! [`handle`] either answers at once or names what to ask of the media server; the answer comes back through [`settle`],
//! or [`abandon`] when nobody waits for it any longer. Invariant: a session is in the book from before its connection is
//! asked for until the media server has said that it is gone, or the caller of `abandon` has been told to close it. An
//! upstream that was published by WHIP is one of the channel's, with nobody as its owner. RFC 9725,
//! draft-ietf-wish-whep-03.

#[cfg(test)]
mod tests;

use tidewire_core::id::{ChannelName, ConnectionKey, MediaId, UpstreamId};
use tidewire_core::message::client::UpstreamState;
use tidewire_core::message::{CloseReason, ErrorCode, Request, Response};
use tidewire_core::negotiate::{Credentials, write_fragment};

use super::book::{Book, Connection, Ice, Role, Upstream};
use super::channels::ended;
use super::effects::{Effect, Ticket};
use super::upstreams::{announced, check_media_id, out_of_turn};
use super::{Room, refuse};
use crate::outline::{self, Outline};
use crate::problem::{Code, Problem};
use crate::token::{Claims, Side};

/// What a client asks for, with its wire form already undone.
#[derive(Clone, Debug)]
pub enum Call {
    /// POST to an endpoint. `key` is fresh and unguessable, `upstream` fresh.
    Open {
        key: ConnectionKey,
        upstream: UpstreamId,
        side: Side,
        channel: ChannelName,
        media_id: MediaId,
        offer: String,
    },
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
    /// Ask the media server, then settle the ticket with its answer, or abandon it.
    Ask {
        request: Request,
        ticket: Ticket,
    },
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

/// Effects first, then what is said.
pub type Settled = (Vec<Effect>, Result<Reply, Problem>);

/// Decides a call. `who` are the verified claims of the request's token.
pub fn handle(book: &Book, room: Room, who: &Claims, call: Call) -> Result<(Vec<Effect>, Step), Problem> {
    match call {
        Call::Open { key, upstream, side: Side::Publish, channel, media_id, offer } => {
            publish(book, room, who, key, upstream, channel, media_id, offer)
        }
        Call::Open { key, side: Side::Watch, channel, media_id, offer, .. } => {
            watch(book, room, who, key, channel, media_id, offer)
        }
        Call::Change { key, if_match, fragment } => change(book, who, key, if_match.as_deref(), &fragment),
        Call::Close { key } => {
            session(book, who, key)?;
            let request = Request::Close { connection: key };
            Ok((Vec::new(), Step::Ask { request, ticket: Ticket::Close(key) }))
        }
        Call::Look { key } => session(book, who, key).map(|_| (Vec::new(), Step::Answer(Reply::Present))),
    }
}

/// Takes the media server's answer to what a ticket asked.
pub fn settle(book: &Book, ticket: Ticket, response: Response) -> Settled {
    match ticket {
        Ticket::Open(key, _) => settle_open(book, key, response),
        Ticket::Restart { key, generation, remote, .. } => settle_restart(book, key, generation, remote, response),
        Ticket::Close(key) => settle_close(book, key, response),
        Ticket::Offer { .. } | Ticket::Answer(..) | Ticket::Note(..) => (Vec::new(), Err(out_of_turn())),
    }
}

/// Nobody waits for this ticket any longer. Names the connection to close so that nothing is left behind; `None` when it
/// was settled before, or was no opening: a session that was open stays open.
pub fn abandon(book: &Book, ticket: &Ticket) -> Option<ConnectionKey> {
    let key = ticket.is_opening()?;
    book.connection(key).filter(|session| !session.is_open).map(|_| key)
}

#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
fn publish(
    book: &Book,
    room: Room,
    who: &Claims,
    key: ConnectionKey,
    id: UpstreamId,
    channel: ChannelName,
    media_id: MediaId,
    offer: String,
) -> Result<(Vec<Effect>, Step), Problem> {
    let outline = admit(who, Side::Publish, &channel, &offer)?;
    let channel = who.key(channel);
    check_media_id(book, &channel, &media_id, who.user_id.as_ref())?;
    room.check(book)?;
    let Outline { kinds, .. } = outline;
    let upstream = Upstream {
        id,
        media_id: media_id.clone(),
        is_named: true,
        audio: kinds.audio,
        video: kinds.video,
        state: UpstreamState::default(),
    };
    let session = Connection::opening(channel.clone(), None, Ice::of(&outline), Role::Upstream(upstream));
    let request = Request::OpenUpstream { connection: key, channel, media_id, offer };
    Ok(opening(key, session, request))
}

fn watch(
    book: &Book,
    room: Room,
    who: &Claims,
    key: ConnectionKey,
    channel: ChannelName,
    media_id: MediaId,
    offer: String,
) -> Result<(Vec<Effect>, Step), Problem> {
    let outline = admit(who, Side::Watch, &channel, &offer)?;
    room.check(book)?;
    let channel = who.key(channel);
    let session = Connection::opening(channel.clone(), None, Ice::of(&outline), Role::Watch);
    let request = Request::OpenDownstream { connection: key, channel, media_id, offer };
    Ok(opening(key, session, request))
}

fn admit(who: &Claims, side: Side, channel: &ChannelName, offer: &str) -> Result<Outline, Problem> {
    who.may(side, channel)?;
    let outline = Outline::of(offer)?;
    who.may_offer(side, channel, outline.kinds)?;
    Ok(outline)
}

fn opening(key: ConnectionKey, session: Connection, request: Request) -> (Vec<Effect>, Step) {
    (vec![Effect::Keep(key, Box::new(session))], Step::Ask { request, ticket: Ticket::Open(key, None) })
}

fn change(
    book: &Book,
    who: &Claims,
    key: ConnectionKey,
    if_match: Option<&str>,
    text: &str,
) -> Result<(Vec<Effect>, Step), Problem> {
    let session = session(book, who, key)?;
    session.ice.check_precondition(if_match)?;
    let fragment = outline::fragment(text)?;
    // RFC 9725 4.3.3: other credentials than the session's mean a restart, whatever else the fragment holds.
    let Some(credentials) = fragment.credentials.filter(|new| session.ice.remote.as_ref() != Some(new)) else {
        return Ok((Vec::new(), Step::Answer(Reply::Trickled)));
    };
    let mut session = session.clone();
    session.ice.generation_last += 1;
    let generation = session.ice.generation_last;
    let Credentials { ufrag, password } = credentials.clone();
    let ticket = Ticket::Restart { key, generation, remote: credentials, to: None };
    let request = Request::Restart { connection: key, ufrag, password };
    Ok((vec![Effect::Keep(key, Box::new(session))], Step::Ask { request, ticket }))
}

/// An open session that the bearer may touch: who may not open it may not change or end it either.
fn session<'a>(book: &'a Book, who: &Claims, key: ConnectionKey) -> Result<&'a Connection, Problem> {
    let session = book.connection(key).filter(|session| session.is_open && session.owner.is_none());
    let session = session.ok_or_else(|| refuse(Code::SessionUnknown))?;
    let side = if session.upstream().is_some() { Side::Publish } else { Side::Watch };
    who.may(side, &session.channel.channel)?;
    if who.key(session.channel.channel.clone()) != session.channel {
        return Err(refuse(Code::SessionUnknown));
    }
    Ok(session)
}

fn settle_open(book: &Book, key: ConnectionKey, response: Response) -> Settled {
    match response {
        Response::Opened { answer } => {
            // The media server may have told of its end before this answer was looked at.
            let Some(session) = book.connection(key) else {
                return (Vec::new(), Err(refuse(Code::ConnectionEnded)));
            };
            let open = Connection { is_open: true, ..session.clone() };
            let etag = open.ice.etag();
            let mut effects = vec![Effect::Keep(key, Box::new(open.clone()))];
            effects.extend(open.is_connected.then(|| announced(book, key, &open)).into_iter().flatten());
            (effects, Ok(Reply::Opened { key, etag, answer }))
        }
        Response::Refused { code, detail } => (vec![Effect::Drop(key)], Err((code, detail).into())),
        _ => (Vec::new(), Err(out_of_turn())),
    }
}

fn settle_restart(
    book: &Book,
    key: ConnectionKey,
    generation: u32,
    remote: Credentials,
    response: Response,
) -> Settled {
    let Some(session) = book.connection(key) else { return (Vec::new(), Err(refuse(Code::SessionUnknown))) };
    match response {
        Response::Restarted { ufrag, password, candidates } => {
            let mid = session.ice.mid.as_deref().unwrap_or("0");
            let fragment = write_fragment(&Credentials { ufrag, password }, &candidates, mid);
            let restarted = Effect::Keep(key, Box::new(session.restarted(generation, remote)));
            (vec![restarted], Ok(Reply::Restarted { etag: etag(generation), fragment }))
        }
        Response::Refused { code: ErrorCode::ConnectionUnknown, .. } => {
            (ended(key, session, CloseReason::MediaServerLost, None), Err(refuse(Code::SessionUnknown)))
        }
        // RFC 9725 4.3.3: a restart that fails leaves the session and its ICE session as they were.
        Response::Refused { code, detail } => (Vec::new(), Err((code, detail).into())),
        _ => (Vec::new(), Err(out_of_turn())),
    }
}

fn settle_close(book: &Book, key: ConnectionKey, response: Response) -> Settled {
    match response {
        Response::Closed | Response::Refused { code: ErrorCode::ConnectionUnknown, .. } => {
            let session = book.connection(key);
            let effects = session.map(|session| ended(key, session, CloseReason::Requested, None));
            (effects.unwrap_or_default(), Ok(Reply::Closed))
        }
        Response::Refused { code, detail } => (Vec::new(), Err((code, detail).into())),
        _ => (Vec::new(), Err(out_of_turn())),
    }
}

impl Ice {
    fn etag(&self) -> String {
        etag(self.generation)
    }

    /// RFC 9725 4.3.1: PATCH is conditional, since requests may overtake each other.
    fn check_precondition(&self, if_match: Option<&str>) -> Result<(), Problem> {
        let tags = if_match.ok_or_else(|| refuse(Code::PreconditionRequired))?;
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
