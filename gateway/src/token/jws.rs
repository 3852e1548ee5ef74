//! A token taken apart: the three parts of a compact JWS (RFC 7515 7.1), and as much of its header as decides anything.
//!
//! Text in, views of it out, or a refusal. Headers that bring a key along or say where to fetch one (`jwk`, `jku`,
//! `x5c`, `x5u`) are not even read. Checks no signature.

use serde::Deserialize;

use super::encoding;
use crate::limits::TOKEN_LEN_MAX;
use crate::problem::{Code, Problem};

/// A token's parts; nothing of it is believed.
pub(super) struct Jws<'a> {
    pub(super) algorithm: Signing,
    /// Which key it asks to be checked by.
    pub(super) kid: Option<String>,
    pub(super) payload: &'a str,
    /// The text that was signed: header, dot, payload.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// The algorithms that are taken (RFC 7518 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    Hs256,
    Rs256,
    Es256,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

impl<'a> Jws<'a> {
    /// Checks size, form and header.
    pub(super) fn parse(token: &'a str) -> Result<Self, Problem> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(Problem::new(Code::TokenTooLarge, Code::TokenTooLarge.meaning()));
        }
        let malformed = || Problem::new(Code::TokenParseFailure, "The token is not three parts with dots between.");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        let Header { alg, kid, crit } = encoding::header(header)?;
        let algorithm = Signing::of(&alg)?;
        // RFC 7515 4.1.11: an extension that must be understood and is not makes the token invalid.
        if crit.is_some() {
            return Err(Problem::new(Code::TokenParseFailure, "The token's header has critical extensions (crit)."));
        }
        Ok(Self { algorithm, kid, payload, signed, signature: encoding::bytes("signature", signature)? })
    }
}

impl Signing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    fn of(alg: &str) -> Result<Self, Problem> {
        if alg.eq_ignore_ascii_case("none") {
            return Err(Problem::new(Code::TokenUnsigned, Code::TokenUnsigned.meaning()));
        }
        [Self::Hs256, Self::Rs256, Self::Es256].into_iter().find(|known| known.name() == alg).ok_or_else(|| {
            let shown: String = alg.chars().take(16).collect();
            let detail = format!("The token's alg is {shown:?}; HS256, RS256 and ES256 are taken.");
            Problem::new(Code::TokenAlgorithmUnsupported, detail)
        })
    }
}
