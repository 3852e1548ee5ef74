//! Redundant audio (RFC 2198) for viewers who know it, by their own payload types, and for those who do not.
//!
//! A publisher that sends Opus with redundancy is one publisher to all its viewers: who took the redundant format gets the
//! packet, its blocks under the viewer's payload type of Opus; who did not gets the primary block alone, which is a packet of
//! Opus. What becomes of a packet depends on the two formats and nothing else, so a repair has the same bytes.

use tidewire_core::codec::{Codec, red};
use tidewire_core::count::Discard;
use tidewire_core::negotiate::Spec;
use tidewire_core::ring::Stored;

/// What is done to a packet for one viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redundancy {
    /// It goes as it is: it has no blocks, or the viewer's payload types are the publisher's.
    Kept,
    /// Its blocks get the viewer's payload type.
    Retyped { to: u8 },
    /// Only the primary block goes.
    TakenOff,
}

impl Redundancy {
    /// Of a publisher's packets in one format, for a viewer who takes them in another.
    pub(super) fn between(from: &Spec, to: &Spec) -> Self {
        match (from.codec, to.codec) {
            (Codec::Red, Codec::Red) => match to.redundant_payload_type() {
                Some(own) if from.redundant_payload_type() != Some(own) => Self::Retyped { to: own },
                _ => Self::Kept,
            },
            (Codec::Red, _) => Self::TakenOff,
            _ => Self::Kept,
        }
    }

    pub(super) fn is_kept(self) -> bool {
        self == Self::Kept
    }

    /// The packet as far as it goes to the viewer. One without payload is padding, whatever its format.
    pub(super) fn cut<'a>(self, packet: &Stored<'a>) -> Result<Stored<'a>, Discard> {
        if self != Self::TakenOff || packet.payload.is_empty() {
            return Ok(*packet);
        }
        let payload = red::primary(packet.payload).ok_or(Discard::RtpMalformed)?;
        Ok(Stored { payload, body: payload, ..*packet })
    }

    /// Gives the blocks of a copied payload their types. One that cannot be read goes as it came.
    pub(super) fn retype(self, payload: &mut [u8]) {
        if let Self::Retyped { to } = self {
            red::retype(payload, |_| to);
        }
    }
}

#[cfg(test)]
mod tests {
    use tidewire_core::ring::Meta;

    use super::*;

    fn spec(codec: Codec, parameters: &str) -> Spec {
        Spec { codec, clock_rate: 48_000, channels: 2, parameters: parameters.to_owned() }
    }

    /// A block of two bytes, 960 ticks earlier, and a primary of three (RFC 2198 3).
    const PAYLOAD: [u8; 10] = [0x80 | 96, 0x0f, 0, 2, 96, 1, 2, 3, 4, 5];

    fn stored(payload: &[u8]) -> Stored<'_> {
        Stored { sequence: 7, meta: Meta::default(), extensions: &[], payload, body: payload }
    }

    #[test]
    fn a_viewer_without_the_redundant_format_gets_the_primary_block() {
        let red = Redundancy::between(&spec(Codec::Red, "96/96"), &spec(Codec::Opus, ""));
        assert_eq!(red, Redundancy::TakenOff);
        let cut = red.cut(&stored(&PAYLOAD)).unwrap();
        assert_eq!((cut.payload, cut.body, cut.is_padded()), (&[3, 4, 5][..], &[3, 4, 5][..], false));
        assert_eq!(red.cut(&stored(&[0x80, 1])).err(), Some(Discard::RtpMalformed));
        let padding = Stored { body: &[1], ..stored(&[]) };
        assert!(red.cut(&padding).unwrap().is_padded());
    }

    #[test]
    fn blocks_get_the_payload_type_of_the_viewer_where_it_is_another() {
        let own = spec(Codec::Red, "111/111");
        assert!(Redundancy::between(&own, &own).is_kept());
        assert!(Redundancy::between(&spec(Codec::Opus, ""), &spec(Codec::Opus, "")).is_kept());
        let red = Redundancy::between(&spec(Codec::Red, "96/96"), &own);
        let mut payload = PAYLOAD;
        red.retype(&mut payload);
        assert_eq!(payload, [0x80 | 111, 0x0f, 0, 2, 111, 1, 2, 3, 4, 5]);
        assert_eq!(red.cut(&stored(&PAYLOAD)).unwrap().payload, PAYLOAD);
    }
}
