//! A shard that cannot keep up: what it gives up first, what never, and how it comes back by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::machine::Machine;
use tidewire_core::rtcp::Writer;
use tidewire_core::sim::{Content, Delivery, Link, Media, Viewer};
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};
use crate::sealed;

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::ZERO, ..Link::NONE };
const VIEWERS: u64 = 20;

/// Packets that the shard has time for in a millisecond. Everybody's audio takes one, audio and video nearly three.
const TOO_FEW: u64 = 2;

fn running_call() -> Call {
    let mut call = Call::new(1, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(600_000));
    for _ in 0..VIEWERS {
        call.watch("sea", Wishes::default());
    }
    call.run(Duration::from_secs(2));
    assert!(call.world.viewers().all(|viewer| !video(viewer).is_empty()));
    call
}

fn video(viewer: &Viewer) -> Vec<Delivery> {
    viewer.log.iter().copied().filter(|delivery| delivery.content.stream % 2 == 0).collect()
}

fn audio_numbers(viewer: &Viewer) -> Vec<u64> {
    viewer.log.iter().filter(|one| one.content.stream % 2 == 1).map(|one| one.content.number).collect()
}

/// The first packets of the publisher's key frames, which are larger than its other frames.
fn key_frame_starts(call: &Call) -> BTreeSet<u64> {
    let mut frames = BTreeMap::<Instant, Vec<u64>>::new();
    let log = &call.world.publishers().next().unwrap().log;
    for content in log.iter().filter(|content| content.stream % 2 == 0) {
        frames.entry(content.sent).or_default().push(content.number);
    }
    let smallest = frames.values().map(Vec::len).min().unwrap();
    frames.values().filter(|frame| frame.len() > smallest).map(|frame| frame[0]).collect()
}

fn dropped(call: &Call, reason: Discard) -> u64 {
    call.world.machine.tally().discarded(reason)
}

#[test]
fn video_is_dropped_audio_stays_whole_and_nobody_sees_a_gap() {
    let mut call = running_call();
    call.world.sent = Some(Vec::new());
    call.world.slow_down(Some(TOO_FEW));
    call.run(Duration::from_secs(20));
    sealed::note(&mut sealed::Seen::new(), call.world.sent.take().unwrap());
    assert!(dropped(&call, Discard::OverloadVideo) > 100);
    for spared in [Discard::OverloadReport, Discard::OverloadKeyFrame, Discard::OverloadAudio, Discard::Overrun] {
        assert_eq!(dropped(&call, spared), 0, "{spared:?}");
    }
    let starts = key_frame_starts(&call);
    for viewer in call.world.viewers() {
        assert_eq!((viewer.peer.refused, viewer.damaged, viewer.useless), (0, 0, 0));
        let audio = audio_numbers(viewer);
        assert!(audio.windows(2).all(|pair| pair[0] + 1 == pair[1]), "audio is complete and in order");
        let video = video(viewer);
        let mut gaps = 0;
        for pair in video.windows(2) {
            assert_eq!(pair[0].sequence + 1, pair[1].sequence, "the gap is closed in the viewer's numbers");
            if pair[0].content.number + 1 != pair[1].content.number {
                gaps += 1;
                assert!(starts.contains(&pair[1].content.number), "{pair:?}: video goes on with a key frame");
            }
        }
        assert!(gaps >= 2, "{gaps}");
    }
    assert_eq!(call.world.machine.tally().of(Counter::NacksReceived), 0, "nobody asks for what was dropped");
}

#[test]
fn a_shard_that_has_time_again_recovers_by_itself_with_a_key_frame() {
    let mut call = running_call();
    call.world.slow_down(Some(TOO_FEW));
    call.run(Duration::from_secs(5));
    call.world.slow_down(None);
    let (resumed, asked) = (call.world.now, call.world.publishers().next().unwrap().key_frame_requests);
    call.run(Duration::from_secs(1));
    let settled = call.world.now;
    let before = dropped(&call, Discard::OverloadVideo);
    call.run(Duration::from_secs(3));
    assert_eq!(dropped(&call, Discard::OverloadVideo), before);
    let publisher = call.world.publishers().next().unwrap();
    assert!(publisher.key_frame_requests - asked <= 2, "asked for no more than it takes");
    let owed: BTreeSet<Content> = publisher
        .log
        .iter()
        .copied()
        .filter(|content| content.sent > settled && content.sent + Duration::from_secs(1) < call.world.now)
        .collect();
    assert!(owed.len() > 200);
    for viewer in call.world.viewers() {
        let delivered: BTreeSet<_> = viewer.log.iter().map(|delivery| delivery.content).collect();
        assert!(owed.is_subset(&delivered), "everything arrives again");
        let late = viewer.log.iter().filter(|one| one.content.sent > settled).map(|one| one.at.since(one.content.sent));
        assert!(late.max().unwrap() < Duration::from_millis(50), "and at once: nothing waits any more");
    }
    assert!(settled.since(resumed) == Duration::from_secs(1));
}

#[test]
fn a_shard_that_is_behind_refuses_repairs_before_it_drops_anything() {
    let mut call = running_call();
    call.world.slow_down(Some(TOO_FEW));
    let end = call.world.now + Duration::from_secs(10);
    while dropped(&call, Discard::OverloadRepair) == 0 {
        assert!(call.world.now < end, "the shard never said that it is behind");
        let Media::Views(viewer) = &mut call.world.actors[1].media else { panic!() };
        let ssrc = viewer.ssrcs().last().unwrap();
        let newest = video(viewer).last().unwrap().sequence as u16;
        let mut bytes = [0; 64];
        let mut writer = Writer::new(&mut bytes);
        writer.nack(1, ssrc, &[newest]);
        let len = writer.len();
        viewer.peer.send_rtcp(&bytes[..len]);
        call.run(Duration::from_millis(7));
    }
    assert_eq!(dropped(&call, Discard::OverloadVideo), 0);
    let tally = call.world.machine.tally();
    let refused: u64 = [Discard::OverloadRepair, Discard::RepairTooSoon, Discard::RepairGone, Discard::RepairBudget]
        .iter()
        .map(|reason| tally.discarded(*reason))
        .sum();
    assert_eq!(tally.of(Counter::NacksReceived), tally.of(Counter::Repaired) + refused, "each is accounted for");
}
