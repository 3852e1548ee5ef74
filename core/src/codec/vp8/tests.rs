use proptest::prelude::*;

use super::*;
use crate::codec::tests::{DELTA, INSIDE, KEY, packet};
use crate::codec::{Codec, Layering, renumber};

fn inspect(payload: &[u8]) -> Inspection {
    Layers::new().inspect(&packet(payload))
}

/// Whether a payload starts a key frame, and whether it starts a frame.
fn starts(payload: &[u8]) -> (bool, bool) {
    let seen = inspect(payload);
    (seen.key_frame, seen.frame_start)
}

/// A first packet as Chromium sends it: 15-bit picture id, TL0PICIDX, TID and Y.
fn layered(picture: u16, tl0: u8, temporal: u8, sync: bool) -> [u8; 7] {
    let [high, low] = picture.to_be_bytes();
    [0x90, 0xf0, high | 0x80, low, tl0, temporal << 6 | u8::from(sync) << 5, 0x11]
}

/// The pattern 0 2 1 2, whose first two enhancement frames lean on the lowest layer alone.
const PATTERN: [(u8, bool); 8] =
    [(0, false), (2, true), (1, true), (2, false), (0, false), (2, false), (1, false), (2, false)];

#[test]
fn the_frame_lies_behind_a_descriptor_of_any_length() {
    assert_eq!(starts(&[0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a]), KEY);
    assert_eq!(starts(&[0x10, 0x31]), DELTA);
    assert_eq!(starts(&[0x90, 0x80, 0x7f, 0x10]), KEY);
    assert_eq!(starts(&[0x90, 0x80, 0x7f, 0x11]), DELTA);
    assert_eq!(starts(&[0x90, 0xf0, 0x92, 0x34, 0x01, 0x20, 0x10]), KEY);
    assert_eq!(starts(&[0x90, 0xf0, 0x92, 0x34, 0x01, 0x20, 0x11]), DELTA);
}

#[test]
fn later_packets_and_later_partitions_start_nothing() {
    assert_eq!(starts(&[0x00, 0x10]), INSIDE);
    assert_eq!(starts(&[0x11, 0x10]), INSIDE);
    assert_eq!(starts(&[0x80, 0x80, 0x05, 0x10]), INSIDE);
}

#[test]
fn a_descriptor_without_a_frame_says_nothing() {
    for cut in [&[0x10][..], &[0x90], &[0x90, 0x80], &[0x90, 0xf0, 0x92, 0x34, 0x01, 0x20]] {
        assert_eq!(inspect(cut), Inspection::default());
    }
}

#[test]
fn the_marker_ends_a_frame() {
    assert!(Layers::new().inspect(&Packet { marker: true, ..packet(&[0x00, 0x10]) }).frame_end);
    assert!(!inspect(&[0x00, 0x10]).frame_end);
}

#[test]
fn numbers_are_read_in_either_width() {
    let short = inspect(&[0x90, 0x80, 0x7f, 0x11]).numbers;
    assert_eq!(short, Numbers { picture: 0x7f, picture_bits: 7, closes: true, ..Numbers::NONE });
    let long = inspect(&layered(0x1234, 9, 0, false)).numbers;
    assert_eq!(long, Numbers { picture: 0x1234, picture_bits: 15, closes: true, tl0: Some(9), frame: None });
    assert_eq!(inspect(&[0x10, 0x11]).numbers, Numbers::NONE);
}

#[test]
fn a_key_frame_tells_its_size_and_late_ones_do_not_change_it() {
    let mut layers = Layers::new();
    let key = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x01];
    assert_eq!(layers.inspect(&packet(&key)).size, Some((640, 360)));
    let older = [0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
    let late = layers.inspect(&Packet { sequence: 999, ..packet(&older) });
    assert_eq!(late.size, Some((320, 180)));
    assert_eq!(layers.size(), Some((640, 360)));
    assert_eq!(inspect(&key[..10]).size, None);
}

#[test]
fn temporal_layers_become_targets_as_they_are_seen() {
    let mut layers = Layers::new();
    assert_eq!(layers.targets().len(), 1);
    layers.inspect(&packet(&layered(1, 0, 2, true)));
    let temporal: Vec<_> = layers.targets().iter().map(|target| target.temporal).collect();
    assert_eq!(temporal, [0, 1, 2]);
}

#[test]
fn a_frame_is_part_of_its_layer_and_all_above() {
    let mut layers = Layers::new();
    layers.inspect(&packet(&layered(1, 0, 2, true)));
    for (temporal, part_of) in [(0, 0b111), (1, 0b110), (2, 0b100)] {
        assert_eq!(layers.inspect(&packet(&layered(1, 0, temporal, false))).reach.part_of, Targets(part_of));
    }
}

#[test]
fn a_layer_is_entered_from_above_anywhere_and_from_below_at_a_sync_frame() {
    let mut layers = Layers::new();
    layers.inspect(&packet(&layered(1, 0, 2, true)));
    let mut turns = Vec::new();
    for (temporal, sync) in PATTERN {
        let reach = layers.inspect(&packet(&layered(1, 0, temporal, sync))).reach;
        turns.push((reach.entry_to.0, reach.decodable_in.0));
    }
    let expected = [
        (0b001, 0b111),
        (0b100, 0b110),
        (0b010, 0b111),
        (0b100, 0b100),
        (0b001, 0b111),
        (0b100, 0b100),
        (0b010, 0b110),
        (0b100, 0b100),
    ];
    assert_eq!(turns, expected);
}

#[test]
fn a_key_frame_is_an_entry_to_all() {
    let mut key = layered(7, 0, 0, false);
    key[6] = 0x10;
    assert_eq!(inspect(&key).reach, Reach::START);
}

#[test]
fn numbers_wrap_in_their_width() {
    for (mut payload, by, expected) in [
        (vec![0x90, 0x80, 0x7f, 0x11], 1, vec![0x90, 0x80, 0x00, 0x11]),
        (vec![0x90, 0x80, 0xff, 0xff, 0x11], 2, vec![0x90, 0x80, 0x80, 0x01, 0x11]),
        (vec![0x90, 0x80, 0x80, 0x00, 0x11], u16::MAX, vec![0x90, 0x80, 0xff, 0xff, 0x11]),
        (vec![0x90, 0x40, 0xff, 0x11], 5, vec![0x90, 0x40, 0x04, 0x11]),
        (vec![0x10, 0x31], 5, vec![0x10, 0x31]),
        (vec![0x90, 0x80, 0x80], 5, vec![0x90, 0x80, 0x80]),
    ] {
        renumber(Codec::Vp8, &mut payload, None, Shift { picture: by, tl0: 5, frame: 5 });
        assert_eq!(payload, expected);
    }
}

proptest! {
    #[test]
    fn what_is_seen_behind_a_shift_is_shifted(
        picture in 0_u16..0x8000,
        tl0: u8,
        by in (any::<u16>(), any::<u8>()),
        temporal in 0_u8..4,
    ) {
        let mut payload = layered(picture, tl0, temporal, false);
        renumber(Codec::Vp8, &mut payload, None, Shift { picture: by.0, tl0: by.1, frame: 0 });
        let numbers = Layering::new(Codec::Vp8).inspect(&packet(&payload)).numbers;
        prop_assert_eq!(numbers.picture, picture.wrapping_add(by.0) & 0x7fff);
        prop_assert_eq!(numbers.tl0, Some(tl0.wrapping_add(by.1)));
        prop_assert_eq!(inspect(&payload).reach, inspect(&layered(picture, tl0, temporal, false)).reach);
    }
}
