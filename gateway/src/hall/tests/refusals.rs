//! Each refusal by its own code, and nothing changed by it.

use super::*;
use crate::limits::{
    CLIENTS_PER_USER_MAX, CONNECTIONS_PER_CLIENT_MAX, MEMBERS_MAX, MESSAGE_LEN_MAX, MESSAGES_BURST, NAMELESS_MAX,
};
use crate::token::Action;

#[test]
fn bad_registrations_are_refused() {
    let mut scene = Scene::new();
    scene.client("alice", vec![claim("sea")]);
    let good = || token(TokenType::Register, "bob", vec![claim("sea")]);
    let action = ChannelClaim { action: Action::Drop, ..claim("sea") };
    let table = [
        (token(TokenType::Join, "bob", vec![]), Code::TokenTypeForbidden),
        (Claims { kind: TokenType::Event, ..good() }, Code::TokenTypeForbidden),
        (Claims { channels: vec![action], ..good() }, Code::ChannelActionForbidden),
        (Claims { client_id: Some(label("alice-1")), ..good() }, Code::ClientIdTaken),
    ];
    for (claims, code) in table {
        assert_eq!(scene.registered(&claims), Err(code), "{claims:?}");
        assert_eq!(scene.hall.figures().clients, 1);
    }
}

#[test]
fn requests_that_a_claim_or_a_state_forbids_are_refused() {
    let mut scene = Scene::new();
    let quiet = ChannelClaim { disable_send_message: true, disable_send_video: true, ..claim("quiet") };
    let no_sfu = ChannelClaim { disable_sfu: true, ..claim("bare") };
    let hidden = ChannelClaim { enable_hidden_observer_mode: true, ..claim("glass") };
    let alice = scene.client("alice", vec![claim("sea"), quiet, no_sfu, hidden]);
    let bob = scene.client("bob", vec![claim("sea")]);
    scene.published(bob, "sea", Some("main"));
    let (own, own_id) = scene.published(alice, "sea", None);
    let watching = scene.watching(alice, "sea", json!([]));
    let id = format!("{:032x}", 77);
    let open = |channel: &str| json!({"type": "openUpstream", "channel": channel, "offer": OFFER});
    let table = [
        (json!({"type": "leave", "channel": "lake"}), "notInChannel"),
        (json!({"type": "send", "channel": "lake", "text": "x"}), "notInChannel"),
        (json!({"type": "send", "channel": "quiet", "text": "x"}), "messageForbidden"),
        (json!({"type": "send", "channel": "glass", "text": "x"}), "messageForbidden"),
        (json!({"type": "send", "channel": "sea", "text": "x".repeat(MESSAGE_LEN_MAX + 1)}), "messageTooLarge"),
        (json!({"type": "send", "channel": "sea", "data": "x"}), "messageInvalid"),
        (json!({"type": "update", "tag": "a\nb"}), "labelInvalid"),
        (open("lake"), "notInChannel"),
        (open("quiet"), "sendVideoForbidden"),
        (open("bare"), "publishForbidden"),
        (open("glass"), "publishForbidden"),
        (json!({"type": "openUpstream", "channel": "sea", "offer": "hello"}), "offerInvalid"),
        (json!({"type": "openUpstream", "channel": "sea", "offer": OFFER, "mediaId": id}), "mediaIdInvalid"),
        (json!({"type": "openUpstream", "channel": "sea", "offer": OFFER, "mediaId": "main"}), "mediaIdTaken"),
        (json!({"type": "openDownstream", "channel": "bare", "wants": []}), "watchForbidden"),
        (json!({"type": "openDownstream", "channel": "sea", "wants": [{"upstream": id}]}), "upstreamUnknown"),
        (json!({"type": "openDownstream", "channel": "quiet", "wants": [{"upstream": own_id}]}), "upstreamUnknown"),
        (json!({"type": "openDownstream", "channel": "sea", "wants": [{"mediaId": id}]}), "mediaIdInvalid"),
        (
            json!({"type": "openDownstream", "channel": "sea", "wants": vec![json!({"mediaId": "x"}); 65]}),
            "tooManyWants",
        ),
        (json!({"type": "changeDownstream", "connection": own, "wants": []}), "connectionKindMismatch"),
        (json!({"type": "changeDownstream", "connection": id, "wants": []}), "connectionUnknown"),
        (json!({"type": "answer", "connection": own, "revision": 1, "answer": "v=0"}), "connectionKindMismatch"),
        (json!({"type": "updateUpstream", "connection": watching}), "connectionKindMismatch"),
        (json!({"type": "restart", "connection": own}), "connectionKindMismatch"),
        (
            json!({"type": "restart", "connection": watching, "ufrag": "abcd", "password": PASSWORD}),
            "connectionKindMismatch",
        ),
        (json!({"type": "restart", "connection": own, "ufrag": "a", "password": "b"}), "credentialsInvalid"),
        (json!({"type": "trickle", "connection": id}), "connectionUnknown"),
        (json!({"type": "close", "connection": id}), "connectionUnknown"),
        (json!({"type": "kick", "channel": "sea", "clientId": "bob-1"}), "kickForbidden"),
        (json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": {}}), "grantForbidden"),
        (json!({"type": "register", "token": "t"}), "alreadyRegistered"),
        (json!({"type": "resume", "key": id, "seen": 0}), "alreadyRegistered"),
    ];
    let before = (scene.hall.figures(), scene.requests.len());
    for (request, code) in table {
        assert_eq!(scene.ask(alice, request.clone()), Err(code.to_owned()), "{request}");
        assert_eq!((scene.hall.figures(), scene.requests.len()), before, "{request}");
    }
}

#[test]
fn another_clients_connection_is_unknown() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let bob = scene.client("bob", vec![claim("sea")]);
    let (connection, _) = scene.published(alice, "sea", None);
    for kind in ["close", "updateUpstream", "trickle", "restart"] {
        let request = json!({"type": kind, "connection": connection});
        assert_eq!(scene.ask(bob, request), Err("connectionUnknown".into()), "{kind}");
    }
}

#[test]
fn joining_takes_a_token_for_this_client_and_one_channel() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![]);
    let good = || token(TokenType::Join, "alice", vec![claim("sea")]);
    let request = json!({"type": "join", "token": "t"});
    let other = Some(label("x"));
    let elsewhere = tidewire_core::id::ApplicationId::new("other").unwrap();
    let table = [
        (token(TokenType::Register, "alice", vec![claim("sea")]), "tokenTypeForbidden"),
        (Claims { user_id: other.clone(), ..good() }, "tokenUserMismatch"),
        (Claims { client_id: other.clone(), ..good() }, "tokenClientMismatch"),
        (Claims { device_id: other.clone(), ..good() }, "tokenDeviceMismatch"),
        (Claims { application_id: elsewhere, ..good() }, "tokenApplicationMismatch"),
        (Claims { channels: vec![], ..good() }, "tokenMissingChannelClaim"),
    ];
    for (claims, code) in table {
        assert_eq!(scene.ask_with(alice, request.clone(), claims), Err(code.to_owned()));
    }
    assert_eq!(scene.ask(alice, request.clone()), Err("tokenMissing".into()));
    let anybody = Claims { user_id: None, client_id: None, ..good() };
    assert!(matches!(scene.ask_with(alice, request, anybody), Ok(Reply::Joined { .. })));
}

#[test]
fn a_client_has_so_many_connections_and_messages() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let open = json!({"type": "openDownstream", "channel": "sea", "wants": []});
    for _ in 0..CONNECTIONS_PER_CLIENT_MAX {
        assert!(scene.ask(alice, open.clone()).is_ok());
    }
    assert_eq!(scene.ask(alice, open), Err("tooManyConnections".into()));
    scene.now += std::time::Duration::from_secs(60);
    let numbers: Vec<_> = (0..MESSAGES_BURST + 3)
        .map(|_| {
            let n = scene.put_at_once(alice, json!({"type": "send", "channel": "sea", "text": "x"}), None);
            scene.deliver();
            n
        })
        .collect();
    let refused = numbers.into_iter().filter(|n| scene.answer(alice, *n) == Err("tooManyMessages".into()));
    assert_eq!(refused.count(), 3);
}

#[test]
fn joining_and_renewing_again_and_again_are_counted_as_messages_are() {
    for (kind, claims) in
        [("join", Claims::join(claim("sea"))), ("renew", Claims::register(vec![claim("sea"), claim("lake")]))]
    {
        let mut scene = Scene::new();
        let alice = scene.client("alice", vec![claim("sea")]);
        let numbers: Vec<_> = (0..MESSAGES_BURST + 3)
            .map(|_| {
                let n = scene.put_at_once(alice, json!({"type": kind, "token": "t"}), Some(claims.clone()));
                scene.deliver();
                n
            })
            .collect();
        let refused = numbers.into_iter().filter(|n| scene.answer(alice, *n) == Err("tooManyMessages".into()));
        assert_eq!(refused.count(), 3, "{kind}");
    }
}

#[test]
fn who_may_not_ask_is_refused_before_its_token_is_looked_at() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let renew = client::Request::Renew { token: "no token at all".into() };
    let mut admitted = 0;
    for n in 2..300 {
        admitted += u32::from(scene.hall.admit(alice, n, Some(&renew), scene.now));
        scene.deliver();
    }
    // Nobody has verified anything yet.
    assert_eq!(admitted, MESSAGES_BURST);
}

#[test]
fn client_may_leave_all_its_channels_at_once() {
    let mut scene = Scene::new();
    let names: Vec<_> = (0..MESSAGES_BURST + 10).map(|n| format!("channel{n}")).collect();
    let alice = scene.client("alice", names.iter().map(|name| claim(name)).collect());
    for name in names {
        let n = scene.put_at_once(alice, json!({"type": "leave", "channel": name}), None);
        assert_eq!(scene.answer(alice, n), Ok(Reply::Done), "{name}");
    }
}

#[test]
fn gateway_that_is_full_of_connections_refuses() {
    let mut scene = Scene::new();
    scene.hall = Hall::new(Room { connections_max: 1 });
    let alice = scene.client("alice", vec![claim("sea")]);
    let open = json!({"type": "openDownstream", "channel": "sea", "wants": []});
    assert!(scene.ask(alice, open.clone()).is_ok());
    assert_eq!(scene.ask(alice, open), Err("sessionsFull".into()));
}

#[test]
fn who_comes_back_to_a_full_channel_needs_no_second_place() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let sea = tidewire_core::id::ChannelKey::new(Default::default(), ChannelName::new("sea").unwrap());
    let (known, seat) = {
        let book = scene.hall.book();
        (book.client(alice).unwrap().clone(), book.seat(alice, &sea).unwrap().clone())
    };
    for n in 1..MEMBERS_MAX {
        let (key, mut client) = (LinkKey(1_000_000 + n as u128), known.clone());
        client.member.client_id = label(&n.to_string());
        scene.hall.book.execute(Effect::Enter(key, Box::new(client)));
        scene.hall.book.execute(Effect::Sit(key, sea.clone(), Box::new(seat.clone())));
    }
    let registering = |user: &str| token(TokenType::Register, user, vec![claim("sea")]);
    assert_eq!(scene.registered(&registering("bob")), Err(Code::ChannelFull));
    assert!(scene.registered(&registering("alice")).is_ok());
}

#[test]
fn a_user_has_so_many_clients_and_each_that_goes_makes_room_for_another() {
    let mut scene = Scene::new();
    let alice = || Claims { user_id: Some(label("alice")), ..Claims::register(vec![claim("sea")]) };
    let first = scene.registered(&alice()).unwrap();
    let named = Claims { client_id: Some(label("1")), ..alice() };
    scene.registered(&named).unwrap();
    for _ in 2..CLIENTS_PER_USER_MAX {
        scene.registered(&alice()).unwrap();
    }
    assert_eq!(scene.registered(&alice()), Err(Code::TooManyClients));
    // Who comes back under its client id takes its own place.
    scene.registered(&named).unwrap();
    // A change of what others see of a client is no other client.
    scene.ask(first, json!({"type": "update", "tag": "x"})).unwrap();
    assert_eq!(scene.registered(&alice()), Err(Code::TooManyClients));
    let elsewhere = tidewire_core::id::ApplicationId::new("other").unwrap();
    scene.registered(&Claims { application_id: elsewhere, ..alice() }).unwrap();
    scene.registered(&Claims { user_id: Some(label("bob")), ..alice() }).unwrap();
    scene.ask(first, json!({"type": "unregister"})).unwrap();
    scene.registered(&alice()).unwrap();
    assert_eq!(scene.registered(&alice()), Err(Code::TooManyClients));
}

#[test]
fn clients_of_nobody_in_particular_leave_places_to_those_who_are_somebody() {
    let mut scene = Scene::new();
    let first = scene.registered(&Claims::register(vec![])).unwrap();
    let known = scene.hall.book().client(first).unwrap().clone();
    for n in 1..NAMELESS_MAX {
        let mut client = known.clone();
        client.member.client_id = label(&n.to_string());
        scene.hall.book.execute(Effect::Enter(LinkKey(1_000_000 + n as u128), Box::new(client)));
    }
    assert_eq!(scene.registered(&Claims::register(vec![])), Err(Code::ClientsFull));
    scene.client("alice", vec![claim("sea")]);
    scene.ask(first, json!({"type": "unregister"})).unwrap();
    scene.registered(&Claims::register(vec![])).unwrap();
    assert_eq!(scene.registered(&Claims::register(vec![])), Err(Code::ClientsFull));
}

#[test]
fn frames_that_break_the_rules_end_the_client() {
    let mut scene = Scene::new();
    for ends in [
        |hall: &mut Hall, client| assert!(!hall.admit(client, 3, None, Instant::ORIGIN)),
        |hall: &mut Hall, client| hall.acknowledge(client, 99),
        |hall: &mut Hall, client| hall.violate(client),
    ] {
        let alice = scene.client("alice", vec![claim("sea")]);
        ends(&mut scene.hall, alice);
        assert_eq!(scene.heard(alice).last(), Some(&Told::Ended { reason: EndReason::ProtocolViolation }));
        assert_eq!((scene.hall.figures().clients, scene.hall.figures().channels), (0, 0));
        scene.clients.clear();
    }
}
