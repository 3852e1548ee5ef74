//! Which paths the table tells the egress to set something aside for: those of viewers who get media, and no others.
//!
//! Every other test of this crate asserts as well that no path is devoted twice or released without need.

use std::net::SocketAddr;
use std::time::Duration;

use tidewire_core::message::Request;
use tidewire_core::sim::Link;
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};

const PERFECT: Link = Link { delay: Duration::from_millis(5), ..Link::NONE };
const END: Instant = Instant::from_millis(600_000);

/// A publisher, and viewers to whom media flows.
fn call(seed: u64, viewers: usize) -> Call {
    let mut call = Call::new(seed, PERFECT);
    call.publish("sea", Wishes::default(), END);
    for _ in 0..viewers {
        call.watch("sea", Wishes::default());
    }
    call.run(Duration::from_secs(2));
    call
}

fn devoted(call: &Call) -> Vec<SocketAddr> {
    let mut remotes: Vec<_> = call.world.devoted.iter().map(|path| path.remote).collect();
    remotes.sort_unstable();
    remotes
}

/// The address of an actor; the publisher is the first.
fn address_of(call: &mut Call, actor: usize) -> SocketAddr {
    call.world.actors[actor].peer().address
}

fn moves_to(call: &mut Call, actor: usize, address: SocketAddr) {
    call.world.actors[actor].peer().move_to(address);
    call.run(Duration::from_millis(1_100));
}

#[test]
fn a_viewers_path_is_devoted_from_its_keys_to_its_end() {
    let mut call = call(1, 0);
    assert_eq!(devoted(&call), [], "a publisher gets next to nothing");
    let viewer = call.watch("sea", Wishes::default());
    assert_eq!(devoted(&call), [], "not before it has shown who it is");
    call.run(Duration::from_secs(1));
    assert_eq!(devoted(&call), [address_of(&mut call, 1)]);
    call.request(Request::Close { connection: viewer });
    assert_eq!(devoted(&call), []);
}

#[test]
fn devotion_follows_the_path_that_a_viewer_selects() {
    let mut call = call(2, 1);
    for port in 1..=20 {
        let address = SocketAddr::from(([203, 0, 113, 9], port));
        moves_to(&mut call, 1, address);
        assert_eq!(devoted(&call), [address], "one at a time");
    }
}

#[test]
fn viewer_that_changes_its_path_all_the_time_is_devoted_one_a_second() {
    let mut call = call(6, 1);
    let mut seen = vec![devoted(&call)];
    for at in 0..100 {
        call.world.actors[1].peer().move_to(SocketAddr::from(([203, 0, 113, 9], 1 + at % 2)));
        call.run(Duration::from_millis(50));
        seen.push(devoted(&call));
    }
    seen.dedup();
    let devotions = seen[1..].iter().filter(|devoted| !devoted.is_empty()).count();
    assert!((3..=6).contains(&devotions), "{seen:?}");
    // And has its last one again, once it stays there.
    call.run(Duration::from_secs(6));
    assert_eq!(devoted(&call), [address_of(&mut call, 1)]);
}

#[test]
fn path_that_a_nat_gives_to_another_viewer_is_devoted_to_that_one() {
    let mut call = call(3, 2);
    let (first, second) = (address_of(&mut call, 1), address_of(&mut call, 2));
    assert_eq!(devoted(&call), [first.min(second), first.max(second)]);
    call.world.actors[1].peer().fall_silent();
    moves_to(&mut call, 2, first);
    assert_eq!(devoted(&call), [first]);
    // The one that lost it ends, and takes nothing along.
    call.run(Duration::from_secs(40));
    assert_eq!((devoted(&call), call.control.connections()), (vec![first], 2));
}

#[test]
fn viewers_path_that_becomes_a_publishers_is_released() {
    let mut call = call(4, 1);
    let path = address_of(&mut call, 1);
    call.world.actors[1].peer().fall_silent();
    moves_to(&mut call, 0, path);
    assert_eq!(devoted(&call), []);
}

#[test]
fn publisher_whose_path_a_viewer_takes_is_no_burden() {
    let mut call = call(7, 2);
    let path = address_of(&mut call, 0);
    call.world.actors[0].peer().fall_silent();
    moves_to(&mut call, 1, path);
    // What it would be told now has no way, and no end of tries.
    call.run(Duration::from_secs(40));
    assert_eq!((devoted(&call).len(), call.control.connections()), (2, 2));
}

#[test]
fn strangers_are_devoted_nothing() {
    let mut call = call(5, 1);
    let viewer = address_of(&mut call, 1);
    call.world.sent = Some(Vec::new());
    call.run(Duration::from_secs(1));
    let heard = call.world.sent.take().unwrap();
    for (number, (_, bytes)) in heard.iter().enumerate() {
        // Media and answers of the server's own, as they are and bent, and what is no packet of any kind.
        let from = SocketAddr::from(([198, 51, 100, 1], number as u16 + 1));
        let mut bent = bytes.clone();
        bent.iter_mut().skip(20).step_by(7).for_each(|byte| *byte ^= 0x55);
        call.world.inject(from, bytes);
        call.world.inject(from, &bent);
        call.world.inject(from, &[number as u8; 40]);
    }
    assert!(heard.len() > 100);
    assert_eq!(devoted(&call), [viewer]);
}
