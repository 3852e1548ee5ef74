//! The forms that RFC 9725, WHEP and CORS ask for.

use axum::http::StatusCode;
use tidewire_core::message::{ErrorCode, Request};

use crate::media::{Bed, OFFER, Script, bearer, request};

const SDP: (&str, &str) = ("content-type", "application/sdp");

#[tokio::test]
async fn post_opens_a_session_with_location_entity_tag_and_answer() {
    let bed = Bed::new(Script::Judge);
    for (endpoint, media_id) in [("/whip/Studio", "main"), ("/whip/studio/cam2", "cam2"), ("/whep/studio", "main")] {
        let answer = bed.call("POST", endpoint, &[("content-type", "Application/SDP; charset=utf-8")], OFFER).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::CREATED, "v=0\r\n"));
        assert_eq!(answer.header("content-type"), "application/sdp");
        assert_eq!(answer.header("etag"), "\"ice-0\"");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let key = answer.header("location").strip_prefix("/v1/sessions/").unwrap();
        assert!(key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
        let asked = bed.seen().requests.last().unwrap().clone();
        match asked {
            Request::OpenUpstream { connection, channel, media_id: asked, offer }
            | Request::OpenDownstream { connection, channel, media_id: asked, offer } => {
                assert_eq!(
                    (channel.to_string().as_str(), asked.as_str(), offer.as_str()),
                    ("default/studio", media_id, OFFER)
                );
                assert_eq!(connection.to_string(), key);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        bed.seen().requests[..],
        [Request::OpenUpstream { .. }, Request::OpenUpstream { .. }, Request::OpenDownstream { .. }]
    ));
    assert_eq!((bed.gateway.sessions(), bed.seen().open.len()), (3, 3));
}

#[tokio::test]
async fn options_needs_no_token_and_says_what_is_taken() {
    let bed = Bed::new(Script::Judge);
    let session = format!("/v1/sessions/{:032x}", 1);
    for (path, header, value, method) in [
        ("/whip/studio", "accept-post", "application/sdp", "POST"),
        ("/whep/studio/main", "accept-post", "application/sdp", "POST"),
        (session.as_str(), "accept-patch", "application/trickle-ice-sdpfrag", "DELETE"),
    ] {
        let preflight = [("origin", "https://elsewhere.example"), ("access-control-request-method", method)];
        let answer = bed.send(request("OPTIONS", path, &preflight, "")).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""), "{path}");
        assert_eq!(answer.header(header), value);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.header("access-control-allow-methods").contains(method));
        for name in ["Authorization", "Content-Type", "If-Match"] {
            assert!(answer.header("access-control-allow-headers").contains(name), "{name}");
        }
        for name in ["Location", "ETag", "Link", "Retry-After"] {
            assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
        }
    }
}

#[tokio::test]
async fn get_and_head_are_answered_without_content() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    for path in ["/whip/studio", "/whep/studio/main", &session] {
        for method in ["GET", "HEAD"] {
            let answer = bed.call(method, path, &[], "").await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NO_CONTENT, ""), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_the_allowed_ones() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    for (path, methods) in
        [("/whip/studio", ["PUT", "PATCH", "DELETE", "TRACE"]), (&session, ["PUT", "POST", "TRACE", "BREW"])]
    {
        for method in methods {
            let answer = bed.call(method, path, &[SDP], OFFER).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::METHOD_NOT_ALLOWED, "methodNotAllowed"),
                "{method}"
            );
            assert!(answer.header("allow").contains("OPTIONS"), "{answer:?}");
        }
    }
    let answer = bed.call("POST", "/", &[], "").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "methodNotAllowed"));
    assert!(answer.header("allow").contains("GET"), "{answer:?}");
}

#[tokio::test]
async fn refusals_of_the_media_server_keep_their_meaning() {
    let table = [
        (ErrorCode::OfferInvalid, 400, "offerInvalid", ""),
        (ErrorCode::OfferUnacceptable, 422, "offerUnacceptable", ""),
        (ErrorCode::NothingPublished, 409, "nothingPublished", "2"),
        (ErrorCode::MediaServerFull, 503, "mediaServerFull", "10"),
        (ErrorCode::MediaServerUnavailable, 503, "mediaServerUnavailable", "2"),
    ];
    for (refusal, status, code, retry_after) in table {
        let bed = Bed::new(Script::Refuse(refusal));
        let answer = bed.call("POST", "/whep/studio", &[SDP], OFFER).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
        assert_eq!(answer.header("retry-after"), retry_after);
        assert_eq!(bed.gateway.sessions(), 0);
    }
}

#[tokio::test]
async fn unauthenticated_and_unpermitted_are_told_apart() {
    let bed = Bed::new(Script::Judge);
    let missing = bed.send(request("POST", "/whip/studio", &[SDP], OFFER)).await;
    assert_eq!((missing.status.as_u16(), missing.code().as_str()), (401, "tokenMissing"));
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"tidewire\"");
    let bad = bed.send(request("POST", "/whip/studio", &[SDP, ("authorization", "Bearer a.b.c")], OFFER)).await;
    assert_eq!((bad.status.as_u16(), bad.code().as_str()), (401, "tokenParseFailure"));
    assert!(bad.header("www-authenticate").contains("error=\"invalid_token\""));
    let other = bed.send(request("POST", "/whip/studio", &[SDP, ("authorization", &bearer("other"))], OFFER)).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (403, "tokenMissingChannelClaim"));
    assert!(other.header("www-authenticate").contains("error=\"insufficient_scope\""));
    assert!(other.body.contains("studio"), "the failing channel is named: {}", other.body);
}

#[tokio::test]
async fn pages_are_served_and_keep_to_themselves() {
    let bed = Bed::new(Script::Judge);
    let pages = ["/", "/call", "/broadcast", "/whip"].map(|path| (path, "text/html"));
    let parts = [("/pages/shared/ui.js", "text/javascript"), ("/pages/whip/page.css", "text/css")];
    for (path, media_type) in pages.into_iter().chain(parts) {
        let answer = bed.send(request("GET", path, &[], "")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("content-type").starts_with(media_type));
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let nowhere = bed.send(request("GET", "/nowhere", &[], "")).await;
    assert_eq!((nowhere.status.as_u16(), nowhere.code().as_str()), (404, "pathUnknown"));
}

#[tokio::test]
async fn the_sdk_is_served_line_for_line_without_its_comments() {
    let bed = Bed::new(Script::Judge);
    let source = include_str!("../../../sdk/src/link.js");
    let answer = bed.send(request("GET", "/sdk/src/link.js", &[], "")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, "*"));
    assert_eq!(answer.body.lines().count(), source.lines().count());
    for (served, line) in answer.body.lines().zip(source.lines()) {
        let is_comment = ["//", "/**", "*"].iter().any(|mark| line.trim().starts_with(mark));
        assert_eq!(served, if is_comment { "" } else { line });
    }
}
