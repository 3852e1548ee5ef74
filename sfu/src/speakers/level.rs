//! What a publisher says of a packet's sound: the client-to-mixer audio level (RFC 6464).
//!
//! One byte, whichever form the header extension has (RFC 8285 4.2, 4.3): a bit for voice, and seven for how far below the loudest
//! possible sound the packet is. A publisher says it of itself, and may lie; what that can do is in the documentation.

use tidewire_core::negotiate::{Extension, Extensions};
use tidewire_core::rtp::Header;

/// See the module's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Decibels above silence: 0 for digital silence, 127 for the loudest sound.
    pub(super) loudness_db: u8,
    /// RFC 6464 3: the publisher takes it for voice. Who does not look for voice leaves the bit at 0.
    pub(super) is_voice: bool,
}

impl Level {
    /// The level in a packet's header; `ids` are those of its section.
    pub(crate) fn read(header: &Header, packet: &[u8], ids: &Extensions) -> Option<Self> {
        let level = ids.id(Extension::AudioLevel)?;
        let (_, data) = header.extensions(packet).find(|(id, _)| *id == level)?;
        data.first().copied().map(Self::of)
    }

    /// RFC 6464 3: V, and the level in -dBov.
    const fn of(byte: u8) -> Self {
        Self { loudness_db: 127 - (byte & 0x7f), is_voice: byte & 0x80 != 0 }
    }

    /// Sound at so many decibels below the loudest.
    #[cfg(test)]
    pub(super) const fn below(dbov: u8) -> Self {
        Self::of(dbov)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(extension: &[u8]) -> Option<Level> {
        let mut ids = Extensions::default();
        ids.bind(Extension::AudioLevel, 3);
        let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend(extension);
        Level::read(&Header::parse(&packet).unwrap(), &packet, &ids)
    }

    #[test]
    fn the_level_is_read_in_either_form_of_the_extension() {
        let loud = Some(Level { loudness_db: 107, is_voice: true });
        assert_eq!(read(&[0xbe, 0xde, 0, 1, 0x30, 0x80 | 20, 0, 0]), loud);
        assert_eq!(read(&[0x10, 0, 0, 1, 3, 1, 0x80 | 20, 0]), loud);
        assert_eq!(read(&[0xbe, 0xde, 0, 1, 0x30, 127, 0, 0]), Some(Level { loudness_db: 0, is_voice: false }));
    }

    #[test]
    fn a_packet_without_it_or_with_nothing_in_it_has_no_level() {
        assert_eq!(read(&[0xbe, 0xde, 0, 1, 0x40, 20, 0, 0]), None);
        assert_eq!(read(&[0x10, 0, 0, 1, 3, 0, 0, 0]), None);
    }
}
