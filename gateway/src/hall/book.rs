//! The book: who is registered, who sits in which channel, which connections there are. All that is shared, and in memory.
//!
//! Decisions read it; [`Book::execute`] alone writes into it, one [`Effect`] after the other. Invariant: the indices (who
//! bears a client id, how many clients a user has, a channel's seats and connections, the connection of an upstream) say what the entries say; a
//! channel that nobody sits in and nothing is connected to is not there. Bounds are kept by the decisions.

use std::collections::{BTreeMap, BTreeSet};

use tidewire_core::id::{ApplicationId, ChannelKey, ConnectionKey, Label, LinkKey, MediaId, UpstreamId};
use tidewire_core::message::client::{self, Member, Rights, RightsChange, UpstreamState, Want};
use tidewire_core::negotiate::Credentials;
use tidewire_core::time::Instant;

use super::crowd::Crowd;
use super::effects::{Caller, Effect, Load};
use crate::token::ChannelClaim;

#[derive(Debug, Default)]
pub struct Book {
    clients: BTreeMap<LinkKey, Client>,
    by_id: BTreeMap<(ApplicationId, Label), LinkKey>,
    crowd: Crowd,
    channels: BTreeMap<ChannelKey, Channel>,
    connections: BTreeMap<ConnectionKey, Connection>,
    upstreams: BTreeMap<UpstreamId, ConnectionKey>,
    /// Clients without a socket, by the end of their lease.
    leases: BTreeSet<(Instant, LinkKey)>,
}

/// A registered client. Its key is new with every registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    pub application: ApplicationId,
    pub member: Member,
    /// Whether its token names its user. Else its user is drawn at random.
    pub is_named: bool,
    pub channels: BTreeSet<ChannelKey>,
    pub connections: BTreeSet<ConnectionKey>,
    /// Until when it may be without a socket; none while it has one.
    pub lease: Option<Instant>,
}

/// A client's place in a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Seat {
    pub claim: ChannelClaim,
    /// What others granted its member, or took from it, for as long as the seat is taken.
    pub granted: RightsChange,
    /// What the claim allows, changed by what was granted.
    pub rights: Rights,
}

#[derive(Debug, Default)]
pub struct Channel {
    pub seats: BTreeMap<LinkKey, Seat>,
    pub connections: BTreeSet<ConnectionKey>,
    /// Who speaks, the active speaker first, as the media server told last.
    pub speakers: Vec<UpstreamId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub channel: ChannelKey,
    /// None for WHIP and WHEP: it is whoever bears a token that could have opened it.
    pub owner: Option<LinkKey>,
    /// Whether the media server has opened it; until then only its opener knows of it.
    pub is_open: bool,
    /// Whether its keys are in.
    pub is_connected: bool,
    /// Of connections that the client offered.
    pub ice: Ice,
    pub role: Role,
}

/// The ICE session of a connection that its client offered, as RFC 9725 looks at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ice {
    /// The client's credentials: others in a fragment mean a restart.
    pub remote: Option<Credentials>,
    /// Names the section of the bundle's transport.
    pub mid: Option<String>,
    /// Counts the restarts that were asked for; each has its own entity-tag, and none is used twice.
    pub generation_last: u32,
    /// The restart that is in force.
    pub generation: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    Upstream(Upstream),
    /// A downstream that the server offers.
    Downstream(Downstream),
    /// A downstream that the client offered, by WHEP.
    Watch,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    pub id: UpstreamId,
    /// Under which it is published; that of the upstream's id where the client gave none.
    pub media_id: MediaId,
    pub is_named: bool,
    pub audio: bool,
    pub video: bool,
    pub state: UpstreamState,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Downstream {
    /// What the client asked for last.
    pub wants: Vec<Want>,
    /// What it asked for when the media server agreed last, and what that came to.
    pub agreed: Vec<Want>,
    pub load: Vec<Load>,
    /// Whether a question about its offer is out: the next one waits for the answer.
    pub is_asking: bool,
    /// Requests that the next question is for.
    pub changes: Vec<Caller>,
    pub restarts: Vec<Caller>,
}

impl Book {
    pub fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Enter(key, client) => self.enter(key, *client),
            Effect::Forget(key) => self.forget(key),
            Effect::Lease(key, lease) => self.lease(key, lease),
            Effect::Sit(client, channel, seat) => self.sit(client, channel, *seat),
            Effect::Rise(client, channel) => self.rise(client, &channel),
            Effect::Keep(key, connection) => self.keep(key, *connection),
            Effect::Drop(key) => self.drop(key),
            Effect::Speak(channel, speakers) => self.speak(&channel, speakers),
            Effect::Answer(..)
            | Effect::Tell(..)
            | Effect::Announce { .. }
            | Effect::End(..)
            | Effect::Ask(..)
            | Effect::HangUp(_) => {}
        }
    }

    pub fn client(&self, key: LinkKey) -> Option<&Client> {
        self.clients.get(&key)
    }

    /// Who bears a client id in an application.
    pub fn bearer(&self, application: &ApplicationId, client_id: &Label) -> Option<LinkKey> {
        self.by_id.get(&(application.clone(), client_id.clone())).copied()
    }

    pub fn channel(&self, channel: &ChannelKey) -> Option<&Channel> {
        self.channels.get(channel)
    }

    pub fn seat(&self, client: LinkKey, channel: &ChannelKey) -> Option<&Seat> {
        self.channels.get(channel)?.seats.get(&client)
    }

    pub fn connection(&self, key: ConnectionKey) -> Option<&Connection> {
        self.connections.get(&key)
    }

    /// The connection of an upstream.
    pub fn upstream(&self, id: UpstreamId) -> Option<(ConnectionKey, &Connection)> {
        let key = *self.upstreams.get(&id)?;
        self.connections.get(&key).map(|connection| (key, connection))
    }

    /// All connections of a channel.
    pub fn connections_of(&self, channel: &ChannelKey) -> impl Iterator<Item = (ConnectionKey, &Connection)> {
        let keys = self.channels.get(channel).into_iter().flat_map(|channel| &channel.connections);
        keys.filter_map(|key| self.connections.get(key).map(|connection| (*key, connection)))
    }

    /// The upstreams of a channel.
    pub fn upstreams_of(&self, channel: &ChannelKey) -> impl Iterator<Item = (ConnectionKey, &Connection, &Upstream)> {
        self.connections_of(channel).filter_map(|(key, connection)| match &connection.role {
            Role::Upstream(upstream) => Some((key, connection, upstream)),
            Role::Downstream(_) | Role::Watch => None,
        })
    }

    pub fn connections(&self) -> impl Iterator<Item = (ConnectionKey, &Connection)> {
        self.connections.iter().map(|(key, connection)| (*key, connection))
    }

    pub fn client_keys(&self) -> impl Iterator<Item = LinkKey> {
        self.clients.keys().copied()
    }

    /// Clients whose lease has expired.
    pub fn expired(&self, now: Instant) -> impl Iterator<Item = LinkKey> {
        self.leases.iter().take_while(move |(until, _)| *until <= now).map(|(_, key)| *key)
    }

    pub fn clients_len(&self) -> usize {
        self.clients.len()
    }

    pub fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    pub fn channels_len(&self) -> usize {
        self.channels.len()
    }

    pub fn connections_len(&self) -> usize {
        self.connections.len()
    }

    fn enter(&mut self, key: LinkKey, client: Client) {
        self.by_id.insert((client.application.clone(), client.member.client_id.clone()), key);
        self.crowd.add(&client);
        if let Some(before) = self.clients.insert(key, client) {
            self.crowd.remove(&before);
        }
    }

    fn forget(&mut self, key: LinkKey) {
        let Some(client) = self.clients.remove(&key) else { return };
        self.crowd.remove(&client);
        let id = (client.application, client.member.client_id);
        if self.by_id.get(&id) == Some(&key) {
            self.by_id.remove(&id);
        }
        if let Some(until) = client.lease {
            self.leases.remove(&(until, key));
        }
    }

    fn lease(&mut self, key: LinkKey, lease: Option<Instant>) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if let Some(until) = std::mem::replace(&mut client.lease, lease) {
            self.leases.remove(&(until, key));
        }
        self.leases.extend(lease.map(|until| (until, key)));
    }

    fn sit(&mut self, key: LinkKey, channel: ChannelKey, seat: Seat) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        client.channels.insert(channel.clone());
        self.channels.entry(channel).or_default().seats.insert(key, seat);
    }

    fn rise(&mut self, key: LinkKey, name: &ChannelKey) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.channels.remove(name);
        }
        if let Some(channel) = self.channels.get_mut(name) {
            channel.seats.remove(&key);
        }
        self.tidy(name);
    }

    fn keep(&mut self, key: ConnectionKey, connection: Connection) {
        if let Role::Upstream(upstream) = &connection.role {
            self.upstreams.insert(upstream.id, key);
        }
        if let Some(owner) = connection.owner.and_then(|owner| self.clients.get_mut(&owner)) {
            owner.connections.insert(key);
        }
        self.channels.entry(connection.channel.clone()).or_default().connections.insert(key);
        self.connections.insert(key, connection);
    }

    fn drop(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.remove(&key) else { return };
        let upstream = connection.upstream().map(|upstream| upstream.id);
        if let Some(upstream) = upstream {
            self.upstreams.remove(&upstream);
        }
        if let Some(owner) = connection.owner.and_then(|owner| self.clients.get_mut(&owner)) {
            owner.connections.remove(&key);
        }
        if let Some(channel) = self.channels.get_mut(&connection.channel) {
            channel.connections.remove(&key);
            channel.speakers.retain(|speaker| upstream != Some(*speaker));
        }
        self.tidy(&connection.channel);
    }

    fn speak(&mut self, channel: &ChannelKey, speakers: Vec<UpstreamId>) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.speakers = speakers;
        }
    }

    fn tidy(&mut self, name: &ChannelKey) {
        if self.channels.get(name).is_some_and(|channel| channel.seats.is_empty() && channel.connections.is_empty()) {
            self.channels.remove(name);
        }
    }
}

impl Connection {
    /// A connection that is being asked for.
    pub fn opening(channel: ChannelKey, owner: Option<LinkKey>, ice: Ice, role: Role) -> Self {
        Self { channel, owner, is_open: false, is_connected: false, ice, role }
    }

    pub fn upstream(&self) -> Option<&Upstream> {
        match &self.role {
            Role::Upstream(upstream) => Some(upstream),
            Role::Downstream(_) | Role::Watch => None,
        }
    }

    pub fn downstream(&self) -> Option<&Downstream> {
        match &self.role {
            Role::Downstream(downstream) => Some(downstream),
            Role::Upstream(_) | Role::Watch => None,
        }
    }

    /// The same connection with its downstream changed; the same altogether when it has none.
    #[must_use]
    pub fn with_downstream(&self, change: impl FnOnce(&mut Downstream)) -> Self {
        let mut changed = self.clone();
        if let Role::Downstream(downstream) = &mut changed.role {
            change(downstream);
        }
        changed
    }

    /// Whether the channel knows of it.
    pub fn is_live(&self) -> bool {
        self.is_open && self.is_connected
    }
}

impl Book {
    /// An upstream as the channel sees it.
    pub fn shown(&self, connection: &Connection, upstream: &Upstream) -> client::Upstream {
        let owner = connection.owner.and_then(|owner| self.clients.get(&owner));
        client::Upstream {
            upstream: upstream.id,
            client_id: owner.map(|client| client.member.client_id.clone()),
            media_id: upstream.is_named.then(|| upstream.media_id.clone()),
            audio: upstream.audio,
            video: upstream.video,
            state: upstream.state.clone(),
        }
    }
}
