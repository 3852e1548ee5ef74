//! What each codec demands of a payload that carries the pattern: its SDP lines, and the bytes in front of the filler by
//! which a forwarder tells key frames and frame starts.
//!
//! The prefixes are the least that is valid on the wire: payload descriptors, NAL and OBU headers, parameter sets of
//! plausible length. No decoder would show a picture from them, and none is asked to.

use super::pattern::Position;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
    Opus,
    Pcmu,
    Pcma,
    G722,
}

impl Codec {
    pub const ALL: [Self; 9] =
        [Self::Vp8, Self::Vp9, Self::H264, Self::H265, Self::Av1, Self::Opus, Self::Pcmu, Self::Pcma, Self::G722];

    /// `a=rtpmap` without the payload type.
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8/90000",
            Self::Vp9 => "VP9/90000",
            Self::H264 => "H264/90000",
            Self::H265 => "H265/90000",
            Self::Av1 => "AV1/90000",
            Self::Opus => "opus/48000/2",
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
        }
    }

    pub fn fmtp(self) -> Option<&'static str> {
        match self {
            Self::Vp9 => Some("profile-id=0"),
            Self::H264 => Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
            Self::H265 => Some("level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
            Self::Av1 => Some("level-idx=5;profile=0;tier=0"),
            Self::Opus => Some("minptime=10;useinbandfec=1"),
            Self::Vp8 | Self::Pcmu | Self::Pcma | Self::G722 => None,
        }
    }

    pub fn is_video(self) -> bool {
        match self {
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => true,
            Self::Opus | Self::Pcmu | Self::Pcma | Self::G722 => false,
        }
    }

    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => 90_000,
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
        }
    }

    /// RFC 3551 6 fixes the payload types of the old audio codecs.
    pub fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 | Self::Opus => None,
        }
    }

    /// Where the two bytes of a picture id stand in the prefix; 0 where there is none.
    pub fn picture_at(self) -> u8 {
        match self {
            Self::Vp8 => 2,
            Self::Vp9 => 1,
            Self::H264 | Self::H265 | Self::Av1 | Self::Opus | Self::Pcmu | Self::Pcma | Self::G722 => 0,
        }
    }

    /// The bytes that stand in front of the filler. `rest_len` is what follows them in the payload.
    pub fn prefix(self, position: Position, picture: u16, rest_len: usize) -> Vec<u8> {
        match self {
            Self::Vp8 => vp8(position, picture),
            Self::Vp9 => vp9(position, picture),
            Self::H264 => h264(position, rest_len),
            Self::H265 => h265(position, rest_len),
            Self::Av1 => av1(position),
            // RFC 6716 3.1: CELT, full band, 20 ms, one frame.
            Self::Opus => vec![0xf8],
            Self::Pcmu | Self::Pcma | Self::G722 => Vec::new(),
        }
    }
}

/// RFC 7741 4.2 and 4.3: X and S, then I with a 15-bit picture id; on a start the frame tag, and for a key frame the start code and size.
fn vp8(position: Position, picture: u16) -> Vec<u8> {
    let start_bit = if position.start { 0x10 } else { 0 };
    let mut bytes = vec![0x80 | start_bit, 0x80, 0x80 | (picture >> 8) as u8 & 0x7f, picture as u8];
    if position.start {
        bytes.extend_from_slice(&[if position.key { 0x10 } else { 0x11 }, 0x02, 0x00]);
        if position.key {
            bytes.extend_from_slice(&[0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        }
    }
    bytes
}

/// RFC 9628 4.2: I, P, B and E with a 15-bit picture id; on a start the first byte of the frame header (and its sync code for a key frame).
fn vp9(position: Position, picture: u16) -> Vec<u8> {
    let mut first = 0x80;
    if !position.key {
        first |= 0x40;
    }
    if position.start {
        first |= 0x08;
    }
    if position.end {
        first |= 0x04;
    }
    let mut bytes = vec![first, 0x80 | (picture >> 8) as u8 & 0x7f, picture as u8];
    match (position.start, position.key) {
        (true, true) => bytes.extend_from_slice(&[0x82, 0x49, 0x83, 0x42]),
        (true, false) => bytes.push(0x86),
        (false, _) => {}
    }
    bytes
}

/// RFC 6184 5.6 and 5.7.1: a key frame starts with a STAP-A of SPS, PPS and a slice; all other packets are single slices.
fn h264(position: Position, rest_len: usize) -> Vec<u8> {
    const SPS: &[u8] = &[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    if !position.key {
        return vec![0x41];
    }
    if !position.start {
        return vec![0x65];
    }
    let mut bytes = vec![0x78];
    aggregate(&mut bytes, SPS);
    aggregate(&mut bytes, PPS);
    bytes.extend_from_slice(&(rest_len as u16 + 1).to_be_bytes());
    bytes.push(0x65);
    bytes
}

/// RFC 7798 4.4.1 and 4.4.2: a key frame starts with an aggregation packet of VPS, SPS, PPS and an IDR slice.
fn h265(position: Position, rest_len: usize) -> Vec<u8> {
    const VPS: &[u8] = &[0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60];
    const SPS: &[u8] = &[0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90];
    const PPS: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62];
    if !position.key {
        return vec![0x02, 0x01];
    }
    if !position.start {
        return vec![0x26, 0x01];
    }
    let mut bytes = vec![0x60, 0x01];
    aggregate(&mut bytes, VPS);
    aggregate(&mut bytes, SPS);
    aggregate(&mut bytes, PPS);
    bytes.extend_from_slice(&(rest_len as u16 + 2).to_be_bytes());
    bytes.extend_from_slice(&[0x26, 0x01]);
    bytes
}

fn aggregate(bytes: &mut Vec<u8>, unit: &[u8]) {
    bytes.extend_from_slice(&(unit.len() as u16).to_be_bytes());
    bytes.extend_from_slice(unit);
}

/// AV1 RTP 4.4: the aggregation header (N on a new coded video sequence), a sequence header before a key frame, then one
/// frame or tile-group OBU that fills the packet.
fn av1(position: Position) -> Vec<u8> {
    const SEQUENCE_HEADER: &[u8] = &[0x08, 0x00, 0x00, 0x00, 0x42, 0xa7, 0xbf, 0xe4];
    match (position.start, position.key) {
        (true, true) => {
            let mut bytes = vec![0x28, SEQUENCE_HEADER.len() as u8];
            bytes.extend_from_slice(SEQUENCE_HEADER);
            bytes.extend_from_slice(&[0x30, 0x10]);
            bytes
        }
        (true, false) => vec![0x10, 0x30, 0x30],
        (false, _) => vec![0x10, 0x20],
    }
}
