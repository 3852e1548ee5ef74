//! Key frame wishes of all viewers of a track, merged into few requests to its publisher.
//!
//! Invariant: at most one request per [`FLOOR`], whatever viewers send; a wish is repeated until a key frame comes or
//! the publisher has been asked often enough to be beyond asking.

use std::time::Duration;

use tidewire_core::time::Instant;

/// The least time between two requests: an encoder that makes key frames faster than this makes nothing else.
const FLOOR: Duration = Duration::from_millis(500);

/// After this many unanswered requests the publisher sends no video at present; the next wish starts over.
const TRIES_MAX: u8 = 20;

#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    wanted: bool,
    tries: u8,
    asked: Option<Instant>,
    /// Command sequence number of full intra requests (RFC 5104 4.3.1.1).
    sequence: u8,
    /// When the next request may go.
    next: Instant,
}

impl KeyFrames {
    pub(crate) fn want(&mut self, now: Instant) {
        if !self.wanted {
            self.wanted = true;
            self.tries = 0;
            self.sequence = self.sequence.wrapping_add(1);
            self.next = self.asked.map_or(now, |asked| now.max(asked + FLOOR));
        }
    }

    /// The key frame is here.
    pub(super) fn arrived(&mut self) {
        self.wanted = false;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.wanted.then_some(self.next)
    }

    /// If a request is due, notes that it goes out and gives its command sequence number.
    pub(super) fn ask(&mut self, now: Instant) -> Option<u8> {
        if !self.wanted || self.next > now {
            return None;
        }
        self.asked = Some(now);
        self.next = now + FLOOR;
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            self.wanted = false;
        }
        Some(self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn wishes_merge_and_are_repeated_until_answered() {
        let mut key_frames = KeyFrames::default();
        key_frames.want(at(0));
        key_frames.want(at(1));
        assert!(key_frames.ask(at(1)).is_some());
        assert!(key_frames.ask(at(2)).is_none());
        assert!(key_frames.ask(at(501)).is_some(), "not answered, so asked again");
        key_frames.arrived();
        assert_eq!(key_frames.deadline(), None);
        key_frames.want(at(600));
        assert_eq!(key_frames.deadline(), Some(at(1001)), "the floor holds across wishes");
    }

    #[test]
    fn a_publisher_that_never_answers_is_left_in_peace() {
        let mut key_frames = KeyFrames::default();
        key_frames.want(at(0));
        let mut asked = 0;
        while let Some(next) = key_frames.deadline() {
            asked += usize::from(key_frames.ask(next).is_some());
        }
        assert_eq!(asked, usize::from(TRIES_MAX));
    }
}
