//! Shards over real loopback sockets: every packet I/O under every driver, turned by an echo machine.
//!
//! What is asserted of one combination is asserted of all.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod allocations;
mod connected;
mod cost;
mod echo;
mod idle;
mod life;
mod packets;
mod rig;
