//! What a viewer would like of a video, what it gets and why, and how a connection fares: the shapes that clients, the
//! gateway and media servers share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::Kind;
use crate::id::Label;

/// What a viewer would like of one video. Whatever is left out sets no limit; all that is said holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Wish {
    /// Nothing at all, for as long as this is so: the section stays.
    pub paused: bool,
    /// The size in which it is shown, in pixels of the screen: nothing larger than needed is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u16>,
    /// This simulcast encoding (`a=rid`, RFC 8851), as long as it is sent; the nearest one otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Label>,
    /// No layer above these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spatial: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal: Option<u8>,
    /// Bits per second that the video may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_max_bps: Option<u32>,
}

/// What a viewer gets of a video at present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// The simulcast encoding, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Label>,
    /// The highest layers that are sent, counted from 0.
    pub spatial: u8,
    pub temporal: u8,
    /// The size of its pictures in pixels, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u16>,
}

/// Why a viewer gets what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LayerReason {
    /// It is the best that there is.
    Best,
    /// Shown no larger than this.
    Size,
    /// The viewer named it, or a highest layer.
    Wished,
    /// The viewer's bitrate allows no more.
    Bitrate,
    /// A better one is not sent at present.
    NotSent,
    /// A better one was asked for and waits for a frame at which a decoder can follow.
    Waiting,
    /// The viewer paused it.
    Paused,
}

/// A simulcast encoding as its publisher is to send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncodingDemand {
    /// Its `a=rid`; none where there is one encoding alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Label>,
    /// Whether anybody wants it.
    pub active: bool,
    /// The highest layers that anybody wants; none where nobody sets a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spatial: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporal: Option<u8>,
}

/// A quality between 0 and 1, in steps of a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u16);

impl Score {
    pub const BEST: Self = Self(1000);

    /// Thousandths; more than a thousand is a thousand.
    pub const fn from_thousandths(thousandths: u16) -> Self {
        Self(if thousandths > 1000 { 1000 } else { thousandths })
    }

    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

impl Serialize for Score {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let score = f64::deserialize(deserializer)?;
        Ok(Self::from_thousandths((score.clamp(0.0, 1.0) * 1000.0).round() as u16))
    }
}

impl JsonSchema for Score {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Score".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// How a connection fared in the last second, as the media server saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Of the path: loss, round trip, jitter.
    pub network_quality: Score,
    /// Of what is seen and heard: what arrives in time, against what was sent.
    pub media_quality: Score,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    /// What the path is thought to carry, in bits per second; none before anything is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_bps: Option<u64>,
    pub streams: Vec<StreamStatistics>,
}

/// How one stream of a connection fared: of an upstream, as it came; of a downstream, as it was sent and reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatistics {
    /// The `a=mid` of its section.
    pub mid: String,
    pub kind: Kind,
    /// Of an upstream with several: which encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Label>,
    pub bitrate_bps: u64,
    /// Since the connection began.
    pub packets: u64,
    pub bytes: u64,
    /// Packets that never arrived, and those that were asked for again, since the connection began.
    pub lost: u64,
    pub repaired: u64,
    /// Thousandths of the last second's packets that did not arrive at once.
    pub loss_thousandths: u16,
    pub jitter_ms: u32,
    pub key_frame_requests: u64,
}
