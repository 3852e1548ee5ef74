//! Downstreams that the server offers: one connection that carries any number of upstreams.
//!
//! What a connection is to carry (its load) follows from what its client wants and from the book: a want of an upstream
//! ends with it, a want of a media id waits for its publishers, and what a claim lets nobody of their roles send is left
//! out. Whenever the load differs from what the media server agreed to last, it is asked to change; one question about an
//! offer is out at a time, so that offers reach the client in order and what happens meanwhile becomes one change.
//! Changes that follow from what others did wait for their turn, so that a publisher who leaves does not fill the link
//! with questions; those that a claim demands do not, and end the connection when the media server does not make them:
//! what may not be received any longer is not. An answer that is late is an answer all the same: the media server has
//! done what it was asked, so only the client's patience ends.

use tidewire_core::codec::Kind;
use tidewire_core::id::{ChannelKey, ChannelName, ConnectionKey, LinkKey, MediaId};
use tidewire_core::limits::WANTS_MAX;
use tidewire_core::message::client::{Event, Reply, Section, Source, Want};
use tidewire_core::message::{CloseReason, ErrorCode, Request, Response, media};

use super::book::{Book, Connection, Downstream, Ice, Role, Seat};
use super::channels::{close, seated};
use super::clients::Fresh;
use super::effects::{Caller, Cause, Effect, Load, Ticket};
use super::upstreams::{announced, check_len, check_room, failure, given_up, is_reserved, mine};
use super::{Decision, Room, refuse};
use crate::problem::{Code, Problem};

pub fn open(book: &Book, room: Room, caller: Caller, fresh: &Fresh, name: ChannelName, wants: Vec<Want>) -> Decision {
    let (channel, seat) = seated(book, caller.client, name)?;
    if !seat.rights.sfu {
        return Err(refuse(Code::WatchForbidden));
    }
    check_wants(book, &channel, &wants)?;
    check_room(book, room, caller.client)?;
    let key = fresh.connection();
    let load = load(book, &channel, seat, &wants);
    let request = Request::OfferDownstream { connection: key, channel: channel.clone(), wants: merged(&load) };
    let downstream = Downstream { wants: wants.clone(), is_asking: true, ..Downstream::default() };
    let connection = Connection::opening(channel, Some(caller.client), Ice::default(), Role::Downstream(downstream));
    let ticket = Ticket::Offer { key, load, wants, to: vec![caller], cause: Cause::Opening };
    Ok(vec![Effect::Keep(key, Box::new(connection)), Effect::Ask(request, ticket)])
}

/// Other wants. The question follows when none is out.
pub fn change(book: &Book, caller: Caller, key: ConnectionKey, wants: Vec<Want>) -> Decision {
    let connection = mine(book, caller.client, key)?;
    connection.downstream().ok_or_else(|| refuse(Code::ConnectionKindMismatch))?;
    check_wants(book, &connection.channel, &wants)?;
    let changed = connection.with_downstream(|downstream| {
        downstream.wants = wants;
        downstream.changes.push(caller);
    });
    Ok(vec![Effect::Keep(key, Box::new(changed))])
}

/// An offer with new ICE credentials. The question follows when none is out.
pub fn restart(caller: Caller, key: ConnectionKey, connection: &Connection) -> Vec<Effect> {
    vec![Effect::Keep(key, Box::new(connection.with_downstream(|downstream| downstream.restarts.push(caller))))]
}

pub fn answer(book: &Book, caller: Caller, key: ConnectionKey, revision: u32, answer: String) -> Decision {
    mine(book, caller.client, key)?.downstream().ok_or_else(|| refuse(Code::ConnectionKindMismatch))?;
    check_len(&answer)?;
    let request = Request::AnswerDownstream { connection: key, revision, answer };
    Ok(vec![Effect::Ask(request, Ticket::Answer(key, caller))])
}

/// What is next for a downstream.
#[derive(Debug)]
pub enum Next {
    /// To be done now.
    Now(Vec<Effect>),
    /// There is a question to ask, for which nobody waits.
    Later,
}

/// The next question about a downstream's offer, if there is one to ask and none is out. One for which nobody waits is
/// asked only if it is this downstream's `turn`.
pub fn pursue(book: &Book, key: ConnectionKey, turn: bool) -> Next {
    let nothing = || Next::Now(Vec::new());
    let Some(connection) = book.connection(key).filter(|connection| connection.is_open) else { return nothing() };
    let Some(downstream) = connection.downstream().filter(|downstream| !downstream.is_asking) else { return nothing() };
    let Some(seat) = connection.owner.and_then(|owner| book.seat(owner, &connection.channel)) else { return nothing() };
    let load = load(book, &connection.channel, seat, &downstream.wants);
    if load == downstream.load {
        return Next::Now(match downstream.restarts.is_empty() {
            true => settle_at_once(key, connection, downstream),
            false => ask_to_restart(key, connection, downstream),
        });
    }
    let cause = cause(book, downstream, &load);
    match cause {
        // A restart waits for nobody else.
        Cause::Others if !downstream.restarts.is_empty() => Next::Now(ask_to_restart(key, connection, downstream)),
        Cause::Others if !turn => Next::Later,
        cause => Next::Now(ask_to_change(key, connection, downstream, load, cause)),
    }
}

fn cause(book: &Book, downstream: &Downstream, load: &[Load]) -> Cause {
    if takes_away(book, downstream, load) {
        Cause::Claim
    } else if !downstream.changes.is_empty() {
        Cause::Client
    } else {
        Cause::Others
    }
}

/// Whether something that is carried, is wanted and goes on, may be carried no longer.
fn takes_away(book: &Book, downstream: &Downstream, after: &[Load]) -> bool {
    let goes_on = |want: &&Want| match &want.source {
        Source::MediaId(_) => true,
        Source::Upstream(id) => book.upstream(*id).is_some(),
    };
    downstream.wants.iter().filter(goes_on).any(|wanted| {
        let kinds = |loads: &[Load]| {
            let load = loads.iter().find(|load| load.source == wanted.source).map(|load| &load.want);
            load.map_or((false, false), |want| (want.audio, want.video))
        };
        let (before, after) = (kinds(&downstream.load), kinds(after));
        (wanted.audio && before.0 && !after.0) || (wanted.video && before.1 && !after.1)
    })
}

/// A question that was put by itself and could not be asked: it waits for another turn.
pub fn put_off(book: &Book, key: ConnectionKey) -> Vec<Effect> {
    let connection = book.connection(key).map(|known| known.with_downstream(|downstream| downstream.is_asking = false));
    connection.map(|connection| Effect::Keep(key, Box::new(connection))).into_iter().collect()
}

fn ask_to_restart(key: ConnectionKey, connection: &Connection, downstream: &Downstream) -> Vec<Effect> {
    let asking = connection.with_downstream(|downstream| {
        downstream.is_asking = true;
        downstream.restarts.clear();
    });
    let Downstream { load, agreed, restarts, .. } = downstream.clone();
    let ticket = Ticket::Offer { key, load, wants: agreed, to: restarts, cause: Cause::Client };
    let request = Request::RestartDownstream { connection: key };
    vec![Effect::Keep(key, Box::new(asking)), Effect::Ask(request, ticket)]
}

fn ask_to_change(
    key: ConnectionKey,
    connection: &Connection,
    downstream: &Downstream,
    load: Vec<Load>,
    cause: Cause,
) -> Vec<Effect> {
    let asking = connection.with_downstream(|downstream| {
        downstream.is_asking = true;
        downstream.changes.clear();
    });
    let request = Request::ChangeDownstream { connection: key, wants: merged(&load) };
    let Downstream { wants, changes, .. } = downstream.clone();
    let ticket = Ticket::Offer { key, load, wants, to: changes, cause };
    vec![Effect::Keep(key, Box::new(asking)), Effect::Ask(request, ticket)]
}

/// What is wanted is what is carried already.
fn settle_at_once(key: ConnectionKey, connection: &Connection, downstream: &Downstream) -> Vec<Effect> {
    if downstream.changes.is_empty() {
        return Vec::new();
    }
    let settled = connection.with_downstream(|downstream| {
        downstream.agreed.clone_from(&downstream.wants);
        downstream.changes.clear();
    });
    let mut effects = vec![Effect::Keep(key, Box::new(settled))];
    effects.extend(downstream.changes.iter().map(|caller| Effect::Answer(*caller, Ok(Reply::Done))));
    effects
}

/// The media server's answer to a question about an offer.
pub struct Offered {
    pub key: ConnectionKey,
    pub load: Vec<Load>,
    pub wants: Vec<Want>,
    pub to: Vec<Caller>,
    pub cause: Cause,
    pub response: Result<Response, Problem>,
}

pub fn settle_offer(book: &Book, offered: Offered) -> Vec<Effect> {
    let Offered { key, load, wants, to, cause, response } = offered;
    let is_first = cause == Cause::Opening;
    let Some(connection) = book.connection(key) else { return answer_all(&to, &Err(refuse(Code::ConnectionEnded))) };
    let offer = match response {
        Ok(Response::Offered { revision, offer, sections }) => Some(Event::Offer {
            connection: key,
            revision,
            offer,
            sections: sections.into_iter().filter_map(|section| named(section, &load)).collect(),
        }),
        Ok(Response::Unchanged) if !is_first => None,
        other if is_first => return given_up(key, to, other),
        other => return settle_refusal(key, connection, &to, cause, other),
    };
    let mut agreed = connection.with_downstream(|downstream| {
        downstream.is_asking = false;
        downstream.agreed = wants;
        downstream.load = load;
    });
    agreed.is_open = true;
    let reply = if is_first { Reply::DownstreamOpened { connection: key } } else { Reply::Done };
    let mut effects = vec![Effect::Keep(key, Box::new(agreed.clone()))];
    effects.extend(answer_all(&to, &Ok(reply)));
    effects.extend(offer.zip(connection.owner).map(|(offer, owner)| Effect::Tell(owner, offer)));
    // Keys cannot come before the client's answer, unless this answer was looked at late.
    effects.extend((is_first && agreed.is_connected).then(|| announced(book, key, &agreed)).into_iter().flatten());
    effects
}

fn settle_refusal(
    key: ConnectionKey,
    connection: &Connection,
    to: &[Caller],
    cause: Cause,
    response: Result<Response, Problem>,
) -> Vec<Effect> {
    let is_gone = matches!(response, Ok(Response::Refused { code: ErrorCode::ConnectionUnknown, .. }));
    let mut effects = answer_all(to, &Err(failure(response)));
    if is_gone || cause == Cause::Claim {
        effects.extend(close(key, connection, CloseReason::MediaServerLost, None));
    } else {
        let as_before = connection.with_downstream(|downstream| {
            downstream.is_asking = false;
            // What was asked for meanwhile still counts.
            if downstream.changes.is_empty() {
                downstream.wants.clone_from(&downstream.agreed);
            }
        });
        effects.push(Effect::Keep(key, Box::new(as_before)));
    }
    effects
}

pub fn settle_answer(
    book: &Book,
    key: ConnectionKey,
    caller: Caller,
    response: Result<Response, Problem>,
) -> Vec<Effect> {
    let outcome = match response {
        _ if book.connection(key).is_none() => Err(refuse(Code::ConnectionEnded)),
        Ok(Response::Answered) => Ok(Reply::Done),
        other => Err(failure(other)),
    };
    vec![Effect::Answer(caller, outcome)]
}

fn answer_all(to: &[Caller], outcome: &Result<Reply, Problem>) -> Vec<Effect> {
    to.iter().map(|caller| Effect::Answer(*caller, outcome.clone())).collect()
}

fn check_wants(book: &Book, channel: &ChannelKey, wants: &[Want]) -> Result<(), Problem> {
    if wants.len() > WANTS_MAX {
        return Err(Problem::new(Code::TooManyWants, format!("A downstream carries at most {WANTS_MAX}.")));
    }
    for want in wants {
        match &want.source {
            Source::MediaId(media_id) if is_reserved(media_id) => return Err(refuse(Code::MediaIdInvalid)),
            Source::MediaId(_) => {}
            Source::Upstream(id) => {
                let known = book.upstream(*id).filter(|(_, known)| known.channel == *channel && known.is_live());
                known.ok_or_else(|| refuse(Code::UpstreamUnknown))?;
            }
        }
    }
    Ok(())
}

/// Whether a seat's claim lets it receive a kind of media from an upstream: by its owner's roles. WHIP has none.
fn may_receive(book: &Book, seat: &Seat, kind: Kind, connection: &Connection) -> bool {
    let owner = connection.owner.and_then(|owner: LinkKey| book.client(owner));
    seat.claim.may_receive(kind, owner.map_or(&[], |owner| &owner.member.roles))
}

/// What a connection is to carry at present.
fn load(book: &Book, channel: &ChannelKey, seat: &Seat, wants: &[Want]) -> Vec<Load> {
    let loads = wants.iter().filter_map(|want| match &want.source {
        Source::Upstream(id) => {
            let (_, connection) = book.upstream(*id)?;
            let upstream = connection.upstream()?;
            Some(masked(book, seat, want, upstream.media_id.clone(), &mut std::iter::once(connection)))
        }
        Source::MediaId(media_id) => {
            let holders = book.upstreams_of(channel).filter(|(_, _, upstream)| upstream.media_id == *media_id);
            let mut holders = holders.map(|(_, connection, _)| connection);
            Some(masked(book, seat, want, media_id.clone(), &mut holders))
        }
    });
    loads.filter(|load| load.want.audio || load.want.video).collect()
}

/// A want without the kinds that some holder of its media id may not be received by. It is not refused for them: a list of
/// wants is taken as a whole, and whoever wants everybody need not know which roles its own claim leaves out.
fn masked(
    book: &Book,
    seat: &Seat,
    want: &Want,
    media_id: MediaId,
    holders: &mut dyn Iterator<Item = &Connection>,
) -> Load {
    let (mut audio, mut video) = (want.audio, want.video);
    let claim = &seat.claim;
    // Most claims name no roles: then nobody looks who holds what.
    if claim.audio_receive_whitelist.is_some() || claim.video_receive_whitelist.is_some() {
        for holder in holders {
            audio &= may_receive(book, seat, Kind::Audio, holder);
            video &= may_receive(book, seat, Kind::Video, holder);
        }
    }
    Load { want: media::Want { media_id, audio, video }, source: want.source.clone() }
}

/// What the media server is asked to carry: each media id once.
fn merged(load: &[Load]) -> Vec<media::Want> {
    let mut wants = Vec::<media::Want>::with_capacity(load.len());
    for Load { want, .. } in load {
        match wants.iter_mut().find(|known| known.media_id == want.media_id) {
            Some(known) => {
                known.audio |= want.audio;
                known.video |= want.video;
            }
            None => wants.push(want.clone()),
        }
    }
    wants
}

/// A section as the client knows its source.
fn named(section: media::Section, load: &[Load]) -> Option<Section> {
    let media::Section { mid, kind, media_id } = section;
    let wants = |load: &&Load| match kind {
        Kind::Audio => load.want.audio,
        Kind::Video => load.want.video,
    };
    let load = load.iter().filter(|load| load.want.media_id == media_id).find(wants)?;
    Some(Section { mid, kind, source: load.source.clone() })
}
