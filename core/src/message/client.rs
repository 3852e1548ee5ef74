//! Between a client and the gateway, over the WebSocket at `/v1/client`.
//!
//! A client sends [`Frame`](super::lane::Frame)s of [`Request`], numbered from 1; the first is `register`. The gateway
//! sends frames of [`Told`]: one reply to each request, which names the request's number, and events in the order in which
//! they happened. After a lost socket the client opens another and sends `resume`, not numbered, as its first frame; both
//! ends then send again what the other has not seen. A client acknowledges at least every 32 frames or every second.
//! Who sends a message is written by the gateway, never by the sender.

use serde::{Deserialize, Serialize};

use super::media::CloseReason;
use crate::codec::Kind;
use crate::id::{ChannelName, ConnectionKey, Label, LinkKey, MediaId, UpstreamId};

/// What a client asks. Every request is answered once, by a reply or a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// grants nothing that the granter has not itself.
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    Upstream(UpstreamId),
    MediaId(MediaId),
}

fn yes() -> bool {
    true
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Payload {
    Text(String),
    /// Bytes, in Base64 (RFC 4648 4).
    Data(String),
}

/// What an upstream says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpstreamState {
    pub audio_muted: bool,
    pub video_muted: bool,
    pub content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Label>,
}

/// Where pictures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    #[default]
    Camera,
    Screen,
}

/// What a member may do in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    pub send_audio: bool,
    pub send_video: bool,
    pub send_messages: bool,
    /// Open SFU connections at all.
    pub sfu: bool,
    pub kick: bool,
    pub update: bool,
    /// It is not announced, and sends nothing.
    pub hidden: bool,
}

/// What is to change of a member's rights; what is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RightsChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_audio: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_video: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_messages: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kick: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<bool>,
}

/// What the gateway tells a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A channel as a joiner finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    pub channel: ChannelName,
    pub rights: Rights,
    /// Everybody else who is there and not hidden.
    pub members: Vec<Member>,
    pub upstreams: Vec<Upstream>,
}

/// A client as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub client_id: Label,
    pub user_id: Label,
    pub device_id: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_alias: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_alias: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Label>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
}

/// Media that can be watched in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    pub upstream: UpstreamId,
    /// Whose it is; none for one that was published by WHIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Label>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<MediaId>,
    pub audio: bool,
    pub video: bool,
    #[serde(flatten)]
    pub state: UpstreamState,
}

/// What happened. Of each channel, in the order in which it happened there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    pub mid: String,
    pub kind: Kind,
    #[serde(flatten)]
    pub source: Source,
}

/// Why a member is not in a channel any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaveReason {
    Left,
    /// Its socket was missing for longer than the lease.
    LeaseExpired,
    Kicked,
}

/// Why a client is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::super::lane::Frame;
    use super::*;

    #[test]
    fn shapes_are_what_the_reference_shows() {
        let text = r#"{"n":4,"seen":9,"m":{"type":"openDownstream","channel":"sea","wants":[{"mediaId":"main","audio":true,"video":false},{"upstream":"000000000000000000000000000000ff"}]}}"#;
        let frame: Frame<Request> = serde_json::from_str(text).unwrap();
        let Some(Request::OpenDownstream { wants, .. }) = frame.m else { panic!("{frame:?}") };
        assert_eq!(wants[1], Want { source: Source::Upstream(UpstreamId(255)), audio: true, video: true });
        let payload = Payload::Text("hello".to_owned());
        let send = Request::Send {
            channel: ChannelName::new("sea").unwrap(),
            user_id: None,
            device_id: None,
            client_id: None,
            payload,
        };
        assert_eq!(serde_json::to_string(&send).unwrap(), r#"{"type":"send","channel":"sea","text":"hello"}"#);
        assert_eq!(serde_json::from_str::<Request>(r#"{"type":"unregister"}"#).unwrap(), Request::Unregister);
    }

    #[test]
    fn labels_and_names_are_checked_where_they_are_read() {
        for bad in
            [r#"{"type":"leave","channel":"a b"}"#, r#"{"type":"register","token":"t","tag":""}"#, r#"{"type":"fly"}"#]
        {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
    }
}
