//! Wishes on their way to a media server, and what it tells on its way to clients.

use tidewire_core::id::MediaId;
use tidewire_core::message::client::Source;
use tidewire_core::message::media;
use tidewire_core::message::quality::{EncodingDemand, Layer, LayerReason, Score, Statistics, Wish};

use super::*;

/// Alice publishes, Bob watches her.
struct Watching {
    scene: Scene,
    alice: LinkKey,
    bob: LinkKey,
    published: ConnectionKey,
    upstream: UpstreamId,
    watched: ConnectionKey,
}

fn watching() -> Watching {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.client("alice", vec![claim("sea")]), scene.client("bob", vec![claim("sea")]));
    let (published, upstream) = scene.published(alice, "sea", None);
    let watched = scene.watching(bob, "sea", json!([{"upstream": upstream}]));
    scene.heard(alice);
    scene.heard(bob);
    Watching { scene, alice, bob, published, upstream, watched }
}

/// The media id under which the media server knows what Bob watches.
fn media_id(scene: &Scene) -> MediaId {
    let offered = scene.requests.iter().find_map(|request| match request {
        Request::OfferDownstream { wants, .. } => Some(wants[0].media_id.clone()),
        _ => None,
    });
    offered.unwrap()
}

#[test]
fn wish_reaches_the_media_server_under_the_name_that_it_knows() {
    let Watching { mut scene, bob, upstream, watched, .. } = watching();
    let wish = json!({"width": 320, "height": 180, "temporal": 1});
    let prefer = json!({"type": "prefer", "connection": watched, "wishes": [{"upstream": upstream, "wish": wish}]});
    assert_eq!(scene.ask(bob, prefer), Ok(Reply::Done));
    let wish = Wish { width: Some(320), height: Some(180), temporal: Some(1), ..Wish::default() };
    let wishes = vec![media::Preference { media_id: media_id(&scene), wish }];
    assert_eq!(scene.requests.last(), Some(&Request::Prefer { connection: watched, wishes }));
}

#[test]
fn wish_for_what_is_not_watched_is_refused_and_nobody_is_asked() {
    let Watching { mut scene, alice, bob, published, watched, .. } = watching();
    let prefer = |connection| {
        let wish = json!({"upstream": UpstreamId(77), "wish": {}});
        json!({"type": "prefer", "connection": connection, "wishes": [wish]})
    };
    let asked = scene.requests.len();
    assert_eq!(scene.ask(bob, prefer(watched)), Err("notWanted".into()));
    assert_eq!(scene.ask(bob, prefer(published)), Err("connectionUnknown".into()), "it is another's");
    assert_eq!(scene.ask(alice, prefer(published)), Err("connectionKindMismatch".into()));
    assert_eq!(scene.requests.len(), asked);
}

#[test]
fn what_viewers_want_and_how_it_fares_is_told_to_the_owner_alone() {
    let Watching { mut scene, alice, bob, published, .. } = watching();
    let encodings =
        vec![EncodingDemand { encoding: Some(Label::new("q").unwrap()), active: true, spatial: None, temporal: None }];
    scene.hall.event(&Event::Demand { connection: published, encodings: encodings.clone() });
    let statistics = Statistics {
        network_quality: Score::BEST,
        media_quality: Score::BEST,
        round_trip_ms: None,
        estimate_bps: None,
        streams: Vec::new(),
    };
    scene.hall.event(&Event::Statistics { connection: published, statistics: statistics.clone() });
    assert_eq!(
        scene.events(alice),
        [Heard::Demand { connection: published, encodings }, Heard::Statistics { connection: published, statistics }]
    );
    assert_eq!(scene.events(bob), []);
}

#[test]
fn layer_is_told_under_the_source_that_its_viewer_asked_for() {
    let Watching { mut scene, alice, bob, upstream, watched, .. } = watching();
    let event = Event::Layer {
        connection: watched,
        media_id: media_id(&scene),
        layer: Layer::default(),
        reason: LayerReason::Size,
    };
    scene.hall.event(&event);
    let source = Source::Upstream(upstream);
    let told = Heard::Layer { connection: watched, source, layer: Layer::default(), reason: LayerReason::Size };
    assert_eq!((scene.events(bob), scene.events(alice)), (vec![told], vec![]));
}

#[test]
fn everybody_hears_who_speaks_as_far_as_they_know_the_upstream() {
    let Watching { mut scene, alice, bob, upstream, watched, .. } = watching();
    let speakers = vec![MediaId::main(), media_id(&scene)];
    let channel = scene.hall.book().connection(watched).unwrap().channel.clone();
    scene.hall.event(&Event::Speakers { channel, speakers });
    let told = Heard::Speakers { channel: ChannelName::new("sea").unwrap(), upstreams: vec![upstream] };
    assert_eq!((scene.events(alice), scene.events(bob)), (vec![told.clone()], vec![told]));
}

#[test]
fn statistics_are_asked_for_a_minute_at_most() {
    let Watching { mut scene, bob, watched, published, .. } = watching();
    let observe = |connection, seconds| json!({"type": "observe", "connection": connection, "seconds": seconds});
    assert_eq!(scene.ask(bob, observe(watched, 600)), Ok(Reply::Done));
    assert_eq!(scene.requests.last(), Some(&Request::Observe { connection: watched, seconds: 60 }));
    assert_eq!(scene.ask(bob, observe(published, 1)), Err("connectionUnknown".into()));
}
