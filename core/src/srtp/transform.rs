//! The one choice between the two kinds of cipher, and what they have in common: how a packet becomes a nonce.
//!
//! A transform is keyed once, for SRTP or for SRTCP, and works on the pieces of one packet: the part in the clear, the
//! body, and what stands behind the body (the tag; for SRTCP the index word too). It has no state of its own.

use aws_lc_rs::error::Unspecified;

use super::counter_mode::CounterMode;
use super::derivation::{Protocol, SessionKeys};
use super::gcm::Gcm;
use crate::handshake::{MasterKey, Profile};
use crate::machine::Egress;

/// Which packet this is, under one key: what its nonce is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketId {
    pub(super) ssrc: u32,
    /// 48 bits for SRTP (ROC << 16 | SEQ), 31 for SRTCP.
    pub(super) index: u64,
}

pub(super) enum Transform {
    Gcm(Gcm),
    /// Boxed: its two key schedules are a kilobyte, and it is the rarer one.
    CounterMode(Box<CounterMode>),
}

impl Transform {
    /// Panics if the keys have not the profile's lengths, which `SrtpKeys::for_server` has made sure of.
    pub(super) fn derive(profile: Profile, master: &MasterKey, protocol: Protocol) -> Self {
        Self::new(profile, &SessionKeys::derive(profile, master, protocol))
    }

    pub(super) fn new(profile: Profile, keys: &SessionKeys) -> Self {
        match profile {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => Self::Gcm(Gcm::new(profile, keys)),
            Profile::Aes128CmSha1_80 => Self::CounterMode(Box::new(CounterMode::new(keys))),
        }
    }

    /// Has fetched what sealing begins with, once this itself is there.
    #[inline]
    pub(super) fn expect<E: Egress>(&self, egress: &E) {
        match self {
            Self::Gcm(gcm) => gcm.expect(egress),
            Self::CounterMode(counter_mode) => egress.expect(&**counter_mode),
        }
    }

    /// Bytes behind the body of an SRTP packet.
    #[inline]
    pub(super) const fn rtp_overhead(&self) -> usize {
        match self {
            Self::Gcm(_) => Gcm::TAG_LEN,
            Self::CounterMode(_) => CounterMode::TAG_LEN,
        }
    }

    /// Bytes behind the body of an SRTCP packet: the tag and the index word.
    pub(super) const fn rtcp_overhead(&self) -> usize {
        self.rtp_overhead() + 4
    }

    /// Encrypts `plain` into `body`, which is as long, and fills `tag`.
    #[inline]
    pub(super) fn seal_rtp(
        &self,
        packet: PacketId,
        header: &[u8],
        plain: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(packet, header, plain, body, tag),
            Self::CounterMode(counter_mode) => {
                body.copy_from_slice(plain);
                counter_mode.seal_rtp_in_place(packet, header, body, tag)
            }
        }
    }

    pub(super) fn seal_rtp_in_place(
        &self,
        packet: PacketId,
        header: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp_in_place(packet, header, body, tag),
            Self::CounterMode(counter_mode) => counter_mode.seal_rtp_in_place(packet, header, body, tag),
        }
    }

    /// Decrypts `body`; its content is lost if the tag is wrong.
    pub(super) fn open_rtp(
        &self,
        packet: PacketId,
        header: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(packet, header, body, tag),
            Self::CounterMode(counter_mode) => counter_mode.open_rtp(packet, header, body, tag),
        }
    }

    /// Encrypts `body` and fills `trailer`, the `rtcp_overhead` bytes behind it.
    pub(super) fn seal_rtcp(
        &self,
        packet: PacketId,
        clear: &[u8],
        body: &mut [u8],
        trailer: &mut [u8],
    ) -> Result<(), Unspecified> {
        let word = IndexWord::encrypted(packet.index).0.to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let (tag, place) = trailer.split_at_mut(Gcm::TAG_LEN);
                place.copy_from_slice(&word);
                gcm.seal_rtcp(packet, clear, word, body, tag)
            }
            Self::CounterMode(counter_mode) => {
                let (place, tag) = trailer.split_at_mut(word.len());
                place.copy_from_slice(&word);
                counter_mode.seal_rtcp(packet, clear, word, body, tag)
            }
        }
    }

    /// Decrypts `body`; its content is lost if the tag in `trailer` is wrong.
    pub(super) fn open_rtcp(
        &self,
        packet: PacketId,
        clear: &[u8],
        body: &mut [u8],
        trailer: &[u8],
    ) -> Result<(), Unspecified> {
        let word = self.index_word(trailer).0.to_be_bytes();
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(packet, clear, word, body, &trailer[..Gcm::TAG_LEN]),
            Self::CounterMode(counter_mode) => {
                counter_mode.open_rtcp(packet, clear, word, body, &trailer[word.len()..])
            }
        }
    }

    /// The index word in a trailer: before the HMAC tag (RFC 3711 3.4), behind the GCM tag (RFC 7714 9.2).
    pub(super) fn index_word(&self, trailer: &[u8]) -> IndexWord {
        let word = match self {
            Self::Gcm(_) => trailer.last_chunk(),
            Self::CounterMode(_) => trailer.first_chunk(),
        };
        IndexWord(word.map_or(0, |&bytes| u32::from_be_bytes(bytes)))
    }
}

/// The word of an SRTCP packet that holds its index, and whether it is encrypted (RFC 3711 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexWord(u32);

impl IndexWord {
    const ENCRYPTED: u32 = 1 << 31;

    /// The word of an encrypted packet; `index` has 31 bits.
    fn encrypted(index: u64) -> Self {
        Self(Self::ENCRYPTED | index as u32)
    }

    pub(super) const fn is_encrypted(self) -> bool {
        self.0 & Self::ENCRYPTED != 0
    }

    pub(super) const fn index(self) -> u64 {
        (self.0 & !Self::ENCRYPTED) as u64
    }
}

/// A session salt as a number: what a nonce is before the packet is mixed in.
pub(super) struct Salt(u128);

impl Salt {
    pub(super) fn new(salt: &[u8]) -> Self {
        Self(salt.iter().fold(0, |number, &byte| number << 8 | u128::from(byte)))
    }

    /// RFC 3711 4.1.1, RFC 7714 8.1 and 9.1: the SSRC stands just above a 48-bit index, whatever the salt's length.
    #[inline]
    pub(super) const fn mix(&self, packet: PacketId) -> u128 {
        self.0 ^ (packet.ssrc as u128) << 48 ^ packet.index as u128
    }
}
