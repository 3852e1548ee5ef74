//! Who speaks, and who is heard where only the loudest are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::machine::Machine;
use tidewire_core::message::{Event, Request};
use tidewire_core::sim::{Content, Delivery, Link, Viewer};
use tidewire_core::time::Instant;

use crate::call::Call;
use crate::guest::Guest;
use crate::stage::{Speaker, clock, run};

const DELAY: Duration = Duration::from_millis(5);
const PERFECT: Link = Link { loss: 0, doubling: 0, delay: DELAY, jitter: Duration::ZERO, ..Link::NONE };
const QUIET: u8 = 70;
const NAMES: [&str; 10] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"];

fn join(call: &mut Call, names: &[&str]) -> Vec<Speaker> {
    let speakers = names.iter().map(|name| Speaker::join(call, name)).collect();
    run(call, 300);
    speakers
}

/// The lists of speakers among events.
fn told(events: Vec<Event>) -> Vec<Vec<String>> {
    let list = |event| match event {
        Event::Speakers { speakers, .. } => Some(speakers.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    events.into_iter().filter_map(list).collect()
}

/// Everybody sends 20 ms, those in `loud` at -25 dBov. Returns the contents of the loud, and what was told.
fn step(call: &mut Call, speakers: &mut [Speaker], loud: &[usize]) -> (Vec<Content>, Vec<Vec<String>>) {
    let mut words = Vec::new();
    for (at, speaker) in speakers.iter_mut().enumerate() {
        let is_loud = loud.contains(&at);
        let content = speaker.say(call, if is_loud { 25 } else { QUIET });
        words.extend(is_loud.then_some(content));
    }
    (words, told(run(call, 20)))
}

#[test]
fn a_speaker_is_told_within_300_ms_and_again_when_it_falls_silent_or_leaves() {
    let mut call = Call::new(1, PERFECT);
    let mut speakers = join(&mut call, &NAMES[..3]);
    let mut all = Vec::new();
    let mut play = |call: &mut Call, steps: u64, loud: &[usize]| {
        for at in 0..steps {
            all.extend(step(call, &mut speakers, loud).1.into_iter().map(|told| (at * 20, told)));
        }
        std::mem::take(&mut all)
    };
    assert_eq!(play(&mut call, 50, &[]), []);
    let begun = play(&mut call, 50, &[1]);
    assert!(begun.len() == 1 && begun[0].0 <= 280 && begun[0].1 == ["p1"], "{begun:?}");
    assert_eq!(play(&mut call, 100, &[]).pop().unwrap().1, Vec::<String>::new());
    assert_eq!(play(&mut call, 50, &[2]).pop().unwrap().1, ["p2"]);
    let connection = speakers[2].key;
    call.request(Request::Close { connection });
    assert_eq!(told(run(&mut call, 20)), [Vec::<String>::new()]);
}

#[test]
fn whoever_stops_sending_is_told_of_by_the_clock_alone() {
    let mut call = Call::new(2, PERFECT);
    let mut speakers = join(&mut call, &NAMES[..1]);
    for _ in 0..20 {
        step(&mut call, &mut speakers, &[0]);
    }
    assert_eq!(told(run(&mut call, 2000)), [Vec::<String>::new()]);
}

/// What came of each outgoing stream, in its order.
fn by_stream(viewer: &Viewer) -> Vec<Vec<Delivery>> {
    let mut streams = BTreeMap::<u32, Vec<Delivery>>::new();
    for delivery in &viewer.log {
        streams.entry(delivery.ssrc).or_default().push(*delivery);
    }
    streams.values_mut().for_each(|deliveries| deliveries.sort_by_key(|delivery| delivery.sequence));
    streams.into_values().collect()
}

#[test]
fn of_ten_who_talk_in_turn_three_are_forwarded_and_nobody_misses_a_word() {
    let jitter = Link { jitter: Duration::from_millis(30), ..PERFECT };
    for (seed, link) in [(3, PERFECT), (4, jitter)] {
        let mut call = Call::of_loudest(3, seed, link);
        let mut speakers = join(&mut call, &NAMES);
        let early = Guest::join(&mut call, "sea", &NAMES);
        run(&mut call, 300);
        let mut words = Vec::new();
        for turn in 0..40 {
            if turn == 20 {
                Guest::join(&mut call, "sea", &NAMES);
            }
            for at in 0..40 {
                // For 200 ms the one before goes on.
                let loud = [turn * 3 % 10, (turn + 39) * 3 % 10];
                words.extend(step(&mut call, &mut speakers, &loud[..if at < 10 { 2 } else { 1 }]).0);
            }
        }
        run(&mut call, 1000);
        assert_eq!(words.len(), 40 * 50);
        check(early.viewer(&call), &words, link.jitter);
        for viewer in call.world.viewers() {
            by_stream(viewer).iter().for_each(|deliveries| assert_unbroken(deliveries));
        }
        let tally = call.world.machine.tally();
        assert!(tally.discarded(Discard::NotAmongLoudest) > 9000, "{}", tally.discarded(Discard::NotAmongLoudest));
        assert!(link.jitter > Duration::ZERO || tally.of(Counter::NacksReceived) == 0);
    }
}

/// Sequence numbers go on one by one, and timestamps keep the publisher's clock.
fn assert_unbroken(deliveries: &[Delivery]) {
    let offset = |one: &Delivery| one.timestamp.wrapping_sub(clock(one.content.sent));
    for pair in deliveries.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence, "{pair:?}");
        assert!(pair[0].content.number < pair[1].content.number, "{pair:?}");
        assert_eq!(offset(&pair[0]), offset(&pair[1]), "{pair:?}");
    }
}

fn check(viewer: &Viewer, words: &[Content], jitter: Duration) {
    let came: BTreeMap<_, _> = viewer.log.iter().map(|delivery| (delivery.content, delivery.at)).collect();
    for word in words {
        let at = came.get(word).unwrap_or_else(|| panic!("a word is missing: {word:?}"));
        assert!(at.since(word.sent) <= DELAY + jitter, "{word:?} came at {at:?}");
    }
    let mut sent = BTreeMap::<Instant, BTreeSet<u32>>::new();
    for content in came.keys() {
        sent.entry(content.sent).or_default().insert(content.stream);
    }
    // Whoever gives up a seat may have been forwarded in the same 20 ms.
    let steps: Vec<_> = sent.into_values().collect();
    assert!(steps.windows(2).all(|pair| pair[0].len() <= 3 + pair[0].difference(&pair[1]).count()));
    assert!(steps.iter().filter(|heard| heard.len() > 3).count() <= 40);
}
