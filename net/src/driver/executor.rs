//! A shard on a pinned glommio executor, whose cooperative tasks (timers, mesh, files) run beside the packets.
//!
//! glommio sleeps on rings of its own, so the shard's bell is awaited there. Every task queue of this executor must be
//! `Latency::Matters`: one busy queue without it delays packets by 100 ms. All of glommio that the workspace uses is here.

use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_io::AsyncRead;
use glommio::net::TcpStream;
use glommio::timer::Timer;
use glommio::{GlommioError, Latency, LocalExecutor, LocalExecutorBuilder, Placement, Shares};
use tidewire_core::machine::Machine;

use super::{Next, Pace};
use crate::clock;
use crate::io::PacketIo;
use crate::shard::Shard;

/// Whether an executor can be made here; locks and frees its memory once.
pub(crate) fn check() -> io::Result<()> {
    executor(None).map(drop)
}

/// Makes an executor on this thread, lets `make` build the shard inside it, and turns the shard until it is stopped.
pub(crate) fn run<M, Io, Make>(core: Option<usize>, spin: Duration, make: Make) -> io::Result<()>
where
    M: Machine + 'static,
    Io: PacketIo + 'static,
    Make: FnOnce() -> io::Result<Shard<M, Io>> + 'static,
{
    executor(core)?.run(async move {
        let queue = glommio::executor().create_task_queue(Shares::default(), PACKET_LATENCY, "packets");
        let packets = async move {
            drive(&mut make()?, spin).await;
            Ok(())
        };
        glommio::spawn_local_into(packets, queue).map_err(refusal)?.await
    })
}

fn executor(core: Option<usize>) -> io::Result<LocalExecutor> {
    let placement = core.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement).io_memory(IO_MEMORY_LEN).make().map_err(refusal)
}

/// glommio's errors cannot leave this thread; their text can.
fn refusal(error: GlommioError<()>) -> io::Error {
    io::Error::other(error.to_string())
}

async fn drive<M: Machine, Io: PacketIo>(shard: &mut Shard<M, Io>, spin: Duration) {
    let mut pace = Pace::new(spin);
    loop {
        let now = clock::now();
        let turn = shard.turn(now);
        match pace.next(shard, turn, now) {
            Next::Turn => glommio::yield_if_needed().await,
            Next::Sleep => sleep(shard).await,
            Next::End => break,
        }
    }
    shard.io().collect();
    shard.settle(clock::now());
}

async fn sleep<M: Machine, Io: PacketIo>(shard: &mut Shard<M, Io>) {
    let now = clock::now();
    shard.settle(now);
    let pause = shard.pause(now);
    if let Some(bell) = shard.io().doze() {
        readable_within(bell, pause).await;
    }
    shard.io().rouse();
}

/// Ends when `bell` is readable or `timeout` has passed.
async fn readable_within(bell: RawFd, timeout: Option<Duration>) {
    let Some(timeout) = timeout else { return readable(bell).await };
    if timeout.is_zero() {
        return;
    }
    let (mut bell, mut timer) = (pin!(readable(bell)), pin!(Timer::new(timeout)));
    std::future::poll_fn(|context| match (bell.as_mut().poll(context), timer.as_mut().poll(context)) {
        (Poll::Pending, Poll::Pending) => Poll::Pending,
        (Poll::Ready(()), _) | (_, Poll::Ready(_)) => Poll::Ready(()),
    })
    .await;
}

/// glommio 0.9 has no public call that awaits any descriptor. A stream made of one polls it for readiness when it is made;
/// the read that follows fails with ENOTSOCK, and that it ends at all is the signal. Each wait needs a stream of its own.
async fn readable(bell: RawFd) {
    // SAFETY: the bell stays open as long as the ring it belongs to, which outlives this wait.
    let Ok(copy) = unsafe { BorrowedFd::borrow_raw(bell) }.try_clone_to_owned() else {
        // No descriptor is left to wait with: look again in a while, until there is.
        Timer::new(BLIND_PAUSE).await;
        return;
    };
    // SAFETY: the stream becomes the only owner of the copy.
    let mut stream = unsafe { TcpStream::from_raw_fd(copy.into_raw_fd()) };
    let mut nothing = [0];
    std::future::poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut nothing).map(drop)).await;
}

/// glommio registers this much memory three times against the locked-memory limit; no shard reads files through it.
const IO_MEMORY_LEN: usize = 1 << 20;

const PACKET_LATENCY: Latency = Latency::Matters(Duration::from_micros(500));

/// How long to sleep when readiness cannot be awaited.
const BLIND_PAUSE: Duration = Duration::from_millis(1);
