//! What the forwarding plane costs in memory: sums with a reason for each term, held against an allocator in
//! `tests/memory.rs`.
//!
//! The sums are for clients that offer what browsers offer; what a client can add to that by asking for all that it may
//! is `BYTES_HOSTILE_MAX`. A shard claims everything else once. Key schedules are in the sums, but no test sees them:
//! the cryptographic library takes their memory from the system by itself.

use tidewire_core::codec::Target;
use tidewire_core::id::Rid;
use tidewire_core::limits::{
    AUDIO_RING, FORMATS_MAX, FURTHER_RING, PATHS_PER_CONNECTION_MAX, REPORTERS_PER_CONNECTION_MAX, ROUND_LEN_MAX,
    SOURCES_MAX, SSRCS_PER_CONNECTION_MAX, VIDEO_RING,
};
use tidewire_core::machine::Path;
use tidewire_core::negotiate::{Format, Source};
use tidewire_core::ring::RetransmissionRing;

use crate::arrivals::{Arrivals, WINDOW_LEN};
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::departures::Departures;
use crate::downstream::{Downstream, Stream, TRAIL_BYTES};
use crate::fanout::Item;
use crate::session::{PUBLICATION_LEN, Session};
use crate::speakers::VOICE_LEN;
use crate::table::slots::CHUNK_LEN;
use crate::upstream::{Section, Track, TrackKey, Upstream};

/// Speakers that are told of at a time: more who talk at once are understood by nobody.
pub const SPEAKERS_MAX: usize = 8;

/// What [`TableConfig::loudest`](crate::TableConfig::loudest) can be at most. Each loud packet of a track that is not heard may
/// look at every seat.
pub const LOUDEST_MAX: usize = 32;

/// Bytes of a viewer with an audio and a video stream.
pub const BYTES_PER_VIEWER_MAX: usize = CONNECTION
    + size_of::<Option<Delivery>>()
    // What left for a viewer that reports on its transport.
    + size_of::<Departures>()
    + size_of::<Downstream>()
    + 2 * (size_of::<Stream>() + section(FORMATS_USUAL, 1))
    + replay(2, RTCP_WINDOW)
    // Its places in two rolls: a number in a list, and a number and its place in a table with a byte of its own.
    + 2 * HALF_EMPTY * (4 + 8 + 1);

/// Bytes of each further stream that a viewer gets, of a publication that nobody else watches.
pub const BYTES_PER_STREAM_MAX: usize = HALF_EMPTY * (size_of::<Stream>() + size_of::<(TrackKey, u8)>() + RTCP_WINDOW + 4)
    + section(FORMATS_USUAL, 1)
    // The publication, in a table with a byte of its own, and the smallest roll of those who watch it: four numbers in a list
    // and four in a table.
    + HALF_EMPTY * (PUBLICATION_LEN + 1)
    + 4 * (4 + 8 + 1)
    + 16;

/// Bytes of an upstream with an audio and a video track: all but a few thousand of them are its rings.
pub const BYTES_PER_UPSTREAM_MAX: usize = CONNECTION
    + size_of::<Option<Upstream>>()
    + size_of::<Option<Arrivals>>()
    + WINDOW_LEN
    + 2 * (size_of::<Track>() + size_of::<Section>() + DEMAND + section(FORMATS_USUAL, 1))
    + HALF_EMPTY * VOICE_LEN
    + ring(AUDIO_RING)
    + ring(VIDEO_RING)
    + replay(4, RTP_WINDOW)
    + replay(2, RTCP_WINDOW);

/// Bytes of each further audio track of an upstream.
pub const BYTES_PER_AUDIO_TRACK_MAX: usize = HALF_EMPTY
    * (size_of::<Track>() + size_of::<Section>() + DEMAND + VOICE_LEN)
    + section(FORMATS_USUAL, 1)
    + ring(AUDIO_RING);

/// Bytes of each further video track.
pub const BYTES_PER_VIDEO_TRACK_MAX: usize =
    HALF_EMPTY * (size_of::<Track>() + size_of::<Section>() + DEMAND) + section(FORMATS_USUAL, 1) + ring(VIDEO_RING);

/// Bytes of each simulcast encoding beyond the first of its section, with its replay windows: less by the ring before its first
/// packet has come.
pub const BYTES_PER_ENCODING_MAX: usize =
    HALF_EMPTY * (size_of::<Track>() + DEMAND) + size_of::<Rid>() + ring(FURTHER_RING) + HALF_EMPTY * 2 * RTP_WINDOW;

/// Bytes that a viewer's stream takes beside once it turns, leaves a layer out, has several encodings to turn to, or another
/// publisher.
pub const BYTES_PER_TRAIL_MAX: usize = TRAIL_BYTES;

/// Bytes of a session with one publication, once it has had as much to forward as it may: what waits, and four rounds.
pub const BYTES_PER_SESSION_MAX: usize =
    size_of::<Option<Session>>() + 512 + 5 * HALF_EMPTY * ROUND_LEN_MAX * (size_of::<Item>() + 16);

/// Bytes claimed ahead of need, however few connections there are: a chunk of places in each table.
pub const BYTES_AHEAD_MAX: usize = CHUNK_LEN
    * (size_of::<Option<Connection>>()
        + size_of::<Option<Upstream>>()
        + size_of::<Option<Arrivals>>()
        + size_of::<Option<Delivery>>()
        // An observation is a box.
        + size_of::<Option<Box<()>>>()
        + size_of::<Option<Session>>());

/// What a client adds at most to its connection's sum, by the longest credentials (RFC 8839 5.4) and every format, source,
/// SSRC and path that it may have, in two sections.
pub const BYTES_HOSTILE_MAX: usize = 4 * 256
    + 2 * section(FORMATS_MAX, SOURCES_MAX)
    + replay(SSRCS_PER_CONNECTION_MAX, RTP_WINDOW)
    + replay(REPORTERS_PER_CONNECTION_MAX, RTCP_WINDOW)
    + paths(PATHS_PER_CONNECTION_MAX);

/// Any connection: its place, four keys (SRTP and SRTCP, either way), 8 credentials of up to 32 bytes (two of each end, and
/// again before an ICE restart), two paths in the index, and ten timers of 32 bytes (five reasons, each with one that
/// was overtaken).
const CONNECTION: usize = size_of::<Option<Connection>>() + 4 * KEY + 8 * 32 + paths(2) + HALF_EMPTY * 10 * 32;

/// A key schedule: 592 bytes with AES-GCM; with AES counter mode a box of about a kilobyte.
const KEY: usize = 1152;

/// What is told and gathered of a track's demand.
const DEMAND: usize = 2 * size_of::<Option<Target>>();

/// A vector or table that doubles when it is full is half empty then.
const HALF_EMPTY: usize = 2;

/// Formats that are agreed on for one section; browsers have up to 15 in common.
const FORMATS_USUAL: usize = 16;

/// Bytes of one replay window and its head.
const RTP_WINDOW: usize = 1024 / 8 + 8;
const RTCP_WINDOW: usize = 256 / 8 + 8;

/// What was agreed on for one section: formats, each with 64 bytes of parameters, and sources.
const fn section(formats: usize, sources: usize) -> usize {
    formats * (size_of::<Format>() + 64) + sources * size_of::<Source>()
}

/// Replay windows of so many SSRCs, beside the list of these; the first allocation has room for four.
const fn replay(ssrcs: usize, window: usize) -> usize {
    let room = if ssrcs > 2 { HALF_EMPTY * ssrcs } else { 4 };
    room * (window + size_of::<u32>())
}

/// So many paths in the index, each with its slot.
const fn paths(paths: usize) -> usize {
    HALF_EMPTY * paths * (size_of::<Path>() + 8 + 1)
}

/// A ring of so many packets in so many bytes.
const fn ring((packets, bytes): (usize, usize)) -> usize {
    RetransmissionRing::bytes(packets, bytes)
}
