mod captures;

use proptest::prelude::*;

use super::*;

/// A packet without a dependency descriptor.
pub(super) fn packet(payload: &[u8]) -> Packet<'_> {
    Packet { sequence: 1000, marker: false, payload, descriptor: None }
}

/// Whether a payload starts a key frame, and whether it starts a frame.
pub(super) const KEY: (bool, bool) = (true, true);
pub(super) const DELTA: (bool, bool) = (false, true);
pub(super) const INSIDE: (bool, bool) = (false, false);

/// Packets with any bytes, some of which look like the ones that follow each other.
fn packets() -> impl Strategy<Value = Vec<(u16, Vec<u8>, Option<Vec<u8>>)>> {
    let bytes = |len| proptest::collection::vec(any::<u8>(), 0..len);
    proptest::collection::vec((any::<u16>(), bytes(64), proptest::option::of(bytes(96))), 1..8)
}

fn any_codec() -> impl Strategy<Value = Codec> {
    proptest::sample::select(&Codec::ALL[..])
}

fn any_shift() -> impl Strategy<Value = Shift> {
    (any::<u16>(), any::<u8>(), any::<u16>()).prop_map(|(picture, tl0, frame)| Shift { picture, tl0, frame })
}

proptest! {
    #[test]
    fn whatever_comes_is_looked_at_without_harm(codec in any_codec(), packets in packets()) {
        let mut layering = Layering::new(codec);
        for (sequence, payload, descriptor) in &packets {
            let descriptor = descriptor.as_deref();
            let seen = layering.inspect(&Packet { sequence: (*sequence).into(), marker: false, payload, descriptor });
            prop_assert!(seen.frame_start || !seen.key_frame, "{:?}", seen);
            prop_assert!((1..=TARGETS_MAX).contains(&layering.targets().len()));
            layering.size(seen.reach.spatial);
        }
    }

    #[test]
    fn two_shifts_are_as_good_as_their_sum(
        codec in any_codec(),
        packets in packets(),
        (a, b) in (any_shift(), any_shift()),
    ) {
        let sum = Shift {
            picture: a.picture.wrapping_add(b.picture),
            tl0: a.tl0.wrapping_add(b.tl0),
            frame: a.frame.wrapping_add(b.frame),
        };
        for (_, payload, descriptor) in packets {
            let (mut twice, mut once) = ((payload.clone(), descriptor.clone()), (payload, descriptor));
            renumber(codec, &mut twice.0, twice.1.as_deref_mut(), a);
            renumber(codec, &mut twice.0, twice.1.as_deref_mut(), b);
            renumber(codec, &mut once.0, once.1.as_deref_mut(), sum);
            prop_assert_eq!(twice, once);
        }
    }

    #[test]
    fn a_shift_is_seen_in_the_numbers_and_nowhere_else(
        codec in any_codec(),
        payload in proptest::collection::vec(any::<u8>(), 0..64),
        by in any_shift(),
    ) {
        let mut shifted = payload.clone();
        renumber(codec, &mut shifted, None, by);
        let changed = payload.iter().zip(&shifted).filter(|(before, after)| before != after).count();
        prop_assert!(changed <= 3);
        let (before, after) = (codec.inspect(&payload), codec.inspect(&shifted));
        let mask = ((1_u32 << before.numbers.picture_bits) - 1) as u16;
        let picture = before.numbers.picture.wrapping_add(by.picture) & mask;
        let tl0 = before.numbers.tl0.map(|tl0| tl0.wrapping_add(by.tl0));
        let numbers = Numbers { picture, tl0, ..before.numbers };
        prop_assert_eq!(after, Inspection { numbers, ..before });
    }
}

#[test]
fn an_empty_payload_says_nothing() {
    for codec in Codec::ALL {
        assert_eq!(codec.inspect(&[]), Inspection::default());
    }
}
