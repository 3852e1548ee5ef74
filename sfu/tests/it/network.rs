//! The promise under a bad network: everything that a viewer is owed arrives, once, in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidewire_core::sim::{Content, Link, Viewer};
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};

const VIEWERS: usize = 8;
const RUN: Duration = Duration::from_secs(8);
const LATEST: Duration = Duration::from_millis(500);

/// 2 % loss, 40 ms round trip, 30 ms of jitter (which reorders), 1 % doubled.
const BAD: Link = Link {
    loss: 20_000,
    doubling: 10_000,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(30),
    ..Link::NONE
};

/// What a viewer is owed: of each stream, everything from the first packet that arrived to a second before the end. A
/// receiver cannot know of packets before the first that it sees.
fn owed(viewer: &Viewer, sent: &[Content], end: Instant) -> Vec<Content> {
    let mut first = BTreeMap::new();
    for delivery in &viewer.log {
        first.entry(delivery.content.stream).or_insert(delivery.content.number);
    }
    let since = |content: &Content| first.get(&content.stream).is_some_and(|first| content.number >= *first);
    sent.iter().copied().filter(|content| since(content) && content.sent + Duration::from_secs(1) < end).collect()
}

fn run(seed: u64, wishes: Wishes) {
    let mut call = Call::new(seed, BAD);
    call.publish("sea", wishes, Instant::ORIGIN + RUN);
    for _ in 0..VIEWERS {
        call.watch("sea", wishes);
    }
    call.run(RUN);
    let sent = &call.world.publishers().next().unwrap().log;
    for (at, viewer) in call.world.viewers().enumerate() {
        assert_eq!(viewer.damaged, 0, "seed {seed}, viewer {at}");
        let mut delivered = BTreeMap::new();
        for delivery in &viewer.log {
            let before = delivered.insert(delivery.content, delivery.at);
            assert_eq!(before, None, "seed {seed}, viewer {at}: {:?} twice", delivery.content);
        }
        let owed = owed(viewer, sent, call.world.now);
        assert!(owed.len() > 500, "seed {seed}, viewer {at}: only {} packets", owed.len());
        for content in owed {
            let arrival = delivered.get(&content);
            let late = arrival.map(|arrival| arrival.since(content.sent));
            assert!(late.is_some_and(|late| late <= LATEST), "seed {seed}, viewer {at}: {content:?} came {late:?}");
        }
        let streams: BTreeSet<_> = viewer.log.iter().map(|delivery| delivery.content.stream).collect();
        assert_eq!(streams.len(), 2, "seed {seed}, viewer {at}: audio and video");
    }
}

/// Seeds of one test: spread over several tests so that they run side by side.
fn run_seeds(seeds: std::ops::Range<u64>, wishes: Wishes) {
    for seed in seeds {
        run(seed, wishes);
    }
}

#[test]
fn every_packet_arrives_once_and_in_time_seeds_0_to_49() {
    run_seeds(0..50, Wishes::default());
}

#[test]
fn every_packet_arrives_once_and_in_time_seeds_50_to_99() {
    run_seeds(50..100, Wishes::default());
}

#[test]
fn without_rtx_repair_is_bit_identical_and_as_complete() {
    run_seeds(100..110, Wishes { rtx: false, ..Wishes::default() });
}
