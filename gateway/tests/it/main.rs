//! The gateway from outside: HTTP requests in, `core::message` questions out at a scripted media server.

#![allow(clippy::unwrap_used)]

mod bad_requests;
mod clients;
mod demo_token;
mod issuer;
mod liveswitch;
mod link;
mod media;
mod refusals;
mod sessions;
mod shapes;
mod socket;
