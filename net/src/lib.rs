//! The edge: the only crate that knows sockets, io_uring, glommio and the clock.
//!
//! It drives any `tidewire_core::machine::Machine` and knows none by name: `spawn` starts a shard, the handle it returns
//! reaches it. Inside, from the outside in: `driver` turns a `shard`, a shard turns its machine over an `io`, an `io`
//! moves datagrams between `socket`s and trains. Nothing above `io` knows which one it is.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
pub mod clock;
mod connected;
mod control;
pub mod count;
mod driver;
pub mod handshake;
mod headers;
mod io;
pub mod mailbox;
pub mod precedence;
mod probe;
mod shard;
mod socket;
mod spawn;
mod stall;
pub mod wake;

pub use driver::executor::{NoExecutor, beside, pause};
pub use probe::{Probe, prepare_process, probe};
pub use spawn::{DriverChoice, IoChoice, NetError, Offload, QueueFull, ShardConfig, ShardHandle, spawn};
