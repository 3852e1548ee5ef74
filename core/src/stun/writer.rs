//! Writes one STUN message into memory it was lent.
//!
//! Every step gives `None` when the memory is too short. The header's length is right after each attribute, so a message
//! may be sealed at any point.

use super::message::{fingerprint, integrity_tag};
use super::{HEADER_LEN, MAGIC_COOKIE, Transaction, attribute};

#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut [u8], kind: u16, transaction: &Transaction) -> Option<Self> {
        let mut writer = Self { out, len: 0 };
        writer.put(&kind.to_be_bytes())?;
        writer.put(&[0, 0])?;
        writer.put(&MAGIC_COOKIE.to_be_bytes())?;
        writer.put(transaction)?;
        Some(writer)
    }

    /// Adds an attribute whose value is the given parts in a row, padded with zeros.
    pub(super) fn attribute(&mut self, kind: u16, parts: &[&[u8]]) -> Option<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        self.put(&kind.to_be_bytes())?;
        self.put(&u16::try_from(len).ok()?.to_be_bytes())?;
        for part in parts {
            self.put(part)?;
        }
        self.put([0; 3].get(..len.next_multiple_of(4) - len)?)?;
        self.set_len(self.len)
    }

    /// Adds MESSAGE-INTEGRITY and FINGERPRINT; gives the length of the message.
    pub(super) fn seal(mut self, password: &[u8]) -> Option<usize> {
        let tag = integrity_tag(self.out.get(..self.len)?, password)?;
        self.attribute(attribute::MESSAGE_INTEGRITY, &[tag.as_ref()])?;
        // RFC 8489 14.7: the length counts FINGERPRINT before the CRC is taken.
        self.set_len(self.len + 8)?;
        let crc = fingerprint(self.out.get(..self.len)?);
        self.attribute(attribute::FINGERPRINT, &[&crc.to_be_bytes()])?;
        Some(self.len)
    }

    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    fn set_len(&mut self, end: usize) -> Option<()> {
        let len = u16::try_from(end.checked_sub(HEADER_LEN)?).ok()?;
        self.out.get_mut(2..4)?.copy_from_slice(&len.to_be_bytes());
        Some(())
    }
}
