//! What a client is told: one reply to each request, and events between them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Member};
use super::event::Event;
use crate::id::{ConnectionKey, LinkKey, UpstreamId};

/// What the gateway tells a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Told {
    /// The client goes on. Not numbered; what lies beyond `seen` is to be sent again.
    Resumed {
        seen: u64,
    },
    /// The answer to the request numbered `to`.
    Reply {
        to: u64,
        reply: Reply,
    },
    /// The request numbered `to` was not carried out; 0 stands for a frame that had no number or could not be read.
    Refused {
        to: u64,
        /// One of the reference's error codes; stable.
        code: String,
        /// For a person.
        detail: String,
        /// After so many seconds the same request may succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u32>,
    },
    Event {
        event: Event,
    },
    /// The client is over, and so is its socket. Not numbered.
    Ended {
        reason: EndReason,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reply {
    Done,
    Registered {
        client: Member,
        /// Resumes this client for as long as no socket has been missing for `lease_s` seconds.
        key: LinkKey,
        lease_s: u32,
        channels: Vec<Channel>,
    },
    Joined {
        channel: Channel,
    },
    UpstreamOpened {
        connection: ConnectionKey,
        upstream: UpstreamId,
        answer: String,
    },
    DownstreamOpened {
        connection: ConnectionKey,
    },
    /// The server's new credentials and its candidates (each `candidate:...`, as in `a=candidate`).
    Restarted {
        ufrag: String,
        password: String,
        candidates: Vec<String>,
    },
}

/// Why a client is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    Unregistered,
    /// The same client registered anew.
    Replaced,
    /// There is no such client any more: register again.
    ResumeUnknown,
    /// Frames that break the rules of the link.
    ProtocolViolation,
    /// Another socket resumed this client; only this socket is over.
    SocketReplaced,
    /// The gateway is shutting down.
    Shutdown,
}
