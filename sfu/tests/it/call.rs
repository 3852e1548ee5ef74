//! A call as tests set it up: control, one shard's table, and virtual clients that negotiate with real SDP.

use std::net::SocketAddr;
use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::handshake::{Fingerprint, MasterKey, Profile, SrtpKeys};
use tidewire_core::id::{ChannelName, ConnectionId, ConnectionKey, MediaId, ShardId};
use tidewire_core::machine::Budget;
use tidewire_core::message::{Request, Response};
use tidewire_core::negotiate::Credentials;
use tidewire_core::random::Seeded;
use tidewire_core::sim::{Actor, Link, Media, Peer, Publisher, Stream, Viewer, World};
use tidewire_core::time::Instant;
use tidewire_sfu::{Command, Control, SessionTable, ShardPlan, TableConfig};

pub(crate) const SERVER: &str = "192.0.2.1:10000";
const SECRET: [u8; 16] = [7; 16];
const PASSWORD: &str = "clientpasswordofenoughlength";

/// How a client's offer differs from the usual.
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
    random: Seeded,
    clients: u16,
}

impl Call {
    pub(crate) fn new(seed: u64, link: Link) -> Self {
        let server: SocketAddr = SERVER.parse().unwrap();
        let table = SessionTable::new(TableConfig { shard: ShardId(0), secret: SECRET, seed });
        let mut entropy = Seeded::new(seed ^ 0xe47);
        let entropy = Box::new(move |bytes: &mut [u8]| bytes.fill_with(|| entropy.next_u64() as u8));
        let plan = ShardPlan { shard: ShardId(0), candidates: vec![server] };
        Self {
            world: World::new(table, server, seed, link, Budget { packets_max: 64 }),
            control: Control::new(vec![plan], &SECRET, Fingerprint([1; 32]), entropy),
            random: Seeded::new(seed ^ 0xca11),
            clients: 0,
        }
    }

    /// Opens a publisher of audio and video on `channel`; returns its key.
    pub(crate) fn publish(&mut self, channel: &str, wishes: Wishes, until: Instant) -> ConnectionKey {
        let offer = self.offer("sendonly", wishes, true);
        let (key, answer) = self.open(channel, offer, true);
        let peer = self.peer(&answer, wishes.profile);
        let seed = self.random.next_u64();
        let publisher = Publisher::new(peer, streams(wishes.rtx, self.clients), seed, until);
        self.world
            .actors
            .push(Actor { connection: connection_of(&answer.commands), media: Media::Publishes(publisher) });
        self.tell(answer);
        key
    }

    /// Opens a viewer of `channel`; returns its key.
    pub(crate) fn watch(&mut self, channel: &str, wishes: Wishes) -> ConnectionKey {
        let offer = self.offer("recvonly", wishes, false);
        let (key, answer) = self.open(channel, offer, false);
        let peer = self.peer(&answer, wishes.profile);
        let viewer = Viewer::new(peer, &announced(&answer.text));
        self.world.actors.push(Actor { connection: connection_of(&answer.commands), media: Media::Views(viewer) });
        self.tell(answer);
        key
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

    pub(crate) fn offer(&mut self, direction: &str, wishes: Wishes, sources: bool) -> String {
        self.clients += 1;
        offer(self.clients, direction, wishes, sources)
    }

    fn open(&mut self, channel: &str, offer: String, upstream: bool) -> (ConnectionKey, Answer) {
        let connection = ConnectionKey(u128::from(self.random.next_u64()));
        let (channel, media_id) = (ChannelName::new(channel).unwrap(), MediaId::main());
        let handled = self.control.handle(if upstream {
            Request::OpenUpstream { connection, channel, media_id, offer }
        } else {
            Request::OpenDownstream { connection, channel, media_id, offer }
        });
        let Response::Opened { answer } = handled.response else { panic!("{:?}", handled.response) };
        let commands = handled.commands.into_iter().map(|(_, command)| command).collect();
        (connection, Answer { text: answer, commands })
    }

    fn tell(&mut self, answer: Answer) {
        for command in answer.commands {
            self.world.command(command);
        }
    }

    fn peer(&mut self, answer: &Answer, profile: Profile) -> Peer {
        let value = |name: &str| line(&answer.text, name).unwrap().to_owned();
        let remote = Credentials { ufrag: value("a=ice-ufrag:"), password: value("a=ice-pwd:") };
        let local = Credentials { ufrag: ufrag(self.clients), password: PASSWORD.to_owned() };
        let address = SocketAddr::from(([198, 51, 100, 1], 20_000 + self.clients));
        let keys = SrtpKeys { profile, inbound: self.master(profile), outbound: self.master(profile) };
        Peer::new(address, SERVER.parse().unwrap(), local, remote, keys)
    }

    fn master(&mut self, profile: Profile) -> MasterKey {
        let mut draw = |len| (0..len).map(|_| self.random.next_u64() as u8).collect::<Vec<_>>();
        MasterKey {
            key: draw(profile.key_len()).as_slice().try_into().unwrap(),
            salt: draw(profile.salt_len()).as_slice().try_into().unwrap(),
        }
    }
}

/// What control made of an offer.
struct Answer {
    text: String,
    commands: Vec<Command>,
}

/// The connection that the first command opens.
fn connection_of(commands: &[Command]) -> ConnectionId {
    match &commands[0] {
        Command::OpenUpstream(open) => open.connection,
        Command::OpenDownstream(open) => open.connection,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(start))
}

/// Primary SSRCs of an answer, each with that of its retransmissions.
fn announced(answer: &str) -> Vec<(u32, Option<u32>)> {
    let number = |text: &str| text.split([' ', ':']).find_map(|word| word.parse().ok());
    let groups: Vec<(u32, u32)> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("a=ssrc-group:FID "))
        .filter_map(|pair| pair.split_once(' '))
        .map(|(primary, rtx)| (primary.trim().parse().unwrap(), rtx.trim().parse().unwrap()))
        .collect();
    let mut all: Vec<u32> = answer.lines().filter_map(|line| number(line.strip_prefix("a=ssrc:")?)).collect();
    all.dedup();
    all.retain(|ssrc| groups.iter().all(|(_, rtx)| rtx != ssrc));
    let rtx_of = |ssrc: u32| groups.iter().find(|(primary, _)| *primary == ssrc).map(|(_, rtx)| *rtx);
    all.into_iter().map(|ssrc| (ssrc, rtx_of(ssrc))).collect()
}

fn ufrag(client: u16) -> String {
    format!("client{client:05}")
}

/// SSRCs are the client's own, so that a publisher that replaces another brings new ones.
fn streams(rtx: bool, client: u16) -> Vec<Stream> {
    let base = u32::from(client) * 100;
    vec![
        Stream {
            kind: Kind::Audio,
            ssrc: base + 1,
            payload_type: 111,
            rtx: None,
            clock_rate: 48_000,
            interval: Duration::from_millis(20),
            packets: 1,
            len: 100,
        },
        Stream {
            kind: Kind::Video,
            ssrc: base + 2,
            payload_type: 96,
            rtx: rtx.then_some((base + 3, 97)),
            clock_rate: 90_000,
            interval: Duration::from_millis(33),
            packets: 3,
            len: 1000,
        },
    ]
}

fn offer(client: u16, direction: &str, wishes: Wishes, sources: bool) -> String {
    let (rtx_formats, rtx_lines) =
        if wishes.rtx { (" 97", "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n") } else { ("", "") };
    let base = u32::from(client) * 100;
    let (mut audio, mut video) = (String::new(), String::new());
    if sources {
        audio = format!("a=ssrc:{} cname:c\r\n", base + 1);
        video = format!("a=ssrc:{} cname:c\r\n", base + 2);
        if wishes.rtx {
            video = format!("a=ssrc-group:FID {0} {1}\r\n{video}a=ssrc:{1} cname:c\r\n", base + 2, base + 3);
        }
    }
    let fingerprint = ["AA"; 32].join(":");
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{PASSWORD}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:actpass\r\na=rtcp-mux\r\n",
        ufrag(client)
    );
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:0\r\na={direction}\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n{audio}\
         m=video 9 UDP/TLS/RTP/SAVPF 96{rtx_formats}\r\n{transport}a=mid:1\r\na={direction}\r\n\
         a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\n\
         {rtx_lines}{video}"
    )
}
