//! Published packets, byte for byte: RFC 7714 sections 16 and 17. They start from session keys.

use super::derivation::SessionKeys;
use super::transform::Transform;
use super::{Inbound, Opened, Outbound};
use crate::count::Discard;
use crate::handshake::Profile;
use crate::rtp;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SALT: &str = "517569642070726f2071756f";

const RTP_HEADER: &str = "8040f17b8041f8d35501a0b2";
const RTP_PAYLOAD: &[u8] = b"Gallia est omnis divisa in partes tres";
const SRTP: [(Profile, &str); 2] = [
    (
        Profile::AeadAes128Gcm,
        "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
         899d7f27beb16a9152cf765ee4390cce",
    ),
    (
        Profile::AeadAes256Gcm,
        "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
         7aa3db36dfffd6b0f9bb7878d7a76c13",
    ),
];

const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                    deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
const RTCP_INDEX: u64 = 0x5d4;
const SRTCP: [(Profile, &str); 2] = [
    (
        Profile::AeadAes128Gcm,
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b468630\
         3ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    ),
    (
        Profile::AeadAes256Gcm,
        "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61d\
         e0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
    ),
];
/// Section 17.3: authenticated, but not encrypted.
const SRTCP_CLEAR: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                           deadbeefdeadbeefdeadbeefdeadbeefdeadbeef841dd9683dd78ec92ae58790125f62b3000005d4";

/// Bytes written in hexadecimal.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn transform(profile: Profile) -> Transform {
    let keys = SessionKeys {
        cipher: bytes(KEY)[..profile.key_len()].try_into().unwrap(),
        salt: bytes(SALT).as_slice().try_into().unwrap(),
        authentication: [0; 20],
    };
    Transform::new(profile, &keys)
}

fn inbound(profile: Profile) -> Inbound {
    Inbound::with_transforms(transform(profile), transform(profile))
}

fn outbound(profile: Profile) -> Outbound {
    Outbound::with_transforms(transform(profile), transform(profile))
}

#[test]
fn srtp_is_sealed_as_published_from_a_payload_and_in_place() {
    for (profile, body) in SRTP {
        let sealed = bytes(&format!("{RTP_HEADER}{body}"));
        let mut out = bytes(RTP_HEADER);
        out.resize(sealed.len(), 0xaa);
        let outbound = outbound(profile);
        assert_eq!(outbound.seal_rtp(0xf17b, 12, RTP_PAYLOAD, &mut out), Ok(sealed.len()));
        assert_eq!(out, sealed);
        out[12..][..RTP_PAYLOAD.len()].copy_from_slice(RTP_PAYLOAD);
        assert_eq!(outbound.seal_rtp_in_place(0xf17b, 12, RTP_PAYLOAD.len(), &mut out), Ok(sealed.len()));
        assert_eq!(out, sealed);
    }
}

#[test]
fn published_srtp_is_opened() {
    for (profile, body) in SRTP {
        let mut packet = bytes(&format!("{RTP_HEADER}{body}"));
        let header = rtp::Header::parse(&packet).unwrap();
        let opened = inbound(profile).open_rtp(&header, &mut packet);
        assert_eq!(opened, Ok(Opened { len: 12 + RTP_PAYLOAD.len(), index: 0xf17b }));
        assert_eq!(&packet[12..][..RTP_PAYLOAD.len()], RTP_PAYLOAD);
    }
}

#[test]
fn srtcp_is_sealed_and_opened_as_published() {
    for (profile, sealed) in SRTCP {
        let (plain, sealed) = (bytes(RTCP), bytes(sealed));
        let mut out = plain.clone();
        out.resize(sealed.len(), 0xaa);
        let mut outbound = outbound(profile);
        outbound.skip_rtcp_to(RTCP_INDEX);
        assert_eq!(outbound.seal_rtcp(plain.len(), &mut out), Ok(sealed.len()));
        assert_eq!(out, sealed);
        assert_eq!(inbound(profile).open_rtcp(&mut out), Ok(plain.len()));
        assert_eq!(out[..plain.len()], plain);
    }
}

#[test]
fn srtcp_in_the_clear_is_refused_though_it_is_authentic() {
    let mut packet = bytes(SRTCP_CLEAR);
    assert_eq!(inbound(Profile::AeadAes128Gcm).open_rtcp(&mut packet), Err(Discard::RtcpMalformed));
}

#[test]
fn a_key_ends_where_its_indices_end() {
    let mut outbound = outbound(Profile::AeadAes128Gcm);
    let mut out = bytes(RTCP);
    let len = out.len();
    out.resize(len + 20, 0);
    outbound.skip_rtcp_to((1 << 31) - 1);
    assert_eq!(outbound.seal_rtcp(len, &mut out), Ok(len + 20));
    assert_eq!(outbound.seal_rtcp(len, &mut out), Err(Discard::KeyExhausted));

    let mut out = [0x80; 12 + 16];
    (out[2], out[3]) = (0xff, 0xff);
    assert_eq!(outbound.seal_rtp((1 << 48) - 1, 12, &[], &mut out), Ok(28));
    (out[2], out[3]) = (0, 0);
    assert_eq!(outbound.seal_rtp(1 << 48, 12, &[], &mut out), Err(Discard::KeyExhausted));
}

#[test]
#[should_panic(expected = "sealed twice with different content")]
fn one_index_never_seals_two_contents() {
    let outbound = outbound(Profile::AeadAes256Gcm);
    let mut out = bytes(RTP_HEADER);
    out.resize(12 + 3 + 16, 0);
    outbound.seal_rtp(0xf17b, 12, b"one", &mut out).unwrap();
    outbound.seal_rtp(0xf17b, 12, b"one", &mut out).unwrap();
    outbound.seal_rtp(0xf17b, 12, b"two", &mut out).unwrap();
}
