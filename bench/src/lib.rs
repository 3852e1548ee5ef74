//! What the benches have in common: packets as browsers send them, and keys.
//!
//! Each bench is one question about one hot function. It stands in a criterion group together with its floor, the least
//! that could possibly be done in its place, so that the answer is a ratio within one run: nanoseconds of two days on a
//! shared machine do not compare. `src/bin/ratios.rs` prints those ratios, docs/performance.md says what they mean.

pub mod cipher;
pub mod client;
mod cpu_time;
pub mod stage;

use std::time::Duration;

pub use cpu_time::CpuTime;
use criterion::Criterion;
use tidewire_core::handshake::{MasterKey, Profile};
use tidewire_core::negotiate::{Extension, Extensions};
use tidewire_core::random::Seeded;
use tidewire_core::srtp::{Inbound, Outbound};

/// How long each bench is run: short, since what counts is the ratio to its neighbour, minutes apart at most.
pub fn configuration() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

/// How often an instruction bench repeats a floor, so that the way there does not weigh.
pub const FLOOR_REPEATS: u32 = 16;

/// Payload bytes of a speech packet with room for a codec's better days, and of a full video packet.
pub const PAYLOAD_LENS: [usize; 2] = [160, 1200];

/// Header extensions of a video packet as Chromium sends them: MID, abs-send-time, transport sequence number, and the
/// dependency descriptor of a packet within a frame; 24 bytes in the one-byte form.
const EXTENSIONS: [u8; 24] = [
    0xbe, 0xde, 0, 5, // one-byte form, five words
    0x40, b'1', // MID
    0x22, 1, 2, 3, // abs-send-time
    0x31, 9, 9, // transport-wide sequence number
    0xd2, 0x01, 0, 7, // dependency descriptor: template 1, frame 7
    0, 0, 0, 0, 0, 0, 0,
];

/// The same of a key frame in one packet, with which the structure comes: one target, and a template each for a key frame and
/// for a frame that leans on the one before it.
const KEY_EXTENSIONS: [u8; 24] = [
    0xbe, 0xde, 0, 5, 0x40, b'1', 0x22, 1, 2, 3, 0x31, 9, 9, // as above
    0xd7, 0xc0, 0, 6, 0x80, 0x00, 0x3a, 0x40, 0x00, // dependency descriptor: template 0, frame 6, structure
    0, 0,
];

/// The ids under which `rtp` writes its header extensions.
pub fn publisher_ids() -> Extensions {
    bind(&[
        (Extension::Mid, 4),
        (Extension::AbsSendTime, 2),
        (Extension::TransportSequence, 3),
        (Extension::DependencyDescriptor, 13),
    ])
}

/// The ids of a viewer that chose otherwise.
pub fn viewer_ids() -> Extensions {
    bind(&[
        (Extension::Mid, 9),
        (Extension::AbsSendTime, 3),
        (Extension::TransportSequence, 5),
        (Extension::DependencyDescriptor, 8),
    ])
}

fn bind(pairs: &[(Extension, u8)]) -> Extensions {
    let mut ids = Extensions::default();
    for (extension, id) in pairs {
        ids.bind(*extension, *id);
    }
    ids
}

/// Bytes that look like an encoded picture to anybody who would compress or branch on them.
pub fn payload(len: usize) -> Vec<u8> {
    let mut random = Seeded::new(1);
    (0..len).map(|_| random.next_u64() as u8).collect()
}

/// A plain video packet with its header extensions.
pub fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(90_000u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(EXTENSIONS);
    packet.extend(payload);
    packet
}

/// The two ends of one direction of a connection.
pub fn srtp_ends(profile: Profile) -> (Outbound, Inbound) {
    let master = MasterKey {
        key: std::iter::repeat_n(7, profile.key_len()).collect(),
        salt: std::iter::repeat_n(9, profile.salt_len()).collect(),
    };
    (Outbound::new(profile, &master), Inbound::new(profile, &master))
}

/// How a profile is called in the names of benches.
pub const fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::AeadAes256Gcm => "aes-256-gcm",
        Profile::AeadAes128Gcm => "aes-128-gcm",
        Profile::Aes128CmSha1_80 => "aes-cm-sha1-80",
    }
}

#[cfg(test)]
mod tests {
    use tidewire_core::rtp::Header;

    use super::*;

    #[test]
    fn the_packet_has_the_extensions_it_claims() {
        let packet = rtp(1, 2, &[3]);
        let header = Header::parse(&packet).expect("well formed");
        assert_eq!(header.len, packet.len() - 1);
        let ids = publisher_ids();
        let found: Vec<_> = header.extensions(&packet).filter_map(|(id, _)| ids.of(id)).collect();
        let expected =
            [Extension::Mid, Extension::AbsSendTime, Extension::TransportSequence, Extension::DependencyDescriptor];
        assert_eq!(found, expected);
    }
}
