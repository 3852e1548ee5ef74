//! Who speaks, as those in the channel are told, and those who come later.

use tidewire_core::id::{ApplicationId, ChannelKey, MediaId};

use super::*;

/// What the media server tells of a channel.
fn speak(scene: &mut Scene, media_ids: &[&str]) {
    let channel = ChannelKey::new(ApplicationId::default(), ChannelName::new("sea").unwrap());
    let speakers = media_ids.iter().map(|media_id| MediaId::new(media_id).unwrap()).collect();
    scene.hall.event(&Event::Speakers { channel, speakers });
}

fn speakers_found(scene: &mut Scene, user: &str, claim: ChannelClaim) -> Vec<UpstreamId> {
    let client = scene.client(user, Vec::new());
    let claims = token(TokenType::Join, user, vec![claim]);
    let Ok(Reply::Joined { channel }) = scene.ask_with(client, json!({"type": "join", "token": ""}), claims) else {
        panic!()
    };
    channel.speakers
}

fn told(scene: &mut Scene, client: LinkKey) -> Vec<Vec<UpstreamId>> {
    let list = |event| match event {
        Heard::Speakers { upstreams, .. } => Some(upstreams),
        _ => None,
    };
    scene.events(client).into_iter().filter_map(list).collect()
}

#[test]
fn speakers_are_told_to_everybody_and_found_by_who_joins() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let bob = scene.client("bob", vec![claim("sea")]);
    let (_, first) = scene.published(alice, "sea", Some("first"));
    let (_, second) = scene.published(bob, "sea", Some("second"));
    assert_eq!(speakers_found(&mut scene, "carol", claim("sea")), []);
    speak(&mut scene, &["second", "first", "unknown"]);
    for client in [alice, bob] {
        assert_eq!(told(&mut scene, client), [[second, first]]);
    }
    assert_eq!(speakers_found(&mut scene, "dora", claim("sea")), [second, first]);
    speak(&mut scene, &[]);
    assert_eq!(told(&mut scene, alice), [[]]);
    assert_eq!(speakers_found(&mut scene, "emil", claim("sea")), []);
}

#[test]
fn a_speaker_whose_upstream_has_ended_is_found_by_nobody() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let (_, first) = scene.published(alice, "sea", Some("first"));
    let (connection, _) = scene.published(alice, "sea", Some("second"));
    speak(&mut scene, &["second", "first"]);
    scene.hall.event(&Event::Closed { connection, reason: CloseReason::ConsentExpired });
    assert_eq!(speakers_found(&mut scene, "bob", claim("sea")), [first]);
}

#[test]
fn whoever_is_spared_upstreams_is_spared_speakers() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    scene.published(alice, "sea", Some("first"));
    let spared = ChannelClaim { disable_remote_upstream_connection_events: true, ..claim("sea") };
    let bob = scene.client("bob", vec![spared.clone()]);
    scene.events(bob);
    speak(&mut scene, &["first"]);
    assert_eq!(told(&mut scene, bob), Vec::<Vec<UpstreamId>>::new());
    assert_eq!(speakers_found(&mut scene, "carol", spared), []);
}
