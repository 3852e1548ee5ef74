//! How connections come and go, and that nothing of them stays.

use std::time::Duration;

use tidewire_core::count::Discard;
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName, ConnectionKey, MediaId};
use tidewire_core::machine::Machine;
use tidewire_core::message::{ErrorCode, Request, Response};
use tidewire_core::sim::Link;
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::ZERO, ..Link::NONE };
const END: Instant = Instant::from_millis(600_000);

#[test]
fn watching_what_nobody_publishes_is_refused() {
    let mut call = Call::new(1, PERFECT);
    let offer = call.client(Wishes::default()).offer_to_receive();
    let response = call.request(open_downstream("empty", offer));
    assert!(matches!(response, Response::Refused { code: ErrorCode::NothingPublished, .. }), "{response:?}");
    assert_eq!((call.control.slots_taken(), call.control.channels()), (0, 0));
}

#[test]
fn an_offer_that_cannot_be_met_leaves_nothing_behind() {
    let mut call = Call::new(2, PERFECT);
    for offer in ["", "nonsense", "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"] {
        let response = call.request(open_upstream("sea", offer.to_owned()));
        assert!(matches!(response, Response::Refused { .. }), "{response:?}");
    }
    assert_eq!((call.control.slots_taken(), call.control.channels()), (0, 0));
}

#[test]
fn a_client_that_falls_silent_is_gone_after_thirty_seconds_and_not_before() {
    let mut call = Call::new(3, PERFECT);
    call.publish("sea", Wishes::default(), END);
    call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(2));
    call.world.actors[1].peer().fall_silent();
    call.run(Duration::from_secs(24));
    assert_eq!(call.control.connections(), 2, "consent lasts 30 s from the last check");
    call.run(Duration::from_secs(12));
    assert_eq!(call.control.connections(), 1);
    call.world.actors[0].peer().fall_silent();
    call.run(Duration::from_secs(40));
    assert_eq!((call.control.slots_taken(), call.control.channels()), (0, 0));
    assert_eq!(call.world.machine.poll_timeout(), None, "an empty shard waits for nothing");
}

#[test]
fn a_client_that_never_comes_is_forgotten() {
    let mut call = Call::new(4, PERFECT);
    let offer = call.client(Wishes::default()).offer_to_send();
    assert!(matches!(call.request(open_upstream("sea", offer)), Response::Opened { .. }));
    call.run(Duration::from_secs(31));
    assert_eq!((call.control.slots_taken(), call.control.channels()), (0, 0));
}

#[test]
fn closing_says_goodbye_and_frees_the_slot() {
    let mut call = Call::new(5, PERFECT);
    call.publish("sea", Wishes::default(), END);
    let viewer = call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(1));
    assert_eq!(call.request(Request::Close { connection: viewer }), Response::Closed);
    call.run(Duration::from_secs(1));
    assert_eq!(call.control.slots_taken(), 1);
    assert!(call.world.viewers().next().unwrap().goodbyes > 0);
    let again = call.request(Request::Close { connection: viewer });
    assert!(matches!(again, Response::Refused { code: ErrorCode::ConnectionUnknown, .. }));
}

#[test]
fn ice_restarts_keep_media_flowing_and_stale_credentials_are_refused() {
    let mut call = Call::new(6, PERFECT);
    call.publish("sea", Wishes::default(), END);
    let viewer = call.watch("sea", Wishes::default());
    call.run(Duration::from_secs(1));
    let before = call.world.viewers().next().unwrap().log.len();
    let ufrag = "restarted".to_owned();
    let response =
        call.request(Request::Restart { connection: viewer, ufrag: ufrag.clone(), password: "p".repeat(22) });
    let Response::Restarted { candidates, .. } = response else { panic!("{response:?}") };
    assert_eq!(candidates.len(), 1);
    call.run(Duration::from_secs(1));
    assert!(call.world.viewers().next().unwrap().log.len() > before + 100);
    let bad = call.request(Request::Restart { connection: viewer, ufrag, password: "short".to_owned() });
    assert!(matches!(bad, Response::Refused { code: ErrorCode::CredentialsInvalid, .. }));
}

#[test]
fn a_thousand_comings_and_goings_leave_nothing() {
    let mut call = Call::new(7, PERFECT);
    call.publish("sea", Wishes::default(), END);
    for _ in 0..1_000 {
        let viewer = call.watch("sea", Wishes::default());
        call.run(Duration::from_millis(20));
        call.request(Request::Close { connection: viewer });
        call.world.actors.pop();
    }
    call.run(Duration::from_secs(1));
    assert_eq!(call.control.slots_taken(), 1);
    assert_eq!(call.world.machine.tally().discarded(Discard::HandshakeQueueFull), 0);
}

fn open_upstream(channel: &str, offer: String) -> Request {
    let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new(channel).unwrap());
    Request::OpenUpstream { connection: ConnectionKey(1), channel, media_id: MediaId::main(), offer }
}

fn open_downstream(channel: &str, offer: String) -> Request {
    let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new(channel).unwrap());
    Request::OpenDownstream { connection: ConnectionKey(2), channel, media_id: MediaId::main(), offer }
}
