//! Every bound of the gateway in one place, each with its reason.

use std::time::Duration;

/// Bytes of one Bearer token: the claims of a hundred channels, and what any HTTP server takes as one header.
pub const TOKEN_LEN_MAX: usize = 8 * 1024;

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

/// Questions that one media server has not answered: as many as may wait to be put.
pub const ASKS_MAX: usize = LINK_LEN;

/// Media servers of one gateway: a rack of them, and the name of each is looked for one by one.
pub const MEDIA_SERVERS_MAX: usize = 64;

/// Bytes of one question on a link: an offer, with each line end written as two characters, and room for the rest.
pub const ASK_LEN_MAX: usize = 2 * tidewire_core::limits::SDP_LEN_MAX;

/// Bytes of one answer on a link. The offer of a downstream that carries as much as it may is the largest there is.
pub const ANSWER_LEN_MAX: usize = 8 * tidewire_core::limits::SDP_LEN_MAX;

/// How long a media server whose socket is lost is waited for: as long as its connections live without being asked
/// (RFC 7675).
pub const MEDIA_LEASE: Duration = Duration::from_secs(30);

/// Frames after which a link acknowledges without waiting for the next second.
pub const LINK_ACKNOWLEDGE_EVERY: u64 = 16;

/// How often an end of a link shows that it is there, and how long the other may say nothing: three of these, and time
/// for the last to arrive.
pub const LINK_PING_EVERY: Duration = Duration::from_secs(3);
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long a connection to a gateway may take to be made, its TLS and its upgrade among it.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long the other end of a link may take to end its socket.
pub const LINK_GOODBYE_MAX: Duration = Duration::from_millis(300);

/// How long a media server's token is good: one connect, and clocks that differ.
pub const SERVER_TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Bytes of a refused body that are read and thrown away: four of the largest offers. Whoever sends more than that may
/// see the connection end before the answer.
pub const BODY_DRAIN_MAX: usize = 256 * 1024;

/// A body of 64 KiB at 64 kbit/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How far ahead an application server's clock may be before its tokens count as not yet valid.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);

/// How long a token of the demonstration page lives: a working day, since stopping a session needs a valid one too.
pub const DEMO_TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
