//! One turn of one configuration: a forwarder of its own on a thread of its own, warmed up, then measured.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::driver::{Driver, Progress};
use super::sink::Sink;
use crate::arguments::{Io, Table, Way};
use crate::carrier::Carrier;
use crate::forwarder::{Counts, Forwarder};
use crate::mmsg::Mmsg;
use crate::registration::{Registration, Role};
use crate::system;
use crate::uring::Uring;

#[derive(Clone, Copy)]
pub(crate) struct Configuration<'a> {
    pub(crate) sink: &'a Sink,
    pub(crate) way: Way,
    pub(crate) viewers: usize,
    /// Packets that a wake-up holds.
    pub(crate) burst: u64,
}

/// What one turn gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) ns_per_packet: f64,
    pub(crate) packets_per_wake_up: f64,
}

/// What the forwarding thread needs to know.
struct Task<'a> {
    way: Way,
    core: usize,
    own: SocketAddrV4,
    publisher: SocketAddrV4,
    viewers: Vec<SocketAddrV4>,
    progress: &'a Progress,
    /// Packets to take before measuring, and by the end.
    warm: u64,
    last: u64,
}

/// What the driver needs to know of it.
struct Ready {
    address: SocketAddr,
    thread_id: i32,
}

pub(crate) fn take(configuration: &Configuration<'_>, mut driver: Driver, table: &Table) -> io::Result<Sample> {
    let Configuration { sink, way, viewers, burst } = *configuration;
    let progress = Progress::default();
    let bursts = (table.packets as u64 / (viewers as u64 * burst)).clamp(BURSTS_MIN, BURSTS_MAX);
    let task = Task {
        way,
        core: table.core,
        own: SocketAddrV4::new(sink.address(), 0),
        publisher: driver.address()?,
        viewers: (0..viewers).map(|index| sink.viewer(index)).collect::<io::Result<_>>()?,
        progress: &progress,
        warm: WARM_BURSTS * burst,
        last: (WARM_BURSTS + bursts) * burst,
    };
    thread::scope(|scope| {
        let (sender, ready) = sync_channel(1);
        let forwarder = scope.spawn(move || forward(&task, &sender));
        // Without a word from it, it has ended with an error.
        if let Ok(Ready { address, thread_id }) = ready.recv() {
            let state = File::open(format!("/proc/self/task/{thread_id}/stat"))?;
            let driven = driver.drive(address, &progress, &state, (WARM_BURSTS + bursts, burst));
            if driven.is_err() {
                driver.stop(address, &progress)?;
            }
            driven?;
        }
        forwarder.join().unwrap_or_else(|_| Err(io::Error::other("the forwarder panicked")))
    })
}

fn forward(task: &Task<'_>, ready: &SyncSender<Ready>) -> io::Result<Sample> {
    system::pin(task.core)?;
    let listener = system::listener(task.own, task.way.connected)?;
    let address = listener.local_addr()?;
    let ready = || ready.send(Ready { address, thread_id: system::thread_id() }).map_err(io::Error::other);
    match task.way.io {
        Io::Mmsg => measure(Forwarder::new(Mmsg::new(&listener, task.way.spin())?, listener, &task.way), task, ready),
        Io::Uring => measure(Forwarder::new(Uring::new(&listener, &task.way)?, listener, &task.way), task, ready),
    }
}

fn measure<C: Carrier>(
    mut forwarder: Forwarder<C>,
    task: &Task<'_>,
    ready: impl Fn() -> io::Result<()>,
) -> io::Result<Sample> {
    let group = 0;
    forwarder.register(Registration { role: Role::Publisher, group }, task.publisher)?;
    for &viewer in &task.viewers {
        forwarder.register(Registration { role: Role::Viewer, group }, viewer)?;
    }
    ready()?;
    run_until(&mut forwarder, task.progress, task.warm)?;
    let (before, started) = (forwarder.counts(), system::thread_cpu_time());
    run_until(&mut forwarder, task.progress, task.last)?;
    sample(&before, &forwarder.counts(), system::thread_cpu_time().saturating_sub(started))
}

fn run_until<C: Carrier>(forwarder: &mut Forwarder<C>, progress: &Progress, taken: u64) -> io::Result<()> {
    forwarder.run(|counts| {
        progress.taken.store(counts.taken, Ordering::Release);
        counts.taken < taken && !progress.stop.load(Ordering::Acquire)
    })
}

fn sample(before: &Counts, after: &Counts, time: Duration) -> io::Result<Sample> {
    if after.refused > 0 {
        return Err(io::Error::other(format!("the kernel refused {} messages", after.refused)));
    }
    let per = |time: f64, count: u64| time / count.max(1) as f64;
    Ok(Sample {
        ns_per_packet: per(time.as_nanos() as f64, after.forwarded - before.forwarded),
        packets_per_wake_up: per((after.taken - before.taken) as f64, after.wake_ups - before.wake_ups),
    })
}

/// Enough to have every page and every cache line of the arena touched.
const WARM_BURSTS: u64 = 5;

/// So that the wake-ups of large bursts are several, and those of small ones take no minutes.
const BURSTS_MIN: u64 = 20;
const BURSTS_MAX: u64 = 400;
