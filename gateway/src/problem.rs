//! Why a request is refused: a stable code, the HTTP status it maps to, and a sentence that names what failed.
//!
//! This is the gateway's registry of error codes; clients may match on `code`, never on `detail`. Written as
//! `application/problem+json` (RFC 9457), whose `type` is left out, so that `title` is the status's own phrase.
//! Pure; the edge turns a [`Problem`] into a response.

use serde::{Serialize, Serializer};
use tidewire_core::message::ErrorCode;

/// One refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// For a person: which channel, which claim, which header.
    pub detail: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<(ErrorCode, String)> for Problem {
    fn from((code, detail): (ErrorCode, String)) -> Self {
        let code = Code::from(code);
        let detail = if detail.is_empty() { code.meaning().to_owned() } else { detail };
        Self { code, detail }
    }
}

/// Declares the codes once: the variant, its name on the wire, its status, what it means.
macro_rules! codes {
    ($($variant:ident $wire:literal $status:literal $meaning:literal,)*) => {
        /// The stable name of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $meaning] $variant,)* }

        impl Code {
            /// Every code, for the reference and for tests.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is written on the wire.
            pub const fn wire(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What it means, for the reference and for a refusal that has nothing to add.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    TokenMissing "tokenMissing" 401 "There is no Bearer token in the Authorization header.",
    TokenTooLarge "tokenTooLarge" 401 "The token is longer than 8 KiB.",
    TokenParseFailure "tokenParseFailure" 401 "The token is not a JSON Web Token of the expected shape.",
    TokenUnsigned "tokenUnsigned" 401 "The token says that it is not signed (alg none).",
    TokenAlgorithmUnsupported "tokenAlgorithmUnsupported" 401 "The token is signed by an algorithm other than HS256.",
    TokenAuthFailure "tokenAuthFailure" 401 "The token's signature does not fit this server's secret.",
    TokenExpiryMissing "tokenExpiryMissing" 401 "The token has no exp claim; tokens must end.",
    TokenExpired "tokenExpired" 401 "The token's time is over.",
    TokenNotYetValid "tokenNotYetValid" 401 "The token's time has not come.",
    TokenTypeForbidden "tokenTypeForbidden" 403 "A token of this type opens no media.",
    TokenMissingChannelClaim "tokenMissingChannelClaim" 403 "The token has no claim for this channel.",
    ChannelActionForbidden "channelActionForbidden" 403 "The channel claim's action is not join.",
    PublishForbidden "publishForbidden" 403 "The channel claim forbids publishing.",
    WatchForbidden "watchForbidden" 403 "The channel claim forbids watching.",
    SendAudioForbidden "sendAudioForbidden" 403 "The channel claim forbids sending audio.",
    SendVideoForbidden "sendVideoForbidden" 403 "The channel claim forbids sending video.",
    ReceiveAudioForbidden "receiveAudioForbidden" 403 "The channel claim restricts whose audio may be received.",
    ReceiveVideoForbidden "receiveVideoForbidden" 403 "The channel claim restricts whose video may be received.",
    DemoTokenForbidden "demoTokenForbidden" 403 "Demonstration tokens are only for pages opened on the server's own machine.",
    ClusterSecretMissing "clusterSecretMissing" 403 "This gateway has no cluster secret, so it takes no media servers.",
    PathUnknown "pathUnknown" 404 "There is nothing at this path.",
    ChannelInvalid "channelInvalid" 404 "A channel's name is 1 to 64 of the characters A-Z a-z 0-9 . _ - ~",
    MediaIdInvalid "mediaIdInvalid" 404 "A media id is 1 to 64 of the characters A-Z a-z 0-9 . _ - ~",
    SessionUnknown "sessionUnknown" 404 "There is no such session, or it has ended.",
    MethodNotAllowed "methodNotAllowed" 405 "The method is not allowed here.",
    RequestTimeout "requestTimeout" 408 "The body did not arrive in time.",
    AnswerInvalid "answerInvalid" 400 "The answer is no SDP, or answers no offer of this server's.",
    AnswerOutdated "answerOutdated" 409 "The answer is to an older offer than the newest.",
    TooManyWants "tooManyWants" 422 "More is wanted than one downstream may carry.",
    ConnectionKindMismatch "connectionKindMismatch" 409 "The request does not fit a connection of this kind.",
    NothingPublished "nothingPublished" 409 "Nothing is published there at present.",
    PreconditionFailed "preconditionFailed" 412 "If-Match names another ICE session than the current one.",
    BodyTooLarge "bodyTooLarge" 413 "The body is too large.",
    MediaTypeUnsupported "mediaTypeUnsupported" 415 "The body has the wrong media type.",
    BodyIncomplete "bodyIncomplete" 400 "The body broke off.",
    OfferInvalid "offerInvalid" 400 "The body is no SDP offer, or breaks a rule that WebRTC needs.",
    FragmentInvalid "fragmentInvalid" 400 "The body is no ICE fragment.",
    CredentialsInvalid "credentialsInvalid" 400 "The ICE user fragment or password breaks RFC 8839.",
    OfferUnacceptable "offerUnacceptable" 422 "The offer shares no codec, fingerprint or direction with this server.",
    UpgradeRequired "upgradeRequired" 426 "Only a WebSocket is served here.",
    PreconditionRequired "preconditionRequired" 428 "PATCH needs an If-Match header.",
    SessionsFull "sessionsFull" 503 "The gateway has no room for another session.",
    MediaServerFull "mediaServerFull" 503 "The media server has no room for another connection.",
    MediaServerUnavailable "mediaServerUnavailable" 503 "The media server does not answer.",
    ConnectionEnded "connectionEnded" 503 "The connection ended while it was being opened.",
}

impl Code {
    /// Seconds after which the same request may succeed.
    pub const fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::NothingPublished | Self::MediaServerUnavailable | Self::ConnectionEnded => Some(2),
            Self::SessionsFull | Self::MediaServerFull => Some(10),
            _ => None,
        }
    }

    /// The `error` of `WWW-Authenticate` (RFC 6750 3.1): none for a request without a token.
    pub const fn bearer_error(self) -> Option<&'static str> {
        match (self, self.status()) {
            (Self::TokenMissing, _) => None,
            (_, 401) => Some("invalid_token"),
            (Self::DemoTokenForbidden | Self::ClusterSecretMissing, _) => None,
            (_, 403) => Some("insufficient_scope"),
            _ => None,
        }
    }
}

impl From<ErrorCode> for Code {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::OfferInvalid => Self::OfferInvalid,
            ErrorCode::OfferUnacceptable => Self::OfferUnacceptable,
            ErrorCode::AnswerInvalid => Self::AnswerInvalid,
            ErrorCode::AnswerOutdated => Self::AnswerOutdated,
            ErrorCode::TooManyWants => Self::TooManyWants,
            ErrorCode::ConnectionKindMismatch => Self::ConnectionKindMismatch,
            ErrorCode::NothingPublished => Self::NothingPublished,
            ErrorCode::ConnectionUnknown => Self::SessionUnknown,
            ErrorCode::CredentialsInvalid => Self::CredentialsInvalid,
            ErrorCode::MediaServerFull => Self::MediaServerFull,
            ErrorCode::MediaServerUnavailable => Self::MediaServerUnavailable,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.wire())
    }
}
