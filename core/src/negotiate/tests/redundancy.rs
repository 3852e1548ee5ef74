//! Redundant audio (RFC 2198) in offers: of what it may consist, and what viewers without it get.

use super::*;

#[test]
fn redundant_audio_is_answered_only_of_opus_in_its_own_section() {
    for (parameters, numbers) in
        [("111/111", &[111, 63, 9, 0, 8][..]), ("0/0", &[111, 9, 0, 8]), ("111/9", &[111, 9, 0, 8])]
    {
        let offer = CHROMIUM_WHIP.replace("a=fmtp:63 111/111", &format!("a=fmtp:63 {parameters}"));
        let (agreement, _) = upstream(&offer).unwrap();
        let formats: Vec<_> = agreement.media[0].formats.iter().map(|format| format.payload_type).collect();
        assert_eq!(formats, numbers, "{parameters}");
    }
}

#[test]
fn a_viewer_without_the_redundant_format_gets_opus_first_of_a_publisher_that_sends_it() {
    let preferred = CHROMIUM_WHIP.replace("SAVPF 111 63", "SAVPF 63 111");
    let red = upstream(&preferred).unwrap().0.media[0].formats[0].spec.clone();
    assert_eq!(red.codec, Codec::Red);
    let first = |offer: &str| downstream(offer, std::slice::from_ref(&red)).unwrap().0.media[0].formats[0].spec.codec;
    assert_eq!(first(CHROMIUM_WHEP), Codec::Red);
    assert_eq!(first(&CHROMIUM_WHEP.replace("red/48000/2", "other/48000/2")), Codec::Opus);
}
