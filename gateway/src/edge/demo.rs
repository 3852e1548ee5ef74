//! Tokens for the page, so that a first try needs no set-up: only for a browser on the server's own machine.
//!
//! Invariant: none is made unless the configuration allows it, the peer's address is loopback, and the browser itself
//! believes that it talks to a loopback name. The last is against DNS rebinding: a foreign page whose name was made to
//! resolve to 127.0.0.1 still sends its own name as Host. What a proxy hands on is refused where it can be told.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tidewire_core::id::{ChannelName, Label};

use super::{Gateway, request, respond};
use crate::hall::refuse;
use crate::limits::DEMO_TOKEN_LIFETIME;
use crate::problem::{Code, Problem};
use crate::token::{self, ChannelClaim, Claims, TokenType};

/// What a page wants its token to be. Flags are set by any value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    channel: String,
    /// `join`, which opens media by WHIP and WHEP too, unless `register` is asked for.
    #[serde(rename = "type", default)]
    kind: Kind,
    user_id: Option<Label>,
    watch_only: Option<String>,
    can_update: Option<String>,
    can_kick: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    #[default]
    Join,
    Register,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Minted {
    token: String,
    expires_in_s: u64,
}

/// `GET /v1/demo-token?channel=NAME[&type=register][&userId=ID][&watchOnly=1][&canUpdate=1][&canKick=1]`
pub(super) async fn token(State(gateway): State<Gateway>, request: Request) -> Response {
    match mint(&gateway, &request) {
        Ok(minted) => ([(header::CACHE_CONTROL, "no-store")], Json(minted)).into_response(),
        Err(problem) => respond::problem(&problem),
    }
}

fn mint(gateway: &Gateway, request: &Request) -> Result<Minted, Problem> {
    let config = &gateway.0.config;
    if !config.page_mints_tokens {
        return Err(forbid("This server makes no tokens for its page. Run `tidewire token` with its secret."));
    }
    check_local(request)?;
    let Query(wish) = Query::<Wish>::try_from_uri(request.uri())
        .map_err(|error| Problem::new(Code::ChannelInvalid, format!("The query: {error}.")))?;
    let channel = ChannelName::new(&wish.channel).map_err(|_| refuse(Code::ChannelInvalid))?;
    let claims = wish.claims(channel, request::now_unix());
    let token = token::sign(&config.secret, &claims);
    Ok(Minted { token, expires_in_s: DEMO_TOKEN_LIFETIME.as_secs() })
}

impl Wish {
    fn claims(self, channel: ChannelName, now_unix: u64) -> Claims {
        let claim = ChannelClaim {
            disable_send_audio: self.watch_only.is_some(),
            disable_send_video: self.watch_only.is_some(),
            can_update: self.can_update.is_some(),
            can_kick: self.can_kick.is_some(),
            ..ChannelClaim::of(channel)
        };
        let kind = match self.kind {
            Kind::Join => TokenType::Join,
            Kind::Register => TokenType::Register,
        };
        let claims = Claims { kind, user_id: self.user_id, channels: vec![claim], ..Claims::default() };
        claims.lasting(DEMO_TOKEN_LIFETIME, now_unix)
    }
}

fn check_local(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if !peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback()) {
        return Err(forbid("The request comes from another machine. Run `tidewire token` on the server."));
    }
    if let Some(name) = PROXY_HEADERS.iter().find(|name| headers.contains_key(**name)) {
        return Err(forbid(&format!("The request was handed on by a proxy ({name}).")));
    }
    let host = host(request).ok_or_else(|| forbid("The request names no host."))?;
    if !is_loopback_name(&host) {
        return Err(forbid("The page was opened under a name other than localhost."));
    }
    // A page of another origin may send the request without being able to read the answer: none is made all the same.
    let is_own =
        header_text(headers, "origin").is_none_or(|origin| origin.split_once("://").is_some_and(|(_, it)| it == host));
    let is_direct = header_text(headers, "sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    if !is_own || !is_direct {
        return Err(forbid("The request was made by a page of another origin."));
    }
    Ok(())
}

/// Host and port as the client wrote them: in HTTP/2 they are part of the URI.
fn host(request: &Request) -> Option<String> {
    let of_uri = request.uri().authority().map(|authority| authority.as_str());
    of_uri.or_else(|| header_text(request.headers(), "host")).map(str::to_ascii_lowercase)
}

fn is_loopback_name(host: &str) -> bool {
    // By the parser of URIs, which tells names from ports; a user's name has no place in Host.
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if host.contains('@') {
        return false;
    }
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A header that is not text is no text that any rule accepts.
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn forbid(detail: &str) -> Problem {
    Problem::new(Code::DemoTokenForbidden, detail)
}

const PROXY_HEADERS: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

#[cfg(test)]
mod tests {
    use super::is_loopback_name;

    #[test]
    fn only_loopback_names_are_local() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "tidewire.localhost"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "[::2]",
            "10.0.0.1",
            "evil.example@localhost",
            "localhost@evil.example",
            "notlocalhost",
            "::1:80",
            "localhost/evil",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
