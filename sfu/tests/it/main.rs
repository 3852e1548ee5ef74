//! Behaviour of the forwarding plane through its public machines: control, session table, and the seeded simulator.
#![allow(clippy::unwrap_used)]

mod abuse;
mod call;
mod forwarding;
mod guest;
mod layers;
mod lifecycle;
mod meeting;
mod network;
mod nonces;
mod overload;
mod red;
mod speakers;
mod stage;
mod studio;
