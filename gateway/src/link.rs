//! The link to a media server: a bounded queue of questions, each with a place for its one answer.
//!
//! Questions are taken in the order in which they were put, so that a `Close` behind an `Open` leaves nothing behind.
//! Putting a question never waits: a queue that is full is a media server that does not answer. An opening takes two
//! places, the second for its own close, so that giving up on one can never fail. Only waiting for an answer waits,
//! and that has a limit. The other end is an [`exchange`], which knows the media servers; each question is answered once.
//!
//! What is decided is decided in pure modules: [`fleet`] says which media server, [`switchboard`] and [`media_end`] are
//! the two ends of a link over WebSockets, [`lanes`] what both are made of.

pub mod lanes;
pub mod fleet;
mod attached;
pub mod switchboard;
pub mod media_end;
pub mod pump;
pub mod exchange;

use std::time::Duration;

use tidewire_core::id::ConnectionKey;
use tidewire_core::message::{Request, Response};
use tokio::sync::{mpsc, oneshot};

use crate::limits::{ANSWER_TIMEOUT, LINK_LEN};
use crate::problem::{Code, Problem};

/// A question and where its answer goes; the asker may have gone away meanwhile.
pub type Question = (Request, oneshot::Sender<Response>);

/// A question as a media server is handed it: its answer names the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub n: u64,
    pub request: Request,
}

/// One WebSocket of a media server's; a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Why the gateway ends a media server's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The other end breaks the rules of the link.
    Broken,
    /// Another socket goes on with the link.
    Replaced,
    /// A media server of that name is connected already.
    NameTaken,
    /// The gateway has no room for another media server.
    TooMany,
    Shutdown,
}

impl Farewell {
    /// The code of the WebSocket's close frame (RFC 6455 7.4).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Shutdown => 1001,
            Self::Broken => 4400,
            Self::Replaced => 4408,
            Self::NameTaken => 4409,
            Self::TooMany => 4503,
        }
    }
}

/// The asking end.
#[derive(Clone, Debug)]
pub struct MediaLink {
    pub tx: mpsc::Sender<Question>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// An answer that is on its way.
#[derive(Debug)]
pub struct Pending {
    answer: oneshot::Receiver<Response>,
    timeout: Duration,
}

/// A place in the queue, kept for a close.
#[derive(Debug)]
pub struct ClosePlace(mpsc::OwnedPermit<Question>);

impl MediaLink {
    pub fn new(tx: mpsc::Sender<Question>) -> Self {
        Self { tx, timeout: ANSWER_TIMEOUT }
    }

    /// Both ends of a link.
    pub fn pair() -> (Self, mpsc::Receiver<Question>) {
        let (tx, rx) = mpsc::channel(LINK_LEN);
        (Self::new(tx), rx)
    }

    /// Puts a question.
    pub fn ask(&self, request: Request) -> Result<Pending, Problem> {
        let (tx, answer) = oneshot::channel();
        self.tx.try_send((request, tx)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        Ok(Pending { answer, timeout: self.timeout })
    }

    /// Keeps a place for a close.
    pub fn close_place(&self) -> Result<ClosePlace, Problem> {
        self.tx.clone().try_reserve_owned().map(ClosePlace).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })
    }
}

impl Pending {
    /// The answer, if it comes in time.
    pub async fn answer(mut self) -> Result<Response, Problem> {
        self.in_time().await.unwrap_or_else(Err)
    }

    /// The answer, or that it is late. It may be waited for again.
    pub async fn in_time(&mut self) -> Result<Result<Response, Problem>, Problem> {
        let answer = tokio::time::timeout(self.timeout, &mut self.answer).await;
        answer.map(|answer| answer.map_err(|_| gone())).map_err(|_| {
            let after = self.timeout.as_millis();
            Problem::new(Code::MediaServerUnavailable, format!("The media server gave no answer within {after} ms."))
        })
    }

    /// The answer, however late. It comes, if only because the link is given up.
    pub async fn at_last(self) -> Result<Response, Problem> {
        self.answer.await.map_err(|_| gone())
    }
}

impl ClosePlace {
    /// Closes a connection without waiting to hear of it.
    pub fn close(self, connection: ConnectionKey) {
        let (unheard, _) = oneshot::channel();
        self.0.send((Request::Close { connection }, unheard));
    }
}

fn busy() -> Problem {
    Problem::new(Code::MediaServerUnavailable, "Too many requests wait for the media server.")
}

fn gone() -> Problem {
    Problem::new(Code::MediaServerUnavailable, "The media server is gone.")
}
