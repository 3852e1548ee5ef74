//! Secure RTP and RTCP (RFC 3711; AES-GCM: RFC 7714): one connection's two directions.
//!
//! `Inbound` authenticates and decrypts in place, in the slot the datagram was received into; `Outbound` seals a shared
//! plaintext straight into the egress, cipher and copy in one pass where the profile can. Both get a master key once
//! and never allocate for a packet; an inbound stream's state is made when its first packet has authenticated.
//! Invariant: nothing unauthenticated changes any state. What this does not do: choose sequence numbers. The caller of
//! `Outbound` keeps each stream's index (ROC << 16 | SEQ) and never seals two contents under one index.
//! No MKI, no rekeying, key derivation rate 0: that is what DTLS-SRTP in WebRTC uses (RFC 8827 6.5).

mod inbound;
mod outbound;
mod streams;
mod replay;
mod transform;
mod gcm;
mod counter_mode;
mod derivation;
#[cfg(any(test, debug_assertions))]
mod ledger;

#[cfg(test)]
mod vectors;

pub use inbound::{Inbound, Opened};
pub use outbound::Outbound;

use crate::count::Discard;

/// The part of an SRTCP packet that stays in the clear: one RTCP header and the sender's SSRC (RFC 3711 3.4).
const RTCP_CLEAR_LEN: usize = 8;

/// The SSRC of a compound packet: its first packet's sender.
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Discard> {
    let clear: &[u8; RTCP_CLEAR_LEN] = packet.first_chunk().ok_or(Discard::Truncated)?;
    Ok(u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]]))
}
