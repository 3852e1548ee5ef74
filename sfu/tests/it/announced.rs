//! What a publisher announces of its encodings (the video layers allocation): viewers turn by it before packets, or their absence,
//! could have told; and whatever nonsense is announced, it costs its publisher's viewers little and nobody else anything.

use std::time::Duration;

use tidewire_core::count::Counter;
use tidewire_core::machine::Machine;
use tidewire_core::message::quality::{LayerReason, Wish};
use tidewire_core::random::Seeded;

use crate::studio::{FRAME_MS, Got, Studio};

/// Width and height of each encoding, and the rate that it is to take in kilobits per second.
const ENCODINGS: [(u16, u16, u32); 3] = [(320, 180, 150), (640, 360, 500), (1280, 720, 1_700)];

/// An allocation of `own` packet: these encodings are sent, each with one layer.
fn allocation(own: usize, active: &[usize], with_sizes: bool) -> Vec<u8> {
    if active.is_empty() {
        return vec![0];
    }
    let mut bytes = vec![(own as u8) << 6 | 2 << 4];
    let mask = |at: usize| u8::from(active.contains(&at));
    bytes.extend([mask(0) << 4 | mask(1), mask(2) << 4]);
    // One temporal layer of each: two bits, all zero.
    bytes.push(0);
    for at in active {
        let mut kbps = ENCODINGS[*at].2;
        while kbps > 0x7f {
            bytes.push(0x80 | (kbps & 0x7f) as u8);
            kbps >>= 7;
        }
        bytes.push(kbps as u8);
    }
    for at in active.iter().filter(|_| with_sizes) {
        let (width, height, _) = ENCODINGS[*at];
        bytes.extend([(width - 1).to_be_bytes(), (height - 1).to_be_bytes()].concat());
        bytes.push(30);
    }
    bytes
}

/// Has each encoding that runs announce with its next frame that these are sent.
fn announce(studio: &mut Studio, active: &[usize]) {
    for at in (0..studio.encodings.len()).filter(|at| studio.encodings[*at].runs) {
        studio.allocations.insert(at, allocation(at, active, true));
    }
}

/// Stops and starts encodings, and announces it.
fn turn(studio: &mut Studio, active: &[usize]) {
    for (at, encoding) in studio.encodings.iter_mut().enumerate() {
        encoding.key_frame_wanted |= !encoding.runs;
        encoding.runs = active.contains(&at);
    }
    announce(studio, active);
}

fn shown(log: &[Got]) -> Option<u8> {
    Some(log.iter().rev().find_map(Got::said)?.encoding)
}

/// A camera with three encodings of which all is announced, and a viewer that has the best for a while.
fn running() -> (Studio, usize) {
    let mut studio = Studio::new(3);
    announce(&mut studio, &[0, 1, 2]);
    let viewer = studio.watch(true);
    studio.pass(1_500);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2));
    (studio, viewer)
}

fn received(studio: &Studio) -> u64 {
    studio.table.tally().of(Counter::AllocationsReceived)
}

fn refused(studio: &Studio) -> u64 {
    studio.table.tally().of(Counter::AllocationsRefused)
}

#[test]
fn an_encoding_that_is_announced_as_ended_is_left_within_two_frames() {
    let (mut studio, viewer) = running();
    turn(&mut studio, &[0, 1]);
    // The frame with the news, and the key frame that was asked for with it.
    studio.pass(2 * FRAME_MS);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(1));
    studio.pass(1_000);
    assert_eq!(studio.watchers[viewer].layers.last().unwrap().1, LayerReason::NotSent);
}

#[test]
fn an_encoding_that_ends_without_a_word_is_left_after_its_silence() {
    let (mut studio, viewer) = running();
    studio.encodings[2].runs = false;
    studio.pass(2 * FRAME_MS);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2), "this is what the announcement saves");
    studio.pass(500);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(1));
}

#[test]
fn an_encoding_that_is_announced_as_begun_is_asked_for_a_key_frame_at_once() {
    let (mut studio, viewer) = running();
    turn(&mut studio, &[0, 1]);
    studio.pass(1_000);
    let asked = studio.encodings[2].key_frame_requests;
    announce(&mut studio, &[0, 1, 2]);
    studio.pass(FRAME_MS);
    assert_eq!(studio.encodings[2].key_frame_requests, asked + 1, "nothing of it has come yet");
    assert_eq!(shown(&studio.watchers[viewer].log), Some(1), "which goes on meanwhile");
    studio.encodings[2].runs = true;
    studio.pass(FRAME_MS);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2));
}

#[test]
fn an_encoding_that_is_announced_and_does_not_come_is_given_up_and_not_believed_again() {
    let (mut studio, viewer) = running();
    turn(&mut studio, &[0]);
    studio.pass(1_000);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(0));
    let before = studio.watchers[viewer].layers.len();
    for _ in 0..20 {
        announce(&mut studio, &[0, 1, 2]);
        studio.pass(100);
    }
    assert_eq!(shown(&studio.watchers[viewer].log), Some(0));
    let told: Vec<_> = studio.watchers[viewer].layers[before..].iter().map(|(_, reason)| *reason).collect();
    assert_eq!(told, [LayerReason::Waiting, LayerReason::NotSent]);
}

#[test]
fn sizes_are_known_before_the_first_key_frame_so_a_small_place_never_gets_a_larger_encoding() {
    let mut studio = Studio::quiet(3);
    let viewer = studio.watch(true);
    studio.prefer(viewer, Wish { width: Some(600), height: Some(340), ..Wish::default() });
    studio.encodings[0].runs = true;
    studio.allocations.insert(0, allocation(0, &[0, 1, 2], true));
    studio.pass(FRAME_MS);
    turn(&mut studio, &[0, 1, 2]);
    studio.allocations.clear();
    studio.pass(3_000);
    let mut encodings: Vec<_> =
        studio.watchers[viewer].log.iter().filter_map(Got::said).map(|said| said.encoding).collect();
    encodings.dedup();
    assert_eq!(encodings, [0, 1], "without sizes the largest would have been tried first");
    assert!(studio.demands.last().unwrap().iter().map(|one| one.active).eq([false, true, false]));
}

#[test]
fn a_bitrate_chooses_by_what_is_announced_until_it_is_measured() {
    let mut studio = Studio::quiet(3);
    let viewer = studio.watch(true);
    studio.prefer(viewer, Wish { bitrate_max_bps: Some(600_000), ..Wish::default() });
    turn(&mut studio, &[0, 1, 2]);
    studio.pass(900);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(1), "the largest would take 1.7 Mb/s");
    studio.pass(2_000);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2), "in truth it takes less");
}

#[test]
fn a_viewer_is_told_the_size_of_what_it_gets_though_the_key_frame_does_not_say_it() {
    let mut studio = Studio::new(3);
    studio.encodings.iter_mut().for_each(|encoding| encoding.size = (0, 0));
    announce(&mut studio, &[0, 1, 2]);
    let viewer = studio.watch(true);
    studio.pass(1_000);
    let (layer, _) = studio.watchers[viewer].layers.last().unwrap();
    assert_eq!((layer.width, layer.height), (Some(1280), Some(720)));
}

#[test]
fn what_was_announced_before_a_change_of_demand_does_not_make_the_demand_flap() {
    let (mut studio, viewer) = running();
    let active = |studio: &Studio| studio.demands.last().unwrap().iter().map(|one| one.active).collect::<Vec<_>>();
    // The demand for the middle one alone is obeyed; what was announced before is still on its way behind that.
    studio.prefer(viewer, Wish { width: Some(600), height: Some(340), ..Wish::default() });
    studio.pass(3_500);
    assert_eq!(active(&studio), [false, true, false]);
    turn(&mut studio, &[1]);
    studio.pass(50);
    studio.allocations.insert(1, allocation(1, &[0, 1, 2], true));
    studio.pass(50);
    announce(&mut studio, &[1]);
    let told = studio.demands.len();
    studio.pass(3_000);
    assert_eq!(studio.demands.len(), told, "nothing changed");
    // The largest is wanted again, and comes back behind what says that it is off.
    studio.prefer(viewer, Wish::default());
    assert_eq!(active(&studio), [false, true, true], "at once");
    announce(&mut studio, &[1]);
    studio.pass(50);
    assert_eq!(active(&studio), [false, true, true]);
    turn(&mut studio, &[1, 2]);
    studio.pass(2 * FRAME_MS);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2));
    studio.pass(3_000);
    let since: Vec<Vec<bool>> =
        studio.demands[told..].iter().map(|all| all.iter().map(|one| one.active).collect()).collect();
    assert_eq!(since, [[false, true, true], [false, false, true]], "more once, less once");
}

#[test]
fn an_allocation_that_another_overtook_is_corrected_before_anybody_has_turned() {
    let (mut studio, viewer) = running();
    let before = studio.watchers[viewer].log.len();
    for (at, active) in [(0, &[0, 1][..]), (2, &[0, 1, 2])] {
        studio.allocations.insert(at, allocation(at, active, true));
        studio.frame(at, false, 1).into_iter().for_each(|made| studio.send(made));
    }
    studio.pass(1_000);
    let since = studio.watchers[viewer].log[before..].iter().filter_map(Got::said);
    assert!(since.map(|said| said.encoding).all(|encoding| encoding == 2));
}

#[test]
fn an_allocation_of_encodings_that_were_not_agreed_on_changes_nothing() {
    let (mut studio, viewer) = running();
    let (before, requests) = (received(&studio), studio.encodings[1].key_frame_requests);
    let mut fourth = allocation(0, &[0], true);
    fourth[0] |= 1 << 4;
    fourth[2] |= 1;
    let nonsense = [fourth, allocation(1, &[0, 1], true), vec![0x20, 0x00], vec![0xff; 40], vec![0x01]];
    let count = nonsense.len() as u64;
    for bytes in nonsense {
        studio.allocations.insert(0, bytes);
        studio.pass(FRAME_MS);
    }
    assert_eq!((received(&studio), refused(&studio)), (before, count));
    assert_eq!(studio.encodings[1].key_frame_requests, requests);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2));
}

#[test]
fn an_allocation_in_a_late_packet_is_not_heard() {
    let (mut studio, viewer) = running();
    let before = received(&studio);
    studio.allocations.insert(0, allocation(0, &[0, 1], true));
    let late = studio.frame(0, false, 1).remove(0);
    let next = studio.frame(0, false, 1).remove(0);
    studio.send(next);
    studio.send(late);
    assert_eq!(received(&studio), before);
    studio.pass(200);
    assert_eq!(shown(&studio.watchers[viewer].log), Some(2));
}

/// What a while of lies draws: key frame requests of each encoding, events for the viewer, and demands told.
struct Drawn {
    requests: Vec<u64>,
    layers: usize,
    demands: usize,
    pictures: usize,
}

/// Ten seconds in which something is announced with every second frame and with the frames between something else.
fn drawn_by(lies: impl Fn(usize, u64) -> Vec<u8>) -> Drawn {
    let (mut studio, viewer) = running();
    let counts = |studio: &Studio| {
        let log = &studio.watchers[viewer].log;
        let requests: Vec<_> = studio.encodings.iter().map(|encoding| encoding.key_frame_requests).collect();
        (requests, studio.watchers[viewer].layers.len(), studio.demands.len(), log.len())
    };
    let before = counts(&studio);
    for round in 0..500 {
        for at in 0..3 {
            studio.allocations.insert(at, lies(at, round));
        }
        // Frames of a publisher that is in a hurry to lie.
        studio.now += Duration::from_millis(20);
        for at in 0..3 {
            let is_key = std::mem::take(&mut studio.encodings[at].key_frame_wanted);
            studio.frame(at, is_key, 1).into_iter().for_each(|made| studio.send(made));
        }
    }
    let after = counts(&studio);
    let requests = after.0.iter().zip(&before.0).map(|(after, before)| after - before).collect();
    Drawn { requests, layers: after.1 - before.1, demands: after.2 - before.2, pictures: after.3 - before.3 }
}

#[track_caller]
fn assert_bounded(drawn: &Drawn) {
    assert!(drawn.requests.iter().all(|requests| *requests <= 21), "one in 500 ms: {:?}", drawn.requests);
    assert!(drawn.layers <= 41, "one in 250 ms: {}", drawn.layers);
    // Each that grows has to shrink first, which takes two seconds; and a repetition each ten.
    assert!(drawn.demands <= 3 * 10, "{}", drawn.demands);
    assert!(drawn.pictures > 400, "the viewer has pictures all along: {} in 500 frames", drawn.pictures);
}

#[test]
fn announcements_that_flap_fifty_times_a_second_draw_a_key_frame_in_500_ms_at_most() {
    let drawn = drawn_by(|at, round| match round % 2 {
        0 => allocation(at, &[0, 1, 2], true),
        _ => allocation(at, &[at], true),
    });
    assert_bounded(&drawn);
}

#[test]
fn announcements_at_random_draw_a_key_frame_in_500_ms_at_most() {
    for seed in 0..4 {
        let drawn = drawn_by(|at, round| {
            let mut random = Seeded::new(seed << 32 | round << 2 | at as u64);
            let active: Vec<usize> = (0..3).filter(|_| random.chance(500_000)).collect();
            let mut bytes = allocation(at, &active, random.chance(500_000));
            // Sizes, rates and masks of any kind.
            if random.chance(300_000) {
                let which = random.below(bytes.len() as u64) as usize;
                bytes[which] = random.next_u64() as u8;
            }
            bytes
        });
        assert_bounded(&drawn);
    }
}
