//! What is told of connections that are observed: each second, as long as that was asked for, and what really happened.

use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::id::ConnectionId;
use tidewire_core::message::CloseReason;
use tidewire_core::message::quality::{Score, Statistics, StreamStatistics};
use tidewire_core::sim::Link;
use tidewire_core::time::Instant;
use tidewire_sfu::{Command, Event};

use crate::call::{Call, Wishes};

const END: Instant = Instant::from_millis(600_000);

/// One publisher and one viewer, a second after they began.
fn running_call(loss: u64) -> Call {
    running_call_over(Link {
        loss,
        doubling: 0,
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        ..Link::NONE
    })
}

fn running_call_over(link: Link) -> Call {
    let mut call = Call::new(3, link);
    call.publish("sea", Wishes::default(), END);
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(1));
    call
}

fn observe(call: &mut Call, connection: ConnectionId, seconds: u16) {
    call.world.command(Command::Observe { connection, seconds });
}

/// What is told of a connection while so much time passes.
fn told(call: &mut Call, connection: ConnectionId, time: Duration) -> Vec<Statistics> {
    call.world.events.clear();
    let end = call.world.now + time;
    call.world.run_until(end);
    let events = call.world.events.iter();
    let of_it = |event: &Event| match event {
        Event::Statistics { connection: one, statistics } if *one == connection => Some((**statistics).clone()),
        _ => None,
    };
    events.filter_map(of_it).collect()
}

fn video(statistics: &Statistics) -> &StreamStatistics {
    statistics.streams.iter().find(|stream| stream.kind == Kind::Video).unwrap()
}

#[test]
fn a_connection_is_told_of_once_a_second_until_the_time_is_over() {
    let mut call = running_call(0);
    let [publisher, viewer] = [0, 1].map(|at: usize| call.world.actors[at].connection);
    observe(&mut call, publisher, 3);
    assert_eq!(told(&mut call, publisher, Duration::from_secs(10)).len(), 3);
    observe(&mut call, viewer, 60);
    observe(&mut call, viewer, 2);
    let told = told(&mut call, viewer, Duration::from_secs(10));
    assert_eq!(told.len(), 2, "one observation of a connection, and the last word holds");
    let last = &told[1];
    assert_eq!((last.streams.len(), last.media_quality), (2, Score::BEST));
    assert!((600_000..900_000).contains(&video(last).bitrate_bps), "{last:?}");
}

#[test]
fn nobody_is_observed_for_more_than_a_minute_and_no_seconds_end_it() {
    let mut call = running_call(0);
    let viewer = call.world.actors[1].connection;
    observe(&mut call, viewer, u16::MAX);
    assert_eq!(told(&mut call, viewer, Duration::from_secs(70)).len(), 60);
    observe(&mut call, viewer, 10);
    observe(&mut call, viewer, 0);
    assert_eq!(told(&mut call, viewer, Duration::from_secs(5)), []);
    observe(&mut call, ConnectionId { slot: 77, generation: 0 }, 10);
    assert_eq!(told(&mut call, viewer, Duration::from_secs(2)), []);
}

#[test]
fn a_connection_that_is_closed_is_told_of_no_longer_nor_is_its_successor() {
    let mut call = running_call(0);
    let publisher = call.world.actors[0].connection;
    observe(&mut call, publisher, 30);
    assert_eq!(told(&mut call, publisher, Duration::from_secs(1)).len(), 1);
    call.world.command(Command::Close { connection: publisher, reason: CloseReason::Requested });
    assert_eq!(told(&mut call, publisher, Duration::from_secs(3)), []);
}

#[test]
fn loss_is_seen_from_both_ends_and_costs_the_network_more_than_the_media() {
    let mut call = running_call(50_000);
    let [publisher, viewer] = [0, 1].map(|at: usize| call.world.actors[at].connection);
    observe(&mut call, publisher, 20);
    observe(&mut call, viewer, 20);
    let upstream = told(&mut call, publisher, Duration::from_secs(10));
    let last = upstream.last().unwrap();
    let losses: u32 = upstream.iter().map(|one| u32::from(video(one).loss_thousandths)).sum();
    assert!((20..90).contains(&(losses / upstream.len() as u32)), "{losses}");
    assert!(video(last).repaired > 20 && video(last).lost <= 2, "{last:?}");
    assert!(last.media_quality > last.network_quality, "{last:?}");
    let downstream = told(&mut call, viewer, Duration::from_secs(5));
    let last = downstream.last().unwrap();
    assert!(video(last).repaired > 20, "{last:?}");
    assert!((30..80).contains(&last.round_trip_ms.unwrap()), "{last:?}");
}

#[test]
fn a_round_trip_is_what_was_measured_from_the_first_report_on() {
    let delay = Duration::from_millis(150);
    let mut call = running_call_over(Link { loss: 0, doubling: 0, delay, jitter: Duration::ZERO, ..Link::NONE });
    let viewer = call.world.actors[1].connection;
    observe(&mut call, viewer, 10);
    let told = told(&mut call, viewer, Duration::from_secs(10));
    let round_trips: Vec<u32> = told.iter().filter_map(|one| one.round_trip_ms).collect();
    assert!(round_trips.len() > 5 && round_trips.iter().all(|ms| (299..310).contains(ms)), "{round_trips:?}");
}

#[test]
fn a_viewer_by_whep_is_told_nothing_of_layers() {
    let mut call = running_call(0);
    let end = call.world.now + Duration::from_secs(3);
    call.watch("sea", Wishes::default());
    call.world.run_until(end);
    let switched = |event: &&Event| matches!(event, Event::Switched { .. });
    assert_eq!(call.world.events.iter().filter(switched).count(), 0);
    assert!(call.world.events.iter().any(|event| matches!(event, Event::Connected { .. })));
}
