//! The registry of claims: how each is called, what it may be, what it says, what a request is refused with for it.
//!
//! The reference page is made from the two tables. What reads tokens is [`Claims`](super::Claims) and
//! [`ChannelClaim`](super::ChannelClaim); tests hold the tables against both, so that no key is read which is not here and
//! none is here which is not read, each claim takes values of its form alone, and each refusal is one that is earned.
//! Reads nothing itself.

use crate::limits::{TOKEN_CHANNELS_MAX, TOKEN_ROLES_MAX};
use crate::problem::Code;

/// One claim, and all that is said about it anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its key, and others that stand for the same.
    pub names: &'static [&'static str],
    pub form: Form,
    /// Whether a token without it is refused. Else it may be missing or null.
    pub is_required: bool,
    /// For whoever makes tokens.
    pub meaning: &'static str,
    /// What its value, or its absence, is refused with, beside `tokenClaimInvalid` for a value of another form.
    pub refusals: &'static [Code],
}

/// What a claim's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Seconds since 1970, with a fraction or without.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    Name,
    Label,
    Labels,
    Roles,
    Texts,
    Flag,
    Number,
    Channels,
    Anything,
}

impl Form {
    /// For the reference.
    pub fn words(self) -> String {
        match self {
            Self::Time => "time".to_owned(),
            Self::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::Name => "name".to_owned(),
            Self::Label => "label".to_owned(),
            Self::Labels => "list of labels".to_owned(),
            Self::Roles => format!("list of at most {TOKEN_ROLES_MAX} labels"),
            Self::Texts => "list of texts".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Number => "whole number".to_owned(),
            Self::Channels => format!("list of [channel claims](#claims-of-a-channel), at most {TOKEN_CHANNELS_MAX}"),
            Self::Anything => "anything".to_owned(),
        }
    }
}

impl Claim {
    const fn new(names: &'static [&'static str], form: Form, meaning: &'static str) -> Self {
        Self { names, form, is_required: false, meaning, refusals: &[] }
    }

    const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    const fn refused_with(self, refusals: &'static [Code]) -> Self {
        Self { refusals, ..self }
    }
}

/// The claims of a client's token.
pub const OF_TOKEN: &[Claim] = &[
    Claim::new(&["exp"], Form::Time, "When the token ends; all of them must.")
        .required()
        .refused_with(&[Code::TokenExpiryMissing, Code::TokenExpired]),
    Claim::new(&["nbf"], Form::Time, "When it begins.").refused_with(&[Code::TokenNotYetValid]),
    Claim::new(&["iat"], Form::Time, "When it was made.").refused_with(&[Code::TokenNotYetValid]),
    Claim::new(&["type"], Form::Word(&["register", "join", "event"]), "What the token opens; unset counts as `join`.")
        .refused_with(&[Code::TokenTypeForbidden]),
    Claim::new(&["applicationId"], Form::Name, "Whose keys the token is checked by; unset counts as `default`.")
        .refused_with(&[Code::TokenApplicationUnknown, Code::TokenApplicationMismatch]),
    Claim::new(
        &["userId"],
        Form::Label,
        "Who it is. Unset, one is drawn at random when a client registers; such clients have three quarters of a gateway's \
         places between them.",
    )
    .refused_with(&[Code::TokenUserMismatch, Code::TooManyClients]),
    Claim::new(&["deviceId"], Form::Label, "Which of the user's devices; drawn like `userId`.")
        .refused_with(&[Code::TokenDeviceMismatch]),
    Claim::new(
        &["clientId"],
        Form::Label,
        "Which client; drawn like `userId`. Who registers under it again, as the same user, takes its former place.",
    )
    .refused_with(&[Code::ClientIdTaken, Code::TokenClientMismatch]),
    Claim::new(
        &["region"],
        Form::Label,
        "Where the client would like its media server. Others are told; nothing follows from it yet.",
    )
    .refused_with(&[Code::TokenRegionMismatch]),
    Claim::new(&["clientRoles"], Form::Roles, "What others may ask for when they choose whose media to receive.")
        .refused_with(&[Code::TokenTooManyRoles, Code::TokenClientRoleMismatch]),
    Claim::new(&["channels"], Form::Channels, "With `join` exactly one, with `register` any number.")
        .refused_with(&[Code::TokenMissingChannelClaim, Code::TokenTooManyChannelClaims]),
    Claim::new(
        &["mediaServerId", "connectorId", "apiServiceId", "recordingMonitorId", "recordingMoverId", "recordingMuxerId"],
        Form::Anything,
        "A server's token has one of these. It opens nothing for a client.",
    )
    .refused_with(&[Code::TokenTypeForbidden]),
];

/// The claims of each of `channels`.
pub const OF_CHANNEL: &[Claim] = &[
    Claim::new(&["id"], Form::Name, "The channel.").required().refused_with(&[Code::TokenMissingChannelClaim]),
    Claim::new(
        &["action"],
        Form::Word(&["join", "claim", "drop"]),
        "Unset counts as `join`. The others are known and open nothing.",
    )
    .refused_with(&[Code::ChannelActionForbidden]),
    Claim::new(&["disableSfu"], Form::Flag, "Neither publishes nor watches.")
        .refused_with(&[Code::PublishForbidden, Code::WatchForbidden]),
    Claim::new(&["disableSendAudio"], Form::Flag, "Publishes no audio; with `disableSendVideo` nothing at all.")
        .refused_with(&[Code::SendAudioForbidden, Code::PublishForbidden]),
    Claim::new(&["disableSendVideo"], Form::Flag, "Publishes no video; with `disableSendAudio` nothing at all.")
        .refused_with(&[Code::SendVideoForbidden, Code::PublishForbidden]),
    Claim::new(&["disableSendMessage"], Form::Flag, "Sends no messages.").refused_with(&[Code::MessageForbidden]),
    Claim::new(&["disableRemoteClientEvents"], Form::Flag, "Is not told who comes, goes and changes."),
    Claim::new(&["disableRemoteUpstreamConnectionEvents"], Form::Flag, "Is not told what is published."),
    Claim::new(&["canKick"], Form::Flag, "May end the stay of others. Unset, it may not.")
        .refused_with(&[Code::KickForbidden]),
    Claim::new(
        &["canUpdate"],
        Form::Flag,
        "May let others do what their tokens did not, as far as it may itself. Unset, it may not.",
    )
    .refused_with(&[Code::GrantForbidden]),
    Claim::new(
        &["enableHiddenObserverMode"],
        Form::Flag,
        "Is not announced; watches, and sends nothing, whatever else the claim says.",
    )
    .refused_with(&[Code::PublishForbidden, Code::MessageForbidden, Code::KickForbidden, Code::GrantForbidden]),
    Claim::new(
        &["audioReceiveWhitelist"],
        Form::Labels,
        "Roles whose audio may be received; `[]` is nobody's. A registered client that wants more gets what remains. Over \
         WHEP, where roles are not known, nothing of that kind is opened.",
    )
    .refused_with(&[Code::ReceiveAudioForbidden]),
    Claim::new(&["videoReceiveWhitelist"], Form::Labels, "The same for video.")
        .refused_with(&[Code::ReceiveVideoForbidden]),
    Claim::new(&["disablePeer"], Form::Flag, FOR_LATER),
    Claim::new(&["disableMcu"], Form::Flag, FOR_LATER),
    Claim::new(&["disableSendData"], Form::Flag, FOR_LATER),
    Claim::new(&["dataReceiveWhitelist"], Form::Labels, FOR_LATER),
    Claim::new(&["canUpdateLayout"], Form::Flag, FOR_LATER),
    Claim::new(&["allowedLayoutZones"], Form::Texts, FOR_LATER),
    Claim::new(&["allowedLayoutPriority"], Form::Number, FOR_LATER),
];

const FOR_LATER: &str = "For what does not exist here yet: read, and without effect.";

#[cfg(test)]
mod tests;
