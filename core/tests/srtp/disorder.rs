//! Late, repeated and missing packets; wraps; many streams.

use proptest::prelude::*;
use tidewire_core::count::Discard;
use tidewire_core::handshake::Profile;
use tidewire_core::limits::{REPORTERS_PER_CONNECTION_MAX, SSRCS_PER_CONNECTION_MAX};
use tidewire_core::srtp::Opened;

use crate::fixture::{SSRC, ends, open_rtp, rtcp, rtp, seal_rtcp, seal_rtp};

#[test]
fn a_packet_opens_once() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = ends(profile);
        let sealed = seal_rtp(&outbound, 10, &rtp(SSRC, 10, b"once"));
        assert!(open_rtp(&mut inbound, &mut sealed.clone()).is_ok());
        assert_eq!(open_rtp(&mut inbound, &mut sealed.clone()), Err(Discard::Replayed));
        let sealed = seal_rtcp(&mut outbound, &rtcp(SSRC, b"feedback"));
        assert!(inbound.open_rtcp(&mut sealed.clone()).is_ok());
        assert_eq!(inbound.open_rtcp(&mut sealed.clone()), Err(Discard::Replayed));
    }
}

#[test]
fn a_packet_from_behind_the_window_is_too_old() {
    let (mut outbound, mut inbound) = ends(Profile::AeadAes128Gcm);
    let mut open = |index: u64| open_rtp(&mut inbound, &mut seal_rtp(&outbound, index, &rtp(SSRC, index as u16, b"x")));
    assert!(open(5_000).is_ok());
    assert!(open(5_000 - 959).is_ok());
    assert_eq!(open(5_000 - 960), Err(Discard::TooOld));

    let flight: Vec<_> = (0..200).map(|_| seal_rtcp(&mut outbound, &rtcp(SSRC, b"feedback"))).collect();
    assert!(inbound.open_rtcp(&mut flight[199].clone()).is_ok());
    assert!(inbound.open_rtcp(&mut flight[199 - 191].clone()).is_ok());
    assert_eq!(inbound.open_rtcp(&mut flight[199 - 192].clone()), Err(Discard::TooOld));
}

#[test]
fn nothing_before_the_first_rollover_underflows() {
    for profile in Profile::ALL {
        let (outbound, mut inbound) = ends(profile);
        let mut open =
            |index: u64| open_rtp(&mut inbound, &mut seal_rtp(&outbound, index, &rtp(SSRC, index as u16, b"x")));
        assert_eq!(open(2).map(|opened| opened.index), Ok(2));
        // Under rollover counter 0 this is a leap forward; it would be behind only if there were a counter before 0.
        assert_eq!(open(65_535).map(|opened| opened.index), Ok(65_535));
        assert_eq!(open(65_536).map(|opened| opened.index), Ok(65_536));
    }
}

#[test]
fn streams_are_bounded_and_give_their_place_back() {
    let (mut outbound, mut inbound) = ends(Profile::AeadAes256Gcm);
    let limit = SSRCS_PER_CONNECTION_MAX as u32;
    for ssrc in 0..limit {
        assert!(open_rtp(&mut inbound, &mut seal_rtp(&outbound, 1, &rtp(ssrc, 1, b"x"))).is_ok());
    }
    // A viewer may report on more streams than a publisher may send.
    let reporters = REPORTERS_PER_CONNECTION_MAX as u32;
    for ssrc in 0..reporters {
        assert!(inbound.open_rtcp(&mut seal_rtcp(&mut outbound, &rtcp(ssrc, b"feedback"))).is_ok());
    }
    let mut one_more = seal_rtp(&outbound, 1, &rtp(limit, 1, b"x"));
    assert_eq!(open_rtp(&mut inbound, &mut one_more), Err(Discard::TooManySsrcs));
    let mut feedback = seal_rtcp(&mut outbound, &rtcp(reporters, b"feedback"));
    assert_eq!(inbound.open_rtcp(&mut feedback), Err(Discard::TooManySsrcs));

    inbound.forget(17);
    assert!(open_rtp(&mut inbound, &mut one_more).is_ok());
    assert!(inbound.open_rtcp(&mut feedback).is_ok());
    // Those that stayed still know what they have seen.
    for ssrc in (0..limit).filter(|ssrc| *ssrc != 17) {
        assert_eq!(open_rtp(&mut inbound, &mut seal_rtp(&outbound, 1, &rtp(ssrc, 1, b"x"))), Err(Discard::Replayed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Steps are mostly small and to both sides, now and then as large a loss as a sequence number can bridge.
    #[test]
    fn index_follows_the_sender_through_disorder_and_wraps(
        first in 0u64..32_768,
        steps in proptest::collection::vec(prop_oneof![8 => -200i64..250, 1 => 10_000i64..32_000], 1..200),
    ) {
        let (outbound, mut inbound) = ends(Profile::AeadAes128Gcm);
        let (mut highest, mut seen) = (first, std::collections::HashSet::new());
        for step in std::iter::once(0).chain(steps) {
            let index = highest.saturating_add_signed(step);
            let plain = rtp(SSRC, index as u16, &index.to_be_bytes());
            let mut slot = seal_rtp(&outbound, index, &plain);
            let expected = match seen.insert(index) {
                true => Ok(Opened { len: plain.len(), index }),
                false => Err(Discard::Replayed),
            };
            prop_assert_eq!(open_rtp(&mut inbound, &mut slot), expected);
            highest = highest.max(index);
        }
    }

    #[test]
    fn two_ways_of_sealing_give_the_same_bytes(
        index in 0u64..1 << 48,
        payload in proptest::collection::vec(any::<u8>(), 0..1_400),
    ) {
        for profile in Profile::ALL {
            // Two ends, since debug builds take note of what one end has sealed.
            let (scattered, in_place) = (ends(profile).0, ends(profile).0);
            let plain = rtp(SSRC, index as u16, &payload);
            let mut out = plain.clone();
            out.resize(plain.len() + in_place.rtp_overhead(), 0);
            let header_len = plain.len() - payload.len();
            in_place.seal_rtp_in_place(index, header_len, payload.len(), &mut out).unwrap();
            prop_assert_eq!(seal_rtp(&scattered, index, &plain), out);
        }
    }
}
