//! The only shapes that cross a wire of ours, other than HTTP's own: JSON, one value a WebSocket text frame.
//!
//! [`client`] is what clients and the gateway say to each other at `/v1/client`, [`media`] what the gateway and media
//! servers say at `/v1/media` (in one process the same values travel over a bounded queue); what both say of [`quality`] has one
//! shape. Under both lies a [`lane`]:
//! each way numbered and acknowledged, so that a lost socket loses and doubles nothing. A value of a type that is not
//! known, or with a field that is missing, is refused; fields beyond those named here are ignored.

pub mod lane;
pub mod quality;
pub mod client;
pub mod media;

pub use media::{CloseReason, ErrorCode, Event, Request, Response, Section, Want};
