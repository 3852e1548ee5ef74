//! Scenes: publishers whose packets of 20 ms have given levels, and what is told of them.

use proptest::prelude::*;
use tidewire_core::random::Seeded;

use super::*;

/// No packet at all.
const NONE: u8 = 0xff;
const QUIET: u8 = 65;

struct Scene {
    speakers: Speakers,
    now: Instant,
    sequence: u64,
    places: usize,
    /// When something was told, in milliseconds, and what: publishers by their index.
    told: Vec<(u64, Vec<usize>)>,
    /// Who was heard in each step.
    heard: Vec<Vec<usize>>,
}

impl Scene {
    fn new(places: usize) -> Self {
        let (speakers, told, heard) = (Speakers::default(), Vec::new(), Vec::new());
        Self { speakers, now: Instant::from_millis(5000), sequence: 0, places, told, heard }
    }

    /// A step of 20 ms: a packet of each publisher that has a level.
    fn step(&mut self, levels: &[u8]) {
        self.now += Duration::from_millis(20);
        self.sequence += 1;
        let mut heard = Vec::new();
        for (at, level) in levels.iter().enumerate().filter(|(_, level)| **level != NONE) {
            let sound = Sound::live(self.now, self.sequence, Some(Level::below(*level)));
            let admission = self.speakers.hear(self.now, track(at), &sound, self.places);
            heard.extend((admission != Admission::Unheard).then_some(at));
        }
        self.heard.push(heard);
        if let Some(due) = self.speakers.armed.take_if(|due| *due <= self.now) {
            self.speakers.handle_timeout(self.now, due);
        }
        let told = self.speakers.poll(self.now).map(|told| told.iter().map(|one| one.upstream() as usize).collect());
        self.told.extend(told.map(|told| (self.now.nanos() / 1_000_000, told)));
        let next = self.speakers.deadline(self.now);
        let armed = &mut self.speakers.armed;
        *armed = armed.iter().copied().chain(next).min();
    }

    fn play(&mut self, steps: usize, mut level: impl FnMut(usize) -> Vec<u8>) {
        (0..steps).for_each(|step| self.step(&level(step)));
    }

    fn ms(&self) -> u64 {
        self.now.nanos() / 1_000_000
    }

    /// The active speakers that were told, one after the other.
    fn active(&self) -> Vec<Option<usize>> {
        let mut active: Vec<_> = self.told.iter().map(|(_, told)| told.first().copied()).collect();
        active.dedup();
        active
    }
}

fn track(at: usize) -> TrackKey {
    TrackKey::new(at as u32, 0)
}

/// Words of 200 to 500 ms around a level, with short gaps between them, and now and then a pause.
struct Talker {
    random: Seeded,
    dbov: u8,
    word: u64,
    gap: u64,
}

impl Talker {
    fn new(seed: u64, dbov: u8) -> Self {
        Self { random: Seeded::new(seed), dbov, word: 15, gap: 0 }
    }

    fn level(&mut self) -> u8 {
        if self.gap > 0 {
            self.gap -= 1;
            return QUIET;
        }
        if self.word == 0 {
            self.word = 10 + self.random.below(15);
            self.gap = if self.random.below(12) == 0 { 10 + self.random.below(7) } else { 2 + self.random.below(6) };
            return QUIET;
        }
        self.word -= 1;
        self.dbov - 4 + self.random.below(9) as u8
    }
}

#[test]
fn whoever_speaks_over_silence_is_told_of_within_300_ms() {
    for dbov in [10, 25, 40] {
        let mut scene = Scene::new(0);
        scene.play(100, |_| vec![QUIET, QUIET, NONE]);
        let begun = scene.ms();
        scene.play(50, |_| vec![QUIET, dbov, NONE]);
        let (at, told) = scene.told.first().unwrap();
        assert!(told == &[1] && at - begun <= 220, "at -{dbov} dBov {told:?} after {} ms", at - begun);
        assert_eq!(scene.told.len(), 1);
    }
}

#[test]
fn noise_with_claps_coughs_of_180_ms_and_doors_is_nobody() {
    for seed in 0..20 {
        let (mut scene, mut random) = (Scene::new(0), Seeded::new(seed));
        let mut bursts = [0; 10];
        scene.play(3000, |step| {
            let each = bursts.iter_mut().map(|burst: &mut u64| {
                if step > 50 && *burst == 0 && random.below(100) == 0 {
                    *burst = 1 + random.below(9) + 30;
                }
                *burst = burst.saturating_sub(1);
                // 30 steps lie between two bursts of one publisher.
                if *burst >= 30 { 10 + random.below(20) as u8 } else { 47 + random.below(7) as u8 }
            });
            each.collect()
        });
        assert_eq!(scene.told, [], "seed {seed}");
    }
}

#[test]
fn two_who_take_turns_are_each_told_once_a_turn() {
    for seed in 0..20 {
        let mut scene = Scene::new(0);
        let mut talkers = [Talker::new(seed, 25), Talker::new(seed + 100, 35)];
        let mut begun = Vec::new();
        for turn in 0..20 {
            scene.play(15, |_| vec![QUIET, QUIET]);
            begun.push(scene.ms());
            talkers[turn % 2].word = 15;
            talkers[turn % 2].gap = 0;
            scene.play(150, |_| {
                let mut levels = vec![QUIET, QUIET];
                levels[turn % 2] = talkers[turn % 2].level();
                levels
            });
        }
        let turns: Vec<_> = (0..20).map(|turn| Some(turn % 2)).collect();
        assert_eq!(scene.active(), turns, "seed {seed}: {:?}", scene.told);
        for (turn, begun) in begun.into_iter().enumerate() {
            let told = scene.told.iter().find(|(at, told)| *at > begun && told.first() == Some(&(turn % 2))).unwrap();
            assert!(told.0 - begun <= 300, "seed {seed}, turn {turn}: after {} ms", told.0 - begun);
        }
    }
}

#[test]
fn two_who_talk_over_each_other_are_both_told_and_the_active_one_stays() {
    for seed in 0..50 {
        let mut scene = Scene::new(0);
        let mut talkers = [Talker::new(seed, 28), Talker::new(seed + 100, 30)];
        scene.play(50, |_| vec![talkers[0].level(), QUIET]);
        scene.play(3000, |_| talkers.iter_mut().map(Talker::level).collect());
        assert_eq!(scene.active(), [Some(0)], "seed {seed}");
        assert_eq!(scene.told.last().unwrap().1, [0, 1]);
    }
}

#[test]
fn who_is_much_louder_for_long_takes_over_and_a_cough_does_not() {
    let mut scene = Scene::new(0);
    let mut talker = Talker::new(7, 40);
    scene.play(200, |_| vec![talker.level(), QUIET]);
    scene.play(20, |_| vec![talker.level(), 15]);
    scene.play(200, |_| vec![talker.level(), QUIET]);
    assert_eq!(scene.active(), [Some(0)]);
    let begun = scene.ms();
    scene.play(150, |_| vec![talker.level(), 20]);
    let taken = scene.told.iter().find(|(_, told)| told.first() == Some(&1)).unwrap().0 - begun;
    assert!((400..1500).contains(&taken), "{taken} ms");
    assert_eq!(scene.active(), [Some(0), Some(1)]);
}

#[test]
fn a_mute_and_packets_that_stop_end_speech_after_a_second() {
    for silence in [127, NONE] {
        let mut scene = Scene::new(0);
        scene.play(50, |_| vec![30]);
        let stopped = scene.ms();
        scene.play(100, |_| vec![silence]);
        assert_eq!(scene.told.last().unwrap(), &(stopped + 1000, vec![]));
        assert_eq!(scene.active(), [Some(0), None]);
    }
}

#[test]
fn a_machine_that_stands_still_silences_nobody_who_goes_on() {
    for stood_still_ms in (700..1_500).step_by(50).chain([60_000]) {
        let mut scene = Scene::new(0);
        scene.play(50, |_| vec![30, 30]);
        scene.now += Duration::from_millis(stood_still_ms);
        // Nothing has come yet when the shard wakes.
        scene.play(30, |_| vec![NONE, NONE]);
        scene.play(100, |_| vec![30, NONE]);
        let told: Vec<_> = scene.told.iter().map(|(_, told)| told.clone()).collect();
        assert_eq!(told.last(), Some(&vec![0]), "{stood_still_ms} ms: {told:?}");
        assert!(!told.contains(&Vec::new()), "{stood_still_ms} ms: {told:?}");
    }
}

#[test]
fn pauses_in_discontinuous_speech_do_not_end_it() {
    let mut scene = Scene::new(0);
    // A comfort noise packet every 400 ms (RFC 7587 3.1.3 has them) in a pause of 800 ms.
    for _ in 0..20 {
        scene.play(60, |_| vec![30]);
        scene.play(40, |step| vec![if step % 20 == 19 { 70 } else { NONE }]);
    }
    assert_eq!(scene.active(), [Some(0)]);
}

#[test]
fn a_speaker_who_leaves_is_told_of_at_once() {
    let mut scene = Scene::new(2);
    scene.play(50, |_| vec![30, 30]);
    scene.speakers.forget(scene.now, track(0));
    scene.play(1, |_| vec![NONE, 30]);
    assert_eq!(scene.told.last().unwrap().1, [1]);
    scene.speakers.forget(scene.now, track(1));
    scene.play(1, |_| vec![NONE, NONE]);
    assert!(scene.told.last().unwrap().1.is_empty());
    assert_eq!(scene.speakers.deadline(scene.now), None);
}

#[test]
fn a_track_without_levels_is_heard_and_never_speaks() {
    let mut speakers = Speakers::default();
    for sequence in 1..100 {
        let now = Instant::from_millis(20 * sequence);
        let sound = |level| Sound::live(now, sequence, level);
        assert_eq!(speakers.hear(now, track(0), &sound(None), 1), Admission::Heard);
        assert!(speakers.hear(now, track(1), &sound(Some(Level::below(20))), 1) != Admission::Unheard);
        assert!(speakers.poll(now).is_none_or(|told| told == [track(1)]));
    }
}

#[test]
fn whoever_says_no_levels_any_longer_speaks_no_longer() {
    let mut speakers = Speakers::default();
    let mut told = Vec::new();
    for sequence in 1..200 {
        let now = Instant::from_millis(20 * sequence);
        if let Some(due) = speakers.armed.take_if(|due| *due <= now) {
            speakers.handle_timeout(now, due);
        }
        let level = (sequence < 50).then_some(Level::below(20));
        speakers.hear(now, track(0), &Sound::live(now, sequence, level), 0);
        told.extend(speakers.poll(now).map(<[_]>::to_vec));
        speakers.armed = speakers.armed.into_iter().chain(speakers.deadline(now)).min();
    }
    assert_eq!(told, [vec![track(0)], vec![]]);
}

#[test]
fn ten_who_talk_in_turn_are_each_heard_from_their_first_word_and_never_more_than_three() {
    let mut scene = Scene::new(3);
    let mut talkers: Vec<_> = (0..10).map(|seed| Talker::new(seed, 30)).collect();
    for turn in 0..40 {
        let own = turn * 7 % 10;
        let before = (turn + 39) * 7 % 10;
        let from = scene.heard.len();
        (talkers[own].word, talkers[own].gap) = (20, 0);
        // For 300 ms the one before has not ended.
        scene.play(60, |step| {
            let talks = |at| at == own || (at == before && step < 15);
            (0..10).map(|at| if talks(at) { talkers[at].level() } else { QUIET }).collect()
        });
        let unheard = scene.heard[from..].iter().filter(|heard| !heard.contains(&own)).count();
        assert_eq!(unheard, 0, "turn {turn}: packets of publisher {own} were lost");
        let ended = scene.heard[from..from + 15].iter().filter(|heard| !heard.contains(&before)).count();
        assert!(ended == 0 || turn == 0, "turn {turn}: publisher {before} was cut off");
    }
    // Whoever gives up a seat may have been heard in the same step.
    let gone = |pair: &[Vec<usize>]| pair[0].iter().filter(|at| !pair[1].contains(at)).count();
    assert!(scene.heard.windows(2).all(|pair| pair[0].len() <= 3 + gone(pair)));
}

#[test]
fn where_all_talk_at_once_the_loudest_are_heard_and_seats_change_seldom() {
    let mut scene = Scene::new(3);
    let mut talkers: Vec<_> = (0..6).map(|at| Talker::new(at, 50 - 6 * at as u8)).collect();
    scene.play(1000, |_| talkers.iter_mut().map(Talker::level).collect());
    assert_eq!(scene.heard.last().unwrap(), &[3, 4, 5]);
    let changes = scene.heard.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes < 20, "{changes} changes in 20 s");
}

#[test]
fn a_packet_that_comes_late_takes_no_seat() {
    let mut speakers = Speakers::default();
    let mut hear = |at, ms, sequence, dbov| {
        let now = Instant::from_millis(ms);
        speakers.hear(now, track(at), &Sound::live(now, sequence, Some(Level::below(dbov))), 1)
    };
    assert_eq!(hear(0, 100, 9, QUIET), Admission::HeardAgain);
    assert_eq!(hear(1, 900, 9, 20), Admission::HeardAgain);
    assert_eq!((hear(0, 1600, 8, 20), hear(0, 1620, 10, 20)), (Admission::Unheard, Admission::HeardAgain));
}

proptest! {
    #[test]
    fn whatever_a_hundred_publishers_do_little_is_told(seed: u64, eager in 1u64..60) {
        let (mut scene, mut random) = (Scene::new(3), Seeded::new(seed));
        let mut levels = vec![NONE; 100];
        for _ in 0..250 {
            for level in &mut levels {
                if random.below(100) < eager {
                    *level = if random.below(5) == 0 { NONE } else { random.below(128) as u8 };
                }
            }
            if random.below(50) == 0 {
                scene.speakers.forget(scene.now, track(random.below(100) as usize));
            }
            scene.step(&levels);
        }
        for (at, told) in &scene.told {
            let within = scene.told.iter().filter(|(other, _)| (*at..*at + 1000).contains(other)).count();
            prop_assert!(within <= 8, "{within} within a second: {:?}", scene.told);
            let once: std::collections::BTreeSet<_> = told.iter().collect();
            prop_assert!(told.len() <= SPEAKERS_MAX && once.len() == told.len());
        }
    }

    #[test]
    fn never_more_than_the_places_are_heard_between_two_changes(seed: u64, places in 1usize..8) {
        let (mut speakers, mut random) = (Speakers::default(), Seeded::new(seed));
        let mut heard = std::collections::BTreeSet::new();
        for sequence in 1..2000u64 {
            let (at, now) = (random.below(20) as usize, Instant::from_millis(sequence * 5));
            let level = Level::below(random.below(128) as u8);
            match speakers.hear(now, track(at), &Sound::live(now, sequence, Some(level)), places) {
                Admission::HeardAgain => heard = [at].into(),
                Admission::Heard => drop(heard.insert(at)),
                Admission::Unheard => prop_assert!(!heard.contains(&at), "cut off though nobody came"),
            }
            prop_assert!(heard.len() <= places);
        }
    }
}
