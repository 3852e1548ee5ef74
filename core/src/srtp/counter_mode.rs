//! AES in counter mode with HMAC-SHA1, the tag cut to 80 bits (RFC 3711 4.1.1, 4.2.1).
//!
//! Every WebRTC client speaks it; it costs four times what AES-GCM does. The cipher works in place only; the tag
//! covers ciphertext, so that opening authenticates before it decrypts.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::derivation::SessionKeys;
use super::transform::{PacketId, Salt};

pub(super) struct CounterMode {
    cipher: EncryptingKey,
    authentication: hmac::Key,
    salt: Salt,
}

impl CounterMode {
    pub(super) const TAG_LEN: usize = 10;

    pub(super) fn new(keys: &SessionKeys) -> Self {
        let cipher = UnboundCipherKey::new(&AES_128, &keys.cipher).and_then(EncryptingKey::ctr);
        Self {
            cipher: cipher.expect("a session key of the profile's length"),
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.authentication),
            salt: Salt::new(&keys.salt),
        }
    }

    pub(super) fn seal_rtp_in_place(
        &self,
        packet: PacketId,
        header: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.apply_key_stream(packet, body)?;
        tag.copy_from_slice(&self.tag(header, body, rollover(packet)));
        Ok(())
    }

    pub(super) fn open_rtp(
        &self,
        packet: PacketId,
        header: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        verify_slices_are_equal(&self.tag(header, body, rollover(packet)), tag)?;
        self.apply_key_stream(packet, body)
    }

    pub(super) fn seal_rtcp(
        &self,
        packet: PacketId,
        clear: &[u8],
        word: [u8; 4],
        body: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.apply_key_stream(packet, body)?;
        tag.copy_from_slice(&self.tag(clear, body, word));
        Ok(())
    }

    pub(super) fn open_rtcp(
        &self,
        packet: PacketId,
        clear: &[u8],
        word: [u8; 4],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        verify_slices_are_equal(&self.tag(clear, body, word), tag)?;
        self.apply_key_stream(packet, body)
    }

    /// Encrypts or decrypts, which is the same.
    fn apply_key_stream(&self, packet: PacketId, body: &mut [u8]) -> Result<(), Unspecified> {
        let counter = (self.salt.mix(packet) << 16).to_be_bytes();
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        self.cipher.less_safe_encrypt(body, context).map(|_| ())
    }

    /// `last` is authenticated behind the body: SRTCP's index word, or SRTP's rollover counter, which is not sent.
    fn tag(&self, clear: &[u8], body: &[u8], last: [u8; 4]) -> [u8; Self::TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(clear);
        context.update(body);
        context.update(&last);
        let mut tag = [0; Self::TAG_LEN];
        tag.copy_from_slice(&context.sign().as_ref()[..Self::TAG_LEN]);
        tag
    }
}

/// RFC 3711 4.2: M is the authenticated portion, followed by the rollover counter.
fn rollover(packet: PacketId) -> [u8; 4] {
    ((packet.index >> 16) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::vectors::bytes;

    #[test]
    fn key_stream_matches_rfc_3711_b_2() {
        let keys = SessionKeys {
            cipher: bytes("2b7e151628aed2a6abf7158809cf4f3c").as_slice().try_into().unwrap(),
            salt: bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfd").as_slice().try_into().unwrap(),
            authentication: [0; 20],
        };
        let mut stream = vec![0; 0xff02 * 16];
        CounterMode::new(&keys).apply_key_stream(PacketId { ssrc: 0, index: 0 }, &mut stream).unwrap();
        let block = |n: usize| &stream[16 * n..][..16];
        assert_eq!(block(0), bytes("e03ead0935c95e80e166b16dd92b4eb4"));
        assert_eq!(block(1), bytes("d23513162b02d0f72a43a2fe4a5f97ab"));
        assert_eq!(block(2), bytes("41e95b3bb0a2e8dd477901e4fca894c0"));
        assert_eq!(block(0xfeff), bytes("ec8cdf7398607cb0f2d21675ea9ea1e4"));
        assert_eq!(block(0xff00), bytes("362b7c3c6773516318a077d7fc5073ae"));
        assert_eq!(block(0xff01), bytes("6a2cc3787889374fbeb4c81b17ba6c44"));
    }
}
