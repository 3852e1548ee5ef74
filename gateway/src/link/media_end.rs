//! The media server's end of its link: what it says waits for a socket, what it is asked is handed on once.
//!
//! In go the media server's messages, frames that came over a socket, and the loss of sockets; out come frames and
//! questions. A gateway that has forgotten the link is enlisted with anew: what was said to the one before is of no use
//! to it, so answers that are still to come for it are dropped. Invariant: a question is answered once to the gateway
//! that put it, and to no other. The media server answers in the order in which it was asked. Pure.

use tidewire_core::id::{Label, LinkKey};
use tidewire_core::message::lane::{Bounds, Frame};
use tidewire_core::message::media::{FromMedia, ToMedia};
use tidewire_core::message::{ErrorCode, Response};

use super::Ask;
use super::lanes::{Lanes, greeting};
use crate::limits::{ANSWER_LEN_MAX, ASKS_MAX, LINK_ACKNOWLEDGE_EVERY};

/// One media server's end of its link to a gateway.
#[derive(Debug)]
pub struct MediaEnd {
    about: About,
    lanes: Lanes,
    /// Whether the gateway has enlisted us, and by which key the link is resumed.
    key: Option<LinkKey>,
    /// Whether greetings were exchanged on the present socket.
    is_linked: bool,
    /// Questions that were handed on and are not answered.
    unanswered: usize,
    /// Answers to come that are for a gateway which has forgotten their questions.
    stale: usize,
    connections: usize,
    is_draining: bool,
}

/// What a media server says of itself when it enlists.
#[derive(Clone, Debug)]
pub struct About {
    pub server: Label,
    pub region: Option<Label>,
    pub version: String,
    pub connections_max: usize,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Send(String),
    /// Hand a question on.
    Ask(Ask),
    /// The link stands: new, or where it was.
    Linked(Link),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Enlisted,
    Resumed,
}

/// The other end breaks the rules, or has not acknowledged for too long: the socket is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway breaks the rules of the link")]
pub struct Broken;

impl MediaEnd {
    pub fn new(about: About) -> Self {
        let lanes = Lanes::new(bounds(about.connections_max));
        let mut end = Self {
            about,
            lanes,
            key: None,
            is_linked: false,
            unanswered: 0,
            stale: 0,
            connections: 0,
            is_draining: false,
        };
        end.begin_anew();
        end
    }

    /// The first frame for a new socket.
    pub fn greeting(&mut self) -> String {
        match self.key {
            Some(key) => greeting(&FromMedia::Resume { key, seen: self.lanes.seen() }),
            None => self.enlisting(),
        }
    }

    /// The socket is lost.
    pub fn lose(&mut self) {
        self.is_linked = false;
    }

    /// Takes what the media server says. Gives its frame if there is a socket for it.
    pub fn say(&mut self, message: &FromMedia) -> Result<Option<String>, Broken> {
        match message {
            FromMedia::Answer { .. } if self.stale > 0 => {
                self.stale -= 1;
                return Ok(None);
            }
            FromMedia::Answer { .. } => self.unanswered = self.unanswered.saturating_sub(1),
            FromMedia::Load { connections } => self.connections = *connections,
            FromMedia::Draining => self.is_draining = true,
            FromMedia::Enlist { .. } | FromMedia::Resume { .. } | FromMedia::Event { .. } => {}
        }
        self.put(message)
    }

    /// Refuses a question that could not be handed on.
    pub fn refuse(&mut self, to: u64) -> Result<Option<String>, Broken> {
        self.unanswered = self.unanswered.saturating_sub(1);
        let detail = "the media server takes no requests at present".to_owned();
        let response = Response::Refused { code: ErrorCode::MediaServerUnavailable, detail };
        self.put(&FromMedia::Answer { to, response })
    }

    /// A frame that came over the socket. After one that breaks the rules the link begins anew, on another socket.
    pub fn hear(&mut self, text: &str) -> Result<Vec<Step>, Broken> {
        let heard = serde_json::from_str(text).map_err(|_| Broken).and_then(|frame| self.take(frame));
        if heard.is_err() {
            self.begin_anew();
        }
        heard
    }

    /// A frame that acknowledges, if one is owed. To be asked for about once a second.
    pub fn tick(&mut self) -> Option<String> {
        if self.is_linked { self.lanes.acknowledgement(1) } else { None }
    }

    fn take(&mut self, frame: Frame<ToMedia>) -> Result<Vec<Step>, Broken> {
        match (frame.n, &frame.m) {
            (None, Some(ToMedia::Resumed { seen })) if self.key.is_some() && !self.is_linked => self.resumed(*seen),
            (None, Some(ToMedia::Forgotten)) if !self.is_linked => {
                self.begin_anew();
                Ok(vec![Step::Send(self.enlisting())])
            }
            _ => self.hear_numbered(frame),
        }
    }

    fn hear_numbered(&mut self, frame: Frame<ToMedia>) -> Result<Vec<Step>, Broken> {
        let heard = self.lanes.hear(frame).map_err(|_| Broken)?;
        let mut steps = match heard {
            None => vec![],
            Some((_, ToMedia::Enlisted { key, .. })) if self.key.is_none() => self.enlisted(key)?,
            Some((n, ToMedia::Ask { request })) if self.is_linked => {
                self.unanswered += 1;
                vec![Step::Ask(Ask { n, request })]
            }
            Some(_) => return Err(Broken),
        };
        if self.is_linked {
            steps.extend(self.lanes.acknowledgement(LINK_ACKNOWLEDGE_EVERY).map(Step::Send));
        }
        Ok(steps)
    }

    fn enlisted(&mut self, key: LinkKey) -> Result<Vec<Step>, Broken> {
        self.key = Some(key);
        self.is_linked = true;
        // The first frame was the greeting; what was said behind it has waited for this.
        let said = self.lanes.beyond(1).map_err(|_| Broken)?;
        Ok([Step::Linked(Link::Enlisted)].into_iter().chain(said.into_iter().map(Step::Send)).collect())
    }

    fn resumed(&mut self, seen: u64) -> Result<Vec<Step>, Broken> {
        let said = self.lanes.beyond(seen).map_err(|_| Broken)?;
        self.is_linked = true;
        Ok([Step::Linked(Link::Resumed)].into_iter().chain(said.into_iter().map(Step::Send)).collect())
    }

    /// Forgets the link. What a gateway has to know from the start is said first.
    fn begin_anew(&mut self) {
        self.lanes = Lanes::new(bounds(self.about.connections_max));
        self.key = None;
        self.is_linked = false;
        self.stale += std::mem::take(&mut self.unanswered);
        let About { server, region, version, connections_max } = self.about.clone();
        let mut first = vec![FromMedia::Enlist { server, region, version, connections_max }];
        first.extend((self.connections > 0).then_some(FromMedia::Load { connections: self.connections }));
        first.extend(self.is_draining.then_some(FromMedia::Draining));
        for message in first {
            // Empty lanes have room for three.
            let said = self.lanes.say(&message);
            debug_assert!(said.is_ok());
        }
    }

    /// The frame that enlists: the first of new lanes.
    fn enlisting(&mut self) -> String {
        self.lanes.beyond(0).ok().and_then(|frames| frames.into_iter().next()).unwrap_or_default()
    }

    fn put(&mut self, message: &FromMedia) -> Result<Option<String>, Broken> {
        match self.lanes.say(message) {
            Ok((_, frame)) => Ok(self.is_linked.then_some(frame)),
            Err(_) => {
                self.begin_anew();
                Err(Broken)
            }
        }
    }
}

/// What may wait to be seen by the gateway: answers, and for each connection its beginning, its end, and the count that
/// changed with it.
fn bounds(connections_max: usize) -> Bounds {
    let told = connections_max.saturating_mul(3);
    Bounds {
        frames_max: told.saturating_add(2 * ASKS_MAX),
        bytes_max: told.saturating_mul(160).saturating_add(2 * ASKS_MAX * ANSWER_LEN_MAX),
    }
}
