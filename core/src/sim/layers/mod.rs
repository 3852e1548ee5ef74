//! Layered video in the simulator: publishers of simulcast and scalable streams in every codec, and viewers whose model
//! decoder knows which frames depend on which.
//!
//! Descriptors are written and read by code of this module alone, not by [`codec`](crate::codec), so that the two hold each
//! other. Each packet carries its [`Truth`] behind them.

mod bits;
mod structure;
mod truth;
mod frame;
mod vp8;
mod vp9;
mod units;
mod descriptor;
mod encoder;
mod publisher;
mod gap;
mod continuity;
mod decoder;
mod viewer;
mod offer;

pub use decoder::{Arrived, Decoder, Shown};
pub use encoder::{Encoder, Encoding, Packet, Payload};
pub use gap::Gap;
pub use offer::Layers;
pub use publisher::{LayeredPublisher, Wire};
pub use structure::{Indication, InterLayer, Structure};
pub use truth::{FrameId, Truth};
pub use viewer::DecodingViewer;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod agreement;
