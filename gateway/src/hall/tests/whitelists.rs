//! Claims that name the roles whose media may be received.

use tidewire_core::message::Want;

use super::*;

fn hosts_only(channel: &str) -> ChannelClaim {
    ChannelClaim { audio_receive_whitelist: Some(vec![label("host")]), ..claim(channel) }
}

fn host(user: &str) -> Claims {
    Claims { client_roles: vec![label("host")], ..token(TokenType::Register, user, vec![claim("sea")]) }
}

/// What the media server was asked to carry last.
fn carried(scene: &Scene) -> Vec<Want> {
    let wants = scene.requests.iter().rev().find_map(|request| match request {
        Request::OfferDownstream { wants, .. } | Request::ChangeDownstream { wants, .. } => Some(wants.clone()),
        _ => None,
    });
    wants.unwrap()
}

#[test]
fn upstream_of_another_role_is_carried_without_that_kind() {
    let mut scene = Scene::new();
    let host = scene.registered(&host("host")).unwrap();
    let guest = scene.client("guest", vec![claim("sea")]);
    let viewer = scene.client("viewer", vec![hosts_only("sea")]);
    let (_, allowed) = scene.published(host, "sea", None);
    let (_, forbidden) = scene.published(guest, "sea", None);
    let open = |wants: Value| json!({"type": "openDownstream", "channel": "sea", "wants": wants});
    assert!(scene.ask(viewer, open(json!([{"upstream": allowed}, {"upstream": forbidden}]))).is_ok());
    assert_eq!(
        carried(&scene).iter().map(|want| (want.audio, want.video)).collect::<Vec<_>>(),
        [(true, true), (false, true)]
    );
}

#[test]
fn media_id_loses_a_kind_before_a_publisher_of_another_role_takes_it() {
    let mut scene = Scene::new();
    let viewer = scene.client("viewer", vec![hosts_only("sea")]);
    scene.watching(viewer, "sea", json!([{"mediaId": "main"}]));
    assert!(carried(&scene)[0].audio, "nobody is there whose audio may not be received");
    let guest = scene.client("guest", vec![claim("sea")]);
    scene.requests.clear();
    let (connection, _) = scene.published(guest, "sea", Some("main"));
    assert!(
        matches!(&scene.requests[..], [Request::ChangeDownstream { wants, .. }, Request::OpenUpstream { .. }] if !wants[0].audio && wants[0].video)
    );
    assert_eq!(scene.ask(guest, json!({"type": "close", "connection": connection})), Ok(Reply::Done));
    assert!(carried(&scene)[0].audio, "and gets it back");
    let host = scene.registered(&host("host")).unwrap();
    scene.requests.clear();
    scene.published(host, "sea", Some("main"));
    assert!(matches!(scene.requests[..], [Request::OpenUpstream { .. }]), "nothing changes for a host");
}

#[test]
fn publisher_by_whip_has_no_role() {
    let mut scene = Scene::new();
    let viewer = scene.client("viewer", vec![hosts_only("sea")]);
    scene.watching(viewer, "sea", json!([{"mediaId": "main"}]));
    let who = Claims { channels: vec![claim("sea")], ..Claims::default() };
    let offer = OFFER.to_owned();
    let (channel, media_id) = (ChannelName::new("sea").unwrap(), tidewire_core::id::MediaId::main());
    let (key, upstream) = (ConnectionKey(900), UpstreamId(901));
    let side = crate::token::Side::Publish;
    scene.hall.call(&who, sessions::Call::Open { key, upstream, side, channel, media_id, offer }).unwrap();
    scene.serve();
    assert!(!carried(&scene)[0].audio);
}

#[test]
fn change_that_the_gateway_must_make_and_cannot_ends_the_connection() {
    let mut scene = Scene::new();
    let viewer = scene.client("viewer", vec![hosts_only("sea")]);
    let connection = scene.watching(viewer, "sea", json!([{"mediaId": "main"}]));
    let guest = scene.client("guest", vec![claim("sea")]);
    scene.heard(viewer);
    scene.put(guest, json!({"type": "openUpstream", "channel": "sea", "mediaId": "main", "offer": OFFER}), None);
    scene.refuse_next(ErrorCode::MediaServerUnavailable);
    assert!(matches!(scene.events(viewer)[..], [Heard::Closed { connection: gone, .. }] if gone == connection));
    assert!(scene.requests.contains(&Request::Close { connection }));
}

#[test]
fn newer_claim_changes_what_is_carried() {
    let mut scene = Scene::new();
    let guest = scene.client("guest", vec![claim("sea")]);
    let viewer = scene.client("viewer", vec![claim("sea")]);
    let (_, upstream) = scene.published(guest, "sea", None);
    scene.watching(viewer, "sea", json!([{"upstream": upstream}]));
    let renew = json!({"type": "renew", "token": "t"});
    let newer = token(TokenType::Register, "viewer", vec![hosts_only("sea")]);
    assert_eq!(scene.ask_with(viewer, renew, newer), Ok(Reply::Done));
    assert!(!carried(&scene)[0].audio && carried(&scene)[0].video);
}
