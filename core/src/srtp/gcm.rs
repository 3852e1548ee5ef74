//! AES-GCM for SRTP and SRTCP (RFC 7714), with 128- or 256-bit keys.
//!
//! One pass encrypts, copies and authenticates. The nonce is 96 bits; the tag is always 16 bytes.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

use super::RTCP_CLEAR_LEN;
use super::derivation::SessionKeys;
use super::transform::{PacketId, Salt};
use crate::handshake::Profile;
use crate::machine::Egress;

// A key lies behind pointers: what stands in this value itself may be taken for addresses.
const _: () = assert!(size_of::<LessSafeKey>() == 3 * size_of::<usize>());

pub(super) struct Gcm {
    key: LessSafeKey,
    salt: Salt,
}

impl Gcm {
    pub(super) const TAG_LEN: usize = 16;

    /// Bytes that aws-lc keeps of a key, behind a pointer: its schedule, and powers of the hash's key.
    const SCHEDULE_LEN: usize = 600;

    pub(super) fn new(profile: Profile, keys: &SessionKeys) -> Self {
        let algorithm = if profile.key_len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, &keys.cipher).expect("a session key of the profile's length");
        Self { key: LessSafeKey::new(key), salt: Salt::new(&keys.salt) }
    }

    /// Has fetched what sealing begins with.
    #[inline]
    pub(super) fn expect<E: Egress>(&self, egress: &E) {
        egress.expect_behind(&self.key, Self::SCHEDULE_LEN);
    }

    #[inline]
    pub(super) fn seal_rtp(
        &self,
        packet: PacketId,
        header: &[u8],
        plain: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.key.seal_out_of_place_scatter(self.nonce(packet), Aad::from(header), plain, body, &[], tag)
    }

    pub(super) fn seal_rtp_in_place(
        &self,
        packet: PacketId,
        header: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.key.seal_in_place_scatter(self.nonce(packet), Aad::from(header), body, &[], tag)
    }

    pub(super) fn open_rtp(
        &self,
        packet: PacketId,
        header: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        self.key.open_in_place_separate_tag(self.nonce(packet), Aad::from(header), tag, body).map(|_| ())
    }

    pub(super) fn seal_rtcp(
        &self,
        packet: PacketId,
        clear: &[u8],
        word: [u8; 4],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        let covered = Aad::from(rtcp_covered(clear, word)?);
        self.key.seal_in_place_scatter(self.nonce(packet), covered, body, &[], tag)
    }

    pub(super) fn open_rtcp(
        &self,
        packet: PacketId,
        clear: &[u8],
        word: [u8; 4],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        let covered = Aad::from(rtcp_covered(clear, word)?);
        self.key.open_in_place_separate_tag(self.nonce(packet), covered, tag, body).map(|_| ())
    }

    #[inline]
    fn nonce(&self, packet: PacketId) -> Nonce {
        let [_, _, _, _, nonce @ ..] = self.salt.mix(packet).to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }
}

/// RFC 7714 9.2: what SRTCP authenticates in the clear is its header and, from the packet's other end, the index word.
fn rtcp_covered(clear: &[u8], word: [u8; 4]) -> Result<[u8; RTCP_CLEAR_LEN + 4], Unspecified> {
    let clear: [u8; RTCP_CLEAR_LEN] = clear.try_into().map_err(|_| Unspecified)?;
    let mut covered = [0; RTCP_CLEAR_LEN + 4];
    covered[..RTCP_CLEAR_LEN].copy_from_slice(&clear);
    covered[RTCP_CLEAR_LEN..].copy_from_slice(&word);
    Ok(covered)
}
