//! Everything that measures Tidewire from the outside: an independent WHIP/WHEP client, a way to run the server as a
//! process of its own, and the load scenarios built on both.
//!
//! Nothing here uses a crate of the server: what is written and what is checked must not come from the same hand. The
//! client stands on webrtc-dtls, webrtc-srtp and stun-rs; its SDP, RTP and RTCP are written anew, as small as they can be.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod client;
pub mod clock;
pub mod cpu_time;
pub mod load;
pub mod talk;
pub mod machine;
pub mod plot;
pub mod floor;
pub mod metrics;
pub mod program;
pub mod server;
pub mod standstill;
pub mod usage;
