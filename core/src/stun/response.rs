//! Answers to binding requests: writing them, and reading them for virtual clients and tests.
//!
//! Every answer carries MESSAGE-INTEGRITY and FINGERPRINT, since every request that gets one was authenticated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::binding::UNKNOWN_MAX;
use super::message::{Integrity, Message};
use super::writer::Writer;
use super::{BINDING_ERROR, BINDING_SUCCESS, HEADER_LEN, MAGIC_COOKIE, Transaction, attribute};
use crate::count::Discard;

/// The longest answer: header, an error with its phrase, the unknown attributes it names, integrity, fingerprint.
pub const RESPONSE_LEN_MAX: usize = HEADER_LEN + (8 + PHRASE_LEN_MAX) + (4 + 2 * UNKNOWN_MAX) + 24 + 8;
const PHRASE_LEN_MAX: usize = 20;

/// Bits of the address families (RFC 8489 14.1).
const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;

/// Why a request is refused (RFC 8489 14.8, RFC 8445 16.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    BadRequest = 400,
    Unauthenticated = 401,
    UnknownAttribute = 420,
    RoleConflict = 487,
}

impl Code {
    const fn phrase(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::Unauthenticated => "Unauthenticated",
            Self::UnknownAttribute => "Unknown Attribute",
            Self::RoleConflict => "Role Conflict",
        }
    }
}

/// Writes a success with the address the request came from; `None` when `out` is shorter than the answer.
pub fn write_success(transaction: &Transaction, mapped: SocketAddr, password: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(out, BINDING_SUCCESS, transaction)?;
    let port = mapped.port() ^ (MAGIC_COOKIE >> 16) as u16;
    // A dual-stack socket names an IPv4 client in IPv6 form; the client knows itself by the IPv4 one.
    let (family, ip, ip_len) = match mapped.ip().to_canonical() {
        IpAddr::V4(ip) => (FAMILY_V4, u128::from(u32::from(ip) ^ MAGIC_COOKIE) << 96, 4),
        IpAddr::V6(ip) => (FAMILY_V6, u128::from(ip) ^ mask_v6(transaction), 16),
    };
    let ip = ip.to_be_bytes();
    writer.attribute(attribute::XOR_MAPPED_ADDRESS, &[&[0, family], &port.to_be_bytes(), ip.get(..ip_len)?])?;
    writer.seal(password)
}

/// Writes a refusal. `unknown` is what a 420 names (RFC 8489 14.9) and empty for every other code.
pub fn write_error(
    transaction: &Transaction,
    code: Code,
    unknown: &[u16],
    password: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    let mut writer = Writer::new(out, BINDING_ERROR, transaction)?;
    // RFC 8489 14.8: the hundreds in three bits, the rest in a byte.
    let (class, number) = ((code as u16 / 100) as u8, (code as u16 % 100) as u8);
    writer.attribute(attribute::ERROR_CODE, &[&[0, 0, class, number], code.phrase().as_bytes()])?;
    if !unknown.is_empty() {
        let mut named = [0; 2 * UNKNOWN_MAX];
        for (bytes, kind) in named.chunks_exact_mut(2).zip(unknown) {
            bytes.copy_from_slice(&kind.to_be_bytes());
        }
        let len = named.len().min(2 * unknown.len());
        writer.attribute(attribute::UNKNOWN_ATTRIBUTES, &[named.get(..len)?])?;
    }
    writer.seal(password)
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sender's address as the answering end saw it.
    Success(SocketAddr),
    /// The error code, 300 to 699.
    Error(u16),
}

/// An answer to a binding request, not yet authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub transaction: Transaction,
    pub outcome: Outcome,
    integrity: Option<Integrity<'a>>,
}

impl<'a> Response<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Discard> {
        let message = Message::parse(bytes)?;
        let value_of = |kind| {
            let found = message.attributes().find(|attribute| attribute.kind == kind);
            found.map(|attribute| attribute.value).ok_or(Discard::StunMalformed)
        };
        let outcome = match message.kind {
            BINDING_SUCCESS => {
                let value = value_of(attribute::XOR_MAPPED_ADDRESS)?;
                Outcome::Success(mapped_address(value, &message.transaction).ok_or(Discard::StunMalformed)?)
            }
            BINDING_ERROR => Outcome::Error(error_code(value_of(attribute::ERROR_CODE)?)?),
            _ => return Err(Discard::StunUnexpected),
        };
        Ok(Self { transaction: message.transaction, outcome, integrity: message.integrity })
    }

    /// Checks MESSAGE-INTEGRITY with the answering end's password; an answer without it fails.
    pub fn verify(&self, password: &[u8]) -> Result<(), Discard> {
        self.integrity.ok_or(Discard::StunBadIntegrity)?.verify(password)
    }
}

fn mapped_address(value: &[u8], transaction: &Transaction) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], ip) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0, p1]) ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match family {
        FAMILY_V4 => Ipv4Addr::from(u32::from_be_bytes(ip.try_into().ok()?) ^ MAGIC_COOKIE).into(),
        FAMILY_V6 => Ipv6Addr::from(u128::from_be_bytes(ip.try_into().ok()?) ^ mask_v6(transaction)).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// RFC 8489 14.2: an IPv6 address is XORed with the cookie followed by the transaction id.
fn mask_v6(transaction: &Transaction) -> u128 {
    let mut mask = [0; 16];
    let (cookie, rest) = mask.split_at_mut(4);
    cookie.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    rest.copy_from_slice(transaction);
    u128::from_be_bytes(mask)
}

fn error_code(value: &[u8]) -> Result<u16, Discard> {
    match value {
        [_, _, class, number, ..] if matches!(class & 7, 3..=6) && *number < 100 => {
            Ok(u16::from(class & 7) * 100 + u16::from(*number))
        }
        _ => Err(Discard::StunMalformed),
    }
}
