//! Both lanes of a link, as either end has them: what it says is numbered and kept, what it hears is taken once.
//!
//! In go messages to say and frames that came; out come frames as text. A numbered frame is written once and repeated
//! letter by letter; what was heard is acknowledged by frames of their own. Invariant: while both ends keep their lanes,
//! every message is taken exactly once and in order, however many sockets are lost. Pure.

use serde::Serialize;
use tidewire_core::message::lane::{Arrived, Bounds, Frame, Full, Inbox, Outbox, Strange};

/// The two lanes of one link.
#[derive(Debug)]
pub struct Lanes {
    outbox: Outbox<String>,
    inbox: Inbox,
    /// What the other end was last told that we have seen.
    acknowledged: u64,
}

impl Lanes {
    pub fn new(bounds: Bounds) -> Self {
        Self { outbox: Outbox::new(bounds), inbox: Inbox::default(), acknowledged: 0 }
    }

    /// Numbers a message and keeps it until the other end has seen it. Gives its number and its frame.
    pub fn say<M: Serialize>(&mut self, message: &M) -> Result<(u64, String), Full> {
        let n = self.outbox.last() + 1;
        let text = text(&Frame { n: Some(n), seen: None, m: Some(message) });
        self.outbox.push(text.clone(), text.len())?;
        Ok((n, text))
    }

    /// Takes a frame that came: its message, if it carries one that was not taken before.
    pub fn hear<M>(&mut self, frame: Frame<M>) -> Result<Option<(u64, M)>, Strange> {
        if let Some(seen) = frame.seen {
            self.outbox.acknowledge(seen)?;
        }
        match (frame.n, frame.m) {
            (Some(n), Some(message)) => match self.inbox.take(n) {
                Arrived::New => Ok(Some((n, message))),
                Arrived::Again => Ok(None),
                Arrived::Gap => Err(Strange),
            },
            (None, None) => Ok(None),
            // Only greetings are not numbered, and they are no longer expected.
            (Some(_), None) | (None, Some(_)) => Err(Strange),
        }
    }

    /// The highest number that was taken.
    pub fn seen(&self) -> u64 {
        self.inbox.seen()
    }

    /// The frames that a new socket is to carry, when the other end has seen so much.
    pub fn beyond(&mut self, seen: u64) -> Result<Vec<String>, Strange> {
        let frames = self.outbox.beyond(seen)?.map(|(_, text)| text.clone()).collect();
        self.outbox.acknowledge(seen)?;
        Ok(frames)
    }

    /// A frame that acknowledges, once at least so many frames are owed it.
    pub fn acknowledgement(&mut self, owed_min: u64) -> Option<String> {
        let seen = self.inbox.seen();
        if seen - self.acknowledged < owed_min {
            return None;
        }
        self.acknowledged = seen;
        Some(text(&Frame::<()> { n: None, seen: Some(seen), m: None }))
    }
}

/// The frame of a greeting: outside the numbering.
pub fn greeting<M: Serialize>(message: &M) -> String {
    text(&Frame { n: None, seen: None, m: Some(message) })
}

/// Texts, numbers and lists of these cannot fail to be written.
fn text<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { frames_max: 8, bytes_max: 1_000 };

    fn heard(lanes: &mut Lanes, text: &str) -> Result<Option<(u64, String)>, Strange> {
        lanes.hear(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn what_is_repeated_is_taken_once_and_then_forgotten() {
        let (mut here, mut there) = (Lanes::new(BOUNDS), Lanes::new(BOUNDS));
        let (n, frame) = here.say(&"a").unwrap();
        assert_eq!((n, frame.as_str()), (1, r#"{"n":1,"m":"a"}"#));
        assert_eq!(heard(&mut there, &frame), Ok(Some((1, "a".to_owned()))));
        assert_eq!(heard(&mut there, &here.beyond(0).unwrap()[0]), Ok(None));
        let acknowledgement = there.acknowledgement(1).unwrap();
        assert_eq!(there.acknowledgement(1), None, "it is owed no longer");
        assert_eq!(heard(&mut here, &acknowledgement), Ok(None));
        assert!(here.beyond(0).is_err(), "it is not kept any longer");
    }

    #[test]
    fn frames_that_break_the_rules_are_strange() {
        let mut lanes = Lanes::new(BOUNDS);
        for text in [r#"{"n":2,"m":"late"}"#, r#"{"m":"not numbered"}"#, r#"{"n":1}"#, r#"{"seen":1}"#] {
            assert_eq!(heard(&mut lanes, text), Err(Strange), "{text}");
        }
    }
}
