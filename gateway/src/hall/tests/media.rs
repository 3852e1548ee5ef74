//! Connections from their opening to their end, whoever ends them.

use tidewire_core::id::MediaId;
use tidewire_core::message::client::Source;

use super::*;
use crate::token::Side;

fn two() -> (Scene, LinkKey, LinkKey) {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let bob = scene.client("bob", vec![claim("sea")]);
    scene.heard(alice);
    scene.heard(bob);
    (scene, alice, bob)
}

#[test]
fn upstream_is_announced_once_it_has_its_keys_and_its_opener_knows_of_it() {
    let (mut scene, alice, bob) = two();
    let open = json!({"type": "openUpstream", "channel": "sea", "offer": OFFER, "audioMuted": true});
    let n = scene.put(alice, open, None);
    let Some(Request::OpenUpstream { connection, media_id, .. }) = scene.requests.last().cloned() else { panic!() };
    assert!(upstreams::is_reserved(&media_id), "named by its own id");
    scene.hall.event(&Event::Connected { connection });
    assert_eq!((scene.events(alice), scene.events(bob)), (vec![], vec![]), "its answer is still out");
    scene.serve();
    let Ok(Reply::UpstreamOpened { upstream, .. }) = scene.answer(alice, n) else { panic!() };
    assert_eq!(scene.events(alice), [Heard::Connected { connection }]);
    let Heard::UpstreamOpened { upstream: shown, .. } = scene.events(bob).remove(0) else { panic!() };
    assert_eq!((shown.upstream, shown.media_id, shown.state.audio_muted), (upstream, None, true));
    scene.hall.event(&Event::Connected { connection });
    assert_eq!(scene.events(bob), [], "once");
}

#[test]
fn opening_that_is_refused_or_not_answered_leaves_nothing() {
    let (mut scene, alice, bob) = two();
    let open = json!({"type": "openUpstream", "channel": "sea", "offer": OFFER});
    let n = scene.put(alice, open.clone(), None);
    scene.refuse_next(ErrorCode::OfferUnacceptable);
    assert_eq!(scene.answer(alice, n), Err("offerUnacceptable".into()));
    assert!(
        !scene.requests.iter().any(|request| matches!(request, Request::Close { .. })),
        "there is nothing to close"
    );
    let n = scene.put(alice, open, None);
    let (_, ticket) = scene.open.pop_front().unwrap();
    scene.hall.settle(ticket, Err(refuse(Code::MediaServerUnavailable)));
    scene.collect();
    assert_eq!(scene.answer(alice, n), Err("mediaServerUnavailable".into()));
    assert!(matches!(scene.requests.last(), Some(Request::Close { .. })), "it may have opened it");
    assert_eq!((scene.hall.figures().connections, scene.events(bob).len()), (0, 0));
}

#[test]
fn connection_that_ends_by_itself_is_told_to_its_owner_and_the_channel() {
    let (mut scene, alice, bob) = two();
    let (connection, upstream) = scene.published(alice, "sea", None);
    scene.heard(alice);
    scene.heard(bob);
    let reason = CloseReason::ConsentExpired;
    scene.hall.event(&Event::Closed { connection, reason });
    assert_eq!(scene.events(alice), [Heard::Closed { connection, reason }]);
    assert!(matches!(scene.events(bob)[..], [Heard::UpstreamClosed { upstream: gone, .. }] if gone == upstream));
    scene.hall.event(&Event::Closed { connection, reason });
    assert_eq!(scene.events(bob), []);
}

#[test]
fn media_id_is_taken_over_by_its_user_and_from_whip_only() {
    let (mut scene, alice, bob) = two();
    let who = Claims { channels: vec![claim("sea")], ..Claims::default() };
    let call = |key: u128| sessions::Call::Open {
        key: ConnectionKey(key),
        upstream: UpstreamId(key),
        side: Side::Publish,
        channel: ChannelName::new("sea").unwrap(),
        media_id: MediaId::main(),
        offer: OFFER.to_owned(),
    };
    assert!(scene.hall.call(&who, call(900)).is_ok());
    scene.published(alice, "sea", Some("main"));
    scene.published(alice, "sea", Some("main"));
    let open = json!({"type": "openUpstream", "channel": "sea", "offer": OFFER, "mediaId": "main"});
    assert_eq!(scene.ask(bob, open), Err("mediaIdTaken".into()));
    assert_eq!(scene.hall.call(&who, call(901)).unwrap_err().code, Code::MediaIdTaken);
    let alice_by_whip = Claims { user_id: Some(label("alice")), ..who };
    assert!(scene.hall.call(&alice_by_whip, call(902)).is_ok());
}

#[test]
fn publisher_by_whip_is_seen_in_the_channel() {
    let (mut scene, alice, _) = two();
    let who = Claims { channels: vec![claim("sea")], ..Claims::default() };
    let (connection, channel) = (ConnectionKey(900), ChannelName::new("sea").unwrap());
    let (upstream, media_id) = (UpstreamId(901), MediaId::main());
    let call =
        sessions::Call::Open { key: connection, upstream, side: Side::Publish, channel, media_id, offer: OFFER.into() };
    let Ok(sessions::Step::Ask { ticket, .. }) = scene.hall.call(&who, call) else { panic!() };
    scene.hall.settle_call(ticket, Response::Opened { answer: "v=0".into() }).unwrap();
    scene.hall.event(&Event::Connected { connection });
    let Heard::UpstreamOpened { upstream: shown, .. } = scene.events(alice).remove(0) else { panic!() };
    assert_eq!((shown.client_id, shown.media_id), (None, Some(MediaId::main())));
    assert_eq!(scene.ask(alice, json!({"type": "close", "connection": connection})), Err("connectionUnknown".into()));
}

#[test]
fn wants_of_an_upstream_end_with_it_in_one_change() {
    let (mut scene, alice, bob) = two();
    let (connection, first) = scene.published(alice, "sea", None);
    let (other, second) = scene.published(alice, "sea", Some("screen"));
    let downstream =
        scene.watching(bob, "sea", json!([{"upstream": first}, {"upstream": second}, {"mediaId": "later"}]));
    scene.heard(bob);
    scene.requests.clear();
    assert_eq!(scene.ask(alice, json!({"type": "leave", "channel": "sea"})), Ok(Reply::Done));
    let changes = scene.requests.iter().filter(|request| matches!(request, Request::ChangeDownstream { .. }));
    assert_eq!(changes.count(), 1);
    for connection in [connection, other] {
        assert!(scene.requests.contains(&Request::Close { connection }));
    }
    let offer = scene.events(bob).pop().unwrap();
    let Heard::Offer { connection, revision: 2, sections, .. } = offer else { panic!("{offer:?}") };
    assert_eq!((connection, sections.len()), (downstream, 1));
    assert_eq!(sections[0].source, Source::MediaId(MediaId::new("later").unwrap()));
}

#[test]
fn one_question_about_an_offer_is_out_at_a_time() {
    let (mut scene, alice, _) = two();
    let downstream = scene.watching(alice, "sea", json!([]));
    scene.heard(alice);
    let asked = scene.requests.len();
    let change = |id: &str| json!({"type": "changeDownstream", "connection": downstream, "wants": [{"mediaId": id}]});
    let numbers = ["a", "b", "c"].map(|id| scene.put(alice, change(id), None));
    let restart = scene.put(alice, json!({"type": "restart", "connection": downstream}), None);
    assert_eq!(scene.requests.len(), asked + 1, "the others wait");
    scene.serve();
    assert_eq!(scene.requests.len(), asked + 3, "a restart, and one change to the last that was wanted");
    for n in numbers.into_iter().chain([restart]) {
        assert_eq!(scene.answer(alice, n), Ok(Reply::Done));
    }
    assert_eq!(scene.events(alice).len(), 1, "of offers that were not sent the newest counts");
    assert_eq!(scene.ask(alice, change("c")), Ok(Reply::Done));
    assert_eq!(scene.requests.len(), asked + 3, "nothing to ask");
}

#[test]
fn change_that_is_refused_leaves_the_connection_as_it_was() {
    let (mut scene, alice, _) = two();
    let downstream = scene.watching(alice, "sea", json!([{"mediaId": "a"}]));
    let n = scene.put(
        alice,
        json!({"type": "changeDownstream", "connection": downstream, "wants": [{"mediaId": "b"}]}),
        None,
    );
    scene.refuse_next(ErrorCode::TooManyWants);
    assert_eq!(scene.answer(alice, n), Err("tooManyWants".into()));
    let asked = scene.requests.len();
    assert_eq!(
        scene.ask(alice, json!({"type": "changeDownstream", "connection": downstream, "wants": [{"mediaId": "a"}]})),
        Ok(Reply::Done)
    );
    assert_eq!(scene.requests.len(), asked, "it still carries that");
}

#[test]
fn media_server_that_is_lost_takes_connections_and_nothing_else() {
    let (mut scene, alice, bob) = two();
    let (connection, upstream) = scene.published(alice, "sea", None);
    scene.watching(bob, "sea", json!([{"upstream": upstream}]));
    scene.heard(alice);
    scene.heard(bob);
    scene.hall.media_lost();
    let reason = CloseReason::MediaServerLost;
    assert_eq!(scene.events(alice), [Heard::Closed { connection, reason }]);
    assert_eq!(scene.events(bob).len(), 2);
    assert_eq!(scene.hall.figures().connections, 0);
    assert_eq!(scene.ask(bob, json!({"type": "send", "channel": "sea", "text": "still here"})), Ok(Reply::Done));
    assert_eq!(scene.events(alice).len(), 1);
}

#[test]
fn restarts_bring_new_credentials_or_a_new_offer() {
    let (mut scene, alice, bob) = two();
    let (connection, _) = scene.published(alice, "sea", None);
    let downstream = scene.watching(bob, "sea", json!([]));
    scene.heard(bob);
    let restart = json!({"type": "restart", "connection": connection, "ufrag": "abcd", "password": PASSWORD});
    assert!(matches!(scene.ask(alice, restart), Ok(Reply::Restarted { .. })));
    assert_eq!(scene.ask(bob, json!({"type": "restart", "connection": downstream})), Ok(Reply::Done));
    assert!(matches!(scene.events(bob)[..], [Heard::Offer { revision: 99, .. }]));
}
