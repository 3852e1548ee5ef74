//! Every bound of the media server in one place, each with its reason.

/// The largest UDP payload that is looked at, in bytes: an Ethernet frame's worth, with room for tunnels that carry more.
pub const DATAGRAM_LEN_MAX: usize = 2048;

/// Datagrams in one `Batch`: what a shard takes off its sockets before it handles them.
pub const BATCH_LEN_MAX: usize = 128;

/// Connections of one shard: 1,000 viewers of a broadcast, several times over.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Media sections in one offer: a large meeting's downstream connection, twice over.
pub const MEDIA_SECTIONS_MAX: usize = 128;

/// Bytes of one SDP document that is parsed.
pub const SDP_LEN_MAX: usize = 64 * 1024;

/// Codecs (payload types) kept of one media section; browsers offer about 30, the 7-bit space holds 128.
pub const FORMATS_MAX: usize = 64;

/// SSRCs that one connection may send RTP from, and as many for RTCP: three encodings and their RTX for each of ten upstreams.
pub const SSRCS_PER_CONNECTION_MAX: usize = 64;
