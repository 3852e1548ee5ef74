//! What viewers want of an upstream's tracks, all together, as its publisher is told it.
//!
//! In one pass after the other every viewer says what it would take if it were sent. More is told at once, since somebody
//! waits for it; less only when a while has passed in which nobody wanted more, since encoders take a key frame to come back.
//! Told on change, and again now and then: the way to the publisher may lose what it has no room for.

use std::time::Duration;

use tidewire_core::codec::Target;
use tidewire_core::time::Instant;

/// A viewer who resizes a window wants less for a moment.
const LESS_AFTER: Duration = Duration::from_secs(2);

/// How often what holds is told again.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// No layer is too high.
pub(crate) const NO_LIMIT: Target = Target { spatial: u8::MAX, temporal: u8::MAX };

/// Of each track the highest layers that anybody wants; `None` where nobody wants it.
type Shares = Vec<Option<Target>>;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Demand {
    told: Shares,
    gathered: Shares,
    less_since: Option<Instant>,
    told_at: Option<Instant>,
    /// Whether more is wanted than was told.
    grown: bool,
}

impl Demand {
    /// At first everything: what is not known yet cannot be wanted less.
    pub(super) fn new(tracks: usize) -> Self {
        Self {
            told: vec![Some(NO_LIMIT); tracks],
            gathered: vec![None; tracks],
            less_since: None,
            told_at: None,
            grown: false,
        }
    }

    /// Somebody wants a track up to these layers.
    pub(crate) fn want(&mut self, track: u8, layers: Target) {
        let at = usize::from(track);
        if let (Some(gathered), Some(told)) = (self.gathered.get_mut(at), self.told.get_mut(at)) {
            *gathered = Some(either(*gathered, layers));
            let more = Some(either(*told, layers));
            self.grown |= *told != more;
            *told = more;
        }
    }

    /// Whether anybody has wanted any of these tracks in this pass.
    pub(crate) fn is_any_wanted(&self, mut tracks: std::ops::Range<usize>) -> bool {
        tracks.any(|at| self.gathered.get(at).is_some_and(Option::is_some))
    }

    /// Everybody was asked.
    pub(crate) fn end_pass(&mut self, now: Instant) {
        if self.gathered == self.told {
            self.less_since = None;
        } else if now.since(*self.less_since.get_or_insert(now)) >= LESS_AFTER {
            self.told.clone_from(&self.gathered);
            self.less_since = None;
            self.told_at = None;
        }
        self.gathered.fill(None);
    }

    /// What to tell the publisher now, of each track, if anything is to be told.
    pub(crate) fn tell(&mut self, now: Instant) -> Option<&[Option<Target>]> {
        let repeats = self.told_at.is_none_or(|at| now.since(at) >= REPEAT_AFTER);
        if !std::mem::take(&mut self.grown) && !repeats {
            return None;
        }
        self.told_at = Some(now);
        Some(&self.told)
    }
}

fn either(one: Option<Target>, other: Target) -> Target {
    one.map_or(other, |one| Target {
        spatial: one.spatial.max(other.spatial),
        temporal: one.temporal.max(other.temporal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Target = Target { spatial: 0, temporal: u8::MAX };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn less_is_told_after_two_seconds_and_more_at_once() {
        let mut demand = Demand::new(2);
        assert_eq!(demand.tell(at(0)), Some(&[Some(NO_LIMIT); 2][..]), "the publisher begins with all");
        for millis in (500..2_500).step_by(500) {
            demand.want(0, LOW);
            demand.end_pass(at(millis));
            assert_eq!(demand.tell(at(millis)), None);
        }
        demand.want(0, LOW);
        demand.end_pass(at(2_500));
        assert_eq!(demand.tell(at(2_500)), Some(&[Some(LOW), None][..]));
        demand.want(1, LOW);
        assert_eq!(demand.tell(at(2_600)), Some(&[Some(LOW); 2][..]), "before the pass is over");
        assert_eq!(demand.tell(at(2_600)), None);
        assert!(demand.tell(at(12_600)).is_some(), "again, should it have been lost");
    }

    #[test]
    fn what_is_wanted_again_within_two_seconds_was_never_less() {
        let mut demand = Demand::new(1);
        demand.tell(at(0));
        demand.end_pass(at(500));
        demand.want(0, NO_LIMIT);
        demand.end_pass(at(2_000));
        demand.end_pass(at(2_600));
        assert_eq!(demand.tell(at(2_600)), None);
    }
}
