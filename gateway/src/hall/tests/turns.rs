//! Questions about downstreams that nobody waits for, and answers that come late.

use super::*;
use crate::limits::TURNS_MAX;

const VIEWERS: usize = 3 * TURNS_MAX;

/// A publisher, and many who watch it; each viewer with its connection.
fn crowd() -> (Scene, LinkKey, ConnectionKey, Vec<(LinkKey, ConnectionKey)>) {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let (connection, upstream) = scene.published(alice, "sea", None);
    let viewers = (0..VIEWERS).map(|number| {
        let viewer = scene.client(&format!("viewer{number}"), vec![claim("sea")]);
        (viewer, scene.watching(viewer, "sea", json!([{"upstream": upstream}])))
    });
    let viewers = viewers.collect();
    (scene, alice, connection, viewers)
}

fn changes(scene: &Scene) -> usize {
    scene.open.iter().filter(|(request, _)| matches!(request, Request::ChangeDownstream { .. })).count()
}

#[test]
fn publisher_who_leaves_many_fills_no_queue_and_all_hear_of_it() {
    let (mut scene, alice, connection, viewers) = crowd();
    scene.put(alice, json!({"type": "close", "connection": connection}), None);
    assert_eq!(changes(&scene), TURNS_MAX);
    scene.serve();
    for (viewer, connection) in viewers {
        let offers = scene.events(viewer).into_iter().filter(|event| matches!(event, Heard::Offer { .. })).count();
        assert_eq!(offers, 2, "the first, and the one without what has ended");
        assert!(scene.hall.book().connection(connection).is_some());
    }
}

#[test]
fn link_without_room_ends_no_connection_for_what_others_did() {
    let (mut scene, alice, connection, viewers) = crowd();
    scene.put(alice, json!({"type": "close", "connection": connection}), None);
    while let Some((request, ticket)) = scene.open.pop_front() {
        if !scene.hall.put_off(&ticket) {
            let response = scene.response(&request);
            scene.hall.settle(ticket, Ok(response));
        }
    }
    assert!(viewers.iter().all(|(_, connection)| scene.hall.book().connection(*connection).is_some()));
    scene.serve();
    assert!(viewers.iter().all(|(viewer, _)| {
        scene.events(*viewer).into_iter().any(|event| matches!(event, Heard::Offer { revision: 2, .. }))
    }));
}

#[test]
fn answer_that_is_late_counts_though_nobody_waits_for_it() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let connection = scene.watching(alice, "sea", json!([]));
    scene.heard(alice);
    let wants = json!({"type": "changeDownstream", "connection": connection, "wants": [{"mediaId": "main"}]});
    let n = scene.put(alice, wants.clone(), None);
    let (request, mut ticket) = scene.open.pop_front().unwrap();
    assert!(ticket.is_change());
    scene.hall.tire(&mut ticket, &refuse(Code::MediaServerUnavailable));
    assert_eq!(scene.answer(alice, n), Err("mediaServerUnavailable".into()));
    let again = scene.put(alice, wants, None);
    assert!(scene.open.is_empty(), "one question at a time");
    let response = scene.response(&request);
    scene.hall.settle(ticket, Ok(response));
    scene.serve();
    assert_eq!(scene.answer(alice, again), Ok(Reply::Done));
    assert!(matches!(scene.events(alice)[..], [Heard::Offer { .. }]), "the offer is not lost");
}
