//! RTP packets (RFC 3550 5.1), as much of them as a client needs: a reader that cannot fail on hostile bytes, and a writer.
//!
//! A one-byte header extension (RFC 8285 4.2) is read by id and written for MID alone.

/// A packet whose fixed header, extension and padding are known to fit.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    payload_start: usize,
    payload_end: usize,
}

impl<'a> Packet<'a> {
    /// Reads a decrypted packet.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let first = *bytes.first()?;
        if bytes.len() < 12 || first >> 6 != 2 {
            return None;
        }
        let mut payload_start = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let words = bytes.get(payload_start + 2..payload_start + 4)?;
            payload_start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let padding = if first & 0x20 != 0 { usize::from(*bytes.last()?) } else { 0 };
        let payload_end = bytes.len().checked_sub(padding)?;
        (payload_start <= payload_end).then_some(Self { bytes, payload_start, payload_end })
    }

    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    /// The payload without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload_start..self.payload_end]
    }

    /// The value of a one-byte header extension.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        if self.bytes[0] & 0x10 == 0 {
            return None;
        }
        let start = 12 + 4 * usize::from(self.bytes[0] & 0x0f);
        let profile = u16::from_be_bytes([self.bytes[start], self.bytes[start + 1]]);
        let elements = &self.bytes[start + 4..self.payload_start];
        if profile == 0xbede { one_byte_element(elements, id) } else { two_byte_element(elements, id) }
    }
}

/// The transport-wide sequence number (two bytes of a header extension) of a packet that may still be encrypted.
pub fn transport_number(packet: &[u8], id: u8) -> Option<u16> {
    // What looks like padding at the end of an encrypted packet says nothing of it.
    let mut header = [0; HEADER_LEN_MAX];
    let len = packet.len().min(HEADER_LEN_MAX);
    header[..len].copy_from_slice(&packet[..len]);
    header[0] &= !0x20;
    let value = Packet::parse(&header[..len])?.extension(id)?;
    value.try_into().ok().map(u16::from_be_bytes)
}

/// More than any header that is sent to us.
const HEADER_LEN_MAX: usize = 128;

fn one_byte_element(mut elements: &[u8], id: u8) -> Option<&[u8]> {
    while let Some((&first, rest)) = elements.split_first() {
        if first == 0 {
            elements = rest;
            continue;
        }
        let len = usize::from(first & 0x0f) + 1;
        let value = rest.get(..len)?;
        if first >> 4 == id {
            return Some(value);
        }
        elements = &rest[len..];
    }
    None
}

fn two_byte_element(mut elements: &[u8], id: u8) -> Option<&[u8]> {
    while let Some((&found, rest)) = elements.split_first() {
        if found == 0 {
            elements = rest;
            continue;
        }
        let (&len, rest) = rest.split_first()?;
        let value = rest.get(..usize::from(len))?;
        if found == id {
            return Some(value);
        }
        elements = &rest[usize::from(len)..];
    }
    None
}

/// The fields of a packet that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The MID header extension: its id and its value.
    pub mid: Option<(u8, &'a str)>,
}

impl Header<'_> {
    /// Bytes of this header on the wire.
    pub fn len(&self) -> usize {
        12 + self.mid.map_or(0, |(_, mid)| 4 + (1 + mid.len()).next_multiple_of(4))
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// Header and payload as one packet.
    pub fn write(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() + payload.len());
        bytes.push(if self.mid.is_some() { 0x90 } else { 0x80 });
        bytes.push(u8::from(self.marker) << 7 | self.payload_type);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some((id, mid)) = self.mid {
            let padded = (1 + mid.len()).next_multiple_of(4);
            bytes.extend_from_slice(&0xbede_u16.to_be_bytes());
            bytes.extend_from_slice(&((padded / 4) as u16).to_be_bytes());
            bytes.push(id << 4 | (mid.len() - 1) as u8);
            bytes.extend_from_slice(mid.as_bytes());
            bytes.resize(12 + 4 + padded, 0);
        }
        bytes.extend_from_slice(payload);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_packet_reads_back() {
        let header = Header {
            marker: true,
            payload_type: 96,
            sequence: 65_535,
            timestamp: 5,
            ssrc: 0xdead_beef,
            mid: Some((3, "vid0")),
        };
        let bytes = header.write(b"payload");
        assert_eq!(bytes.len(), header.len() + 7);
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.marker());
        assert_eq!((packet.payload_type(), packet.sequence(), packet.timestamp()), (96, 65_535, 5));
        assert_eq!((packet.ssrc(), packet.payload()), (0xdead_beef, b"payload".as_slice()));
        assert_eq!(packet.extension(3), Some(b"vid0".as_slice()));
        assert_eq!(packet.extension(4), None);
    }

    #[test]
    fn a_transport_number_is_read_from_an_encrypted_packet() {
        let header = [0xb0, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x51, 0x12, 0x34, 0];
        let packet = [header.as_slice(), &[0xff; 1200]].concat();
        assert_eq!(transport_number(&packet, 5), Some(0x1234));
        assert_eq!(transport_number(&packet, 6), None);
        assert_eq!(transport_number(&packet[..11], 5), None);
    }

    #[test]
    fn padding_is_not_payload() {
        let mut bytes =
            Header { marker: false, payload_type: 0, sequence: 1, timestamp: 2, ssrc: 3, mid: None }.write(b"ab");
        bytes[0] |= 0x20;
        bytes.extend_from_slice(&[0, 0, 3]);
        assert_eq!(Packet::parse(&bytes).unwrap().payload(), b"ab");
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert!(Packet::parse(&[0x80; 11]).is_none());
        assert!(Packet::parse(&[0xb0; 12]).is_none());
        assert!(Packet::parse(&[[0xa0; 11].as_slice(), &[200]].concat()).is_none());
    }
}
