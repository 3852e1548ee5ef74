//! What clients would like of videos, and what media servers tell of how media fares: passed on to whom it concerns.
//!
//! A wish is the media server's to weigh; here it is only made sure that it is for something that the downstream carries. What
//! a media server tells names connections and media ids; here these become the sources and upstreams that clients know.
//! Nothing of it is kept in the book but who speaks, for those who join.

use tidewire_core::id::{ChannelKey, ConnectionKey, MediaId};
use tidewire_core::limits::WANTS_MAX;
use tidewire_core::message::client::{Event, Preference, Reply};
use tidewire_core::message::quality::{EncodingDemand, Layer, LayerReason, Statistics};
use tidewire_core::message::{Request, Response, media};

use super::book::{Book, Downstream};
use super::effects::{About, Caller, Effect, Ticket};
use super::upstreams::{failure, mine};
use super::{Decision, refuse};
use crate::limits::OBSERVE_S_MAX;
use crate::problem::{Code, Problem};

pub fn prefer(book: &Book, caller: Caller, key: ConnectionKey, wishes: Vec<Preference>) -> Decision {
    let downstream = mine(book, caller.client, key)?.downstream();
    let downstream = downstream.ok_or_else(|| refuse(Code::ConnectionKindMismatch))?;
    if wishes.len() > WANTS_MAX {
        return Err(Problem::new(Code::TooManyWants, format!("A downstream carries at most {WANTS_MAX}.")));
    }
    let wishes = wishes.into_iter().map(|wish| named(downstream, wish)).collect::<Result<_, _>>()?;
    Ok(vec![Effect::Ask(Request::Prefer { connection: key, wishes }, Ticket::Note(key, caller))])
}

/// A wish under the media id that its source has.
fn named(downstream: &Downstream, Preference { source, wish }: Preference) -> Result<media::Preference, Problem> {
    let load = downstream.load.iter().find(|load| load.source == source && load.want.video);
    let media_id = load.ok_or_else(|| refuse(Code::NotWanted))?.want.media_id.clone();
    Ok(media::Preference { media_id, wish })
}

pub fn observe(book: &Book, caller: Caller, key: ConnectionKey, seconds: u16) -> Decision {
    mine(book, caller.client, key)?;
    let request = Request::Observe { connection: key, seconds: seconds.min(OBSERVE_S_MAX) };
    Ok(vec![Effect::Ask(request, Ticket::Note(key, caller))])
}

pub fn settle(book: &Book, key: ConnectionKey, caller: Caller, response: Result<Response, Problem>) -> Vec<Effect> {
    let outcome = match response {
        _ if book.connection(key).is_none() => Err(refuse(Code::ConnectionEnded)),
        Ok(Response::Noted) => Ok(Reply::Done),
        other => Err(failure(other)),
    };
    vec![Effect::Answer(caller, outcome)]
}

/// Who published by WHIP hears nothing of it.
pub fn demanded(book: &Book, key: ConnectionKey, encodings: &[EncodingDemand]) -> Vec<Effect> {
    let owner = book.connection(key).and_then(|connection| connection.owner);
    let event = || Event::Demand { connection: key, encodings: encodings.to_vec() };
    owner.map(|owner| Effect::Tell(owner, event())).into_iter().collect()
}

/// A client that wants one upstream by two names hears of both.
pub fn switched(
    book: &Book,
    key: ConnectionKey,
    media_id: &MediaId,
    layer: &Layer,
    reason: LayerReason,
) -> Vec<Effect> {
    let Some(connection) = book.connection(key) else { return Vec::new() };
    let (Some(owner), Some(downstream)) = (connection.owner, connection.downstream()) else { return Vec::new() };
    let meant = downstream.load.iter().filter(|load| load.want.video && load.want.media_id == *media_id);
    let event = |source| Event::Layer { connection: key, source, layer: layer.clone(), reason };
    meant.map(|load| Effect::Tell(owner, event(load.source.clone()))).collect()
}

/// Those of whom nothing is announced are left out.
pub fn speaking(book: &Book, channel: &ChannelKey, speakers: &[MediaId]) -> Vec<Effect> {
    let upstream = |media_id: &MediaId| {
        let mut live = book.upstreams_of(channel).filter(|(_, connection, _)| connection.is_live());
        live.find(|(_, _, upstream)| upstream.media_id == *media_id).map(|(_, _, upstream)| upstream.id)
    };
    let upstreams: Vec<_> = speakers.iter().filter_map(upstream).collect();
    let event = Event::Speakers { channel: channel.channel.clone(), upstreams: upstreams.clone() };
    vec![
        Effect::Speak(channel.clone(), upstreams),
        Effect::Announce { channel: channel.clone(), about: About::Upstreams, but: None, event },
    ]
}

pub fn measured(book: &Book, key: ConnectionKey, statistics: &Statistics) -> Vec<Effect> {
    let owner = book.connection(key).and_then(|connection| connection.owner);
    let event = || Event::Statistics { connection: key, statistics: statistics.clone() };
    owner.map(|owner| Effect::Tell(owner, event())).into_iter().collect()
}
