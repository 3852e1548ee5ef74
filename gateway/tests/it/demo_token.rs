//! Who gets a demonstration token: a browser on the server's own machine, and nobody else.

use tidewire_core::id::ChannelName;
use tidewire_gateway::token::{self, Applications, Side};

use crate::media::{Bed, SECRET, Script, now_unix, request};

fn bed() -> Bed {
    Bed::with(Script::Judge, |config| config.page_mints_tokens = true, |_| {})
}

const PATH: &str = "/v1/demo-token?channel=studio";

#[tokio::test]
async fn local_page_gets_a_token_that_works() {
    let bed = bed();
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        let own = format!("http://{host}");
        let headers = [("host", host), ("sec-fetch-site", "same-origin"), ("origin", own.as_str())];
        let answer = bed.send(request("GET", PATH, &headers, "")).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        assert_eq!((answer.header("cache-control"), answer.header("access-control-allow-origin")), ("no-store", ""));
        let minted: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let claims =
            token::verify(&Applications::of_secret(SECRET), minted["token"].as_str().unwrap(), now_unix()).unwrap();
        assert_eq!(claims.may(Side::Publish, &ChannelName::new("studio").unwrap()), Ok(()));
    }
}

#[tokio::test]
async fn nobody_else_does() {
    let local = ("host", "localhost:8080");
    let table: [&[(&str, &str)]; 10] = [
        &[],
        &[("host", "evil.example")],
        &[("host", "localhost.evil.example:8080")],
        &[local, ("origin", "https://evil.example")],
        &[local, ("origin", "http://localhost:9999")],
        &[local, ("origin", "null")],
        &[local, ("sec-fetch-site", "cross-site")],
        &[local, ("sec-fetch-site", "same-site")],
        &[local, ("x-forwarded-for", "192.0.2.1")],
        &[local, ("forwarded", "for=192.0.2.1")],
    ];
    let bed = bed();
    for headers in table {
        let answer = bed.send(request("GET", PATH, headers, "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "demoTokenForbidden"), "{headers:?}");
    }
}

#[tokio::test]
async fn other_machines_and_other_configurations_get_none() {
    let mut remote = bed();
    remote.peer = "192.0.2.1:50000".parse().unwrap();
    let forbidden = Bed::new(Script::Judge);
    for bed in [remote, forbidden] {
        let answer = bed.send(request("GET", PATH, &[("host", "localhost:8080")], "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "demoTokenForbidden"));
    }
    let mut mapped = bed();
    mapped.peer = "[::ffff:127.0.0.1]:50000".parse().unwrap();
    assert_eq!(mapped.send(request("GET", PATH, &[("host", "localhost")], "")).await.status.as_u16(), 200);
}

#[tokio::test]
async fn channel_must_have_a_name() {
    for path in ["/v1/demo-token", "/v1/demo-token?channel=", "/v1/demo-token?channel=a%20b"] {
        let answer = bed().send(request("GET", path, &[("host", "localhost")], "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "channelInvalid"), "{path}");
    }
}
