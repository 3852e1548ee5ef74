//! Bytes from someone who has no key: nothing authenticates, nothing panics, nothing changes.

use proptest::prelude::*;
use tidewire_core::count::Discard;
use tidewire_core::handshake::Profile;
use tidewire_core::random::Seeded;
use tidewire_core::rtp::Header;

use crate::fixture::{SSRC, ends, open_rtp, random_bytes, rtcp, rtp, seal_rtcp, seal_rtp};

/// One change that a packet suffers on its way.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: prop::sample::Index, bits: u8 },
    Cut { len: prop::sample::Index },
    Append { bytes: Vec<u8> },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), 1..=u8::MAX).prop_map(|(at, bits)| Mutation::Flip { at, bits }),
        1 => any::<prop::sample::Index>().prop_map(|len| Mutation::Cut { len }),
        1 => proptest::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| Mutation::Append { bytes }),
    ]
}

fn mutate(packet: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Flip { at, bits } => *at.get_mut(packet) ^= bits,
        Mutation::Cut { len } => packet.truncate(len.index(packet.len())),
        Mutation::Append { bytes } => packet.extend(bytes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_changed_packet_never_authenticates_and_the_right_one_still_does(
        mutation in mutation(),
        profile in prop::sample::select(&Profile::ALL[..]),
        index in 0u64..32_768,
        len in 0usize..300,
    ) {
        let (mut outbound, mut inbound) = ends(profile);
        let right = seal_rtp(&outbound, index, &rtp(SSRC, index as u16, &vec![7; len]));
        let mut forged = right.clone();
        mutate(&mut forged, &mutation);
        prop_assert!(open_rtp(&mut inbound, &mut forged).is_err());
        prop_assert!(open_rtp(&mut inbound, &mut right.clone()).is_ok());

        let right = seal_rtcp(&mut outbound, &rtcp(SSRC, b"feedback"));
        let mut forged = right.clone();
        mutate(&mut forged, &mutation);
        prop_assert!(inbound.open_rtcp(&mut forged).is_err());
        prop_assert!(inbound.open_rtcp(&mut right.clone()).is_ok());
    }

    #[test]
    fn random_bytes_never_authenticate(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        profile in prop::sample::select(&Profile::ALL[..]),
    ) {
        let (_, mut inbound) = ends(profile);
        prop_assert!(inbound.open_rtcp(&mut bytes.clone()).is_err());
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        prop_assert!(open_rtp(&mut inbound, &mut bytes).is_err());
    }
}

#[test]
fn forged_packets_take_no_place_and_move_no_window() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = ends(profile);
        let mut random = Seeded::new(3);
        assert!(open_rtp(&mut inbound, &mut seal_rtp(&outbound, 100, &rtp(SSRC, 100, b"x"))).is_ok());
        assert!(inbound.open_rtcp(&mut seal_rtcp(&mut outbound, &rtcp(SSRC, b"feedback"))).is_ok());
        for round in 0..1_000u16 {
            let junk = random_bytes(&mut random, 40);
            let ssrc = if round % 2 == 0 { SSRC } else { random.next_u32() };
            let mut forged = rtp(ssrc, 20_000 + round, &junk);
            assert_eq!(open_rtp(&mut inbound, &mut forged), Err(Discard::BadAuthentication));
            let mut forged = rtcp(ssrc, b"feedback");
            // An index far ahead, marked as encrypted at both places where it may stand.
            forged.extend([0xff; 24]);
            assert_eq!(inbound.open_rtcp(&mut forged), Err(Discard::BadAuthentication));
        }
        assert!(open_rtp(&mut inbound, &mut seal_rtp(&outbound, 101, &rtp(SSRC, 101, b"x"))).is_ok());
        assert!(inbound.open_rtcp(&mut seal_rtcp(&mut outbound, &rtcp(SSRC, b"feedback"))).is_ok());
        for ssrc in 1..64 {
            assert!(open_rtp(&mut inbound, &mut seal_rtp(&outbound, 1, &rtp(ssrc, 1, b"x"))).is_ok());
        }
    }
}

#[test]
fn what_is_too_short_for_its_overhead_is_truncated() {
    for profile in Profile::ALL {
        let (outbound, mut inbound) = ends(profile);
        let mut packet = rtp(SSRC, 1, &[]);
        packet.resize(packet.len() + outbound.rtp_overhead() - 1, 0);
        assert_eq!(open_rtp(&mut inbound, &mut packet), Err(Discard::Truncated));
        let mut packet = vec![0x80; 8 + outbound.rtcp_overhead() - 1];
        assert_eq!(inbound.open_rtcp(&mut packet), Err(Discard::Truncated));
        // A header that was parsed from another, longer packet.
        let header = Header::parse(&rtp(SSRC, 6, &[])).unwrap();
        assert_eq!(inbound.open_rtp(&header, &mut [0x80; 30]), Err(Discard::Truncated));
    }
}

#[test]
fn sealing_wants_exactly_the_room_it_needs() {
    for profile in Profile::ALL {
        let (mut outbound, _) = ends(profile);
        let header = rtp(SSRC, 1, &[]);
        let right = header.len() + 4 + outbound.rtp_overhead();
        for len in [0, header.len(), right - 1, right + 1] {
            let mut out = vec![0; len];
            assert_eq!(outbound.seal_rtp(1, header.len(), b"four", &mut out), Err(Discard::TooLarge));
            assert_eq!(outbound.seal_rtp_in_place(1, header.len(), 4, &mut out), Err(Discard::TooLarge));
        }
        let mut out = vec![0; 8 + 4 + outbound.rtp_overhead()];
        assert_eq!(outbound.seal_rtp(0, 8, b"four", &mut out), Err(Discard::RtpMalformed));
        let mut out = rtcp(SSRC, b"feedback");
        assert_eq!(outbound.seal_rtcp(out.len(), &mut out), Err(Discard::TooLarge));
        out.resize(100, 0);
        assert_eq!(outbound.seal_rtcp(4, &mut out), Err(Discard::Truncated));
        assert_eq!(outbound.seal_rtcp(usize::MAX, &mut out), Err(Discard::TooLarge));
    }
}
