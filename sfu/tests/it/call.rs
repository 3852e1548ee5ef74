//! A call as tests set it up: control, one shard's table, and virtual clients that negotiate with real SDP.

use std::net::SocketAddr;
use std::time::Duration;

use tidewire_core::codec::Codec;
use tidewire_core::handshake::{Fingerprint, Profile};
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName, ConnectionId, ConnectionKey, MediaId, ShardId};
use tidewire_core::machine::Budget;
use tidewire_core::message::{Request, Response};
use tidewire_core::random::Seeded;
use tidewire_core::sim::{Actor, Client, Link, Media, World};
use tidewire_core::time::Instant;
use tidewire_sfu::{Control, SessionTable, ShardPlan, TableConfig};

const SERVER: &str = "192.0.2.1:10000";
const SECRET: [u8; 16] = [7; 16];

/// How a client differs from the usual.
#[derive(Clone, Copy)]
pub(crate) struct Wishes {
    pub(crate) rtx: bool,
    pub(crate) profile: Profile,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { rtx: true, profile: Profile::AeadAes256Gcm }
    }
}

pub(crate) struct Call {
    pub(crate) world: World<SessionTable>,
    pub(crate) control: Control,
    pub(crate) server: SocketAddr,
    clients: u16,
}

impl Call {
    pub(crate) fn new(seed: u64, link: Link) -> Self {
        Self::of_loudest(0, seed, link)
    }

    /// The same where so many audio tracks are forwarded at a time.
    pub(crate) fn of_loudest(loudest: usize, seed: u64, link: Link) -> Self {
        let server: SocketAddr = SERVER.parse().unwrap();
        let table = SessionTable::new(TableConfig { shard: ShardId(0), secret: SECRET, seed, loudest });
        let mut entropy = Seeded::new(seed ^ 0xe47);
        let entropy = Box::new(move |bytes: &mut [u8]| bytes.fill_with(|| entropy.next_u64() as u8));
        let plan = ShardPlan { shard: ShardId(0), candidates: vec![server] };
        Self {
            world: World::new(table, server, seed, link, Budget { packets_max: 64 }),
            control: Control::new(vec![plan], &SECRET, Fingerprint([1; 32]), entropy),
            server,
            clients: 0,
        }
    }

    /// Opens a publisher of audio and video on `channel`; returns its key.
    pub(crate) fn publish(&mut self, channel: &str, wishes: Wishes, until: Instant) -> ConnectionKey {
        self.publish_as(channel, MediaId::main(), Codec::Vp8, wishes, until)
    }

    /// The same under this media id, and with this video codec.
    pub(crate) fn publish_as(
        &mut self,
        channel: &str,
        media_id: MediaId,
        video: Codec,
        wishes: Wishes,
        until: Instant,
    ) -> ConnectionKey {
        let client = self.client(wishes);
        let channel = channel_key(channel);
        let (connection, offer) = (key_of(&client), client.offer_to_send_in(video));
        let (answer, id) = self.open(Request::OpenUpstream { connection, channel, media_id, offer });
        let publisher = client.publisher_in(video, &answer, self.server, until).unwrap();
        self.world.actors.push(Actor { connection: id, media: Media::Publishes(publisher) });
        connection
    }

    /// Opens a viewer of `channel`; returns its key.
    pub(crate) fn watch(&mut self, channel: &str, wishes: Wishes) -> ConnectionKey {
        self.watch_by(channel, wishes, |offer| offer)
    }

    /// The same by an offer that differs from the usual.
    pub(crate) fn watch_by(
        &mut self,
        channel: &str,
        wishes: Wishes,
        change: impl FnOnce(String) -> String,
    ) -> ConnectionKey {
        let client = self.client(wishes);
        let (channel, media_id) = (channel_key(channel), MediaId::main());
        let (connection, offer) = (key_of(&client), change(client.offer_to_receive()));
        let (answer, id) = self.open(Request::OpenDownstream { connection, channel, media_id, offer });
        let viewer = client.viewer(&answer, self.server).unwrap();
        self.world.actors.push(Actor { connection: id, media: Media::Views(viewer) });
        connection
    }

    /// Sends a request through control to the table.
    pub(crate) fn request(&mut self, request: Request) -> Response {
        let handled = self.control.handle(request);
        for (_, command) in handled.commands {
            self.world.command(command);
        }
        handled.response
    }

    /// Runs for this long, and hands control every event of the table.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        self.world.run_until(end);
        for event in std::mem::take(&mut self.world.events) {
            self.control.handle_event(ShardId(0), event);
        }
    }

    /// A client that nobody has seen yet.
    pub(crate) fn client(&mut self, wishes: Wishes) -> Client {
        self.clients += 1;
        Client { number: self.clients, rtx: wishes.rtx, profile: wishes.profile }
    }

    /// Opens a connection, which has to succeed.
    pub(crate) fn open(&mut self, request: Request) -> (String, ConnectionId) {
        let handled = self.control.handle(request);
        let Response::Opened { answer } = handled.response else { panic!("{:?}", handled.response) };
        let id = handled.commands.iter().find_map(|(_, command)| command.opens());
        for (_, command) in handled.commands {
            self.world.command(command);
        }
        (answer, id.unwrap())
    }
}

pub(crate) fn channel_key(name: &str) -> ChannelKey {
    ChannelKey::new(ApplicationId::default(), ChannelName::new(name).unwrap())
}

pub(crate) fn key_of(client: &Client) -> ConnectionKey {
    ConnectionKey(u128::from(client.number) << 64)
}
