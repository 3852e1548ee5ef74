//! Channels: joining, leaving, what a joiner finds, and what members may let or make each other do.
//!
//! A joiner gets the channel as it is, then events from that moment on, so that what it builds from them equals the
//! book. A hidden observer is not announced, neither when it comes nor when it goes. A claim may spare a member the
//! events about others, and the joiner's list with them. Whoever leaves, by whatever way, takes its connections along.

use tidewire_core::id::{ChannelKey, ChannelName, ConnectionKey, Label, LinkKey};
use tidewire_core::message::CloseReason;
use tidewire_core::message::client::{self, Event, LeaveReason, Member, Reply, Rights, RightsChange};

use super::book::{Book, Connection, Seat};
use super::effects::{About, Caller, Effect};
use super::{Decision, refuse};
use crate::limits::{CHANNELS_PER_CLIENT_MAX, MEMBERS_MAX};
use crate::problem::{Code, Problem};
use crate::token::{ChannelClaim, Claims};

/// Joins the one channel that a token names. Who sits there already gets the token's claim, and the channel again.
pub fn join(book: &Book, caller: Caller, claims: &Claims) -> Decision {
    let claim = claims.to_join()?;
    let client = book.client(caller.client).ok_or_else(|| refuse(Code::NotRegistered))?;
    claims.same_bearer(&client.application, &client.member)?;
    let channel = claims.key(claim.id.clone());
    let before = book.seat(caller.client, &channel);
    let seat = before.map_or_else(|| Seat::of(claim.clone()), |before| before.renewed(claim.clone()));
    let found = snapshot(book, &channel, &seat, caller.client);
    let mut effects = if before.is_some() {
        reseat(book, caller.client, &channel, seat)
    } else {
        if client.channels.len() >= CHANNELS_PER_CLIENT_MAX {
            return Err(refuse(Code::TooManyChannels));
        }
        check_room(book, &channel, None)?;
        sit(caller.client, &client.member, channel, seat)
    };
    effects.push(Effect::Answer(caller, Ok(Reply::Joined { channel: found })));
    Ok(effects)
}

pub fn leave(book: &Book, caller: Caller, name: ChannelName) -> Decision {
    let (channel, _) = seated(book, caller.client, name)?;
    let mut effects = rise(book, caller.client, &channel, LeaveReason::Left);
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

/// Ends another member's stay. Whether it may come back is for whoever makes its tokens to say.
pub fn kick(book: &Book, caller: Caller, name: ChannelName, client_id: &Label) -> Decision {
    let (channel, seat) = seated(book, caller.client, name)?;
    if !seat.rights.kick {
        return Err(refuse(Code::KickForbidden));
    }
    let (target, _) = other(book, &channel, client_id)?;
    let by = book.client(caller.client).map(|client| client.member.client_id.clone());
    let mut effects = rise(book, target, &channel, LeaveReason::Kicked);
    effects.extend(by.map(|by| Effect::Tell(target, Event::Kicked { channel: channel.channel, by })));
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

/// Changes what a member may do. Nobody grants what it has not itself; taking away needs no more than `canUpdate`.
pub fn grant(book: &Book, caller: Caller, name: ChannelName, client_id: &Label, change: RightsChange) -> Decision {
    let (channel, granter) = seated(book, caller.client, name)?;
    if !granter.rights.update || exceeds(change, granter.rights) {
        return Err(refuse(Code::GrantForbidden));
    }
    let (target, seat) = other(book, &channel, client_id)?;
    let mut effects = reseat(book, target, &channel, seat.granted(change));
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

/// A seat that the client takes; the others hear of it.
pub fn sit(key: LinkKey, member: &Member, channel: ChannelKey, seat: Seat) -> Vec<Effect> {
    let event = Event::Joined { channel: channel.channel.clone(), member: member.clone() };
    let announced = Effect::Announce { channel: channel.clone(), about: About::Members, but: Some(key), event };
    let is_hidden = seat.rights.hidden;
    let mut effects = vec![Effect::Sit(key, channel, Box::new(seat))];
    effects.extend((!is_hidden).then_some(announced));
    effects
}

/// Another seat in the same channel, made from the one before. What the client may not have any longer ends.
pub fn reseat(book: &Book, key: LinkKey, channel: &ChannelKey, seat: Seat) -> Vec<Effect> {
    let Some(before) = book.seat(key, channel) else { return Vec::new() };
    let rights = seat.rights;
    let mut effects: Vec<_> = owned(book, key, channel)
        .filter(|(_, connection)| !allows(rights, connection))
        .flat_map(|(connection, known)| close(connection, known, CloseReason::Requested, None))
        .collect();
    if rights != before.rights {
        effects.push(Effect::Tell(key, Event::RightsChanged { channel: channel.channel.clone(), rights }));
    }
    // Whoever was spared events may not know what came before those that it hears now.
    if before.hears_less_than(&seat) {
        effects.push(Effect::Tell(key, Event::State { channel: snapshot(book, channel, &seat, key) }));
    }
    effects.push(Effect::Sit(key, channel.clone(), Box::new(seat)));
    effects
}

/// A seat that is given up; connections in the channel end with it.
pub fn rise(book: &Book, key: LinkKey, channel: &ChannelKey, reason: LeaveReason) -> Vec<Effect> {
    let Some((client, seat)) = book.client(key).zip(book.seat(key, channel)) else { return Vec::new() };
    let mut effects: Vec<_> = owned(book, key, channel)
        .flat_map(|(connection, known)| close(connection, known, CloseReason::Requested, None))
        .collect();
    effects.push(Effect::Rise(key, channel.clone()));
    if !seat.rights.hidden {
        let client_id = client.member.client_id.clone();
        let event = Event::Left { channel: channel.channel.clone(), client_id, reason };
        effects.push(Effect::Announce { channel: channel.clone(), about: About::Members, but: Some(key), event });
    }
    effects
}

/// The end of a connection that is not over at the media server. Its owner hears of it, unless it is `silent`.
pub fn close(key: ConnectionKey, connection: &Connection, reason: CloseReason, silent: Option<LinkKey>) -> Vec<Effect> {
    let mut effects = vec![Effect::HangUp(key)];
    effects.extend(ended(key, connection, reason, silent));
    effects
}

/// What follows from the end of a connection.
pub fn ended(key: ConnectionKey, connection: &Connection, reason: CloseReason, silent: Option<LinkKey>) -> Vec<Effect> {
    let mut effects = vec![Effect::Drop(key)];
    let channel = &connection.channel;
    // Who does not know of it yet hears of its end by the answer to its opening.
    let owner = connection.owner.filter(|owner| connection.is_open && silent != Some(*owner));
    effects.extend(owner.map(|owner| Effect::Tell(owner, Event::Closed { connection: key, reason })));
    if let Some(upstream) = connection.upstream().filter(|_| connection.is_live()) {
        let event = Event::UpstreamClosed { channel: channel.channel.clone(), upstream: upstream.id, reason };
        let but = connection.owner;
        effects.push(Effect::Announce { channel: channel.clone(), about: About::Upstreams, but, event });
    }
    effects
}

/// A channel as one member finds it: everybody else who is not hidden, and their upstreams; and who speaks, itself included.
pub fn snapshot(book: &Book, channel: &ChannelKey, seat: &Seat, me: LinkKey) -> client::Channel {
    let others = book.channel(channel).into_iter().flat_map(|channel| &channel.seats);
    let others = others.filter(|(key, other)| **key != me && !other.rights.hidden);
    let members = others.filter_map(|(key, _)| book.client(*key)).map(|client| client.member.clone());
    let upstreams = book.upstreams_of(channel).filter(|(_, known, _)| known.is_live() && known.owner != Some(me));
    let upstreams = upstreams.map(|(_, connection, upstream)| book.shown(connection, upstream));
    let speakers = book.channel(channel).map(|channel| channel.speakers.clone()).unwrap_or_default();
    let spared = seat.claim.disable_remote_upstream_connection_events;
    client::Channel {
        channel: channel.channel.clone(),
        rights: seat.rights,
        members: if seat.claim.disable_remote_client_events { Vec::new() } else { members.collect() },
        upstreams: if spared { Vec::new() } else { upstreams.collect() },
        speakers: if spared { Vec::new() } else { speakers },
    }
}

/// The channel of the client's application, and its seat there.
pub fn seated(book: &Book, client: LinkKey, name: ChannelName) -> Result<(ChannelKey, &Seat), Problem> {
    let known = book.client(client).ok_or_else(|| refuse(Code::NotRegistered))?;
    let channel = ChannelKey::new(known.application.clone(), name);
    let seat = book.seat(client, &channel);
    let missing = || Problem::new(Code::NotInChannel, format!("This client is not in channel {}.", channel.channel));
    let seat = seat.ok_or_else(missing)?;
    Ok((channel, seat))
}

/// Whether there is a seat left for a newcomer; that of the client which it replaces is as good as free.
pub fn check_room(book: &Book, channel: &ChannelKey, replaced: Option<LinkKey>) -> Result<(), Problem> {
    let Some(found) = book.channel(channel) else { return Ok(()) };
    let freed = replaced.is_some_and(|key| found.seats.contains_key(&key));
    if found.seats.len() - usize::from(freed) >= MEMBERS_MAX { Err(refuse(Code::ChannelFull)) } else { Ok(()) }
}

/// Another member, by its client id. A hidden one is there for nobody.
fn other<'a>(book: &'a Book, channel: &ChannelKey, client_id: &Label) -> Result<(LinkKey, &'a Seat), Problem> {
    let key = book.bearer(&channel.application, client_id);
    let found = key.and_then(|key| book.seat(key, channel).map(|seat| (key, seat)));
    found.filter(|(_, seat)| !seat.rights.hidden).ok_or_else(|| refuse(Code::MemberUnknown))
}

fn owned<'a>(
    book: &'a Book,
    key: LinkKey,
    channel: &'a ChannelKey,
) -> impl Iterator<Item = (ConnectionKey, &'a Connection)> {
    let keys = book.client(key).into_iter().flat_map(|client| &client.connections);
    let known = keys.filter_map(|key| book.connection(*key).map(|connection| (*key, connection)));
    known.filter(move |(_, connection)| connection.channel == *channel)
}

/// Whether a member with these rights may have such a connection.
fn allows(rights: Rights, connection: &Connection) -> bool {
    let sends = connection
        .upstream()
        .is_none_or(|upstream| (rights.send_audio || !upstream.audio) && (rights.send_video || !upstream.video));
    rights.sfu && sends
}

fn exceeds(change: RightsChange, own: Rights) -> bool {
    let RightsChange { send_audio, send_video, send_messages, kick, update } = change;
    let given = [
        (send_audio, own.send_audio),
        (send_video, own.send_video),
        (send_messages, own.send_messages),
        (kick, own.kick),
        (update, own.update),
    ];
    given.into_iter().any(|(given, own)| given == Some(true) && !own)
}

/// What was granted before, and what is granted now: of each right the later word counts.
fn both(before: RightsChange, now: RightsChange) -> RightsChange {
    RightsChange {
        send_audio: now.send_audio.or(before.send_audio),
        send_video: now.send_video.or(before.send_video),
        send_messages: now.send_messages.or(before.send_messages),
        kick: now.kick.or(before.kick),
        update: now.update.or(before.update),
    }
}

fn changed(rights: Rights, change: RightsChange) -> Rights {
    let RightsChange { send_audio, send_video, send_messages, kick, update } = change;
    Rights {
        send_audio: send_audio.unwrap_or(rights.send_audio),
        send_video: send_video.unwrap_or(rights.send_video),
        send_messages: send_messages.unwrap_or(rights.send_messages),
        kick: kick.unwrap_or(rights.kick),
        update: update.unwrap_or(rights.update),
        ..rights
    }
}

impl Seat {
    /// The seat that a claim gives. A hidden observer sends nothing, whatever else the claim says.
    pub fn of(claim: ChannelClaim) -> Self {
        Self::new(claim, RightsChange::default())
    }

    /// The same seat by another claim. What was granted to its member holds against that one too: a member that was muted
    /// still has the token that it came with.
    #[must_use]
    pub fn renewed(&self, claim: ChannelClaim) -> Self {
        // The others know of it, or do not: a seat is visible or hidden for as long as it is taken.
        Self::new(ChannelClaim { enable_hidden_observer_mode: self.rights.hidden, ..claim }, self.granted)
    }

    fn granted(&self, change: RightsChange) -> Self {
        Self::new(self.claim.clone(), both(self.granted, change))
    }

    fn new(claim: ChannelClaim, granted: RightsChange) -> Self {
        let rights = changed(claim.rights(), granted);
        Self { claim, granted, rights }
    }

    fn hears_less_than(&self, other: &Self) -> bool {
        [About::Members, About::Upstreams].into_iter().any(|about| other.hears(about) && !self.hears(about))
    }

    /// Whether its claim leaves it the events about this.
    pub fn hears(&self, about: About) -> bool {
        match about {
            About::Members => !self.claim.disable_remote_client_events,
            About::Upstreams => !self.claim.disable_remote_upstream_connection_events,
            About::Messages => true,
        }
    }
}
