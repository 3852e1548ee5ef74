//! Tokens: who a request comes from and what it may do. JSON Web Tokens (RFC 7519) in LiveSwitch's claim shape, HS256.
//!
//! `verify` takes a token's text, the secret and the time and gives [`Claims`] or a coded refusal; [`Claims::may`] says
//! what they allow in a channel; `mint` writes a token that may publish and watch. Invariant: nothing in a token is
//! believed before its signature over the raw `header.payload` text fits, and the algorithm is ours to name, not the
//! token's (RFC 8725 3.1). Application servers encode tokens in Base64url or plain Base64, padded or not: all are taken.
//! No clock is read here, and no key set is fetched.

mod claims;
mod encoding;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Deserialize;
use tidewire_core::id::ChannelName;

pub use claims::{ChannelClaim, Claims, Kinds, Side};

use crate::limits::{CLOCK_AHEAD_MAX, TOKEN_LEN_MAX};
use crate::problem::{Code, Problem};

/// Checks a token's size, shape, algorithm, signature and time, in this order. `now_unix` is in seconds.
///
/// An empty secret verifies nothing.
pub fn verify(secret: &[u8], token: &str, now_unix: u64) -> Result<Claims, Problem> {
    if token.len() > TOKEN_LEN_MAX {
        return Err(Problem::new(Code::TokenTooLarge, Code::TokenTooLarge.meaning()));
    }
    let parts = Parts::split(token)?;
    check_header(parts.header)?;
    check_signature(secret, &parts)?;
    let claims: Claims = encoding::json("payload", parts.payload)?;
    check_time(&claims, now_unix)?;
    Ok(claims)
}

/// Writes a token that may publish and watch in one channel for `lifetime` from `now_unix`, in seconds.
pub fn mint(secret: &[u8], channel: &ChannelName, lifetime: Duration, now_unix: u64) -> String {
    let claims = Claims::for_channel(channel, now_unix, now_unix.saturating_add(lifetime.as_secs()));
    // Encoding strings and numbers cannot fail, nor can an HMAC.
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret)).unwrap_or_default()
}

/// The three parts of a compact JWS (RFC 7515 7.1), and the text that was signed.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, Problem> {
        let malformed = || Problem::new(Code::TokenParseFailure, "The token is not three parts with dots between.");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        Ok(Self { header, payload, signature, signed })
    }
}

/// The JOSE header (RFC 7515 4.1), as far as it decides anything.
#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

fn check_header(text: &str) -> Result<(), Problem> {
    let header: JoseHeader = encoding::json("header", text)?;
    if header.alg.eq_ignore_ascii_case("none") {
        return Err(Problem::new(Code::TokenUnsigned, Code::TokenUnsigned.meaning()));
    }
    if header.alg != "HS256" {
        let shown: String = header.alg.chars().take(16).collect();
        return Err(Problem::new(
            Code::TokenAlgorithmUnsupported,
            format!("The token's alg is {shown:?}; only HS256 is taken."),
        ));
    }
    // RFC 7515 4.1.11: an extension that must be understood and is not makes the token invalid.
    if header.crit.is_some() {
        return Err(Problem::new(Code::TokenParseFailure, "The token's header has critical extensions (crit)."));
    }
    Ok(())
}

fn check_signature(secret: &[u8], parts: &Parts<'_>) -> Result<(), Problem> {
    let signature = encoding::bytes("signature", parts.signature)?;
    let key = DecodingKey::from_secret(secret);
    // The crate reads signatures in unpadded Base64url only, so ours is written in it again.
    let fits =
        jsonwebtoken::crypto::verify(&encoding::url(&signature), parts.signed.as_bytes(), &key, Algorithm::HS256);
    if secret.is_empty() || !matches!(fits, Ok(true)) {
        return Err(Problem::new(Code::TokenAuthFailure, Code::TokenAuthFailure.meaning()));
    }
    Ok(())
}

fn check_time(claims: &Claims, now_unix: u64) -> Result<(), Problem> {
    let exp = claims.exp.ok_or_else(|| Problem::new(Code::TokenExpiryMissing, Code::TokenExpiryMissing.meaning()))?;
    if now_unix >= exp {
        return Err(Problem::new(Code::TokenExpired, format!("The token expired {} s ago (exp).", now_unix - exp)));
    }
    let latest = now_unix.saturating_add(CLOCK_AHEAD_MAX.as_secs());
    for (name, time) in [("nbf", claims.nbf), ("iat", claims.iat)] {
        if let Some(ahead) = time.and_then(|time| time.checked_sub(latest)).filter(|ahead| *ahead > 0) {
            let ahead = ahead.saturating_add(CLOCK_AHEAD_MAX.as_secs());
            return Err(Problem::new(
                Code::TokenNotYetValid,
                format!("The token becomes valid in {ahead} s ({name})."),
            ));
        }
    }
    Ok(())
}
