//! Question: what does a consent check cost a shard, and what does a forged one?
//!
//! Floor: two HMAC-SHA1 under a fresh key, over as many bytes as the request and its answer have; an answer cannot be
//! had for less. A datagram that names no connection of ours must be refused far below, since anybody may send it.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use aws_lc_rs::hmac;
use criterion::{Criterion, criterion_group, criterion_main};
use tidewire_bench::{CpuTime, configuration};
use tidewire_core::ice::{IceLite, Ufrags, password};
use tidewire_core::id::{ConnectionId, ShardId};
use tidewire_core::machine::Path;
use tidewire_core::negotiate::Credentials;
use tidewire_core::stun::{Binding, REQUEST_LEN_MAX, RESPONSE_LEN_MAX, Request, Role};
use tidewire_core::time::Instant;

const PATH: Path = Path { local: 0, remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5_000) };

fn stun(c: &mut Criterion<CpuTime>) {
    let ufrags = Ufrags::new(&[3; 16]);
    let connection = ConnectionId { slot: 7, generation: 1 };
    let local = Credentials { ufrag: ufrags.encode(ShardId(0), connection, 0), password: password(&[5; 18]) };
    let remote = Credentials { ufrag: "abcd".into(), password: password(&[6; 18]) };
    let secret = local.password.clone();
    let ours = request(&local.ufrag, secret.as_bytes());
    let forged = request(&local.ufrag, b"a guess of the right length");
    let foreign = request("eightchr", secret.as_bytes());
    let mut agent = IceLite::new(local, remote, Instant::ORIGIN);
    let mut out = [0; RESPONSE_LEN_MAX];
    let answer = agent.handle(Instant::ORIGIN, &PATH, &Binding::parse(&ours).unwrap(), &mut out).unwrap();

    let mut group = c.benchmark_group("stun");
    group.bench_function("floor", |b| {
        b.iter(|| {
            for len in [ours.len(), answer.len] {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
                black_box(hmac::sign(&key, black_box(&ours[..len])));
            }
        });
    });
    group.bench_function("check answered", |b| {
        b.iter(|| {
            let binding = Binding::parse(black_box(&ours)).unwrap();
            ufrags.decode(binding.local_ufrag).unwrap();
            agent.handle(Instant::ORIGIN, &PATH, &binding, black_box(&mut out)).unwrap()
        });
    });
    group.bench_function("forged integrity refused", |b| {
        b.iter(|| {
            let binding = Binding::parse(black_box(&forged)).unwrap();
            ufrags.decode(binding.local_ufrag).unwrap();
            agent.handle(Instant::ORIGIN, &PATH, &binding, black_box(&mut out)).unwrap_err()
        });
    });
    group.bench_function("foreign user refused", |b| {
        b.iter(|| {
            let binding = Binding::parse(black_box(&foreign)).unwrap();
            assert!(ufrags.decode(binding.local_ufrag).is_none());
        });
    });
}

/// A check as a controlling browser sends it.
fn request(receiver_ufrag: &str, password: &[u8]) -> Vec<u8> {
    let request = Request {
        transaction: [1; 12],
        receiver_ufrag,
        sender_ufrag: "abcd",
        priority: 1_845_501_695,
        role: Role::Controlling(9),
        use_candidate: true,
    };
    let mut bytes = [0; REQUEST_LEN_MAX];
    let len = request.write(password, &mut bytes).unwrap();
    bytes[..len].to_vec()
}

criterion_group! {
    name = benches;
    config = configuration();
    targets = stun
}
criterion_main!(benches);
