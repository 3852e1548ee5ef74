//! Registered clients over real sockets: presence, messages, media, and lost sockets.

use serde_json::json;
use tidewire_core::message::client::{Event, LeaveReason, Reply, Source, Told};
use tidewire_core::message::{Event as MediaEvent, Request};

use crate::media::{Bed, OFFER, Script, wait_until};
use crate::socket::{Caller, Door, claim, register};

async fn door() -> Door {
    Door::open(Bed::new(Script::Judge)).await
}

#[tokio::test]
async fn members_see_each_other_come_speak_and_go() {
    let door = door().await;
    let mut alice = door.client("alice", &["sea"]).await;
    let mut bob = door.client("bob", &["SEA"]).await;
    let Some(Reply::Registered { channels, .. }) = &bob.registered else { panic!() };
    assert_eq!(channels[0].members[0].user_id.as_str(), "alice");
    let Event::Joined { member, .. } = alice.event().await else { panic!() };
    assert_eq!(member.client_id.as_str(), "bob-1");
    assert_eq!(bob.ask(json!({"type": "send", "channel": "sea", "text": "ahoy"})).await, Ok(Reply::Done));
    for caller in [&mut alice, &mut bob] {
        let Event::Message { from, to_all: true, .. } = caller.event().await else { panic!() };
        assert_eq!(from.user_id.as_str(), "bob");
    }
    assert_eq!(bob.ask(json!({"type": "leave", "channel": "sea"})).await, Ok(Reply::Done));
    assert!(matches!(alice.event().await, Event::Left { reason: LeaveReason::Left, .. }));
    assert_eq!(bob.ask(json!({"type": "send", "channel": "sea", "text": "x"})).await, Err("notInChannel".into()));
}

#[tokio::test]
async fn tokens_that_come_too_fast_are_not_verified() {
    let door = door().await;
    let mut alice = door.client("alice", &["sea"]).await;
    let mut codes = std::collections::BTreeSet::new();
    // As many at once as may be in flight; a machine that takes seconds for them gives more allowance meanwhile.
    for _ in 0..20 {
        let mut numbers = Vec::new();
        for _ in 0..60 {
            numbers.push(alice.send(json!({"type": "renew", "token": "no token at all"})).await);
        }
        for n in numbers {
            codes.insert(alice.answer(n).await.unwrap_err());
        }
        if codes.contains("tooManyMessages") {
            break;
        }
    }
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["tokenParseFailure", "tooManyMessages"]);
}

#[tokio::test]
async fn one_publishes_and_another_watches() {
    let door = door().await;
    let mut alice = door.client("alice", &["sea"]).await;
    let mut bob = door.client("bob", &["sea"]).await;
    alice.event().await;
    let opened = alice.ask(json!({"type": "openUpstream", "channel": "sea", "offer": OFFER})).await.unwrap();
    let Reply::UpstreamOpened { connection, upstream, .. } = opened else { panic!("{opened:?}") };
    door.bed.events.send(MediaEvent::Connected { connection }).await.unwrap();
    assert_eq!(alice.event().await, Event::Connected { connection });
    let Event::UpstreamOpened { upstream: shown, .. } = bob.event().await else { panic!() };
    assert_eq!((shown.upstream, shown.audio, shown.video), (upstream, true, false));
    let wants = json!([{"upstream": upstream, "video": false}]);
    let watching = bob.ask(json!({"type": "openDownstream", "channel": "sea", "wants": wants})).await.unwrap();
    let Reply::DownstreamOpened { connection: downstream } = watching else { panic!("{watching:?}") };
    let Event::Offer { revision: 1, sections, .. } = bob.event().await else { panic!() };
    assert_eq!(sections[0].source, Source::Upstream(upstream));
    let answer = json!({"type": "answer", "connection": downstream, "revision": 1, "answer": "v=0"});
    assert_eq!(bob.ask(answer).await, Ok(Reply::Done));
    assert_eq!(alice.ask(json!({"type": "close", "connection": connection})).await, Ok(Reply::Done));
    assert!(matches!(bob.event().await, Event::UpstreamClosed { upstream: gone, .. } if gone == upstream));
    let Event::Offer { revision: 2, sections, .. } = bob.event().await else { panic!() };
    assert!(sections.is_empty(), "the want ended with its upstream");
    wait_until("the connection is closed", || !door.bed.seen().open.contains(&connection)).await;
}

#[tokio::test]
async fn lost_socket_loses_and_doubles_nothing() {
    let door = door().await;
    let mut alice = door.client("alice", &["sea"]).await;
    let mut bob = door.client("bob", &["sea"]).await;
    alice.event().await;
    for round in 0..20 {
        for n in 0..5 {
            alice.send(json!({"type": "send", "channel": "sea", "text": format!("{round}.{n}")})).await;
        }
        // Whatever is on its way now is lost with the socket.
        let resumed = alice.resume(&door).await;
        assert!(matches!(resumed, Told::Resumed { .. }), "{resumed:?}");
        for caller in [&mut alice, &mut bob] {
            for n in 0..5 {
                assert_eq!(message(caller).await, format!("{round}.{n}"));
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(260)).await;
    }
}

/// The text of the next message; replies between are passed over.
async fn message(caller: &mut Caller) -> String {
    loop {
        match caller.told().await {
            Told::Event {
                event: Event::Message { payload: tidewire_core::message::client::Payload::Text(text), .. },
            } => {
                return text;
            }
            Told::Reply { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_does_not_register_first_is_refused_and_closed() {
    let door = door().await;
    let good = register("alice", vec![claim("sea")]);
    let table = [
        (json!({"n": 1, "m": {"type": "unregister"}}), "notRegistered"),
        (json!({"n": 2, "m": {"type": "register", "token": good}}), "notRegistered"),
        (json!({"n": 1, "m": {"type": "register", "token": "a.b.c"}}), "tokenParseFailure"),
        (json!({"n": 1, "m": {"type": "fly"}}), "requestInvalid"),
        (json!("hello"), "notRegistered"),
    ];
    for (frame, code) in table {
        let mut caller = Caller::new(door.socket().await);
        caller.write(&frame).await;
        let Some(Told::Refused { code: given, .. }) = caller.read().await else { panic!("{frame}") };
        assert_eq!(given, code, "{frame}");
        assert!(caller.read().await.is_none(), "closed");
    }
    assert_eq!(door.bed.gateway.figures().clients, 0);
    assert!(door.bed.seen().requests.iter().all(|request| !matches!(request, Request::OpenUpstream { .. })));
}
