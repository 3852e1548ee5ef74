//! SRTP with webrtc-srtp: DTLS's exported bytes in, two one-way contexts out.
//!
//! Keys cross from webrtc-dtls as raw bytes, since the two crates' exporter traits come from different releases. There
//! is no replay window here: a duplicate must reach the player, whose business it is to count it. RFC 5764 4.2.

use anyhow::{Context as _, Result};
use webrtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use super::sealer::RtcpSealer;

/// The protection profiles that Tidewire speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    AeadAes256Gcm,
    AeadAes128Gcm,
    Aes128CmSha1_80,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::Aes128CmSha1_80];

    /// The name that the command line and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "aes-256-gcm",
            Self::AeadAes128Gcm => "aes-128-gcm",
            Self::Aes128CmSha1_80 => "aes-cm-sha1",
        }
    }

    /// Bytes that protection adds to an RTP packet.
    pub fn overhead_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 16,
            Self::Aes128CmSha1_80 => 10,
        }
    }

    pub(crate) fn for_dtls(self) -> SrtpProtectionProfile {
        match self {
            Self::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            Self::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            Self::Aes128CmSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        }
    }

    fn for_srtp(self) -> ProtectionProfile {
        match self {
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        }
    }

    /// Bytes to export from DTLS: both ends' keys, then both ends' salts.
    pub(crate) fn keying_len(self) -> usize {
        2 * (self.for_srtp().key_len() + self.for_srtp().salt_len())
    }
}

/// Both directions of one call, seen from the DTLS client.
pub struct Protection {
    seal: Context,
    open: Context,
    /// Seals SRTCP where the profile is AES-GCM: webrtc-srtp is too slow for the feedback of a thousand viewers.
    seal_rtcp: Option<RtcpSealer>,
}

impl Protection {
    /// Splits the exported block (RFC 5764 4.2) and builds both contexts.
    pub(crate) fn from_exported(profile: Profile, block: &[u8]) -> Result<Self> {
        let (key_len, salt_len) = (profile.for_srtp().key_len(), profile.for_srtp().salt_len());
        let (keys, salts) = block.split_at_checked(2 * key_len).context("exported block too short")?;
        let (client_key, server_key) = keys.split_at(key_len);
        let (client_salt, server_salt) = salts.split_at_checked(salt_len).context("exported block too short")?;
        Self::of_keys(profile, (client_key, client_salt), (server_key, server_salt))
    }

    /// From a master key and salt for each direction: what we seal with, and what we open with.
    pub(crate) fn of_keys(profile: Profile, seal: (&[u8], &[u8]), open: (&[u8], &[u8])) -> Result<Self> {
        let seal_rtcp = match profile {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => Some(RtcpSealer::new(seal.0, seal.1)?),
            Profile::Aes128CmSha1_80 => None,
        };
        Ok(Self {
            seal: Context::new(seal.0, seal.1, profile.for_srtp(), None, None)?,
            open: Context::new(open.0, open.1, profile.for_srtp(), None, None)?,
            seal_rtcp,
        })
    }

    pub fn seal_rtp(&mut self, packet: &[u8]) -> Result<impl AsRef<[u8]> + use<>> {
        Ok(self.seal.encrypt_rtp(packet)?)
    }

    /// Seals a compound packet into `out`, whose former contents go.
    pub fn seal_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if let Some(sealer) = &mut self.seal_rtcp {
            return sealer.seal(packet, out);
        }
        out.clear();
        out.extend_from_slice(&self.seal.encrypt_rtcp(packet)?);
        Ok(())
    }

    pub fn open_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>> {
        Ok(self.open.decrypt_rtp(packet)?.into())
    }

    pub fn open_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>> {
        Ok(self.open.decrypt_rtcp(packet)?.into())
    }
}
