//! Which encoding and target of a video a viewer is to get: a pure function of what there is and what is wished.
//!
//! In go a section's encodings with their sizes, rates and targets, the viewer's wish and what its path carries; out come the
//! encoding and target, the reason, and what the viewer would take if all were sent, by which publishers are told what is
//! wanted. Better means: a larger encoding, in it a higher spatial layer, in that a higher temporal layer. It remembers
//! nothing; what the viewer has already it is handed, so that rates which waver do not make the choice waver.

use arrayvec::ArrayVec;
use tidewire_core::codec::{TARGETS_MAX, Target, Targets};
use tidewire_core::id::Rid;
use tidewire_core::limits::ENCODINGS_MAX;
use tidewire_core::message::quality::{LayerReason, Wish};

use crate::upstream::{Flow, NO_LIMIT, TOP, Track};

/// Nobody sees a picture blown up by less than this.
const ENLARGED_PERCENT_MAX: u32 = 120;

/// Of what is allowed, a better target than the present one may take this much: rates waver by as much from second to second.
const BETTER_PERCENT_MAX: u64 = 90;

/// What of an encoding decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// The track's index in its upstream.
    pub(crate) track: u8,
    pub(crate) rid: Option<Rid>,
    /// Of its highest spatial layer, in pixels, and of each as far as the stream says it.
    pub(crate) size: Option<(u16, u16)>,
    pub(crate) sizes: Sizes,
    pub(crate) flow: Flow,
    pub(crate) targets: &'a [Target],
    /// Those of them that are sent while the encoding is.
    pub(crate) active: Targets,
    /// Bits per second of each target, measured or announced; 0 where it is not known.
    pub(crate) rates_bps: &'a [u32],
}

/// Of each spatial layer.
pub(crate) type Sizes = [Option<(u16, u16)>; SIZES_MAX];

/// Spatial layers whose sizes are looked up; VP9 has 8 at most, and encoders make 3. Those above are taken for halvings.
const SIZES_MAX: usize = 4;

/// A track, and a target in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) track: u8,
    /// An index into its targets, or [`TOP`].
    pub(crate) target: u8,
    /// The target's highest spatial layer.
    pub(crate) spatial: u8,
}

/// What a viewer is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Nothing while the viewer has paused.
    pub(crate) aim: Option<Aim>,
    pub(crate) reason: LayerReason,
    /// The track that it would have if all were sent, and the highest layers of it that could be of use.
    pub(crate) wanted: Option<(u8, Target)>,
}

/// A target of an encoding: what can be chosen.
#[derive(Clone, Copy, Debug)]
struct Rung {
    /// Of its encoding among the others, the lowest first.
    rank: u8,
    layers: Target,
    track: u8,
    target: u8,
    /// 0 where it is not known: then it is tried.
    rate_bps: u32,
    size: Option<(u16, u16)>,
    /// Whether its encoding is sent, and it is among what is sent of it.
    flow: Flow,
    is_active: bool,
}

/// All that there is to choose from, the lowest first.
type Ladder = ArrayVec<Rung, { ENCODINGS_MAX * TARGETS_MAX }>;

/// Chooses; `present` is what the viewer has, if it has anything.
pub(crate) fn choose(
    candidates: &[Candidate<'_>],
    wish: &Wish,
    estimate_bps: Option<u64>,
    present: Option<Aim>,
) -> Choice {
    if wish.paused {
        return Choice { aim: None, reason: LayerReason::Paused, wanted: None };
    }
    let ladder = ladder(candidates);
    let bounds = Bounds::new(candidates, &ladder, wish, estimate_bps, present);
    let Some(ideal) = bounds.best(&ladder) else {
        return Choice { aim: None, reason: LayerReason::NotSent, wanted: None };
    };
    let got = bounds.nearest_sent(&ladder, ideal).or_else(|| bounds.present_of(&ladder)).unwrap_or(ideal);
    let reason = if got.order() == ideal.order() { bounds.reason(&ladder, ideal) } else { LayerReason::NotSent };
    let aim = Aim { track: got.track, target: got.target, spatial: got.layers.spatial };
    Choice { aim: Some(aim), reason, wanted: Some((ideal.track, bounds.useful_layers(ideal))) }
}

impl<'a> Candidate<'a> {
    pub(crate) fn of(at: u8, track: &'a Track) -> Self {
        Self {
            track: at,
            rid: track.rid,
            size: track.size(),
            sizes: std::array::from_fn(|spatial| track.size_at(spatial as u8)),
            flow: track.flow(),
            targets: track.targets(),
            active: track.active(),
            rates_bps: track.rates_bps(),
        }
    }

    fn size_at(&self, spatial: u8) -> Option<(u16, u16)> {
        let known = self.sizes.get(usize::from(spatial)).copied().flatten();
        known.or_else(|| halved(self.size?, self.targets, spatial))
    }

    fn area(&self) -> Option<u32> {
        self.size.map(|(width, height)| u32::from(width) * u32::from(height))
    }

    fn rungs(&self, rank: u8) -> impl Iterator<Item = Rung> + '_ {
        let highest = self.targets.iter().max();
        self.targets.iter().enumerate().map(move |(at, layers)| Rung {
            rank,
            layers: *layers,
            track: self.track,
            target: if Some(layers) == highest { TOP } else { at as u8 },
            rate_bps: self.rates_bps.get(at).copied().unwrap_or(0),
            size: self.size_at(layers.spatial),
            flow: self.flow,
            is_active: self.active.has(at as u8),
        })
    }
}

/// The size of a spatial layer's pictures where nobody says it: each layer has half the width and height of the next.
pub(super) fn halved((width, height): (u16, u16), targets: &[Target], spatial: u8) -> Option<(u16, u16)> {
    let highest = targets.iter().map(|target| target.spatial).max()?;
    let halvings = u32::from(highest.saturating_sub(spatial)).min(u16::BITS - 1);
    Some((width >> halvings, height >> halvings))
}

/// Encodings are ranked by the size of their pictures; where that is not known of all, by rate; where that is not known
/// either, by their place in the offer, in the direction that known sizes show. Browsers offer the smallest first.
fn ladder(candidates: &[Candidate<'_>]) -> Ladder {
    let mut ranked: ArrayVec<&Candidate<'_>, ENCODINGS_MAX> = candidates.iter().take(ENCODINGS_MAX).collect();
    let rate = |one: &&Candidate<'_>| one.rates_bps.iter().copied().max().unwrap_or(0);
    if ranked.iter().all(|one| one.size.is_some()) {
        ranked.sort_by_key(|one| one.area());
    } else if ranked.iter().all(|one| rate(one) > 0) {
        ranked.sort_by_key(rate);
    } else {
        let mut areas = ranked.iter().filter_map(|one| one.area());
        if areas.next().is_some_and(|first| areas.any(|area| area < first)) {
            ranked.reverse();
        }
    }
    let mut ladder: Ladder = (0..).zip(ranked).flat_map(|(rank, one)| one.rungs(rank)).collect();
    ladder.sort_by_key(Rung::order);
    ladder
}

impl Rung {
    /// By which rungs are better and worse.
    const fn order(&self) -> (u8, Target) {
        (self.rank, self.layers)
    }

    /// Whether its picture is large enough for a place of this size, in which it is shown whole.
    fn fills(&self, wish: &Wish) -> bool {
        let Some((width, height)) = self.size else { return false };
        let reaches = |own: u16, shown: Option<u16>| {
            shown.is_some_and(|shown| u32::from(own) * ENLARGED_PERCENT_MAX >= u32::from(shown) * 100)
        };
        reaches(width, wish.width) || reaches(height, wish.height)
    }
}

/// What holds a viewer back from the best.
#[derive(Debug)]
struct Bounds<'a> {
    wish: &'a Wish,
    /// The rank of the encoding that is named, if there is such a one.
    named: Option<u8>,
    /// Rank and spatial layer that are large enough for the place in which the video is shown.
    enough: Option<(u8, u8)>,
    limit_bps: Option<u64>,
    present: Option<(u8, Target)>,
}

impl<'a> Bounds<'a> {
    fn new(
        candidates: &[Candidate<'_>],
        ladder: &Ladder,
        wish: &'a Wish,
        estimate_bps: Option<u64>,
        present: Option<Aim>,
    ) -> Self {
        let rank_of = |track: u8| ladder.iter().find(|rung| rung.track == track).map(|rung| rung.rank);
        let name = wish.encoding.as_ref().map(|label| label.as_str());
        let named = candidates.iter().find(|one| name.is_some() && one.rid.as_ref().map(|rid| rid.as_str()) == name);
        let enough = ladder.iter().find(|rung| rung.fills(wish)).map(|rung| (rung.rank, rung.layers.spatial));
        let is_present = |rung: &&Rung| present.is_some_and(|aim| aim.track == rung.track && aim.target == rung.target);
        Self {
            wish,
            named: named.and_then(|one| rank_of(one.track)),
            enough,
            limit_bps: [wish.bitrate_max_bps.map(u64::from), estimate_bps].into_iter().flatten().min(),
            present: ladder.iter().find(is_present).map(Rung::order),
        }
    }

    /// The best that all bounds allow; where none does, the lowest that the viewer named, or the lowest of all.
    fn best(&self, ladder: &Ladder) -> Option<Rung> {
        let allowed = |rung: &&Rung| self.names(rung) && self.shows(rung);
        let best = ladder.iter().rev().filter(allowed).find(|rung| self.affords(rung));
        best.or_else(|| ladder.iter().find(allowed)).or_else(|| ladder.first()).copied()
    }

    /// What is nearest to this rung and sent: the best below, else the lowest above. A target that the viewer has already it
    /// keeps while its encoding is sent: it gets what there is of it, and all of it again when there is more.
    fn nearest_sent(&self, ladder: &Ladder, ideal: Rung) -> Option<Rung> {
        let is_kept = self.present.is_none_or(|present| present == ideal.order());
        if self.is_sent(&ideal) && (ideal.is_active || is_kept) {
            return Some(ideal);
        }
        let below = |rung: &&Rung| rung.order() < ideal.order() && self.names(rung) && self.affords(rung);
        let mut sent = ladder.iter().filter(|rung| self.is_sent(rung) && rung.is_active);
        let best_below = sent.clone().rev().find(below);
        best_below.or_else(|| sent.next()).copied()
    }

    /// Whether the encoding is sent. One that is merely announced may be awaited by a viewer that has a picture meanwhile.
    const fn is_sent(&self, rung: &Rung) -> bool {
        match rung.flow {
            Flow::Arriving => true,
            Flow::Announced => self.present.is_some(),
            Flow::Silent => false,
        }
    }

    /// Where a viewer stays while nothing is sent.
    fn present_of(&self, ladder: &Ladder) -> Option<Rung> {
        ladder.iter().find(|rung| self.present == Some(rung.order())).copied()
    }

    fn names(&self, rung: &Rung) -> bool {
        self.named.is_none_or(|rank| rung.rank <= rank)
            && self.wish.spatial.is_none_or(|limit| rung.layers.spatial <= limit)
            && self.wish.temporal.is_none_or(|limit| rung.layers.temporal <= limit)
    }

    fn shows(&self, rung: &Rung) -> bool {
        self.enough.is_none_or(|enough| (rung.rank, rung.layers.spatial) <= enough)
    }

    fn affords(&self, rung: &Rung) -> bool {
        let Some(limit) = self.limit_bps else { return true };
        let is_better = self.present.is_some_and(|present| rung.order() > present);
        u64::from(rung.rate_bps) * 100 <= limit * if is_better { BETTER_PERCENT_MAX } else { 100 }
    }

    /// Which bound it is that keeps the viewer from better than this.
    fn reason(&self, ladder: &Ladder, ideal: Rung) -> LayerReason {
        let best = |allowed: &dyn Fn(&Rung) -> bool| ladder.iter().rev().find(|rung| allowed(rung)).map(Rung::order);
        let got = Some(ideal.order());
        let sized = best(&|rung| self.names(rung) && self.shows(rung));
        if best(&|_| true) == got {
            LayerReason::Best
        } else if sized != got {
            LayerReason::Bitrate
        } else if best(&|rung| self.names(rung)) != sized {
            LayerReason::Size
        } else {
            LayerReason::Wished
        }
    }

    /// The layers of an encoding above which nothing could be of use to this viewer. Not what its bitrate allows: that is
    /// measured anew whenever the publisher sends other layers, and asking for fewer would change what it was measured by.
    fn useful_layers(&self, ideal: Rung) -> Target {
        let shown =
            self.enough.filter(|(rank, _)| *rank == ideal.rank).map_or(NO_LIMIT.spatial, |(_, spatial)| spatial);
        Target {
            spatial: self.wish.spatial.map_or(shown, |limit| limit.min(shown)),
            temporal: self.wish.temporal.unwrap_or(NO_LIMIT.temporal),
        }
    }
}

#[cfg(test)]
mod tests;
