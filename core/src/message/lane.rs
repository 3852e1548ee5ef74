//! One direction of a link that outlives its sockets: frames numbered from 1, kept until the other end has seen them.
//!
//! The sending end keeps an [`Outbox`], the receiving end an [`Inbox`]. When a socket is lost, the new one begins with
//! each end saying what it has seen last; what lies beyond is sent again, what comes twice is thrown away. So nothing is
//! lost and nothing is doubled for as long as both ends keep their halves. An outbox is bounded in frames and bytes, and
//! says when it is full; what then happens is its owner's decision. Pure: no clock, no socket.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What one WebSocket message holds.
///
/// `n` numbers it, counting from 1 in each direction; a frame without `n` stands outside the numbering (a greeting, or an
/// acknowledgement alone). `seen` acknowledges every frame of the other direction up to and including that number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<M> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub m: Option<M>,
}

/// For a frame that only acknowledges, whatever its messages are.
fn none<M>() -> Option<M> {
    None
}

/// What an outbox may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub frames_max: usize,
    pub bytes_max: usize,
}

/// The outbox has no room: the other end has not acknowledged for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much waits to be acknowledged")]
pub struct Full;

/// What the other end says it has seen was never sent, or is not kept any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the two ends do not remember the same link")]
pub struct Strange;

/// Frames that were numbered and are not acknowledged yet. `T` is what the owner sends: a value, or its text.
#[derive(Debug)]
pub struct Outbox<T> {
    bounds: Bounds,
    /// Number of the frame in front.
    first: u64,
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Outbox<T> {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, first: 1, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Numbers an item and keeps it; `bytes` is its length on the wire. One item always fits into an empty outbox.
    pub fn push(&mut self, item: T, bytes: usize) -> Result<u64, Full> {
        let fits =
            self.waiting.len() < self.bounds.frames_max && self.bytes.saturating_add(bytes) <= self.bounds.bytes_max;
        if !fits && !self.waiting.is_empty() {
            return Err(Full);
        }
        self.waiting.push_back((item, bytes));
        self.bytes += bytes;
        Ok(self.last())
    }

    /// Forgets what the other end has seen. A number that was acknowledged before changes nothing.
    pub fn acknowledge(&mut self, seen: u64) -> Result<(), Strange> {
        if seen > self.last() {
            return Err(Strange);
        }
        while self.first <= seen {
            let Some((_, bytes)) = self.waiting.pop_front() else { break };
            self.bytes -= bytes;
            self.first += 1;
        }
        Ok(())
    }

    /// Everything that lies beyond `seen`, with its number, in order: what a new socket is to be sent.
    pub fn beyond(&self, seen: u64) -> Result<impl Iterator<Item = (u64, &T)>, Strange> {
        if seen > self.last() || seen + 1 < self.first {
            return Err(Strange);
        }
        let skip = usize::try_from(seen + 1 - self.first).map_err(|_| Strange)?;
        Ok(self.waiting.iter().zip(self.first..).skip(skip).map(|((item, _), n)| (n, item)))
    }

    /// Number of the newest frame; 0 before the first.
    pub fn last(&self) -> u64 {
        self.first + self.waiting.len() as u64 - 1
    }

    /// Frames that are not acknowledged.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of the frames that are not acknowledged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What has come in on one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inbox {
    seen: u64,
}

/// Whether a frame that came in is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The next in order.
    New,
    /// Seen before: it was sent again over a new socket.
    Again,
    /// One before it is missing. A socket keeps the order, so the two ends do not remember the same link.
    Gap,
}

impl Inbox {
    pub fn take(&mut self, n: u64) -> Arrived {
        if n <= self.seen {
            return Arrived::Again;
        }
        if n != self.seen + 1 {
            return Arrived::Gap;
        }
        self.seen = n;
        Arrived::New
    }

    /// The number to acknowledge.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Bounds = Bounds { frames_max: 4, bytes_max: 100 };

    fn beyond(outbox: &Outbox<&'static str>, seen: u64) -> Vec<(u64, &'static str)> {
        outbox.beyond(seen).unwrap().map(|(n, item)| (n, *item)).collect()
    }

    #[test]
    fn what_was_not_seen_is_sent_again_and_nothing_else() {
        let mut outbox = Outbox::new(WIDE);
        for (at, item) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(outbox.push(item, 1), Ok(at as u64 + 1));
        }
        outbox.acknowledge(1).unwrap();
        outbox.acknowledge(1).unwrap();
        assert_eq!(beyond(&outbox, 1), [(2, "b"), (3, "c")]);
        assert_eq!(beyond(&outbox, 3), []);
        assert_eq!((outbox.len(), outbox.bytes(), outbox.last()), (2, 2, 3));
    }

    #[test]
    fn ends_that_remember_different_links_find_out() {
        let mut outbox = Outbox::new(WIDE);
        outbox.push("a", 1).unwrap();
        outbox.push("b", 1).unwrap();
        outbox.acknowledge(1).unwrap();
        assert_eq!(outbox.acknowledge(3), Err(Strange));
        assert!(outbox.beyond(3).is_err(), "never sent");
        assert!(outbox.beyond(0).is_err(), "not kept any longer");
        assert!(Outbox::<()>::new(WIDE).beyond(0).is_ok());
    }

    #[test]
    fn an_outbox_is_bounded_in_frames_and_bytes_but_takes_any_first_frame() {
        let mut outbox = Outbox::new(WIDE);
        assert_eq!(outbox.push("long", 1_000), Ok(1));
        assert_eq!(outbox.push("a", 1), Err(Full));
        outbox.acknowledge(1).unwrap();
        for _ in 0..4 {
            outbox.push("a", 25).unwrap();
        }
        assert_eq!(outbox.push("a", 0), Err(Full));
        assert_eq!(outbox.last(), 5);
    }

    #[test]
    fn an_inbox_takes_each_number_once_and_in_order() {
        let mut inbox = Inbox::default();
        let arrived = [1, 1, 2, 4, 3, 2].map(|n| inbox.take(n));
        use Arrived::{Again, Gap, New};
        assert_eq!(arrived, [New, Again, New, Gap, New, Again]);
        assert_eq!(inbox.seen(), 3);
    }

    #[test]
    fn a_frame_may_be_an_acknowledgement_alone() {
        let frame: Frame<String> = serde_json::from_str(r#"{"seen":7}"#).unwrap();
        assert_eq!(frame, Frame { n: None, seen: Some(7), m: None });
        let text = serde_json::to_string(&Frame { n: Some(1), seen: None, m: Some("x") }).unwrap();
        assert_eq!(text, r#"{"n":1,"m":"x"}"#);
    }
}
