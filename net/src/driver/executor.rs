//! A shard on a pinned glommio executor, which runs tasks beside the packets (timers, files, messages between shards).
//!
//! While no such task exists the shard sleeps in its own packet I/O, as under the plain driver: a sleep in glommio costs 10 to 25 us
//! of CPU more (seven calls into the kernel and a membarrier). With company it sleeps in glommio, on whose rings its bell
//! is awaited. All of glommio that the workspace uses is here.
//!
//! glommio 0.9 loses wake-ups when its preemption timer fires at the wrong time: `run_task_queues` (executor/mod.rs:1314)
//! takes a fired timer for "nothing to run", and the executor parks with a runnable task. A thread that is off its core for
//! longer than the timer, between arming and checking it, is enough; with the 500 us that low latency asks for, a busy
//! machine hangs a shard within minutes. So the timer is set beyond any such pause, `Latency` is left alone (it would
//! shorten the timer), tasks beside the packets yield by themselves, and no sleep is longer than `SLEEP_MAX`.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_io::AsyncRead;
use glommio::net::TcpStream;
use glommio::timer::Timer;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};
use io_uring::IoUring;
use tidewire_core::machine::Machine;

use super::{Next, Pace};
use crate::clock;
use crate::io::PacketIo;
use crate::shard::Shard;

/// Whether an executor can be made here; locks and frees its memory once.
pub(crate) fn check() -> io::Result<()> {
    // Where there is no io_uring at all, as in most containers, glommio panics, and says so where an operator reads it.
    IoUring::new(1).map(drop)?;
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
        COMPANY.set(Some(0));
        drive(&mut make()?, spin).await;
        Ok(())
    })
}

/// Runs a task beside the packets of the shard whose thread this is: to be called where a machine is made, or by what its
/// events are handed to. The task must yield often and end by itself; when the shard ends it is dropped.
pub fn beside(task: impl Future<Output = ()> + 'static) -> Result<(), NoExecutor> {
    COMPANY.set(Some(COMPANY.get().ok_or(NoExecutor)? + 1));
    let company = Company;
    let accompanied = async move {
        task.await;
        drop(company);
    };
    glommio::spawn_local(accompanied).detach();
    Ok(())
}

/// Lets time pass in a task beside the packets.
pub async fn pause(duration: Duration) {
    Timer::new(duration).await;
}

/// This thread is no shard's, or its driver is not the executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no shard runs here under the executor driver")]
pub struct NoExecutor;

thread_local! {
    /// Tasks beside the packets; `None` where there is no executor.
    static COMPANY: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts one task as long as it lives.
struct Company;

impl Drop for Company {
    fn drop(&mut self) {
        COMPANY.set(COMPANY.get().map(|tasks| tasks.saturating_sub(1)));
    }
}

fn is_alone() -> bool {
    COMPANY.get().unwrap_or(0) == 0
}

fn executor(core: Option<usize>) -> io::Result<LocalExecutor> {
    let placement = core.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement).io_memory(IO_MEMORY_LEN).preempt_timer(PREEMPT_AFTER).make().map_err(refusal)
}

/// glommio's errors cannot leave this thread; their text can.
fn refusal(error: GlommioError<()>) -> io::Error {
    io::Error::other(error.to_string())
}

async fn drive<M: Machine, Io: PacketIo>(shard: &mut Shard<M, Io>, spin: Duration) {
    let mut pace = Pace::new(spin);
    let mut yielded = clock::now();
    loop {
        let now = clock::now();
        let turn = shard.turn(now);
        match pace.next(shard, turn, now) {
            Next::Turn if is_alone() || now.since(yielded) < YIELD_EVERY => {}
            Next::Turn => {
                yielded = now;
                glommio::executor().yield_task_queue_now().await;
            }
            Next::Sleep => {
                yielded = now;
                sleep(shard).await;
            }
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
    if is_alone() {
        shard.io().wait(pause);
        return;
    }
    if let Some(bell) = shard.io().doze() {
        readable_within(bell, pause).await;
    }
    shard.io().rouse();
}

/// Ends when `bell` is readable or `timeout` has passed, or for no reason after a while.
async fn readable_within(bell: RawFd, timeout: Option<Duration>) {
    let timeout = timeout.unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
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

/// How long a loaded shard keeps the tasks beside it waiting. A yield costs a few calls into the kernel.
const YIELD_EVERY: Duration = Duration::from_millis(1);

/// No thread that runs at all is off its core for this long.
const PREEMPT_AFTER: Duration = Duration::from_secs(60);

/// Should a wake-up be lost all the same, the shard goes on after this long.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// How long to sleep when readiness cannot be awaited.
const BLIND_PAUSE: Duration = Duration::from_millis(1);
