//! Both ways against `webrtc-srtp`, bit for bit.

use tidewire_core::handshake::Profile;
use tidewire_core::random::Seeded;
use tidewire_core::srtp::Opened;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use crate::fixture::{SSRC, ends, master, open_rtp, random_bytes, rtcp, rtp, seal_rtcp, seal_rtp};

/// The other implementation, with the key of `ends`.
fn oracle(profile: Profile) -> Context {
    let (master, profile) = (
        master(profile, 7),
        match profile {
            Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        },
    );
    Context::new(&master.key, &master.salt, profile, None, None).unwrap()
}

/// Packets of all sizes from just before a wrap of the sequence number to well behind it, with their indices.
fn packets() -> Vec<(u64, Vec<u8>)> {
    let mut random = Seeded::new(1);
    (65_400..65_700u64)
        .map(|index| {
            let len = random.below(1_200) as usize;
            (index, rtp(SSRC, index as u16, &random_bytes(&mut random, len)))
        })
        .collect()
}

#[test]
fn what_we_seal_the_oracle_seals_alike_and_opens() {
    for profile in Profile::ALL {
        let (outbound, _) = ends(profile);
        let (mut sealing, mut opening) = (oracle(profile), oracle(profile));
        for (index, plain) in packets() {
            let sealed = seal_rtp(&outbound, index, &plain);
            assert_eq!(sealed, sealing.encrypt_rtp(&plain).unwrap(), "{profile:?} {index}");
            assert_eq!(plain, opening.decrypt_rtp(&sealed).unwrap(), "{profile:?} {index}");
        }
    }
}

#[test]
fn what_the_oracle_seals_we_open_in_any_order() {
    for profile in Profile::ALL {
        let (mut theirs, (_, mut inbound)) = (oracle(profile), ends(profile));
        let mut random = Seeded::new(2);
        let mut flight: Vec<_> =
            packets().into_iter().map(|(index, plain)| (index, theirs.encrypt_rtp(&plain).unwrap(), plain)).collect();
        // Up to 40 places late, on both sides of the wrap.
        flight.sort_by_key(|(index, ..)| index + random.below(40));
        for (index, sealed, plain) in flight {
            let mut slot = sealed.to_vec();
            assert_eq!(open_rtp(&mut inbound, &mut slot), Ok(Opened { len: plain.len(), index }), "{profile:?}");
            assert_eq!(slot[..plain.len()], plain);
        }
    }
}

#[test]
fn rtcp_agrees_both_ways() {
    for profile in Profile::ALL {
        let (mut sealing, mut opening) = (oracle(profile), oracle(profile));
        let (mut outbound, mut inbound) = ends(profile);
        // The oracle's first index is 1, ours 0 as RFC 3711 3.2.1 has it.
        seal_rtcp(&mut outbound, &rtcp(SSRC, &[0; 8]));
        for n in 0..100u8 {
            let plain = rtcp(SSRC, &[n; 8]);
            let sealed = seal_rtcp(&mut outbound, &plain);
            assert_eq!(sealed, sealing.encrypt_rtcp(&plain).unwrap(), "{profile:?} {n}");
            assert_eq!(plain, opening.decrypt_rtcp(&sealed).unwrap(), "{profile:?} {n}");
            let mut slot = sealed;
            assert_eq!(inbound.open_rtcp(&mut slot), Ok(plain.len()));
            assert_eq!(slot[..plain.len()], plain);
        }
    }
}
