//! The wire between gateway and media server: the only shapes that cross it.
//!
//! The gateway asks, the media server answers each request once, and tells of its own accord when a connection ends.
//! In one process these values travel over a bounded queue, between two programs as JSON.

use serde::{Deserialize, Serialize};

use crate::id::{ChannelName, ConnectionKey, MediaId};

/// What the gateway asks of a media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Request {
    /// Open an upstream from the client's offer. A publisher of the same media id is replaced.
    OpenUpstream { connection: ConnectionKey, channel: ChannelName, media_id: MediaId, offer: String },
    /// Open a downstream of a media id from the client's offer.
    OpenDownstream { connection: ConnectionKey, channel: ChannelName, media_id: MediaId, offer: String },
    /// ICE restart (RFC 8445 9): the client's new credentials.
    Restart { connection: ConnectionKey, ufrag: String, password: String },
    /// End the connection.
    Close { connection: ConnectionKey },
}

/// The media server's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
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
    Closed,
    Refused {
        code: ErrorCode,
        detail: String,
    },
}

/// What a media server tells of its own accord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Event {
    /// Keys are in: media can flow.
    Connected {
        connection: ConnectionKey,
    },
    Closed {
        connection: ConnectionKey,
        reason: CloseReason,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// Every refusal has its own stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// The offer is no SDP, or breaks a rule that WebRTC needs.
    OfferInvalid,
    /// No codec, no fingerprint or no direction in common.
    OfferUnacceptable,
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
