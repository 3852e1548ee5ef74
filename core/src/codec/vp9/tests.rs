use proptest::prelude::*;

use super::*;
use crate::codec::tests::{DELTA, INSIDE, KEY, packet};
use crate::codec::{Codec, renumber};

fn inspect(payload: &[u8]) -> Inspection {
    Layers::new().inspect(&packet(payload))
}

/// Whether a payload starts a picture that can be started with, and whether it starts a frame.
fn starts(payload: &[u8]) -> (bool, bool) {
    let seen = inspect(payload);
    (seen.key_frame, seen.frame_start)
}

/// A layer frame in flexible mode, whole in its packet, that leans on the picture before if it leans on any.
#[derive(Clone, Copy)]
struct Frame {
    spatial: u8,
    temporal: u8,
    inter_picture: bool,
    inter_layer: bool,
    for_own_layer: bool,
    switching_up: bool,
}

impl Frame {
    const KEY: Self = Self {
        spatial: 0,
        temporal: 0,
        inter_picture: false,
        inter_layer: false,
        for_own_layer: false,
        switching_up: true,
    };

    fn payload(self) -> Vec<u8> {
        let first = 0x80 | 0x20 | 0x10 | 0x08 | 0x04;
        let first = first | u8::from(self.inter_picture) << 6 | u8::from(self.for_own_layer);
        let layers = self.temporal << 5 | u8::from(self.switching_up) << 4 | self.spatial << 1;
        let mut payload = vec![first, 0x92, 0x34, layers | u8::from(self.inter_layer)];
        if self.inter_picture {
            payload.push(1 << 1);
        }
        payload.extend([0x86, 0x00]);
        payload
    }
}

/// Layers of three by three.
fn grown() -> Layers {
    let mut layers = Layers::new();
    layers.grid.grow(3, 3);
    layers
}

/// The targets of a set, as (spatial, temporal), sorted.
fn named(layers: &Layers, set: Targets) -> Vec<(u8, u8)> {
    let targets = layers.targets().iter().enumerate().filter(|(index, _)| set.has(*index as u8));
    let mut named: Vec<_> = targets.map(|(_, target)| (target.spatial, target.temporal)).collect();
    named.sort_unstable();
    named
}

fn pairs(spatial: impl IntoIterator<Item = u8>, temporal: std::ops::Range<u8>) -> Vec<(u8, u8)> {
    spatial.into_iter().flat_map(|spatial| temporal.clone().map(move |temporal| (spatial, temporal))).collect()
}

#[test]
fn a_picture_without_inter_prediction_is_a_key_frame() {
    assert_eq!(starts(&[0x08, 0x82]), KEY);
    assert_eq!(starts(&[0x48, 0x86]), DELTA);
    assert_eq!(starts(&[0x88, 0x7f, 0x82]), KEY);
    assert_eq!(starts(&[0x88, 0x92, 0x34, 0x82]), KEY);
}

#[test]
fn behind_a_bare_byte_the_frame_tells_whether_it_is_a_key_frame() {
    for (first, expected) in [(0x82, KEY), (0x86, DELTA), (0x8a, DELTA), (0xb0, KEY), (0xb2, DELTA), (0x02, DELTA)] {
        assert_eq!(starts(&[0x0c, first]), expected, "{first:02x}");
    }
}

#[test]
fn only_the_base_layer_of_a_key_picture_starts_it() {
    // I, L, F, B; 15-bit picture id; TID 0, SID 0 or 1.
    assert_eq!(starts(&[0xb8, 0x92, 0x34, 0x00, 0x00]), KEY);
    assert_eq!(starts(&[0xb8, 0x92, 0x34, 0x03, 0x00]), DELTA);
    assert_eq!(starts(&[0xe8, 0x92, 0x34, 0x00, 0x00]), DELTA);
}

#[test]
fn later_packets_and_cut_descriptors_start_nothing() {
    let structure_cut = [0xba, 0x92, 0x34, 0x00, 0x38, 0x01];
    let references_endless = [0xd8, 0x92, 0x34, 0x03, 0x03, 0x03];
    for payload in [&[0x00, 0x82][..], &[0x88], &[0x88, 0x92], &[0xa8, 0x92, 0x34], &structure_cut, &references_endless]
    {
        assert_eq!(starts(payload), INSIDE);
    }
}

#[test]
fn each_layer_frame_has_its_start_and_end() {
    let (start, end) = (inspect(&[0xa8, 0x01, 0x02, 0x00, 0x00]), inspect(&[0xa4, 0x01, 0x02, 0x00, 0x00]));
    assert_eq!((start.frame_start, start.frame_end), (true, false));
    assert_eq!((end.frame_start, end.frame_end), (false, true));
}

#[test]
fn the_scalability_structure_names_layers_and_sizes() {
    // I, L, B, V; SS: N_S 1, Y, G; 320x180, 640x360; two pictures, TID 0 and 1, the second with one reference.
    let payload =
        [0xaa, 0x01, 0x00, 0x07, 0x38, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, 0x02, 0x10, 0x34, 0x01, 0x82];
    let mut layers = Layers::new();
    let seen = layers.inspect(&packet(&payload));
    assert_eq!(seen.size, Some((320, 180)));
    assert_eq!(seen.numbers.tl0, Some(7));
    assert_eq!(layers.size(1), Some((640, 360)));
    assert_eq!(layers.size(2), None);
    assert_eq!(named(&layers, Targets::ALL), pairs(0..2, 0..2));
}

#[test]
fn a_structure_on_its_own_shrinks_what_is_active_and_with_a_key_picture_what_there_is() {
    let mut layers = Layers::new();
    let structured = |first: u8, layers: u8| [first, 0x01, 0x00, (layers - 1) << 5, 0x00];
    layers.inspect(&packet(&structured(0xba, 3)));
    assert_eq!(layers.targets().len(), 3);
    layers.inspect(&Packet { sequence: 1001, ..packet(&[0xfa, 0x01, 0x00, 0x02, 0x00, 0x00]) });
    assert_eq!(layers.targets().len(), 3);
    assert_eq!(named(&layers, layers.active()), [(0, 0)]);
    layers.inspect(&Packet { sequence: 1000, ..packet(&structured(0xba, 2)) });
    assert_eq!(layers.targets().len(), 3, "late");
    layers.inspect(&Packet { sequence: 1002, ..packet(&structured(0xba, 2)) });
    assert_eq!(layers.targets().len(), 2);
}

#[test]
fn in_full_svc_a_frame_is_part_of_all_above_it() {
    let mut layers = grown();
    let frame = Frame { inter_picture: true, ..Frame::KEY };
    for (spatial, temporal) in pairs(0..3, 0..3) {
        let reach = layers.inspect(&packet(&Frame { spatial, temporal, ..frame }.payload())).reach;
        assert_eq!(named(&layers, reach.part_of), pairs(spatial..3, temporal..3));
    }
}

#[test]
fn in_k_svc_higher_layers_leave_the_lower_ones_out_between_key_pictures() {
    let mut layers = grown();
    let frame = Frame { inter_picture: true, for_own_layer: true, ..Frame::KEY };
    for (spatial, temporal) in pairs(0..3, 0..3) {
        let reach = layers.inspect(&packet(&Frame { spatial, temporal, ..frame }.payload())).reach;
        assert_eq!(named(&layers, reach.part_of), pairs([spatial], temporal..3));
        assert_eq!(reach.decodable_in, reach.part_of);
    }
}

#[test]
fn a_key_picture_is_an_entry_to_all_and_its_upper_frames_to_their_layer_and_those_above() {
    let mut layers = grown();
    let key = layers.inspect(&packet(&Frame::KEY.payload()));
    assert!(key.key_frame);
    assert_eq!(named(&layers, key.reach.entry_to), pairs(0..3, 0..3));
    assert_eq!(key.reach.decodable_in, Targets::ALL);
    let upper = Frame { spatial: 1, inter_layer: true, switching_up: false, ..Frame::KEY };
    let upper = layers.inspect(&packet(&upper.payload()));
    assert!(!upper.key_frame);
    assert_eq!(named(&layers, upper.reach.entry_to), pairs(1..3, 0..3));
    assert_eq!(named(&layers, upper.reach.decodable_in), pairs(0..3, 0..3));
}

#[test]
fn a_spatial_layer_is_not_entered_where_it_leans_on_its_past() {
    let mut layers = grown();
    let frame = Frame { spatial: 2, inter_picture: true, inter_layer: true, ..Frame::KEY };
    let reach = layers.inspect(&packet(&frame.payload())).reach;
    assert_eq!(named(&layers, reach.entry_to), pairs([2], 0..3));
    assert_eq!(named(&layers, reach.decodable_in), pairs([2], 0..3));
}

#[test]
fn temporal_layers_are_entered_where_u_says_so() {
    let mut layers = grown();
    let frame = Frame { inter_picture: true, temporal: 1, ..Frame::KEY };
    let reach = layers.inspect(&packet(&frame.payload())).reach;
    assert_eq!(named(&layers, reach.entry_to), [(0, 1), (0, 2)]);
    let reach = layers.inspect(&packet(&Frame { switching_up: false, ..frame }.payload())).reach;
    assert_eq!(named(&layers, reach.entry_to), [(0, 1)]);
    assert_eq!(named(&layers, reach.decodable_in), pairs(0..3, 1..3));
}

#[test]
fn without_layers_every_picture_is_for_everybody() {
    let reach = inspect(&[0x48, 0x86]).reach;
    assert!(reach.part_of.has(0) && reach.decodable_in.has(0));
}

#[test]
fn numbers_are_shifted_in_place() {
    for (mut payload, expected) in [
        (vec![0x88, 0x7f, 0x82], vec![0x88, 0x01, 0x82]),
        (vec![0x88, 0xff, 0xfe, 0x82], vec![0x88, 0x80, 0x00, 0x82]),
        (vec![0xa8, 0x01, 0x00, 0xff, 0x82], vec![0xa8, 0x03, 0x00, 0x02, 0x82]),
        (vec![0xb8, 0x01, 0x00, 0xff, 0x82], vec![0xb8, 0x03, 0x00, 0xff, 0x82]),
        (vec![0x08, 0x82], vec![0x08, 0x82]),
        (vec![0xa8, 0x01, 0x00], vec![0xa8, 0x01, 0x00]),
    ] {
        renumber(Codec::Vp9, &mut payload, None, Shift { picture: 2, tl0: 3, frame: 4 });
        assert_eq!(payload, expected);
    }
}

proptest! {
    #[test]
    fn every_entry_can_be_decoded_by_somebody(payload in proptest::collection::vec(any::<u8>(), 1..24)) {
        let mut layers = grown();
        let reach = layers.inspect(&packet(&payload)).reach;
        prop_assert_eq!(reach.entry_to.0 & !reach.part_of.0, 0, "{:?}", reach);
        prop_assert_eq!(reach.part_of.0 & !reach.decodable_in.0, 0, "{:?}", reach);
    }
}
