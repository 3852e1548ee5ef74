//! Simulcast and temporal layers: each viewer has what it wishes for, and its numbers go on as if there were nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tidewire_core::count::{Counter, Discard};
use tidewire_core::machine::Machine;
use tidewire_core::message::quality::{LayerReason, Wish};

use crate::studio::{FRAME_MS, Got, Said, Studio};

fn said(log: &[Got]) -> Vec<Said> {
    log.iter().filter_map(Got::said).collect()
}

/// Numbers of a viewer's packets in the order of its own: none is missing, none doubled, and pictures go on by one with them.
#[track_caller]
fn assert_unbroken(log: &[Got]) {
    let mut log = log.to_vec();
    log.sort_by_key(|got| got.index);
    for pair in log.windows(2) {
        let step = (pair[1].index - pair[0].index, pair[1].timestamp.wrapping_sub(pair[0].timestamp).cast_signed());
        assert!(
            step.0 == 1 && (0..90_000).contains(&step.1),
            "{step:?} between {:?} and {:?}",
            pair[0].said(),
            pair[1].said()
        );
        let (Some(one), Some(other)) = (pair[0].said(), pair[1].said()) else { continue };
        let pictures = other.picture.wrapping_sub(one.picture) & 0x7fff;
        assert_eq!(pictures, u16::from(step.1 > 0), "pictures of {one:?} and {other:?}");
        let tl0 = other.tl0.wrapping_sub(one.tl0);
        assert_eq!(tl0, u8::from(pictures == 1 && other.temporal == 0), "TL0 of {one:?} and {other:?}");
        if one.encoding != other.encoding {
            assert!(other.is_key, "{one:?} was followed by {other:?}");
        }
    }
}

fn encodings_of(log: &[Got]) -> Vec<u8> {
    let mut encodings: Vec<_> = said(log).iter().map(|said| said.encoding).collect();
    encodings.dedup();
    encodings
}

#[test]
fn a_viewer_is_turned_up_and_down_at_key_frames_and_sees_one_stream() {
    let mut studio = Studio::new(3);
    let viewer = studio.watch(true);
    studio.pass(500);
    for wish in ["q", "f", "h", "q", "h", "f"].map(Studio::named) {
        studio.report();
        studio.prefer(viewer, wish);
        studio.pass(700);
    }
    let log = &studio.watchers[viewer].log;
    assert_unbroken(log);
    assert!(encodings_of(log).ends_with(&[2, 0, 2, 1, 0, 1, 2]), "{:?}", encodings_of(log));
    // All encodings are of one clock: by the sender reports a switch costs no time.
    for pair in log.windows(2).filter(|pair| pair[0].timestamp != pair[1].timestamp).skip(30) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(step <= 90 * FRAME_MS as u32 + 90, "{step} ticks at {:?}", pair[1].said());
    }
    assert_eq!(studio.table.tally().discarded(Discard::LayerDropped), 0, "encodings that nobody hears are no drops");
}

#[test]
fn the_old_encoding_goes_on_until_the_key_frame_of_the_new_one_comes() {
    let mut studio = Studio::new(2);
    let viewer = studio.watch(true);
    studio.prefer(viewer, Studio::named("q"));
    studio.pass(1_000);
    studio.encodings[1].key_frame_wanted = false;
    let (asked, before) = (studio.encodings[1].key_frame_requests, studio.watchers[viewer].log.len());
    studio.prefer(viewer, Studio::named("h"));
    assert!(studio.encodings[1].key_frame_requests > asked, "asked for at once");
    // It is lost on its way, and the request repeated.
    studio.encodings[1].key_frame_wanted = false;
    studio.pass(400);
    let waiting = said(&studio.watchers[viewer].log[before..]);
    assert!(waiting.len() >= 20 && waiting.iter().all(|said| said.encoding == 0));
    assert_eq!(studio.watchers[viewer].layers.last().unwrap().1, LayerReason::Waiting);
    studio.pass(600);
    assert_eq!(said(&studio.watchers[viewer].log).last().unwrap().encoding, 1);
    assert_eq!(studio.watchers[viewer].layers.last().unwrap().1, LayerReason::Best);
    assert_unbroken(&studio.watchers[viewer].log);
}

#[test]
fn an_encoding_that_stops_is_left_for_the_next_lower_one_and_taken_up_again() {
    let mut studio = Studio::new(3);
    let viewer = studio.watch(true);
    studio.pass(1_000);
    assert_eq!(said(&studio.watchers[viewer].log).last().unwrap().encoding, 2);
    studio.encodings[2].runs = false;
    studio.pass(600);
    let last = said(&studio.watchers[viewer].log);
    assert_eq!(last.last().unwrap().encoding, 1);
    let (layer, reason) = studio.watchers[viewer].layers.last().unwrap();
    assert_eq!((layer.encoding.as_ref().unwrap().as_str(), *reason), ("h", LayerReason::NotSent));
    assert_eq!((layer.width, layer.height), (Some(640), Some(360)));
    studio.encodings[2].runs = true;
    studio.pass(1_000);
    assert_eq!(said(&studio.watchers[viewer].log).last().unwrap().encoding, 2);
    assert_eq!(studio.watchers[viewer].layers.last().unwrap().1, LayerReason::Best);
    assert_unbroken(&studio.watchers[viewer].log);
}

#[test]
fn a_paused_viewer_gets_nothing_and_goes_on_with_a_key_frame() {
    let mut studio = Studio::new(2);
    let (viewer, other) = (studio.watch(true), studio.watch(true));
    studio.pass(500);
    studio.prefer(viewer, Wish { paused: true, ..Wish::default() });
    let before = studio.watchers[viewer].log.len();
    studio.pass(500);
    assert_eq!(studio.watchers[viewer].log.len(), before);
    assert_eq!(studio.watchers[viewer].layers.last().unwrap().1, LayerReason::Paused);
    studio.prefer(viewer, Wish::default());
    studio.pass(600);
    let log = &studio.watchers[viewer].log;
    assert!(log.len() > before && log[before].said().unwrap().is_key);
    assert_unbroken(log);
    assert_unbroken(&studio.watchers[other].log);
}

#[test]
fn whoever_pauses_for_a_moment_is_told_that_pictures_come_again() {
    // Of a lone encoding, at which nobody looks again.
    let mut studio = Studio::new(1);
    let viewer = studio.watch(true);
    studio.pass(500);
    studio.prefer(viewer, Wish { paused: true, ..Wish::default() });
    studio.pass(20);
    studio.prefer(viewer, Wish::default());
    studio.pass(600);
    let told: Vec<_> = studio.watchers[viewer].layers.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(told, [LayerReason::Best, LayerReason::Paused, LayerReason::Best]);
}

#[test]
fn temporal_layers_are_left_out_without_a_trace() {
    let mut studio = Studio::new(1);
    studio.temporal_layers = 3;
    let (low, middle, all) = (studio.watch(true), studio.watch(true), studio.watch(true));
    studio.pass(500);
    studio.prefer(low, Wish { temporal: Some(0), ..Wish::default() });
    studio.prefer(middle, Wish { temporal: Some(1), ..Wish::default() });
    let from: Vec<_> = studio.watchers.iter().map(|watcher| watcher.log.len()).collect();
    let asked = studio.encodings[0].key_frame_requests;
    studio.pass(2_000);
    let count = |viewer: usize| studio.watchers[viewer].log.len() - from[viewer];
    assert!(count(all) > 100 && count(middle) * 2 < count(all) + 20 && count(low) * 4 < count(all) + 20);
    assert_eq!(studio.encodings[0].key_frame_requests, asked, "no key frame is asked for a temporal layer");
    studio.prefer(low, Wish::default());
    studio.pass(1_000);
    for watcher in &studio.watchers {
        assert_unbroken(&watcher.log);
    }
    for got in studio.watchers.iter().flat_map(|watcher| &watcher.log) {
        assert_eq!(got.marker, *got.payload.get(30).unwrap() == 1, "the second packet of each frame ends it");
    }
    let last: Vec<_> = said(&studio.watchers[low].log).iter().rev().take(8).map(|said| said.temporal).collect();
    assert!(last.contains(&2), "all layers again");
}

/// A viewer of the lowest of three temporal layers, each frame of one packet, over which a test has control.
fn of_the_lowest_layer(rtx: bool) -> (Studio, usize) {
    let mut studio = Studio::new(1);
    studio.temporal_layers = 3;
    let viewer = studio.watch(rtx);
    studio.pass(500);
    studio.prefer(viewer, Wish { temporal: Some(0), ..Wish::default() });
    studio.encodings[0].runs = false;
    for _ in 0..8 {
        next(&mut studio);
    }
    (studio, viewer)
}

fn next(studio: &mut Studio) {
    studio.now += Duration::from_millis(FRAME_MS);
    let made = studio.frame(0, false, 1).remove(0);
    studio.send(made);
}

#[test]
fn what_is_late_goes_under_the_number_that_was_kept_for_it_or_padding_does() {
    let (mut studio, viewer) = of_the_lowest_layer(true);
    while studio.encodings[0].frames % 4 != 0 {
        next(&mut studio);
    }
    // Frames of the layers 0 2 1 2, and again; of both rounds the first and the second are late.
    let held: Vec<_> = (0..8)
        .filter_map(|at| {
            studio.now += Duration::from_millis(FRAME_MS);
            let made = studio.frame(0, false, 1).remove(0);
            if at % 4 < 2 {
                Some(made)
            } else {
                studio.send(made);
                None
            }
        })
        .collect();
    let before = studio.watchers[viewer].log.len();
    for made in held.into_iter().rev() {
        studio.send(made);
    }
    next(&mut studio);
    let came = &studio.watchers[viewer].log[before..];
    let temporal: Vec<_> = came.iter().map(|got| got.said().map(|said| said.temporal)).collect();
    assert_eq!(temporal, [None, Some(0), None, Some(0), Some(0)], "the last one is in order");
    assert_eq!(studio.table.tally().of(Counter::Fillers), 2);
    let mut numbers: Vec<_> = studio.watchers[viewer].log.iter().map(|got| got.index).collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}

#[test]
fn repairs_of_a_thinned_stream_are_what_was_sent_or_nothing() {
    for rtx in [true, false] {
        let (mut studio, viewer) = of_the_lowest_layer(rtx);
        for _ in 0..40 {
            next(&mut studio);
        }
        let sent: Vec<_> = studio.watchers[viewer].log.iter().rev().take(10).cloned().collect();
        let numbers: Vec<_> = sent.iter().map(|got| got.index as u16).collect();
        studio.nack(viewer, &numbers);
        let tally = studio.table.tally();
        assert_eq!(tally.of(Counter::Repaired), 10, "rtx {rtx}");
        if rtx {
            // Asked for one after the other in ascending order, as the message lists them.
            for repair in &studio.watchers[viewer].repairs {
                let original = u16::from_be_bytes([repair[0], repair[1]]);
                let first = sent.iter().find(|got| got.index as u16 == original).unwrap();
                assert_eq!(repair[2..], first.payload);
            }
            assert_eq!(studio.watchers[viewer].repairs.len(), 10);
        }
    }
}

#[test]
fn what_was_lost_right_before_a_switch_is_still_repaired() {
    let mut studio = Studio::new(2);
    let viewer = studio.watch(true);
    studio.prefer(viewer, Studio::named("q"));
    studio.pass(1_000);
    studio.prefer(viewer, Studio::named("h"));
    studio.pass(100);
    let log = &studio.watchers[viewer].log;
    let switched = log.iter().position(|got| got.said().unwrap().encoding == 1 && got.said().unwrap().is_key);
    let switched = log.iter().rposition(|got| got.said().unwrap().encoding == 0).map_or(switched, Some).unwrap();
    let (old, new) = (log[switched].clone(), log[switched + 1].clone());
    assert_eq!(new.said().unwrap().encoding, 1);
    studio.nack(viewer, &[old.index as u16, new.index as u16]);
    let repairs = &studio.watchers[viewer].repairs;
    assert_eq!(repairs.len(), 2);
    assert_eq!((&repairs[0][2..], &repairs[1][2..]), (&old.payload[..], &new.payload[..]));
}

#[test]
fn a_key_frame_whose_first_packet_is_late_is_entered_with_it() {
    let mut studio = Studio::new(2);
    let viewer = studio.watch(true);
    studio.prefer(viewer, Studio::named("q"));
    studio.pass(700);
    studio.encodings.iter_mut().for_each(|encoding| encoding.runs = false);
    studio.prefer(viewer, Studio::named("h"));
    let mut made = studio.frame(1, true, 3);
    let first = made.remove(0);
    let before = studio.watchers[viewer].log.len();
    made.into_iter().for_each(|made| studio.send(made));
    assert_eq!(studio.watchers[viewer].log.len(), before);
    studio.send(first);
    let next = studio.frame(1, false, 1).remove(0);
    studio.send(next);
    let log = &studio.watchers[viewer].log[before..];
    assert_eq!(log.len(), 2);
    let (first, next) = (log[0].index, log[1].index);
    assert_eq!(next, first + 3, "the two between are kept");
    studio.nack(viewer, &[first as u16 + 1, first as u16 + 2]);
    assert_eq!(studio.watchers[viewer].repairs.len(), 2);
}

#[test]
fn a_publisher_is_told_what_is_wanted_more_at_once_and_less_after_a_while() {
    let mut studio = Studio::new(3);
    studio.pass(200);
    let active = |studio: &Studio| studio.demands.last().unwrap().iter().map(|one| one.active).collect::<Vec<_>>();
    assert_eq!(active(&studio), [true; 3]);
    studio.pass(3_000);
    assert_eq!(active(&studio), [true, false, false], "nobody watches: the lowest stays, for whoever comes");
    let viewer = studio.watch(true);
    assert_eq!(active(&studio), [true, false, true], "at once");
    studio.prefer(viewer, Wish { width: Some(600), height: Some(340), ..Wish::default() });
    assert_eq!(active(&studio), [true, true, true]);
    studio.pass(3_500);
    assert_eq!(active(&studio), [false, true, false]);
    studio.prefer(viewer, Wish { paused: true, ..Wish::default() });
    studio.pass(3_000);
    assert_eq!(active(&studio), [true, false, false]);
    let told = studio.demands.len();
    studio.pass(5_000);
    assert_eq!(studio.demands.len(), told, "nothing changed");
}

#[test]
fn what_is_wanted_and_not_sent_yet_leaves_the_viewer_where_it_is() {
    let mut studio = Studio::new(2);
    let viewer = studio.watch(true);
    studio.prefer(viewer, Studio::named("q"));
    studio.pass(3_000);
    studio.encodings[1].runs = false;
    studio.pass(1_000);
    studio.prefer(viewer, Wish::default());
    studio.pass(800);
    assert_eq!(said(&studio.watchers[viewer].log).last().unwrap().encoding, 0);
    assert_eq!(studio.watchers[viewer].layers.last().unwrap().1, LayerReason::NotSent);
    studio.encodings[1].runs = true;
    studio.pass(300);
    assert_eq!(said(&studio.watchers[viewer].log).last().unwrap().encoding, 1);
    assert_unbroken(&studio.watchers[viewer].log);
}

#[test]
fn another_stream_that_takes_a_live_encodings_name_is_refused() {
    let mut studio = Studio::new(2);
    let viewer = studio.watch(true);
    studio.pass(500);
    let refused = studio.table.tally().discarded(Discard::UnknownSsrc);
    let made = studio.frame(1, true, 1).remove(0);
    studio.send(made.renamed(9_999));
    assert_eq!(studio.table.tally().discarded(Discard::UnknownSsrc), refused + 1);
    studio.pass(500);
    assert_unbroken(&said_in_order(&studio, viewer));
}

/// All but what the test took out of an encoding itself.
#[test]
fn another_stream_of_a_publisher_goes_on_under_the_numbers_of_the_one_before() {
    let mut studio = Studio::new(1);
    let viewers = [studio.watch(true), studio.watch(true)];
    for round in 0..3 {
        studio.pass(500);
        studio.encodings[0].runs = false;
        // As long as a stream speaks, no other takes its name.
        studio.pass(700);
        let encoding = &mut studio.encodings[0];
        (encoding.ssrc, encoding.picture, encoding.tl0) = (8_000 + round, 0x1234 * round as u16, 200);
        (encoding.next, encoding.key_frame_wanted, encoding.runs) = (100 * u64::from(round), true, true);
    }
    studio.pass(500);
    for viewer in viewers {
        let log = &studio.watchers[viewer].log;
        assert!(
            said(log).iter().filter(|said| said.is_key && said.frame > 0).count() > 3,
            "of each stream one at least"
        );
        assert_unbroken(log);
    }
}

fn said_in_order(studio: &Studio, viewer: usize) -> Vec<Got> {
    let log = &studio.watchers[viewer].log;
    let hole = log.windows(2).position(|pair| pair[1].index != pair[0].index + 1).map_or(0, |at| at + 1);
    log[hole..].to_vec()
}

#[test]
fn a_size_that_changes_with_each_packet_costs_no_more_than_a_few_looks() {
    let mut studio = Studio::new(2);
    let viewer = studio.watch(true);
    studio.pass(500);
    studio.encodings.iter_mut().for_each(|encoding| encoding.runs = false);
    let before = studio.watchers[viewer].layers.len();
    for width in 0..200 {
        studio.encodings[1].size = (100 + width, 100);
        let made = studio.frame(1, true, 1).remove(0);
        studio.send(made);
    }
    assert!(studio.watchers[viewer].layers.len() <= before + 2, "within one moment it is told once");
    studio.pass(1_000);
    let (layer, _) = studio.watchers[viewer].layers.last().unwrap();
    assert_eq!(layer.width, Some(299), "and of the last one in the end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Packets are lost, late and asked for again while wishes change: no number is sealed with two contents (each datagram is
    /// looked at by the studio), no picture of two encodings has one number, and each number has the packet that it had.
    #[test]
    fn whatever_is_wished_lost_and_late_a_number_means_one_packet(
        steps in prop::collection::vec((0u8..12, 0u8..12, any::<u8>()), 50..400),
        temporal_layers in 1u8..4,
        rtx: bool,
    ) {
        let mut studio = Studio::new(2);
        studio.temporal_layers = temporal_layers;
        let viewer = studio.watch(rtx);
        studio.pass(300);
        studio.encodings.iter_mut().for_each(|encoding| encoding.runs = false);
        let mut held = Vec::new();
        for (step, fate, choice) in steps {
            studio.now += Duration::from_millis(9);
            match step {
                0 => studio.prefer(viewer, Studio::named(if choice % 2 == 0 { "q" } else { "h" })),
                1 => studio.prefer(viewer, Wish { temporal: Some(choice % 3), ..Wish::default() }),
                2 => studio.prefer(viewer, Wish { paused: choice % 4 == 0, ..Wish::default() }),
                3 => {
                    let last = studio.watchers[viewer].log.last().map_or(0, |got| got.index as u16);
                    let lost: Vec<_> = (0..20).map(|back| last.wrapping_sub(back)).collect();
                    studio.nack(viewer, &lost);
                }
                _ => {
                    let at = usize::from(step % 2);
                    let is_key = std::mem::take(&mut studio.encodings[at].key_frame_wanted);
                    for (part, made) in studio.frame(at, is_key, 2).into_iter().enumerate() {
                        match (fate + part as u8) % 12 {
                            0 => {}
                            1 | 2 => held.push(made),
                            _ => studio.send(made),
                        }
                    }
                }
            }
            if choice % 5 == 0 {
                held.drain(..).rev().for_each(|made| studio.send(made));
            }
        }
        let log = &studio.watchers[viewer].log;
        let (mut contents, mut pictures) = (BTreeMap::new(), BTreeMap::new());
        for got in log {
            let before = contents.insert(got.index, got.payload.clone());
            prop_assert!(before.is_none_or(|before| before == got.payload), "{} was two packets", got.index);
            if let Some(said) = got.said() {
                let frame = (said.encoding, said.frame);
                let known = *pictures.entry(said.picture).or_insert(frame);
                prop_assert_eq!(known, frame, "picture {} is of two frames", said.picture);
            }
        }
        for (index, payload) in &studio.watchers[viewer].repairs.iter().map(|repair| (&repair[..2], &repair[2..])).collect::<Vec<_>>() {
            let number = u16::from_be_bytes([index[0], index[1]]);
            if let Some((_, first)) = contents.iter().find(|(sent, _)| **sent as u16 == number) {
                prop_assert_eq!(&first[..], *payload, "{} was repaired with another packet", number);
            }
        }
    }
}
