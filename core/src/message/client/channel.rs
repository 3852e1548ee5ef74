//! A channel as its members see it: who is there, what is published, what one may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ChannelName, Label, MediaId, UpstreamId};

/// A channel as a joiner finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    pub channel: ChannelName,
    pub rights: Rights,
    /// Everybody else who is there and not hidden.
    pub members: Vec<Member>,
    pub upstreams: Vec<Upstream>,
    /// Those of the channel who speak, the active speaker first; this client may be one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<UpstreamId>,
}

/// A client as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub client_id: Label,
    pub user_id: Label,
    pub device_id: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_alias: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_alias: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Label>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
}

/// Media that can be watched in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    pub upstream: UpstreamId,
    /// Whose it is; none for one that was published by WHIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<MediaId>,
    pub audio: bool,
    pub video: bool,
    #[serde(flatten)]
    pub state: UpstreamState,
}

/// What an upstream says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpstreamState {
    pub audio_muted: bool,
    pub video_muted: bool,
    pub content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Label>,
}

/// Where pictures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    #[default]
    Camera,
    Screen,
}

/// What a member may do in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    pub send_audio: bool,
    pub send_video: bool,
    pub send_messages: bool,
    /// Open SFU connections at all.
    pub sfu: bool,
    pub kick: bool,
    pub update: bool,
    /// It is not announced, and sends nothing.
    pub hidden: bool,
}

/// What is to change of a member's rights; what is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RightsChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_audio: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_video: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_messages: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kick: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<bool>,
}
