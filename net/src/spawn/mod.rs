//! Starting and stopping shards: configuration in, a running thread and its handle out.
//!
//! Sockets are bound by the caller's thread, so that their errors come back at once; the machine, the packet I/O and the
//! executor are made on the shard's own thread. A panic ends its shard alone, and says so.

mod plan;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidewire_core::handshake::{Progress, Request};
use tidewire_core::id::ShardId;
use tidewire_core::limits::{COMMANDS_LEN, PROGRESS_LEN};
use tidewire_core::machine::Machine;

use self::plan::Plan;
use crate::mailbox::{self, Sender};
use crate::probe::probe;
use crate::shard::{Inlets, Outlets};
use crate::socket::Sockets;
use crate::wake::Waker;

/// Which packet I/O a shard uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoChoice {
    /// `Uring` where it works, else `Epoll`.
    #[default]
    Auto,
    Uring,
    Epoll,
}

/// Which driver turns a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// `Executor` under `uring` where it works, else `Plain`.
    #[default]
    Auto,
    /// A glommio executor, which needs io_uring whatever the packet I/O.
    Executor,
    /// A plain thread.
    Plain,
}

/// Whether trains are used where the kernel has them; off only to find the fault of a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// UDP_SEGMENT.
    pub send: bool,
    /// UDP_GRO.
    pub receive: bool,
}

impl Default for Offload {
    fn default() -> Self {
        Self { send: true, receive: true }
    }
}

/// How to start one shard.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    pub shard: ShardId,
    /// Local media addresses; one socket each.
    pub addresses: Vec<IpAddr>,
    /// The UDP port on all of them; 0 takes any that is free.
    pub port: u16,
    pub io: IoChoice,
    pub driver: DriverChoice,
    pub offload: Offload,
    /// Viewers that may have a connected socket of their own, under `uring`; 0 for none.
    pub connected_max: usize,
    /// The core to which the shard is pinned.
    pub core: Option<usize>,
    /// How long to look for packets before sleeping. Zero sleeps at once.
    pub spin: Duration,
}

/// Why a shard did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("cannot bind the media port")]
    Bind(#[source] io::Error),
    #[error("io_uring does not work here: {0}")]
    NoUring(String),
    #[error("the executor driver does not work here: {0}")]
    NoExecutor(String),
    #[error("cannot start the shard")]
    Start(#[source] io::Error),
    #[error("the shard panicked, see the log")]
    Panicked,
    #[error("the shard did not stop in time")]
    StillRunning,
}

/// A letter for which there was no room, or nobody to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard's queue is full")]
pub struct QueueFull<C>(pub C);

/// A running shard. Dropping the handle asks the shard to stop and does not wait for it.
#[derive(Debug)]
pub struct ShardHandle<C> {
    shard: ShardId,
    io: IoChoice,
    driver: DriverChoice,
    addresses: Vec<SocketAddr>,
    buffers: (usize, usize),
    ways: Ways<C>,
    counters: Arc<[AtomicU64]>,
    /// Its other end is dropped when the thread ends.
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a shard and returns when it runs.
///
/// `make` builds the machine on the shard's thread from the addresses that were bound, in the order of `Path::local`.
/// `handshakes` is given the mailbox for the handshake threads' answers and returns what takes the machine's requests; a
/// request that it gives back is tried again. What it returns, and `on_event`, run on the shard's thread: neither may block.
pub fn spawn<M, H>(
    config: &ShardConfig,
    make: impl FnOnce(&[SocketAddr]) -> M + Send + 'static,
    handshakes: impl FnOnce(Sender<Progress>) -> H,
    on_event: impl FnMut(M::Event) + Send + 'static,
) -> Result<ShardHandle<M::Command>, NetError>
where
    M: Machine + 'static,
    H: FnMut(Request) -> Result<(), Request> + Send + 'static,
{
    let plan = Plan::new(config, probe())?;
    let sockets = Sockets::bind(&config.addresses, config.port).map_err(NetError::Bind)?;
    let (addresses, buffers) = (sockets.addresses().to_vec(), sockets.buffers());
    let (ways, inlets) = Ways::new::<M>().map_err(NetError::Start)?;
    let handshake = handshakes(ways.progress.clone());
    let build = move |addresses: &[SocketAddr]| {
        let outlets = Outlets { event: Box::new(on_event), handshake: Box::new(handshake) };
        (make(addresses), inlets, outlets)
    };
    let (started, start) = mpsc::sync_channel(1);
    let (ending, ended) = mpsc::sync_channel(1);
    let ring = ways.waker.clone();
    let run = move || {
        // Dropped however the thread ends.
        let _ending: SyncSender<()> = ending;
        plan.run(sockets, ring, build, &started);
    };
    let name = format!("shard-{}", config.shard.0);
    let thread = thread::Builder::new().name(name).spawn(run).map_err(NetError::Start)?;
    let counters = match start.recv() {
        Ok(counters) => counters.map_err(NetError::Start)?,
        Err(mpsc::RecvError) => return Err(NetError::Panicked),
    };
    let (shard, io, driver) = (config.shard, plan.io, plan.driver);
    Ok(ShardHandle { shard, io, driver, addresses, buffers, ways, counters, ended, thread: Some(thread) })
}

/// The ways into a running shard.
#[derive(Debug)]
struct Ways<C> {
    commands: Sender<C>,
    progress: Sender<Progress>,
    stopping: Arc<AtomicBool>,
    waker: Waker,
}

impl<C> Ways<C> {
    /// The ways in, and the ends of them that the shard reads.
    fn new<M: Machine<Command = C>>() -> io::Result<(Self, Inlets<M>)> {
        let waker = Waker::new()?;
        let (commands, command_letters) = mailbox::bounded(COMMANDS_LEN, waker.clone());
        let (progress, progress_letters) = mailbox::bounded(PROGRESS_LEN, waker.clone());
        let stopping = Arc::new(AtomicBool::new(false));
        let inlets = Inlets {
            waker: waker.clone(),
            commands: command_letters,
            progress: progress_letters,
            stopping: Arc::clone(&stopping),
        };
        Ok((Self { commands, progress, stopping, waker }, inlets))
    }
}

impl<C> ShardHandle<C> {
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The packet I/O that was chosen; never `Auto`.
    pub fn io(&self) -> IoChoice {
        self.io
    }

    /// The driver that was chosen; never `Auto`.
    pub fn driver(&self) -> DriverChoice {
        self.driver
    }

    /// What was bound, in the order of `Path::local`.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the kernel gave of each socket's receive and send buffer, in bytes.
    pub fn buffers(&self) -> (usize, usize) {
        self.buffers
    }

    /// Leaves a command with the shard and wakes it. Gives it back when the queue is full or the shard has ended.
    pub fn command(&self, command: C) -> Result<(), QueueFull<C>> {
        self.ways.commands.send(command).map_err(QueueFull)
    }

    /// The way to leave commands from other threads.
    pub fn commands(&self) -> Sender<C> {
        self.ways.commands.clone()
    }

    /// The shard's mailbox for the answers of handshake threads.
    pub fn progress(&self) -> Sender<Progress> {
        self.ways.progress.clone()
    }

    /// What was last published: the machine's tally, `IoCounter`, then `ShardGauge`, each in the order of its registry.
    pub fn counters(&self) -> Vec<u64> {
        self.counters.iter().map(|counter| counter.load(Ordering::Relaxed)).collect()
    }

    /// Whether the shard's thread still runs; it ends early only by a panic.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Lets the shard work off what waits, then ends it. An error if it panicked or does not end in time.
    pub fn stop(mut self) -> Result<(), NetError> {
        self.ask_to_stop();
        match self.ended.recv_timeout(STOP_MAX) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => return Err(NetError::StillRunning),
        }
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Err(_)) => Err(NetError::Panicked),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn ask_to_stop(&self) {
        self.ways.stopping.store(true, Ordering::SeqCst);
        self.ways.waker.wake();
    }
}

impl<C> Drop for ShardHandle<C> {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// How long a shard may take to stop.
const STOP_MAX: Duration = Duration::from_secs(1);
