//! Question: what does a header cost, once per packet on the way in and once per viewer on the way out?
//!
//! Floor of both: copying the 36 bytes of the header. Reading them may cost several times that, writing more still, for
//! every element is translated to an id; but what is done for each viewer has to stay below a tenth of a seal.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tidewire_bench::{CpuTime, configuration, payload, publisher_ids, rtp, viewer_ids};
use tidewire_core::id::Mid;
use tidewire_core::rebuild::{self, Fields, Form, HEADER_LEN_MAX};
use tidewire_core::rtp::Header;

fn header(c: &mut Criterion<CpuTime>) {
    let packet = rtp(1, 2, &payload(1200));
    let (from, to) = (publisher_ids(), viewer_ids());
    let header = Header::parse(&packet).unwrap();
    let block = rebuild::collect(&header, &packet, &from);
    let form = Form::new(&to, &Mid::from("0").unwrap());
    let fields = Fields { marker: true, payload_type: 96, sequence: 3, timestamp: 4, ssrc: 5, padded: false };
    let mut out = [0; HEADER_LEN_MAX];

    let mut group = c.benchmark_group("header");
    group.bench_function("floor", |b| {
        b.iter(|| black_box(&mut out)[..header.len].copy_from_slice(&black_box(&packet)[..header.len]));
    });
    group.bench_function("parse", |b| b.iter(|| Header::parse(black_box(&packet)).unwrap()));
    group.bench_function("parse and walk the extensions", |b| {
        b.iter(|| {
            let header = Header::parse(black_box(&packet)).unwrap();
            header.extensions(&packet).filter(|(id, _)| from.of(*id).is_some()).count()
        });
    });
    group.bench_function("collect for all viewers", |b| {
        b.iter(|| rebuild::collect(&header, black_box(&packet), &from));
    });
    group.bench_function("write for one viewer", |b| {
        b.iter(|| form.write(black_box(&fields), &block, black_box(&mut out)).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = configuration();
    targets = header
}
criterion_main!(benches);
