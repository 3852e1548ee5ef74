//! What a token claims, in LiveSwitch's shape, and what that allows.
//!
//! Unset keys and nulls mean the same; unknown keys are ignored; ids are checked as they are read. The first claim that
//! names a channel is the one that counts for it. A restriction that cannot be kept where it is asked is kept by
//! refusing: over WHEP, where nobody's roles are known, a claim that lists the roles whose media may be received opens
//! no downstream of that kind.

use std::collections::HashSet;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use tidewire_core::codec::Kind;
use tidewire_core::id::{ApplicationId, ChannelKey, ChannelName, Label};
use tidewire_core::message::client::Member;

use super::channel::{Action, ChannelClaim};
use crate::limits::{TOKEN_CHANNELS_MAX, TOKEN_ROLES_MAX};
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
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: TokenType,
    #[serde(deserialize_with = "or_default")]
    pub application_id: ApplicationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub client_roles: Vec<Label>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelClaim>,
    /// Whether it has an id by which the tokens of servers are told from those of clients.
    #[serde(
        rename = "mediaServerId",
        alias = "connectorId",
        alias = "apiServiceId",
        alias = "recordingMonitorId",
        alias = "recordingMoverId",
        alias = "recordingMuxerId",
        deserialize_with = "is_given",
        skip_serializing
    )]
    pub is_of_server: bool,
}

/// What a token opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenType {
    /// A client, with any number of channels.
    Register,
    /// One channel.
    #[default]
    Join,
    /// Nothing at a gateway.
    Event,
    #[serde(other)]
    Unknown,
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
    /// What a client registers with.
    pub fn register(channels: Vec<ChannelClaim>) -> Self {
        Self { kind: TokenType::Register, channels, ..Self::default() }
    }

    /// What a client joins a channel with, and what opens WHIP and WHEP there.
    pub fn join(channel: ChannelClaim) -> Self {
        Self { kind: TokenType::Join, channels: vec![channel], ..Self::default() }
    }

    /// From `now_unix`, in seconds, for `lifetime`.
    #[must_use]
    pub fn lasting(self, lifetime: Duration, now_unix: u64) -> Self {
        Self { iat: Some(now_unix), exp: Some(now_unix.saturating_add(lifetime.as_secs())), ..self }
    }

    /// A channel of the bearer's application.
    pub fn key(&self, channel: ChannelName) -> ChannelKey {
        ChannelKey::new(self.application_id.clone(), channel)
    }

    /// The channels that a client which registers by this token joins.
    pub fn to_register(&self) -> Result<&[ChannelClaim], Problem> {
        self.check_type(TokenType::Register)?;
        self.channels.iter().try_for_each(check_action)?;
        Ok(&self.channels)
    }

    /// The channel that a registered client joins by this token.
    pub fn to_join(&self) -> Result<&ChannelClaim, Problem> {
        self.check_type(TokenType::Join)?;
        let claim = self.channels.first().ok_or_else(no_channel)?;
        check_action(claim)?;
        Ok(claim)
    }

    /// Whether this token may be used by the client that `member` describes. What it names has to be what that client
    /// registered with or was given; what it leaves out is not compared.
    pub fn same_bearer(&self, application: &ApplicationId, member: &Member) -> Result<(), Problem> {
        let differs = |named: &Option<Label>, is: &Label| named.as_ref().is_some_and(|named| named != is);
        let region = member.region.as_ref();
        let table = [
            (self.application_id != *application, Code::TokenApplicationMismatch),
            (differs(&self.user_id, &member.user_id), Code::TokenUserMismatch),
            (differs(&self.device_id, &member.device_id), Code::TokenDeviceMismatch),
            (differs(&self.client_id, &member.client_id), Code::TokenClientMismatch),
            (self.region.is_some() && self.region.as_ref() != region, Code::TokenRegionMismatch),
            (
                !self.client_roles.is_empty() && !same_set(&self.client_roles, &member.roles),
                Code::TokenClientRoleMismatch,
            ),
        ];
        match table.into_iter().find(|(differs, _)| *differs) {
            Some((_, code)) => Err(Problem::new(code, code.meaning())),
            None => Ok(()),
        }
    }

    /// Whether the bearer may open (and then touch) a WHIP or WHEP session on this side of the channel at all.
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

    /// Whether an offer with these kinds may be made over WHIP or WHEP on this side of the channel.
    pub fn may_offer(&self, side: Side, channel: &ChannelName, kinds: Kinds) -> Result<(), Problem> {
        let claim = self.channel(channel)?;
        let (audio, video) = match side {
            Side::Publish => (
                (claim.disable_send_audio, Code::SendAudioForbidden, "disableSendAudio"),
                (claim.disable_send_video, Code::SendVideoForbidden, "disableSendVideo"),
            ),
            Side::Watch => (
                (claim.chooses(Kind::Audio), Code::ReceiveAudioForbidden, "audioReceiveWhitelist"),
                (claim.chooses(Kind::Video), Code::ReceiveVideoForbidden, "videoReceiveWhitelist"),
            ),
        };
        let refused = [(kinds.audio, audio), (kinds.video, video)]
            .into_iter()
            .find(|(asked, (forbidden, ..))| *asked && *forbidden);
        match refused {
            Some((_, (_, code, by))) => {
                Err(Problem::new(code, format!("The token's claim for channel {channel} has {by}.")))
            }
            None => Ok(()),
        }
    }

    /// The claim that counts for a channel.
    fn channel(&self, channel: &ChannelName) -> Result<&ChannelClaim, Problem> {
        if !matches!(self.kind, TokenType::Register | TokenType::Join) {
            return Err(Problem::new(Code::TokenTypeForbidden, "A token of this type opens no media."));
        }
        let claim = self.channels.iter().find(|claim| claim.id == *channel).ok_or_else(|| {
            Problem::new(Code::TokenMissingChannelClaim, format!("The token has no claim for channel {channel}."))
        })?;
        check_action(claim)?;
        Ok(claim)
    }

    fn check_type(&self, wanted: TokenType) -> Result<(), Problem> {
        if self.kind == wanted {
            return Ok(());
        }
        let is = format!("{:?}", self.kind).to_lowercase();
        let wanted = format!("{wanted:?}").to_lowercase();
        Err(Problem::new(Code::TokenTypeForbidden, format!("The token is of type {is}; {wanted} is wanted.")))
    }

    /// The claims of a client's token, once their number is right and each channel is there once.
    pub(super) fn settled(mut self) -> Result<Self, Problem> {
        if self.is_of_server {
            return Err(Problem::new(
                Code::TokenTypeForbidden,
                "The token is a server's, and opens nothing for a client.",
            ));
        }
        if self.client_roles.len() > TOKEN_ROLES_MAX {
            return Err(Problem::new(Code::TokenTooManyRoles, Code::TokenTooManyRoles.meaning()));
        }
        let (least, most) = match self.kind {
            TokenType::Join => (1, 1),
            TokenType::Register | TokenType::Event | TokenType::Unknown => (0, TOKEN_CHANNELS_MAX),
        };
        if self.channels.len() < least {
            return Err(no_channel());
        }
        if self.channels.len() > most {
            let detail =
                format!("The token claims {} channels; one of its type may claim {most}.", self.channels.len());
            return Err(Problem::new(Code::TokenTooManyChannelClaims, detail));
        }
        let mut seen = HashSet::new();
        self.channels.retain(|claim| seen.insert(claim.id.clone()));
        Ok(self)
    }
}

fn no_channel() -> Problem {
    Problem::new(Code::TokenMissingChannelClaim, "The token claims no channel.")
}

fn check_action(claim: &ChannelClaim) -> Result<(), Problem> {
    if claim.action == Action::Join {
        return Ok(());
    }
    let detail = format!("The token's claim for channel {} has an action other than join.", claim.id);
    Err(Problem::new(Code::ChannelActionForbidden, detail))
}

fn same_set(ours: &[Label], theirs: &[Label]) -> bool {
    ours.iter().all(|role| theirs.contains(role)) && theirs.iter().all(|role| ours.contains(role))
}

/// Null means what a missing key means.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Whether there is a value other than null, whatever it is.
fn is_given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

/// A NumericDate may have a fraction (RFC 7519 2); one before 1970 or beyond reckoning is refused.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = number.as_u64().or_else(|| number.as_f64().filter(|s| (0.0..1e15).contains(s)).map(|s| s as u64));
    whole.map(Some).ok_or_else(|| serde::de::Error::custom("a time must be seconds since 1970"))
}
