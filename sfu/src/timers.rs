//! Deadlines of a shard's connections, each with its reason, and of its sessions.
//!
//! Some may come a little late: those are taken along by whatever else wakes the shard, and wake it themselves only when their
//! slack is over.
//!
//! A heap of (time, timer); what is rearmed earlier leaves its older entry behind, which is recognised when it fires
//! since the owner no longer expects it at that time. So arming is a push and nothing is ever searched for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tidewire_core::id::ConnectionId;
use tidewire_core::time::Instant;

/// Why a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The client's consent may have run out.
    Consent,
    /// The upstream has something to tell its publisher: a report, a NACK, a key frame request.
    Feedback,
    /// Packets of the publisher have arrived of which it was not told (transport-wide feedback).
    Arrivals,
    /// The connection is observed, and a second is over.
    Observation,
    /// It is time to look who wants what of the upstream's layers.
    Review,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) connection: ConnectionId,
    pub(crate) reason: Reason,
}

/// How late a timer may be whose owner has time: a few wake-ups of a shard at work, a fifth of the interval of feedback.
pub(crate) const SLACK: Duration = Duration::from_millis(20);

/// When a timer's owner expects it next.
pub(crate) type Armed = Option<Instant>;

/// Deadlines of connections, or of whatever else has only one kind of them.
///
/// Invariant: what is armed at a time that is being worked off comes after it, so that nobody who is due again at once, or
/// could not do what was due, keeps all others waiting for ever.
#[derive(Debug)]
pub(crate) struct Timers<T = Timer> {
    heap: BinaryHeap<Reverse<(Instant, T)>>,
    /// Deadlines before this have been worked off.
    earliest: Instant,
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), earliest: Instant::ORIGIN }
    }
}

impl<T: Copy + Ord> Timers<T> {
    /// Sees to it that `timer` fires at `at` or earlier; `armed` is the owner's memory of when it fires anyway.
    pub(crate) fn arm(&mut self, timer: T, at: Instant, armed: &mut Armed) {
        let at = at.max(self.earliest);
        if armed.is_none_or(|before| at < before) {
            self.heap.push(Reverse((at, timer)));
            *armed = Some(at);
        }
    }

    /// The next timer whose time has come, with that time. Stale ones come too: compare with what the owner expects.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.earliest = now + Duration::from_nanos(1);
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_deadline_overtakes_and_a_later_one_is_no_entry() {
        let mut timers = Timers::default();
        let timer = Timer { connection: ConnectionId { slot: 1, generation: 0 }, reason: Reason::Feedback };
        let mut armed = None;
        timers.arm(timer, Instant::from_millis(20), &mut armed);
        timers.arm(timer, Instant::from_millis(30), &mut armed);
        timers.arm(timer, Instant::from_millis(10), &mut armed);
        assert_eq!(timers.next(), Some(Instant::from_millis(10)));
        assert_eq!(timers.pop(Instant::from_millis(5)), None);
        assert_eq!(timers.pop(Instant::from_millis(25)).map(|due| due.0), Some(Instant::from_millis(10)));
        assert_eq!(timers.pop(Instant::from_millis(25)).map(|due| due.0), Some(Instant::from_millis(20)));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn whoever_is_due_again_at_once_comes_behind_everybody_else() {
        let now = Instant::from_millis(20);
        let mut timers = Timers::default();
        let mut armed = [None; 3];
        (0..3).for_each(|one| timers.arm(one, Instant::from_millis(one as u64), &mut armed[one]));
        let mut come = Vec::new();
        while let Some((at, one)) = timers.pop(now) {
            assert_eq!(armed[one].take(), Some(at));
            timers.arm(one, at, &mut armed[one]);
            come.push(one);
        }
        assert_eq!(come, [0, 1, 2]);
        assert!(timers.next().is_some_and(|at| at > now));
    }
}
