//! What Tidewire can take part in, as data: codecs, RTCP feedback, header extensions.
//!
//! Parsing keeps what these tables name, matching keeps what they allow in the direction at hand. FEC, comfort noise and
//! telephone events are not here, so they are never answered.

use super::agreement::{Extension, Feedback, Spec};
use super::parse::Direction;
use crate::codec::{Codec, Kind};

/// A codec as `a=rtpmap` names it.
pub(super) struct Row {
    pub codec: Codec,
    pub name: &'static str,
    pub clock_rate: u32,
    pub channels: u8,
    /// The payload type that needs no `a=rtpmap` (RFC 3551 6).
    pub fixed: Option<u8>,
}

#[rustfmt::skip]
pub(super) const CODECS: [Row; 10] = [
    Row { codec: Codec::Opus, name: "opus", clock_rate: 48_000, channels: 2, fixed: None },
    Row { codec: Codec::Red,  name: "red",  clock_rate: 48_000, channels: 2, fixed: None },
    Row { codec: Codec::Pcmu, name: "PCMU", clock_rate:  8_000, channels: 1, fixed: Some(0) },
    Row { codec: Codec::Pcma, name: "PCMA", clock_rate:  8_000, channels: 1, fixed: Some(8) },
    // RFC 3551 4.5.2: G.722 samples at 16 kHz, but its RTP clock is 8 kHz.
    Row { codec: Codec::G722, name: "G722", clock_rate:  8_000, channels: 1, fixed: Some(9) },
    Row { codec: Codec::Vp8,  name: "VP8",  clock_rate: 90_000, channels: 1, fixed: None },
    Row { codec: Codec::Vp9,  name: "VP9",  clock_rate: 90_000, channels: 1, fixed: None },
    Row { codec: Codec::H264, name: "H264", clock_rate: 90_000, channels: 1, fixed: None },
    Row { codec: Codec::H265, name: "H265", clock_rate: 90_000, channels: 1, fixed: None },
    Row { codec: Codec::Av1,  name: "AV1",  clock_rate: 90_000, channels: 1, fixed: None },
];

/// The row of an `a=rtpmap` value behind its payload type: `name/clock[/channels]`, names without regard to case.
pub(super) fn row_of(encoding: &str) -> Option<&'static Row> {
    let mut parts = encoding.trim().split('/');
    let name = parts.next()?;
    let clock_rate: u32 = parts.next()?.parse().ok()?;
    let channels: u8 = match parts.next() {
        Some(channels) => channels.parse().ok()?,
        None => 1,
    };
    CODECS
        .iter()
        .find(|row| row.name.eq_ignore_ascii_case(name) && row.clock_rate == clock_rate && row.channels == channels)
}

/// The row of a payload type that needs no `a=rtpmap`.
pub(super) fn row_of_fixed(payload_type: u8) -> Option<&'static Row> {
    CODECS.iter().find(|row| row.fixed == Some(payload_type))
}

/// The name under which a codec is answered.
pub(super) fn name_of(codec: Codec) -> &'static str {
    CODECS.iter().find(|row| row.codec == codec).map_or("", |row| row.name)
}

/// The clock rate and the channels of a codec.
pub(super) fn clock_of(codec: Codec) -> (u32, u8) {
    CODECS.iter().find(|row| row.codec == codec).map_or((0, 0), |row| (row.clock_rate, row.channels))
}

/// Whether a format can be forwarded at all: what key-frame detection and repacking rely on.
pub(super) fn is_forwarded(spec: &Spec) -> bool {
    match spec.codec {
        // RFC 6184 6.4: mode 2 interleaves.
        Codec::H264 => matches!(spec.parameter("packetization-mode"), None | Some("0" | "1")),
        // RFC 7798 7.1: one RTP stream, and no decoding order numbers in the payload.
        Codec::H265 => {
            spec.parameter("tx-mode").is_none_or(|mode| mode.eq_ignore_ascii_case("SRST"))
                && spec.parameter("sprop-max-don-diff").is_none_or(|difference| difference == "0")
        }
        // Of what it consists is looked at with the section's other formats.
        Codec::Red => spec.redundant_payload_type().is_some(),
        Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Vp8 | Codec::Vp9 | Codec::Av1 => true,
    }
}

/// A format of every offer of ours: what a publisher may send, so that one who comes back with another codec needs no new
/// offer.
pub(super) struct OfferRow {
    pub payload_type: u8,
    pub rtx: Option<u8>,
    pub codec: Codec,
    pub parameters: &'static str,
}

const fn offered(payload_type: u8, rtx: Option<u8>, codec: Codec, parameters: &'static str) -> OfferRow {
    OfferRow { payload_type, rtx, codec, parameters }
}

/// Best first within each kind. Payload types are unique over both kinds, since all sections share one transport (RFC 9143
/// 9.1), and never change.
#[rustfmt::skip]
pub(super) const OFFERED: [OfferRow; 13] = [
    offered(111, None, Codec::Opus, "minptime=10;useinbandfec=1"),
    offered(63, None, Codec::Red, "111/111"),
    offered(9, None, Codec::G722, ""),
    offered(0, None, Codec::Pcmu, ""),
    offered(8, None, Codec::Pcma, ""),
    offered(96, Some(97), Codec::Vp8, ""),
    offered(98, Some(99), Codec::Vp9, "profile-id=0"),
    offered(100, Some(101), Codec::Vp9, "profile-id=2"),
    offered(102, Some(103), Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    offered(104, Some(105), Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"),
    offered(106, Some(107), Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"),
    offered(108, Some(109), Codec::Av1, "level-idx=5;profile=0;tier=0"),
    offered(112, Some(113), Codec::H265, "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"),
];

/// Feedback that is sent and understood in media that go this way, as this end sees it.
///
/// A viewer's audio has none on the transport: it has no RTX, so a repair is the same packet again, which cannot have a
/// transport sequence number of its own.
pub(super) const fn feedback(kind: Kind, direction: Direction) -> Feedback {
    let video = matches!(kind, Kind::Video);
    let to_viewers = matches!(direction, Direction::SendOnly);
    Feedback { nack: true, pli: video, fir: video, transport_cc: video || !to_viewers, remb: video && to_viewers }
}

/// A header extension by its URI, and the directions in which it is answered.
pub(super) struct ExtensionRow {
    pub extension: Extension,
    pub uri: &'static str,
    pub upstream: bool,
    pub downstream: bool,
}

const fn passed(extension: Extension, uri: &'static str) -> ExtensionRow {
    ExtensionRow { extension, uri, upstream: true, downstream: true }
}

/// Told by publishers to this server alone.
const fn heard(extension: Extension, uri: &'static str) -> ExtensionRow {
    ExtensionRow { extension, uri, upstream: true, downstream: false }
}

/// Known, so that ids stay unique, but of no use to a forwarder: hop by hop.
const fn kept_back(extension: Extension, uri: &'static str) -> ExtensionRow {
    ExtensionRow { extension, uri, upstream: false, downstream: false }
}

#[rustfmt::skip]
pub(super) const EXTENSIONS: [ExtensionRow; Extension::ALL.len()] = [
    passed(Extension::Mid, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    heard(Extension::Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    heard(Extension::RepairedRid, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
    passed(Extension::AudioLevel, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    kept_back(Extension::AbsSendTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
    passed(Extension::AbsCaptureTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"),
    passed(Extension::TransportSequence, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
    passed(Extension::VideoOrientation, "urn:3gpp:video-orientation"),
    passed(Extension::PlayoutDelay, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"),
    passed(Extension::VideoContentType, "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"),
    // Times of the publisher's own send queue: meaningless one hop on.
    kept_back(Extension::VideoTiming, "http://www.webrtc.org/experiments/rtp-hdrext/video-timing"),
    passed(Extension::ColorSpace, "http://www.webrtc.org/experiments/rtp-hdrext/color-space"),
    passed(Extension::DependencyDescriptor, "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"),
    heard(Extension::VideoLayersAllocation, "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"),
];

impl ExtensionRow {
    /// Whether the extension is agreed on for media of this kind that go this way, as this end sees it.
    pub(super) const fn is_taken(&self, kind: Kind, direction: Direction) -> bool {
        let taken = match direction {
            Direction::SendOnly => self.downstream,
            Direction::ReceiveOnly | Direction::SendReceive | Direction::Inactive => self.upstream,
        };
        // Where there is no feedback on the transport its packets need no numbers.
        let numbered =
            !matches!(self.extension, Extension::TransportSequence) || feedback(kind, direction).transport_cc;
        taken && numbered && speaks_of(self.extension, kind)
    }
}

/// The kinds of media that an extension says anything about.
const fn speaks_of(extension: Extension, kind: Kind) -> bool {
    match extension {
        Extension::Mid
        | Extension::Rid
        | Extension::RepairedRid
        | Extension::AbsSendTime
        | Extension::AbsCaptureTime
        | Extension::TransportSequence => true,
        Extension::AudioLevel => matches!(kind, Kind::Audio),
        Extension::VideoOrientation
        | Extension::PlayoutDelay
        | Extension::VideoContentType
        | Extension::VideoTiming
        | Extension::ColorSpace
        | Extension::DependencyDescriptor
        | Extension::VideoLayersAllocation => matches!(kind, Kind::Video),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_that_are_offered_are_unique_and_none_looks_like_rtcp() {
        let mut seen = std::collections::BTreeSet::new();
        for payload_type in OFFERED.iter().flat_map(|row| [Some(row.payload_type), row.rtx]).flatten() {
            // RFC 5761 4.
            assert!(payload_type < 128 && !(64..96).contains(&payload_type));
            assert!(seen.insert(payload_type), "{payload_type} is offered twice");
        }
        assert!(Codec::ALL.iter().all(|codec| OFFERED.iter().any(|row| row.codec == *codec)));
    }

    #[test]
    fn every_codec_and_every_extension_has_its_row() {
        for (codec, row) in Codec::ALL.into_iter().zip(&CODECS) {
            assert_eq!(codec, row.codec);
        }
        for (extension, row) in Extension::ALL.into_iter().zip(&EXTENSIONS) {
            assert_eq!(extension, row.extension);
        }
    }

    #[test]
    fn encodings_are_compared_by_name_clock_and_channels() {
        assert_eq!(row_of("OPUS/48000/2").map(|row| row.codec), Some(Codec::Opus));
        assert_eq!(row_of("red/48000/2").map(|row| row.codec), Some(Codec::Red));
        assert_eq!(row_of("pcmu/8000/1").map(|row| row.codec), Some(Codec::Pcmu));
        assert!(row_of("opus/48000").is_none() && row_of("VP8/8000").is_none() && row_of("red/8000").is_none());
        assert!(row_of("").is_none() && row_of("VP8").is_none() && row_of("VP8/x").is_none());
    }
}
