//! What a client asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channel::{RightsChange, UpstreamState};
use crate::id::{ChannelName, ConnectionKey, Label, LinkKey, MediaId, UpstreamId};
use crate::message::quality::Wish;

/// What a client asks. Every request is answered once, by a reply or a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Must be the first frame of a new client. `token` is of type `register`; every channel that it names is joined.
    Register {
        token: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_alias: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_alias: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<Label>,
        /// The software that speaks, for the log: name and version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<Label>,
    },
    /// Must be the first frame on the new socket of a client whose socket was lost; it is not numbered.
    Resume {
        key: LinkKey,
        seen: u64,
    },
    /// A newer token for the same user, device and client: its claims hold from now on. A channel that it does not name
    /// keeps the claim that it has.
    Renew {
        token: String,
    },
    /// Joins the one channel that a token of type `join` names.
    Join {
        token: String,
    },
    Leave {
        channel: ChannelName,
    },
    /// Changes what the others see of this client. What is left out stays; an empty text takes it away.
    Update {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_alias: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_alias: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
    },
    /// Sends a message to everybody in a channel, or to those whom all of the ids given describe. The sender hears its own.
    Send {
        channel: ChannelName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_id: Option<Label>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<Label>,
        #[serde(flatten)]
        payload: Payload,
    },
    /// Publishes. `offer` is SDP whose media are all send-only.
    OpenUpstream {
        channel: ChannelName,
        /// A name to be watched by across re-publishing; whoever publishes under it already is replaced.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_id: Option<MediaId>,
        offer: String,
        #[serde(flatten)]
        state: UpstreamState,
    },
    /// Tells the others that an upstream is muted, or what it is.
    UpdateUpstream {
        connection: ConnectionKey,
        #[serde(flatten)]
        state: UpstreamState,
    },
    /// Opens a connection that carries any number of upstreams. The offer follows as an event.
    OpenDownstream {
        channel: ChannelName,
        wants: Vec<Want>,
    },
    /// Changes what a downstream carries, as a whole. When that takes an offer, it follows as an event.
    ChangeDownstream {
        connection: ConnectionKey,
        wants: Vec<Want>,
    },
    /// What this client would like of some of the videos of a downstream from now on; what it said of others stays. Takes no
    /// offer.
    Prefer {
        connection: ConnectionKey,
        wishes: Vec<Preference>,
    },
    /// Asks for statistics of one of this client's connections: an event each second, for so many seconds from now, at most
    /// 60; 0 ends it.
    Observe {
        connection: ConnectionKey,
        seconds: u16,
    },
    /// Answers an offer of the server's.
    Answer {
        connection: ConnectionKey,
        revision: u32,
        answer: String,
    },
    /// ICE restart. An upstream names its new credentials and gets the server's in the reply; a downstream names none, and
    /// an offer follows as an event.
    Restart {
        connection: ConnectionKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ufrag: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
    },
    /// A candidate of the client's (RFC 8838), or the end of them. The server, being ICE-lite, needs none and takes any.
    Trickle {
        connection: ConnectionKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        candidate: Option<String>,
    },
    /// Ends a connection.
    Close {
        connection: ConnectionKey,
    },
    /// Lets a member of the channel do what the token did not, or the other way round. Needs the claim `canUpdate`, and
    /// grants nothing that the granter has not itself. What is granted holds for as long as the member stays, whatever
    /// tokens it renews or joins with; when it leaves and comes back, its token alone counts.
    Grant {
        channel: ChannelName,
        client_id: Label,
        rights: RightsChange,
    },
    /// Ends a member's stay in the channel, and its connections there. Needs the claim `canKick`.
    Kick {
        channel: ChannelName,
        client_id: Label,
    },
    /// Leaves all channels and ends the client at once, without waiting for the lease.
    Unregister,
}

/// What a downstream is to carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Want {
    #[serde(flatten)]
    pub source: Source,
    #[serde(default = "yes")]
    pub audio: bool,
    #[serde(default = "yes")]
    pub video: bool,
}

/// An upstream (the want ends with it), or a media id (the want waits for a publisher, and for the next).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    Upstream(UpstreamId),
    MediaId(MediaId),
}

/// What a client would like of the video of a source that it wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    #[serde(flatten)]
    pub source: Source,
    pub wish: Wish,
}

fn yes() -> bool {
    true
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Payload {
    Text(String),
    /// Bytes, in Base64 (RFC 4648 4).
    Data(String),
}
