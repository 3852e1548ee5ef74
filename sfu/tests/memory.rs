//! What a viewer and an upstream cost in memory, held against what `limits` declares.
//!
//! The difference of two runs is taken: in one, control hands its commands to a table, in the other they are dropped; so
//! what control itself keeps does not count. A binary of its own, since the counting crate replaces the allocator. What
//! the cryptographic library takes from the system for its key schedules is not seen.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code)]
#[path = "it/call.rs"]
mod call;
#[path = "it/sealed.rs"]
mod sealed;
#[allow(dead_code)]
#[path = "it/studio.rs"]
mod studio;

use std::time::Duration;

use allocation_counter::measure;
use tidewire_core::handshake::Progress;
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName, ConnectionId, ConnectionKey, MediaId};
use tidewire_core::machine::{Batch, Datagram, Egress, Machine, Path};
use tidewire_core::message::{Request, Response, Want};
use tidewire_core::sim::{Client, Link, Peer};
use tidewire_core::time::Instant;
use tidewire_sfu::SessionTable;
use tidewire_sfu::limits::{
    BYTES_AHEAD_MAX, BYTES_PER_ENCODING_MAX, BYTES_PER_SESSION_MAX, BYTES_PER_STREAM_MAX, BYTES_PER_UPSTREAM_MAX,
    BYTES_PER_VIEWER_MAX,
};

use crate::call::{Call, Wishes};
use crate::studio::Studio;

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(1), jitter: Duration::ZERO, ..Link::NONE };
const SERVER: &str = "192.0.2.1:10000";

/// Egress whose memory is there already.
struct Sink(Box<[u8]>);

impl Egress for Sink {
    fn reserve(&mut self, _: &Path, len: usize) -> Option<&mut [u8]> {
        self.0.get_mut(..len)
    }

    fn commit(&mut self, _: usize) {}
}

/// Who is opened: viewers of one channel, publishers of a channel each, or downstreams that want so many media ids, each its
/// own.
#[derive(Clone, Copy, Debug)]
enum Role {
    Viewers,
    Upstreams,
    Guests { wants: usize },
}

/// Where control's commands go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Executed,
    Dropped,
}

/// Bytes that are held after this many connections have been opened and have their keys.
fn held(role: Role, count: usize, fate: Fate) -> i64 {
    let mut call = Call::new(1, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(60_000));
    call.run(Duration::from_secs(1));
    let mut sink = Sink(vec![0; 4096].into());
    (0..count).map(|at| open(&mut call, role, at, fate, &mut sink)).sum()
}

fn open(call: &mut Call, role: Role, at: usize, fate: Fate, sink: &mut Sink) -> i64 {
    let client = call.client(Wishes::default());
    let request = request(&client, role, at);
    let now = call.world.now;
    let (mut answer, mut id) = (None, None);
    let opened = measure(|| {
        let mut handled = call.control.handle(request);
        let text = match handled.response {
            Response::Opened { answer } => answer,
            Response::Offered { revision, offer, .. } => {
                let answer = client.answer_to(&offer, 0);
                handled = call.control.handle(Request::AnswerDownstream { connection: key(&client), revision, answer });
                offer
            }
            other => panic!("{other:?}"),
        };
        answer = Some(text);
        for (_, command) in handled.commands {
            id = id.or(command.opens());
            if fate == Fate::Executed {
                call.world.machine.handle_command(now, command, sink);
            }
        }
    });
    let (answer, id) = (answer.unwrap(), id.unwrap());
    let kept = match fate {
        Fate::Executed => connect(&mut call.world.machine, id, peer(&client, role, &answer), now, sink),
        Fate::Dropped => 0,
    };
    opened.bytes_current + kept
}

/// Lets a client's first check and its keys come; returns the bytes that the table keeps of that.
fn connect(table: &mut SessionTable, connection: ConnectionId, mut peer: Peer, now: Instant, sink: &mut Sink) -> i64 {
    peer.handle_timeout(now);
    let mut check = peer.outbox.remove(0);
    let path = Path { local: 0, remote: peer.address };
    let connected = measure(|| {
        let mut batch = Batch::new();
        assert!(batch.push(Datagram { path, arrival: now, bytes: &mut check }).is_ok());
        table.handle(now, &mut batch, sink);
        table.handle_handshake(now, Progress::Keys { connection, keys: peer.keys.clone() }, sink);
        while table.poll_event().is_some() || table.poll_handshake().is_some() {}
    });
    connected.bytes_current
}

fn request(client: &Client, role: Role, at: usize) -> Request {
    let (connection, media_id) = (key(client), MediaId::main());
    match role {
        Role::Guests { wants } => {
            let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new("sea").unwrap());
            let media_id = |n: usize| MediaId::new(&format!("{at}-{n}")).unwrap();
            let want = |n| Want { media_id: media_id(n), audio: true, video: true };
            Request::OfferDownstream { connection, channel, wants: (0..wants).map(want).collect() }
        }
        Role::Viewers => {
            let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new("sea").unwrap());
            Request::OpenDownstream { connection, channel, media_id, offer: client.offer_to_receive() }
        }
        Role::Upstreams => {
            let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new(&format!("sea-{at}")).unwrap());
            Request::OpenUpstream { connection, channel, media_id, offer: client.offer_to_send() }
        }
    }
}

fn peer(client: &Client, role: Role, answer: &str) -> Peer {
    let server = SERVER.parse().unwrap();
    match role {
        Role::Viewers | Role::Guests { .. } => client.viewer(answer, server).unwrap().peer,
        Role::Upstreams => client.publisher(answer, server, Instant::from_millis(60_000)).unwrap().peer,
    }
}

fn key(client: &Client) -> ConnectionKey {
    ConnectionKey(u128::from(client.number) << 64)
}

fn cost(role: Role, count: usize) -> usize {
    usize::try_from(held(role, count, Fate::Executed) - held(role, count, Fate::Dropped)).unwrap()
}

#[test]
fn viewers_cost_no_more_memory_than_is_declared() {
    for count in [1, 100, 1_000] {
        let bytes = cost(Role::Viewers, count);
        println!("{count} viewers: {bytes} bytes, {} each; declared {BYTES_PER_VIEWER_MAX}", bytes / count);
        assert!(bytes <= count * BYTES_PER_VIEWER_MAX + BYTES_AHEAD_MAX, "{count} viewers hold {bytes} bytes");
    }
}

#[test]
fn streams_of_many_publishers_cost_no_more_memory_than_is_declared() {
    let [one, many] = [1, 24].map(|wants| cost(Role::Guests { wants }, 100));
    let bytes = (many - one) / 100 / 46;
    println!("each further stream: {bytes} bytes; declared {BYTES_PER_STREAM_MAX}");
    assert!(bytes <= BYTES_PER_STREAM_MAX, "a stream holds {bytes} bytes");
    assert!(
        one <= 100 * (BYTES_PER_VIEWER_MAX + BYTES_PER_STREAM_MAX) + BYTES_AHEAD_MAX,
        "a viewer of one holds {one}"
    );
}

#[test]
fn upstreams_cost_no_more_memory_than_is_declared() {
    for count in [1, 20] {
        let bytes = cost(Role::Upstreams, count);
        println!("{count} upstreams: {bytes} bytes, {} each; declared {BYTES_PER_UPSTREAM_MAX}", bytes / count);
        // Each is in a session of its own.
        let declared = count * (BYTES_PER_UPSTREAM_MAX + BYTES_PER_SESSION_MAX) + BYTES_AHEAD_MAX;
        assert!(bytes <= declared, "{count} upstreams hold {bytes} bytes");
    }
}

#[test]
fn encodings_cost_no_more_memory_than_is_declared_and_most_of_it_when_they_are_sent() {
    let mut studio = Studio::quiet(3);
    let mut sink = Sink(vec![0; 4096].into());
    let mut bytes = 0;
    for at in [1, 2] {
        let made = studio.frame(at, true, 1).remove(0);
        let (path, mut datagram) = studio.sealed(&made);
        let arrival = studio.now;
        let sent = measure(|| {
            let mut batch = Batch::new();
            assert!(batch.push(Datagram { path, arrival, bytes: &mut datagram }).is_ok());
            studio.table.handle(arrival, &mut batch, &mut sink);
            while studio.table.poll_event().is_some() {}
        });
        bytes += usize::try_from(sent.bytes_current).unwrap();
    }
    println!("each further encoding: {} bytes with its first packet; declared {BYTES_PER_ENCODING_MAX}", bytes / 2);
    assert!((BYTES_PER_ENCODING_MAX..=2 * BYTES_PER_ENCODING_MAX).contains(&bytes), "two encodings hold {bytes} bytes");
}
