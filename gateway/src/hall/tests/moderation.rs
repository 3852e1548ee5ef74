//! What members let and make each other do, and what a newer token changes.

use tidewire_core::message::client::Rights;

use super::*;

fn moderator() -> ChannelClaim {
    ChannelClaim { can_kick: true, can_update: true, ..claim("sea") }
}

fn muted() -> ChannelClaim {
    ChannelClaim { disable_send_audio: true, disable_send_video: true, ..claim("sea") }
}

#[test]
fn promoted_viewer_may_publish_and_a_demoted_one_no_longer() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![moderator()]);
    let bob = scene.client("bob", vec![muted()]);
    let open = json!({"type": "openUpstream", "channel": "sea", "offer": OFFER});
    assert_eq!(scene.ask(bob, open.clone()), Err("sendAudioForbidden".into()));
    scene.heard(bob);
    let grant = |may: bool| json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": {"sendAudio": may, "sendVideo": may}});
    assert_eq!(scene.ask(alice, grant(true)), Ok(Reply::Done));
    let told = scene.events(bob);
    assert!(matches!(
        told[..],
        [Heard::RightsChanged { rights: Rights { send_audio: true, send_video: true, .. }, .. }]
    ));
    let (connection, upstream) = scene.published(bob, "sea", None);
    scene.heard(alice);
    scene.heard(bob);
    assert_eq!(scene.ask(alice, grant(false)), Ok(Reply::Done));
    assert!(matches!(scene.events(alice)[..], [Heard::UpstreamClosed { upstream: gone, .. }] if gone == upstream));
    assert!(matches!(scene.events(bob)[..], [Heard::Closed { .. }, Heard::RightsChanged { .. }]));
    assert!(scene.requests.contains(&Request::Close { connection }));
}

#[test]
fn nobody_grants_what_it_has_not_itself() {
    let mut scene = Scene::new();
    let updater = ChannelClaim { can_update: true, disable_send_video: true, ..claim("sea") };
    let alice = scene.client("alice", vec![updater]);
    scene.client("bob", vec![muted()]);
    for (right, outcome) in [
        ("sendVideo", Err("grantForbidden".to_owned())),
        ("kick", Err("grantForbidden".to_owned())),
        ("sendAudio", Ok(Reply::Done)),
    ] {
        let grant = json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": {right: true}});
        assert_eq!(scene.ask(alice, grant), outcome, "{right}");
    }
    let take = json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": {"sendVideo": false}});
    assert_eq!(scene.ask(alice, take), Ok(Reply::Done), "taking away is no giving");
    let unknown = json!({"type": "grant", "channel": "sea", "clientId": "carol-1", "rights": {}});
    assert_eq!(scene.ask(alice, unknown), Err("memberUnknown".into()));
}

#[test]
fn kicked_member_leaves_with_its_connections_and_others_are_told() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![moderator()]);
    let bob = scene.client("bob", vec![claim("sea"), claim("lake")]);
    let (connection, _) = scene.published(bob, "sea", None);
    let (kept, _) = scene.published(bob, "lake", None);
    scene.heard(alice);
    scene.heard(bob);
    assert_eq!(scene.ask(alice, json!({"type": "kick", "channel": "sea", "clientId": "bob-1"})), Ok(Reply::Done));
    assert!(matches!(
        scene.events(alice)[..],
        [Heard::UpstreamClosed { .. }, Heard::Left { reason: LeaveReason::Kicked, .. }]
    ));
    let told = scene.events(bob);
    assert!(matches!(&told[..], [Heard::Closed { .. }, Heard::Kicked { by, .. }] if by.as_str() == "alice-1"));
    assert!(scene.hall.book().connection(connection).is_none() && scene.hall.book().connection(kept).is_some());
}

#[test]
fn hidden_observer_is_there_for_nobody() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![moderator()]);
    let hidden = ChannelClaim { enable_hidden_observer_mode: true, ..claim("sea") };
    let ghost = scene.client("ghost", vec![hidden]);
    let found = scene.client("bob", vec![claim("sea")]);
    let told = scene.heard(found);
    assert!(
        matches!(&told[..], [Told::Reply { reply: Reply::Registered { channels, .. }, .. }] if channels[0].members.len() == 1)
    );
    assert_eq!(
        scene.ask(alice, json!({"type": "kick", "channel": "sea", "clientId": "ghost-1"})),
        Err("memberUnknown".into())
    );
    scene.heard(ghost);
    assert_eq!(scene.ask(alice, json!({"type": "send", "channel": "sea", "text": "x"})), Ok(Reply::Done));
    assert!(matches!(scene.events(ghost)[..], [Heard::Message { .. }]), "but it hears");
    assert_eq!(scene.ask(ghost, json!({"type": "update", "tag": "boo"})), Ok(Reply::Done));
    let plain = token(TokenType::Register, "ghost", vec![claim("sea")]);
    assert_eq!(scene.ask_with(ghost, json!({"type": "renew", "token": "t"}), plain), Ok(Reply::Done));
    assert_eq!(
        scene.ask(ghost, json!({"type": "send", "channel": "sea", "text": "x"})),
        Err("messageForbidden".into())
    );
    assert_eq!(scene.ask(ghost, json!({"type": "unregister"})), Ok(Reply::Done));
    let about: Vec<_> =
        scene.events(alice).into_iter().filter(|event| !matches!(event, Heard::Message { .. })).collect();
    assert!(matches!(&about[..], [Heard::Joined { member, .. }] if member.user_id.as_str() == "bob"), "{about:?}");
}

#[test]
fn newer_token_counts_where_it_names_a_channel() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea"), claim("lake")]);
    scene.published(alice, "sea", None);
    let (kept, _) = scene.published(alice, "lake", None);
    scene.heard(alice);
    let renew = json!({"type": "renew", "token": "t"});
    let newer = token(TokenType::Register, "alice", vec![muted(), claim("river")]);
    assert_eq!(scene.ask_with(alice, renew.clone(), newer), Ok(Reply::Done));
    assert!(matches!(scene.events(alice)[..], [Heard::Closed { .. }, Heard::RightsChanged { .. }]));
    assert!(scene.hall.book().connection(kept).is_some());
    assert_eq!(scene.ask(alice, json!({"type": "leave", "channel": "river"})), Err("notInChannel".into()));
    let others = token(TokenType::Register, "bob", vec![]);
    assert_eq!(scene.ask_with(alice, renew, others), Err("tokenUserMismatch".into()));
}

/// Joins, and gives whether audio and video may be sent.
fn joined(scene: &mut Scene, client: LinkKey, claim: &ChannelClaim) -> (bool, bool) {
    let outcome = scene.ask_with(client, json!({"type": "join", "token": "t"}), Claims::join(claim.clone()));
    let Ok(Reply::Joined { channel }) = outcome else { panic!("{outcome:?}") };
    (channel.rights.send_audio, channel.rights.send_video)
}

#[test]
fn what_was_granted_holds_against_the_members_own_tokens_until_it_leaves() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![moderator()]);
    // Whoever is muted has a token that lets it speak, and a promoted viewer has one that only lets it watch.
    for (may, own) in [(false, claim("sea")), (true, muted())] {
        let bob = scene.client("bob", vec![own.clone()]);
        let grant = json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": {"sendAudio": may, "sendVideo": may}});
        assert_eq!(scene.ask(alice, grant), Ok(Reply::Done));
        scene.heard(bob);
        let newer = token(TokenType::Register, "bob", vec![own.clone()]);
        assert_eq!(scene.ask_with(bob, json!({"type": "renew", "token": "t"}), newer), Ok(Reply::Done));
        assert_eq!(scene.events(bob), [], "nothing changed");
        assert_eq!(joined(&mut scene, bob, &own), (may, may));
        assert_eq!(scene.ask(bob, json!({"type": "openUpstream", "channel": "sea", "offer": OFFER})).is_ok(), may);
        assert_eq!(scene.ask(bob, json!({"type": "leave", "channel": "sea"})), Ok(Reply::Done));
        assert_eq!(joined(&mut scene, bob, &own), (!may, !may), "its token alone counts");
    }
}

#[test]
fn later_grant_counts_where_it_says_something() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![moderator()]);
    let bob = scene.client("bob", vec![claim("sea")]);
    for rights in [json!({"sendAudio": false, "kick": true}), json!({"sendAudio": true, "sendVideo": false}), json!({})]
    {
        let grant = json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": rights});
        assert_eq!(scene.ask(alice, grant), Ok(Reply::Done));
    }
    let newer = token(TokenType::Register, "bob", vec![claim("sea")]);
    assert_eq!(scene.ask_with(bob, json!({"type": "renew", "token": "t"}), newer), Ok(Reply::Done));
    let Some(Heard::RightsChanged { rights, .. }) = scene.events(bob).pop() else { panic!() };
    assert_eq!((rights.send_audio, rights.send_video, rights.kick, rights.update), (true, false, true, false));
}

#[test]
fn messages_go_to_whom_all_ids_describe() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let phone = Claims { client_id: Some(label("bob-phone")), ..token(TokenType::Register, "bob", vec![claim("sea")]) };
    let bob = scene.client("bob", vec![claim("sea")]);
    let phone = scene.registered(&phone).unwrap();
    let elsewhere = scene.client("carol", vec![claim("lake")]);
    for client in [alice, bob, phone, elsewhere] {
        scene.heard(client);
    }
    let table = [
        (json!({}), [1, 1, 1, 0]),
        (json!({"userId": "bob"}), [0, 1, 1, 0]),
        (json!({"userId": "bob", "clientId": "bob-phone"}), [0, 0, 1, 0]),
        (json!({"userId": "alice", "clientId": "bob-phone"}), [0, 0, 0, 0]),
        (json!({"clientId": "carol-1"}), [0, 0, 0, 0]),
    ];
    for (scope, expected) in table {
        let mut request = json!({"type": "send", "channel": "sea", "data": "AAAA"});
        request.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        assert_eq!(scene.ask(alice, request), Ok(Reply::Done));
        let counts = [alice, bob, phone, elsewhere].map(|client| scene.events(client).len());
        assert_eq!(counts, expected, "{scope}");
    }
}
