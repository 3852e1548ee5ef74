//! When two formats mean the same: a codec's name, clock and channels, and the few `a=fmtp` parameters that change what
//! the bytes are. All other parameters are wishes, and do not keep two ends apart.

use super::agreement::{Format, Media, Spec};
use super::h264_profile::Profile;
use crate::codec::Codec;

impl Spec {
    /// Whether the two name the same coding, so that a payload of one is a payload of the other.
    pub fn matches(&self, other: &Self) -> bool {
        self.is_same_codec(other) && self.variant() == other.variant()
    }

    /// Whether an end that announced this format plays `stream`: it matches, or its decoder is the richer one, or it plays what
    /// is left of redundant audio without the redundancy.
    pub fn plays(&self, stream: &Self) -> bool {
        if (self.codec, stream.codec) == (Codec::Opus, Codec::Red) {
            return true;
        }
        self.is_same_codec(stream)
            && match (self.variant(), stream.variant()) {
                (Variant::H264 { profile, mode }, Variant::H264 { profile: sent, mode: sent_mode }) => {
                    // RFC 6184 8.1: mode 1 takes all that mode 0 may send.
                    profile.decodes(sent) && mode >= sent_mode
                }
                (own, sent) => own == sent,
            }
    }

    /// A parameter of `a=fmtp`, names without regard to case; the first of several.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.split(';').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The payload type of which all blocks of a redundant format are (RFC 2198 4); none of one whose blocks are of several.
    pub fn redundant_payload_type(&self) -> Option<u8> {
        let mut blocks = self.parameters.split('/').map(|block| block.trim().parse::<u8>().ok());
        let first = blocks.next()??;
        blocks.all(|block| block == Some(first)).then_some(first)
    }

    fn is_same_codec(&self, other: &Self) -> bool {
        self.codec == other.codec && self.clock_rate == other.clock_rate && self.channels == other.channels
    }

    fn variant(&self) -> Variant<'_> {
        match self.codec {
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Vp8 => Variant::Only,
            // RFC 9628 6.1 and the AV1 payload format 7.1: profile 0 unless said otherwise.
            Codec::Vp9 => Variant::Profile(self.parameter("profile-id").unwrap_or("0")),
            Codec::Av1 => Variant::Profile(self.parameter("profile").unwrap_or("0")),
            Codec::H264 => Variant::H264 { profile: self.h264_profile(), mode: self.packetization_mode() },
            // RFC 7798 7.1: Main profile in the main tier unless said otherwise.
            Codec::H265 => Variant::H265 {
                profile: self.parameter("profile-id").unwrap_or("1"),
                tier: self.parameter("tier-flag").unwrap_or("0"),
            },
        }
    }

    /// RFC 6184 8.1: without a profile-level-id (or with one that cannot be read) it is Baseline.
    fn h264_profile(&self) -> Profile {
        self.parameter("profile-level-id").and_then(Profile::parse).unwrap_or(Profile::Baseline)
    }

    fn packetization_mode(&self) -> u8 {
        self.parameter("packetization-mode").and_then(|mode| mode.parse().ok()).unwrap_or(0)
    }
}

impl Media {
    /// The agreed format in which `stream` can be sent to this end: the one that matches, else one that plays it.
    pub fn format_for(&self, stream: &Spec) -> Option<&Format> {
        let matching = self.formats.iter().find(|format| format.spec.matches(stream));
        matching.or_else(|| self.formats.iter().find(|format| format.spec.plays(stream)))
    }
}

/// What tells formats of one codec apart.
#[derive(Debug, PartialEq, Eq)]
enum Variant<'a> {
    Only,
    Profile(&'a str),
    H264 { profile: Profile, mode: u8 },
    H265 { profile: &'a str, tier: &'a str },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(codec: Codec, parameters: &str) -> Spec {
        Spec { codec, clock_rate: 90_000, channels: 1, parameters: parameters.to_owned() }
    }

    /// Left, right, whether they match, whether the left plays the right.
    const H264: [(&str, &str, bool, bool); 12] = [
        ("profile-level-id=42e01f;packetization-mode=1", "packetization-mode=1; profile-level-id=42E034", true, true),
        ("profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42c01f;packetization-mode=1", true, true),
        ("profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42e01f;packetization-mode=0", false, true),
        ("profile-level-id=42e01f", "profile-level-id=42e01f;packetization-mode=1", false, false),
        ("profile-level-id=42e01f;packetization-mode=0", "profile-level-id=42e01f", true, true),
        ("profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42001f;packetization-mode=1", false, true),
        ("profile-level-id=640c1f;packetization-mode=1", "profile-level-id=42e01f;packetization-mode=1", false, true),
        ("profile-level-id=42e01f;packetization-mode=1", "profile-level-id=640c1f;packetization-mode=1", false, false),
        ("profile-level-id=64001f;packetization-mode=1", "profile-level-id=640032;packetization-mode=1", true, true),
        ("profile-level-id=64001f;packetization-mode=1", "profile-level-id=4d001f;packetization-mode=1", false, true),
        ("PROFILE-LEVEL-ID=42001f", "", true, true),
        ("profile-level-id=nonsense", "profile-level-id=42000a", true, true),
    ];

    #[test]
    fn h264_matches_by_profile_and_packetization_mode_and_never_by_level() {
        for (left, right, matches, plays) in H264 {
            let (left, right) = (spec(Codec::H264, left), spec(Codec::H264, right));
            assert_eq!(left.matches(&right), matches, "{left:?} {right:?}");
            assert_eq!(right.matches(&left), matches, "{right:?} {left:?}");
            assert_eq!(left.plays(&right), plays, "{left:?} plays {right:?}");
        }
    }

    #[test]
    fn other_codecs_match_by_profile_with_its_default() {
        assert!(spec(Codec::Vp9, "profile-id=0").matches(&spec(Codec::Vp9, "")));
        assert!(!spec(Codec::Vp9, "profile-id=2").matches(&spec(Codec::Vp9, "")));
        assert!(spec(Codec::Av1, "level-idx=5;profile=0;tier=0").matches(&spec(Codec::Av1, "")));
        assert!(!spec(Codec::Av1, "profile=1").matches(&spec(Codec::Av1, "profile=0")));
        assert!(spec(Codec::H265, "level-id=93;tx-mode=SRST").matches(&spec(Codec::H265, "profile-id=1;tier-flag=0")));
        assert!(!spec(Codec::H265, "profile-id=2").matches(&spec(Codec::H265, "")));
        assert!(!spec(Codec::H265, "tier-flag=1").plays(&spec(Codec::H265, "")));
        assert!(spec(Codec::Vp8, "max-fs=12288").matches(&spec(Codec::Vp8, "")));
        assert!(!spec(Codec::Vp8, "").matches(&spec(Codec::Vp9, "")));
    }

    #[test]
    fn redundant_audio_is_played_by_whoever_plays_opus_and_not_the_other_way() {
        let (red, opus) = (spec(Codec::Red, "111/111"), spec(Codec::Opus, ""));
        assert!(opus.plays(&red) && !opus.matches(&red) && !red.plays(&opus));
        assert!(red.matches(&spec(Codec::Red, "96/96/96")), "numbers are each end's own");
        assert_eq!(spec(Codec::Red, " 96/96/96").redundant_payload_type(), Some(96));
        for mixed in ["96/97", "", "opus", "111/", "300/300"] {
            assert_eq!(spec(Codec::Red, mixed).redundant_payload_type(), None, "{mixed}");
        }
    }

    #[test]
    fn opus_matches_whatever_it_wishes() {
        assert!(spec(Codec::Opus, "minptime=10;useinbandfec=1").plays(&spec(Codec::Opus, "stereo=1")));
    }
}
