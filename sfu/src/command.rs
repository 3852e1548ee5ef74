//! What a shard's table is told, and what it tells.
//!
//! [`Control`](crate::Control) alone hands out connection slots, sessions and publications, so that the answer can be
//! written before the shard has heard of them.

use tidewire_core::handshake::Fingerprint;
use tidewire_core::id::ConnectionId;
use tidewire_core::message::CloseReason;
use tidewire_core::message::quality::{EncodingDemand, Layer, LayerReason, Statistics, Wish};
use tidewire_core::negotiate::{Agreement, Cname, Credentials, Media};

/// A channel's live media on one shard; an index into the shard's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

/// A media id within a session. It outlives its publisher, so that viewers stay when a publisher is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationId(pub u32);

/// From control to a shard.
#[derive(Debug)]
pub enum Command {
    OpenUpstream(Box<OpenUpstream>),
    OpenDownstream(Box<OpenDownstream>),
    /// Some streams of a downstream end, others begin; all others go on untouched.
    ChangeDownstream {
        connection: ConnectionId,
        /// The SSRCs of those that end. None of them may ever begin again on this connection: it would be sealed under
        /// nonces that were used.
        ended: Vec<u32>,
        begun: Vec<Carried>,
    },
    /// What a viewer would like of these publications' videos from now on.
    Prefer {
        connection: ConnectionId,
        wishes: Vec<(PublicationId, Wish)>,
    },
    /// Tell of a connection's statistics each second, for so many seconds from now.
    Observe {
        connection: ConnectionId,
        seconds: u16,
    },
    /// ICE restart (RFC 8445 9).
    Restart {
        connection: ConnectionId,
        local: Credentials,
        remote: Credentials,
    },
    Close {
        connection: ConnectionId,
        reason: CloseReason,
    },
    /// Say goodbye to everybody.
    Shutdown,
}

impl Command {
    /// The connection that the command opens, if it opens one.
    pub fn opens(&self) -> Option<ConnectionId> {
        match self {
            Self::OpenUpstream(open) => Some(open.connection),
            Self::OpenDownstream(open) => Some(open.connection),
            Self::ChangeDownstream { .. }
            | Self::Prefer { .. }
            | Self::Observe { .. }
            | Self::Restart { .. }
            | Self::Close { .. }
            | Self::Shutdown => None,
        }
    }

    /// Whether nobody could ask for it again: in control's books it is done.
    pub fn must_arrive(&self) -> bool {
        matches!(self, Self::Close { .. } | Self::ChangeDownstream { .. })
    }
}

/// An upstream as agreed; becomes the publisher of its publication.
#[derive(Debug)]
pub struct OpenUpstream {
    pub connection: ConnectionId,
    pub session: SessionId,
    pub publication: PublicationId,
    pub local: Credentials,
    pub agreement: Agreement,
}

/// A downstream as agreed; hears whoever publishes the publications that its streams are of.
#[derive(Debug)]
pub struct OpenDownstream {
    pub connection: ConnectionId,
    pub session: SessionId,
    pub local: Credentials,
    pub remote: Credentials,
    pub fingerprint: Fingerprint,
    pub streams: Vec<Carried>,
    pub tells: Tells,
}

/// What a viewer's protocol tells it of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// The layers that it gets.
    Layers,
    /// WHEP has no word for any of it.
    Nothing,
}

/// One stream of a downstream: what it is of, and the section it is sent in. Several of one kind and publication carry that
/// publisher's first track of the kind, its second, and so on.
#[derive(Clone, Debug)]
pub struct Carried {
    pub publication: PublicationId,
    pub cname: Cname,
    pub media: Media,
    /// What the viewer would like of it, if it is video.
    pub wish: Wish,
}

/// From a shard to control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Keys are in.
    Connected { connection: ConnectionId },
    /// The connection is gone; its slot may be given away.
    Closed { connection: ConnectionId, reason: CloseReason },
    /// What viewers want of an upstream's video is another: all of its encodings.
    Demand { connection: ConnectionId, encodings: Vec<EncodingDemand> },
    /// A downstream gets another layer of a publication's video, or for another reason.
    Switched { connection: ConnectionId, publication: PublicationId, layer: Layer, reason: LayerReason },
    /// Who speaks in a session, the active speaker first.
    Speakers { session: SessionId, speakers: Vec<PublicationId> },
    /// How a connection that is observed fared in the last second.
    Statistics { connection: ConnectionId, statistics: Box<Statistics> },
}

impl Event {
    /// Whether it only tells how things stand, and a later one says it as well. Those that tell of a connection's beginning and
    /// end do not: they may never be lost.
    pub const fn is_notice(&self) -> bool {
        match self {
            Self::Connected { .. } | Self::Closed { .. } => false,
            Self::Demand { .. } | Self::Switched { .. } | Self::Speakers { .. } | Self::Statistics { .. } => true,
        }
    }
}
