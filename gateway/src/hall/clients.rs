//! Clients: registering, a newer token, what the others see of one, the end of one.
//!
//! A client's ids come from its token, and are drawn where the token has none. A client id belongs to one client of an
//! application: who registers under it anew is the same user come back, and replaces what was there; another user is
//! refused. Nor may one user take all places, nor those whose tokens name no user. A token's time gates registering, joining and renewing, not how long a client stays.

use std::collections::BTreeSet;

use tidewire_core::id::{ApplicationId, ChannelKey, ConnectionKey, Label, LinkKey, UpstreamId};
use tidewire_core::message::client::{EndReason, Event, LeaveReason, Member, Reply};

use super::book::{Book, Client, Seat};
use super::effects::{About, Caller, Effect};
use super::{Decision, channels, refuse};
use crate::limits::{CLIENTS_MAX, CLIENTS_PER_USER_MAX, LEASE, NAMELESS_MAX};
use crate::problem::{Code, Problem};
use crate::token::{ChannelClaim, Claims};

/// Numbers that nobody can guess, drawn for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fresh(pub [u128; 4]);

impl Fresh {
    pub fn link(&self) -> LinkKey {
        LinkKey(self.0[0])
    }

    pub fn connection(&self) -> ConnectionKey {
        ConnectionKey(self.0[0])
    }

    pub fn upstream(&self) -> UpstreamId {
        UpstreamId(self.0[1])
    }
}

/// What a client says of itself when it registers.
#[derive(Clone, Debug, Default)]
pub struct Introduction {
    pub user_alias: Option<Label>,
    pub device_alias: Option<Label>,
    pub tag: Option<Label>,
}

/// A client that may be registered.
#[derive(Debug)]
pub struct Newcomer {
    pub client: Client,
    pub claims: Vec<(ChannelKey, ChannelClaim)>,
    /// Who bore its id before.
    pub replaces: Option<LinkKey>,
}

/// Judges a registration, before anything is changed for it.
pub fn newcomer(book: &Book, claims: &Claims, introduction: Introduction, fresh: &Fresh) -> Result<Newcomer, Problem> {
    let application = claims.application_id.clone();
    let member = member(claims, introduction, fresh)?;
    let user = claims.user_id.clone();
    let seats = claims.to_register()?.iter();
    let claims: Vec<_> = seats.map(|claim| (claims.key(claim.id.clone()), claim.clone())).collect();
    let replaces = book.bearer(&application, &member.client_id);
    match replaces.and_then(|key| book.client(key)) {
        Some(present) if present.member.user_id != member.user_id => return Err(refuse(Code::ClientIdTaken)),
        Some(_) => {}
        None => check_place(book, &application, user.as_ref())?,
    }
    for (channel, _) in &claims {
        channels::check_room(book, channel, replaces)?;
    }
    let client = Client {
        application,
        member,
        is_named: user.is_some(),
        channels: BTreeSet::new(),
        connections: BTreeSet::new(),
        lease: None,
    };
    Ok(Newcomer { client, claims, replaces })
}

/// Whether there is a place left for another client, of this user or of nobody in particular.
fn check_place(book: &Book, application: &ApplicationId, user: Option<&Label>) -> Result<(), Problem> {
    if book.clients_len() >= CLIENTS_MAX {
        return Err(refuse(Code::ClientsFull));
    }
    match user {
        Some(user) if book.crowd().of(application, user) >= CLIENTS_PER_USER_MAX => Err(refuse(Code::TooManyClients)),
        None if book.crowd().nameless() >= NAMELESS_MAX => {
            let detail = "The gateway has no room for another client whose token names no user.";
            Err(Problem::new(Code::ClientsFull, detail))
        }
        _ => Ok(()),
    }
}

/// Registers a newcomer, once whom it replaces is gone, and seats it in every channel that its token names.
pub fn register(book: &Book, caller: Caller, newcomer: Newcomer) -> Vec<Effect> {
    let member = newcomer.client.member.clone();
    let key = caller.client;
    let mut effects = vec![Effect::Enter(key, Box::new(newcomer.client))];
    let mut joined = Vec::with_capacity(newcomer.claims.len());
    for (channel, claim) in newcomer.claims {
        let seat = Seat::of(claim);
        joined.push(channels::snapshot(book, &channel, &seat, key));
        effects.extend(channels::sit(key, &member, channel, seat));
    }
    let lease_s = u32::try_from(LEASE.as_secs()).unwrap_or(u32::MAX);
    effects.push(Effect::Answer(caller, Ok(Reply::Registered { client: member, key, lease_s, channels: joined })));
    effects
}

/// A newer token for the same client: in each channel that it names, and where the client sits, its claim holds, changed
/// by what was granted there.
pub fn renew(book: &Book, caller: Caller, claims: &Claims) -> Decision {
    let claimed = claims.to_register()?;
    let client = book.client(caller.client).ok_or_else(|| refuse(Code::NotRegistered))?;
    claims.same_bearer(&client.application, &client.member)?;
    let mut effects = Vec::new();
    for claim in claimed {
        let channel = claims.key(claim.id.clone());
        if let Some(seat) = book.seat(caller.client, &channel) {
            effects.extend(channels::reseat(book, caller.client, &channel, seat.renewed(claim.clone())));
        }
    }
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

/// What the others see of a client. What is left out stays; an empty text takes it away.
pub fn update(book: &Book, caller: Caller, texts: [Option<String>; 3]) -> Decision {
    let client = book.client(caller.client).ok_or_else(|| refuse(Code::NotRegistered))?;
    let mut changed = client.clone();
    let Member { user_alias, device_alias, tag, .. } = &mut changed.member;
    for (field, text) in [user_alias, device_alias, tag].into_iter().zip(texts) {
        match text.as_deref() {
            None => {}
            Some("") => *field = None,
            Some(text) => *field = Some(label(text)?),
        }
    }
    let member = changed.member.clone();
    let mut effects = vec![Effect::Enter(caller.client, Box::new(changed))];
    for channel in client.channels.iter().filter(|channel| !is_hidden(book, caller.client, channel)) {
        let event = Event::Updated { channel: channel.channel.clone(), member: member.clone() };
        effects.push(Effect::Announce {
            channel: channel.clone(),
            about: About::Members,
            but: Some(caller.client),
            event,
        });
    }
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

pub fn unregister(book: &Book, caller: Caller) -> Vec<Effect> {
    let mut effects = vec![Effect::Answer(caller, Ok(Reply::Done))];
    effects.extend(end(book, caller.client, EndReason::Unregistered, LeaveReason::Left));
    effects
}

/// The end of a client: it leaves all channels, and its connections end.
pub fn end(book: &Book, key: LinkKey, reason: EndReason, left: LeaveReason) -> Vec<Effect> {
    let Some(client) = book.client(key) else { return Vec::new() };
    let mut effects: Vec<_> =
        client.channels.iter().flat_map(|channel| channels::rise(book, key, channel, left)).collect();
    effects.push(Effect::Forget(key));
    effects.push(Effect::End(key, reason));
    effects
}

/// The end of clients that did not come back. All of them are gone before the others hear of the first.
pub fn expire(book: &Book, keys: &[LinkKey]) -> Vec<Effect> {
    let ends = keys.iter().flat_map(|key| end(book, *key, EndReason::ResumeUnknown, LeaveReason::LeaseExpired));
    let (announced, mut effects): (Vec<_>, Vec<_>) = ends.partition(|effect| matches!(effect, Effect::Announce { .. }));
    effects.extend(announced);
    effects
}

fn member(claims: &Claims, introduction: Introduction, fresh: &Fresh) -> Result<Member, Problem> {
    let [_, user, device, client] = fresh.0;
    Ok(Member {
        client_id: id(claims.client_id.as_ref(), client)?,
        user_id: id(claims.user_id.as_ref(), user)?,
        device_id: id(claims.device_id.as_ref(), device)?,
        user_alias: introduction.user_alias,
        device_alias: introduction.device_alias,
        tag: introduction.tag,
        roles: claims.client_roles.clone(),
        region: claims.region.clone(),
    })
}

fn id(claimed: Option<&Label>, drawn: u128) -> Result<Label, Problem> {
    claimed.map_or_else(|| label(&format!("{drawn:032x}")), |claimed| Ok(claimed.clone()))
}

fn label(text: &str) -> Result<Label, Problem> {
    Label::new(text).map_err(|_| refuse(Code::LabelInvalid))
}

fn is_hidden(book: &Book, key: LinkKey, channel: &ChannelKey) -> bool {
    book.seat(key, channel).is_some_and(|seat| seat.rights.hidden)
}
