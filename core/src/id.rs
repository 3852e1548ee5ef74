//! The names of things: small copyable newtypes, so that a payload type can never be passed for a shard.

use std::fmt;

use arrayvec::ArrayString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A shard of this media server; its UDP port is the first port plus this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u8);

/// A connection's place in its shard's table. The generation tells a reused slot from the connection that had it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub slot: u32,
    pub generation: u32,
}

macro_rules! key {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String", extend("pattern" = "^[0-9a-f]{32}$"))]
        pub struct $type(pub u128);

        impl std::str::FromStr for $type {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(BadName);
                }
                u128::from_str_radix(text, 16).map(Self).map_err(|_| BadName)
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(key: $type) -> Self {
                format!("{:032x}", key.0)
            }
        }
    };
}

macro_rules! shown {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

key!(
    /// A connection's name towards whoever opened it: 128 random bits, drawn by the gateway, written as 32 hexadecimal
    /// digits. Only its owner and the servers know it.
    ConnectionKey
);
shown!(ConnectionKey);
key!(
    /// An upstream's name towards everybody in its channel, written like a [`ConnectionKey`]. Knowing it allows nothing.
    UpstreamId
);
shown!(UpstreamId);
key!(
    /// What a client or a media server shows to go on with a link whose socket was lost. Drawn by the gateway, secret: only
    /// frames have it in them.
    LinkKey
);

/// Whoever has it goes on as that client, and what is shown ends in logs: only frames have it in them.
impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(..)")
    }
}

/// A name that is empty, too long, or holds a character outside `A-Z a-z 0-9 . _ - ~`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of the characters A-Z a-z 0-9 . _ - ~")]
pub struct BadName;

/// The longest channel name and media id, in bytes.
pub const NAME_LEN_MAX: usize = 64;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $fold:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9._~-]{1,64}$"))]
        pub struct $type(String);

        impl $type {
            pub fn new(text: &str) -> Result<Self, BadName> {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~');
                if text.is_empty() || text.len() > NAME_LEN_MAX || !text.bytes().all(allowed) {
                    return Err(BadName);
                }
                let fold: fn(&str) -> String = $fold;
                Ok(Self(fold(text)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An application: its own users, channels and secret. Nothing is shared between two.
    ApplicationId,
    str::to_owned
);
name!(
    /// A channel's name. Channels are case-insensitive: the name is kept in lower case.
    ChannelName,
    str::to_ascii_lowercase
);
name!(
    /// The name under which an upstream is published in its channel, so that it can be watched across re-publishing.
    MediaId,
    str::to_owned
);

impl MediaId {
    /// The media id of a WHIP publisher that names none.
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

impl Default for ApplicationId {
    /// The application of whoever names none.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// A channel as the whole cluster knows it: two applications may have channels of one name. Written `application/channel`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9._~-]{1,64}/[A-Za-z0-9._~-]{1,64}$"))]
pub struct ChannelKey {
    pub application: ApplicationId,
    pub channel: ChannelName,
}

impl ChannelKey {
    pub fn new(application: ApplicationId, channel: ChannelName) -> Self {
        Self { application, channel }
    }
}

impl fmt::Display for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application, self.channel)
    }
}

impl TryFrom<String> for ChannelKey {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        // Neither name holds a slash.
        let (application, channel) = text.split_once('/').ok_or(BadName)?;
        Ok(Self::new(ApplicationId::new(application)?, ChannelName::new(channel)?))
    }
}

impl From<ChannelKey> for String {
    fn from(key: ChannelKey) -> Self {
        key.to_string()
    }
}

/// A text that people or application servers chose: an id, an alias, a tag, a role, a region. 1 to 128 bytes of UTF-8
/// without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("minLength" = 1, "maxLength" = 128))]
pub struct Label(String);

/// The longest [`Label`], in bytes.
pub const LABEL_LEN_MAX: usize = 128;

/// A label that is empty, too long, or holds a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label is 1 to 128 bytes without control characters")]
pub struct BadLabel;

impl Label {
    pub fn new(text: &str) -> Result<Self, BadLabel> {
        if text.is_empty() || text.len() > LABEL_LEN_MAX || text.chars().any(char::is_control) {
            return Err(BadLabel);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = BadLabel;

    fn try_from(text: String) -> Result<Self, BadLabel> {
        Self::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The `a=mid` of a media section (RFC 8843); at most 16 bytes, as the one-byte header extension carries it.
pub type Mid = ArrayString<16>;

/// A restriction identifier, the name of a simulcast encoding (RFC 8851); at most 16 bytes.
pub type Rid = ArrayString<16>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_a_link_is_shown_by_its_serialisation_alone() {
        let key = LinkKey(0xabc);
        assert_eq!(format!("{key:?}"), "LinkKey(..)");
        assert_eq!(serde_json::to_string(&key).unwrap(), format!("\"{:032x}\"", 0xabc));
        assert_eq!(format!("{:?}", ConnectionKey(0xabc)), format!("{:032x}", 0xabc));
    }
}
