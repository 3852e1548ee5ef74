//! A thousand bad WHIP and WHEP requests: each gets the refusal it deserves, and none leaves anything behind.

use anyhow::{Result, ensure};
use tidewire_perf::client::http::{Endpoint, Reply};
use tidewire_perf::client::offer::{Retransmission, TransportLines};
use tidewire_perf::client::stun::Credentials;
use tidewire_perf::client::{Codec, Direction, Offer};
use tidewire_perf::server::{Io, Metrics, SECRET, Server};

struct Desk {
    endpoint: Endpoint,
    offer: String,
    watch: String,
    token_elsewhere: String,
}

/// A request, and the statuses that are right for it.
struct Bad {
    what: String,
    reply: Reply,
    right: &'static [u16],
}

impl Desk {
    fn post(&self, path: &str, token: &str, kind: &str, body: &[u8]) -> Result<Reply> {
        let bearer = format!("Bearer {token}");
        self.endpoint.post(path, &[("authorization", &bearer), ("content-type", kind)], body)
    }

    fn offer_to(&self, path: &str, body: &str) -> Result<Reply> {
        self.post(path, &self.endpoint.token, SDP, body.as_bytes())
    }

    /// The `number`th bad request.
    fn bad(&self, number: usize) -> Result<Bad> {
        let round = number / KINDS;
        let (what, reply, right): (_, _, &'static [u16]) = match number % KINDS {
            0 => ("no token", self.endpoint.post(WHIP, &[("content-type", SDP)], self.offer.as_bytes())?, &[401]),
            1 => {
                ("a token that is none", self.post(WHIP, &"x.".repeat(round + 1), SDP, self.offer.as_bytes())?, &[401])
            }
            2 => (
                "a bent token",
                self.post(WHIP, &bent(&self.endpoint.token, round), SDP, self.offer.as_bytes())?,
                &[401],
            ),
            3 => {
                ("another channel's token", self.post(WHIP, &self.token_elsewhere, SDP, self.offer.as_bytes())?, &[403])
            }
            4 => (
                "a wrong media type",
                self.post(WHIP, &self.endpoint.token, "text/plain", self.offer.as_bytes())?,
                &[415],
            ),
            5 => (
                "an offer cut short",
                self.offer_to(WHIP, &self.offer[..self.offer.len() * (round % 40) / 100])?,
                &[400, 422],
            ),
            6 => ("no SDP", self.offer_to(WHIP, &format!("{{\"number\": {round}}}\r\n"))?, &[400, 422]),
            7 => ("an offer too large", self.offer_to(WHIP, &self.too_large(round))?, &[413]),
            8 => ("an offer without a line it needs", self.offer_to(WHIP, &self.without_a_line(round))?, &[400, 422]),
            9 => ("an offer to receive", self.offer_to(WHIP, &self.watch)?, &[400, 422]),
            10 => (
                "a channel's name that is none",
                self.offer_to(&format!("/whip/{}", "x".repeat(65 + round)), &self.offer)?,
                &[404],
            ),
            11 => ("a session that is none", self.session("DELETE", round)?, &[404]),
            12 => ("a wrong method", self.method(round)?, &[405]),
            13 => ("nothing published", self.offer_to(WHEP, &self.watch)?, &[409]),
            14 => {
                ("a codec that nobody speaks", self.offer_to(WHIP, &self.offer.replace("VP8", "THEORA"))?, &[422, 400])
            }
            _ => (
                "an answer for an offer",
                self.offer_to(WHIP, &self.offer.replace("setup:actpass", "setup:holdconn"))?,
                &[400, 422],
            ),
        };
        Ok(Bad { what: format!("{what} ({round})"), reply, right })
    }

    fn too_large(&self, round: usize) -> String {
        // An offer may have 320 KiB.
        format!("{}{}", self.offer, "a=x\r\n".repeat(66_000 + round))
    }

    fn without_a_line(&self, round: usize) -> String {
        const NEEDED: &[&str] = &["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "m=video", "a=rtcp-mux", "v=0"];
        let needed = NEEDED[round % NEEDED.len()];
        self.offer.lines().filter(|line| !line.starts_with(needed)).flat_map(|line| [line, "\r\n"]).collect()
    }

    fn session(&self, method: &str, round: usize) -> Result<Reply> {
        let path = format!("/v1/sessions/{:032x}", 0xfeed_0000_u128 + round as u128);
        self.endpoint.request(method, &path, &[("authorization", &self.endpoint.bearer())], b"")
    }

    fn method(&self, round: usize) -> Result<Reply> {
        const METHODS: &[&str] = &["PUT", "PATCH", "DELETE"];
        let method = METHODS[round % METHODS.len()];
        self.endpoint.request(method, WHIP, &[("authorization", &self.endpoint.bearer())], b"")
    }
}

/// One character of the token changed, never to itself.
fn bent(token: &str, round: usize) -> String {
    let at = (round * 7) % token.len();
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

fn sizes(metrics: &Metrics) -> Vec<(String, f64)> {
    let is_size =
        |name: &str| !name.contains("_total") && ["connections", "sessions"].iter().any(|word| name.contains(word));
    metrics
        .starting_with("tidewire_")
        .filter(|(name, _)| is_size(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[test]
fn a_thousand_bad_requests_get_the_right_refusal_and_leave_nothing_behind() -> Result<()> {
    let server = Server::start(&Server::default_binary(), Io::Epoll, None, &[])?;
    ensure!(SECRET.len() >= 32, "a secret that is long enough");
    let credentials = Credentials { ufrag: "abcdefgh".into(), password: "abcdefghijklmnopqrstuvwx".into() };
    let fingerprint = vec!["AB"; 32].join(":");
    let candidate = "127.0.0.1:9".parse()?;
    let lines = TransportLines { credentials: &credentials, fingerprint: &fingerprint, candidate, cname: "bad" };
    let text = |direction| Offer::of(direction, &[Codec::Vp8], Retransmission::Rtx, 1).text(&lines);
    let desk = Desk {
        endpoint: Endpoint::new(&server.base(), &server.token("bad")?),
        offer: text(Direction::Send),
        watch: text(Direction::Receive),
        token_elsewhere: server.token("elsewhere")?,
    };
    let before = sizes(&server.metrics()?);
    let mut wrong = Vec::new();
    for number in 0..1_000 {
        let Bad { what, reply, right } = desk.bad(number)?;
        if !right.contains(&reply.status) {
            wrong.push(format!("{what}: {} instead of one of {right:?}: {}", reply.status, reply.body));
        } else if !is_explained(&reply) {
            wrong.push(format!(
                "{what}: {} without a problem document: {:?} {}",
                reply.status, reply.headers, reply.body
            ));
        } else if reply.status == 409 && !reply.headers.contains_key("retry-after") {
            wrong.push(format!("{what}: 409 without Retry-After"));
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(before, sizes(&server.metrics()?));
    ensure!(desk.offer_to(WHIP, &desk.offer)?.status == 201, "the good offer is refused as well");
    Ok(())
}

/// RFC 9457: every refusal says which one it is.
fn is_explained(reply: &Reply) -> bool {
    let is_problem = reply.headers.get("content-type").is_some_and(|kind| kind.starts_with("application/problem+json"));
    is_problem && serde_json::from_str::<serde_json::Value>(&reply.body).is_ok_and(|body| body["code"].is_string())
}

const KINDS: usize = 16;
const WHIP: &str = "/whip/bad";
const WHEP: &str = "/whep/bad";
const SDP: &str = "application/sdp";
