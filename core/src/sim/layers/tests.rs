//! Publisher and decoder against each other over a pipe that drops layers by the book, and over others that do not.

use super::{Arrived, Decoder, Encoder, Encoding, Packet, Payload, Structure};
use crate::codec::Codec;
use crate::random::Seeded;
use crate::time::Instant;

const FAMILIES: [(Codec, Structure); 8] = [
    (Codec::Vp8, Structure::L1T3),
    (Codec::H264, Structure::L1T1),
    (Codec::H265, Structure::L1T1),
    (Codec::Vp9, Structure::L3T3),
    (Codec::Vp9, Structure::L3T3_KEY),
    (Codec::Av1, Structure::L1T3),
    (Codec::Av1, Structure::L3T3),
    (Codec::Av1, Structure::L3T3_KEY),
];

fn encoding(codec: Codec, structure: Structure) -> Encoding {
    let sizes = (0..u16::from(structure.spatial_layers)).map(|layer| (160 << layer, 90 << layer)).collect();
    let payload = Payload::Usual;
    Encoding { codec, structure, payload, described: codec == Codec::Av1, sizes, packets: 2, len: 100 }
}

/// Carries packets from an encoder to a decoder, with numbers of its own.
struct Pipe {
    encoder: Encoder,
    decoder: Decoder,
    structure: Structure,
    codec: Codec,
    number: u64,
    picture: u32,
    /// Pictures that were left out.
    dropped: u16,
    closes_over: bool,
    marks_end: bool,
}

impl Pipe {
    fn new(codec: Codec, structure: Structure) -> Self {
        Self {
            encoder: Encoder::new(encoding(codec, structure), 0, 7, &mut Seeded::new(1)),
            decoder: Decoder::new(codec),
            structure,
            codec,
            number: 65_500,
            picture: 0,
            dropped: 0,
            closes_over: true,
            marks_end: true,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(50 * u64::from(self.picture))
    }

    fn encode(&mut self, key: bool) -> Vec<Packet> {
        self.picture += 1;
        self.encoder.encode(self.now(), key)
    }

    /// Carries what is part of a target.
    fn carry(&mut self, pictures: u32, target: (u8, u8)) {
        for _ in 0..pictures {
            let packets = self.encode(false);
            let whole = packets.len();
            let mut kept: Vec<_> = packets.into_iter().filter(|packet| self.is_part(packet, target)).collect();
            if let Some(last) = kept.last_mut().filter(|_| self.marks_end) {
                last.marker = true;
            }
            self.dropped += u16::from(kept.is_empty() && whole > 0);
            kept.iter().for_each(|packet| self.deliver(packet));
        }
    }

    fn is_part(&self, packet: &Packet, target: (u8, u8)) -> bool {
        self.structure.is_part((packet.truth.since_key, packet.truth.spatial), target)
    }

    fn deliver(&mut self, packet: &Packet) {
        let arrived = self.rewritten(packet);
        self.decoder.handle(self.now(), self.number, arrived);
        self.number += 1;
    }

    fn rewritten(&self, packet: &Packet) -> Arrived {
        let mut payload = packet.payload.clone();
        if self.codec == Codec::Vp8 && self.closes_over {
            let id = (u16::from_be_bytes([payload[2], payload[3]]) & 0x7fff).wrapping_sub(self.dropped) & 0x7fff;
            payload[2..4].copy_from_slice(&(id | 0x8000).to_be_bytes());
        }
        let timestamp = u32::MAX - 9_000 + 4_500 * packet.truth.picture;
        Arrived { timestamp, marker: packet.marker, payload, descriptor: packet.descriptor.clone() }
    }

    #[track_caller]
    fn assert_sound(&self, pictures: usize) {
        assert_eq!(self.decoder.faults, Vec::<String>::new(), "{:?} {:?}", self.codec, self.structure);
        assert_eq!(self.decoder.log.len(), pictures, "{:?} {:?}", self.codec, self.structure);
        assert_eq!((self.decoder.given_up, self.decoder.cut), (0, 0));
    }

    #[track_caller]
    fn assert_at_fault(&self, fault: &str) {
        let first = self.decoder.faults.first().unwrap();
        assert!(first.contains(fault), "{first}");
    }
}

#[test]
fn all_that_is_published_can_be_decoded() {
    for (codec, structure) in FAMILIES {
        let mut pipe = Pipe::new(codec, structure);
        pipe.carry(300, (2, 2));
        pipe.assert_sound(300);
        assert_eq!(pipe.decoder.log[299].truth.spatial, structure.spatial_layers - 1);
    }
}

#[test]
fn every_target_alone_can_be_decoded() {
    for (codec, structure) in FAMILIES {
        for target in structure.targets() {
            let mut pipe = Pipe::new(codec, structure);
            pipe.carry(80, target);
            let share = if structure.temporal_layers == 1 { 1 } else { 4 >> target.1 };
            pipe.assert_sound(80 / share);
            assert!(pipe.decoder.log.iter().all(|shown| shown.truth.spatial == target.0));
        }
    }
}

#[test]
fn targets_can_be_changed_at_key_pictures() {
    for (codec, structure) in FAMILIES {
        let mut pipe = Pipe::new(codec, structure);
        let mut pictures = 0;
        for target in structure.targets().chain([(0, 0), (2, 2)]) {
            let packets = pipe.encode(true);
            let mut kept: Vec<_> = packets.into_iter().filter(|packet| pipe.is_part(packet, target)).collect();
            kept.last_mut().unwrap().marker = true;
            kept.iter().for_each(|packet| pipe.deliver(packet));
            pipe.carry(11, target);
            let share = if structure.temporal_layers == 1 { 1 } else { 4 >> target.1 };
            pictures += 12 / share;
        }
        pipe.assert_sound(pictures);
    }
}

#[test]
fn an_upper_temporal_layer_is_missed_where_it_leans_on_its_own_past() {
    for (codec, structure) in [(Codec::Vp8, Structure::L1T3), (Codec::Av1, Structure::L1T3)] {
        for (left_out, sound) in [(8, true), (12, false)] {
            let mut pipe = Pipe::new(codec, structure);
            pipe.carry(left_out, (0, 0));
            pipe.carry(20, (0, 2));
            assert_eq!(pipe.decoder.faults.is_empty(), sound, "{:?}", pipe.decoder.faults);
        }
    }
}

#[test]
fn a_lower_spatial_layer_that_is_left_out_is_missed_unless_only_key_pictures_need_it() {
    for (codec, structure, sound) in [
        (Codec::Vp9, Structure::L3T3, false),
        (Codec::Vp9, Structure::L3T3_KEY, true),
        (Codec::Av1, Structure::L3T3, false),
        (Codec::Av1, Structure::L3T3_KEY, true),
    ] {
        let mut pipe = Pipe::new(codec, structure);
        pipe.carry(8, (2, 2));
        for _ in 0..20 {
            let packets = pipe.encode(false);
            packets.iter().filter(|packet| packet.truth.spatial == 2).for_each(|packet| pipe.deliver(packet));
        }
        assert_eq!(pipe.decoder.faults.is_empty(), sound, "{:?}", pipe.decoder.faults);
    }
}

#[test]
fn a_picture_without_its_marker_is_a_fault() {
    let mut pipe = Pipe::new(Codec::Vp9, Structure::L3T3);
    pipe.marks_end = false;
    pipe.carry(4, (1, 2));
    pipe.assert_at_fault("has no end");
}

#[test]
fn picture_ids_of_vp8_that_are_not_closed_over_are_a_fault() {
    let mut pipe = Pipe::new(Codec::Vp8, Structure::L1T3);
    pipe.closes_over = false;
    pipe.carry(8, (0, 1));
    pipe.assert_at_fault("picture ids step by 2");
}

#[test]
fn a_packet_that_is_left_out_of_a_frame_is_a_fault() {
    let mut pipe = Pipe::new(Codec::H264, Structure::L1T1);
    pipe.carry(4, (0, 0));
    let packets = pipe.encode(false);
    pipe.deliver(&packets[1]);
    pipe.assert_at_fault("without its first packet");
}

#[test]
fn packets_may_come_in_any_order() {
    let mut pipe = Pipe::new(Codec::Av1, Structure::L3T3);
    pipe.carry(1, (2, 2));
    let packets: Vec<_> = (0..3).flat_map(|_| pipe.encode(false)).collect();
    for (at, packet) in packets.iter().enumerate().rev() {
        let arrived = pipe.rewritten(packet);
        pipe.decoder.handle(pipe.now(), pipe.number + at as u64, arrived);
    }
    pipe.assert_sound(4);
}

#[test]
fn a_hole_is_waited_for_then_left_behind_at_a_key_frame() {
    let mut pipe = Pipe::new(Codec::Vp8, Structure::L1T3);
    pipe.carry(4, (0, 2));
    pipe.number += 1;
    pipe.encode(false);
    pipe.carry(4, (0, 2));
    let shown = pipe.decoder.log.len();
    assert!(!pipe.decoder.is_stuck(pipe.now()));
    let later = pipe.decoder.deadline().unwrap();
    assert!(pipe.decoder.is_stuck(later) && pipe.decoder.log.len() == shown, "no key frame yet");
    let packets = pipe.encode(true);
    packets.iter().for_each(|packet| pipe.deliver(packet));
    let again = pipe.decoder.deadline().unwrap();
    assert!(again > later && pipe.decoder.is_stuck(again));
    assert_eq!((pipe.decoder.log.len(), pipe.decoder.given_up), (shown + 1, 1));
    assert_eq!(pipe.decoder.faults, Vec::<String>::new());
    assert_eq!(pipe.decoder.holes().len(), 1);
}
