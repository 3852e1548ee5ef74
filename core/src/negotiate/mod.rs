//! One offer/answer engine (RFC 3264, RFC 8829), split into parse, match and write.
//!
//! `Offer::parse` reads a client's SDP into checked types; `answer` matches it against what this server and, for a
//! downstream, its upstream can do; the result is an [`Agreement`] for the shard and the text of the answer.

pub mod agreement;

pub use agreement::*;
