//! The edge: the only crate that knows sockets, io_uring, glommio and the clock.
//!
//! It drives any `tidewire_core::machine::Machine` and knows none by name.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod handshake;
pub mod mailbox;
pub mod wake;
