//! Every bound of the media server in one place, each with its reason.

use std::time::Duration;

/// The largest UDP payload that is looked at, in bytes: an Ethernet frame's worth, with room for tunnels that carry more.
pub const DATAGRAM_LEN_MAX: usize = 2048;

/// Datagrams in one `Batch`: what a shard takes off its sockets before it handles them.
pub const BATCH_LEN_MAX: usize = 128;

/// Connections of one shard: 1,000 viewers of a broadcast, several times over.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Media sections in one offer: a large meeting's downstream connection, twice over.
pub const MEDIA_SECTIONS_MAX: usize = 128;

/// Media ids that one downstream may carry: everybody in a large meeting, each with an audio and a video section.
pub const WANTS_MAX: usize = MEDIA_SECTIONS_MAX / 2;

/// Bytes of one SDP document that is parsed: a browser's answer to the largest offer of ours, with up to 4 KiB for each of 64
/// video sections and 1 KiB for each of 64 audio sections.
pub const SDP_LEN_MAX: usize = 320 * 1024;

/// Codecs (payload types) kept of one media section; browsers offer about 30, the 7-bit space holds 128.
pub const FORMATS_MAX: usize = 64;

/// SSRCs that one connection may send RTP from: three encodings and their RTX for each of ten upstreams.
pub const SSRCS_PER_CONNECTION_MAX: usize = 64;

/// SSRCs that one connection may send RTCP from: Firefox reports on each section of a downstream under one of its own, and some
/// of them change.
pub const REPORTERS_PER_CONNECTION_MAX: usize = MEDIA_SECTIONS_MAX + 32;

/// Letters that wait for one handshake thread: 1,000 viewers that join at once send four datagrams each.
pub const HANDSHAKE_QUEUE_LEN: usize = 4096;

/// DTLS associations of one handshake thread: the connections of a shard, twice over, while old ones are closed.
pub const ASSOCIATIONS_MAX: usize = 2 * CONNECTIONS_MAX;

/// DTLS datagrams that one association may cost at once: a handshake has four, each repeated a dozen times, twice over.
pub const HANDSHAKE_DATAGRAMS_BURST: u32 = 128;

/// How often a handshake that was broken before its keys may start anew: more often than a stranger guesses right.
pub const HANDSHAKE_RESTARTS_MAX: u8 = 8;

/// Attributes of one STUN message: browsers send 6 to 10.
pub const STUN_ATTRIBUTES_MAX: usize = 32;

/// Paths of one connection that were validated: two network interfaces times two address families, once more as long
/// as a NAT changes its mind.
pub const PATHS_PER_CONNECTION_MAX: usize = 8;

/// SSRCs kept of one offered media section: three simulcast encodings and as many again in reserve, each with its RTX.
pub const SOURCES_MAX: usize = 16;

/// Simulcast encodings (RIDs) of one media section; browsers send three, RFC 8853 sets no bound. Further ones are not accepted.
pub const ENCODINGS_MAX: usize = 4;

/// Packets and bytes of an audio stream's retransmission ring: 5 s at 50 packets a second, at up to 256 bytes each.
pub const AUDIO_RING: (usize, usize) = (256, 64 * 1024);

/// Packets and bytes of a video stream's retransmission ring: 3 s at 2.5 Mb/s, one key frame of a megabyte at most.
pub const VIDEO_RING: (usize, usize) = (1024, 1024 * 1024);

/// The same of each simulcast encoding beyond the first: which of them is the largest is not known before they come, and 2.5 Mb/s
/// last for a second and a half, a 1.5 s round trip of repairs.
pub const FURTHER_RING: (usize, usize) = (512, 512 * 1024);

/// Packets of one fan-out round of a session, and of those that wait for the next: four batches, what a loaded shard takes in
/// in one turn.
pub const ROUND_LEN_MAX: usize = 4 * BATCH_LEN_MAX;

/// Packets of a round for which memory is claimed when its session begins: what a few publishers send at once.
pub const ROUND_LEN_USUAL: usize = 64;

/// How long anything may wait for a fan-out round before the video that can be done without is dropped: beyond half a
/// second people talk past each other.
pub const WAIT_MAX: Duration = Duration::from_millis(500);

/// A fan-out in which anything waits this long is behind, and its shard repeats nothing to anybody: longer than a round
/// takes that brings a key frame of 100 packets to 1,000 viewers.
pub const BEHIND_AFTER: Duration = Duration::from_millis(200);

/// What has waited for less than this, during a round that is younger, goes to those whom the round has passed before it
/// ends; half a frame's time.
pub const FOLLOW_WITHIN: Duration = Duration::from_millis(16);

/// Events towards the handshake threads that wait in a table: two datagrams of a ClientHello for 2,000 joiners at once.
pub const HANDSHAKE_QUEUE_MAX: usize = 4096;

/// Bytes of one RTCP datagram that the server sends, protection included.
pub const RTCP_LEN_MAX: usize = 1200;

/// Ended connections whose way is remembered for a last word: everybody, when a shard of a large broadcast shuts down.
pub const PARTING_MAX: usize = 4096;

/// Statuses of transport-wide feedback that are read from one viewer in a second: the packets of 20 Mb/s in packets of 1,200
/// bytes, four times over, since what is reported late or twice counts again.
pub const FEEDBACK_STATUSES_PER_SECOND_MAX: u64 = 8192;

/// What a feedback packet costs at least, in statuses: reading its head costs as much as its bytes.
pub const FEEDBACK_STATUSES_MIN: u16 = 16;

/// Local addresses, and so sockets, of one shard.
pub const SOCKETS_MAX: usize = 64;

/// Bytes asked for each socket's receive and send buffer: a key frame to 1,000 viewers that the network takes in a moment.
pub const SOCKET_BUFFER_LEN: usize = 4 << 20;

/// Viewers of a shard that get a socket of their own unless more are asked for: on loopback it pays for a hundred, for two hundred
/// hardly, and with a thousand the kernel's state of each falls out of the cache between two sends. A socket takes 3 kB of
/// the kernel's memory and none of the process's descriptors.
pub const CONNECTED_MAX: usize = 128;

/// Bytes asked for the send buffer of a socket that is connected to one viewer: a key frame of 100 packets, twice.
pub const CONNECTED_BUFFER_LEN: usize = 256 * 1024;

/// Bytes of the largest UDP message: 65,535 less the headers of IPv4 and UDP.
pub const MESSAGE_LEN_MAX: usize = 65_507;

/// Bytes that a shard seals before it must flush: one slice of a fan-out, small enough to stay in the cache.
pub const EGRESS_LEN: usize = 256 * 1024;

/// Messages (trains or lone datagrams) that a shard seals before it must flush.
pub const TRAINS_MAX: usize = 256;

/// Destinations remembered as unable to take trains; the oldest is forgotten first.
pub const LONE_DESTINATIONS_MAX: usize = 128;

/// Receive slots of a shard, each for one message; few, so that they stay in the cache. A power of two.
pub const RECEIVE_SLOTS: usize = 64;

/// Batches that a shard handles in one turn before it forwards.
pub const BATCHES_PER_TURN_MAX: usize = 4;

/// A turn that takes longer is a stall: two hundred slices, and as much as a frame of 50 frames a second may take in all.
pub const TURN_MAX: Duration = Duration::from_millis(20);

/// A shard that wakes later than this after the time it asked for had no core: ten times what a timer is late by.
pub const OVERSHOOT_MAX: Duration = Duration::from_millis(5);

/// Packets that a shard forwards in one slice, after which they leave and it looks at what has arrived: about 100 us, since the
/// kernel takes 3 us for a lone one.
pub const SLICE_PACKETS_MAX: usize = 32;

/// Commands that wait for a shard.
pub const COMMANDS_LEN: usize = 1024;

/// Answers of the handshake threads that wait for a shard: a join storm's flights.
pub const PROGRESS_LEN: usize = 1024;

/// Commands, and answers of the handshake threads, that a shard takes in one turn: each takes tens of microseconds, for which
/// packets wait.
pub const LETTERS_PER_TURN_MAX: usize = 8;
