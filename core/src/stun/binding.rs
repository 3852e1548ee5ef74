//! Binding requests: reading those of a client's ICE agent, and writing them for virtual clients and tests.
//!
//! The order of use is parse, look the user name up, `verify`: a flood of forged requests costs no HMAC.

use arrayvec::ArrayVec;

use super::message::{Integrity, Message};
use super::writer::Writer;
use super::{BINDING_REQUEST, Transaction, attribute};
use crate::count::Discard;

/// The longest request that `Request::write` makes: two user fragments of 256 characters and every attribute.
pub const REQUEST_LEN_MAX: usize = 640;

/// Unknown attributes that one 420 answer names; more are not worth the bytes.
pub(super) const UNKNOWN_MAX: usize = 4;

/// The sender's ICE role with its tie-breaker (RFC 8445 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Controlling(u64),
    Controlled(u64),
}

/// A binding request as an ICE agent sends it (RFC 8445 7.1), not yet authenticated.
#[derive(Clone, Debug)]
pub struct Binding<'a> {
    pub transaction: Transaction,
    /// The receiver's user fragment: ours.
    pub local_ufrag: &'a str,
    /// The sender's user fragment: the client's.
    pub remote_ufrag: &'a str,
    pub use_candidate: bool,
    pub priority: Option<u32>,
    pub role: Option<Role>,
    /// Comprehension-required attributes that nobody here comprehends; to be answered with 420 once authenticated.
    pub unknown: ArrayVec<u16, UNKNOWN_MAX>,
    integrity: Integrity<'a>,
}

impl<'a> Binding<'a> {
    /// Reads a datagram. A request without user name or integrity is malformed here: no ICE agent sends one, and an
    /// answer (RFC 8489 9.1.3 would have 400) would serve only those who forge the source address.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Discard> {
        let message = Message::parse(bytes)?;
        if message.kind != BINDING_REQUEST {
            return Err(Discard::StunUnexpected);
        }
        let integrity = message.integrity.ok_or(Discard::StunMalformed)?;
        let mut found = Found::default();
        for attribute in message.attributes() {
            found.take(attribute.kind, attribute.value)?;
        }
        let (local_ufrag, remote_ufrag) = found.username.ok_or(Discard::StunMalformed)?;
        Ok(Self {
            transaction: message.transaction,
            local_ufrag,
            remote_ufrag,
            use_candidate: found.use_candidate,
            priority: found.priority,
            role: found.role,
            unknown: found.unknown,
            integrity,
        })
    }

    /// Checks MESSAGE-INTEGRITY with the receiver's password.
    pub fn verify(&self, password: &[u8]) -> Result<(), Discard> {
        self.integrity.verify(password)
    }
}

/// What the attributes said so far.
#[derive(Default)]
struct Found<'a> {
    username: Option<(&'a str, &'a str)>,
    use_candidate: bool,
    priority: Option<u32>,
    role: Option<Role>,
    unknown: ArrayVec<u16, UNKNOWN_MAX>,
}

impl<'a> Found<'a> {
    /// RFC 8489 14: of a type that comes more than once only the first is meant.
    fn take(&mut self, kind: u16, value: &'a [u8]) -> Result<(), Discard> {
        match kind {
            attribute::USERNAME if self.username.is_none() => self.username = Some(user_fragments(value)?),
            attribute::PRIORITY if self.priority.is_none() => {
                self.priority = Some(u32::from_be_bytes(fixed(value)?));
            }
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::ICE_CONTROLLING if self.role.is_none() => {
                self.role = Some(Role::Controlling(u64::from_be_bytes(fixed(value)?)));
            }
            attribute::ICE_CONTROLLED if self.role.is_none() => {
                self.role = Some(Role::Controlled(u64::from_be_bytes(fixed(value)?)));
            }
            kind if must_be_known(kind) && !self.unknown.is_full() => self.unknown.push(kind),
            // RFC 8489 5: comprehension-optional, or known and of no use in a request.
            _ => {}
        }
        Ok(())
    }
}

/// RFC 8445 7.2.2: the user name is `receiver:sender`. Neither half may be empty.
fn user_fragments(value: &[u8]) -> Result<(&str, &str), Discard> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|name| name.split_once(':'))
        .filter(|(local, remote)| !local.is_empty() && !remote.is_empty())
        .ok_or(Discard::StunMalformed)
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Discard> {
    value.try_into().map_err(|_| Discard::StunMalformed)
}

/// RFC 8489 14: types below 0x8000 have to be comprehended. Known but unexpected ones are ignored (RFC 8489 6.3).
fn must_be_known(kind: u16) -> bool {
    kind < 0x8000
        && !matches!(
            kind,
            attribute::MAPPED_ADDRESS
                | attribute::USERNAME
                | attribute::ERROR_CODE
                | attribute::UNKNOWN_ATTRIBUTES
                | attribute::REALM
                | attribute::NONCE
                | attribute::MESSAGE_INTEGRITY_SHA256
                | attribute::PASSWORD_ALGORITHM
                | attribute::USERHASH
                | attribute::XOR_MAPPED_ADDRESS
                | attribute::PRIORITY
        )
}

/// What a full agent puts into a connectivity check; the server itself never sends one.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub transaction: Transaction,
    /// The user fragment of whoever the request is for.
    pub receiver_ufrag: &'a str,
    pub sender_ufrag: &'a str,
    pub priority: u32,
    pub role: Role,
    pub use_candidate: bool,
}

impl Request<'_> {
    /// Writes the request, sealed with the receiver's password; `None` when `out` is too short.
    pub fn write(&self, password: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(out, BINDING_REQUEST, &self.transaction)?;
        let username = [self.receiver_ufrag.as_bytes(), b":", self.sender_ufrag.as_bytes()];
        writer.attribute(attribute::USERNAME, &username)?;
        writer.attribute(attribute::PRIORITY, &[&self.priority.to_be_bytes()])?;
        let (kind, tie_breaker) = match self.role {
            Role::Controlling(tie_breaker) => (attribute::ICE_CONTROLLING, tie_breaker),
            Role::Controlled(tie_breaker) => (attribute::ICE_CONTROLLED, tie_breaker),
        };
        writer.attribute(kind, &[&tie_breaker.to_be_bytes()])?;
        if self.use_candidate {
            writer.attribute(attribute::USE_CANDIDATE, &[])?;
        }
        writer.seal(password)
    }
}
