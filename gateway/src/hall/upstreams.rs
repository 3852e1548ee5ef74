//! A client's connections: publishing, and what is asked of any connection once it is open.
//!
//! An upstream is noted before its connection is asked for, and announced to the channel when the media server says that
//! its keys are in. It is published under the media id that the client gives, or under the digits of its own id; media
//! ids of that shape are therefore nobody's to give. A media id that is held is taken over by the same user, who
//! published again from elsewhere, and by anybody from a WHIP publisher, which has no name by which it could come back; a
//! member's is no other user's to take, since viewers follow a media id without looking who holds it.

use tidewire_core::id::{ChannelKey, ChannelName, ConnectionKey, Label, LinkKey, MediaId};
use tidewire_core::limits::SDP_LEN_MAX;
use tidewire_core::message::client::{Event, Reply, Rights, UpstreamState};
use tidewire_core::message::{CloseReason, Request, Response};
use tidewire_core::negotiate::Credentials;

use super::book::{Book, Connection, Ice, Role, Upstream};
use super::channels::{close, ended, seated};
use super::clients::Fresh;
use super::effects::{About, Caller, Effect, Ticket};
use super::{Decision, Room, downstreams, refuse};
use crate::limits::CONNECTIONS_PER_CLIENT_MAX;
use crate::outline::Outline;
use crate::problem::{Code, Problem};
use crate::token::Kinds;

/// What a client wants to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    pub channel: ChannelName,
    pub media_id: Option<MediaId>,
    pub offer: String,
    pub state: UpstreamState,
}

pub fn open(book: &Book, room: Room, caller: Caller, fresh: &Fresh, publication: Publication) -> Decision {
    let Publication { channel, media_id, offer, state } = publication;
    let (channel, seat) = seated(book, caller.client, channel)?;
    check_len(&offer)?;
    let outline = Outline::of(&offer)?;
    check_rights(seat.rights, outline.kinds)?;
    check_room(book, room, caller.client)?;
    if let Some(media_id) = &media_id {
        let user = book.client(caller.client).map(|client| &client.member.user_id);
        check_media_id(book, &channel, media_id, user)?;
    }
    let key = fresh.connection();
    let upstream = Upstream {
        id: fresh.upstream(),
        is_named: media_id.is_some(),
        media_id: match media_id {
            Some(media_id) => media_id,
            None => own_media_id(fresh)?,
        },
        audio: outline.kinds.audio,
        video: outline.kinds.video,
        state,
    };
    let request =
        Request::OpenUpstream { connection: key, channel: channel.clone(), media_id: upstream.media_id.clone(), offer };
    let connection = Connection::opening(channel, Some(caller.client), Ice::of(&outline), Role::Upstream(upstream));
    Ok(vec![Effect::Keep(key, Box::new(connection)), Effect::Ask(request, Ticket::Open(key, Some(caller)))])
}

/// Tells the others that an upstream is muted, or what it is.
pub fn update(book: &Book, caller: Caller, key: ConnectionKey, state: UpstreamState) -> Decision {
    let mut connection = mine(book, caller.client, key)?.clone();
    let Role::Upstream(upstream) = &mut connection.role else { return Err(refuse(Code::ConnectionKindMismatch)) };
    upstream.state = state;
    let shown = connection.upstream().map(|upstream| book.shown(&connection, upstream));
    let is_live = connection.is_live();
    let channel = connection.channel.clone();
    let mut effects = vec![Effect::Keep(key, Box::new(connection))];
    if let Some(upstream) = shown.filter(|_| is_live) {
        let event = Event::UpstreamUpdated { channel: channel.channel.clone(), upstream };
        effects.push(Effect::Announce { channel, about: About::Upstreams, but: Some(caller.client), event });
    }
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

/// ICE restart: of an upstream by its client's new credentials, of a downstream by none.
pub fn restart(
    book: &Book,
    caller: Caller,
    key: ConnectionKey,
    ufrag: Option<String>,
    password: Option<String>,
) -> Decision {
    let connection = mine(book, caller.client, key)?;
    let credentials = match (&connection.role, ufrag, password) {
        (Role::Downstream(_), None, None) => return Ok(downstreams::restart(caller, key, connection)),
        (Role::Upstream(_), Some(ufrag), Some(password)) => Credentials::new(&ufrag, &password),
        _ => return Err(refuse(Code::ConnectionKindMismatch)),
    };
    let remote = credentials.map_err(|_| refuse(Code::CredentialsInvalid))?;
    let mut connection = connection.clone();
    connection.ice.generation_last += 1;
    let generation = connection.ice.generation_last;
    let Credentials { ufrag, password } = remote.clone();
    let ticket = Ticket::Restart { key, generation, remote, to: Some(caller) };
    Ok(vec![
        Effect::Keep(key, Box::new(connection)),
        Effect::Ask(Request::Restart { connection: key, ufrag, password }, ticket),
    ])
}

/// A candidate. An ICE-lite end needs none.
pub fn trickle(book: &Book, caller: Caller, key: ConnectionKey) -> Decision {
    mine(book, caller.client, key)?;
    Ok(vec![Effect::Answer(caller, Ok(Reply::Done))])
}

pub fn end(book: &Book, caller: Caller, key: ConnectionKey) -> Decision {
    let connection = mine(book, caller.client, key)?;
    let mut effects = close(key, connection, CloseReason::Requested, Some(caller.client));
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

/// The answer to an opening.
pub fn settle_open(
    book: &Book,
    key: ConnectionKey,
    caller: Caller,
    response: Result<Response, Problem>,
) -> Vec<Effect> {
    let Some(connection) = book.connection(key) else {
        // The media server may have told of its end before this answer was looked at.
        return vec![Effect::Answer(caller, Err(refuse(Code::ConnectionEnded)))];
    };
    let answer = match response {
        Ok(Response::Opened { answer }) => answer,
        other => return given_up(key, vec![caller], other),
    };
    let opened = Connection { is_open: true, ..connection.clone() };
    let reply =
        opened.upstream().map(|upstream| Reply::UpstreamOpened { connection: key, upstream: upstream.id, answer });
    let mut effects = vec![Effect::Keep(key, Box::new(opened.clone()))];
    effects.push(Effect::Answer(caller, reply.ok_or_else(out_of_turn)));
    effects.extend(opened.is_connected.then(|| announced(book, key, &opened)).into_iter().flatten());
    effects
}

pub fn settle_restart(
    book: &Book,
    key: ConnectionKey,
    generation: u32,
    remote: Credentials,
    caller: Caller,
    response: Result<Response, Problem>,
) -> Vec<Effect> {
    let Some(connection) = book.connection(key) else {
        return vec![Effect::Answer(caller, Err(refuse(Code::ConnectionEnded)))];
    };
    match response {
        Ok(Response::Restarted { ufrag, password, candidates }) => {
            let reply = Reply::Restarted { ufrag, password, candidates };
            let restarted = connection.restarted(generation, remote);
            vec![Effect::Keep(key, Box::new(restarted)), Effect::Answer(caller, Ok(reply))]
        }
        other => vec![Effect::Answer(caller, Err(failure(other)))],
    }
}

/// The keys of a connection are in.
pub fn connected(book: &Book, key: ConnectionKey) -> Vec<Effect> {
    let Some(connection) = book.connection(key).filter(|connection| !connection.is_connected) else {
        return Vec::new();
    };
    let connected = Connection { is_connected: true, ..connection.clone() };
    let mut effects = vec![Effect::Keep(key, Box::new(connected.clone()))];
    // Before the answer to its opening nobody knows of it: then that tells.
    effects.extend(connected.is_open.then(|| announced(book, key, &connected)).into_iter().flatten());
    effects
}

/// The media server says that a connection is over.
pub fn closed(book: &Book, key: ConnectionKey, reason: CloseReason) -> Vec<Effect> {
    book.connection(key).map(|connection| ended(key, connection, reason, None)).unwrap_or_default()
}

/// What a connection that is open and has its keys is told about.
pub fn announced(book: &Book, key: ConnectionKey, connection: &Connection) -> Vec<Effect> {
    let mut effects = Vec::new();
    effects.extend(connection.owner.map(|owner| Effect::Tell(owner, Event::Connected { connection: key })));
    if let Some(upstream) = connection.upstream() {
        let channel = connection.channel.clone();
        let upstream = book.shown(connection, upstream);
        let event = Event::UpstreamOpened { channel: channel.channel.clone(), upstream };
        effects.push(Effect::Announce { channel, about: About::Upstreams, but: connection.owner, event });
    }
    effects
}

/// A connection of this client's that it knows of.
pub fn mine(book: &Book, client: LinkKey, key: ConnectionKey) -> Result<&Connection, Problem> {
    let known = book.connection(key).filter(|connection| connection.is_open && connection.owner == Some(client));
    known.ok_or_else(|| refuse(Code::ConnectionUnknown))
}

/// Whether a media id may be published by this user, or by WHIP with a token that names none.
pub fn check_media_id(
    book: &Book,
    channel: &ChannelKey,
    media_id: &MediaId,
    user: Option<&Label>,
) -> Result<(), Problem> {
    if is_reserved(media_id) {
        return Err(Problem::new(Code::MediaIdInvalid, "Media ids of 32 hexadecimal digits are the server's to give."));
    }
    let holders = book.upstreams_of(channel).filter(|(_, _, upstream)| upstream.media_id == *media_id);
    let mut owners = holders.filter_map(|(_, connection, _)| book.client(connection.owner?));
    if owners.any(|owner| Some(&owner.member.user_id) != user) {
        return Err(refuse(Code::MediaIdTaken));
    }
    Ok(())
}

pub fn is_reserved(media_id: &MediaId) -> bool {
    let text = media_id.as_str();
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub fn check_room(book: &Book, room: Room, client: LinkKey) -> Result<(), Problem> {
    if book.client(client).is_some_and(|client| client.connections.len() >= CONNECTIONS_PER_CLIENT_MAX) {
        return Err(refuse(Code::TooManyConnections));
    }
    room.check(book)
}

pub fn check_len(sdp: &str) -> Result<(), Problem> {
    if sdp.len() > SDP_LEN_MAX {
        return Err(Problem::new(Code::BodyTooLarge, format!("The SDP is larger than {SDP_LEN_MAX} bytes.")));
    }
    Ok(())
}

/// The end of an opening that did not succeed. What the media server did not refuse it may have opened.
pub fn given_up(key: ConnectionKey, to: Vec<Caller>, response: Result<Response, Problem>) -> Vec<Effect> {
    let is_refused = matches!(response, Ok(Response::Refused { .. }));
    let problem = failure(response);
    let mut effects = vec![Effect::Drop(key)];
    effects.extend((!is_refused).then_some(Effect::HangUp(key)));
    effects.extend(to.into_iter().map(|caller| Effect::Answer(caller, Err(problem.clone()))));
    effects
}

/// Why the media server's answer is not the one that was waited for. Clients know connections, not sessions.
pub fn failure(response: Result<Response, Problem>) -> Problem {
    match response {
        Err(problem) => problem,
        Ok(Response::Refused { code, detail }) => match Problem::from((code, detail)) {
            Problem { code: Code::SessionUnknown, .. } => refuse(Code::ConnectionUnknown),
            problem => problem,
        },
        Ok(_) => out_of_turn(),
    }
}

/// The media server broke the contract of `core::message`.
pub fn out_of_turn() -> Problem {
    Problem::new(Code::MediaServerUnavailable, "The media server gave an answer to another question.")
}

fn check_rights(rights: Rights, kinds: Kinds) -> Result<(), Problem> {
    let refused = [
        (!rights.sfu || rights.hidden, Code::PublishForbidden),
        (kinds.audio && !rights.send_audio, Code::SendAudioForbidden),
        (kinds.video && !rights.send_video, Code::SendVideoForbidden),
    ];
    match refused.into_iter().find(|(is_refused, _)| *is_refused) {
        Some((_, code)) => Err(refuse(code)),
        None => Ok(()),
    }
}

fn own_media_id(fresh: &Fresh) -> Result<MediaId, Problem> {
    // 32 hexadecimal digits are a name.
    MediaId::new(&fresh.upstream().to_string()).map_err(|_| refuse(Code::MediaIdInvalid))
}

impl Ice {
    pub fn of(outline: &Outline) -> Self {
        Self { remote: outline.credentials.clone(), mid: outline.mid.clone(), ..Self::default() }
    }
}

impl Connection {
    /// After a restart. Answers to overlapping ones may come to be looked at in any order: the last asked for holds.
    #[must_use]
    pub fn restarted(&self, generation: u32, remote: Credentials) -> Self {
        let mut restarted = self.clone();
        if generation > restarted.ice.generation {
            restarted.ice.generation = generation;
            restarted.ice.remote = Some(remote);
        }
        restarted
    }
}
