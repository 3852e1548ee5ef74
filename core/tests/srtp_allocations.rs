//! Sealing and opening allocate nothing once a stream is known. In its own binary, since the allocator is global.
//!
//! This sees Rust's allocator. What the C library under the ciphers allocates it cannot see; it allocates per key only.
#![allow(clippy::unwrap_used)]

use tidewire_core::handshake::{MasterKey, Profile};
use tidewire_core::rtp::Header;
use tidewire_core::srtp::{Inbound, Outbound};

const SSRCS: [u32; 3] = [1, 2, 3];
const HEADER_LEN: usize = 12;

fn header(ssrc: u32, sequence: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[0] = 0x80;
    header[2..4].copy_from_slice(&sequence.to_be_bytes());
    header[8..].copy_from_slice(&ssrc.to_be_bytes());
    header
}

/// One RTP packet each way that RTP is sealed, for each stream, and one of RTCP: sealed, and opened again.
fn one_round(outbound: &mut Outbound, inbound: &mut Inbound, index: u64, payload: &[u8]) {
    let mut slot = [0; 2048];
    let out = &mut slot[..HEADER_LEN + payload.len() + outbound.rtp_overhead()];
    for ssrc in SSRCS {
        out[..HEADER_LEN].copy_from_slice(&header(ssrc, index as u16));
        outbound.seal_rtp(index, HEADER_LEN, payload, out).unwrap();
        let header = Header::parse(out).unwrap();
        assert_eq!(inbound.open_rtp(&header, out).unwrap().index, index);
        outbound.seal_rtp_in_place(index, HEADER_LEN, payload.len(), out).unwrap();
        assert!(inbound.open_rtp(&header, out).is_err());

        slot_rtcp(outbound, inbound, ssrc);
    }
}

fn slot_rtcp(outbound: &mut Outbound, inbound: &mut Inbound, ssrc: u32) {
    let mut slot = [0; 64];
    slot[..4].copy_from_slice(&[0x80, 201, 0, 1]);
    slot[4..8].copy_from_slice(&ssrc.to_be_bytes());
    let len = outbound.seal_rtcp(8, &mut slot).unwrap();
    assert_eq!(inbound.open_rtcp(&mut slot[..len]), Ok(8));
}

#[test]
fn no_packet_allocates_after_the_first_of_its_stream() {
    let payload = [9; 1_200];
    for profile in Profile::ALL {
        let master = MasterKey {
            key: [1; 32][..profile.key_len()].try_into().unwrap(),
            salt: [2; 14][..profile.salt_len()].try_into().unwrap(),
        };
        let (mut outbound, mut inbound) = (Outbound::new(profile, &master), Inbound::new(profile, &master));
        one_round(&mut outbound, &mut inbound, 0, &payload);
        let counted = allocation_counter::measure(|| {
            for index in 1..1_000 {
                one_round(&mut outbound, &mut inbound, index, &payload[..index as usize]);
            }
        });
        assert_eq!(counted.count_total, 0, "{profile:?}");
    }
}
