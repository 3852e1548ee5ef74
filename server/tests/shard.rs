//! The whole media path without the program around it: a session table on a real shard, real sockets, virtual clients.
//!
//! Forwarding over the shard allocates nothing after warm-up, over either packet I/O; viewers have sockets of their own
//! under io_uring, and only they. A binary of its own, since it counts in the global allocator.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use tidewire_core::count::{Counter, Tally};
use tidewire_core::handshake::{Fingerprint, Profile, Progress, Request as Handshake, SrtpKeys};
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName, ConnectionId, ConnectionKey, MediaId, ShardId};
use tidewire_core::limits::CONNECTED_MAX;
use tidewire_core::message::{Request, Response};
use tidewire_core::random::Seeded;
use tidewire_core::sim::{Actor, Client, Media};
use tidewire_core::time::Instant;
use tidewire_net::count::IoCounter;
use tidewire_net::mailbox::Sender;
use tidewire_net::{DriverChoice, IoChoice, Offload, ShardConfig, ShardHandle};
use tidewire_sfu::{Command, Control, SessionTable, ShardPlan, TableConfig};

thread_local! {
    static ON_SHARD: Cell<bool> = const { Cell::new(false) };
}
static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts what shard threads allocate while counting is on.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomics and a thread-local without a
// destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTING.load(Ordering::Relaxed) && ON_SHARD.get() {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SECRET: [u8; 16] = [3; 16];
const VIEWERS: u16 = 10;
/// Nothing here takes this long; a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// One test after the other: the count is the process's own.
static ALONE: Mutex<()> = Mutex::new(());

/// Keys in place of DTLS, by connection.
type Keys = Arc<Mutex<BTreeMap<ConnectionId, SrtpKeys>>>;

/// A shard, its control, and clients on sockets of their own.
struct Stage {
    shard: ShardHandle<Command>,
    control: Control,
    keys: Keys,
    clients: Vec<(UdpSocket, Actor)>,
    began: Clock,
}

impl Stage {
    fn new(io: IoChoice, driver: DriverChoice) -> Self {
        let keys = Keys::default();
        let config = ShardConfig {
            shard: ShardId(0),
            addresses: vec![Ipv4Addr::LOCALHOST.into()],
            port: 0,
            io,
            driver,
            offload: Offload::default(),
            connected_max: CONNECTED_MAX,
            core: None,
            spin: Duration::ZERO,
        };
        let make = |_: &[SocketAddr]| {
            ON_SHARD.set(true);
            SessionTable::new(TableConfig { shard: ShardId(0), secret: SECRET, seed: 1, loudest: 0 })
        };
        let handed = Arc::clone(&keys);
        let shard = tidewire_net::spawn(&config, make, |progress| pretend(handed, progress), |_| {}).unwrap();
        let mut entropy = Seeded::new(2);
        let entropy = Box::new(move |bytes: &mut [u8]| bytes.fill_with(|| entropy.next_u64() as u8));
        let plan = ShardPlan { shard: ShardId(0), candidates: shard.addresses().to_vec() };
        let control = Control::new(vec![plan], &SECRET, Fingerprint([0; 32]), entropy);
        Self { shard, control, keys, clients: Vec::new(), began: Clock::now() }
    }

    fn open(&mut self, number: u16) {
        let client = Client { number, rtx: true, profile: Profile::AeadAes128Gcm };
        let (channel, media_id) =
            (ChannelKey::new(ApplicationId::default(), ChannelName::new("sea").unwrap()), MediaId::main());
        let (connection, server) = (ConnectionKey(number.into()), self.shard.addresses()[0]);
        let publishes = number == 0;
        let handled = self.control.handle(if publishes {
            Request::OpenUpstream { connection, channel, media_id, offer: client.offer_to_send() }
        } else {
            Request::OpenDownstream { connection, channel, media_id, offer: client.offer_to_receive() }
        });
        let Response::Opened { answer } = handled.response else { panic!("{:?}", handled.response) };
        let media = if publishes {
            Media::Publishes(client.publisher(&answer, server, Instant::from_millis(1 << 40)).unwrap())
        } else {
            Media::Views(client.viewer(&answer, server).unwrap())
        };
        let (_, command) = handled.commands.into_iter().next().unwrap();
        let id = match &command {
            Command::OpenUpstream(open) => open.connection,
            Command::OpenDownstream(open) => open.connection,
            other => panic!("{other:?}"),
        };
        let mut actor = Actor { connection: id, media };
        self.keys.lock().unwrap().insert(id, actor.peer().keys.clone());
        self.shard.command(command).unwrap();
        self.clients.push((self.socket(publishes), actor));
    }

    /// A client's socket, which hears nothing but the shard's own address and port.
    fn socket(&self, paces: bool) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(self.shard.addresses()[0]).unwrap();
        // The publisher's socket alone paces the loop.
        socket.set_nonblocking(!paces).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        socket
    }

    /// A client's NAT gives it another port.
    fn rebind(&mut self, client: usize) {
        let socket = self.socket(false);
        self.clients[client].1.peer().move_to(socket.local_addr().unwrap());
        self.clients[client].0 = socket;
    }

    fn io_counter(&self, counter: IoCounter) -> u64 {
        self.shard.counters()[Tally::default().values().count() + counter as usize]
    }

    /// Lets every viewer get this many packets more.
    fn go_on(&mut self, packets: usize) {
        let before = self.fewest();
        self.until(|stage| stage.fewest() > before + packets);
    }

    /// Lets the clients live until the condition holds.
    fn until(&mut self, condition: impl Fn(&Self) -> bool) {
        let mut bytes = [0; 2048];
        while !condition(self) {
            assert!(self.began.elapsed() < PATIENCE, "it took too long");
            for (socket, actor) in &mut self.clients {
                // Bounded, so that no client starves the others.
                for _ in 0..64 {
                    let Ok(len) = socket.recv(&mut bytes) else { break };
                    actor.handle(Instant::from_nanos(self.began.elapsed().as_nanos() as u64), &mut bytes[..len]);
                }
                actor.handle_timeout(Instant::from_nanos(self.began.elapsed().as_nanos() as u64));
                for datagram in actor.peer().outbox.drain(..) {
                    socket.send(&datagram).unwrap();
                }
            }
        }
    }

    /// Packets of the viewer that has the fewest.
    fn fewest(&self) -> usize {
        let lens = self.clients.iter().filter_map(|(_, actor)| match &actor.media {
            Media::Views(viewer) => Some(viewer.log.len()),
            Media::Publishes(_) | Media::PublishesLayers(_) | Media::Decodes(_) => None,
        });
        lens.min().unwrap_or(0)
    }
}

/// Stands in for the handshake threads: the first hello gives keys, every hello an answer.
fn pretend(keys: Keys, progress: Sender<Progress>) -> impl FnMut(Handshake) -> Result<(), Handshake> + Send {
    let mut keyed = BTreeSet::new();
    move |request| {
        if let Handshake::Datagram { connection, .. } = request {
            if keyed.insert(connection) {
                let keys = keys.lock().unwrap()[&connection].clone();
                progress.send(Progress::Keys { connection, keys }).unwrap();
            }
            progress.send(Progress::Records { connection, bytes: Box::from([22, 254, 253, 0, 0]) }).unwrap();
        }
        Ok(())
    }
}

#[test]
fn forwarding_over_a_shard_allocates_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ways = [
        (IoChoice::Uring, DriverChoice::Executor),
        (IoChoice::Uring, DriverChoice::Plain),
        (IoChoice::Epoll, DriverChoice::Plain),
    ];
    for (io, driver) in ways {
        let mut stage = Stage::new(io, driver);
        stage.open(0);
        (1..=VIEWERS).for_each(|number| stage.open(number));
        stage.until(|stage| stage.fewest() > 300);
        COUNT.store(0, Ordering::SeqCst);
        COUNTING.store(true, Ordering::SeqCst);
        let before = stage.fewest();
        stage.until(|stage| stage.fewest() > before + 300);
        COUNTING.store(false, Ordering::SeqCst);
        assert_eq!(COUNT.load(Ordering::SeqCst), 0, "{io:?}, {driver:?}");
        for (_, actor) in &stage.clients {
            if let Media::Views(viewer) = &actor.media {
                assert_eq!((viewer.damaged, viewer.peer.refused), (0, 0), "{io:?}, {driver:?}");
            }
        }
        let forwarded = Counter::ALL.iter().position(|counter| *counter == Counter::Forwarded).unwrap();
        assert!(stage.shard.counters()[forwarded] > 600 * u64::from(VIEWERS), "{io:?}, {driver:?}");
        stage.shard.stop().unwrap();
    }
}

/// What became of a viewer's packets.
fn assert_whole(stage: &Stage) {
    for (_, actor) in &stage.clients {
        if let Media::Views(viewer) = &actor.media {
            assert_eq!((viewer.damaged, viewer.peer.refused), (0, 0));
        }
    }
}

#[test]
fn viewers_have_sockets_of_their_own_wherever_they_go_and_strangers_get_none() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for driver in [DriverChoice::Executor, DriverChoice::Plain] {
        let mut stage = Stage::new(IoChoice::Uring, driver);
        (0..=3).for_each(|number| stage.open(number));
        stage.go_on(100);
        stage.until(|stage| stage.io_counter(IoCounter::Connected) == 3);

        stage.rebind(2);
        stage.go_on(100);
        stage.until(|stage| stage.io_counter(IoCounter::Connected) == 4);

        // From as many strangers: a check of nobody's password, a hello, a packet of media.
        let server = stage.shard.addresses()[0];
        for number in 0..200 {
            let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut check = [0; 68];
            check[..8].copy_from_slice(&[0, 1, 0, 48, 0x21, 0x12, 0xa4, 0x42]);
            for bytes in [&check[..], &[22, 254, 253, number, 0], &[0x80, 96, 0, number, 0, 0, 0, 0, 0, 0, 0, 0]] {
                stranger.send_to(bytes, server).unwrap();
            }
        }
        stage.go_on(100);

        // A viewer is gone, and the kernel is told so for each packet that is still sent to it.
        stage.clients.remove(1);
        stage.go_on(100);
        assert_whole(&stage);
        let [connected, others, failed] = [IoCounter::Connected, IoCounter::NotConnected, IoCounter::SendFailed]
            .map(|counter| stage.io_counter(counter));
        assert_eq!((connected, others, failed), (4, 0, 0), "{driver:?}");
        stage.shard.stop().unwrap();
    }
}
