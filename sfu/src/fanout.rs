//! Second phase: what was accepted goes to everybody who hears it, viewer by viewer.
//!
//! It works in rounds, which can stop after any viewer and go on later, so that a key frame to a thousand viewers never
//! holds up receiving. All packets of a round for one viewer follow each other, audio first, so that the egress can send
//! them as one train. Audio has a round of its own, which goes first, while another is under way or when not everything
//! can go out in one slice. What comes while a round is under way goes to those whom it has passed, and joins it where it
//! stands: so nobody's delay grows with the viewers that come behind, and those get both in one train. What waits for a
//! round, and what is dropped when rounds take too long, is `waiting`'s.

use tidewire_core::codec::Kind;
use tidewire_core::count::Tally;
use tidewire_core::limits::{BEHIND_AFTER, FOLLOW_WITHIN, ROUND_LEN_MAX};
use tidewire_core::machine::{Egress, Progress};
use tidewire_core::time::Instant;

use crate::round::{Floor, Round};
use crate::upstream::Accepted;
use crate::waiting::Waiting;

/// Something that every viewer of a track gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    Packet {
        upstream: u32,
        accepted: Accepted,
    },
    /// The publisher's latest sender report.
    Report {
        upstream: u32,
        track: u8,
    },
}

impl Item {
    pub(crate) const fn is_audio(&self) -> bool {
        matches!(self, Self::Packet { accepted: Accepted { kind: Kind::Audio, .. }, .. })
    }
}

/// A session's packets on their way out.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    waiting: Waiting,
    main: Round,
    /// What came since, on its way to those whom the main round has passed.
    after: Round,
    audio: Round,
}

impl FanOut {
    /// Queues an item, for which others may have to go. Returns the track whose key frame is needed since.
    pub(crate) fn push(&mut self, now: Instant, item: Item, tally: &mut Tally) -> Option<(u32, u8)> {
        let under_way = if self.after.items.is_empty() { &self.main.items } else { &self.after.items };
        self.waiting.push(now, item, under_way, tally)
    }

    /// Whether anything has waited for so long that the shard must be called behind.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        self.waiting.since().is_some_and(|since| now.since(since) > BEHIND_AFTER)
    }

    /// An upstream is gone.
    pub(crate) fn forget(&mut self, upstream: u32) {
        self.waiting.forget(upstream);
    }

    /// Goes on until everything is sent or the budget is used up.
    pub(crate) fn run<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        loop {
            self.load(viewers.len(), floor);
            if self.audio.run(viewers, floor) == Progress::More {
                return Progress::More;
            }
            self.follow(viewers, floor);
            if self.main.run(viewers, floor) == Progress::More {
                return Progress::More;
            }
            std::mem::swap(&mut self.main, &mut self.after);
            if self.main.items.is_empty() && self.waiting.is_empty() {
                return Progress::Done;
            }
        }
    }

    /// Where the rounds stand in the list of viewers, for whoever takes somebody out of it.
    pub(crate) fn cursors(&mut self) -> [&mut usize; 3] {
        [&mut self.main.cursor, &mut self.after.cursor, &mut self.audio.cursor]
    }

    /// Moves what waits into rounds. Audio goes along with the rest only where all of it goes out in this slice: else
    /// the last viewer's would wait for the first one's video, and be overtaken by audio that comes meanwhile.
    fn load<E>(&mut self, viewers: usize, floor: &mut Floor<'_, E>) {
        let is_idle = self.main.items.is_empty();
        // A viewer who starts is told of two clocks besides.
        let fits = viewers.saturating_mul(self.waiting.len() + 2) <= *floor.budget;
        if is_idle && fits && self.audio.items.is_empty() {
            self.waiting.take_audio(&mut self.main.items);
        } else if self.audio.items.is_empty() {
            self.waiting.take_audio(&mut self.audio.items);
        }
        if is_idle {
            self.waiting.take_rest(&mut self.main.items, floor.upstreams, floor.tally);
            self.main.begun = floor.now;
        } else if self.may_follow(floor.now) {
            self.waiting.take_rest(&mut self.after.items, floor.upstreams, floor.tally);
            self.after.begun = floor.now;
        }
    }

    /// Whether what waits may go to those whom the main round has passed: where the shard keeps up. Where it does not, rounds
    /// that gather more have longer trains, and that is what it needs.
    fn may_follow(&self, now: Instant) -> bool {
        let fits = self.main.items.len() + self.waiting.len() <= ROUND_LEN_MAX;
        let keeps_up = self.waiting.is_whole() && self.waiting.since().is_some_and(|at| now.since(at) < FOLLOW_WITHIN);
        fits && keeps_up && self.after.items.is_empty() && now.since(self.main.begun) < FOLLOW_WITHIN
    }

    /// Serves those whom the main round has passed with what came since. It joins that round when all of them have it, and
    /// takes its place when that is done first. Until then they share the budget, the main round with the smaller part: those
    /// behind wait anyway, and get longer trains. But they do not wait for ever.
    fn follow<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) {
        if self.after.items.is_empty() || floor.now.since(self.main.begun) >= FOLLOW_WITHIN {
            return;
        }
        let mains = *floor.budget / MAIN_SHARE;
        *floor.budget -= mains;
        let progress = self.after.serve(&viewers[..self.main.cursor.min(viewers.len())], floor);
        *floor.budget += mains;
        if progress == Progress::Done {
            self.main.items.append(&mut self.after.items);
            self.after.cursor = 0;
        }
    }
}

/// The part of a slice that a round keeps while what came since goes to those whom it has passed.
const MAIN_SHARE: usize = 4;
