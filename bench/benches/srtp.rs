//! Question: what does SRTP add to its ciphers?
//!
//! Floor of sealing: the cipher alone over the same bytes, straight through aws-lc. What is left over is ours: the
//! nonce, the checks, the cutting of slices. `copy` stands beside it, since an AEAD seal out of place is a copy too.
//! Floor of opening: the same cipher opening in place. Ours adds the replay window and the search for the stream.
//! Expected: within 10 % of the floor at 1200 bytes; AES-CM with HMAC about four times AES-128-GCM.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tidewire_bench::cipher::Cipher;
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
                    floor.seal(index, HEADER_LEN, &plain, black_box(&mut slot));
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
                    cipher.seal(index, HEADER_LEN, &plain[HEADER_LEN..][..len], &mut slot);
                    (index, slot)
                };
                b.iter_batched_ref(sealed, |(index, slot)| cipher.open(*index, HEADER_LEN, slot), batch);
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

criterion_group! {
    name = benches;
    config = configuration();
    targets = seal, open
}
criterion_main!(benches);
