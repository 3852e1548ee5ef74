//! Why a request is refused: a stable code, the HTTP status it maps to, and a sentence that names what failed.
//!
//! This is the gateway's registry of error codes; clients may match on `code`, never on `detail`. Written as
//! `application/problem+json` (RFC 9457), whose `type` is left out, so that `title` is the status's own phrase.
//! Pure; the edge turns a [`Problem`] into a response.

use serde::{Serialize, Serializer};
use tidewire_core::message::ErrorCode;
use tidewire_core::message::client::Told;

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

    /// As the client whose request had the number `to` is told of it.
    pub fn told(self, to: u64) -> Told {
        let Self { code, detail } = self;
        Told::Refused { to, code: code.wire().to_owned(), detail, retry_after_s: code.retry_after_s() }
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
    TokenClaimInvalid "tokenClaimInvalid" 401 "A claim has a value that it cannot have: an id, a name, a time, a key that is there twice.",
    TokenUnsigned "tokenUnsigned" 401 "The token says that it is not signed (alg none).",
    TokenAlgorithmUnsupported "tokenAlgorithmUnsupported" 401 "The token is signed by an algorithm that its application has no key for.",
    TokenApplicationUnknown "tokenApplicationUnknown" 401 "The token is for an application that this server does not have.",
    TokenKeyUnknown "tokenKeyUnknown" 401 "The token names no key (kid) of its application's key set.",
    TokenAuthFailure "tokenAuthFailure" 401 "The token's signature fits no key of its application.",
    TokenExpiryMissing "tokenExpiryMissing" 401 "The token has no exp claim; tokens must end.",
    TokenExpired "tokenExpired" 401 "The token's time is over.",
    TokenNotYetValid "tokenNotYetValid" 401 "The token's time has not come.",
    TokenTooManyChannelClaims "tokenTooManyChannelClaims" 401 "The token claims more channels than one of its type may: join 1, register 128.",
    TokenTooManyRoles "tokenTooManyRoles" 401 "The token has more than 16 roles.",
    TokenTypeForbidden "tokenTypeForbidden" 403 "A token of this type does not open what is asked for.",
    TokenApplicationMismatch "tokenApplicationMismatch" 403 "The token is for another application than the client's.",
    TokenUserMismatch "tokenUserMismatch" 403 "The token is for another user than the client's.",
    TokenDeviceMismatch "tokenDeviceMismatch" 403 "The token is for another device than the client's.",
    TokenClientMismatch "tokenClientMismatch" 403 "The token is for another client.",
    TokenClientRoleMismatch "tokenClientRoleMismatch" 403 "The token has other roles than the client registered with.",
    TokenRegionMismatch "tokenRegionMismatch" 403 "The token is for another region than the client's.",
    TokenMissingChannelClaim "tokenMissingChannelClaim" 403 "The token has no claim for this channel.",
    ChannelActionForbidden "channelActionForbidden" 403 "The channel claim's action is not join.",
    PublishForbidden "publishForbidden" 403 "The channel claim forbids publishing.",
    WatchForbidden "watchForbidden" 403 "The channel claim forbids watching.",
    SendAudioForbidden "sendAudioForbidden" 403 "The channel claim forbids sending audio.",
    SendVideoForbidden "sendVideoForbidden" 403 "The channel claim forbids sending video.",
    ReceiveAudioForbidden "receiveAudioForbidden" 403 "The channel claim restricts whose audio may be received.",
    ReceiveVideoForbidden "receiveVideoForbidden" 403 "The channel claim restricts whose video may be received.",
    DemoTokenForbidden "demoTokenForbidden" 403 "Demonstration tokens are only for pages opened on the server's own machine.",
    KickForbidden "kickForbidden" 403 "The channel claim does not allow to end other members' stay.",
    GrantForbidden "grantForbidden" 403 "The channel claim does not allow to change rights, or not to give more than one has.",
    MessageForbidden "messageForbidden" 403 "The channel claim forbids sending messages.",
    NotInChannel "notInChannel" 403 "This client is not in the channel.",
    ClusterSecretMissing "clusterSecretMissing" 403 "This gateway has no cluster secret, so it takes no media servers.",
    PathUnknown "pathUnknown" 404 "There is nothing at this path.",
    ChannelInvalid "channelInvalid" 404 "A channel's name is 1 to 64 of the characters A-Z a-z 0-9 . _ - ~",
    MediaIdInvalid "mediaIdInvalid" 404 "A media id is 1 to 64 of the characters A-Z a-z 0-9 . _ - ~",
    SessionUnknown "sessionUnknown" 404 "There is no such session, or it has ended.",
    ConnectionUnknown "connectionUnknown" 404 "This client has no such connection, or it has ended.",
    MemberUnknown "memberUnknown" 404 "There is no such member in the channel.",
    UpstreamUnknown "upstreamUnknown" 404 "There is no such upstream in the channel, or it has ended.",
    RequestInvalid "requestInvalid" 400 "The frame holds no request of a known shape.",
    LabelInvalid "labelInvalid" 400 "An id, alias, tag, role or region is 1 to 128 bytes without control characters.",
    MessageInvalid "messageInvalid" 400 "The data of a message are Base64 with padding (RFC 4648 4).",
    NotRegistered "notRegistered" 409 "The first frame on a socket is register or resume.",
    AlreadyRegistered "alreadyRegistered" 409 "Only the first frame on a socket is register or resume.",
    ClientIdTaken "clientIdTaken" 409 "Another user has registered under this client id.",
    MediaIdTaken "mediaIdTaken" 409 "Another user publishes under this media id.",
    MethodNotAllowed "methodNotAllowed" 405 "The method is not allowed here.",
    RequestTimeout "requestTimeout" 408 "The body did not arrive in time.",
    AnswerInvalid "answerInvalid" 400 "The answer is no SDP, or answers no offer of this server's.",
    AnswerOutdated "answerOutdated" 409 "The answer is to an older offer than the newest.",
    TooManyWants "tooManyWants" 422 "More is wanted than one downstream may carry.",
    NotWanted "notWanted" 409 "The wish is for a video that the downstream does not carry.",
    ConnectionKindMismatch "connectionKindMismatch" 409 "The request does not fit a connection of this kind.",
    NothingPublished "nothingPublished" 409 "Nothing is published there at present.",
    PreconditionFailed "preconditionFailed" 412 "If-Match names another ICE session than the current one.",
    BodyTooLarge "bodyTooLarge" 413 "The body is too large.",
    MessageTooLarge "messageTooLarge" 413 "A message holds at most 16 KiB.",
    MediaTypeUnsupported "mediaTypeUnsupported" 415 "The body has the wrong media type.",
    BodyIncomplete "bodyIncomplete" 400 "The body broke off.",
    OfferInvalid "offerInvalid" 400 "The body is no SDP offer, or breaks a rule that WebRTC needs.",
    FragmentInvalid "fragmentInvalid" 400 "The body is no ICE fragment.",
    CredentialsInvalid "credentialsInvalid" 400 "The ICE user fragment or password breaks RFC 8839.",
    OfferUnacceptable "offerUnacceptable" 422 "The offer shares no codec, fingerprint or direction with this server.",
    TooManyChannels "tooManyChannels" 422 "A client is in at most 128 channels.",
    TooManyConnections "tooManyConnections" 422 "A client has at most 16 connections.",
    UpgradeRequired "upgradeRequired" 426 "Only a WebSocket is served here.",
    PreconditionRequired "preconditionRequired" 428 "PATCH needs an If-Match header.",
    TooManyClients "tooManyClients" 429 "A user has at most 256 clients.",
    TooManyMessages "tooManyMessages" 429 "The client sends messages, joins, renews, or changes what others see of it, faster than 20 times a second.",
    TooManyRequests "tooManyRequests" 429 "Too many requests of this client wait to be answered, or they come faster than 100 a second.",
    ClientsFull "clientsFull" 503 "The gateway has no room for another client.",
    ChannelFull "channelFull" 503 "The channel has no room for another member.",
    SocketsFull "socketsFull" 503 "Too many sockets have not registered yet.",
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
            Self::SessionsFull
            | Self::MediaServerFull
            | Self::ClientsFull
            | Self::ChannelFull
            | Self::TooManyClients => Some(10),
            Self::TooManyMessages | Self::TooManyRequests | Self::SocketsFull => Some(1),
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
            ErrorCode::NotWanted => Self::NotWanted,
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
