//! Between gateway and media server: the gateway asks, the media server answers each request once, and tells of its
//! own accord when a connection ends.
//!
//! Upstreams are offered by the client, and so are the downstreams of WHEP. All other downstreams are offered by the
//! server: the gateway says what a connection is to carry, as a whole; the media server answers with an offer under a
//! new revision, and takes up what changed once the client's answer to that revision has come. What is not wanted any
//! longer is not sent from the moment it was asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quality::{EncodingDemand, Layer, LayerReason, Statistics, Wish};
use crate::codec::Kind;
use crate::id::{ChannelKey, ConnectionKey, Label, LinkKey, MediaId};

/// What the gateway asks of a media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Open an upstream from the client's offer. A publisher of the same media id is replaced.
    OpenUpstream { connection: ConnectionKey, channel: ChannelKey, media_id: MediaId, offer: String },
    /// Open a downstream of a media id from the client's offer.
    OpenDownstream { connection: ConnectionKey, channel: ChannelKey, media_id: MediaId, offer: String },
    /// Open a downstream that the server offers. `wants` may be empty, and may name what nobody publishes yet: its
    /// sections wait for a publisher, and stay when the publisher is replaced.
    OfferDownstream { connection: ConnectionKey, channel: ChannelKey, wants: Vec<Want> },
    /// Change what such a downstream carries, as a whole.
    ChangeDownstream { connection: ConnectionKey, wants: Vec<Want> },
    /// The client's answer to the offer of this revision. An answer to an older one than the newest is refused.
    AnswerDownstream { connection: ConnectionKey, revision: u32, answer: String },
    /// What the viewer of a downstream would like of these videos from now on; what was said of others stays. It holds for
    /// as long as the media id is wanted, and needs no offer.
    Prefer { connection: ConnectionKey, wishes: Vec<Preference> },
    /// Tell of this connection's statistics each second, for so many seconds from now; 0 ends it.
    Observe { connection: ConnectionKey, seconds: u16 },
    /// ICE restart of a downstream that the server offers: a new offer, with new credentials, comes back.
    RestartDownstream { connection: ConnectionKey },
    /// ICE restart (RFC 8445 9) of a connection that the client offered: the client's new credentials.
    Restart { connection: ConnectionKey, ufrag: String, password: String },
    /// End the connection.
    Close { connection: ConnectionKey },
}

/// What a downstream is to carry of one media id: the first audio and the first video track of whoever publishes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Want {
    pub media_id: MediaId,
    pub audio: bool,
    pub video: bool,
}

/// What a viewer would like of the video of a media id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    pub media_id: MediaId,
    pub wish: Wish,
}

/// A media section of a server's offer that carries something: which one, and what of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Its `a=mid` (RFC 9143).
    pub mid: String,
    pub kind: Kind,
    pub media_id: MediaId,
}

/// The media server's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Response {
    /// The connection is open for the client's first binding request.
    Opened {
        answer: String,
    },
    /// The server's new credentials and its candidates (each `candidate:...`, as in `a=candidate`).
    Restarted {
        ufrag: String,
        password: String,
        candidates: Vec<String>,
    },
    /// The offer of a downstream. `sections` are those that carry something; all others are inactive, and kept for
    /// what is wanted next.
    Offered {
        revision: u32,
        offer: String,
        sections: Vec<Section>,
    },
    /// What is wanted is what was offered last, so there is no new offer.
    Unchanged,
    /// The client's answer is in force.
    Answered,
    /// The wishes are noted, or the statistics on their way.
    Noted,
    Closed,
    Refused {
        code: ErrorCode,
        detail: String,
    },
}

/// What a media server tells of its own accord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// Keys are in: media can flow.
    Connected {
        connection: ConnectionKey,
    },
    Closed {
        connection: ConnectionKey,
        reason: CloseReason,
    },
    /// What viewers want of an upstream's video has changed: all of its encodings, in the order of its offer.
    Demand {
        connection: ConnectionKey,
        encodings: Vec<EncodingDemand>,
    },
    /// A downstream gets another layer of a video than before, or for another reason.
    Layer {
        connection: ConnectionKey,
        media_id: MediaId,
        layer: Layer,
        reason: LayerReason,
    },
    /// Who speaks in a channel, the active speaker first; nobody when it is quiet.
    Speakers {
        channel: ChannelKey,
        speakers: Vec<MediaId>,
    },
    Statistics {
        connection: ConnectionKey,
        statistics: Statistics,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CloseReason {
    /// The gateway asked for it.
    Requested,
    /// Another publisher took the media id.
    Replaced,
    /// No authenticated binding request for 30 s (RFC 7675).
    ConsentExpired,
    /// DTLS failed: no common profile, a protocol error, or too slow.
    HandshakeFailed,
    /// The client's certificate is not the one its offer promised.
    WrongFingerprint,
    /// The client closed DTLS.
    PeerClosed,
    /// The media server is shutting down.
    Shutdown,
    /// The media server is gone, and everything with it.
    MediaServerLost,
}

/// Every refusal has its own stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// The offer is no SDP, or breaks a rule that WebRTC needs.
    OfferInvalid,
    /// No codec, no fingerprint or no direction in common.
    OfferUnacceptable,
    /// The answer is no SDP, is to no offer of ours, or refuses what it may not.
    AnswerInvalid,
    /// The answer is to an older offer than the newest.
    AnswerOutdated,
    /// More is wanted than one downstream may carry.
    TooManyWants,
    /// A wish is for a media id that the downstream does not carry.
    NotWanted,
    /// The request does not fit a connection of this kind: an offer of the client's where the server offers, or the like.
    ConnectionKindMismatch,
    /// Nothing is published under that media id at present.
    NothingPublished,
    /// No such connection.
    ConnectionUnknown,
    /// ICE credentials that break RFC 8839.
    CredentialsInvalid,
    /// The media server has no room for another connection.
    MediaServerFull,
    /// The media server does not answer.
    MediaServerUnavailable,
}

/// From a media server over its link. The first frame on a socket is `Enlist` (numbered 1) or `Resume` (not numbered).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromMedia {
    /// A media server that is new to the gateway, or that the gateway has forgotten. Its token came with the HTTP request.
    Enlist {
        /// The name that its token gives it.
        server: Label,
        region: Option<Label>,
        version: String,
        connections_max: usize,
    },
    /// Goes on with a link: the highest number that was seen on it.
    Resume {
        key: LinkKey,
        seen: u64,
    },
    /// The answer to the request in the gateway's frame numbered `to`.
    Answer {
        to: u64,
        response: Response,
    },
    Event {
        event: Event,
    },
    /// Told when it changed, at most once a second.
    Load {
        connections: usize,
    },
    /// It takes no new channels; connections that are open stay, and joiners of their channels still come to it.
    Draining,
}

/// From the gateway over the link of a media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToMedia {
    /// `key` resumes this link for as long as no socket has been missing for `lease_s` seconds.
    Enlisted {
        key: LinkKey,
        lease_s: u32,
    },
    /// The link goes on. Not numbered; what lies beyond `seen` is to be sent again.
    Resumed {
        seen: u64,
    },
    /// There is no such link any more: enlist again. Not numbered.
    Forgotten,
    Ask {
        request: Request,
    },
}
