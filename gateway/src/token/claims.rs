//! What a token claims, in LiveSwitch's shape, and what that allows.
//!
//! Unset keys and nulls mean the same; unknown keys are ignored. The first claim that names a channel is the one that
//! counts for it. A restriction that this server cannot keep yet is kept by refusing: a claim that lists the roles
//! whose media may be received opens no downstream of that kind.

use serde::{Deserialize, Deserializer, Serialize};
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName};

use crate::problem::{Code, Problem};

/// A token's payload. Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    #[serde(deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    #[serde(deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    #[serde(deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// `register`, `join` or `event`; unset counts as `join`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub client_roles: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelClaim>,
}

macro_rules! channel_claim {
    ($($(#[$doc:meta])* $flag:ident,)*) => {
        /// What a token's bearer may and may not do in one channel.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct ChannelClaim {
            pub id: String,
            /// `join`, `claim` or `drop`; unset counts as `join`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub action: Option<String>,
            $($(#[$doc])* #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")] pub $flag: bool,)*
            #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
            pub allowed_layout_zones: Vec<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub allowed_layout_priority: Option<i64>,
            /// Roles whose audio may be received: unset is everybody's, empty nobody's.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub audio_receive_whitelist: Option<Vec<String>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub video_receive_whitelist: Option<Vec<String>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub data_receive_whitelist: Option<Vec<String>>,
        }
    };
}

channel_claim! {
    disable_peer,
    disable_sfu,
    disable_mcu,
    disable_send_audio,
    disable_send_video,
    disable_send_data,
    disable_send_message,
    disable_remote_client_events,
    disable_remote_upstream_connection_events,
    can_kick,
    can_update,
    can_update_layout,
    /// An invisible member: it may watch, and sends nothing.
    enable_hidden_observer_mode,
}

/// Which way media goes, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// WHIP: an upstream.
    Publish,
    /// WHEP: a downstream.
    Watch,
}

/// The kinds of media that an offer has sections for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    pub audio: bool,
    pub video: bool,
}

impl std::ops::BitOrAssign for Kinds {
    fn bitor_assign(&mut self, rhs: Self) {
        self.audio |= rhs.audio;
        self.video |= rhs.video;
    }
}

impl Claims {
    /// The claims of a token that may publish and watch in one channel.
    pub(super) fn for_channel(channel: &ChannelName, iat: u64, exp: u64) -> Self {
        let claim =
            ChannelClaim { id: channel.to_string(), action: Some("join".to_owned()), ..ChannelClaim::default() };
        Self { iat: Some(iat), exp: Some(exp), kind: Some("join".to_owned()), channels: vec![claim], ..Self::default() }
    }

    /// A channel of the bearer's application.
    pub fn key(&self, channel: ChannelName) -> ChannelKey {
        let application = self.application_id.as_deref().and_then(|id| ApplicationId::new(id).ok());
        ChannelKey::new(application.unwrap_or_default(), channel)
    }

    /// Whether the bearer may open (and then touch) a connection on this side of the channel at all.
    pub fn may(&self, side: Side, channel: &ChannelName) -> Result<(), Problem> {
        let claim = self.channel(channel)?;
        let (code, forbidden) = match side {
            Side::Publish => (Code::PublishForbidden, claim.publish_forbidden_by()),
            Side::Watch => (Code::WatchForbidden, claim.watch_forbidden_by()),
        };
        match forbidden {
            Some(by) => Err(Problem::new(code, format!("The token's claim for channel {channel} has {by}."))),
            None => Ok(()),
        }
    }

    /// Whether an offer with these kinds may be made on this side of the channel.
    pub fn may_offer(&self, side: Side, channel: &ChannelName, kinds: Kinds) -> Result<(), Problem> {
        let claim = self.channel(channel)?;
        let refused = match side {
            Side::Publish => [
                (kinds.audio && claim.disable_send_audio, Code::SendAudioForbidden, "disableSendAudio"),
                (kinds.video && claim.disable_send_video, Code::SendVideoForbidden, "disableSendVideo"),
            ],
            Side::Watch => [
                (
                    kinds.audio && claim.audio_receive_whitelist.is_some(),
                    Code::ReceiveAudioForbidden,
                    "audioReceiveWhitelist",
                ),
                (
                    kinds.video && claim.video_receive_whitelist.is_some(),
                    Code::ReceiveVideoForbidden,
                    "videoReceiveWhitelist",
                ),
            ],
        };
        match refused.into_iter().find(|(refused, ..)| *refused) {
            Some((_, code, by)) => {
                Err(Problem::new(code, format!("The token's claim for channel {channel} has {by}.")))
            }
            None => Ok(()),
        }
    }

    fn channel(&self, channel: &ChannelName) -> Result<&ChannelClaim, Problem> {
        if let Some(kind) = self.kind.as_deref().filter(|kind| !matches!(*kind, "join" | "register")) {
            let shown: String = kind.chars().take(16).collect();
            return Err(Problem::new(Code::TokenTypeForbidden, format!("A token of type {shown:?} opens no media.")));
        }
        // Channels are case-insensitive, as their names are.
        let claim = self.channels.iter().find(|claim| claim.id.eq_ignore_ascii_case(channel.as_str()));
        let claim = claim.ok_or_else(|| {
            Problem::new(Code::TokenMissingChannelClaim, format!("The token has no claim for channel {channel}."))
        })?;
        match claim.action.as_deref() {
            None | Some("join") => Ok(claim),
            Some(_) => Err(Problem::new(
                Code::ChannelActionForbidden,
                format!("The token's claim for channel {channel} has an action other than join."),
            )),
        }
    }
}

impl ChannelClaim {
    fn publish_forbidden_by(&self) -> Option<&'static str> {
        if self.disable_sfu {
            Some("disableSfu")
        } else if self.enable_hidden_observer_mode {
            Some("enableHiddenObserverMode")
        } else if self.disable_send_audio && self.disable_send_video {
            Some("disableSendAudio and disableSendVideo")
        } else {
            None
        }
    }

    fn watch_forbidden_by(&self) -> Option<&'static str> {
        self.disable_sfu.then_some("disableSfu")
    }
}

/// Null means what a missing key means.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A NumericDate may have a fraction (RFC 7519 2); one before 1970 or beyond reckoning is refused.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = number.as_u64().or_else(|| number.as_f64().filter(|s| (0.0..1e15).contains(s)).map(|s| s as u64));
    whole.map(Some).ok_or_else(|| serde::de::Error::custom("a time must be seconds since 1970"))
}
