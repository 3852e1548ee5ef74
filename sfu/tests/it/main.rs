//! Behaviour of the forwarding plane through its public machines: control, session table, and the seeded simulator.
#![allow(clippy::unwrap_used)]

mod abuse;
mod announced;
mod call;
mod devotion;
mod feedback_abuse;
mod forwarding;
mod guest;
mod layered;
mod layers_sim;
mod layers;
mod entries;
mod lifecycle;
mod meeting;
mod network;
mod nonces;
mod overload;
mod repair_sim;
mod red;
mod sealed;
mod speakers;
mod stage;
mod statistics;
// Other test binaries use more of it.
#[allow(dead_code)]
mod studio;
