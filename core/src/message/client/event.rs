//! What happened: to a channel, or to this client alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Member, Rights, Upstream};
use super::request::{Payload, Source};
use crate::codec::Kind;
use crate::id::{ChannelName, ConnectionKey, Label, UpstreamId};
use crate::message::media::CloseReason;
use crate::message::quality::{EncodingDemand, Layer, LayerReason, Statistics};

/// What happened. Of each channel, in the order in which it happened there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    Joined {
        channel: ChannelName,
        member: Member,
    },
    Left {
        channel: ChannelName,
        client_id: Label,
        reason: LeaveReason,
    },
    Updated {
        channel: ChannelName,
        member: Member,
    },
    /// An upstream's keys are in: it can be watched.
    UpstreamOpened {
        channel: ChannelName,
        upstream: Upstream,
    },
    UpstreamUpdated {
        channel: ChannelName,
        upstream: Upstream,
    },
    UpstreamClosed {
        channel: ChannelName,
        upstream: UpstreamId,
        reason: CloseReason,
    },
    Message {
        channel: ChannelName,
        from: Member,
        /// Whether it went to the whole channel.
        to_all: bool,
        #[serde(flatten)]
        payload: Payload,
    },
    /// An offer for one of this client's downstreams; to be answered.
    Offer {
        connection: ConnectionKey,
        revision: u32,
        offer: String,
        sections: Vec<Section>,
    },
    /// One of this client's connections has its keys: media can flow.
    Connected {
        connection: ConnectionKey,
    },
    /// One of this client's connections is over.
    Closed {
        connection: ConnectionKey,
        reason: CloseReason,
    },
    /// What viewers want of one of this client's upstreams: encodings and layers that nobody wants need not be sent. All of
    /// its encodings, in the order of its offer.
    Demand {
        connection: ConnectionKey,
        encodings: Vec<EncodingDemand>,
    },
    /// One of this client's downstreams carries another layer of a video than before, or for another reason.
    Layer {
        connection: ConnectionKey,
        #[serde(flatten)]
        source: Source,
        layer: Layer,
        reason: LayerReason,
    },
    /// Who speaks in a channel, the active speaker first; nobody when it is quiet.
    Speakers {
        channel: ChannelName,
        upstreams: Vec<UpstreamId>,
    },
    /// One of the seconds that this client asked for.
    Statistics {
        connection: ConnectionKey,
        statistics: Statistics,
    },
    /// What this client may do in a channel has changed.
    RightsChanged {
        channel: ChannelName,
        rights: Rights,
    },
    /// This client is no longer in the channel.
    Kicked {
        channel: ChannelName,
        by: Label,
    },
    /// This client did not read for too long: so many messages, and events beside them, were given up. What follows is
    /// the state of each of its channels.
    Lost {
        messages: u64,
        events: u64,
    },
    State {
        channel: Channel,
    },
}

/// A media section of an offer that carries something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    pub mid: String,
    pub kind: Kind,
    #[serde(flatten)]
    pub source: Source,
}

/// Why a member is not in a channel any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LeaveReason {
    Left,
    /// Its socket was missing for longer than the lease.
    LeaseExpired,
    Kicked,
}
