//! A checked view over an RTP packet (RFC 3550 5.1) and its header extensions (RFC 8285).
//!
//! `Header::parse` looks at the header once and keeps offsets; nothing is copied, nothing panics, whatever the bytes.
//! Serial-number arithmetic for sequence numbers and timestamps lives here too.

use crate::count::Discard;

/// The fixed part of an RTP header, in bytes.
pub const FIXED_LEN: usize = 12;

/// The profile identifiers of the one-byte and the two-byte form (RFC 8285 4.2, 4.3).
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// What the header of a packet says. Offsets are into the packet it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub padded: bool,
    /// Extension profile, and the place of the extension data.
    extension: Option<(u16, u16, u16)>,
    /// Bytes of the whole header, extension included: where the payload starts.
    pub len: usize,
}

impl Header {
    /// Reads the header; the payload may still be encrypted.
    pub fn parse(packet: &[u8]) -> Result<Self, Discard> {
        let fixed: &[u8; FIXED_LEN] = packet.first_chunk().ok_or(Discard::Truncated)?;
        if fixed[0] >> 6 != 2 {
            return Err(Discard::RtpMalformed);
        }
        let mut len = FIXED_LEN + 4 * usize::from(fixed[0] & 0x0f);
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let head = packet.get(len..len + 4).ok_or(Discard::RtpMalformed)?;
            let profile = u16::from_be_bytes([head[0], head[1]]);
            let bytes = 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
            let start = len + 4;
            len = start + bytes;
            let (start, end) = (u16::try_from(start), u16::try_from(len));
            let (Ok(start), Ok(end)) = (start, end) else { return Err(Discard::RtpMalformed) };
            extension = Some((profile, start, end));
        }
        if packet.len() < len {
            return Err(Discard::RtpMalformed);
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            padded: fixed[0] & 0x20 != 0,
            extension,
            len,
        })
    }

    /// The elements of the header extension, in their order; none if `packet` is not the one parsed.
    #[inline]
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        let (profile, bytes) = self
            .extension
            .and_then(|(profile, start, end)| Some((profile, packet.get(usize::from(start)..usize::from(end))?)))
            .unwrap_or((ONE_BYTE_PROFILE, &[]));
        Extensions { profile, rest: bytes }
    }

    /// The payload of a decrypted packet, without its padding (RFC 3550 5.1: the last byte counts itself).
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Result<&'a [u8], Discard> {
        let body = packet.get(self.len..).ok_or(Discard::RtpMalformed)?;
        if !self.padded {
            return Ok(body);
        }
        let padding = usize::from(*body.last().ok_or(Discard::RtpMalformed)?);
        match body.len().checked_sub(padding) {
            Some(len) if padding > 0 => Ok(&body[..len]),
            _ => Err(Discard::RtpMalformed),
        }
    }
}

/// Iterates over (id, data) of a header extension in either form; stops at the first element that does not fit.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    profile: u16,
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, after) = self.rest.split_first()?;
            if first == 0 {
                // RFC 8285 4.1.1: a zero byte is padding.
                self.rest = after;
                continue;
            }
            let (id, len, data) = if self.profile == ONE_BYTE_PROFILE {
                (first >> 4, usize::from(first & 0x0f) + 1, after)
            } else if self.profile & 0xfff0 == TWO_BYTE_PROFILE {
                let (&len, data) = after.split_first()?;
                (first, usize::from(len), data)
            } else {
                return None;
            };
            // RFC 8285 4.2: id 15 of the one-byte form ends the walk.
            if self.profile == ONE_BYTE_PROFILE && id == 15 || data.len() < len {
                self.rest = &[];
                return None;
            }
            let (value, rest) = data.split_at(len);
            self.rest = rest;
            return Some((id, value));
        }
    }
}

/// Whether `a` comes after `b`, both modulo 2^16 (RFC 1982).
pub const fn sequence_after(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Extends a 16-bit sequence number to the 64-bit one nearest to `reference`; never below zero.
pub const fn extend_sequence(reference: u64, sequence: u16) -> u64 {
    let delta = sequence.wrapping_sub(reference as u16) as i16;
    match reference.checked_add_signed(delta as i64) {
        Some(extended) => extended,
        None => sequence as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_extensions_are_walked_past_padding() {
        let packet = [
            0x90, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, // fixed
            0xbe, 0xde, 0, 2, 0x10, 0xaa, 0, 0x31, 1, 2, 0, 0, // two elements among padding
            9, 9,
        ];
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.len, 24);
        let all: Vec<_> = header.extensions(&packet).collect();
        assert_eq!(all, [(1, &[0xaa][..]), (3, &[1, 2][..])]);
        assert_eq!(header.payload(&packet), Ok(&[9, 9][..]));
    }

    #[test]
    fn two_byte_extensions_may_be_empty() {
        let packet = [0x90, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x10, 0, 0, 1, 7, 0, 9, 1];
        let header = Header::parse(&packet).unwrap();
        // The second element claims a byte that is not there.
        assert_eq!(header.extensions(&packet).collect::<Vec<_>>(), [(7, &[][..])]);
    }

    #[test]
    fn padding_longer_than_the_payload_is_malformed() {
        let mut packet = vec![0xa0, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 2];
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet), Ok(&[1][..]));
        *packet.last_mut().unwrap() = 4;
        assert_eq!(header.payload(&packet), Err(Discard::RtpMalformed));
        *packet.last_mut().unwrap() = 0;
        assert_eq!(header.payload(&packet), Err(Discard::RtpMalformed));
    }

    #[test]
    fn sequence_numbers_extend_across_the_wrap() {
        assert_eq!(extend_sequence(65_535, 0), 65_536);
        assert_eq!(extend_sequence(65_536, 65_535), 65_535);
        assert_eq!(extend_sequence(3, 65_535), 65_535);
        assert!(sequence_after(0, 65_535) && !sequence_after(65_535, 0));
    }
}
