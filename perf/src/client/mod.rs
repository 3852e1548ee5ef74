//! An independent WHIP/WHEP client: joins over real HTTP, ICE, DTLS and SRTP, publishes payloads that can be recognised
//! and checks every payload that comes back.
//!
//! [`Client`] holds what all calls share. [`Call`] is one connection after its handshakes. [`Publisher`] and [`Player`]
//! stand on a call. After the join nothing here has a thread or a runtime of its own: whoever owns a call feeds it.
//!
//! It deliberately does no congestion control, no jitter buffer and no decoding.

pub mod answer;
pub mod call;
mod consent;
pub mod dtls;
pub mod http;
mod join;
pub mod media;
pub mod offer;
pub mod pattern;
pub mod player;
pub mod publisher;
pub mod rtcp;
pub mod rtp;
mod sealer;
pub mod srtp;
pub mod stun;
pub mod twcc;
pub mod wait;
pub mod wire;

pub use call::{Arrival, Call, Client};
pub use media::Codec;
pub use offer::{Direction, Offer, Section};
pub use player::Player;
pub use publisher::Publisher;
pub use srtp::Profile;
