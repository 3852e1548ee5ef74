//! Every bound of the gateway in one place, each with its reason.

use std::time::Duration;

/// Bytes of one Bearer token: the claims of a hundred channels, and what any HTTP server takes as one header.
pub const TOKEN_LEN_MAX: usize = 8 * 1024;

/// Channels that one token of type `register` may claim: what [`TOKEN_LEN_MAX`] holds of short claims.
pub const TOKEN_CHANNELS_MAX: usize = 128;

/// Roles of one client: everybody in its channels is told of them.
pub const TOKEN_ROLES_MAX: usize = 16;

/// Applications of one gateway: their keys are held in memory, some 10 KiB each at most.
pub const APPLICATIONS_MAX: usize = 1_024;

/// Secrets of one application: the one in use and the one before. Each is tried, so each costs an HMAC a token.
pub const SECRETS_MAX: usize = 2;

/// Public keys of one application: four issuers that each publish the key in use, the next and the last.
pub const PUBLIC_KEYS_MAX: usize = 16;

/// Bytes of a key set's file: each key with a certificate chain that is passed over.
pub const KEY_SET_LEN_MAX: usize = 256 * 1024;

/// Bytes of one ICE fragment: some 150 candidates, ten times what a client with many networks gathers.
pub const FRAGMENT_LEN_MAX: usize = 16 * 1024;

/// Lines of an offer that are looked at here: 64 KiB of SDP at the usual 30 bytes a line, and a half more.
pub const LINES_MAX: usize = 4_096;

/// WHIP and WHEP sessions of one gateway: four shards full of connections.
pub const SESSIONS_MAX: usize = 4 * tidewire_core::limits::CONNECTIONS_MAX;

/// Requests that wait for the media server. Opening takes two places, so 128 clients may be opening at once.
pub const LINK_LEN: usize = 256;

/// Events that wait for the gateway: a media server that stops ends all its connections at once.
pub const EVENTS_LEN: usize = 1_024;

/// A media server in the same machine answers within milliseconds; a client's own patience ends at about ten seconds.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a refused body that are read and thrown away: four of the largest offers. Whoever sends more than that may
/// see the connection end before the answer.
pub const BODY_DRAIN_MAX: usize = 256 * 1024;

/// A body of 64 KiB at 64 kbit/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How far ahead an application server's clock may be before its tokens count as not yet valid.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);

/// How long a token of the demonstration page lives: a working day, since stopping a session needs a valid one too.
pub const DEMO_TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
