//! Question: what does it cost to tell STUN, DTLS, RTP and RTCP apart, when they come as they come?
//!
//! Floor: comparing the first byte of each of a batch of 128, which the compiler does in vectors; so several times that
//! is expected, and a few nanoseconds each. The mix is that of a publisher's shard: media with feedback among it, now
//! and then a consent check, rarely anything else.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidewire_bench::{CpuTime, configuration};
use tidewire_core::demux::{Class, classify};
use tidewire_core::limits::BATCH_LEN_MAX;
use tidewire_core::random::Seeded;

/// The first two bytes of what arrives, shuffled.
fn arrivals() -> Vec<[u8; 2]> {
    let mut random = Seeded::new(1);
    (0..BATCH_LEN_MAX)
        .map(|_| match random.below(100) {
            0 => [0, 1],
            1 => [23, 254],
            2 => [70, 0],
            3..=9 => [0x80, 201],
            _ => [0x90, 96],
        })
        .collect()
}

fn demux(c: &mut Criterion<CpuTime>) {
    let arrivals = arrivals();
    let mut group = c.benchmark_group("demux");
    group.throughput(Throughput::Elements(arrivals.len() as u64));
    group.bench_function("floor", |b| {
        b.iter(|| black_box(&arrivals).iter().filter(|bytes| bytes[0] == 0x90).count());
    });
    group.bench_function("classify", |b| {
        b.iter(|| black_box(&arrivals).iter().filter(|bytes| classify(*bytes) == Ok(Class::Rtp)).count());
    });
}

criterion_group! {
    name = benches;
    config = configuration();
    targets = demux
}
criterion_main!(benches);
