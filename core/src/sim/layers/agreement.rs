//! What `codec` says of packets, held against the truth: a selector that goes by `Reach` alone, between the simulated encoder
//! and the model decoder.

use super::{Arrived, Decoder, Encoder, Encoding, Packet, Payload, Structure};
use crate::codec::{self, Codec, Inspection, Layering, Shift, Target, renumber};
use crate::random::Seeded;
use crate::time::Instant;

type Family = (Codec, Structure, bool, Payload);

const FAMILIES: [Family; 23] = [
    (Codec::Vp8, Structure::L1T1, false, Payload::Usual),
    (Codec::Vp8, Structure::L1T3, false, Payload::Usual),
    (Codec::Vp8, Structure::L1T3, false, Payload::ShortIds),
    (Codec::Vp8, Structure::L1T3, true, Payload::Usual),
    (Codec::Vp8, Structure::L1T3, true, Payload::Bare),
    (Codec::Vp8, Structure::L1T3, true, Payload::Encrypted),
    (Codec::H264, Structure::L1T1, false, Payload::Usual),
    (Codec::H264, Structure::L1T3, true, Payload::Usual),
    (Codec::H264, Structure::L1T3, true, Payload::Encrypted),
    (Codec::H265, Structure::L1T1, false, Payload::Usual),
    (Codec::Vp9, Structure::L1T3, false, Payload::Usual),
    (Codec::Vp9, Structure::L1T3, false, Payload::Flexible),
    (Codec::Vp9, Structure::L3T3, false, Payload::Usual),
    (Codec::Vp9, Structure::L3T3, false, Payload::ShortIds),
    (Codec::Vp9, Structure::L3T3, false, Payload::Flexible),
    (Codec::Vp9, Structure::L3T3, true, Payload::Usual),
    (Codec::Vp9, Structure::L3T3, true, Payload::Encrypted),
    (Codec::Vp9, Structure::L3T3_KEY, false, Payload::Usual),
    (Codec::Vp9, Structure::L3T3_KEY, true, Payload::Usual),
    (Codec::Av1, Structure::L1T1, true, Payload::Usual),
    (Codec::Av1, Structure::L1T3, true, Payload::Usual),
    (Codec::Av1, Structure::L3T3, true, Payload::Encrypted),
    (Codec::Av1, Structure::L3T3_KEY, true, Payload::Usual),
];

/// Forwards one target of one encoding, and turns to another where it may.
struct Selector {
    codec: Codec,
    layering: Layering,
    wish: Target,
    target: Option<u8>,
    shift: Shift,
    /// The picture that was left out last.
    dropped: Option<u16>,
    number: u64,
}

impl Selector {
    fn new(codec: Codec) -> Self {
        Self {
            codec,
            layering: Layering::new(codec),
            wish: Target { spatial: 9, temporal: 9 },
            target: None,
            shift: Shift::NONE,
            dropped: None,
            number: 100,
        }
    }

    /// The index of the highest target within the wish.
    fn wanted(&self) -> u8 {
        let fits = |target: &Target| target.spatial <= self.wish.spatial && target.temporal <= self.wish.temporal;
        let fitting = self.layering.targets().iter().enumerate().filter(|(_, target)| fits(target));
        fitting.max_by_key(|(_, target)| **target).map_or(0, |(index, _)| index as u8)
    }

    fn forward(&mut self, packet: &Packet) -> Option<(u64, Arrived)> {
        let wire = codec::Packet {
            sequence: packet.truth.number,
            marker: packet.marker,
            payload: &packet.payload,
            descriptor: packet.descriptor.as_deref(),
        };
        let seen = self.layering.inspect(&wire);
        let wanted = self.wanted();
        if self.may_turn(&seen, packet.truth.at == 0, wanted) {
            self.target = Some(wanted);
        }
        let target = self.target?;
        if !seen.reach.part_of.has(target) {
            self.close_over(&seen);
            return None;
        }
        let (mut payload, mut descriptor) = (packet.payload.clone(), packet.descriptor.clone());
        renumber(self.codec, &mut payload, descriptor.as_deref_mut(), self.shift);
        let top = self.layering.targets()[usize::from(target)].spatial == seen.reach.spatial;
        let timestamp = packet.truth.picture * 4_500;
        self.number += 1;
        Some((self.number, Arrived { timestamp, marker: seen.frame_end && top, payload, descriptor }))
    }

    fn may_turn(&self, seen: &Inspection, first: bool, wanted: u8) -> bool {
        let entry = first && seen.reach.entry_to.has(wanted);
        entry && (seen.key_frame || self.target.is_some_and(|own| seen.reach.decodable_in.has(own)))
    }

    fn close_over(&mut self, seen: &Inspection) {
        if seen.numbers.closes && self.dropped.replace(seen.numbers.picture) != Some(seen.numbers.picture) {
            self.shift.picture = self.shift.picture.wrapping_sub(1);
        }
    }
}

fn run(family: Family, seed: u64) {
    let (codec, structure, described, payload) = family;
    let sizes: Vec<_> = (0..u16::from(structure.spatial_layers)).map(|layer| (160 << layer, 90 << layer)).collect();
    let encoding = Encoding { codec, structure, payload, described, sizes: sizes.clone(), packets: 2, len: 60 };
    let mut random = Seeded::new(seed);
    let mut encoder = Encoder::new(encoding, 0, 7, &mut random);
    let (mut selector, mut decoder) = (Selector::new(codec), Decoder::new(codec));
    for picture in 0..400_u64 {
        let now = Instant::from_millis(50 * picture);
        let key = picture % 40 == 0;
        for packet in encoder.encode(now, key) {
            if let Some((number, arrived)) = selector.forward(&packet) {
                decoder.handle(now, number, arrived);
            }
        }
        if random.chance(100_000) && picture < 350 {
            selector.wish = Target { spatial: random.below(3) as u8, temporal: random.below(3) as u8 };
        }
    }
    assert_eq!(decoder.faults, Vec::<String>::new(), "{family:?}, seed {seed}");
    assert_eq!((decoder.cut, decoder.given_up), (0, 0), "{family:?}, seed {seed}");
    let top = (structure.spatial_layers - 1, structure.temporal_layers - 1);
    let (spatial, temporal) = (selector.wish.spatial.min(top.0), selector.wish.temporal.min(top.1));
    let last: Vec<_> = decoder.log.iter().rev().take(4).map(|shown| &shown.truth).collect();
    assert!(last.iter().all(|truth| truth.spatial == spatial), "{family:?}, seed {seed}: {spatial} in the end");
    assert_eq!(last.iter().map(|truth| truth.temporal).max(), Some(temporal), "{family:?}, seed {seed}");
    if codec != Codec::H265 {
        let known: Vec<_> = (0..structure.spatial_layers).map(|layer| selector.layering.size(layer).unwrap()).collect();
        assert_eq!(known, sizes, "{family:?}");
    }
}

#[test]
fn what_reach_allows_can_be_decoded() {
    for family in FAMILIES {
        (0..20).for_each(|seed| run(family, seed));
    }
}
