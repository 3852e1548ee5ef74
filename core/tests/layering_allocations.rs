//! Looking at packets allocates nothing, but for the one box of a stream that turns out to have dependency descriptors. In its own
//! binary, since the allocator is global.

use tidewire_core::codec::{Codec, Layering, Packet, Shift, renumber};

/// A structure of three spatial and three temporal layers, as Chromium sends it with a key frame of AV1.
const STRUCTURE: [u8; 90] = [
    0xc0, 0x00, 0x01, 0x80, 0x08, 0x14, 0x85, 0x21, 0x4e, 0xaa, 0xaa, 0xa8, 0x00, 0x06, 0x00, 0x00, 0x40, 0x00, 0x10,
    0x00, 0x02, 0xaa, 0x80, 0xa8, 0x00, 0x06, 0x00, 0x00, 0x40, 0x00, 0x10, 0x00, 0x02, 0xa0, 0x00, 0xa8, 0x00, 0x06,
    0x00, 0x00, 0x40, 0x00, 0x16, 0xd5, 0x49, 0x24, 0x1b, 0x55, 0x24, 0x90, 0x6d, 0x54, 0x92, 0x31, 0x57, 0xe0, 0x01,
    0x97, 0x4c, 0xa8, 0x64, 0x33, 0x0e, 0x22, 0x23, 0x96, 0xec, 0xa8, 0x65, 0x53, 0x04, 0x22, 0x43, 0x90, 0xec, 0xa8,
    0x77, 0x53, 0x00, 0xef, 0x00, 0x86, 0x01, 0xdf, 0x01, 0x0d, 0x03, 0xbf, 0x02, 0x1b,
];

/// The first packets of key frames.
const KEY_FRAMES: [(Codec, &[u8]); 6] = [
    (Codec::Opus, &[0x78, 0x01]),
    (Codec::Vp8, &[0x90, 0xe0, 0x99, 0xf6, 0xd1, 0x60, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x01]),
    (Codec::Vp9, &[0xba, 0x92, 0x34, 0x10, 0x38, 0x01, 0x40, 0, 0xb4, 0x02, 0x80, 0x01, 0x68, 0x01, 0x90]),
    (Codec::H264, &[0x67, 0x42, 0xc0, 0x16, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70]),
    (Codec::H265, &[0x42, 0x01, 0x01, 0x01]),
    (Codec::Av1, &[0x18, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x0c, 0xc4, 0xff, 0x67, 0x3e, 0xfe, 0x40, 0x10]),
];

/// A key frame and what leans on it, renumbered as for a viewer.
fn one_round(layering: &mut Layering, sequence: u64, payload: &[u8], structure: Option<&[u8]>) {
    let mut bytes = [0; 32];
    bytes[..payload.len()].copy_from_slice(payload);
    let payload = &mut bytes[..payload.len()];
    for (at, descriptor) in [structure, structure.map(|_| &[0xc3, 0x00, 0x04][..])].into_iter().enumerate() {
        let seen = layering.inspect(&Packet { sequence: sequence + at as u64, marker: true, payload, descriptor });
        assert!(seen.key_frame || at > 0, "{:?}", layering.codec());
        assert_eq!(seen.numbers.frame.is_some(), structure.is_some());
        renumber(layering.codec(), payload, None, Shift { picture: 1, tl0: 1, frame: 1 });
    }
}

fn allocations(mut act: impl FnMut()) -> u64 {
    allocation_counter::measure(&mut act).count_total
}

#[test]
fn packets_are_looked_at_without_allocating() {
    for (codec, payload) in KEY_FRAMES {
        let mut layering = Layering::new(codec);
        let count = allocations(|| (0..100).for_each(|round| one_round(&mut layering, 2 * round, payload, None)));
        assert_eq!(count, 0, "{codec:?}");
    }
}

#[test]
fn descriptors_take_one_box_for_a_stream() {
    let mut layering = Layering::new(Codec::Av1);
    let (_, payload) = KEY_FRAMES[5];
    let mut rounds = |from: u64| {
        allocations(|| (from..from + 100).for_each(|at| one_round(&mut layering, 2 * at, payload, Some(&STRUCTURE))))
    };
    assert_eq!(rounds(0), 1);
    assert_eq!(rounds(100), 0);
    assert_eq!(layering.targets().len(), 9);
}
