//! Question: what does the forwarding plane add to the ciphers, per packet and viewer?
//!
//! Floor: opening each packet of a burst once and sealing it once for each viewer, under as many keys. Ours adds all
//! that is done between the sockets: finding the connection, the gap register, the retransmission ring, the header and
//! the numbers of each viewer, the egress. Throughput is in forwarded packets; system calls are not in it.
//! Expected: about 1.1 of the floor for a burst of 8 to 100 viewers, 1.5 where one viewer pays for the way in alone.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidewire_bench::client::{Burst, Publisher};
use tidewire_bench::stage::{Ciphers, stage};
use tidewire_bench::{CpuTime, configuration, payload, profile_name};
use tidewire_core::handshake::Profile;

/// Viewers, and packets that one wake-up brings.
const CASES: [(u16, usize); 5] = [(1, 8), (10, 8), (100, 1), (100, 8), (1000, 8)];

fn fan_out(c: &mut Criterion<CpuTime>) {
    let payload = payload(1200);
    for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm] {
        for (viewers, packets) in CASES {
            let name = format!("fan-out/{}/{packets} to {viewers}", profile_name(profile));
            let mut group = c.benchmark_group(name);
            group.throughput(Throughput::Elements(u64::from(viewers) * packets as u64)).sample_size(30);

            // The floor opens what the same publisher would have sent to the machine.
            let (mut publisher, _) = stage(profile, 0, &payload);
            let mut ciphers = Ciphers::new(profile, viewers);
            measure(&mut group, "floor", &mut publisher, packets, |burst| ciphers.turn(burst));

            let (mut publisher, mut stage) = stage(profile, viewers, &payload);
            let mut turns = 0;
            let before = stage.forwarded();
            measure(&mut group, "session table", &mut publisher, packets, |burst| {
                turns += 1;
                stage.turn(burst);
            });
            let expected = turns * u64::from(viewers) * packets as u64;
            assert_eq!(stage.forwarded() - before, expected, "a figure for packets that were not forwarded");
        }
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, CpuTime>;

/// Times `turn` over fresh bursts, a few at a time so that they stay in the caches as in a shard's receive slots.
fn measure(
    group: &mut Group<'_>,
    name: &str,
    publisher: &mut Publisher,
    packets: usize,
    mut turn: impl FnMut(&mut Burst),
) {
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter_batched_ref(|| publisher.burst(packets), &mut turn, BatchSize::NumIterations(8));
    });
}

criterion_group! {
    name = benches;
    config = configuration();
    targets = fan_out
}
criterion_main!(benches);
