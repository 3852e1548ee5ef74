//! Threads, mailboxes and what goes wrong with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_core::count::{Counter, Discard};
use tidewire_core::handshake::{EndReason, Fingerprint, Progress, Request, SrtpKeys};
use tidewire_core::id::{ConnectionId, ShardId};

use super::{CONNECTION, Client};
use crate::handshake::association::Recipe;
use crate::handshake::worker::{Letter, Worker};
use crate::handshake::{Identity, Pool, Sender, Versions};
use crate::mailbox;
use crate::wake::Waker;

/// A shard's end of a pool.
struct Shard {
    sender: Sender,
    mailbox: mailbox::Receiver<Progress>,
    waker: Waker,
}

impl Shard {
    fn new(pool: &Pool, id: u8, capacity: usize) -> Self {
        let waker = Waker::new().unwrap();
        let (progress, mailbox) = mailbox::bounded(capacity, waker.clone());
        Self { sender: pool.sender_for(ShardId(id), progress), mailbox, waker }
    }

    fn next(&mut self) -> Progress {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            self.waker.clear();
            if let Some(progress) = self.mailbox.receive() {
                return progress;
            }
            self.waker.wait(Some(Duration::from_millis(100)));
        }
        panic!("no progress");
    }

    /// Runs one client's whole handshake through the pool.
    fn connect(&mut self, connection: ConnectionId, versions: Versions) -> (Client, SrtpKeys) {
        let mut client = Client::new(versions, 1200, Instant::now());
        self.sender.send(Request::Start { connection, fingerprint: client.identity.fingerprint() }).unwrap();
        let mut keys = None;
        loop {
            for bytes in client.drain() {
                self.sender.send(Request::Datagram { connection, bytes: bytes.into() }).unwrap();
            }
            if let Some(keys) = keys.take_if(|_| client.keys.is_some()) {
                return (client, keys);
            }
            match self.next() {
                Progress::Records { connection: of, bytes } if of == connection => {
                    client.handle(&bytes, Instant::now())
                }
                Progress::Keys { connection: of, keys: got } if of == connection => keys = Some(got),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn connection(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 7 }
}

#[test]
fn pool_serves_shards_and_says_goodbye_when_it_stops() {
    let identity = Identity::generate().unwrap();
    let pool = Pool::start(&identity, Versions::Dtls12, 2).unwrap();
    let mut shards = [Shard::new(&pool, 0, 64), Shard::new(&pool, 1, 64)];
    let mut clients = Vec::new();
    for slot in 0..4 {
        for shard in &mut shards {
            clients.push(shard.connect(connection(slot), Versions::Dtls12).0);
        }
    }
    pool.stop();
    assert!(shards[0].sender.send(Request::Close { connection: connection(0) }).is_err());
    for shard in &mut shards {
        for _ in 0..4 {
            let Progress::Records { bytes, .. } = shard.next() else { panic!("not a goodbye") };
            assert_eq!(bytes[0], 21, "an alert");
        }
    }
}

#[test]
fn pool_counts_what_it_did() {
    let pool = Pool::start(&Identity::generate().unwrap(), Versions::Dtls12, 1).unwrap();
    let mut shard = Shard::new(&pool, 0, 64);
    shard.connect(connection(1), Versions::Dtls12);
    let garbage = || Request::Datagram { connection: connection(9), bytes: [22; 40].into() };
    shard.sender.send(garbage()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while pool.tally().discarded(Discard::DtlsUnexpected) != 1 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let tally = pool.tally();
    assert_eq!(tally.discarded(Discard::DtlsUnexpected), 1);
    let counts = [Counter::HandshakesStarted, Counter::HandshakesCompleted, Counter::HandshakesFailed]
        .map(|counter| tally.of(counter));
    assert_eq!(counts, [1, 1, 0]);
    pool.stop();
}

/// A worker without its thread, and one client's handshake up to the datagram that brings the keys.
fn worker() -> (Worker, mailbox::Sender<Progress>, mailbox::Receiver<Progress>) {
    let recipe = Recipe::new(&Identity::generate().unwrap(), Versions::Dtls12).unwrap();
    let waker = Waker::new().unwrap();
    let (_, letters) = mailbox::bounded(1, waker.clone());
    let (sender, receiver) = mailbox::bounded(1, Waker::new().unwrap());
    (Worker::new(recipe, letters, waker, Arc::default(), Arc::default()), sender, receiver)
}

#[test]
fn keys_outlast_a_full_mailbox_and_records_do_not() {
    let (mut worker, progress, mut mailbox) = worker();
    let mut client = Client::new(Versions::Dtls12, 1200, Instant::now());
    let mut send = |request| worker.handle_letter(Letter { shard: ShardId(0), progress: progress.clone(), request });
    send(Request::Start { connection: CONNECTION, fingerprint: client.identity.fingerprint() });
    for bytes in client.drain() {
        send(Request::Datagram { connection: CONNECTION, bytes: bytes.into() });
    }
    let Some(Progress::Records { bytes, .. }) = mailbox.receive() else { panic!("no flight") };
    client.handle(&bytes, Instant::now());
    assert_eq!(
        progress.send(Progress::Ended { connection: connection(99), reason: EndReason::PeerClosed }).err().map(drop),
        None
    );
    for bytes in client.drain() {
        send(Request::Datagram { connection: CONNECTION, bytes: bytes.into() });
    }
    assert!(matches!(mailbox.receive(), Some(Progress::Ended { .. })));
    assert!(mailbox.receive().is_none());
    worker.settle();
    assert!(matches!(mailbox.receive(), Some(Progress::Keys { .. })));
    assert_eq!(worker.tally.discarded(Discard::HandshakeQueueFull), 1, "the last flight");
}

#[test]
fn panic_ends_one_association_alone() {
    let (mut worker, progress, mut mailbox) = worker();
    for slot in 0..2 {
        let request = Request::Start { connection: connection(slot), fingerprint: Fingerprint([0; 32]) };
        worker.handle_letter(Letter { shard: ShardId(0), progress: progress.clone(), request });
    }
    worker.with((ShardId(0), connection(0)), Instant::now(), |_, _| panic!("as dimpl might"));
    let Some(Progress::Ended { connection: ended, reason }) = mailbox.receive() else { panic!("not ended") };
    assert_eq!((ended, reason), (connection(0), EndReason::HandshakeFailed));
    assert_eq!(worker.associations.keys().copied().collect::<Vec<_>>(), [(ShardId(0), connection(1))]);
}
