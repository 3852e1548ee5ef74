//! What is decided about a shard before its thread starts, and what that thread does from its first call to its last.
//!
//! The one place that knows all packet I/Os and all drivers.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tidewire_core::id::ShardId;
use tidewire_core::machine::Machine;

use super::{DriverChoice, IoChoice, NetError, ShardConfig};
use crate::driver::{executor, plain};
use crate::io::PacketIo;
use crate::io::epoll::Epoll;
use crate::io::uring::Uring;
use crate::probe::Probe;
use crate::shard::{Inlets, Outlets, Shard};
use crate::socket::Sockets;
use crate::wake::Waker;

pub(super) type Started = SyncSender<io::Result<Arc<[AtomicU64]>>>;

/// What was decided about a shard before its thread starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    shard: ShardId,
    pub(super) io: IoChoice,
    pub(super) driver: DriverChoice,
    segments_max: usize,
    gro: bool,
    connected_max: usize,
    core: Option<usize>,
    spin: Duration,
}

impl Plan {
    pub(super) fn new(config: &ShardConfig, probe: &Probe) -> Result<Self, NetError> {
        let io = choose_io(config.io, probe)?;
        Ok(Self {
            shard: config.shard,
            io,
            driver: choose_driver(config.driver, io, probe)?,
            segments_max: if config.offload.send { probe.train_segments_max } else { 1 },
            gro: config.offload.receive && probe.receives_trains,
            connected_max: config.connected_max,
            core: config.core,
            spin: config.spin,
        })
    }

    /// The shard's thread, from its first call to its last.
    pub(super) fn run<M: Machine + 'static>(
        self,
        sockets: Sockets,
        waker: Waker,
        build: impl Build<M>,
        started: &Started,
    ) {
        let (report, shard) = (started.clone(), self.shard.0);
        let run = AssertUnwindSafe(move || match self.io {
            IoChoice::Uring => {
                let (segments, gro, connected) = (self.segments_max, self.gro, self.connected_max);
                self.drive(build, report, move || Uring::new(sockets, &waker, segments, gro, connected))
            }
            IoChoice::Epoll | IoChoice::Auto => {
                self.drive(build, report, move || Epoll::new(sockets, &waker, self.segments_max, self.gro))
            }
        });
        match catch_unwind(run) {
            Ok(Ok(())) => tracing::debug!(shard, "shard ended"),
            Ok(Err(error)) => {
                if started.send(Err(error)).is_err() {
                    tracing::debug!(shard, "nobody waits for the error of this shard");
                }
            }
            Err(panic) => {
                let panicked = message(panic.as_ref());
                tracing::error!(shard, panicked, "the shard ended and its connections with it; the other shards go on");
                resume_unwind(panic);
            }
        }
    }

    fn drive<M, Io>(
        self,
        build: impl Build<M>,
        started: Started,
        make_io: impl FnOnce() -> io::Result<Io> + 'static,
    ) -> io::Result<()>
    where
        M: Machine + 'static,
        Io: PacketIo + 'static,
    {
        let make_shard = move || {
            let io = make_io()?;
            let (machine, inlets, outlets) = build(io.addresses());
            let shard = Shard::new(machine, io, inlets, outlets);
            started.send(Ok(shard.counters())).map_err(io::Error::other)?;
            Ok(shard)
        };
        match self.driver {
            DriverChoice::Executor => executor::run(self.core, self.spin, make_shard),
            DriverChoice::Plain | DriverChoice::Auto => {
                self.core.map_or(Ok(()), plain::pin)?;
                plain::drive(&mut make_shard()?, self.spin);
                Ok(())
            }
        }
    }
}

/// Makes the machine and its surroundings, on the shard's thread, from the addresses that were bound.
pub(super) trait Build<M: Machine>: FnOnce(&[SocketAddr]) -> (M, Inlets<M>, Outlets<M>) + 'static {}

impl<M: Machine, F: FnOnce(&[SocketAddr]) -> (M, Inlets<M>, Outlets<M>) + 'static> Build<M> for F {}

fn choose_io(choice: IoChoice, probe: &Probe) -> Result<IoChoice, NetError> {
    match (choice, &probe.uring) {
        (IoChoice::Auto | IoChoice::Uring, Ok(())) => Ok(IoChoice::Uring),
        (IoChoice::Auto, Err(_)) | (IoChoice::Epoll, _) => Ok(IoChoice::Epoll),
        (IoChoice::Uring, Err(why)) => Err(NetError::NoUring(why.clone())),
    }
}

fn choose_driver(choice: DriverChoice, io: IoChoice, probe: &Probe) -> Result<DriverChoice, NetError> {
    match (choice, &probe.executor) {
        (DriverChoice::Auto, Ok(())) if io == IoChoice::Uring => Ok(DriverChoice::Executor),
        (DriverChoice::Executor, Ok(())) => Ok(DriverChoice::Executor),
        (DriverChoice::Executor, Err(why)) => Err(NetError::NoExecutor(why.clone())),
        (DriverChoice::Auto | DriverChoice::Plain, _) => Ok(DriverChoice::Plain),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(uring: bool, executor: bool) -> Probe {
        let found = |works: bool| if works { Ok(()) } else { Err("forbidden".to_owned()) };
        Probe {
            uring: found(uring),
            executor: found(executor),
            train_segments_max: 64,
            receives_trains: true,
            receive_buffer_len: 0,
            send_buffer_len: 0,
        }
    }

    fn chosen(io: IoChoice, driver: DriverChoice, probe: &Probe) -> Result<(IoChoice, DriverChoice), NetError> {
        let io = choose_io(io, probe)?;
        Ok((io, choose_driver(driver, io, probe)?))
    }

    #[test]
    fn auto_takes_the_best_that_works() {
        let auto = |uring, executor| chosen(IoChoice::Auto, DriverChoice::Auto, &probe(uring, executor)).unwrap();
        assert_eq!(auto(true, true), (IoChoice::Uring, DriverChoice::Executor));
        assert_eq!(auto(true, false), (IoChoice::Uring, DriverChoice::Plain));
        assert_eq!(auto(false, false), (IoChoice::Epoll, DriverChoice::Plain));
        assert_eq!(auto(false, true), (IoChoice::Epoll, DriverChoice::Plain));
    }

    #[test]
    fn what_was_asked_for_is_taken_or_refused_with_its_reason() {
        let works = probe(true, true);
        let plain = (IoChoice::Uring, DriverChoice::Plain);
        assert_eq!(chosen(plain.0, plain.1, &works).unwrap(), plain);
        let both = (IoChoice::Epoll, DriverChoice::Executor);
        assert_eq!(chosen(both.0, both.1, &works).unwrap(), both);
        let fails = probe(false, false);
        let refused = chosen(IoChoice::Uring, DriverChoice::Auto, &fails);
        assert!(matches!(refused, Err(NetError::NoUring(why)) if why == "forbidden"));
        let refused = chosen(IoChoice::Auto, DriverChoice::Executor, &fails);
        assert!(matches!(refused, Err(NetError::NoExecutor(why)) if why == "forbidden"));
    }
}
