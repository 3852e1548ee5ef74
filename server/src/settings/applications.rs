//! The `[[application]]` tables of the settings file: applications beside the default one, each with its keys.
//!
//! The table's text in, checked entries out. What a key set's file holds is not looked at here. Secrets are shown
//! nowhere.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use tidewire_core::id::ApplicationId;

/// One application as the file has it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Application {
    pub(crate) id: ApplicationId,
    /// Verifies its tokens (HS256).
    #[serde(default, deserialize_with = "text")]
    pub(crate) secret: Option<String>,
    /// Still verifies them, while the application server goes over to `secret`.
    #[serde(default, deserialize_with = "text")]
    pub(crate) secret_previous: Option<String>,
    /// A file with the public keys that verify its tokens (JWKS).
    pub(crate) key_set: Option<PathBuf>,
}

/// The key of these tables.
pub(super) const KEY: &str = "application";

/// What is wrong with them, and the mend.
pub(super) fn parse(value: toml::Value) -> Result<Vec<Application>, (String, &'static str)> {
    let entries: Vec<Application> =
        value.try_into().map_err(|error: toml::de::Error| (error.message().to_owned(), MEND))?;
    for (index, entry) in entries.iter().enumerate() {
        if let Some(problem) = entry.problem() {
            return Err((format!("{} {problem}", entry.id), MEND));
        }
        if entries[..index].iter().any(|other| other.id == entry.id) {
            return Err((format!("{} is there twice", entry.id), "Give each application one table"));
        }
    }
    Ok(entries)
}

impl Application {
    fn problem(&self) -> Option<&'static str> {
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        if is_empty(&self.secret) || is_empty(&self.secret_previous) {
            Some("has an empty secret, which verifies nothing")
        } else if self.secret.is_none() && self.secret_previous.is_some() {
            Some("has a secret-previous without a secret")
        } else if self.secret.is_none() && self.key_set.is_none() {
            Some("has neither a secret nor a key-set")
        } else {
            None
        }
    }

    /// What verifies its tokens, without telling it.
    pub(super) fn keys(&self) -> String {
        let secret = self.secret.as_ref().map(|_| "secret (hidden)".to_owned());
        let previous = self.secret_previous.as_ref().map(|_| "secret-previous (hidden)".to_owned());
        let key_set = self.key_set.as_ref().map(|path| format!("key-set {}", path.display()));
        [secret, previous, key_set].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// As serde reads a text, but for errors: those quote what they found.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(Some(text)),
        _ => Err(serde::de::Error::custom("a secret must be a text, in quotation marks")),
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.keys())
    }
}

const MEND: &str = "Write [[application]] with id, and secret or key-set or both";
