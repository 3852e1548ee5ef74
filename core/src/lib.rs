//! The ground floor of Tidewire: everything that is decided from bytes and a time that was handed in.
//!
//! Nothing in this crate reads a clock, opens a socket, starts a thread or draws a random number: randomness is a
//! seed, time an argument, memory borrowed. So the shard, the simulator, the fuzzers and the benches drive the very
//! same code. Modules stand in the order in which a packet meets them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod time;
pub mod id;
pub mod limits;
pub mod count;
pub mod machine;
pub mod handshake;
pub mod demux;
pub mod stun;
pub mod ice;
pub mod rtp;
pub mod srtp;
pub mod rebuild;
pub mod rtcp;
pub mod gaps;
pub mod ring;
pub mod trains;
pub mod random;
pub mod hashing;
pub mod codec;
pub mod negotiate;
pub mod message;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
