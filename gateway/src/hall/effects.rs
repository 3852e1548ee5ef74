//! What follows from a decision, as data.
//!
//! Decisions read the [`Book`](super::book::Book) and give a list of [`Effect`]s; whoever keeps the state carries them
//! out, in order. Nothing else changes the book, so that a store elsewhere can take the same list. A [`Ticket`] goes out
//! with each question to a media server and says what its answer is for.

use tidewire_core::id::{ChannelKey, ConnectionKey, LinkKey, UpstreamId};
use tidewire_core::message::client::{EndReason, Event, Reply, Source, Want};
use tidewire_core::message::{Request, media};
use tidewire_core::negotiate::Credentials;
use tidewire_core::time::Instant;

use super::book::{Client, Connection, Seat};
use crate::problem::Problem;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Notes a client, anew or as it is from now on.
    Enter(LinkKey, Box<Client>),
    /// Strikes a client out. Its seats and connections were struck out before.
    Forget(LinkKey),
    /// Until when a client may be without a socket; none while it has one.
    Lease(LinkKey, Option<Instant>),
    /// Gives a client a seat in a channel, or another one than it had.
    Sit(LinkKey, ChannelKey, Box<Seat>),
    Rise(LinkKey, ChannelKey),
    /// Notes a connection, anew or as it is from now on.
    Keep(ConnectionKey, Box<Connection>),
    Drop(ConnectionKey),
    /// Notes who speaks in a channel, the active speaker first.
    Speak(ChannelKey, Vec<UpstreamId>),

    /// The answer to a client's request.
    Answer(Caller, Result<Reply, Problem>),
    /// For one client.
    Tell(LinkKey, Event),
    /// For everybody in a channel who wants to hear of this, but for one.
    Announce {
        channel: ChannelKey,
        about: About,
        but: Option<LinkKey>,
        event: Event,
    },
    /// The last that a client hears.
    End(LinkKey, EndReason),

    /// A question for the media server.
    Ask(Request, Ticket),
    /// Ends a connection at the media server, which must not be forgotten.
    HangUp(ConnectionKey),
}

/// What an announcement is about: members may be spared some of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Members,
    Upstreams,
    /// A message: the first thing to be given up towards a client that does not read.
    Messages,
}

/// Whose request waits to be answered: a client's, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub client: LinkKey,
    pub to: u64,
}

/// What an answer of the media server is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// A connection that its client offered. A caller is missing where HTTP waits for the answer.
    Open(ConnectionKey, Option<Caller>),
    /// New ICE credentials of such a connection.
    Restart { key: ConnectionKey, generation: u32, remote: Credentials, to: Option<Caller> },
    /// The end that HTTP waits for.
    Close(ConnectionKey),
    /// A downstream that the server offers, its first offer and those after it.
    Offer { key: ConnectionKey, load: Vec<Load>, wants: Vec<Want>, to: Vec<Caller>, cause: Cause },
    /// The client's answer to an offer.
    Answer(ConnectionKey, Caller),
    /// Something that the media server only takes note of.
    Note(ConnectionKey, Caller),
}

/// Why a downstream is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is new.
    Opening,
    /// Its client asked for a change, or for new ICE credentials.
    Client,
    /// Something that it carries may not be received any longer.
    Claim,
    /// Something that it carried has ended, or may be received again: it can wait for its turn.
    Others,
}

impl Ticket {
    /// Whether it stands for a change of an offer, which the media server makes even if its answer is late.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Offer { cause: Cause::Client | Cause::Claim | Cause::Others, .. })
    }

    /// Whether it stands for a connection that is new.
    pub fn is_opening(&self) -> Option<ConnectionKey> {
        match self {
            Self::Open(key, _) | Self::Offer { key, cause: Cause::Opening, .. } => Some(*key),
            _ => None,
        }
    }
}

/// One thing that a downstream carries: what of the media server, and what the client calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    pub want: media::Want,
    pub source: Source,
}
