use super::*;
use crate::codec::bits::writer::BitWriter;
use crate::codec::{Codec, Layering, Packet, renumber};

/// A template in the notation of the specification: layers, an indication for each target, what it leans on, chains.
struct Template(u8, u8, &'static str, &'static [u32], &'static [u32]);

const L1T3: [Template; 5] = [
    Template(0, 0, "SSS", &[], &[0]),
    Template(0, 0, "SSS", &[4], &[4]),
    Template(0, 1, "-DS", &[2], &[2]),
    Template(0, 2, "--D", &[1], &[1]),
    Template(0, 2, "--D", &[1], &[3]),
];

/// Two spatial layers that lean on each other in key pictures alone.
const L2T1_KEY: [Template; 4] = [
    Template(0, 0, "SS", &[], &[0, 0]),
    Template(0, 0, "S-", &[2], &[2, 1]),
    Template(1, 0, "-S", &[1], &[1, 1]),
    Template(1, 0, "-S", &[2], &[1, 2]),
];

fn indications(bits: &mut BitWriter, text: &str) {
    for indication in text.chars() {
        bits.write("-DSR".find(indication).unwrap() as u32, 2);
    }
}

fn mandatory(bits: &mut BitWriter, id: u32, number: u16) {
    bits.write(0b11, 2).write(id, 6).write(number.into(), 16);
}

fn structure(bits: &mut BitWriter, offset: u32, templates: &[Template], sizes: &[(u16, u16)]) {
    let targets = templates[0].2.len() as u32;
    bits.write(offset, 6).write(targets - 1, 5);
    for pair in templates.windows(2) {
        let step = if pair[1].0 > pair[0].0 { 2 } else { u32::from(pair[1].1 > pair[0].1) };
        bits.write(step, 2);
    }
    bits.write(3, 2);
    templates.iter().for_each(|template| indications(bits, template.2));
    for template in templates {
        for difference in template.3 {
            bits.write(1, 1).write(difference - 1, 4);
        }
        bits.write(0, 1);
    }
    let chains = templates[0].4.len() as u32;
    bits.non_symmetric(chains, targets + 1);
    for target in 0..targets {
        bits.non_symmetric(target.min(chains - 1), chains);
    }
    for &difference in templates.iter().flat_map(|template| template.4) {
        bits.write(difference, 4);
    }
    bits.write(u32::from(!sizes.is_empty()), 1);
    for &(width, height) in sizes {
        bits.write(u32::from(width) - 1, 16).write(u32::from(height) - 1, 16);
    }
}

/// The first descriptor of a stream, of its key frame.
fn key(offset: u32, number: u16, templates: &[Template], sizes: &[(u16, u16)]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    mandatory(&mut bits, offset, number);
    bits.write(0b10000, 5);
    structure(&mut bits, offset, templates, sizes);
    bits.into_bytes()
}

fn delta(id: u32, number: u16) -> Vec<u8> {
    let mut bits = BitWriter::default();
    mandatory(&mut bits, id % 64, number);
    bits.into_bytes()
}

fn inspect(layering: &mut Layering, sequence: u64, descriptor: &[u8]) -> Inspection {
    layering.inspect(&Packet { sequence, marker: false, payload: &[0x10], descriptor: Some(descriptor) })
}

fn begun(offset: u32, templates: &[Template]) -> Layering {
    let mut layering = Layering::new(Codec::Av1);
    let seen = inspect(&mut layering, 100, &key(offset, 0, templates, &[]));
    assert!(seen.key_frame);
    layering
}

fn sets(seen: Inspection) -> (u32, u32, u32) {
    (seen.reach.part_of.0, seen.reach.entry_to.0, seen.reach.decodable_in.0)
}

#[test]
fn a_structure_gives_targets_and_sizes() {
    let mut layering = Layering::new(Codec::Av1);
    let seen = inspect(&mut layering, 100, &key(5, 7, &L2T1_KEY, &[(320, 180), (640, 360)]));
    assert_eq!(seen.size, Some((320, 180)));
    assert_eq!(seen.numbers, Numbers { frame: Some(7), ..Numbers::NONE });
    assert_eq!((seen.key_frame, seen.frame_start, seen.frame_end), (true, true, true));
    let targets = [Target { spatial: 0, temporal: 0 }, Target { spatial: 1, temporal: 0 }];
    assert_eq!(layering.targets(), targets);
    assert_eq!((layering.size(0), layering.size(1), layering.size(2)), (Some((320, 180)), Some((640, 360)), None));
}

#[test]
fn frames_are_read_by_their_template_with_ids_that_wrap() {
    let mut layering = begun(62, &L1T3);
    assert_eq!(layering.targets().iter().map(|target| target.temporal).collect::<Vec<_>>(), [0, 1, 2]);
    let seen: Vec<_> = [(65, 1), (64, 2), (66, 3), (63, 4)]
        .map(|(id, number)| inspect(&mut layering, 100 + u64::from(number), &delta(id, number)))
        .into();
    assert_eq!(sets(seen[0]), (0b100, 0, 0b111));
    assert_eq!(sets(seen[1]), (0b110, 0b100, 0b111));
    assert_eq!(sets(seen[2]), (0b100, 0, 0b110));
    assert_eq!(sets(seen[3]), (0b111, 0b111, 0b111));
    assert_eq!(seen.iter().map(|seen| seen.reach.temporal).collect::<Vec<_>>(), [2, 1, 2, 0]);
    assert!(seen.iter().all(|seen| !seen.key_frame));
}

#[test]
fn a_spatial_layer_is_entered_from_below_where_it_leans_on_that_alone() {
    let mut layering = begun(0, &L2T1_KEY);
    assert_eq!(sets(inspect(&mut layering, 101, &delta(2, 1))), (0b10, 0b10, 0b11));
    // Leans on the key frame, which everybody has had.
    assert_eq!(sets(inspect(&mut layering, 102, &delta(1, 2))), (0b01, 0b01, 0b11));
    assert_eq!(sets(inspect(&mut layering, 103, &delta(3, 3))), (0b10, 0b10, 0b10));
    assert_eq!(sets(inspect(&mut layering, 104, &delta(1, 4))), (0b01, 0b01, 0b01));
}

#[test]
fn what_leans_on_a_frame_that_was_lost_is_for_its_own_targets() {
    let mut layering = begun(0, &L1T3);
    assert_eq!(sets(inspect(&mut layering, 105, &delta(2, 6))), (0b110, 0b100, 0b110));
}

#[test]
fn a_frame_may_differ_from_its_template() {
    let mut layering = begun(0, &L1T3);
    let mut bits = BitWriter::default();
    mandatory(&mut bits, 3, 1);
    // Indications and differences of its own: leans on the key frame by 1, and by a frame of which nothing is known.
    bits.write(0b00110, 5);
    indications(&mut bits, "-RS");
    bits.write(1, 2).write(0, 4).write(0, 2);
    assert_eq!(sets(inspect(&mut layering, 101, &bits.clone().into_bytes())), (0b110, 0b100, 0b111));
    let mut far = BitWriter::default();
    mandatory(&mut far, 3, 2);
    far.write(0b00010, 5).write(3, 2).write(4095, 12).write(0, 2);
    assert_eq!(sets(inspect(&mut layering, 102, &far.into_bytes())), (0b100, 0, 0b100));
}

#[test]
fn a_frame_that_leans_on_nothing_can_be_decoded_by_everybody() {
    let mut layering = begun(0, &L1T3);
    let mut bits = BitWriter::default();
    mandatory(&mut bits, 3, 1);
    bits.write(0b00010, 5).write(0, 2);
    assert_eq!(inspect(&mut layering, 101, &bits.into_bytes()).reach.decodable_in, Targets::ALL);
}

fn with_active(number: u16, active: u32) -> Vec<u8> {
    let mut bits = BitWriter::default();
    mandatory(&mut bits, 1, number);
    bits.write(0b01000, 5).write(active, 3);
    bits.into_bytes()
}

#[test]
fn active_targets_stay_until_they_are_told_anew() {
    let mut layering = begun(0, &L1T3);
    assert_eq!(layering.active(), Targets::ALL);
    inspect(&mut layering, 105, &with_active(4, 0b001));
    assert_eq!(layering.active(), Targets(0b001));
    inspect(&mut layering, 104, &with_active(3, 0b111));
    assert_eq!(layering.active(), Targets(0b001), "late");
    inspect(&mut layering, 106, &delta(1, 8));
    assert_eq!(layering.active(), Targets(0b001));
    inspect(&mut layering, 107, &key(10, 9, &L1T3, &[]));
    assert_eq!(layering.active(), Targets::ALL);
}

#[test]
fn late_packets_are_read_by_the_structure_before() {
    let mut layering = begun(0, &L1T3);
    inspect(&mut layering, 110, &key(20, 10, &L2T1_KEY, &[]));
    let late = inspect(&mut layering, 109, &delta(2, 9));
    assert_eq!((late.reach.part_of, late.reach.temporal), (Targets(0b110), 1));
    let late_key = inspect(&mut layering, 90, &key(40, 0, &L1T3, &[]));
    assert!(late_key.key_frame);
    assert_eq!(layering.targets().len(), 2);
    assert_eq!(inspect(&mut layering, 111, &delta(22, 11)).reach.spatial, 1);
}

#[test]
fn what_cannot_be_read_is_left_to_the_payload_and_for_everybody() {
    let mut layering = begun(0, &L1T3);
    for unreadable in [&[][..], &[0xc0], &delta(5, 1), &delta(1, 1)[..2]] {
        let seen = inspect(&mut layering, 101, unreadable);
        assert_eq!((seen.reach, seen.numbers), (Reach::LONE, Numbers::NONE));
    }
    assert_eq!(inspect(&mut layering, 102, &delta(1, 1)).reach.part_of, Targets(0b111));
}

#[test]
fn a_stream_is_not_readable_before_its_first_structure() {
    let mut layering = Layering::new(Codec::Av1);
    assert_eq!(inspect(&mut layering, 100, &delta(0, 0)).reach, Reach::LONE);
    assert_eq!(layering.targets().len(), 1);
}

#[test]
fn a_structure_that_is_cut_anywhere_changes_nothing() {
    let mut layering = begun(0, &L1T3);
    let whole = key(20, 10, &L2T1_KEY, &[(320, 180), (640, 360)]);
    for len in 0..whole.len() - 1 {
        inspect(&mut layering, 110, &whole[..len]);
        assert_eq!(layering.targets().len(), 3, "{len}");
        assert_eq!(inspect(&mut layering, 111, &delta(3, 1)).reach.part_of, Targets(0b100));
    }
}

#[test]
fn layers_beyond_those_of_av1_are_no_structure() {
    for steps in [[2; 4].as_slice(), &[1; 8]] {
        let mut bits = BitWriter::default();
        mandatory(&mut bits, 0, 0);
        bits.write(0b10000, 5).write(0, 6).write(0, 5);
        for &step in steps {
            bits.write(step, 2);
        }
        bits.write(3, 2).write(u32::MAX, 32).write(0, 32).write(0, 32);
        let mut layering = Layering::new(Codec::Av1);
        assert!(!inspect(&mut layering, 1, &bits.into_bytes()).key_frame);
    }
}

#[test]
fn beside_a_descriptor_the_numbers_of_the_payload_are_read_all_the_same() {
    let mut layering = Layering::new(Codec::Vp8);
    let descriptor = key(0, 77, &L1T3, &[]);
    let payload = [0x90, 0xf0, 0x92, 0x34, 0x01, 0x20, 0x11];
    let seen =
        layering.inspect(&Packet { sequence: 1, marker: false, payload: &payload, descriptor: Some(&descriptor) });
    let numbers = Numbers { picture: 0x1234, picture_bits: 15, closes: true, tl0: Some(1), frame: Some(77) };
    assert_eq!(seen.numbers, numbers);
    assert!(seen.key_frame, "said by the descriptor");
    let without = layering.inspect(&Packet { sequence: 2, marker: false, payload: &payload, descriptor: None });
    assert_eq!(without.reach, Reach::LONE);
}

#[test]
fn the_frame_number_is_shifted_in_place() {
    let mut descriptor = [0xc1, 0xff, 0xff, 0x12];
    renumber(Codec::H264, &mut [0x41], Some(&mut descriptor), Shift { picture: 9, tl0: 9, frame: 2 });
    assert_eq!(descriptor, [0xc1, 0x00, 0x01, 0x12]);
    let mut cut = [0xc1, 0xff];
    renumber(Codec::H264, &mut [0x41], Some(&mut cut), Shift { picture: 9, tl0: 9, frame: 2 });
    assert_eq!(cut, [0xc1, 0xff]);
}
