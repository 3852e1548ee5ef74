//! Feedback as a weapon: storms that would draw more than they cost, and lies about streams and paths. All of it is bounded, or
//! changes nothing; and nobody else notices.

use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::machine::{Machine, Path};
use tidewire_core::random::Seeded;
use tidewire_core::rtcp::{Report, SenderInfo, Writer};
use tidewire_core::sim::{Link, Media};
use tidewire_core::time::{Instant, Ntp};

use crate::call::{Call, Wishes};

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::ZERO, ..Link::NONE };
const END: Instant = Instant::from_millis(600_000);

const PUBLISHER: usize = 0;
const VIEWER: usize = 1;

/// One publisher and two viewers, a second after they began.
fn running_call() -> Call {
    let mut call = Call::new(5, PERFECT);
    call.publish("sea", Wishes::default(), END);
    call.watch("sea", Wishes::default());
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(1));
    call
}

/// Has a client say something, and lets a millisecond pass.
fn say(call: &mut Call, actor: usize, write: impl FnOnce(&mut Writer<'_>)) {
    let mut bytes = [0; 1200];
    let mut writer = Writer::new(&mut bytes);
    write(&mut writer);
    let len = writer.len();
    call.world.actors[actor].peer().send_rtcp(&bytes[..len]);
    call.run(Duration::from_millis(1));
}

/// The SSRC of a viewer's video.
fn video_of(call: &Call, actor: usize) -> u32 {
    let Media::Views(viewer) = &call.world.actors[actor].media else { panic!("not a viewer") };
    viewer.clocks().find(|(.., clock_rate)| *clock_rate == 90_000).unwrap().0
}

fn heard(call: &Call, actor: usize) -> usize {
    let Media::Views(viewer) = &call.world.actors[actor].media else { panic!("not a viewer") };
    viewer.log.len()
}

fn asked_of_publisher(call: &Call) -> u64 {
    call.world.publishers().next().unwrap().key_frame_requests
}

/// Bytes that a client is sent while `run` goes on.
fn sent_to(call: &mut Call, actor: usize, run: impl FnOnce(&mut Call)) -> usize {
    let remote = call.world.actors[actor].peer().address;
    call.world.sent = Some(Vec::new());
    run(call);
    let sent = call.world.sent.take().unwrap();
    sent.iter().filter(|(path, _): &&(Path, Vec<u8>)| path.remote == remote).map(|(_, bytes)| bytes.len()).sum()
}

#[test]
fn a_storm_of_key_frame_requests_reaches_the_publisher_twice_a_second() {
    let mut call = running_call();
    let received = |call: &Call| call.world.machine.tally().of(Counter::KeyFrameRequestsReceived);
    let (before, received_before) = (asked_of_publisher(&call), received(&call));
    let videos = [VIEWER, VIEWER + 1].map(|actor| (actor, video_of(&call, actor)));
    for round in 0..2_000_u32 {
        for (actor, ssrc) in videos {
            say(&mut call, actor, |writer| {
                writer.picture_loss(1, ssrc);
                writer.full_intra(1, ssrc, round as u8);
            });
        }
    }
    call.run(Duration::from_millis(10));
    let asked = asked_of_publisher(&call) - before;
    assert!((6..=9).contains(&asked), "{asked} in four seconds");
    assert_eq!(received(&call) - received_before, 8_000);
}

#[test]
fn a_storm_of_nacks_draws_less_than_twice_what_the_viewer_is_sent_anyway() {
    let asked = |call: &mut Call, lost: &[u16]| {
        let ssrc = video_of(call, VIEWER);
        for _ in 0..3_000 {
            let newest =
                call.world.viewers().next().unwrap().log.iter().rfind(|one| one.ssrc == ssrc).unwrap().sequence;
            let lost: Vec<u16> = lost.iter().map(|back| (newest as u16).wrapping_sub(*back)).collect();
            say(call, VIEWER, |writer| writer.nack(1, ssrc, &lost));
        }
    };
    let calm = sent_to(&mut running_call(), VIEWER, |call| asked(call, &[]));
    let all: Vec<u16> = (0..250).rev().collect();
    let mut call = running_call();
    let other = heard(&call, VIEWER + 1);
    let stormy = sent_to(&mut call, VIEWER, |call| asked(call, &all));
    assert!(stormy > calm && stormy < 2 * calm, "{stormy} instead of {calm} bytes");
    assert!(heard(&call, VIEWER + 1) - other > 380, "the other viewer has its three seconds");
}

#[test]
fn reports_and_requests_for_streams_of_nobody_change_nothing() {
    let mut call = running_call();
    let connection = call.world.actors[VIEWER].connection;
    let (asked, before) = (asked_of_publisher(&call), call.world.machine.delivery(connection).unwrap());
    let unknown = |call: &Call| call.world.machine.tally().discarded(Discard::UnknownSsrc);
    let refused = unknown(&call);
    // Of the other viewer's stream, of the publisher's own, and of nobody's.
    let theirs = video_of(&call, VIEWER + 1);
    let own = call.world.publishers().next().unwrap().log[0].stream;
    for ssrc in [theirs, own, 0, u32::MAX] {
        let report = Report { ssrc, fraction_lost: 0, last_report: 1, delay: u32::MAX, ..Report::default() };
        say(&mut call, VIEWER, |writer| {
            writer.receiver_report(1, &[report]);
            writer.nack(1, ssrc, &[1, 2, 3]);
            writer.picture_loss(1, ssrc);
            writer.full_intra(1, ssrc, 0);
        });
    }
    call.run(Duration::from_millis(10));
    assert_eq!(unknown(&call) - refused, 12);
    assert_eq!(asked_of_publisher(&call), asked);
    assert_eq!(call.world.machine.delivery(connection), Some(before));
}

#[test]
fn sender_reports_of_strange_streams_reach_no_viewer() {
    let mut call = running_call();
    let clocks =
        |call: &Call| call.world.viewers().map(|viewer| viewer.clocks().collect::<Vec<_>>()).collect::<Vec<_>>();
    let before = clocks(&call);
    let viewers_own = video_of(&call, VIEWER);
    for ssrc in [viewers_own, 0, 77] {
        let info = SenderInfo { ntp: Ntp(u64::MAX), timestamp: 1, packets: 1, octets: 1 };
        say(&mut call, PUBLISHER, |writer| writer.sender_report(ssrc, &info));
        say(&mut call, VIEWER, |writer| writer.sender_report(ssrc, &info));
    }
    call.run(Duration::from_millis(20));
    assert_eq!(clocks(&call), before);
}

/// Whose reference times were answered, and how long each had been held, in milliseconds.
fn answers(call: &mut Call, actor: usize) -> Vec<(u32, u32, u32)> {
    let Media::Views(viewer) = &mut call.world.actors[actor].media else { panic!("not a viewer") };
    viewer.answers.drain(..).map(|held| (held.ssrc, held.reference, (held.delay * 1_000) >> 16)).collect()
}

#[test]
fn reference_times_are_answered_with_reports_and_a_storm_of_them_with_no_more() {
    let mut call = running_call();
    say(&mut call, VIEWER, |writer| writer.reference_time(7, Ntp(0x1_0002_0000_0000)));
    say(&mut call, PUBLISHER, |writer| writer.reference_time(7, Ntp(1)));
    call.run(Duration::from_secs(3));
    let told = answers(&mut call, VIEWER);
    assert!(matches!(told[..], [(7, 0x2_0000, 0..2_000)]), "{told:?}");
    let quiet = sent_to(&mut call, VIEWER, |call| call.run(Duration::from_secs(5)));
    let storm = sent_to(&mut call, VIEWER, |call| {
        for round in 0..5_000 {
            say(call, VIEWER, |writer| writer.reference_time(round, Ntp(1 << 32)));
        }
    });
    // A tenth of what the storm itself took.
    assert!(storm < quiet + 20_000, "{storm} bytes, {quiet} without");
    assert!(answers(&mut call, VIEWER).len() < 50);
    assert_eq!(answers(&mut call, VIEWER + 1), []);
}

#[test]
fn estimates_that_lie_starve_nobody_and_open_no_gate() {
    let mut call = running_call();
    let connection = call.world.actors[VIEWER].connection;
    let before = [VIEWER, VIEWER + 1].map(|actor| heard(&call, actor));
    // Mantissa and exponent: nothing, one bit, the most that can be said, and more than can be.
    for word in [0_u32, 1, 0x03 << 18 | 0x3_ffff, 0x2d << 18 | 0x3_ffff, 0x3f << 18 | 0x3_ffff] {
        let mut bytes = vec![0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B'];
        bytes.extend(word.to_be_bytes());
        for _ in 0..200 {
            call.world.actors[VIEWER].peer().send_rtcp(&bytes);
            call.run(Duration::from_millis(1));
        }
        let available = call.world.machine.delivery(connection).unwrap().estimate.available_bps(call.world.now);
        assert!(available.is_some_and(|bps| (30_000..=10_000_000_000).contains(&bps)), "{word:x}: {available:?}");
    }
    for (actor, before) in [VIEWER, VIEWER + 1].into_iter().zip(before) {
        assert!(heard(&call, actor) - before > 120, "a second of media, whatever was claimed");
    }
}

/// An RTP packet of an SSRC that nothing explains, with this number on the transport.
fn numbered(sequence: u16, number: u16) -> Vec<u8> {
    let [s0, s1] = sequence.to_be_bytes();
    let [n0, n1] = number.to_be_bytes();
    vec![0x90, 50, s0, s1, 0, 0, 0, 0, 0, 0, 0, 99, 0xbe, 0xde, 0, 1, 0x71, n0, n1, 0, 1, 2, 3, 4]
}

#[test]
fn packets_that_are_numbered_wildly_draw_no_more_bytes_than_they_bring() {
    let mut call = running_call();
    let quiet = sent_to(&mut call, PUBLISHER, |call| call.run(Duration::from_secs(4)));
    let mut random = Seeded::new(4);
    let mut brought = 0;
    let drawn = sent_to(&mut call, PUBLISHER, |call| {
        for at in 0..4_000_u16 {
            // Back and forth within a window that leaps on now and then.
            let packet = numbered(at, (at / 20).wrapping_mul(1_500) + random.below(900) as u16);
            call.world.actors[PUBLISHER].peer().send_rtp(at.into(), 20, &packet);
            brought += packet.len() + 16;
            call.run(Duration::from_millis(1));
        }
        call.run(Duration::from_millis(150));
    });
    let tally = call.world.machine.tally();
    assert!(tally.of(Counter::TransportFeedbackSent) > 20, "{}", tally.of(Counter::TransportFeedbackSent));
    assert_eq!(tally.discarded(Discard::UnknownSsrc), 4_000);
    assert!(drawn.saturating_sub(quiet) < 2 * brought, "{drawn} instead of {quiet} bytes for {brought}");
}
