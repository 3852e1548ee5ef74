//! The structure of a DTLS datagram, looked at before the protocol engine sees it.
//!
//! Every error of the engine is the end of its association, so what is wrong on its face must not reach it: anybody who
//! can send from a validated address could end or stall a handshake with one datagram (a header-only fragment, say, takes
//! the place of the real one). In go bytes, out come the few facts that the association needs. Encrypted records are
//! opaque here. RFC 6347 4.1, 4.2.2; RFC 9147 4.

use super::Versions;

/// What is known of a well-formed datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// The random of the ClientHello that starts in this datagram: each attempt of a client has its own.
    pub(super) hello: Option<[u8; 32]>,
}

impl Outline {
    /// `None` when any record of the datagram is malformed, or is one that no client sends.
    pub(super) fn of(datagram: &[u8], versions: Versions) -> Option<Self> {
        let mut outline = Self::default();
        let mut rest = datagram;
        for _ in 0..RECORDS_MAX {
            rest = match (*rest.first()?, versions) {
                (CHANGE_CIPHER_SPEC..=APPLICATION_DATA, _) | (ACK, Versions::Dtls13) => outline.record(rest)?,
                (0b0010_0000..=0b0011_1111, Versions::Dtls13) => ciphertext(rest)?,
                _ => return None,
            };
            if rest.is_empty() {
                return Some(outline);
            }
        }
        None
    }

    /// Checks the record at the start of `bytes`; returns what follows it.
    fn record<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[content_type, major, minor, epoch_high, epoch, .., length_high, length_low], rest) =
            bytes.split_first_chunk::<RECORD_HEADER_LEN>()?;
        let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([length_high, length_low])))?;
        // RFC 6347 4.1: a first ClientHello says DTLS 1.0 here, all else 1.2, also in 1.3.
        if major != 0xfe || !matches!(minor, 0xfd | 0xff) || epoch_high != 0 {
            return None;
        }
        let valid = match (epoch, content_type) {
            (0, CHANGE_CIPHER_SPEC) => body.len() == 1,
            (0, ALERT) => body.len() == 2,
            (0, HANDSHAKE) => self.messages(body).is_some(),
            (0, ACK) => body.len() <= ACK_LEN_MAX,
            // Without renegotiation there is no epoch after the first protected one.
            (1, ALERT | HANDSHAKE | APPLICATION_DATA) => !body.is_empty(),
            _ => false,
        };
        valid.then_some(rest)
    }

    /// Checks the plaintext handshake messages, or fragments of messages, that fill a record.
    fn messages(&mut self, mut body: &[u8]) -> Option<()> {
        while {
            body = self.message(body)?;
            !body.is_empty()
        } {}
        Some(())
    }

    fn message<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[kind, l0, l1, l2, _, _, o0, o1, o2, f0, f1, f2], rest) =
            bytes.split_first_chunk::<MESSAGE_HEADER_LEN>()?;
        let (length, offset, len) = (uint24([l0, l1, l2]), uint24([o0, o1, o2]), uint24([f0, f1, f2]));
        let (fragment, rest) = rest.split_at_checked(len)?;
        // No message that a client sends in plaintext is empty, so an empty fragment only does harm.
        if !CLIENT_MESSAGES.contains(&kind) || len == 0 || offset + len > length || length > MESSAGE_LEN_MAX {
            return None;
        }
        if kind == CLIENT_HELLO && offset == 0 {
            // RFC 5246 7.4.1.2: client_version (2 bytes), random (32 bytes).
            self.hello = Some(fragment.get(2..34)?.try_into().ok()?);
        }
        Some(rest)
    }
}

/// RFC 9147 4: `001CSLEE`, sequence number, length, ciphertext. Returns what follows the record.
fn ciphertext(bytes: &[u8]) -> Option<&[u8]> {
    let (&flags, rest) = bytes.split_first()?;
    // We never negotiate connection ids.
    if flags & 0b1_0000 != 0 {
        return None;
    }
    let (_, rest) = rest.split_at_checked(if flags & 0b1000 == 0 { 1 } else { 2 })?;
    let (body, rest) = if flags & 0b100 == 0 {
        (rest, &[][..])
    } else {
        let (&length, rest) = rest.split_first_chunk()?;
        rest.split_at_checked(usize::from(u16::from_be_bytes(length)))?
    };
    // RFC 9147 4.2.3: the sequence number's mask is made of 16 bytes of ciphertext.
    (body.len() >= 16).then_some(rest)
}

fn uint24([high, middle, low]: [u8; 3]) -> usize {
    u32::from_be_bytes([0, high, middle, low]) as usize
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const ACK: u8 = 26;
const CLIENT_HELLO: u8 = 1;
/// ClientHello, Certificate, CertificateVerify, ClientKeyExchange; Finished is always encrypted.
const CLIENT_MESSAGES: [u8; 4] = [CLIENT_HELLO, 11, 15, 16];
const RECORD_HEADER_LEN: usize = 13;
const MESSAGE_HEADER_LEN: usize = 12;
/// A whole client flight in one datagram has five records; the engine takes eight.
const RECORDS_MAX: usize = 8;
/// A certificate chain of several certificates; browsers send one of 0.3 to 1 kB.
const MESSAGE_LEN_MAX: usize = 16 * 1024;
/// RFC 9147 7: a length and 16 bytes for each record that is acknowledged.
const ACK_LEN_MAX: usize = 2 + 16 * 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes =
            vec![content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 7, 0, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        bytes
    }

    fn fragment(kind: u8, length: u8, offset: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, length, 0, 0, 0, 0, offset, 0, 0, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        bytes
    }

    fn accepted(bytes: &[u8]) -> bool {
        Outline::of(bytes, Versions::Dtls12).is_some()
    }

    #[test]
    fn hello_is_known_by_its_random() {
        let mut body = vec![0xfe, 0xfd];
        body.extend([9; 32]);
        let first = record(22, 0, &fragment(1, 80, 0, &body));
        assert_eq!(Outline::of(&first, Versions::Dtls12), Some(Outline { hello: Some([9; 32]) }));
        let second = record(22, 0, &fragment(1, 80, 34, &[1; 46]));
        assert_eq!(Outline::of(&second, Versions::Dtls12), Some(Outline { hello: None }));
    }

    #[test]
    fn each_wrong_length_is_refused() {
        assert!(!accepted(&[]));
        assert!(!accepted(&record(22, 0, &[])));
        assert!(!accepted(&record(22, 0, &fragment(11, 40, 0, &[]))), "empty fragment");
        assert!(!accepted(&record(22, 0, &fragment(11, 40, 30, &[0; 20]))), "fragment beyond its message");
        assert!(!accepted(&record(22, 0, &fragment(1, 80, 0, &[0; 10]))), "hello that ends within its random");
        assert!(!accepted(&record(20, 0, &[1, 1])));
        assert!(!accepted(&record(21, 0, &[2])));
        let whole = record(22, 0, &fragment(11, 40, 0, &[0; 40]));
        assert!(accepted(&whole));
        for len in 0..whole.len() {
            assert!(!accepted(&whole[..len]), "cut to {len}");
        }
    }

    #[test]
    fn what_no_client_sends_is_refused() {
        assert!(!accepted(&record(22, 0, &fragment(2, 40, 0, &[0; 40]))), "ServerHello");
        assert!(!accepted(&record(22, 0, &fragment(20, 12, 0, &[0; 12]))), "Finished in plaintext");
        assert!(!accepted(&record(23, 0, &[0; 40])), "data in plaintext");
        assert!(!accepted(&record(20, 1, &[1])), "change of cipher in a protected epoch");
        assert!(!accepted(&record(22, 2, &[0; 40])), "second protected epoch");
        assert!(!accepted(&record(24, 0, &[0; 40])), "heartbeat");
        assert!(!accepted(&record(21, 0, &[1, 0]).repeat(9)), "more records than a flight has");
    }

    #[test]
    fn short_headers_belong_to_the_newer_version() {
        let sealed = [&[0b0010_1110, 0, 1, 0, 16][..], &[7; 16]].concat();
        assert!(Outline::of(&sealed, Versions::Dtls13).is_some());
        assert!(Outline::of(&sealed.repeat(2), Versions::Dtls13).is_some());
        assert!(Outline::of(&sealed[..20], Versions::Dtls13).is_none());
        assert!(!accepted(&sealed));
        let with_connection_id = [&[0b0011_1110, 0, 1, 0, 16][..], &[7; 16]].concat();
        assert!(Outline::of(&with_connection_id, Versions::Dtls13).is_none());
        let without_length = [&[0b0010_0010, 1][..], &[7; 16]].concat();
        assert!(Outline::of(&without_length, Versions::Dtls13).is_some());
    }
}
