//! How connections come and go, and that nothing of them stays.

use std::time::Duration;

use tidewire_core::count::Discard;
use tidewire_core::handshake::Fingerprint;
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName, ConnectionKey, MediaId, ShardId};
use tidewire_core::machine::Machine;
use tidewire_core::message::{CloseReason, ErrorCode, Event, Request, Response};
use tidewire_core::sim::Link;
use tidewire_core::time::Instant;
use tidewire_sfu::{Control, ShardPlan};

use crate::call::{Call, Wishes, channel_key, key_of};

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

#[test]
fn a_shard_that_is_gone_takes_its_connections_along_and_gets_no_others() {
    let plans = [0, 1].map(|at| ShardPlan { shard: ShardId(at), candidates: vec![([192, 0, 2, 1], 10_000).into()] });
    let entropy = Box::new(|bytes: &mut [u8]| bytes.fill(7));
    let mut control = Control::new(plans.into(), &[7; 16], Fingerprint([1; 32]), entropy);
    let mut client = Call::new(8, PERFECT).client(Wishes::default());
    let mut open = |control: &mut Control, number, channel| {
        client.number = number;
        let channel = channel_key(channel);
        let media_id = MediaId::main();
        let request =
            Request::OpenUpstream { connection: key_of(&client), channel, media_id, offer: client.offer_to_send() };
        control.handle(request).commands.first().map(|(shard, _)| *shard)
    };
    assert_eq!(open(&mut control, 1, "sea"), Some(ShardId(0)));
    assert_eq!(open(&mut control, 2, "sky"), Some(ShardId(1)));
    let told = control.shard_ended(ShardId(0));
    assert!(matches!(told[..], [Event::Closed { reason: CloseReason::Shutdown, .. }]), "{told:?}");
    assert_eq!((control.slots_taken(), control.channels(), control.shard_ended(ShardId(0))), (1, 1, Vec::new()));
    for number in 3..6 {
        assert_eq!(open(&mut control, number, ["sea", "sun", "ice"][usize::from(number) - 3]), Some(ShardId(1)));
    }
}

fn open_upstream(channel: &str, offer: String) -> Request {
    let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new(channel).unwrap());
    Request::OpenUpstream { connection: ConnectionKey(1), channel, media_id: MediaId::main(), offer }
}

fn open_downstream(channel: &str, offer: String) -> Request {
    let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new(channel).unwrap());
    Request::OpenDownstream { connection: ConnectionKey(2), channel, media_id: MediaId::main(), offer }
}
