//! How a viewer gets into a layer, and an encoding into the choice, where the packet with which it begins is late or lost.

use std::time::Duration;

use tidewire_core::message::quality::Wish;

use crate::studio::{FRAME_MS, Got, Made, Studio};

/// The next frame of an encoding, in so many packets.
fn next(studio: &mut Studio, at: usize, packets: usize) -> Vec<Made> {
    studio.now += Duration::from_millis(FRAME_MS);
    studio.frame(at, false, packets)
}

/// Sends the frames up to the next one of this temporal layer, of three, and makes that.
fn made_of_layer(studio: &mut Studio, temporal: u8) -> Vec<Made> {
    const PATTERN: [u8; 4] = [0, 2, 1, 2];
    while PATTERN[studio.encodings[0].frames as usize % 4] != temporal {
        next(studio, 0, 1).into_iter().for_each(|made| studio.send(made));
    }
    next(studio, 0, 3)
}

/// A viewer of the lowest of three temporal layers, who wishes for the one above.
fn before_an_entry(studio: &mut Studio) -> usize {
    studio.temporal_layers = 3;
    let viewer = studio.watch(true);
    studio.pass(500);
    studio.prefer(viewer, Wish { temporal: Some(0), ..Wish::default() });
    studio.encodings[0].runs = false;
    made_of_layer(studio, 0).into_iter().for_each(|made| studio.send(made));
    studio.prefer(viewer, Wish { temporal: Some(1), ..Wish::default() });
    viewer
}

/// The temporal layers of a viewer's packets in the order of their numbers, which go on by one; none for padding.
fn layers_of(log: &[Got], from: usize) -> Vec<Option<u8>> {
    let mut log = log[from..].to_vec();
    log.sort_by_key(|got| got.index);
    assert!(log.windows(2).all(|pair| pair[0].index + 1 == pair[1].index));
    log.iter().map(|got| got.said().map(|said| said.temporal)).collect()
}

#[test]
fn a_layer_is_entered_with_a_frame_whose_first_packet_is_still_missing() {
    let mut studio = Studio::new(1);
    let viewer = before_an_entry(&mut studio);
    let mut entry = made_of_layer(&mut studio, 1);
    let from = studio.watchers[viewer].log.len();
    let late = entry.remove(0);
    entry.into_iter().for_each(|made| studio.send(made));
    studio.send(late);
    let after = made_of_layer(&mut studio, 0);
    after.into_iter().for_each(|made| studio.send(made));
    assert_eq!(layers_of(&studio.watchers[viewer].log, from), [1, 1, 1, 0, 0, 0].map(Some));
}

#[test]
fn a_layer_is_not_entered_where_it_cannot_be_told_of_which_frame_is_what_is_missing() {
    let mut studio = Studio::new(1);
    let viewer = before_an_entry(&mut studio);
    let from = studio.watchers[viewer].log.len();
    // Of the frame before the entry, which is of the highest layer, the end is missing as well.
    let mut above = next(&mut studio, 0, 3);
    let late = above.pop().unwrap();
    above.into_iter().for_each(|made| studio.send(made));
    let mut entry = next(&mut studio, 0, 3);
    let first = entry.remove(0);
    entry.into_iter().for_each(|made| studio.send(made));
    [late, first].into_iter().for_each(|made| studio.send(made));
    let seen = layers_of(&studio.watchers[viewer].log, from);
    assert!(seen.contains(&None) && !seen.contains(&Some(1)), "{seen:?}");
}

#[test]
fn an_encoding_that_began_without_its_key_frame_is_asked_for_another_once() {
    let mut studio = Studio::quiet(2);
    studio.frame(1, true, 2);
    let asked = |studio: &Studio| studio.encodings[1].key_frame_requests;
    let mut said = Vec::new();
    for _ in 0..8 {
        next(&mut studio, 1, 2).into_iter().for_each(|made| studio.send(made));
        studio.pass(1);
        said.push(asked(&studio));
    }
    assert_eq!(said, [0, 0, 0, 0, 0, 1, 1, 1], "nobody watches, and 150 ms have passed");
    studio.frame(1, true, 2).into_iter().for_each(|made| studio.send(made));
    studio.pass(2_000);
    assert_eq!(asked(&studio), 1);
}
