//! Layers switched at random over a bad network: a model decoder never gets what it cannot decode, and no number jumps.

use std::time::Duration;

use tidewire_core::id::Label;
use tidewire_core::message::quality::Wish;
use tidewire_core::random::Seeded;
use tidewire_core::sim::Link;
use tidewire_core::time::Instant;

use crate::layered::{self, Family, Goal, RIDS, Scene};

/// 5 % loss; 40 ms round trip, with up to 4 ms of jitter each way where packets of a picture are 1 ms apart; 2 % come 30 ms later
/// than that, behind all others of their picture; 1 % come twice.
const BAD: Link = Link {
    loss: 50_000,
    doubling: 10_000,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(4),
    strays: 20_000,
    astray: Duration::from_millis(30),
};

/// Nothing is lost, but every tenth packet is overtaken by many.
const UNRULY: Link = Link { loss: 0, strays: 100_000, ..BAD };

const PERFECT: Link = Link { delay: Duration::from_millis(20), ..Link::NONE };

const VIEWERS: usize = 2;

/// When wishes stop changing, and when the publisher stops.
const SETTLED: Instant = Instant::from_millis(4_000);
const END: Instant = Instant::from_millis(6_500);

/// Within so long a viewer has what it wishes, and nothing else from then on.
const WITHIN: Duration = Duration::from_secs(1);

/// VP8 by itself tells of an upper temporal layer only where it can be entered from the one below. The simulated encoder makes such a
/// frame for each layer once in 400 ms, so from the lowest layer to the third it takes 750 ms where nothing is lost, and
/// where one of these frames is lost (or so late that others passed), 400 ms more. It is so for 2 of 6,000 viewers.
const CLIMB: Duration = Duration::from_millis(1_200);
const CLIMBERS_MAX: usize = 1;

/// A publisher, viewers whose wishes change at random, then a while in which they do not. Returns how many viewers had to
/// climb for longer than others wait.
fn run(family: Family, seed: u64, link: Link) -> usize {
    let what = format!("{family:?}, seed {seed}");
    let mut random = Seeded::new(seed ^ 0x5eed);
    let mut scene = Scene::new(family, seed, link, END);
    (0..VIEWERS).for_each(|_| scene.watch());
    scene.run(Duration::from_millis(500));
    while scene.call.world.now < SETTLED {
        let viewer = random.below(VIEWERS as u64) as usize;
        let (wish, _) = family.draw(&mut random);
        scene.prefer(viewer, wish);
        // Each viewer every 100 to 1000 ms.
        scene.run(Duration::from_millis(50 + random.below(450)));
    }
    let settled = scene.call.world.now;
    let goals: Vec<Option<Goal>> = (0..VIEWERS)
        .map(|viewer| {
            let (wish, goal) = family.draw(&mut random);
            scene.prefer(viewer, wish);
            goal
        })
        .collect();
    scene.run(END.since(settled) + Duration::from_secs(1));
    scene.assert_sound(&what);
    let is_climber = |(viewer, goal)| is_late(&scene, &format!("{what}, viewer {viewer}"), (viewer, goal), settled);
    goals.into_iter().enumerate().filter(|one| is_climber(*one)).count()
}

/// Checks what a viewer has seen since it wished for the last time; returns whether it had to climb for so long.
fn is_late(scene: &Scene, what: &str, (viewer, goal): (usize, Option<Goal>), settled: Instant) -> bool {
    let (sized, whole) = scene.reached(viewer, goal, (settled, END));
    assert!(sized.is_some_and(|sized| sized <= WITHIN), "{what} has another picture than {goal:?} after {sized:?}");
    let has_to_climb = scene.family.climbs() && goal.is_some_and(|goal| goal.2 == 2);
    let patience = if has_to_climb { CLIMB } else { WITHIN };
    assert!(whole.is_some_and(|whole| whole <= patience), "{what} has other layers than {goal:?} after {whole:?}");
    assert!(scene.decoder(viewer).log.len() > 10, "{what} saw next to nothing");
    whole > Some(WITHIN)
}

fn run_seeds(family: Family) {
    let mut climbers = 0;
    for seed in 0..100 {
        climbers += run(family, seed, BAD);
    }
    for seed in 100..110 {
        climbers += run(family, seed, UNRULY) + run(family, seed, PERFECT);
    }
    assert!(climbers <= CLIMBERS_MAX, "{family:?}: {climbers} climbed for longer than {WITHIN:?}");
}

macro_rules! every_seed {
    ($($name:ident: $family:ident,)*) => {
        $(
            #[test]
            fn $name() {
                run_seeds(layered::$family);
            }
        )*
    };
}

every_seed! {
    vp8_in_one_encoding_is_decodable_and_its_numbers_go_on: VP8,
    vp8_simulcast_is_decodable_and_its_numbers_go_on: VP8_SIMULCAST,
    vp8_simulcast_with_descriptors_is_decodable_and_its_numbers_go_on: VP8_SIMULCAST_DESCRIBED,
    vp8_simulcast_with_short_picture_ids_is_decodable_and_its_numbers_go_on: VP8_SIMULCAST_SHORT,
    vp8_simulcast_that_leaves_its_layers_to_descriptors_is_decodable_and_its_numbers_go_on: VP8_SIMULCAST_BARE,
    encrypted_vp8_simulcast_is_decodable_and_its_numbers_go_on: VP8_SIMULCAST_ENCRYPTED,
    vp9_simulcast_is_decodable_and_its_numbers_go_on: VP9_SIMULCAST,
    vp9_simulcast_with_short_picture_ids_is_decodable_and_its_numbers_go_on: VP9_SIMULCAST_SHORT,
    vp9_simulcast_in_flexible_mode_is_decodable_and_its_numbers_go_on: VP9_SIMULCAST_FLEXIBLE,
    encrypted_vp9_simulcast_is_decodable_and_its_numbers_go_on: VP9_SIMULCAST_ENCRYPTED,
    vp9_svc_is_decodable_and_its_numbers_go_on: VP9_SVC,
    vp9_svc_with_short_picture_ids_is_decodable_and_its_numbers_go_on: VP9_SVC_SHORT,
    vp9_svc_in_flexible_mode_is_decodable_and_its_numbers_go_on: VP9_SVC_FLEXIBLE,
    vp9_svc_with_descriptors_is_decodable_and_its_numbers_go_on: VP9_SVC_DESCRIBED,
    encrypted_vp9_svc_is_decodable_and_its_numbers_go_on: VP9_SVC_ENCRYPTED,
    vp9_key_svc_is_decodable_and_its_numbers_go_on: VP9_KEY_SVC,
    h264_simulcast_is_decodable_and_its_numbers_go_on: H264_SIMULCAST,
    h264_simulcast_with_descriptors_is_decodable_and_its_numbers_go_on: H264_SIMULCAST_DESCRIBED,
    encrypted_h264_simulcast_is_decodable_and_its_numbers_go_on: H264_SIMULCAST_ENCRYPTED,
    h265_is_decodable_and_its_numbers_go_on: H265,
    av1_in_one_encoding_is_decodable_and_its_numbers_go_on: AV1,
    av1_simulcast_is_decodable_and_its_numbers_go_on: AV1_SIMULCAST,
    av1_svc_is_decodable_and_its_numbers_go_on: AV1_SVC,
    encrypted_av1_svc_is_decodable_and_its_numbers_go_on: AV1_SVC_ENCRYPTED,
    av1_key_svc_is_decodable_and_its_numbers_go_on: AV1_KEY_SVC,
}

const LONG: Instant = Instant::from_millis(60_000);

/// A viewer of a video in three encodings, for a second already.
fn watched(family: Family, seed: u64, link: Link) -> Scene {
    let mut scene = Scene::new(family, seed, link, LONG);
    scene.watch();
    scene.run(Duration::from_secs(2));
    scene
}

/// Runs for `patience`, then for a second in which the viewer sees this and nothing else.
fn expect(scene: &mut Scene, what: &str, goal: Option<Goal>, patience: Duration) {
    scene.run(patience);
    let since = scene.call.world.now;
    scene.run(Duration::from_secs(1));
    scene.assert_shown(what, 0, goal, (since, scene.call.world.now));
}

#[test]
fn another_publisher_goes_on_with_the_numbers_of_the_one_before() {
    for family in [layered::VP8_PLAIN, layered::VP9_PLAIN, layered::AV1_PLAIN, layered::VP8_SIMULCAST, layered::AV1_SVC]
    {
        for seed in 0..10 {
            let mut scene = watched(family, seed, UNRULY);
            for _ in 0..3 {
                let before = scene.decoder(0).log.len();
                scene.publish(true, LONG);
                scene.run(Duration::from_secs(1));
                assert!(scene.decoder(0).log.len() > before + 10, "{family:?}, seed {seed}");
            }
            scene.assert_sound(&format!("{family:?}, seed {seed}"));
        }
    }
}

const SIMULCAST: [Family; 4] =
    [layered::VP8_SIMULCAST, layered::VP9_SIMULCAST, layered::H264_SIMULCAST, layered::AV1_SIMULCAST];

#[test]
fn an_encoding_that_stops_is_left_for_the_next_one_and_taken_again_when_it_returns() {
    for (family, seed) in SIMULCAST.into_iter().flat_map(|family| (0..10).map(move |seed| (family, seed))) {
        let what = format!("{family:?}, seed {seed}");
        let mut scene = watched(family, seed, UNRULY);
        let top = family.top();
        expect(&mut scene, &what, Some(top), Duration::ZERO);
        for lost in [2, 1] {
            scene.publisher().turn(lost, false);
            expect(&mut scene, &what, Some((lost as u8 - 1, top.1, top.2)), Duration::from_secs(1));
        }
        for found in [1, 2] {
            scene.publisher().turn(found, true);
            expect(&mut scene, &what, Some((found as u8, top.1, top.2)), Duration::from_secs(1));
        }
        scene.assert_sound(&what);
    }
}

#[test]
fn a_publisher_that_obeys_sends_what_is_wanted_and_is_back_within_a_second() {
    for (family, seed) in SIMULCAST.into_iter().flat_map(|family| (0..10).map(move |seed| (family, seed))) {
        let what = format!("{family:?}, seed {seed}");
        let mut scene = watched(family, seed, UNRULY);
        scene.obedient = true;
        let top = family.top();
        let thumbnail = Wish { width: Some(160), height: Some(90), ..Wish::default() };
        scene.prefer(0, thumbnail);
        scene.run(Duration::from_secs(4));
        let since = scene.call.world.now;
        scene.run(Duration::from_secs(1));
        let sent = scene.publisher().log.iter().filter(|truth| truth.sent > since);
        let encodings: std::collections::BTreeSet<_> = sent.map(|truth| truth.encoding).collect();
        assert_eq!(encodings, [0].into(), "{what}: what is sent for a thumbnail");
        scene.prefer(0, Wish::default());
        expect(&mut scene, &what, Some(top), Duration::from_secs(1));
        scene.assert_sound(&what);
    }
}

#[test]
fn a_bitrate_chooses_the_best_encoding_that_fits() {
    // They take about 16, 50 and 100 kb/s, and have no temporal layers that could be left out instead.
    let family = layered::H264_SIMULCAST;
    for (bitrate_bps, encoding) in [(5_000, 0), (32_000, 0), (75_000, 1), (1_000_000, 2)] {
        let what = format!("{bitrate_bps} b/s");
        let mut scene = watched(family, 1, PERFECT);
        scene.prefer(0, Wish { bitrate_max_bps: Some(bitrate_bps), ..Wish::default() });
        expect(&mut scene, &what, Some((encoding, 0, 0)), Duration::from_secs(3));
        scene.assert_sound(&what);
    }
}

#[test]
fn many_viewers_that_change_their_minds_draw_one_key_frame_in_500_ms_from_each_encoding() {
    for family in [layered::VP8_SIMULCAST, layered::AV1_KEY_SVC] {
        let mut random = Seeded::new(7);
        let mut scene = Scene::new(family, 3, PERFECT, LONG);
        (0..12).for_each(|_| scene.watch());
        scene.run(Duration::from_secs(1));
        for _ in 0..400 {
            let wish = match family.encodings {
                1 => Wish { spatial: Some(random.below(3) as u8), ..Wish::default() },
                _ => Wish { encoding: Label::new(RIDS[random.below(3) as usize]).ok(), ..Wish::default() },
            };
            scene.prefer(random.below(12) as usize, wish);
            scene.run(Duration::from_millis(10));
        }
        scene.assert_sound("minds that change");
        for (encoding, requests) in scene.publisher().requests().enumerate() {
            let least = requests.windows(2).map(|pair| pair[1].since(pair[0])).min();
            assert!(least.is_none_or(|least| least >= Duration::from_millis(499)), "encoding {encoding}: {least:?}");
        }
        assert!(scene.publisher().requests().any(|requests| requests.len() > 4), "minds were changed");
    }
}
