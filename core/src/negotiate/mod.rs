//! One offer/answer engine (RFC 3264, RFC 8829), split into parse, match and write.
//!
//! [`Offer::parse`] reads a client's SDP into checked types; [`answer_upstream`] and [`answer_downstream`] match it
//! against what this server and, for a downstream, its upstream can do; the result is an [`Agreement`] for the shard and
//! the text of the answer. Where the server offers, [`offer_downstream`] writes the offer and [`read_answer`] reads what the
//! client makes of it. What the server can do stands as tables in `capabilities`. All media of a connection share
//! one transport (BUNDLE, RFC 9143, and rtcp-mux); this end is ICE-lite and the DTLS server. Simulcast (RFC 8853) is
//! received, never sent; data channels are rejected.

pub mod agreement;
mod capabilities;
mod spec;
mod h264_profile;
mod parse;
mod section;
mod matching;
mod write;
mod offer;
mod answer;
mod fragment;

pub use agreement::*;
pub use answer::{AnswerError, Answered, read_answer};
pub use fragment::{Fragment, write_fragment};
pub use matching::{Local, Refusal, Wanted, answer_downstream, answer_upstream};
pub use offer::{OwnSection, Sends, offer_downstream};
pub use parse::{Offer, SdpError};
pub use write::candidate_line;

#[cfg(test)]
mod tests;
