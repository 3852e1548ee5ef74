//! The token by which a media server shows that it belongs to the cluster: HS256, signed with the cluster's secret.
//!
//! A media server makes one for itself at each connect: type `register`, its name as `mediaServerId`, good for a minute.
//! `mint` writes it, `verify` gives the name back or a coded refusal. Invariant: an empty secret verifies nothing, and no
//! algorithm but HS256 is taken, whatever the token says (RFC 8725 3.1). Reads no clock.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tidewire_core::id::Label;

use crate::limits::{CLOCK_AHEAD_MAX, SERVER_TOKEN_LIFETIME, TOKEN_LEN_MAX};
use crate::problem::{Code, Problem};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    r#type: String,
    media_server_id: Label,
    iat: u64,
    exp: u64,
}

/// Writes a token for the media server of that name.
pub fn mint(secret: &[u8], server: &Label, now_unix: u64) -> String {
    let exp = now_unix.saturating_add(SERVER_TOKEN_LIFETIME.as_secs());
    let claims = Claims { r#type: TYPE.to_owned(), media_server_id: server.clone(), iat: now_unix, exp };
    // Encoding strings and numbers cannot fail, nor can an HMAC.
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret)).unwrap_or_default()
}

/// Checks a token; gives the media server's name.
pub fn verify(secret: &[u8], token: &str, now_unix: u64) -> Result<Label, Problem> {
    let refuse = |code: Code| Err(Problem::new(code, code.meaning()));
    if token.len() > TOKEN_LEN_MAX {
        return refuse(Code::TokenTooLarge);
    }
    if secret.is_empty() {
        return refuse(Code::TokenAuthFailure);
    }
    let mut rules = Validation::new(Algorithm::HS256);
    // Time is an argument here, so it is checked below.
    rules.validate_exp = false;
    rules.required_spec_claims.clear();
    let claims: Claims = match jsonwebtoken::decode(token, &DecodingKey::from_secret(secret), &rules) {
        Ok(decoded) => decoded.claims,
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => return refuse(Code::TokenAuthFailure),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidAlgorithm) => {
            return refuse(Code::TokenAlgorithmUnsupported);
        }
        Err(_) => return refuse(Code::TokenParseFailure),
    };
    if claims.r#type != TYPE {
        return refuse(Code::TokenTypeForbidden);
    }
    if now_unix >= claims.exp {
        return refuse(Code::TokenExpired);
    }
    if claims.iat > now_unix.saturating_add(CLOCK_AHEAD_MAX.as_secs()) {
        return refuse(Code::TokenNotYetValid);
    }
    Ok(claims.media_server_id)
}

const TYPE: &str = "register";

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a cluster secret of thirty-two b";
    const NOW: u64 = 1_000_000;

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn code(token: &str, now: u64) -> Code {
        verify(SECRET, token, now).unwrap_err().code
    }

    #[test]
    fn a_token_gives_its_name_for_a_minute() {
        let token = mint(SECRET, &label("media one"), NOW);
        assert_eq!(verify(SECRET, &token, NOW + 59), Ok(label("media one")));
        assert_eq!(code(&token, NOW + 60), Code::TokenExpired);
        assert_eq!(code(&token, NOW - 61), Code::TokenNotYetValid);
    }

    #[test]
    fn what_the_secret_did_not_sign_is_refused() {
        let claims = Claims { r#type: TYPE.to_owned(), media_server_id: label("m"), iat: NOW, exp: NOW + 1 };
        let signed = |algorithm, key: &[u8], claims: &Claims| {
            jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
        };
        assert_eq!(code(&mint(b"another", &label("m"), NOW), NOW), Code::TokenAuthFailure);
        assert_eq!(code(&signed(Algorithm::HS512, SECRET, &claims), NOW), Code::TokenAlgorithmUnsupported);
        assert_eq!(code("a.b.c", NOW), Code::TokenParseFailure);
        assert_eq!(code(&"a".repeat(TOKEN_LEN_MAX + 1), NOW), Code::TokenTooLarge);
        let other = Claims { r#type: "join".to_owned(), ..claims };
        assert_eq!(code(&signed(Algorithm::HS256, SECRET, &other), NOW), Code::TokenTypeForbidden);
        assert_eq!(verify(b"", &mint(b"", &label("m"), NOW), NOW).unwrap_err().code, Code::TokenAuthFailure);
    }
}
