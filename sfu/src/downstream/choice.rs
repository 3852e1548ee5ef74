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

use crate::upstream::{NO_LIMIT, TOP, Track};

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
    pub(crate) is_sent: bool,
    pub(crate) targets: &'a [Target],
    /// Those of them that are sent while the encoding is.
    pub(crate) active: Targets,
    /// Bits per second of each target; 0 where it is not known.
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
    is_sent: bool,
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
    let got = bounds.nearest_sent(&ladder, ideal).unwrap_or(ideal);
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
            is_sent: track.is_sent(),
            targets: track.targets(),
            active: track.active(),
            rates_bps: track.rates_bps(),
        }
    }

    /// The size of a spatial layer's pictures; where the stream does not say it, each has half the width and height of the next.
    pub(crate) fn size_at(&self, spatial: u8) -> Option<(u16, u16)> {
        if let Some(said) = self.sizes.get(usize::from(spatial)).copied().flatten() {
            return Some(said);
        }
        let highest = self.targets.iter().map(|target| target.spatial).max()?;
        let halvings = u32::from(highest.saturating_sub(spatial)).min(u16::BITS - 1);
        self.size.map(|(width, height)| (width >> halvings, height >> halvings))
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
            is_sent: self.is_sent,
            is_active: self.active.has(at as u8),
        })
    }
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
        if ideal.is_sent && (ideal.is_active || is_kept) {
            return Some(ideal);
        }
        let below = |rung: &&Rung| rung.order() < ideal.order() && self.names(rung) && self.affords(rung);
        let mut sent = ladder.iter().filter(|rung| rung.is_sent && rung.is_active);
        let best_below = sent.clone().rev().find(below);
        best_below.or_else(|| sent.next()).copied()
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
mod tests {
    use tidewire_core::id::Label;

    use super::*;

    const LONE: [Target; 1] = [Target { spatial: 0, temporal: 0 }];

    /// Three encodings as Chromium sends a camera.
    fn camera() -> [Candidate<'static>; 3] {
        let of = |track: u8, rid: &str, size, rates_bps: &'static [u32; 1]| Candidate {
            track,
            rid: Rid::from(rid).ok(),
            size: Some(size),
            sizes: [None; SIZES_MAX],
            is_sent: true,
            targets: &LONE,
            active: Targets::ALL,
            rates_bps,
        };
        [of(1, "q", (320, 180), &[150_000]), of(2, "h", (640, 360), &[500_000]), of(3, "f", (1280, 720), &[1_700_000])]
    }

    fn shown(width: u16, height: u16) -> Wish {
        Wish { width: Some(width), height: Some(height), ..Wish::default() }
    }

    fn chosen(candidates: &[Candidate<'_>], wish: &Wish) -> (Option<u8>, LayerReason) {
        let choice = choose(candidates, wish, None, None);
        (choice.aim.map(|aim| aim.track), choice.reason)
    }

    #[test]
    fn a_wish_and_what_it_comes_to() {
        let named = |name: &str| Wish { encoding: Label::new(name).ok(), ..Wish::default() };
        let limited = |bps| Wish { bitrate_max_bps: Some(bps), ..Wish::default() };
        let table = [
            (Wish::default(), Some(3), LayerReason::Best),
            (shown(1920, 1080), Some(3), LayerReason::Best),
            (shown(640, 360), Some(2), LayerReason::Size),
            (shown(384, 216), Some(1), LayerReason::Size),
            (shown(386, 218), Some(2), LayerReason::Size),
            // Shown whole in a high and narrow place: its width decides.
            (shown(300, 900), Some(1), LayerReason::Size),
            (named("h"), Some(2), LayerReason::Wished),
            (named("f"), Some(3), LayerReason::Best),
            (named("x"), Some(3), LayerReason::Best),
            (limited(600_000), Some(2), LayerReason::Bitrate),
            (limited(1), Some(1), LayerReason::Bitrate),
            (Wish { bitrate_max_bps: Some(200_000), ..shown(640, 360) }, Some(1), LayerReason::Bitrate),
            (Wish { encoding: Label::new("h").ok(), ..shown(100, 100) }, Some(1), LayerReason::Size),
            (Wish { paused: true, ..Wish::default() }, None, LayerReason::Paused),
        ];
        for (wish, track, reason) in table {
            assert_eq!(chosen(&camera(), &wish), (track, reason), "{wish:?}");
        }
    }

    #[test]
    fn what_is_not_sent_is_replaced_by_the_next_lower_and_stays_wanted() {
        let mut camera = camera();
        camera[2].is_sent = false;
        let choice = choose(&camera, &Wish::default(), None, None);
        assert_eq!(choice.aim.map(|aim| aim.track), Some(2));
        assert_eq!((choice.reason, choice.wanted), (LayerReason::NotSent, Some((3, NO_LIMIT))));
        camera[1].is_sent = false;
        assert_eq!(chosen(&camera, &Wish::default()), (Some(1), LayerReason::NotSent));
        (camera[0].is_sent, camera[1].is_sent) = (false, true);
        assert_eq!(chosen(&camera, &shown(100, 100)), (Some(2), LayerReason::NotSent), "nothing lower");
        camera[1].is_sent = false;
        assert_eq!(
            chosen(&camera, &Wish::default()),
            (Some(3), LayerReason::Best),
            "nothing at all: the best is awaited"
        );
    }

    #[test]
    fn rates_that_waver_do_not_make_the_choice_waver() {
        let mut camera = camera();
        let wish = Wish { bitrate_max_bps: Some(500_000), ..Wish::default() };
        let present = |track| Some(Aim { track, target: TOP, spatial: 0 });
        assert_eq!(choose(&camera, &wish, None, present(2)).aim.map(|aim| aim.track), Some(2));
        assert_eq!(choose(&camera, &wish, None, present(1)).aim.map(|aim| aim.track), Some(1), "too near to go up");
        camera[1].rates_bps = &[440_000];
        assert_eq!(choose(&camera, &wish, None, present(1)).aim.map(|aim| aim.track), Some(2));
        assert_eq!(choose(&camera, &wish, Some(430_000), present(2)).aim.map(|aim| aim.track), Some(1));
    }

    #[test]
    fn encodings_are_ranked_by_size_else_by_rate_else_by_the_offer() {
        let mut camera = camera();
        camera.reverse();
        assert_eq!(chosen(&camera, &Wish::default()).0, Some(3), "whatever the order of the offer");
        camera[1].size = None;
        assert_eq!(chosen(&camera, &Wish::default()).0, Some(3), "by rate");
        camera[1].rates_bps = &[0];
        assert_eq!(chosen(&camera, &Wish::default()).0, Some(3), "the known sizes fall");
        camera.iter_mut().for_each(|one| (one.size, one.rates_bps) = (None, &[0]));
        assert_eq!(chosen(&camera, &Wish::default()).0, Some(1), "nothing is known: the last of the offer is the best");
    }

    #[test]
    fn layers_of_one_encoding_are_chosen_by_the_same_rules() {
        let targets: Vec<_> =
            (0..3).flat_map(|spatial| (0..3).map(move |temporal| Target { spatial, temporal })).collect();
        let rates_bps: Vec<u32> = (1..=9).map(|n| n * 100_000).collect();
        let svc = Candidate {
            track: 1,
            rid: None,
            size: Some((1280, 720)),
            sizes: [None; SIZES_MAX],
            is_sent: true,
            targets: &targets,
            active: Targets::ALL,
            rates_bps: &rates_bps,
        };
        let target = |wish: &Wish| choose(&[svc], wish, None, None).aim.map(|aim| (aim.target, aim.spatial));
        assert_eq!(target(&Wish::default()), Some((TOP, 2)));
        assert_eq!(target(&shown(640, 360)), Some((5, 1)));
        assert_eq!(target(&Wish { temporal: Some(0), ..Wish::default() }), Some((6, 2)));
        assert_eq!(target(&Wish { temporal: Some(1), spatial: Some(0), ..Wish::default() }), Some((1, 0)));
        assert_eq!(target(&Wish { bitrate_max_bps: Some(450_000), ..Wish::default() }), Some((3, 1)));
        let wanted = |wish: &Wish| choose(&[svc], wish, None, None).wanted.map(|(_, layers)| layers);
        assert_eq!(wanted(&shown(640, 360)), Some(Target { spatial: 1, ..NO_LIMIT }));
        assert_eq!(wanted(&Wish { bitrate_max_bps: Some(1), ..Wish::default() }), Some(NO_LIMIT));
        assert_eq!(wanted(&shown(5000, 5000)), Some(NO_LIMIT), "nothing is large enough");
        let reduced = Candidate { active: Targets(0b111), ..svc };
        let has = |target, spatial| Some(Aim { track: 1, target, spatial });
        let aim = |present| choose(&[reduced], &Wish::default(), None, present).aim.map(|aim| aim.target);
        assert_eq!(aim(has(TOP, 2)), Some(TOP), "kept, for when there is more again");
        assert_eq!(aim(has(0, 0)), Some(2), "nobody turns to what is not sent");
    }
}
