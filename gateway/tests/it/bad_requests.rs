//! A thousand bad requests, each refused with the right status and code, and nothing left behind.

use std::time::Duration;

use tidewire_core::id::ChannelName;
use tidewire_core::limits::SDP_LEN_MAX;
use tidewire_core::message::Request;
use tidewire_gateway::token;

use crate::media::{Bed, OFFER, SECRET, Script, bearer, now_unix, request};

/// One way for a request to be wrong, or right: what it sends, and the refusal it earns if nothing before it is wrong.
type Case<'a> = (&'a str, Option<(u16, &'a str)>);

fn mint(secret: &[u8], channel: &str, at: u64) -> String {
    format!("Bearer {}", token::mint(secret, &ChannelName::new(channel).unwrap(), Duration::from_secs(60), at))
}

/// The first thing wrong decides: path, method, token, permission, media type, size, content.
fn earned(cases: &[Case<'_>]) -> Option<(u16, String)> {
    cases.iter().find_map(|(_, refusal)| *refusal).map(|(status, code)| (status, code.to_owned()))
}

#[tokio::test]
async fn thousand_bad_requests_earn_the_right_refusal_and_leave_nothing_behind() {
    let now = now_unix();
    let good = bearer("studio");
    let (expired, early) = (mint(SECRET, "studio", now - 61), mint(SECRET, "studio", now + 3600));
    let (forged, other) = (mint(b"another secret", "studio", now), mint(SECRET, "other", now));
    let (unsigned, huge) = ("Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(), format!("Bearer {}", "a".repeat(9_000)));
    let long_name = "n".repeat(65);
    let large = format!("{OFFER}{}", "a=x\r\n".repeat(SDP_LEN_MAX / 5));

    let paths: [Case<'_>; 5] = [
        ("/whip/studio", None),
        ("/whep/studio/main", None),
        ("/whip/two%20words", Some((404, "channelInvalid"))),
        ("/whep/studio/n%2Fm", Some((404, "mediaIdInvalid"))),
        (&long_name, Some((404, "channelInvalid"))),
    ];
    let methods: [Case<'_>; 3] =
        [("POST", None), ("PUT", Some((405, "methodNotAllowed"))), ("PATCH", Some((405, "methodNotAllowed")))];
    let tokens: [Case<'_>; 9] = [
        (&good, None),
        ("", Some((401, "tokenMissing"))),
        ("Basic dTpw", Some((401, "tokenMissing"))),
        (&expired, Some((401, "tokenExpired"))),
        (&early, Some((401, "tokenNotYetValid"))),
        (&forged, Some((401, "tokenAuthFailure"))),
        (&unsigned, Some((401, "tokenUnsigned"))),
        (&huge, Some((401, "tokenTooLarge"))),
        (&other, Some((403, "tokenMissingChannelClaim"))),
    ];
    let types: [Case<'_>; 3] = [
        ("application/sdp", None),
        ("application/json", Some((415, "mediaTypeUnsupported"))),
        ("", Some((415, "mediaTypeUnsupported"))),
    ];
    let bodies: [Case<'_>; 6] = [
        (&large, Some((413, "bodyTooLarge"))),
        ("", Some((400, "offerInvalid"))),
        ("{\"sdp\": \"v=0\"}", Some((400, "offerInvalid"))),
        ("\u{0}\u{1}\u{7f}\r\nv=0", Some((400, "offerInvalid"))),
        ("v=0\r\ns=-\r\n", Some((400, "offerInvalid"))),
        (
            "v=0\r\nm=application 9 UDP/DTLS/SCTP x\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n",
            Some((422, "offerUnacceptable")),
        ),
    ];

    let bed = Bed::new(Script::Judge);
    let mut sent = 0;
    for path in paths {
        for method in methods {
            for token in tokens {
                for media_type in types {
                    for body in bodies {
                        let target =
                            if path.0.starts_with('/') { path.0.to_owned() } else { format!("/whip/{}", path.0) };
                        let headers = [("authorization", token.0), ("content-type", media_type.0)];
                        let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
                        let answer = bed.send(request(method.0, &target, &headers, body.0)).await;
                        let wanted = earned(&[path, method, token, media_type, body]).unwrap();
                        let short: String = body.0.chars().take(20).collect();
                        assert_eq!(
                            (answer.status.as_u16(), answer.code()),
                            wanted,
                            "{} {target} {headers:?} {short:?}",
                            method.0
                        );
                        sent += 1;
                    }
                }
            }
        }
    }
    assert!(sent >= 1_000, "{sent}");
    assert_eq!(bed.gateway.sessions(), 0);
    let seen = bed.seen();
    assert!(seen.open.is_empty());
    // Only offers that look like SDP cross to the media server: two bodies at each of two good endpoints.
    assert_eq!(seen.requests.len(), 4);
    assert!(seen.requests.iter().all(|request| !matches!(request, Request::Close { .. } | Request::Restart { .. })));
}

#[tokio::test]
async fn bad_requests_to_a_session_leave_it_as_it_is() {
    let bed = Bed::new(Script::Judge);
    let session = bed.opened("/whip/studio").await;
    let unknown = format!("/v1/sessions/{:032x}", 5);
    let table: [Case<'_>; 6] = [
        (&session, None),
        (&unknown, Some((404, "sessionUnknown"))),
        ("/v1/sessions/5", Some((404, "sessionUnknown"))),
        ("/v1/sessions/zz000000000000000000000000000000", Some((404, "sessionUnknown"))),
        ("/v1/sessions/+0000000000000000000000000000001", Some((404, "sessionUnknown"))),
        ("/v1/sessions/%ff", Some((404, "sessionUnknown"))),
    ];
    for path in table {
        for method in ["PATCH", "DELETE", "GET"] {
            let forged = mint(b"another secret", "studio", now_unix());
            let answer = bed.send(request(method, path.0, &[("authorization", &forged)], "")).await;
            // A well-formed path is looked up only for who has a token at all.
            let is_shaped = path
                .0
                .rsplit('/')
                .next()
                .is_some_and(|key| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()));
            let wanted = if is_shaped { (401, "tokenAuthFailure") } else { (404, "sessionUnknown") };
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), wanted, "{method} {}", path.0);
        }
        if let Some((status, code)) = path.1 {
            let answer = bed.call("DELETE", path.0, &[], "").await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", path.0);
        }
    }
    assert_eq!((bed.gateway.sessions(), bed.seen().requests.len()), (1, 1));
}
