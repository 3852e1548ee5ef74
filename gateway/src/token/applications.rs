//! The applications that this gateway serves, each with the keys that its tokens are signed with.
//!
//! Invariant: an application has at least one key, and every key belongs to one algorithm: a secret to HS256, an RSA key
//! to RS256, a P-256 key to ES256. So no public key is ever used as a secret (RFC 8725 2.1). Reads no file.

use std::collections::BTreeMap;
use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use tidewire_core::id::ApplicationId;

use super::encoding;
use super::jws::{Jws, Signing};
use super::key_set::KeySet;
use crate::limits::{APPLICATIONS_MAX, SECRETS_MAX};
use crate::problem::{Code, Problem};

/// Every application by its id.
#[derive(Clone, Debug, Default)]
pub struct Applications(BTreeMap<ApplicationId, Keys>);

/// What verifies an application's tokens: secrets, a key set, or both.
#[derive(Clone, Default)]
pub struct Keys {
    secrets: Vec<DecodingKey>,
    key_set: Option<KeySet>,
}

/// An application that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadApplication {
    #[error("it has neither a secret nor a key set")]
    NoKeys,
    #[error("a secret is empty, and an empty secret verifies nothing")]
    SecretEmpty,
    #[error("it has more than {SECRETS_MAX} secrets")]
    TooManySecrets,
    #[error("there is an application of this id already")]
    Twice,
    #[error("there are more than {APPLICATIONS_MAX} applications")]
    TooMany,
}

impl Applications {
    /// The default application alone, by its secret. An empty one verifies nothing.
    pub fn of_secret(secret: &[u8]) -> Self {
        let secrets = if secret.is_empty() { Vec::new() } else { vec![DecodingKey::from_secret(secret)] };
        Self(BTreeMap::from([(ApplicationId::default(), Keys { secrets, key_set: None })]))
    }

    pub fn add(&mut self, id: ApplicationId, keys: Keys) -> Result<(), BadApplication> {
        if keys.secrets.is_empty() && keys.key_set.is_none() {
            return Err(BadApplication::NoKeys);
        }
        if self.0.len() >= APPLICATIONS_MAX {
            return Err(BadApplication::TooMany);
        }
        if self.0.contains_key(&id) {
            return Err(BadApplication::Twice);
        }
        self.0.insert(id, keys);
        Ok(())
    }

    pub(super) fn keys(&self, id: &ApplicationId) -> Result<&Keys, Problem> {
        self.0.get(id).ok_or_else(|| {
            Problem::new(Code::TokenApplicationUnknown, format!("There is no application {id} at this server."))
        })
    }
}

impl Keys {
    /// Secrets that are valid at the same time, so that one can be exchanged for the next; and a key set.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a [u8]>,
        key_set: Option<KeySet>,
    ) -> Result<Self, BadApplication> {
        let mut keys = Self { secrets: Vec::new(), key_set };
        for secret in secrets {
            if secret.is_empty() {
                return Err(BadApplication::SecretEmpty);
            }
            keys.secrets.push(DecodingKey::from_secret(secret));
        }
        if keys.secrets.len() > SECRETS_MAX {
            return Err(BadApplication::TooManySecrets);
        }
        Ok(keys)
    }

    /// Whether a token was signed by one of these.
    pub(super) fn check(&self, jws: &Jws<'_>) -> Result<(), Problem> {
        let fits = match jws.algorithm {
            // A secret has no name, so kid means nothing here.
            Signing::Hs256 if !self.secrets.is_empty() => self.secrets.iter().any(|secret| fits(jws, secret)),
            Signing::Rs256 | Signing::Es256 if self.key_set.is_some() => fits(jws, self.public_key(jws)?),
            Signing::Hs256 | Signing::Rs256 | Signing::Es256 => return Err(self.unsupported(jws.algorithm)),
        };
        if fits { Ok(()) } else { Err(Problem::new(Code::TokenAuthFailure, Code::TokenAuthFailure.meaning())) }
    }

    fn public_key(&self, jws: &Jws<'_>) -> Result<&DecodingKey, Problem> {
        let unknown = |detail: &str| Problem::new(Code::TokenKeyUnknown, detail);
        let key_set = self.key_set.as_ref().ok_or_else(|| self.unsupported(jws.algorithm))?;
        let key = match &jws.kid {
            Some(kid) => key_set.named(kid).ok_or_else(|| unknown("The application has no key of the token's kid."))?,
            None => key_set.only().ok_or_else(|| unknown("The token has no kid, and the application several keys."))?,
        };
        if key.algorithm == jws.algorithm { Ok(&key.key) } else { Err(self.unsupported(jws.algorithm)) }
    }

    fn unsupported(&self, algorithm: Signing) -> Problem {
        let detail = format!("The token is signed by {}, and the application has no such key.", algorithm.name());
        Problem::new(Code::TokenAlgorithmUnsupported, detail)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} secrets, {} public keys)", self.secrets.len(), self.key_set.as_ref().map_or(0, KeySet::len))
    }
}

fn fits(jws: &Jws<'_>, key: &DecodingKey) -> bool {
    let algorithm = match jws.algorithm {
        Signing::Hs256 => Algorithm::HS256,
        Signing::Rs256 => Algorithm::RS256,
        Signing::Es256 => Algorithm::ES256,
    };
    // The crate reads signatures in unpadded Base64url only, so ours is written in it again. It refuses a key of
    // another family than the algorithm's.
    matches!(
        jsonwebtoken::crypto::verify(&encoding::url(&jws.signature), jws.signed.as_bytes(), key, algorithm),
        Ok(true)
    )
}
