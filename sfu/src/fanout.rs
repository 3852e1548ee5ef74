//! Second phase: what was accepted goes to everybody who hears it, viewer by viewer.
//!
//! It works in rounds, which can stop after any viewer and go on later, so that a key frame to a thousand viewers never
//! holds up receiving. All packets of a round for one viewer follow each other, audio first, so that the egress can send
//! them as one train. Audio has a round of its own, which goes first, while another is under way or when not everything
//! can go out in one slice. What comes while a round is under way goes to those whom it has passed, and joins it where it
//! stands: so nobody's delay grows with the viewers that come behind, and those get both in one train. So it is again with
//! what comes while two rounds are under way. What waits for a round, and what is dropped when rounds take too long, is
//! `waiting`'s.

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
    /// Each on its way to those whom the one before it has passed; those behind the first that is empty are empty too.
    rounds: [Round; ROUNDS],
    audio: Round,
}

/// Rounds at a time: what came first, and what came at two moments since.
const ROUNDS: usize = 3;

impl FanOut {
    /// Queues an item, for which others may have to go. Returns the track whose key frame is needed since.
    pub(crate) fn push(&mut self, now: Instant, item: Item, tally: &mut Tally) -> Option<(u32, u8)> {
        self.waiting.push(now, item, self.rounds.iter().flat_map(|round| &round.items), tally)
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
            let [first, second, ..] = &mut self.rounds;
            if first.run(viewers, floor) == Progress::More {
                return Progress::More;
            }
            if !second.items.is_empty() {
                self.rounds.rotate_left(1);
            } else if self.waiting.is_empty() {
                return Progress::Done;
            }
        }
    }

    /// Where the rounds stand in the list of viewers, for whoever takes somebody out of it.
    pub(crate) fn cursors(&mut self) -> [&mut usize; ROUNDS + 1] {
        let [first, second, third] = &mut self.rounds;
        [first, second, third, &mut self.audio].map(|round| &mut round.cursor)
    }

    fn is_idle(&self) -> bool {
        let [first, ..] = &self.rounds;
        first.items.is_empty()
    }

    /// Moves what waits into rounds. Audio goes along with the rest only where all of it goes out in this slice: else
    /// the last viewer's would wait for the first one's video, and be overtaken by audio that comes meanwhile.
    fn load<E>(&mut self, viewers: usize, floor: &mut Floor<'_, E>) {
        let is_idle = self.is_idle();
        // A viewer who starts is told of two clocks besides.
        let fits = viewers.saturating_mul(self.waiting.len() + 2) <= *floor.budget;
        if is_idle && fits && self.audio.items.is_empty() {
            self.waiting.take_audio(&mut self.rounds[0].items);
        } else if self.audio.items.is_empty() {
            self.waiting.take_audio(&mut self.audio.items);
        }
        let may_begin = is_idle || self.may_follow(floor.now);
        if let Some(free) = self.rounds.iter_mut().find(|round| round.items.is_empty() || is_idle).filter(|_| may_begin)
        {
            self.waiting.take_rest(&mut free.items, floor.upstreams, floor.tally);
            free.begun = floor.now;
        }
    }

    /// Whether what waits may go to those whom the rounds have passed: where the shard keeps up. Where it does not, rounds
    /// that gather more have longer trains, and that is what it needs.
    fn may_follow(&self, now: Instant) -> bool {
        let under_way: usize = self.rounds.iter().map(|round| round.items.len()).sum();
        let fits = under_way + self.waiting.len() <= ROUND_LEN_MAX;
        let keeps_up = self.waiting.is_whole() && self.waiting.since().is_some_and(|at| now.since(at) < FOLLOW_WITHIN);
        fits && keeps_up && self.is_young(now)
    }

    fn is_young(&self, now: Instant) -> bool {
        let [first, ..] = &self.rounds;
        now.since(first.begun) < FOLLOW_WITHIN
    }

    /// Serves those whom a round has passed with what came since, the newest first. It joins that round when all of them have
    /// it, and takes its place when that is done first. Until then they share the budget, the first and then the second with
    /// the smaller part: those behind wait anyway, and get longer trains. But they do not wait for ever.
    fn follow<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) {
        let [_, second, ..] = &self.rounds;
        if second.items.is_empty() || !self.is_young(floor.now) {
            return;
        }
        let firsts = *floor.budget / OLDER_SHARE;
        *floor.budget -= firsts;
        for newer in (1..ROUNDS).rev() {
            let [.., before, round] = &mut self.rounds[..=newer] else { return };
            let kept = if newer > 1 { *floor.budget / OLDER_SHARE } else { 0 };
            *floor.budget -= kept;
            let passed = &viewers[..before.cursor.min(viewers.len())];
            // Packets are levelled with their round's first viewer, and so not before those of the round that they join.
            let is_done = passed.is_empty() || round.serve(passed, floor) == Progress::Done;
            *floor.budget += kept;
            if is_done {
                before.items.append(&mut round.items);
                round.cursor = 0;
                self.rounds[newer..].rotate_left(1);
            }
        }
        *floor.budget += firsts;
    }
}

/// The part of a slice that older rounds keep while what came since goes to those whom they have passed.
const OLDER_SHARE: usize = 4;
