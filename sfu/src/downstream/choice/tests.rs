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
        flow: Flow::Arriving,
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
    camera[2].flow = Flow::Silent;
    let choice = choose(&camera, &Wish::default(), None, None);
    assert_eq!(choice.aim.map(|aim| aim.track), Some(2));
    assert_eq!((choice.reason, choice.wanted), (LayerReason::NotSent, Some((3, NO_LIMIT))));
    camera[1].flow = Flow::Silent;
    assert_eq!(chosen(&camera, &Wish::default()), (Some(1), LayerReason::NotSent));
    (camera[0].flow, camera[1].flow) = (Flow::Silent, Flow::Arriving);
    assert_eq!(chosen(&camera, &shown(100, 100)), (Some(2), LayerReason::NotSent), "nothing lower");
    camera[1].flow = Flow::Silent;
    assert_eq!(chosen(&camera, &Wish::default()), (Some(3), LayerReason::Best), "nothing at all: the best is awaited");
}

#[test]
fn what_is_announced_is_awaited_by_whoever_has_a_picture_and_not_by_whoever_has_none() {
    let mut camera = camera();
    camera[2].flow = Flow::Announced;
    let from = |track| choose(&camera, &Wish::default(), None, track).aim.map(|aim| aim.track);
    assert_eq!(from(Some(Aim { track: 1, target: TOP, spatial: 0 })), Some(3));
    assert_eq!(from(None), Some(2));
    camera.iter_mut().for_each(|one| one.flow = Flow::Announced);
    assert_eq!(chosen(&camera, &Wish::default()), (Some(3), LayerReason::Best), "there is no other");
}

#[test]
fn while_nothing_is_sent_a_viewer_stays_where_it_is() {
    let mut camera = camera();
    camera.iter_mut().for_each(|one| one.flow = Flow::Silent);
    let choice = choose(&camera, &Wish::default(), None, Some(Aim { track: 2, target: TOP, spatial: 0 }));
    assert_eq!((choice.aim.map(|aim| aim.track), choice.reason), (Some(2), LayerReason::NotSent));
    assert_eq!(choice.wanted, Some((3, NO_LIMIT)));
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
    let targets: Vec<_> = (0..3).flat_map(|spatial| (0..3).map(move |temporal| Target { spatial, temporal })).collect();
    let rates_bps: Vec<u32> = (1..=9).map(|n| n * 100_000).collect();
    let svc = Candidate {
        track: 1,
        rid: None,
        size: Some((1280, 720)),
        sizes: [None; SIZES_MAX],
        flow: Flow::Arriving,
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
