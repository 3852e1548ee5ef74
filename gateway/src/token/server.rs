//! Tokens of servers: what a media server shows when it enlists at the gateway. HS256 with the cluster's secret.
//!
//! A client's token is none of these, and none of these is a client's: they are told apart by `mediaServerId`, so it does
//! no harm should a cluster and an application have the same secret by mistake. The rules of `verify` hold here too.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewire_core::id::Label;

use super::applications::Keys;
use super::claims::{TokenType, time};
use super::jws::Jws;
use super::{check_time, encoding, sign_any};
use crate::problem::{Code, Problem};

/// What a media server's token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerClaims {
    pub media_server: Label,
    pub region: Option<Label>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default, deserialize_with = "time")]
    exp: Option<u64>,
    #[serde(default, deserialize_with = "time")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "time")]
    iat: Option<u64>,
    #[serde(rename = "type", default)]
    kind: TokenType,
    #[serde(default)]
    media_server_id: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Label>,
}

/// Writes a media server's token, for `lifetime` from `now_unix`, in seconds.
pub fn sign_server(secret: &[u8], claims: &ServerClaims, lifetime: Duration, now_unix: u64) -> String {
    let payload = Payload {
        exp: Some(now_unix.saturating_add(lifetime.as_secs())),
        nbf: None,
        iat: Some(now_unix),
        kind: TokenType::Register,
        media_server_id: Some(claims.media_server.clone()),
        region: claims.region.clone(),
    };
    sign_any(secret, &payload)
}

/// Checks a media server's token. `keys` are the cluster's secrets; `now_unix` is in seconds.
pub fn verify_server(keys: &Keys, token: &str, now_unix: u64) -> Result<ServerClaims, Problem> {
    let jws = Jws::parse(token)?;
    keys.check(&jws)?;
    let payload: Payload = encoding::payload(jws.payload)?;
    check_time(payload.exp, [("nbf", payload.nbf), ("iat", payload.iat)], now_unix)?;
    match payload {
        Payload { kind: TokenType::Register, media_server_id: Some(media_server), region, .. } => {
            Ok(ServerClaims { media_server, region })
        }
        _ => Err(Problem::new(Code::TokenTypeForbidden, "The token is no media server's.")),
    }
}
