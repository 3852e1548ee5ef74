//! The ciphers of SRTP with nothing around them, straight through aws-lc: the floor of every bench that seals or opens.
//!
//! Lengths and layout are those of an SRTP packet (header, body, tag); nonces are any that differ, since they cost the
//! same. A packet that does not fit is a fault of the bench, and ends it.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use tidewire_core::handshake::Profile;

/// The ciphers of a profile with nothing around them: what sealing and opening cost at least.
pub enum Cipher {
    Gcm(Box<LessSafeKey>),
    CounterMode(Box<(EncryptingKey, hmac::Key)>),
}

impl Cipher {
    pub fn new(profile: Profile) -> Self {
        let gcm = |algorithm: &'static Algorithm| {
            let key = UnboundKey::new(algorithm, &[7; 32][..algorithm.key_len()]).expect(FITS);
            Self::Gcm(Box::new(LessSafeKey::new(key)))
        };
        match profile {
            Profile::AeadAes256Gcm => gcm(&AES_256_GCM),
            Profile::AeadAes128Gcm => gcm(&AES_128_GCM),
            Profile::Aes128CmSha1_80 => {
                let cipher = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &[7; 16]).expect(FITS)).expect(FITS);
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[7; 20]);
                Self::CounterMode(Box::new((cipher, key)))
            }
        }
    }

    pub fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => 16,
            Self::CounterMode(_) => 10,
        }
    }

    pub fn seal(&self, index: u64, header_len: usize, plain: &[u8], out: &mut [u8]) {
        let (header, rest) = out.split_at_mut(header_len);
        let (body, tag) = rest.split_at_mut(plain.len());
        match self {
            Self::Gcm(key) => {
                key.seal_out_of_place_scatter(nonce(index), Aad::from(header), plain, body, &[], tag).expect(FITS);
            }
            Self::CounterMode(keys) => {
                body.copy_from_slice(plain);
                apply_key_stream(&keys.0, index, body);
                let covered = header_len + plain.len();
                let signature = hmac::sign(&keys.1, &out[..covered]);
                out[covered..].copy_from_slice(&signature.as_ref()[..10]);
            }
        }
    }

    pub fn open(&self, index: u64, header_len: usize, packet: &mut [u8]) {
        let covered = packet.len() - self.tag_len();
        match self {
            Self::Gcm(key) => {
                let (header, body) = packet.split_at_mut(header_len);
                key.open_in_place(nonce(index), Aad::from(header), body).expect(FITS);
            }
            Self::CounterMode(keys) => {
                let signature = hmac::sign(&keys.1, &packet[..covered]);
                assert_eq!(signature.as_ref()[..10], packet[covered..]);
                apply_key_stream(&keys.0, index, &mut packet[header_len..covered]);
            }
        }
    }
}

fn nonce(index: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn apply_key_stream(key: &EncryptingKey, index: u64, body: &mut [u8]) {
    let counter = (u128::from(index) << 16).to_be_bytes();
    key.less_safe_encrypt(body, EncryptionContext::Iv128(FixedLength::from(counter))).expect(FITS);
}

const FITS: &str = "keys and packets of the right lengths";
