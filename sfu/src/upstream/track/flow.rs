//! Whether an encoding is sent at present: as its packets show and their absence, and before those can, as its publisher announces.
//!
//! An encoding that is announced as ended is not sent at once; what of it comes within a moment was on its way. One that is
//! announced as begun may be chosen before its first packet. Invariant: packets have the last word. What goes on coming is sent,
//! and what does not come while a sibling does is not, whatever was announced.

use std::time::Duration;

use tidewire_core::codec::allocation::ActiveLayer;
use tidewire_core::codec::{Target, Targets};
use tidewire_core::time::Instant;

use super::Track;

/// See the module's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Silent,
    /// Begun, as its publisher says; nothing of it has come yet.
    Announced,
    Arriving,
}

/// An encoding that was silent for so long, in which a sibling began so many frames, is not sent. Nine frames of a camera; and
/// three of a shared screen's slowest.
const NOT_SENT_AFTER: Duration = Duration::from_millis(300);
const NOT_SENT_AFTER_FRAMES: u8 = 3;

impl Track {
    /// Whether its publisher sends it at present.
    pub(crate) const fn flow(&self) -> Flow {
        self.flow
    }

    /// A packet of it has come. Returns whether it is sent again with that.
    #[inline]
    pub(super) fn arrive(&mut self, now: Instant) -> bool {
        self.flow != Flow::Arriving && self.come_back(now)
    }

    fn come_back(&mut self, now: Instant) -> bool {
        let was_on_its_way = self.flow == Flow::Silent && self.announced.has_just_ended(now);
        if !was_on_its_way {
            self.flow = Flow::Arriving;
        }
        !was_on_its_way
    }

    /// A sibling has begun a frame. Returns whether this one is found not to be sent any longer.
    pub(in crate::upstream) fn miss(&mut self, now: Instant) -> bool {
        self.frames_missed = self.frames_missed.saturating_add(1);
        let silent = self.frames_missed >= NOT_SENT_AFTER_FRAMES
            && now.since(self.last_arrival.max(self.expected_since)) >= NOT_SENT_AFTER;
        silent && std::mem::replace(&mut self.flow, Flow::Silent) != Flow::Silent
    }

    /// Takes note of the layers that its publisher says are sent of it. Returns whether there is something new to choose from.
    pub(in crate::upstream) fn hear_announced<'a>(
        &mut self,
        now: Instant,
        layers: impl Iterator<Item = &'a ActiveLayer>,
    ) -> bool {
        let before = self.look();
        match self.announced.hear(now, layers) {
            Some(true) if self.flow == Flow::Silent => {
                (self.flow, self.frames_missed, self.expected_since) = (Flow::Announced, 0, now);
            }
            Some(false) => self.flow = Flow::Silent,
            Some(true) | None => {}
        }
        self.expect_rates();
        self.look() != before
    }

    /// What a choice depends on, but for rates that move.
    fn look(&self) -> (Flow, Option<(u16, u16)>, Targets, bool) {
        (self.flow, self.size(), self.active(), self.rates_bps().contains(&0))
    }

    /// The targets that are sent at present, as far as the publisher says it.
    pub(crate) fn active(&self) -> Targets {
        Targets(self.active.0 & self.announced.active(&self.targets).0)
    }

    /// Has what was announced stand for the rates that were not measured yet.
    pub(super) fn expect_rates(&mut self) {
        let highest = self.highest();
        for (at, target) in (0..=u8::MAX).zip(&self.targets) {
            let up_to = if Some(at) == highest { ALL_LAYERS } else { *target };
            self.meter.expect(at, self.announced.rate_bps(up_to));
        }
    }
}

const ALL_LAYERS: Target = Target { spatial: u8::MAX, temporal: u8::MAX };

#[cfg(test)]
mod tests {
    use tidewire_core::codec::Kind;
    use tidewire_core::codec::allocation::Picture;
    use tidewire_core::id::Rid;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn encoding() -> Track {
        Track::encoding(0, Rid::from("h").unwrap(), 0)
    }

    fn listed(rate_kbps: u32) -> [ActiveLayer; 1] {
        let picture = Some(Picture { width: 640, height: 360, rate_max: 30 });
        [ActiveLayer { encoding: 0, spatial: 0, rates_kbps: [rate_kbps].into_iter().collect(), picture }]
    }

    /// A packet comes; returns whether the encoding is back with it.
    fn arrives(track: &mut Track, millis: u64) -> bool {
        (track.last_arrival, track.frames_missed) = (at(millis), 0);
        track.arrive(at(millis))
    }

    #[test]
    fn an_encoding_is_not_sent_after_three_frames_of_a_sibling_and_three_hundred_milliseconds() {
        let mut track = encoding();
        assert!(arrives(&mut track, 1_000));
        assert!(!(1_033..1_290).step_by(33).any(|millis| track.miss(at(millis))), "too soon, however many frames");
        assert!(track.miss(at(1_301)), "told once");
        assert!(!track.miss(at(1_334)));
        assert_eq!(track.flow(), Flow::Silent);
        assert!(arrives(&mut track, 8_000));
        assert!(!track.miss(at(9_000)) && !track.miss(at(9_500)), "a sibling that is slow says little");
        assert!(track.miss(at(10_000)));
    }

    #[test]
    fn what_was_on_its_way_does_not_bring_back_what_has_ended_and_what_goes_on_does() {
        let mut track = encoding();
        arrives(&mut track, 1_000);
        assert!(track.hear_announced(at(1_010), [].iter()));
        assert_eq!(track.flow(), Flow::Silent, "at once");
        assert!(!arrives(&mut track, 1_020) && !arrives(&mut track, 1_309));
        assert!(arrives(&mut track, 1_310), "it is sent, whatever is announced");
        assert!(!track.hear_announced(at(1_400), [].iter()), "nor does it help to say it again");
        assert_eq!(track.flow(), Flow::Arriving);
    }

    #[test]
    fn what_is_announced_and_does_not_come_is_not_sent() {
        let mut track = encoding();
        assert!(track.hear_announced(at(5_000), listed(500).iter()));
        assert_eq!(track.flow(), Flow::Announced);
        assert!(!(5_033..5_290).step_by(33).any(|millis| track.miss(at(millis))));
        assert!(track.miss(at(5_300)));
        assert!(!track.hear_announced(at(5_310), listed(500).iter()), "no news");
        assert_eq!(track.flow(), Flow::Silent);
        assert!(arrives(&mut track, 5_320), "a packet is news");
    }

    #[test]
    fn rates_and_sizes_are_news_when_nothing_is_known_better() {
        let mut track = encoding();
        track.hear_announced(at(0), listed(500).iter());
        assert_eq!((track.size(), track.rates_bps()), (Some((640, 360)), &[500_000][..]));
        assert!(!track.hear_announced(at(1), listed(450).iter()), "rates move");
        assert_eq!(track.rates_bps(), [450_000]);
        track.size = Some((1280, 720));
        assert!(!track.hear_announced(at(2), listed(450).iter()));
        assert_eq!((track.size(), track.size_at(0)), (Some((1280, 720)), None), "a key frame knows better");
        let mut lone = Track::lone(0, Kind::Video, None);
        assert!(lone.hear_announced(at(0), listed(500).iter()));
    }
}
