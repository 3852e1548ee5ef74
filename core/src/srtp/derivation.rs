//! From a master key to session keys (RFC 3711 4.3 with key derivation rate 0).
//!
//! The pseudo-random function is AES in counter mode, with as long a key as the profile's cipher has (RFC 3711 4.3.3,
//! RFC 7714 11). A 96-bit master salt is read as a 112-bit one that ends in zeros.

use arrayvec::ArrayVec;
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use crate::handshake::{MasterKey, Profile};

/// What one direction of SRTP, or of SRTCP, works with.
pub(super) struct SessionKeys {
    pub(super) cipher: ArrayVec<u8, 32>,
    /// As long as the profile's master salt.
    pub(super) salt: ArrayVec<u8, 14>,
    /// Unused by the AEAD profiles.
    pub(super) authentication: [u8; 20],
}

/// The two protocols that share a master key; each has its own three labels (RFC 3711 4.3.1, 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Srtp,
    Srtcp,
}

impl SessionKeys {
    /// Panics if the master key has not the profile's lengths, which `SrtpKeys::for_server` has made sure of.
    pub(super) fn derive(profile: Profile, master: &MasterKey, protocol: Protocol) -> Self {
        assert_eq!(master.salt.len(), profile.salt_len(), "a master salt for another profile");
        let generator = Generator::new(profile, master);
        let first_label = match protocol {
            Protocol::Srtp => 0,
            Protocol::Srtcp => 3,
        };
        let mut keys = Self {
            cipher: ArrayVec::from_iter(std::iter::repeat_n(0, profile.key_len())),
            salt: ArrayVec::from_iter(std::iter::repeat_n(0, profile.salt_len())),
            authentication: [0; 20],
        };
        generator.fill(first_label, &mut keys.cipher);
        generator.fill(first_label + 1, &mut keys.authentication);
        generator.fill(first_label + 2, &mut keys.salt);
        keys
    }
}

/// AES-CM keyed with the master key.
struct Generator {
    key: EncryptingKey,
    salt: u128,
}

impl Generator {
    fn new(profile: Profile, master: &MasterKey) -> Self {
        let algorithm = match profile {
            Profile::AeadAes256Gcm => &AES_256,
            Profile::AeadAes128Gcm | Profile::Aes128CmSha1_80 => &AES_128,
        };
        let key = UnboundCipherKey::new(algorithm, &master.key).and_then(EncryptingKey::ctr);
        let mut salt = [0; 16];
        salt[2..][..master.salt.len()].copy_from_slice(&master.salt);
        Self { key: key.expect("a master key of the profile's length"), salt: u128::from_be_bytes(salt) }
    }

    /// Key stream for `label`: with rate 0 the index divided by the rate is 0, so the label alone tells the keys apart.
    fn fill(&self, label: u8, out: &mut [u8]) {
        let iv = (self.salt ^ u128::from(label) << 48) << 16;
        let context = EncryptionContext::Iv128(FixedLength::from(iv.to_be_bytes()));
        out.fill(0);
        self.key.less_safe_encrypt(out, context).expect("counter mode takes any length");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::vectors::bytes;

    fn master(key: &str, salt: &str) -> MasterKey {
        MasterKey { key: bytes(key).as_slice().try_into().unwrap(), salt: bytes(salt).as_slice().try_into().unwrap() }
    }

    #[test]
    fn session_keys_match_rfc_3711_b_3() {
        let master = master("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6");
        let keys = SessionKeys::derive(Profile::Aes128CmSha1_80, &master, Protocol::Srtp);
        assert_eq!(keys.cipher[..], bytes("c61e7a93744f39ee10734afe3ff7a087"));
        assert_eq!(keys.salt[..], bytes("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(keys.authentication[..], bytes("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    }

    #[test]
    fn keys_of_256_bits_match_rfc_6188_7_2() {
        // The vector has a 112-bit salt, so it goes to the generator below the profile.
        let key = bytes("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
        let salt = bytes("3b04803de51ee7c96423ab5b78d2");
        let master = MasterKey { key: key.as_slice().try_into().unwrap(), salt: salt.as_slice().try_into().unwrap() };
        let generator = Generator::new(Profile::AeadAes256Gcm, &master);
        let (mut cipher, mut authentication, mut salt) = ([0; 32], [0; 20], [0; 14]);
        generator.fill(0, &mut cipher);
        generator.fill(1, &mut authentication);
        generator.fill(2, &mut salt);
        assert_eq!(cipher[..], bytes("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
        assert_eq!(authentication[..], bytes("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
        assert_eq!(salt[..], bytes("fa31791685ca444a9e07c6c64e93"));
    }

    #[test]
    fn srtp_and_srtcp_share_no_key() {
        let master = master("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6");
        let derive = |protocol| SessionKeys::derive(Profile::Aes128CmSha1_80, &master, protocol);
        let (rtp, rtcp) = (derive(Protocol::Srtp), derive(Protocol::Srtcp));
        assert_ne!(rtp.cipher, rtcp.cipher);
        assert_ne!(rtp.salt, rtcp.salt);
        assert_ne!(rtp.authentication, rtcp.authentication);
    }
}
