//! Key frame wishes of all viewers of a track, merged into few requests to its publisher.
//!
//! Invariant: at most one request per [`FLOOR`], whatever viewers send; a wish is repeated until a key frame comes or
//! the publisher has been asked often enough to be beyond asking. A numbered request (RFC 5104, full intra) is said again before
//! that, under its number: who has heard it knows it, and to who has not it would be lost for half a second.

use std::time::Duration;

use tidewire_core::time::Instant;

/// The least time between two requests: an encoder that makes key frames faster than this makes nothing else.
const FLOOR: Duration = Duration::from_millis(500);

/// When a numbered request that was not answered is said again: a round trip, a picture, and an encoder's time later.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// After this many unanswered requests the publisher sends no video at present; the next wish starts over.
const TRIES_MAX: u8 = 20;

#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    wanted: bool,
    tries: u8,
    /// When the last request went out first.
    asked: Option<Instant>,
    /// Command sequence number of full intra requests (RFC 5104 4.3.1.1).
    sequence: u8,
    /// When the next request may go, or the last one again.
    next: Instant,
}

/// How a publisher is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// By full intra requests, the first beside a picture loss indication.
    Numbered,
    /// By picture loss indications, of which each is a request of its own.
    Unnumbered,
}

/// A request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) sequence: u8,
    /// Whether it was said before.
    pub(super) is_repeated: bool,
}

impl KeyFrames {
    pub(crate) fn want(&mut self, now: Instant) {
        if !self.wanted {
            self.wanted = true;
            self.tries = 0;
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

    /// If a request is due, notes that it goes out.
    pub(super) fn ask(&mut self, now: Instant, manner: Manner) -> Option<Due> {
        if !self.wanted || self.next > now {
            return None;
        }
        let said = self.asked.filter(|asked| now < *asked + FLOOR);
        let asked = said.unwrap_or_else(|| self.begin(now));
        self.next = match manner {
            Manner::Numbered => (now + AGAIN_AFTER).min(asked + FLOOR),
            Manner::Unnumbered => asked + FLOOR,
        };
        Some(Due { sequence: self.sequence, is_repeated: said.is_some() })
    }

    /// Begins another request.
    fn begin(&mut self, now: Instant) -> Instant {
        self.asked = Some(now);
        self.sequence = self.sequence.wrapping_add(1);
        self.tries += 1;
        self.wanted = self.tries < TRIES_MAX;
        now
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
        assert!(key_frames.ask(at(1), Manner::Unnumbered).is_some());
        assert!(key_frames.ask(at(2), Manner::Unnumbered).is_none());
        assert_eq!(key_frames.deadline(), Some(at(501)));
        let again = key_frames.ask(at(501), Manner::Unnumbered);
        assert_eq!(again, Some(Due { sequence: 2, is_repeated: false }), "not answered, so asked again");
        key_frames.arrived();
        assert_eq!(key_frames.deadline(), None);
        key_frames.want(at(600));
        assert_eq!(key_frames.deadline(), Some(at(1001)), "the floor holds across wishes");
    }

    #[test]
    fn a_numbered_request_is_said_again_under_its_number_until_the_next_may_go() {
        let mut key_frames = KeyFrames::default();
        key_frames.want(at(0));
        let mut said = Vec::new();
        while let Some(next) = key_frames.deadline().filter(|next| *next <= at(600)) {
            said.extend(key_frames.ask(next, Manner::Numbered).map(|due| (next, due.sequence, due.is_repeated)));
        }
        let first = [(at(0), 1, false), (at(200), 1, true), (at(400), 1, true)];
        assert_eq!(said, [&first[..], &[(at(500), 2, false)]].concat());
        key_frames.arrived();
        key_frames.want(at(610));
        assert_eq!(key_frames.deadline(), Some(at(1_000)), "what was answered is not said again");
    }

    #[test]
    fn a_publisher_that_never_answers_is_left_in_peace() {
        for manner in [Manner::Numbered, Manner::Unnumbered] {
            let mut key_frames = KeyFrames::default();
            key_frames.want(at(0));
            let mut asked = 0;
            while let Some(next) = key_frames.deadline() {
                asked += usize::from(key_frames.ask(next, manner).is_some_and(|due| !due.is_repeated));
            }
            assert_eq!(asked, usize::from(TRIES_MAX));
        }
    }
}
