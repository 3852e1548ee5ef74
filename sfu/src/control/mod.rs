//! What the gateway's requests mean for the shards: pure decisions over a table of channels and connections.
//!
//! A request goes in; an answer and commands for shards come out. Control alone hands out connection slots, so that the
//! answer (with its ICE user fragment) can be written before a shard has heard of the connection. Invariant: a slot is
//! given away again only after its shard has said that the connection is closed. Randomness is drawn from a source that
//! the edge lends, since passwords need the real thing.

mod channels;
mod downstreams;
mod events;
mod offering;
mod slots;
mod ssrcs;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tidewire_core::handshake::Fingerprint;
use tidewire_core::ice::{self, Ufrags};
use tidewire_core::id::{ChannelKey, ConnectionId, ConnectionKey, MediaId, ShardId};
use tidewire_core::message::quality::Wish;
use tidewire_core::message::{CloseReason, ErrorCode, Request, Response};
use tidewire_core::negotiate::{
    Agreement, Cname, Credentials, Local, Offer, Wanted, answer_downstream, answer_upstream, candidate_line,
};

use self::channels::{Channels, Published};
use self::offering::Offering;
use self::slots::ShardSlots;
use self::ssrcs::Ssrcs;
use crate::command::{Carried, Command, OpenDownstream, OpenUpstream, Tells};

/// A source of randomness fit for passwords.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// A shard as control must know it: its number, and the addresses that clients are to send to.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    pub shard: ShardId,
    pub candidates: Vec<SocketAddr>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Handled {
    pub response: Response,
    /// To be told to the shards, in this order.
    pub commands: Vec<(ShardId, Command)>,
}

impl Handled {
    fn refused(code: ErrorCode, detail: impl ToString) -> Self {
        Self { response: Response::Refused { code, detail: detail.to_string() }, commands: Vec::new() }
    }
}

/// Which way a connection's media goes, as the client that offers sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Upstream,
    Downstream,
}

/// What a connection is for.
#[derive(Debug)]
enum Purpose {
    Upstream(MediaId),
    /// A downstream that its client offered.
    Downstream(MediaId),
    /// A downstream that the server offers.
    Offered(Box<Offering>),
}

/// An open connection, as requests name it.
#[derive(Debug)]
struct Entry {
    /// Index into the shards.
    shard: usize,
    id: ConnectionId,
    channel: ChannelKey,
    purpose: Purpose,
    restarts: u8,
}

impl Entry {
    /// Whether its shard knows of it. Of a downstream that the server offers it does once the client has answered.
    fn is_open(&self) -> bool {
        match &self.purpose {
            Purpose::Upstream(_) | Purpose::Downstream(_) => true,
            Purpose::Offered(offering) => offering.is_open(),
        }
    }
}

/// See the module's description.
pub struct Control {
    shards: Vec<ShardSlots>,
    channels: Channels,
    connections: BTreeMap<ConnectionKey, Entry>,
    ufrags: Ufrags,
    fingerprint: Fingerprint,
    entropy: Entropy,
}

impl Control {
    /// `secret` is the one that the shards' tables were made with. There is at least one shard.
    pub fn new(plans: Vec<ShardPlan>, secret: &[u8; 16], fingerprint: Fingerprint, entropy: Entropy) -> Self {
        Self {
            shards: plans.into_iter().map(ShardSlots::new).collect(),
            channels: Channels::default(),
            connections: BTreeMap::new(),
            ufrags: Ufrags::new(secret),
            fingerprint,
            entropy,
        }
    }

    pub fn handle(&mut self, request: Request) -> Handled {
        match request {
            Request::OpenUpstream { connection, channel, media_id, offer } => {
                self.open(Direction::Upstream, connection, channel, media_id, &offer)
            }
            Request::OpenDownstream { connection, channel, media_id, offer } => {
                self.open(Direction::Downstream, connection, channel, media_id, &offer)
            }
            Request::OfferDownstream { connection, channel, wants } => {
                self.offer_downstream(connection, channel, &wants)
            }
            Request::ChangeDownstream { connection, wants } => self.change_downstream(connection, &wants),
            Request::AnswerDownstream { connection, revision, answer } => {
                self.answer_downstream(connection, revision, &answer)
            }
            Request::Prefer { connection, wishes } => self.prefer(connection, wishes),
            Request::Observe { connection, seconds } => self.observe(connection, seconds),
            Request::RestartDownstream { connection } => self.restart_downstream(connection),
            Request::Restart { connection, ufrag, password } => self.restart(connection, &ufrag, &password),
            Request::Close { connection } => self.close(connection),
        }
    }

    /// Connections that are open at present.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Slots that the shards know of: open connections, and those that are being closed.
    pub fn slots_taken(&self) -> usize {
        let all: usize = self.shards.iter().map(ShardSlots::taken).sum();
        all - self.connections.values().filter(|entry| !entry.is_open()).count()
    }

    /// Channels with anybody in them.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// What an opening of either direction has in common: a slot on the channel's shard, credentials, the way back.
    fn open(
        &mut self,
        direction: Direction,
        connection: ConnectionKey,
        channel: ChannelKey,
        media_id: MediaId,
        offer: &str,
    ) -> Handled {
        let offer = match Offer::parse(offer) {
            Ok(offer) => offer,
            Err(error) => return Handled::refused(ErrorCode::OfferInvalid, error),
        };
        let (shard, id) = match self.take_slot(connection, &channel) {
            Ok(taken) => taken,
            Err((code, detail)) => return Handled::refused(code, detail),
        };
        let local = self.credentials(shard, id, 0);
        let opening = Opening { shard, id, channel: &channel, media_id: &media_id, offer: &offer, local };
        let opened = match direction {
            Direction::Upstream => self.open_upstream(&opening),
            Direction::Downstream => self.open_downstream(&opening),
        };
        match opened {
            Ok(opened) => {
                let purpose = match direction {
                    Direction::Upstream => Purpose::Upstream(media_id),
                    Direction::Downstream => Purpose::Downstream(media_id),
                };
                self.connections.insert(connection, Entry { shard, id, channel, purpose, restarts: 0 });
                let shard = self.shards[shard].plan.shard;
                let commands = opened.commands.into_iter().map(|command| (shard, command)).collect();
                Handled { response: Response::Opened { answer: opened.answer }, commands }
            }
            Err((code, detail)) => {
                self.shards[shard].release(id);
                Handled::refused(code, detail)
            }
        }
    }

    /// A slot on the shard where the channel is, or is to be.
    fn take_slot(
        &mut self,
        connection: ConnectionKey,
        channel: &ChannelKey,
    ) -> Result<(usize, ConnectionId), (ErrorCode, String)> {
        if self.connections.contains_key(&connection) {
            return Err((ErrorCode::ConnectionKindMismatch, "there is a connection of this name already".to_owned()));
        }
        let least = self.least_loaded();
        let shard = self.channels.shard_of(channel).unwrap_or(least);
        let id = self.shards[shard].take(connection).ok_or_else(full)?;
        Ok((shard, id))
    }

    /// The newest publisher of a media id has it; the one before is closed.
    fn open_upstream(&mut self, opening: &Opening<'_>) -> Result<Opened, (ErrorCode, String)> {
        let session_id = random(&mut self.entropy) >> 1;
        let local = self.local(opening, session_id);
        let (agreement, answer) = answer_upstream(opening.offer, &local).map_err(unacceptable)?;
        let cname = cname(&mut self.entropy);
        let key = self.shards[opening.shard].owner(opening.id).ok_or_else(full)?;
        let place = self.channels.publish(opening.channel, opening.media_id, opening.shard, key, &agreement, cname);
        let replaced = place.replaced.and_then(|key| Some(self.connections.get(&key)?.id));
        let close = replaced.map(|connection| Command::Close { connection, reason: CloseReason::Replaced });
        let open = Command::OpenUpstream(Box::new(OpenUpstream {
            connection: opening.id,
            session: place.session,
            publication: place.publication,
            local: opening.local.clone(),
            agreement,
        }));
        // The new publisher is there before the old one goes, so that its viewers are never without one.
        Ok(Opened { answer, commands: [open].into_iter().chain(close).collect() })
    }

    fn open_downstream(&mut self, opening: &Opening<'_>) -> Result<Opened, (ErrorCode, String)> {
        let session_id = random(&mut self.entropy) >> 1;
        let mut ssrcs = Ssrcs::new(random(&mut self.entropy));
        let nothing = || (ErrorCode::NothingPublished, "nothing is published under this media id".to_owned());
        let published = self.channels.published(opening.channel, opening.media_id).ok_or_else(nothing)?;
        let wanted: Vec<_> = published.media.iter().map(|(kind, spec)| Wanted { kind: *kind, spec }).collect();
        let local = self.local(opening, session_id);
        let mut draw = || ssrcs.draw();
        let answered = answer_downstream(opening.offer, &local, &wanted, &published.cname, &mut draw);
        let (Agreement { remote, fingerprint, media }, answer) = answered.map_err(unacceptable)?;
        let Published { session, publication, cname, .. } = published;
        self.channels.watch(opening.channel, opening.media_id, || cname);
        let open = Command::OpenDownstream(Box::new(OpenDownstream {
            connection: opening.id,
            session,
            local: opening.local.clone(),
            remote,
            fingerprint,
            streams: media
                .into_iter()
                .map(|media| Carried { publication, cname, media, wish: Wish::default() })
                .collect(),
            tells: Tells::Nothing,
        }));
        Ok(Opened { answer, commands: vec![open] })
    }

    fn restart(&mut self, connection: ConnectionKey, ufrag: &str, password: &str) -> Handled {
        let remote = match Credentials::new(ufrag, password) {
            Ok(remote) => remote,
            Err(error) => return Handled::refused(ErrorCode::CredentialsInvalid, error),
        };
        let Some(entry) = self.connections.get_mut(&connection) else { return unknown() };
        if matches!(entry.purpose, Purpose::Offered(_)) {
            return mismatch("the server offers on this connection: its restart is another request");
        }
        entry.restarts = entry.restarts.wrapping_add(1);
        let (shard, id, restarts) = (entry.shard, entry.id, entry.restarts);
        let local = self.credentials(shard, id, restarts);
        let plan = &self.shards[shard].plan;
        let candidates = plan.candidates.iter().enumerate().map(|(at, address)| candidate_line(*address, at)).collect();
        let response = Response::Restarted { ufrag: local.ufrag.clone(), password: local.password.clone(), candidates };
        Handled { response, commands: vec![(plan.shard, Command::Restart { connection: id, local, remote })] }
    }

    fn observe(&mut self, connection: ConnectionKey, seconds: u16) -> Handled {
        let Some(entry) = self.connections.get(&connection) else { return unknown() };
        let command = Command::Observe { connection: entry.id, seconds };
        Handled { response: Response::Noted, commands: vec![(self.shards[entry.shard].plan.shard, command)] }
    }

    fn close(&mut self, connection: ConnectionKey) -> Handled {
        let Some(entry) = self.connections.get(&connection) else { return unknown() };
        let (at, id) = (entry.shard, entry.id);
        let mut commands = Vec::new();
        if entry.is_open() {
            // The slot stays taken until the shard has closed it.
            let command = Command::Close { connection: id, reason: CloseReason::Requested };
            commands.push((self.shards[at].plan.shard, command));
        } else {
            self.shards[at].release(id);
        }
        // From now on nobody can name it.
        self.forget(connection);
        Handled { response: Response::Closed, commands }
    }

    /// Takes a connection out of the books. Its slot is another matter.
    fn forget(&mut self, connection: ConnectionKey) {
        let Some(Entry { channel, purpose, .. }) = self.connections.remove(&connection) else { return };
        match purpose {
            Purpose::Upstream(media_id) => self.channels.unpublish(&channel, &media_id, connection),
            Purpose::Downstream(media_id) => self.channels.unwatch(&channel, &media_id),
            Purpose::Offered(offering) => {
                offering.watched().for_each(|media_id| self.channels.unwatch(&channel, media_id));
                self.channels.exit(&channel);
            }
        }
    }

    fn local<'a>(&'a self, opening: &'a Opening<'_>, session_id: u64) -> Local<'a> {
        Local {
            credentials: &opening.local,
            fingerprint: &self.fingerprint,
            candidates: &self.shards[opening.shard].plan.candidates,
            session_id,
        }
    }

    fn credentials(&mut self, shard: usize, id: ConnectionId, restart: u8) -> Credentials {
        let mut random = [0; 18];
        (self.entropy)(&mut random);
        let ufrag = self.ufrags.encode(self.shards[shard].plan.shard, id, restart);
        Credentials { ufrag, password: ice::password(&random) }
    }

    /// Where a channel begins: of the shards that are there.
    fn least_loaded(&self) -> usize {
        let live = (0..self.shards.len()).filter(|at| !self.shards[*at].has_ended);
        live.min_by_key(|at| self.shards[*at].taken()).unwrap_or(0)
    }
}

/// What is known when negotiation begins.
struct Opening<'a> {
    shard: usize,
    id: ConnectionId,
    channel: &'a ChannelKey,
    media_id: &'a MediaId,
    offer: &'a Offer,
    local: Credentials,
}

struct Opened {
    answer: String,
    commands: Vec<Command>,
}

/// RFC 7022 4.2: a canonical name of 96 random bits says nothing about its owner.
fn cname(entropy: &mut Entropy) -> Cname {
    let mut name = Cname::new();
    for _ in 0..2 {
        let half = random(entropy);
        for at in 0..12 {
            name.push(char::from(b"0123456789abcdef"[(half >> (4 * at)) as usize & 15]));
        }
    }
    name
}

fn random(entropy: &mut Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy(&mut bytes);
    u64::from_ne_bytes(bytes)
}

fn unacceptable(refusal: impl ToString) -> (ErrorCode, String) {
    (ErrorCode::OfferUnacceptable, refusal.to_string())
}

fn full() -> (ErrorCode, String) {
    (ErrorCode::MediaServerFull, "no room for another connection".to_owned())
}

fn mismatch(detail: &str) -> Handled {
    Handled::refused(ErrorCode::ConnectionKindMismatch, detail)
}

fn unknown() -> Handled {
    Handled::refused(ErrorCode::ConnectionUnknown, "no such connection")
}
