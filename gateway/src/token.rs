//! Tokens: who a request comes from and what it may do. JSON Web Tokens (RFC 7519) in LiveSwitch's claim shape, signed
//! by HS256 with an application's secret, or by RS256 or ES256 with a key of its key set.
//!
//! `verify` takes the [`Applications`], a token's text and the time, and gives [`Claims`] or a coded refusal; the claims
//! say what they allow. `sign` writes a token. Invariant: nothing in a token is believed before its signature over the
//! raw `header.payload` text fits. What is read before that, `alg`, `kid` and `applicationId`, only chooses among keys,
//! and a key fixes its algorithm (RFC 8725 3.1). Application servers encode tokens in Base64url or plain Base64, padded
//! or not: all are taken. No clock is read here, and nothing is fetched.

mod encoding;
mod jws;
mod applications;
mod key_set;
mod claims;
mod channel;
pub mod table;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use tidewire_core::id::{ApplicationId, ChannelName};

pub use applications::{Applications, BadApplication, Keys};
pub use channel::{Action, ChannelClaim};
pub use claims::{Claims, Kinds, Side, TokenType};
pub use key_set::{BadKeySet, KeySet};
pub use server::{ServerClaims, sign_server, verify_server};

use crate::limits::CLOCK_AHEAD_MAX;
use crate::problem::{Code, Problem};
use jws::Jws;

/// Checks a token's size, form, application, algorithm, key, signature, time and content, in this order. `now_unix` is
/// in seconds.
pub fn verify(applications: &Applications, token: &str, now_unix: u64) -> Result<Claims, Problem> {
    let jws = Jws::parse(token)?;
    let named: Named = encoding::payload(jws.payload)?;
    let application = named.application()?;
    applications.keys(&application)?.check(&jws)?;
    let claims: Claims = encoding::payload(jws.payload)?;
    check_time(claims.exp, [("nbf", claims.nbf), ("iat", claims.iat)], now_unix)?;
    claims.settled()
}

/// Writes a token, signed by HS256. The claims are taken as they are.
pub fn sign(secret: &[u8], claims: &Claims) -> String {
    sign_any(secret, claims)
}

/// Writes a token that may publish and watch in one channel for `lifetime` from `now_unix`, in seconds.
pub fn mint(secret: &[u8], channel: &ChannelName, lifetime: Duration, now_unix: u64) -> String {
    sign(secret, &Claims::join(ChannelClaim::of(channel.clone())).lasting(lifetime, now_unix))
}

pub(crate) fn sign_any(secret: &[u8], claims: &impl Serialize) -> String {
    // Encoding strings and numbers cannot fail, nor can an HMAC.
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap_or_default()
}

/// Whose keys a token asks to be tried by; not believed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    application_id: Option<String>,
}

impl Named {
    fn application(&self) -> Result<ApplicationId, Problem> {
        let Some(text) = &self.application_id else { return Ok(ApplicationId::default()) };
        ApplicationId::new(text)
            .map_err(|_| Problem::new(Code::TokenApplicationUnknown, "No application has such an id."))
    }
}

fn check_time(exp: Option<u64>, begins: [(&str, Option<u64>); 2], now_unix: u64) -> Result<(), Problem> {
    let exp = exp.ok_or_else(|| Problem::new(Code::TokenExpiryMissing, Code::TokenExpiryMissing.meaning()))?;
    if now_unix >= exp {
        return Err(Problem::new(Code::TokenExpired, format!("The token expired {} s ago (exp).", now_unix - exp)));
    }
    let latest = now_unix.saturating_add(CLOCK_AHEAD_MAX.as_secs());
    for (name, time) in begins {
        if let Some(ahead) = time.and_then(|time| time.checked_sub(latest)).filter(|ahead| *ahead > 0) {
            let ahead = ahead.saturating_add(CLOCK_AHEAD_MAX.as_secs());
            let detail = format!("The token becomes valid in {ahead} s ({name}).");
            return Err(Problem::new(Code::TokenNotYetValid, detail));
        }
    }
    Ok(())
}
