//! The life of a session: trickle, restart, end, and what happens when somebody goes away in between.

use std::time::Duration;

use axum::http::StatusCode;
use tidewire_core::message::{CloseReason, Event, Request};

use crate::media::{Bed, OFFER, PASSWORD, Script, bearer, request, wait_until};

const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

/// Headers and body of a PATCH, and the refusal that they earn.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, u16, &'a str);

fn trickle() -> String {
    format!(
        "a=ice-ufrag:clnt\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
    )
}

fn restart() -> String {
    format!("a=ice-ufrag:newc\r\na=ice-pwd:new{PASSWORD}\r\n")
}

#[tokio::test]
async fn candidates_trickle_in_without_troubling_the_media_server() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    let answer = bed.call("PATCH", &session, &[FRAGMENT, ("if-match", "\"ice-0\"")], &trickle()).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("etag")), (StatusCode::NO_CONTENT, "", ""));
    assert_eq!(bed.seen().requests.len(), 1);
}

#[tokio::test]
async fn patch_is_conditional_typed_bounded_and_well_formed() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    let large = "a=candidate:1\r\n".repeat(2_000);
    let etag = ("if-match", "\"ice-0\"");
    let table: [Row<'_>; 8] = [
        (&[FRAGMENT], &trickle(), 428, "preconditionRequired"),
        (&[FRAGMENT, ("if-match", "\"ice-9\"")], &trickle(), 412, "preconditionFailed"),
        (&[FRAGMENT, ("if-match", "W/\"ice-0\"")], &trickle(), 412, "preconditionFailed"),
        (&[SDP, etag], &trickle(), 415, "mediaTypeUnsupported"),
        (&[etag], &trickle(), 415, "mediaTypeUnsupported"),
        (&[FRAGMENT, etag], "hello", 400, "fragmentInvalid"),
        (&[FRAGMENT, etag], "", 400, "fragmentInvalid"),
        (&[FRAGMENT, etag], &large, 413, "bodyTooLarge"),
    ];
    for (headers, body, status, code) in table {
        let answer = bed.call("PATCH", &session, headers, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{headers:?}");
    }
    assert_eq!(bed.seen().requests.len(), 1, "none of it reached the media server");
    let restarting =
        bed.call("PATCH", &session, &[FRAGMENT, ("if-match", "*")], "a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n").await;
    assert_eq!((restarting.status.as_u16(), restarting.code().as_str()), (400, "credentialsInvalid"));
}

#[tokio::test]
async fn restart_gives_new_credentials_and_a_new_entity_tag() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whep/studio").await;
    let answer = bed.call("PATCH", &session, &[FRAGMENT, ("if-match", "*")], &restart()).await;
    assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, "\"ice-1\""));
    assert_eq!(answer.header("content-type"), "application/trickle-ice-sdpfrag");
    for line in ["a=ice-lite", "a=mid:0", "a=ice-ufrag:serv", "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host"]
    {
        assert!(answer.body.lines().any(|written| written == line), "{line}: {}", answer.body);
    }
    assert!(answer.body.contains(&format!("a=ice-pwd:{PASSWORD}\r\n")));
    let late = bed.call("PATCH", &session, &[FRAGMENT, ("if-match", "\"ice-0\"")], &trickle()).await;
    assert_eq!(late.code(), "preconditionFailed");
}

#[tokio::test]
async fn delete_ends_the_session_and_ignores_entity_tags() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    let answer = bed.call("DELETE", &session, &[("if-match", "\"stale\"")], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    assert_eq!((bed.gateway.sessions(), bed.seen().open.len()), (0, 0));
    for method in ["DELETE", "GET", "PATCH"] {
        assert_eq!(
            bed.call(method, &session, &[FRAGMENT, ("if-match", "*")], &restart()).await.code(),
            "sessionUnknown"
        );
    }
}

#[tokio::test]
async fn session_is_touched_only_by_a_token_of_its_channel() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    for method in ["DELETE", "PATCH", "GET"] {
        let nobody = bed.send(request(method, &session, &[FRAGMENT, ("if-match", "*")], &restart())).await;
        assert_eq!((nobody.status.as_u16(), nobody.code().as_str()), (401, "tokenMissing"));
        let headers = [FRAGMENT, ("if-match", "*"), ("authorization", &bearer("other"))];
        let other = bed.send(request(method, &session, &headers, &restart())).await;
        assert_eq!((other.status.as_u16(), other.code().as_str()), (403, "tokenMissingChannelClaim"));
    }
    assert_eq!((bed.gateway.sessions(), bed.seen().requests.len()), (1, 1));
}

#[tokio::test]
async fn connection_that_ends_by_itself_takes_its_session_along() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    let connection = session.rsplit('/').next().unwrap().parse().unwrap();
    bed.events.send(Event::Connected { connection }).await.unwrap();
    bed.events.send(Event::Closed { connection, reason: CloseReason::ConsentExpired }).await.unwrap();
    wait_until("the session is gone", || bed.gateway.sessions() == 0).await;
    assert_eq!(bed.call("DELETE", &session, &[], "").await.code(), "sessionUnknown");
}

#[tokio::test]
async fn media_server_that_ends_takes_all_sessions_along() {
    let Bed { gateway, events, .. } = {
        let bed = Bed::new(Script::Judge);
        bed.opened("/whip/studio").await;
        bed
    };
    drop(events);
    wait_until("the sessions are gone", || gateway.sessions() == 0).await;
}

#[tokio::test]
async fn silent_media_server_is_given_up_on_and_told_to_close() {
    let bed = Bed::with(Script::Silent, |_| {}, |link| link.timeout = Duration::from_millis(1));
    let answer = bed.call("POST", "/whip/studio", &[SDP], OFFER).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "mediaServerUnavailable"));
    assert_eq!(answer.header("retry-after"), "2");
    bed.settled_empty().await;
    assert!(matches!(bed.seen().requests[..], [Request::OpenUpstream { .. }, Request::Close { .. }]));
}

#[tokio::test]
async fn client_that_leaves_while_it_is_being_opened_leaves_nothing_behind() {
    let bed = std::sync::Arc::new(Bed::new(Script::Silent));
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let bed = std::sync::Arc::clone(&bed);
            tokio::spawn(async move { bed.call("POST", "/whip/studio", &[SDP], OFFER).await })
        })
        .collect();
    wait_until("all are opening", || bed.seen().open.len() == 50).await;
    assert_eq!(bed.gateway.sessions(), 50);
    for client in clients {
        client.abort();
    }
    bed.settled_empty().await;
    assert_eq!(bed.seen().requests.len(), 100, "each opening was followed by its close");
}

#[tokio::test]
async fn broken_socket_leaves_nothing_behind() {
    let bed = Bed::new(Script::Silent);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = bed.gateway.router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /whip/studio HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}",
        bearer("studio"),
        OFFER.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut client, request.as_bytes()).await.unwrap();
    wait_until("it is opening", || bed.seen().open.len() == 1).await;
    drop(client);
    bed.settled_empty().await;
    server.abort();
}

#[tokio::test]
async fn full_link_refuses_at_once_and_gives_up_nothing_it_holds() {
    // Nobody takes the questions: four places are two openings, each with the place of its close.
    let (tx, mut questions) = tokio::sync::mpsc::channel(4);
    let (_events, told) = tokio::sync::mpsc::channel(1);
    let config = tidewire_gateway::Config::new(crate::media::SECRET.to_vec());
    let gateway = tidewire_gateway::Gateway::new(config, tidewire_gateway::MediaLink::new(tx), told);
    let post = || {
        let request = request("POST", "/whip/studio", &[SDP, ("authorization", &bearer("studio"))], OFFER);
        tower::ServiceExt::oneshot(gateway.router(), request)
    };
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(post())).collect();
    wait_until("two are opening", || gateway.sessions() == 2).await;
    assert_eq!(post().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.sessions(), 2);
    for client in waiting {
        client.abort();
    }
    wait_until("both are given up", || gateway.sessions() == 0).await;
    let mut closes = 0;
    while let Ok((request, _)) = questions.try_recv() {
        closes += usize::from(matches!(request, Request::Close { .. }));
    }
    assert_eq!(closes, 2);
}

#[tokio::test]
async fn media_server_that_is_gone_is_unavailable() {
    let (tx, questions) = tokio::sync::mpsc::channel(4);
    drop(questions);
    let (_events, told) = tokio::sync::mpsc::channel(1);
    let config = tidewire_gateway::Config::new(crate::media::SECRET.to_vec());
    let router = tidewire_gateway::router(config, tidewire_gateway::MediaLink::new(tx), told);
    let request = request("POST", "/whip/studio", &[SDP, ("authorization", &bearer("studio"))], OFFER);
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn table_that_is_full_refuses_and_has_room_again_later() {
    let bed = Bed::with(Script::Judge, |config| config.sessions_max = 1, |_| {});
    let session = bed.opened("/whip/studio").await;
    let answer = bed.call("POST", "/whep/studio", &[SDP], OFFER).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str(), answer.header("retry-after")),
        (503, "sessionsFull", "10")
    );
    bed.call("DELETE", &session, &[], "").await;
    bed.opened("/whep/studio").await;
}

#[tokio::test]
async fn restart_of_a_connection_that_the_media_server_forgot_ends_its_session() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    // The media server forgets it: the gateway learns of it by the restart.
    bed.seen().open.clear();
    let answer = bed.call("PATCH", &session, &[FRAGMENT, ("if-match", "*")], &restart()).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "sessionUnknown"));
    assert_eq!(bed.gateway.sessions(), 0);
}
