//! SRTCP sealed by ring: what a thousand viewers report ten times a second must not be what keeps the tool busy.
//!
//! webrtc-srtp takes several times as long for the same bytes; it is the judge of these in the tests. AES-GCM only
//! (RFC 7714 9); keys are derived as RFC 3711 4.3 says. Nothing is opened here.

use aes::cipher::{BlockEncrypt as _, KeyInit as _};
use aes::{Aes128, Aes256};
use anyhow::{Context as _, Result, ensure};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// One direction of SRTCP, with one index for all senders in it (each sees it grow, which is all that is asked).
pub(super) struct RtcpSealer {
    key: LessSafeKey,
    salt: [u8; 12],
    index: u32,
}

impl RtcpSealer {
    /// From a master key of 16 or 32 bytes and a master salt of 12.
    pub(super) fn new(master_key: &[u8], master_salt: &[u8]) -> Result<Self> {
        let salt: [u8; 12] = master_salt.try_into().context("a salt that is not AES-GCM's")?;
        let mut key = derive(master_key, salt, LABEL_RTCP_KEY)?;
        key.truncate(master_key.len());
        let mut session_salt = [0; 12];
        session_salt.copy_from_slice(&derive(master_key, salt, LABEL_RTCP_SALT)?[..12]);
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, &key).ok().context("a key of the right length")?;
        Ok(Self { key: LessSafeKey::new(key), salt: session_salt, index: 0 })
    }

    /// Seals a compound packet into `out`, whose former contents go.
    pub(super) fn seal(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let (header, body) = packet.split_at_checked(8).context("an RTCP packet without a sender")?;
        self.index = (self.index + 1) & 0x7fff_ffff;
        let index = (ENCRYPTED | self.index).to_be_bytes();
        out.clear();
        out.extend_from_slice(header);
        out.extend_from_slice(body);
        // RFC 7714 17: the header and the index with its flag are authenticated.
        let mut associated = [0; 12];
        associated[..8].copy_from_slice(header);
        associated[8..].copy_from_slice(&index);
        let nonce = Nonce::assume_unique_for_key(self.nonce(&header[4..8]));
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(associated), &mut out[8..]);
        out.extend_from_slice(tag.ok().context("sealing")?.as_ref());
        out.extend_from_slice(&index);
        Ok(())
    }

    /// RFC 7714 9.1: two zeros, the SSRC, two zeros, the index; all of it under the salt.
    fn nonce(&self, ssrc: &[u8]) -> [u8; 12] {
        let mut nonce = self.salt;
        nonce[2..6].iter_mut().zip(ssrc).for_each(|(byte, other)| *byte ^= other);
        nonce[8..].iter_mut().zip(self.index.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        nonce
    }
}

/// 32 bytes of the key stream for this label (RFC 3711 4.3.3, RFC 6188 2 for long keys).
fn derive(master_key: &[u8], master_salt: [u8; 12], label: u8) -> Result<Vec<u8>> {
    ensure!([16, 32].contains(&master_key.len()), "a master key of {} bytes", master_key.len());
    let block = |counter: u8| {
        let mut block = [0; 16];
        block[..12].copy_from_slice(&master_salt);
        block[7] ^= label;
        block[15] = counter;
        let mut block = block.into();
        if master_key.len() == 32 {
            Aes256::new(master_key.into()).encrypt_block(&mut block);
        } else {
            Aes128::new(master_key.into()).encrypt_block(&mut block);
        }
        block
    };
    Ok([block(0), block(1)].concat())
}

const LABEL_RTCP_KEY: u8 = 3;
const LABEL_RTCP_SALT: u8 = 5;
/// RFC 3711 3.4: the E flag in front of the index.
const ENCRYPTED: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use webrtc_srtp::context::Context;
    use webrtc_srtp::protection_profile::ProtectionProfile;

    use super::*;
    use crate::client::rtcp;

    fn webrtc_srtp_opens_what_is_sealed(profile: ProtectionProfile) {
        let key: Vec<u8> = (1..=profile.key_len() as u8).collect();
        let salt: Vec<u8> = (100..100 + profile.salt_len() as u8).collect();
        let mut sealer = RtcpSealer::new(&key, &salt).unwrap();
        let mut judge = Context::new(&key, &salt, profile, None, None).unwrap();
        let mut sealed = Vec::new();
        for sender in 1..300 {
            let packet = rtcp::write_receiver_report(sender, &[], "somebody");
            sealer.seal(&packet, &mut sealed).unwrap();
            assert_eq!(judge.decrypt_rtcp(&sealed).unwrap().as_ref(), packet.as_slice());
        }
        sealed[9] ^= 1;
        assert!(judge.decrypt_rtcp(&sealed).is_err());
    }

    #[test]
    fn webrtc_srtp_opens_what_is_sealed_with_a_short_key() {
        webrtc_srtp_opens_what_is_sealed(ProtectionProfile::AeadAes128Gcm);
    }

    #[test]
    fn webrtc_srtp_opens_what_is_sealed_with_a_long_key() {
        webrtc_srtp_opens_what_is_sealed(ProtectionProfile::AeadAes256Gcm);
    }

    #[test]
    fn a_packet_without_a_sender_is_refused() {
        let mut sealer = RtcpSealer::new(&[1; 16], &[2; 12]).unwrap();
        assert!(sealer.seal(&[0x80, 201, 0, 0], &mut Vec::new()).is_err());
        assert!(RtcpSealer::new(&[1; 24], &[2; 12]).is_err());
    }
}
