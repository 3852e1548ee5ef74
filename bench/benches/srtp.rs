//! Question: what does SRTP add to its ciphers?
//!
//! Floor of sealing: the cipher alone over the same bytes, straight through aws-lc. What is left over is ours: the
//! nonce, the checks, the cutting of slices. `copy` stands beside it, since an AEAD seal out of place is a copy too.
//! Floor of opening: the same cipher opening in place. Ours adds the replay window and the search for the stream.
//! Expected: within 10 % of the floor at 1200 bytes; AES-CM with HMAC about four times AES-128-GCM.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tidewire_bench::{CpuTime, PAYLOAD_LENS, configuration, payload, profile_name, rtp, srtp_ends};
use tidewire_core::handshake::Profile;
use tidewire_core::rtp::Header;

const HEADER_LEN: usize = 36;

fn seal(c: &mut Criterion<CpuTime>) {
    for len in PAYLOAD_LENS {
        let plain = payload(len);
        for profile in Profile::ALL {
            let mut group = c.benchmark_group(format!("seal/{}/{len}", profile_name(profile)));
            group.throughput(Throughput::Bytes(len as u64));
            let mut slot = rtp(1, 0, &plain);

            let floor = Cipher::new(profile);
            slot.resize(HEADER_LEN + len + floor.tag_len(), 0);
            let mut index = 0;
            group.bench_function("floor", |b| {
                b.iter(|| {
                    index += 1;
                    floor.seal(index, &plain, black_box(&mut slot));
                });
            });

            group.bench_function("copy", |b| {
                b.iter(|| black_box(&mut slot)[HEADER_LEN..][..len].copy_from_slice(black_box(&plain)));
            });

            let (outbound, _) = srtp_ends(profile);
            group.bench_function("scattered", |b| {
                b.iter(|| {
                    let index = next(&mut index, &mut slot);
                    outbound.seal_rtp(index, HEADER_LEN, black_box(&plain), black_box(&mut slot)).unwrap()
                });
            });
            group.bench_function("in place", |b| {
                b.iter(|| {
                    let index = next(&mut index, &mut slot);
                    outbound.seal_rtp_in_place(index, HEADER_LEN, len, black_box(&mut slot)).unwrap()
                });
            });
        }
    }
}

fn open(c: &mut Criterion<CpuTime>) {
    for len in PAYLOAD_LENS {
        for profile in Profile::ALL {
            let mut group = c.benchmark_group(format!("open/{}/{len}", profile_name(profile)));
            group.throughput(Throughput::Bytes(len as u64));
            let cipher = Cipher::new(profile);
            let (outbound, mut inbound) = srtp_ends(profile);
            let mut plain = rtp(1, 0, &payload(len));
            plain.resize(plain.len() + outbound.rtp_overhead(), 0);

            // As many packets at a time as a shard's receive slots hold, so that the memory is as warm as there.
            let batch = BatchSize::NumIterations(128);
            let mut index = 0;
            group.bench_function("floor", |b| {
                let sealed = || {
                    index += 1;
                    let mut slot = plain.clone();
                    cipher.seal(index, &plain[HEADER_LEN..][..len], &mut slot);
                    (index, slot)
                };
                b.iter_batched_ref(sealed, |(index, slot)| cipher.open(*index, slot), batch);
            });

            let mut index = 0;
            group.bench_function("in place", |b| {
                let sealed = || {
                    let mut slot = plain.clone();
                    let index = next(&mut index, &mut slot);
                    outbound.seal_rtp_in_place(index, HEADER_LEN, len, &mut slot).unwrap();
                    (Header::parse(&slot).unwrap(), slot)
                };
                b.iter_batched_ref(sealed, |(header, slot)| inbound.open_rtp(header, slot).unwrap(), batch);
            });
        }
    }
}

/// Numbers the packet in `slot` as the next of its stream.
fn next(index: &mut u64, slot: &mut [u8]) -> u64 {
    *index += 1;
    slot[2..4].copy_from_slice(&(*index as u16).to_be_bytes());
    *index
}

/// The ciphers of a profile with nothing around them: what sealing and opening cost at least.
enum Cipher {
    Gcm(Box<LessSafeKey>),
    CounterMode(Box<(EncryptingKey, hmac::Key)>),
}

impl Cipher {
    fn new(profile: Profile) -> Self {
        let gcm = |algorithm: &'static Algorithm| {
            let key = UnboundKey::new(algorithm, &[7; 32][..algorithm.key_len()]).unwrap();
            Self::Gcm(Box::new(LessSafeKey::new(key)))
        };
        match profile {
            Profile::AeadAes256Gcm => gcm(&AES_256_GCM),
            Profile::AeadAes128Gcm => gcm(&AES_128_GCM),
            Profile::Aes128CmSha1_80 => {
                let cipher = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &[7; 16]).unwrap()).unwrap();
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[7; 20]);
                Self::CounterMode(Box::new((cipher, key)))
            }
        }
    }

    fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => 16,
            Self::CounterMode(_) => 10,
        }
    }

    fn seal(&self, index: u64, plain: &[u8], out: &mut [u8]) {
        let (header, rest) = out.split_at_mut(HEADER_LEN);
        let (body, tag) = rest.split_at_mut(plain.len());
        match self {
            Self::Gcm(key) => {
                key.seal_out_of_place_scatter(nonce(index), Aad::from(header), plain, body, &[], tag).unwrap();
            }
            Self::CounterMode(keys) => {
                body.copy_from_slice(plain);
                apply_key_stream(&keys.0, index, body);
                let covered = HEADER_LEN + plain.len();
                let signature = hmac::sign(&keys.1, &out[..covered]);
                out[covered..].copy_from_slice(&signature.as_ref()[..10]);
            }
        }
    }

    fn open(&self, index: u64, packet: &mut [u8]) {
        let covered = packet.len() - self.tag_len();
        match self {
            Self::Gcm(key) => {
                let (header, body) = packet.split_at_mut(HEADER_LEN);
                key.open_in_place(nonce(index), Aad::from(header), body).unwrap();
            }
            Self::CounterMode(keys) => {
                let signature = hmac::sign(&keys.1, &packet[..covered]);
                assert_eq!(signature.as_ref()[..10], packet[covered..]);
                apply_key_stream(&keys.0, index, &mut packet[HEADER_LEN..covered]);
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
    key.less_safe_encrypt(body, EncryptionContext::Iv128(FixedLength::from(counter))).unwrap();
}

criterion_group! {
    name = benches;
    config = configuration();
    targets = seal, open
}
criterion_main!(benches);
