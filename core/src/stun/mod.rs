//! STUN binding requests and their answers (RFC 8489), as far as an ICE-lite agent needs them (RFC 8445).
//!
//! Takes a datagram that `demux` called STUN, gives borrowed views of it, and writes answers into memory it was lent.
//! Reading walks the attributes once over the slice, in whatever order they come, with a bound on their number;
//! nothing allocates. A message is structurally whole before anybody sees it, but authentic only after `verify`.
//! What this does not do: TURN, long-term credentials, MESSAGE-INTEGRITY-SHA256, retransmission.

mod binding;
mod message;
mod response;
mod writer;

pub use binding::{Binding, REQUEST_LEN_MAX, Request, Role};
pub use response::{Code, Outcome, RESPONSE_LEN_MAX, Response, write_error, write_success};

/// A transaction id (RFC 8489 5).
pub type Transaction = [u8; 12];

/// Bytes of the fixed header.
const HEADER_LEN: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;

/// Message types: method Binding with each of its classes.
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

/// Attribute types (RFC 8489 18.3, RFC 8445 16.1).
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    pub(super) const REALM: u16 = 0x0014;
    pub(super) const NONCE: u16 = 0x0015;
    pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    pub(super) const PASSWORD_ALGORITHM: u16 = 0x001D;
    pub(super) const USERHASH: u16 = 0x001E;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(super) const PRIORITY: u16 = 0x0024;
    pub(super) const USE_CANDIDATE: u16 = 0x0025;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    pub(super) const ICE_CONTROLLED: u16 = 0x8029;
    pub(super) const ICE_CONTROLLING: u16 = 0x802A;
}

#[cfg(test)]
mod tests;
