//! The gateway: the one signalling address of a Tidewire, here with WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-03).
//!
//! In comes HTTP, out go `core::message` requests to a media server and its answers as HTTP responses. What is decided
//! is decided in pure modules ([`token`], [`hall`], [`outline`]): time, randomness and the media server's answers are
//! arguments there. Only [`edge`] and [`link`] wait for anything. No media passes through here, and nothing of a
//! session is kept that the media server's end of it does not outlive.
//!
//! Modules stand in the order in which a request meets them.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod limits;
pub mod problem;
pub mod token;
pub mod outline;
pub mod hall;
pub mod link;
mod edge;
mod page;

pub use edge::{Config, Gateway, media_routes, router};
pub use hall::Figures;
pub use link::MediaLink;
pub use link::exchange::{Exchange, Here};
