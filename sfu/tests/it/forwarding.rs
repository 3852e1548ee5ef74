//! What a viewer gets over a perfect network: everything, in order, in step, also across publishers.

use std::collections::BTreeMap;
use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::handshake::Profile;
use tidewire_core::machine::Machine;
use tidewire_core::sim::{Delivery, Link, Viewer};
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};
use crate::studio::Studio;

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::ZERO, ..Link::NONE };

/// A viewer's deliveries by outgoing order, one list for each kind of stream (audio has odd, video even SSRCs).
fn by_kind(viewer: &Viewer) -> BTreeMap<u32, Vec<Delivery>> {
    let mut streams = BTreeMap::<u32, Vec<Delivery>>::new();
    for delivery in &viewer.log {
        streams.entry(delivery.content.stream % 2).or_default().push(*delivery);
    }
    streams
}

fn assert_unbroken(viewer: &Viewer) {
    // A number that was used before would be refused as a replay.
    assert_eq!((viewer.peer.refused, viewer.useless, viewer.damaged), (0, 0, 0));
    for (kind, deliveries) in by_kind(viewer) {
        for pair in deliveries.windows(2) {
            assert_eq!(pair[0].sequence + 1, pair[1].sequence, "kind {kind}: {pair:?}");
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!(step < 90_000, "kind {kind}: timestamps jump in {pair:?}");
        }
    }
}

#[test]
fn every_profile_carries_audio_and_video_without_a_gap() {
    for profile in Profile::ALL {
        let wishes = Wishes { profile, ..Wishes::default() };
        let mut call = Call::new(1, PERFECT);
        call.publish("sea", wishes, Instant::from_millis(10_000));
        call.watch("sea", wishes);
        call.run(Duration::from_secs(3));
        let viewer = call.world.viewers().next().unwrap();
        let streams = by_kind(viewer);
        assert!(streams[&0].len() > 200 && streams[&1].len() > 120, "{profile:?}");
        assert_unbroken(viewer);
    }
}

#[test]
fn a_viewer_that_joins_late_gets_its_key_frame_at_once() {
    let mut call = Call::new(2, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.run(Duration::from_secs(3));
    call.watch("sea", Wishes::default());
    let joined = call.world.now;
    call.run(Duration::from_secs(1));
    let viewer = call.world.viewers().next().unwrap();
    let first = viewer.log.iter().find(|delivery| delivery.content.stream % 2 == 0).unwrap();
    // Check, hello, request, the publisher's next frame and its way: five ways of 5 ms, a frame of 33 ms.
    assert!(first.at.since(joined) < Duration::from_millis(100), "{:?}", first.at.since(joined));
}

#[test]
fn a_publisher_that_takes_over_continues_every_stream() {
    let mut call = Call::new(3, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(2));
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.run(Duration::from_secs(2));
    let viewer = call.world.viewers().next().unwrap();
    let publishers: std::collections::BTreeSet<_> =
        viewer.log.iter().map(|delivery| delivery.content.stream / 100).collect();
    assert_eq!(publishers.len(), 2, "both publishers were seen");
    assert_unbroken(viewer);
}

#[test]
fn a_viewer_still_without_keys_hears_the_publisher_that_took_over() {
    let mut call = Call::new(7, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.run(Duration::from_secs(1));
    call.watch("sea", Wishes::default());
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.run(Duration::from_secs(1));
    let viewer = call.world.viewers().next().unwrap();
    assert!(by_kind(viewer).values().all(|deliveries| deliveries.len() > 20) && by_kind(viewer).len() == 2);
    let successor = call.world.publishers().last().unwrap().log[0].stream / 100;
    assert_eq!(viewer.log.last().unwrap().content.stream / 100, successor);
    assert_unbroken(viewer);
}

#[test]
fn a_thousand_wishes_for_key_frames_reach_the_publisher_as_few() {
    let mut call = Call::new(4, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(20_000));
    for _ in 0..40 {
        call.watch("sea", Wishes::default());
        call.run(Duration::from_millis(50));
    }
    let asked = call.world.publishers().next().unwrap().key_frame_requests;
    // Two seconds of joining at a floor of 500 ms.
    assert!((1..=6).contains(&asked), "{asked}");
    assert!(call.world.viewers().all(|viewer| !viewer.log.is_empty()));
}

#[test]
fn a_fan_out_in_slices_reaches_everybody_once() {
    let mut call = Call::new(5, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    // 64 packets are the budget of a slice, so a round of this many viewers takes several.
    for _ in 0..150 {
        call.watch("sea", Wishes::default());
    }
    call.run(Duration::from_secs(2));
    let sent = call.world.publishers().next().unwrap().log.len();
    for viewer in call.world.viewers() {
        assert_unbroken(viewer);
        assert!(viewer.log.len() * 10 > sent * 9, "{} of {sent}", viewer.log.len());
    }
    let tally = call.world.machine.tally();
    assert_eq!(tally.discarded(Discard::Overrun), 0);
    assert!(tally.of(Counter::Forwarded) > 20_000);
}

#[test]
fn sender_reports_keep_audio_and_video_in_step() {
    let mut call = Call::new(6, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(4));
    let viewer = call.world.viewers().next().unwrap();
    let skews: Vec<_> = viewer.clocks().collect();
    assert_eq!(skews.len(), 2, "a report for each stream");
    for (ssrc, ntp, timestamp, clock_rate) in skews {
        // The simulated publisher's NTP time and timestamps both count from zero.
        let by_timestamp = f64::from(timestamp) / f64::from(clock_rate);
        let by_ntp = ntp.0 as f64 / f64::powi(2.0, 32);
        assert!((by_timestamp - by_ntp).abs() < 0.001, "{ssrc}: {by_timestamp} s against {by_ntp} s");
    }
}

#[test]
fn packets_of_a_frame_leave_equally_long_and_audio_as_it_came() {
    let mut call = Call::new(7, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(2));
    let viewer = call.world.viewers().next().unwrap();
    assert_unbroken(viewer);
    let streams = by_kind(viewer);
    for frame in streams[&0].chunk_by(|one, other| one.timestamp == other.timestamp) {
        let (last, rest) = frame.split_last().unwrap();
        let longest = rest.iter().map(|delivery| delivery.len).max().unwrap_or(last.len);
        assert!(rest.iter().all(|delivery| delivery.len == longest) && last.len <= longest, "{frame:?}");
    }
    let audio: std::collections::BTreeSet<_> = streams[&1].iter().map(|delivery| delivery.len).collect();
    assert_eq!(audio.len(), 3, "audio is of three lengths, as it was sent");
    assert!(call.world.machine.tally().of(Counter::PaddingBytes) > 0);
}

#[test]
fn rounds_that_overlap_leave_nobody_out_and_nothing_out_of_order() {
    let mut call = Call::new(8, PERFECT);
    call.publish("sea", Wishes::default(), Instant::from_millis(10_000));
    for _ in 0..150 {
        call.watch("sea", Wishes::default());
    }
    call.run(Duration::from_secs(2));
    let forwarded = call.world.machine.tally().of(Counter::Forwarded);
    call.run(Duration::from_secs(1));
    // Time for everything, but hardly more: what comes next comes while a round is under way.
    let needed_per_ms = (call.world.machine.tally().of(Counter::Forwarded) - forwarded) / 1000;
    call.world.slow_down(Some(needed_per_ms + needed_per_ms / 50));
    call.run(Duration::from_secs(4));
    call.world.slow_down(None);
    call.run(Duration::from_secs(1));
    let sent = call.world.publishers().next().unwrap().log.len();
    for viewer in call.world.viewers() {
        assert_unbroken(viewer);
        assert!(viewer.log.len() * 10 > sent * 9, "{} of {sent}", viewer.log.len());
    }
    assert_eq!(call.world.machine.tally().discarded(Discard::Overrun), 0);
}

#[test]
fn what_comes_while_two_rounds_are_under_way_waits_for_neither() {
    let mut studio = Studio::quiet(1);
    for _ in 0..200 {
        studio.watch(false);
    }
    studio.frame(0, true, 1).into_iter().for_each(|made| studio.send(made));
    studio.watchers.iter_mut().for_each(|watcher| watcher.log.clear());
    let frames: Vec<_> = (0..4).flat_map(|_| studio.frame(0, false, 1)).collect();
    let heard = |studio: &Studio, viewer: usize| -> Vec<u16> {
        studio.watchers[viewer].log.iter().filter_map(|got| Some(got.said()?.frame)).collect()
    };
    // The first round passes 128 viewers; of each slice that it shares it has a quarter, and of the rest the newest three.
    studio.send_for(&frames[0], 2);
    studio.send_for(&frames[1], 1);
    studio.send_for(&frames[2], 1);
    assert_eq!((heard(&studio, 0), heard(&studio, 35)), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!((heard(&studio, 59), heard(&studio, 159), heard(&studio, 199)), (vec![1, 2], vec![1], vec![]));
    studio.send(frames[3].clone());
    (0..200).for_each(|viewer| assert_eq!(heard(&studio, viewer), [1, 2, 3, 4], "{viewer}"));
}
