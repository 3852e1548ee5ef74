//! The view of one whole STUN message: header, attributes, integrity.
//!
//! `parse` checks everything that structure alone can tell (lengths, padding, order at the end, FINGERPRINT when it is
//! there), so that later walks over the attributes cannot fail. It does not know what a message means.

use aws_lc_rs::{constant_time, hmac};

use super::{HEADER_LEN, MAGIC_COOKIE, Transaction, attribute};
use crate::count::Discard;
use crate::limits::STUN_ATTRIBUTES_MAX;

/// RFC 8489 14.7: the CRC is XORed with this, so that it differs from a CRC of the application's own.
const FINGERPRINT_XOR: u32 = 0x5354_554E;
const ATTRIBUTE_HEADER_LEN: usize = 4;
const TAG_LEN: usize = 20;

/// MESSAGE-INTEGRITY: what it covers and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integrity<'a> {
    covered: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

impl Integrity<'_> {
    /// Checks the tag with a short-term credential's password.
    pub(super) fn verify(&self, password: &[u8]) -> Result<(), Discard> {
        let expected = integrity_tag(self.covered, password).ok_or(Discard::StunMalformed)?;
        constant_time::verify_slices_are_equal(expected.as_ref(), self.tag).map_err(|_| Discard::StunBadIntegrity)
    }
}

/// One attribute, without its padding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

/// A message whose structure holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) transaction: Transaction,
    /// The attributes that count: those in front of MESSAGE-INTEGRITY if there is one (RFC 8489 14.5), else all.
    attributes: &'a [u8],
    pub(super) integrity: Option<Integrity<'a>>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Discard> {
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Discard::Truncated)?;
        let [k0, k1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let cookie = u32::from_be_bytes([c0, c1, c2, c3]);
        // RFC 8489 5: two zero bits, the cookie, a length in whole words.
        if k0 & 0xC0 != 0 || cookie != MAGIC_COOKIE || len % 4 != 0 || len != body.len() {
            return Err(Discard::StunMalformed);
        }
        let integrity_at = check_attributes(bytes, body)?;
        let (attributes, integrity) = match integrity_at {
            Some(at) => split_at_integrity(bytes, at)?,
            None => (body, None),
        };
        Ok(Self { kind: u16::from_be_bytes([k0, k1]), transaction, attributes, integrity })
    }

    /// The attributes that count, in their order. A type may come more than once: the first is the one that is meant.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (found, after) = split_attribute(rest)?;
            rest = after;
            Some(found)
        })
    }
}

/// HMAC-SHA1 over `covered` with the header's length set as if MESSAGE-INTEGRITY were the last attribute (RFC 8489 14.5).
pub(super) fn integrity_tag(covered: &[u8], password: &[u8]) -> Option<hmac::Tag> {
    let (kind, rest) = covered.split_first_chunk::<2>()?;
    let (_, after_len) = rest.split_first_chunk::<2>()?;
    let len = covered.len().checked_sub(HEADER_LEN)? + ATTRIBUTE_HEADER_LEN + TAG_LEN;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password);
    let mut context = hmac::Context::with_key(&key);
    context.update(kind);
    context.update(&u16::try_from(len).ok()?.to_be_bytes());
    context.update(after_len);
    Some(context.sign())
}

/// The FINGERPRINT of a message that is complete but for it, its length already counted in the header.
pub(super) fn fingerprint(covered: &[u8]) -> u32 {
    crc32fast::hash(covered) ^ FINGERPRINT_XOR
}

/// Walks all attributes once; says where MESSAGE-INTEGRITY begins, counted from the start of the message.
fn check_attributes(message: &[u8], body: &[u8]) -> Result<Option<usize>, Discard> {
    let mut rest = body;
    let mut integrity_at = None;
    for _ in 0..STUN_ATTRIBUTES_MAX {
        if rest.is_empty() {
            return Ok(integrity_at);
        }
        let at = message.len() - rest.len();
        let (found, after) = split_attribute(rest).ok_or(Discard::StunMalformed)?;
        match found.kind {
            attribute::MESSAGE_INTEGRITY if integrity_at.is_none() => integrity_at = Some(at),
            attribute::FINGERPRINT => check_fingerprint(message, at, found.value, after)?,
            // RFC 8489 14: what a type means is for whoever reads the message; here only the shape counts.
            _ => {}
        }
        rest = after;
    }
    if rest.is_empty() { Ok(integrity_at) } else { Err(Discard::StunMalformed) }
}

/// RFC 8489 14.7: FINGERPRINT is the last attribute and covers all before it.
fn check_fingerprint(message: &[u8], at: usize, value: &[u8], after: &[u8]) -> Result<(), Discard> {
    let said: [u8; 4] = value.try_into().map_err(|_| Discard::StunMalformed)?;
    let covered = message.get(..at).ok_or(Discard::StunMalformed)?;
    if !after.is_empty() || u32::from_be_bytes(said) != fingerprint(covered) {
        return Err(Discard::StunMalformed);
    }
    Ok(())
}

fn split_at_integrity(message: &[u8], at: usize) -> Result<(&[u8], Option<Integrity<'_>>), Discard> {
    let (covered, rest) = message.split_at_checked(at).ok_or(Discard::StunMalformed)?;
    let attributes = covered.get(HEADER_LEN..).ok_or(Discard::StunMalformed)?;
    let (found, _) = split_attribute(rest).ok_or(Discard::StunMalformed)?;
    let tag = found.value.try_into().map_err(|_| Discard::StunMalformed)?;
    Ok((attributes, Some(Integrity { covered, tag })))
}

/// Takes one attribute and its padding off the front.
fn split_attribute(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let (&[k0, k1, l0, l1], rest) = bytes.split_first_chunk::<ATTRIBUTE_HEADER_LEN>()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(..len)?;
    let after = rest.get(len.next_multiple_of(4)..)?;
    Some((Attribute { kind: u16::from_be_bytes([k0, k1]), value }, after))
}
