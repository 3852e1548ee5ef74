//! What a datagram is, by its first byte (RFC 7983 7, as updated by RFC 9443 3) and, for RTP and RTCP, its second
//! (RFC 5761 4). Looks at two bytes, allocates nothing, trusts nothing.

use crate::count::Discard;

/// The protocols that share a media port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

/// Classifies a datagram; what is none of ours is a discard with its reason.
pub fn classify(bytes: &[u8]) -> Result<Class, Discard> {
    let (&first, rest) = bytes.split_first().ok_or(Discard::Empty)?;
    match first {
        0..=3 => Ok(Class::Stun),
        20..=63 => Ok(Class::Dtls),
        // RFC 5761 4: RTCP packet types 192 to 223 stand where RTP has its marker and payload type.
        128..=191 => match rest.first() {
            Some(192..=223) => Ok(Class::Rtcp),
            Some(_) => Ok(Class::Rtp),
            None => Err(Discard::Truncated),
        },
        4..=19 | 64..=127 | 192..=255 => Err(Discard::UnknownProtocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_decides() {
        assert_eq!(classify(&[]), Err(Discard::Empty));
        assert_eq!(classify(&[0, 1]), Ok(Class::Stun));
        assert_eq!(classify(&[22, 254]), Ok(Class::Dtls));
        assert_eq!(classify(&[0x80, 96]), Ok(Class::Rtp));
        assert_eq!(classify(&[0x80, 0x80 | 96]), Ok(Class::Rtp));
        assert_eq!(classify(&[0x81, 200]), Ok(Class::Rtcp));
        assert_eq!(classify(&[0x80]), Err(Discard::Truncated));
        assert_eq!(classify(&[70, 0]), Err(Discard::UnknownProtocol));
    }
}
