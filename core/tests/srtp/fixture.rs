//! Keys, packets and the two ends of a connection, made from seeds.

use tidewire_core::count::Discard;
use tidewire_core::handshake::{MasterKey, Profile};
use tidewire_core::random::Seeded;
use tidewire_core::rtp::Header;
use tidewire_core::srtp::{Inbound, Opened, Outbound};

pub(crate) const SSRC: u32 = 0xcafe_f00d;

pub(crate) fn random_bytes(random: &mut Seeded, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next_u64() as u8).collect()
}

pub(crate) fn master(profile: Profile, seed: u64) -> MasterKey {
    let mut random = Seeded::new(seed);
    MasterKey {
        key: random_bytes(&mut random, profile.key_len()).as_slice().try_into().unwrap(),
        salt: random_bytes(&mut random, profile.salt_len()).as_slice().try_into().unwrap(),
    }
}

pub(crate) fn ends(profile: Profile) -> (Outbound, Inbound) {
    let master = master(profile, 7);
    (Outbound::new(profile, &master), Inbound::new(profile, &master))
}

/// A plain RTP packet; every third one has a CSRC, every second one an extension.
pub(crate) fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let csrcs = u8::from(sequence.is_multiple_of(3));
    let extended = if sequence.is_multiple_of(2) { 0x10 } else { 0 };
    let mut packet = vec![0x80 | extended | csrcs, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 3_000).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(std::iter::repeat_n(0x55, 4 * usize::from(csrcs)));
    if extended != 0 {
        packet.extend([0xbe, 0xde, 0, 1, 0x12, 1, 2, 3]);
    }
    packet.extend(payload);
    packet
}

/// A receiver report without blocks, and a payload-specific feedback message behind it.
pub(crate) fn rtcp(ssrc: u32, feedback: &[u8; 8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 206, 0, 2]);
    packet.extend(feedback);
    packet
}

/// Seals a plain RTP packet under `index`.
pub(crate) fn seal_rtp(outbound: &Outbound, index: u64, plain: &[u8]) -> Vec<u8> {
    let header = Header::parse(plain).unwrap();
    let mut out = plain[..header.len].to_vec();
    out.resize(plain.len() + outbound.rtp_overhead(), 0xee);
    assert_eq!(outbound.seal_rtp(index, header.len, &plain[header.len..], &mut out), Ok(out.len()));
    out
}

pub(crate) fn seal_rtcp(outbound: &mut Outbound, plain: &[u8]) -> Vec<u8> {
    let mut out = plain.to_vec();
    out.resize(plain.len() + outbound.rtcp_overhead(), 0xee);
    assert_eq!(outbound.seal_rtcp(plain.len(), &mut out), Ok(out.len()));
    out
}

/// Opens what came off the wire, from the first look at its header on.
pub(crate) fn open_rtp(inbound: &mut Inbound, packet: &mut [u8]) -> Result<Opened, Discard> {
    let header = Header::parse(packet)?;
    inbound.open_rtp(&header, packet)
}
