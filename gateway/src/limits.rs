//! Every bound of the gateway in one place, each with its reason.

use std::time::Duration;

use tidewire_core::limits::SDP_LEN_MAX;
use tidewire_core::message::lane::Bounds;

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

/// Lines of an offer that are looked at here: the largest description at the usual 30 bytes a line, and a half more.
pub const LINES_MAX: usize = SDP_LEN_MAX / 20;

/// WHIP and WHEP sessions of one gateway: four shards full of connections.
pub const SESSIONS_MAX: usize = 4 * tidewire_core::limits::CONNECTIONS_MAX;

/// Requests that wait for the media server. Opening takes two places, so 128 clients may be opening at once.
pub const LINK_LEN: usize = 256;

/// Events that wait for the gateway: a media server that stops ends all its connections at once.
pub const EVENTS_LEN: usize = 1_024;

/// Questions that are out because of what others did, and for which nobody waits: a quarter of the queue, so that a publisher
/// who leaves ten thousand viewers keeps nobody else from asking.
pub const TURNS_MAX: usize = LINK_LEN / 4;

/// A media server in the same machine answers within milliseconds; a client's own patience ends at about ten seconds.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Questions that one media server has not answered: as many as may wait to be put.
pub const ASKS_MAX: usize = LINK_LEN;

/// Media servers of one gateway: a rack of them, and the name of each is looked for one by one.
pub const MEDIA_SERVERS_MAX: usize = 64;

/// Bytes of one question on a link: an offer, with each line end written as two characters, and room for the rest.
pub const ASK_LEN_MAX: usize = 2 * SDP_LEN_MAX;

/// Bytes of one answer on a link. The offer of a downstream that carries as much as it may is the largest there is.
pub const ANSWER_LEN_MAX: usize = 8 * SDP_LEN_MAX;

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

/// Bytes of a refused body that are read and thrown away: two of the largest offers. Whoever sends more than that may
/// see the connection end before the answer.
pub const BODY_DRAIN_MAX: usize = 2 * SDP_LEN_MAX;

/// An offer of a browser, some 64 KiB at the most, at 64 kbit/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How far ahead an application server's clock may be before its tokens count as not yet valid.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);

/// How long a token of the demonstration page lives: a working day, since stopping a session needs a valid one too.
pub const DEMO_TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Registered clients of one gateway: each may keep a megabyte of events and one of answers that it does not read, and
/// half a one that is on its way, which makes 40 GiB at the very worst.
pub const CLIENTS_MAX: usize = 16_384;

/// Clients of one user: a few devices with a few pages each, or the screens of a house that all sign in as one.
pub const CLIENTS_PER_USER_MAX: usize = 256;

/// Clients whose tokens name no user: a channel full of them, and a quarter of the places is left to those who are
/// somebody, since one such token may be shown by anybody, any number of times.
pub const NAMELESS_MAX: usize = CLIENTS_MAX / 4 * 3;
const _: () = assert!(NAMELESS_MAX > MEMBERS_MAX);

/// Members of one channel of one gateway: an audience that still fits into one list of those present.
pub const MEMBERS_MAX: usize = 10_000;

/// Channels that one client is in: those that one token names.
pub const CHANNELS_PER_CLIENT_MAX: usize = TOKEN_CHANNELS_MAX;

/// Connections of one client: camera, screen and a downstream for each of a few channels, several times over.
pub const CONNECTIONS_PER_CLIENT_MAX: usize = 16;

/// Bytes of one message: a page of text. What is larger belongs elsewhere, and a link to it here.
pub const MESSAGE_LEN_MAX: usize = 16 * 1024;

/// Messages that a client may send at once, and the time after which it may send another; changes of what others see of
/// it are counted with them, and so are joining and renewing. Faster than people write, and enough for an application's own signals.
pub const MESSAGES_BURST: u32 = 50;
pub const MESSAGE_EVERY: Duration = Duration::from_millis(50);

/// The same for requests of every kind: joining and publishing in many channels at once, a few candidates each.
pub const REQUESTS_BURST: u32 = 256;
pub const REQUEST_EVERY: Duration = Duration::from_millis(10);

/// How long a client may be without a socket: a change of networks, or a laptop's lid that is closed and opened again.
pub const LEASE: Duration = Duration::from_secs(30);

/// How often leases are looked at.
pub const TICK: Duration = Duration::from_millis(500);

/// Clients whose lease has expired that are ended at one go: everybody left in their channels is told of each, and the
/// others wait for as long.
pub const EXPIRED_AT_ONCE_MAX: usize = 64;

/// Requests of one client that wait to be answered: opening all its connections and joining all its channels at once.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;

/// Frames and bytes of events and messages that wait for one client: several seconds of a busy channel. As many bytes of
/// answers may wait besides before its requests are refused.
pub const LINE_FRAMES_MAX: usize = 1_024;
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What may be on its way without being acknowledged. A client acknowledges 32 frames at a time: at a round trip
/// of 200 ms this is a thousand frames a second.
pub const WINDOW: Bounds = Bounds { frames_max: 256, bytes_max: 512 * 1024 };

/// Bytes that a socket takes at once: what the system's buffer holds.
pub const TAKEN_LEN_MAX: usize = 64 * 1024;

/// Frames of a client that are acknowledged at the latest when so many have come.
pub const ACKNOWLEDGE_AFTER: u64 = 32;

/// And when none came for so long.
pub const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(1);

/// Bytes of one frame of a client: the largest description, each of its line ends written as four characters.
pub const FRAME_LEN_MAX: usize = SDP_LEN_MAX + SDP_LEN_MAX / 2;

/// Bytes of a client's socket that are held in each direction while nothing is larger. Most clients are silent most of the
/// time, and the library's own default is 128 KiB.
pub const SOCKET_BUFFER_LEN: usize = 4 * 1024;

/// How long a socket may take to register.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sockets that have not registered yet, in all and from one address: many clients share one behind a company's network.
pub const STRANGERS_MAX: usize = 1_024;
pub const STRANGERS_PER_ADDRESS_MAX: usize = 64;

/// A socket is asked for a sign of life so often, and is dead when it gave none for so long: two pings lost, and a half.
pub const PING_EVERY: Duration = Duration::from_secs(10);
pub const SILENCE_MAX: Duration = Duration::from_secs(25);

/// How long a socket that is over waits for the other end to close it.
pub const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Seconds of statistics that a client may ask for at once; it asks again for more.
pub const OBSERVE_S_MAX: u16 = 60;
