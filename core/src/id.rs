//! The names of things: small copyable newtypes, so that a payload type can never be passed for a shard.

use std::fmt;

use arrayvec::ArrayString;
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

/// A connection's name towards the outside: 128 random bits, drawn by the gateway, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionKey(pub u128);

impl fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ConnectionKey {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadName);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| BadName)
    }
}

impl TryFrom<String> for ConnectionKey {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<ConnectionKey> for String {
    fn from(key: ConnectionKey) -> Self {
        key.to_string()
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
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
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

/// The `a=mid` of a media section (RFC 8843); at most 16 bytes, as the one-byte header extension carries it.
pub type Mid = ArrayString<16>;

/// A restriction identifier, the name of a simulcast encoding (RFC 8851); at most 16 bytes.
pub type Rid = ArrayString<16>;
