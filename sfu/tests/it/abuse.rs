//! Datagrams of strangers and lies of members: refused by reason, counted one by one, felt by nobody.

use std::net::SocketAddr;
use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::limits::FEEDBACK_STATUSES_PER_SECOND_MAX;
use tidewire_core::machine::{Machine, Path};
use tidewire_core::random::Seeded;
use tidewire_core::rtcp::Writer;
use tidewire_core::sim::{Link, Media};
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::ZERO, ..Link::NONE };
const END: Instant = Instant::from_millis(600_000);

fn running_call() -> Call {
    let mut call = Call::new(1, PERFECT);
    call.publish("sea", Wishes::default(), END);
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(1));
    call
}

/// Everything that arrived, by what became of it.
fn accounted(call: &Call) -> u64 {
    let tally = call.world.machine.tally();
    let taken = [
        Counter::StunAnswered,
        Counter::DtlsHandedOver,
        Counter::RtpAccepted,
        Counter::RtxAccepted,
        Counter::RtcpAccepted,
    ];
    // Reasons that belong to packets on their way out, not to datagrams that came in.
    let outgoing = [
        Discard::AwaitingKeyFrame,
        Discard::BeforeStart,
        Discard::CodecNotNegotiated,
        Discard::Overrun,
        Discard::RepairGone,
        Discard::RepairTooSoon,
        Discard::RepairBudget,
        Discard::FeedbackBudget,
        Discard::FeedbackImplausible,
        Discard::OverloadRepair,
        Discard::OverloadVideo,
        Discard::OverloadReport,
        Discard::OverloadKeyFrame,
        Discard::OverloadAudio,
    ];
    let refused = Discard::ALL.iter().filter(|reason| !outgoing.contains(reason));
    taken.iter().map(|counter| tally.of(*counter)).sum::<u64>()
        + refused.map(|reason| tally.discarded(*reason)).sum::<u64>()
}

#[test]
fn strangers_datagrams_are_counted_and_change_nothing() {
    let mut call = running_call();
    let mut random = Seeded::new(9);
    let before = call.world.viewers().next().unwrap().log.len();
    for n in 0..10_000_u64 {
        let from = SocketAddr::from(([203, 0, 113, 1], 1024 + (n % 1000) as u16));
        let len = random.below(200) as usize;
        let bytes: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
        call.world.inject(from, &bytes);
    }
    call.run(Duration::from_secs(1));
    assert_eq!(accounted(&call), call.world.machine.tally().of(Counter::Received));
    assert_eq!(call.control.slots_taken(), 2);
    let viewer = call.world.viewers().next().unwrap();
    assert!(viewer.log.len() > before + 100);
}

#[test]
fn forgeries_from_the_calls_own_addresses_do_not_disturb_it() {
    let mut call = running_call();
    let mut random = Seeded::new(10);
    let addresses: Vec<_> = call.world.actors.iter_mut().map(|actor| actor.peer().address).collect();
    let first_bytes = [0, 1, 20, 22, 23, 63, 0x80, 0x90, 0xbf];
    for n in 0..4_000_usize {
        let len = 1 + random.below(1200) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
        bytes[0] = first_bytes[n % first_bytes.len()];
        call.world.inject(addresses[n % 2], &bytes);
    }
    call.run(Duration::from_secs(2));
    assert_eq!(accounted(&call), call.world.machine.tally().of(Counter::Received));
    let viewer = call.world.viewers().next().unwrap();
    let audio = viewer.log.iter().filter(|delivery| delivery.content.stream % 2 == 1);
    let numbers: Vec<_> = audio.map(|delivery| delivery.content.number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no packet of the call was lost");
}

#[test]
fn a_storm_of_nacks_draws_no_more_than_the_viewers_credit() {
    let mut call = running_call();
    call.world.sent = Some(Vec::new());
    let viewer = call.world.actors[1].peer().address;
    for _ in 0..200 {
        let Media::Views(viewer) = &mut call.world.actors[1].media else { panic!() };
        let Some(ssrc) = viewer.ssrcs().last() else { panic!() };
        let newest = viewer.log.last().map_or(0, |delivery| delivery.sequence as u16);
        let lost: Vec<u16> = (0..200).map(|back: u16| newest.wrapping_sub(200 - back)).collect();
        let mut bytes = [0; 1200];
        let mut writer = Writer::new(&mut bytes);
        writer.nack(1, ssrc, &lost);
        let len = writer.len();
        viewer.peer.send_rtcp(&bytes[..len]);
        call.run(Duration::from_millis(10));
    }
    let to_viewer = |(path, _): &&(Path, Vec<u8>)| path.remote == viewer;
    let sent = call.world.sent.take().unwrap();
    let bytes: usize = sent.iter().filter(to_viewer).map(|(_, bytes)| bytes.len()).sum();
    let tally = call.world.machine.tally();
    assert!(tally.discarded(Discard::RepairBudget) + tally.discarded(Discard::RepairTooSoon) > 0);
    // Two seconds of about 0.8 Mb/s, half of that again, and what was saved up.
    assert!(bytes < 200_000 + 100_000 + 140_000, "{bytes}");
}

/// A transport-wide feedback that states this many packets as arrived and as many as lost, in runs.
fn transport_feedback(each: u16) -> Vec<u8> {
    let body = [&[0; 2][..], &(2 * each).to_be_bytes(), &[0; 4], &(0x2000 | each).to_be_bytes(), &each.to_be_bytes()];
    let mut bytes = [&[0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &body.concat()].concat();
    bytes.resize((bytes.len() + usize::from(each)).next_multiple_of(4), 4);
    let words = (bytes.len() / 4 - 1) as u16;
    bytes[2..4].copy_from_slice(&words.to_be_bytes());
    bytes
}

fn say(call: &mut Call, rtcp: &[u8]) {
    call.world.actors[1].peer().send_rtcp(rtcp);
    call.run(Duration::from_millis(1));
}

#[test]
fn transport_feedback_is_read_into_the_viewers_record() {
    let mut call = running_call();
    say(&mut call, &transport_feedback(40));
    say(&mut call, &transport_feedback(40));
    say(&mut call, &[0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, 0x0f, 0, 0]);
    call.run(Duration::from_millis(20));
    let delivery = call.world.machine.delivery(call.world.actors[1].connection).unwrap();
    assert_eq!(
        (delivery.received, delivery.lost, delivery.estimate.available_bps(call.world.now)),
        (40, 40, Some(196_608 << 3))
    );
    let tally = call.world.machine.tally();
    assert_eq!((tally.of(Counter::TransportFeedbackReceived), tally.of(Counter::TransportFeedbackStatuses)), (2, 160));
    assert_eq!(call.world.machine.delivery(call.world.actors[0].connection), None, "a publisher has no such record");
}

#[test]
fn a_storm_of_transport_feedback_is_read_up_to_its_bound_and_disturbs_nobody() {
    let mut call = running_call();
    let before = call.world.viewers().next().unwrap().log.len();
    // Several times what a viewer may: long ones, then many short ones.
    for round in 0..2_000 {
        say(&mut call, &transport_feedback(if round < 1_000 { 45 } else { 1 }));
    }
    call.run(Duration::from_millis(20));
    let tally = call.world.machine.tally();
    let (read, refused) = (tally.of(Counter::TransportFeedbackStatuses), tally.discarded(Discard::FeedbackBudget));
    assert!(read > FEEDBACK_STATUSES_PER_SECOND_MAX && read <= 3 * FEEDBACK_STATUSES_PER_SECOND_MAX, "{read}");
    assert_eq!(tally.of(Counter::TransportFeedbackReceived) + refused, 2_000);
    assert_eq!(accounted(&call), tally.of(Counter::Received));
    let viewer = call.world.viewers().next().unwrap();
    assert!(viewer.log.len() > before + 250, "the viewer is served as before");
}

#[test]
fn transport_feedback_that_lies_about_itself_is_passed_over() {
    let mut call = running_call();
    let honest = transport_feedback(8);
    for at in 12..honest.len() {
        for lie in [0, 0x7f, 0xff] {
            let mut bytes = honest.clone();
            bytes[at] = lie;
            say(&mut call, &bytes);
        }
    }
    call.run(Duration::from_millis(20));
    assert_eq!(accounted(&call), call.world.machine.tally().of(Counter::Received));
    let delivery = call.world.machine.delivery(call.world.actors[1].connection).unwrap();
    assert!(delivery.received <= 16 * 3 * honest.len() as u64, "no more than the bytes can carry: {delivery:?}");
}
