//! The seeded simulator: virtual clients around any [`Machine`](crate::machine::Machine), over a network that loses,
//! delays, reorders and doubles.
//!
//! Time is virtual and everything random comes from one seed, so a failing run is a test. The clients speak the real
//! wire: ICE checks, SRTP under keys that were handed out in place of DTLS, RTP, RTCP. They share this crate's codecs
//! with the server; that the bytes are right is what the independent clients elsewhere are for.

mod answerer;
mod client;
mod collected;
mod layers;
mod network;
mod peer;
mod publisher;
mod viewer;
mod world;

pub use answerer::Answerer;
pub use client::{Client, announced, server_credentials};
pub use collected::{Collected, Told};
pub use layers::{
    Arrived, Decoder, DecodingViewer, Encoder, Encoding, FrameId, Gap, Indication, InterLayer, LayeredPublisher,
    Layers, Packet, Payload, Shown, Structure, Truth, Wire,
};
pub use network::{Flight, Link, Network};
pub use peer::{Heard, Peer};
pub use publisher::{Content, Publisher, Stream};
pub use viewer::{Delivery, Viewer};
pub use world::{Actor, Media, World};
