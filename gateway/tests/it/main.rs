//! The gateway from outside: HTTP requests in, `core::message` questions out at a scripted media server.

#![allow(clippy::unwrap_used)]

mod bad_requests;
mod demo_token;
mod link;
mod media;
mod sessions;
mod shapes;
