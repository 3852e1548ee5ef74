//! Starting shards for tests, and clients that talk to them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tidewire_core::count::Tally;
use tidewire_core::handshake::{Progress, Request};
use tidewire_core::id::ShardId;
use tidewire_net::count::{IoCounter, ShardGauge};
use tidewire_net::mailbox::Sender;
use tidewire_net::{DriverChoice, IoChoice, Offload, ShardConfig, ShardHandle, beside, pause, spawn};

use crate::echo::{Command, Echo, Event};

/// A packet I/O, a driver, and whether a task runs beside the packets, with which a shard sleeps in another way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Combination {
    pub(crate) io: IoChoice,
    pub(crate) driver: DriverChoice,
    pub(crate) company: bool,
}

const fn combination(io: IoChoice, driver: DriverChoice, company: bool) -> Combination {
    Combination { io, driver, company }
}

/// Every packet I/O under every driver.
pub(crate) const COMBINATIONS: [Combination; 6] = [
    combination(IoChoice::Uring, DriverChoice::Executor, false),
    combination(IoChoice::Uring, DriverChoice::Executor, true),
    combination(IoChoice::Uring, DriverChoice::Plain, false),
    combination(IoChoice::Epoll, DriverChoice::Plain, false),
    combination(IoChoice::Epoll, DriverChoice::Executor, false),
    combination(IoChoice::Epoll, DriverChoice::Executor, true),
];

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A shard with an echo machine, and what it said.
pub(crate) struct Rig {
    pub(crate) name: String,
    pub(crate) handle: ShardHandle<Command>,
    /// How often the task beside the packets ran.
    pub(crate) ticks: Arc<AtomicU64>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) requests: mpsc::Receiver<Request>,
}

pub(crate) fn config(Combination { io, driver, .. }: Combination) -> ShardConfig {
    ShardConfig {
        shard: ShardId(0),
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: 0,
        io,
        driver,
        offload: Offload::default(),
        connected_max: 0,
        core: None,
        spin: Duration::ZERO,
    }
}

impl Rig {
    pub(crate) fn start(combination: Combination) -> Self {
        Self::with(&config(combination), combination)
    }

    pub(crate) fn with(config: &ShardConfig, combination: Combination) -> Self {
        let (event, events) = mpsc::sync_channel(64);
        let (request, requests) = mpsc::sync_channel(1);
        let handshakes = |_: Sender<Progress>| {
            move |wanted| {
                request.try_send(wanted).map_err(|refused| match refused {
                    mpsc::TrySendError::Full(wanted) | mpsc::TrySendError::Disconnected(wanted) => wanted,
                })
            }
        };
        let on_event = move |said| event.try_send(said).expect("a test that listens");
        let ticks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&ticks);
        let make = move |addresses: &[SocketAddr]| {
            if combination.company {
                beside(tick(counted)).unwrap();
            }
            Echo::new(addresses)
        };
        let handle = spawn(config, make, handshakes, on_event).unwrap();
        Self { name: format!("{combination:?}, {:?}", config.offload), handle, ticks, events, requests }
    }

    pub(crate) fn command(&self, command: Command) {
        self.handle.command(command).unwrap();
    }

    /// Leaves a command as soon as there is room for it.
    pub(crate) fn command_in_time(&self, command: impl Fn() -> Command) {
        while self.handle.command(command()).is_err() {
            std::thread::yield_now();
        }
    }

    pub(crate) fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{}: no event: {error}", self.name))
    }

    pub(crate) fn client(&self) -> UdpSocket {
        client_of(self.handle.addresses()[0])
    }

    pub(crate) fn counter(&self, counter: IoCounter) -> u64 {
        self.handle.counters()[Tally::default().values().count() + counter as usize]
    }

    pub(crate) fn gauge(&self, gauge: ShardGauge) -> u64 {
        let of_tallies = Tally::default().values().count() + IoCounter::ALL.len();
        self.handle.counters()[of_tallies + gauge as usize]
    }

    /// Waits until the published counter is at least `value`.
    pub(crate) fn await_counter(&self, counter: IoCounter, value: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.counter(counter) < value {
            assert!(
                Instant::now() < deadline,
                "{}: {} stays at {}, below {value}",
                self.name,
                counter.name(),
                self.counter(counter)
            );
            std::thread::yield_now();
        }
    }

    pub(crate) fn stop(self) {
        let name = self.name;
        self.handle.stop().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

async fn tick(ticks: Arc<AtomicU64>) {
    loop {
        pause(Duration::from_millis(50)).await;
        ticks.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connected socket with room for everything a test sends.
pub(crate) fn client_of(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Lets the kernel cut what `socket` sends into datagrams of `size` bytes.
pub(crate) fn send_trains(socket: &UdpSocket, size: i32) {
    // SAFETY: an integer of the stated length, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            size_of::<i32>() as u32,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Bytes that look random and are the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
