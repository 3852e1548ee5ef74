//! Key sets: the public keys that an application server publishes (JWKS, RFC 7517), RSA for RS256 and P-256 for ES256.
//!
//! The file's text in, a set that can only hold sound keys out. A key that is for something else, or of a kind that is
//! not known here, is passed over (RFC 7517 5); one that is meant for us and is weak, broken or private refuses the
//! whole set, and says which it was. Reads no file and fetches nothing.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::encoding;
use super::jws::Signing;
use crate::limits::{KEY_SET_LEN_MAX, PUBLIC_KEYS_MAX};

/// An application's public keys. Never empty; several have names that differ.
#[derive(Clone)]
pub struct KeySet(Vec<PublicKey>);

#[derive(Clone)]
pub(super) struct PublicKey {
    kid: Option<String>,
    pub(super) algorithm: Signing,
    pub(super) key: DecodingKey,
}

/// What is wrong with a key set, and with which of its keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    #[error("it is larger than {KEY_SET_LEN_MAX} bytes")]
    TooLarge,
    #[error("it is no JSON Web Key Set: {0}")]
    NoKeySet(String),
    #[error("it has more than {PUBLIC_KEYS_MAX} keys")]
    TooManyKeys,
    #[error("it has no key for RS256 or ES256 signatures")]
    NoUsableKey,
    #[error("key {0}: an RSA key of less than 2048 bits is too weak")]
    Weak(String),
    #[error("key {0}: it is no valid public key")]
    Broken(String),
    #[error("key {0}: it is a private key or a secret, and only public keys belong here")]
    Private(String),
    #[error("key {0}: several keys need a kid each, and no two the same")]
    Ambiguous(String),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

/// A JSON Web Key (RFC 7517 4, RFC 7518 6), as far as it concerns us.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
    k: Option<String>,
}

impl KeySet {
    /// Reads the JSON of a key set.
    pub fn parse(text: &str) -> Result<Self, BadKeySet> {
        if text.len() > KEY_SET_LEN_MAX {
            return Err(BadKeySet::TooLarge);
        }
        let document: Document = serde_json::from_str(text).map_err(|error| BadKeySet::NoKeySet(error.to_string()))?;
        if document.keys.len() > PUBLIC_KEYS_MAX {
            return Err(BadKeySet::TooManyKeys);
        }
        let mut keys = Vec::new();
        for jwk in document.keys {
            keys.extend(jwk.public_key()?);
        }
        Self::of(keys)
    }

    fn of(keys: Vec<PublicKey>) -> Result<Self, BadKeySet> {
        if keys.is_empty() {
            return Err(BadKeySet::NoUsableKey);
        }
        for (index, key) in keys.iter().enumerate().filter(|_| keys.len() > 1) {
            if key.kid.is_none() || keys[..index].iter().any(|other| other.kid == key.kid) {
                return Err(BadKeySet::Ambiguous(name(key.kid.as_deref())));
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn named(&self, kid: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.kid.as_deref() == Some(kid))
    }

    /// The key of a set that has just one.
    pub(super) fn only(&self) -> Option<&PublicKey> {
        self.0.first().filter(|_| self.0.len() == 1)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

impl Jwk {
    /// The key, unless it is for something else.
    fn public_key(self) -> Result<Option<PublicKey>, BadKeySet> {
        if self.d.is_some() || self.k.is_some() {
            return Err(BadKeySet::Private(name(self.kid.as_deref())));
        }
        let Some(algorithm) = self.algorithm() else { return Ok(None) };
        let key = match algorithm {
            Signing::Rs256 => self.rsa()?,
            Signing::Hs256 | Signing::Es256 => self.p256()?,
        };
        Ok(Some(PublicKey { kid: self.kid, algorithm, key }))
    }

    /// What the key's type and its own words make it good for.
    fn algorithm(&self) -> Option<Signing> {
        let for_signatures = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Signing::Rs256,
            ("EC", Some("P-256")) => Signing::Es256,
            _ => return None,
        };
        let is_named = self.alg.as_deref().is_none_or(|alg| alg == algorithm.name());
        (for_signatures && verifies && is_named).then_some(algorithm)
    }

    fn rsa(&self) -> Result<DecodingKey, BadKeySet> {
        let (n, e) = (self.number(&self.n)?, self.number(&self.e)?);
        if bits(&n) < RSA_BITS_MIN {
            return Err(BadKeySet::Weak(name(self.kid.as_deref())));
        }
        // RFC 8017 3.1: with an exponent of 1 every text would be its own signature, and the parser lets that pass.
        let is_sound = e.last().is_some_and(|last| last % 2 == 1) && bits(&e) > 1;
        if !is_sound {
            return Err(self.broken());
        }
        let components = RsaPublicKeyComponents { n: &n, e: &e };
        components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| self.broken())?;
        Ok(DecodingKey::from_rsa_raw_components(&n, &e))
    }

    fn p256(&self) -> Result<DecodingKey, BadKeySet> {
        let (x, y) = (self.number(&self.x)?, self.number(&self.y)?);
        // SEC 1 2.3.3: an uncompressed point. Parsing finds out whether it lies on the curve.
        let point = [&[4], x.as_slice(), &y].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| self.broken())?;
        Ok(DecodingKey::from_ec_der(&point))
    }

    fn number(&self, text: &Option<String>) -> Result<Vec<u8>, BadKeySet> {
        let bytes = encoding::bytes("key", text.as_deref().unwrap_or_default()).map_err(|_| self.broken())?;
        if bytes.is_empty() { Err(self.broken()) } else { Ok(bytes) }
    }

    fn broken(&self) -> BadKeySet {
        BadKeySet::Broken(name(self.kid.as_deref()))
    }
}

/// How long a number is without leading zeros.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros());
    8 * (number.len() - zeros) - usize::try_from(first).unwrap_or_default()
}

fn name(kid: Option<&str>) -> String {
    kid.map_or_else(|| "without kid".to_owned(), |kid| format!("{:?}", kid.chars().take(64).collect::<String>()))
}

/// RFC 7518 3.3.
const RSA_BITS_MIN: usize = 2048;

#[cfg(test)]
mod tests;
