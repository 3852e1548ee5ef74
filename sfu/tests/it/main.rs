//! Behaviour of the forwarding plane through its public machines: control, session table, and the seeded simulator.
#![allow(clippy::unwrap_used, dead_code)]

mod call;
mod network;
