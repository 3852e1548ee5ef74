//! The engine from end to end: offers as browsers, OBS and GStreamer make them, the answers they get, and what is refused.
//!
//! Answers are compared with the text files beside the offers; `TIDEWIRE_BLESS=1` writes those anew.

mod redundancy;

use std::net::SocketAddr;
use std::path::PathBuf;

use proptest::prelude::*;

use super::parse::Direction;
use super::*;
use crate::codec::{Codec, Kind};
use crate::handshake::Fingerprint;
use crate::limits::SDP_LEN_MAX;

const CHROMIUM_WHIP: &str = include_str!("fixtures/chromium_whip.sdp");
const CHROMIUM_WHIP_SIMULCAST: &str = include_str!("fixtures/chromium_whip_simulcast.sdp");
const CHROMIUM_DATACHANNEL: &str = include_str!("fixtures/chromium_datachannel.sdp");
const CHROMIUM_WHEP: &str = include_str!("fixtures/chromium_whep.sdp");
const FIREFOX_WHIP: &str = include_str!("fixtures/firefox_whip.sdp");
const FIREFOX_WHIP_SIMULCAST: &str = include_str!("fixtures/firefox_whip_simulcast.sdp");
const FIREFOX_WHEP_BUNDLE_ONLY: &str = include_str!("fixtures/firefox_whep_bundle_only.sdp");
const OBS_WHIP: &str = include_str!("fixtures/obs_whip.sdp");
const GSTREAMER_WHIP: &str = include_str!("fixtures/gstreamer_whip.sdp");

const OFFERS: [&str; 9] = [
    CHROMIUM_WHIP,
    CHROMIUM_WHIP_SIMULCAST,
    CHROMIUM_DATACHANNEL,
    CHROMIUM_WHEP,
    FIREFOX_WHIP,
    FIREFOX_WHIP_SIMULCAST,
    FIREFOX_WHEP_BUNDLE_ONLY,
    OBS_WHIP,
    GSTREAMER_WHIP,
];

type Answered = Result<(Agreement, String), Refusal>;

fn with_local<T>(answer: impl FnOnce(&Local<'_>) -> T) -> T {
    let credentials = Credentials::new("t1de", "w1rew1rew1rew1rew1rew1re").unwrap();
    let fingerprint = Fingerprint(std::array::from_fn(|index| index as u8 * 7));
    let candidates: [SocketAddr; 2] = [([192, 0, 2, 7], 7000).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 7000).into()];
    answer(&Local { credentials: &credentials, fingerprint: &fingerprint, candidates: &candidates, session_id: 42 })
}

fn upstream(offer: &str) -> Answered {
    let offer = Offer::parse(offer).unwrap();
    with_local(|local| answer_upstream(&offer, local))
}

fn downstream(offer: &str, wanted: &[Spec]) -> Answered {
    let offer = Offer::parse(offer).unwrap();
    downstream_of(&offer, wanted)
}

fn downstream_of(offer: &Offer, wanted: &[Spec]) -> Answered {
    let wanted: Vec<_> = wanted.iter().map(|spec| Wanted { kind: spec.codec.kind(), spec }).collect();
    let mut ssrc = 999;
    let mut draw = || {
        ssrc += 1;
        ssrc
    };
    with_local(|local| answer_downstream(offer, local, &wanted, "stream", &mut draw))
}

fn spec(codec: Codec, parameters: &str) -> Spec {
    let (clock_rate, channels) = if codec == Codec::Opus { (48_000, 2) } else { (90_000, 1) };
    Spec { codec, clock_rate, channels, parameters: parameters.to_owned() }
}

fn opus() -> Spec {
    spec(Codec::Opus, "minptime=10;useinbandfec=1")
}

fn payload_types(media: &Media) -> Vec<u8> {
    media.formats.iter().map(|format| format.payload_type).collect()
}

/// The lines of one media section of an answer.
fn section(answer: &str, index: usize) -> Vec<&str> {
    answer.split("m=").nth(index + 1).unwrap_or_default().lines().collect()
}

#[track_caller]
fn compare(name: &str, answered: &Answered) {
    let text = answered.as_ref().map(|(_, text)| text.replace("\r\n", "\n")).unwrap();
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/negotiate/fixtures").join(format!("{name}.answer.sdp"));
    if std::env::var_os("TIDEWIRE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
}

#[test]
fn answers_are_those_written_down() {
    compare("chromium_whip", &upstream(CHROMIUM_WHIP));
    compare("chromium_whip_simulcast", &upstream(CHROMIUM_WHIP_SIMULCAST));
    compare("chromium_datachannel", &upstream(CHROMIUM_DATACHANNEL));
    compare("firefox_whip", &upstream(FIREFOX_WHIP));
    compare("firefox_whip_simulcast", &upstream(FIREFOX_WHIP_SIMULCAST));
    compare("obs_whip", &upstream(OBS_WHIP));
    compare("gstreamer_whip", &upstream(GSTREAMER_WHIP));
    compare("chromium_whep", &downstream(CHROMIUM_WHEP, &[opus(), spec(Codec::Vp8, "")]));
    compare("firefox_whep_bundle_only", &downstream(FIREFOX_WHEP_BUNDLE_ONLY, &[opus(), spec(Codec::Vp8, "")]));
}

#[test]
fn a_chromium_publisher_is_agreed_with_in_its_own_order() {
    let (agreement, _) = upstream(CHROMIUM_WHIP).unwrap();
    let [audio, video] = &agreement.media[..] else { panic!("{agreement:?}") };
    assert_eq!(agreement.remote.ufrag, "lHNG");
    assert_eq!(agreement.fingerprint.0[..3], [0x56, 0x35, 0x56]);
    assert_eq!((audio.kind, payload_types(audio)), (Kind::Audio, vec![111, 63, 9, 0, 8]));
    assert_eq!(audio.sources, [Source { primary: 3_570_464_604, rtx: None }]);
    assert_eq!(audio.formats[0].spec, opus());
    assert_eq!(payload_types(video), [96, 102, 104, 108, 114, 116, 39, 45, 98, 100]);
    assert_eq!(video.formats[0].rtx, Some(97));
    assert_eq!(video.sources, [Source { primary: 20_153_990, rtx: Some(3_773_732_797) }]);
    assert_eq!(video.extensions.id(Extension::Mid), Some(4));
    assert_eq!([audio, video].map(|media| media.extensions.id(Extension::TransportSequence)), [Some(3); 2]);
    let feedback = Feedback { nack: true, pli: true, fir: true, transport_cc: true, remb: false };
    assert_eq!(video.formats[0].feedback, feedback);
}

#[test]
fn a_chromium_viewer_reports_on_the_transport_of_its_video_alone() {
    let (agreement, answer) = downstream(CHROMIUM_WHEP, &[opus(), spec(Codec::Vp8, "")]).unwrap();
    let [audio, video] = &agreement.media[..] else { panic!("{agreement:?}") };
    assert!(!audio.formats[0].feedback.transport_cc && audio.extensions.id(Extension::TransportSequence).is_none());
    assert!(video.formats[0].feedback.transport_cc && video.formats[0].feedback.remb);
    assert!(video.extensions.id(Extension::TransportSequence).is_some());
    assert_eq!(answer.matches("transport-wide-cc-extensions").count(), 1);
}

#[test]
fn a_section_that_numbers_the_transport_by_another_id_goes_without() {
    let uri = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let other = CHROMIUM_WHIP.replacen(&format!("a=extmap:3 {uri}"), &format!("a=extmap:14 {uri}"), 1);
    let (agreement, answer) = upstream(&other).unwrap();
    let numbered = |media: &Media| media.extensions.id(Extension::TransportSequence);
    assert_eq!(agreement.media.iter().map(numbered).collect::<Vec<_>>(), [Some(14), None]);
    assert!(answer.contains("a=rtcp-fb:111 transport-cc") && !answer.contains("a=rtcp-fb:96 transport-cc"));
}

#[test]
fn simulcast_is_received_encoding_by_encoding() {
    for offer in [CHROMIUM_WHIP_SIMULCAST, FIREFOX_WHIP_SIMULCAST] {
        let (agreement, answer) = upstream(offer).unwrap();
        let rids: Vec<_> = agreement.media[1].rids.iter().map(|rid| rid.as_str()).collect();
        assert_eq!(rids, ["q", "h", "f"]);
        assert!(answer.contains("a=simulcast:recv q;h;f\r\n") && answer.contains("a=rid:h recv\r\n"));
        assert!(answer.contains("sdes:rtp-stream-id") && answer.contains("sdes:repaired-rtp-stream-id"));
    }
    let (agreement, _) = upstream(FIREFOX_WHIP_SIMULCAST).unwrap();
    let primaries: Vec<_> = agreement.media[1].sources.iter().map(|source| source.primary).collect();
    assert_eq!(primaries, [2_577_227_350, 3_121_742_081, 1_912_625_569]);
}

#[test]
fn bundle_only_with_port_zero_is_an_offered_section() {
    let (agreement, answer) = downstream(FIREFOX_WHEP_BUNDLE_ONLY, &[opus(), spec(Codec::Vp8, "")]).unwrap();
    assert_eq!(agreement.media.len(), 2);
    assert!(answer.contains("m=video 9 "));
    let (agreement, _) = upstream(GSTREAMER_WHIP).unwrap();
    assert_eq!(agreement.media[1].kind, Kind::Audio);
}

#[test]
fn port_zero_alone_is_a_rejected_section() {
    let offer = FIREFOX_WHEP_BUNDLE_ONLY.replace("a=bundle-only\n", "");
    let (agreement, answer) = downstream(&offer, &[opus(), spec(Codec::Vp8, "")]).unwrap();
    assert_eq!(agreement.media.len(), 1);
    assert!(answer.contains("a=group:BUNDLE 0\r\n") && answer.contains("m=video 0 "));
}

#[test]
fn transport_may_stand_at_session_level() {
    let (agreement, _) = upstream(OBS_WHIP).unwrap();
    assert_eq!(agreement.remote.ufrag, "+5Fn");
    assert_eq!(agreement.fingerprint.0[31], 0x1a);
    assert_eq!(agreement.media[1].sources, [Source { primary: 2_943_685_613, rtx: None }]);
    assert_eq!(agreement.media[1].formats[0].rtx, None);
}

#[test]
fn the_tagged_section_gives_the_transport() {
    // Without the audio section, the video section's own credentials count.
    let offer = CHROMIUM_WHEP.replacen("a=ice-ufrag:2FhO", "a=ice-ufrag:first", 1);
    let (agreement, _) = downstream(&offer, &[opus(), spec(Codec::Vp8, "")]).unwrap();
    assert_eq!(agreement.remote.ufrag, "first");
    let (agreement, answer) = downstream(&offer, &[spec(Codec::Vp8, "")]).unwrap();
    assert_eq!(agreement.remote.ufrag, "2FhO");
    assert!(section(&answer, 1).contains(&"a=end-of-candidates"));
}

#[test]
fn a_viewer_gets_the_publishers_format_first_and_then_all_others() {
    let wanted = [opus(), spec(Codec::H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")];
    let (agreement, answer) = downstream(CHROMIUM_WHEP, &wanted).unwrap();
    let video = &agreement.media[1];
    assert_eq!(payload_types(video)[..4], [108, 96, 98, 100]);
    assert_eq!(video.formats.len(), 15);
    assert!(section(&answer, 1)[0].starts_with("video 9 UDP/TLS/RTP/SAVPF 108 109 96 97 98 "));
    assert_eq!(video.format_for(&spec(Codec::Vp9, "profile-id=0")).map(|format| format.payload_type), Some(98));
}

#[test]
fn a_richer_decoder_takes_a_plainer_stream_where_nothing_matches() {
    let offer = CHROMIUM_WHEP.replace("profile-level-id=42", "profile-level-id=64").replace("64e01f", "64001f");
    let wanted = [spec(Codec::H264, "packetization-mode=1;profile-level-id=42e01f")];
    let (agreement, _) = downstream(&offer, &wanted).unwrap();
    assert_eq!(agreement.media[0].formats[0].payload_type, 102);
}

#[test]
fn what_a_viewer_cannot_play_is_rejected_by_itself() {
    let (agreement, answer) = downstream(FIREFOX_WHEP_BUNDLE_ONLY, &[opus(), spec(Codec::H264, "")]).unwrap();
    assert_eq!(agreement.media.len(), 1);
    assert_eq!(
        section(&answer, 1)[..4],
        ["video 0 UDP/TLS/RTP/SAVPF 120 124 121 125 99 100 123 122 119", "c=IN IP4 0.0.0.0", "a=mid:1", "a=inactive",]
    );
    assert_eq!(
        downstream(FIREFOX_WHEP_BUNDLE_ONLY, &[spec(Codec::H265, "")]).map(|(_, answer)| answer),
        Err(Refusal::NoCommonCodec)
    );
}

#[test]
fn a_viewer_of_one_kind_gets_that_kind() {
    let audio_only = CHROMIUM_WHEP.split("m=video").next().unwrap().replace("BUNDLE 0 1", "BUNDLE 0");
    let (agreement, _) = downstream(&audio_only, &[opus(), spec(Codec::Vp8, "")]).unwrap();
    assert_eq!(agreement.media.len(), 1);
    assert_eq!(downstream(&audio_only, &[spec(Codec::Vp8, "")]).unwrap_err(), Refusal::NothingReceived);
}

#[test]
fn a_second_video_section_waits_for_a_second_video() {
    let video = CHROMIUM_WHEP.split("m=video").nth(1).unwrap().replace("a=mid:1", "a=mid:2");
    let offer = format!("{}m=video{video}", CHROMIUM_WHEP.replace("BUNDLE 0 1", "BUNDLE 0 1 2"));
    let (one, answer) = downstream(&offer, &[opus(), spec(Codec::Vp8, "")]).unwrap();
    assert_eq!(one.media.len(), 2);
    assert!(section(&answer, 2)[0].starts_with("video 0 "));
    let (two, _) = downstream(&offer, &[opus(), spec(Codec::Vp8, ""), spec(Codec::Vp9, "")]).unwrap();
    let first: Vec<_> = two.media.iter().map(|media| media.formats[0].spec.codec).collect();
    assert_eq!(first, [Codec::Opus, Codec::Vp8, Codec::Vp9]);
}

#[test]
fn announced_ssrcs_are_never_zero_nor_one_twice() {
    let offer = Offer::parse(CHROMIUM_WHEP).unwrap();
    let (audio, video) = (opus(), spec(Codec::Vp8, ""));
    let wanted = [Wanted { kind: Kind::Audio, spec: &audio }, Wanted { kind: Kind::Video, spec: &video }];
    let (agreement, answer) =
        with_local(|local| answer_downstream(&offer, local, &wanted, "stream", &mut || 0)).unwrap();
    assert_eq!(agreement.media[0].sources, [Source { primary: 1, rtx: None }]);
    assert_eq!(agreement.media[1].sources, [Source { primary: 2, rtx: Some(3) }]);
    assert!(answer.contains("a=ssrc-group:FID 2 3\r\n") && answer.contains("a=msid:stream stream-1\r\n"));
}

#[test]
fn sections_outside_the_group_are_rejected() {
    let (agreement, answer) = upstream(&CHROMIUM_WHIP.replace("BUNDLE 0 1", "BUNDLE 1")).unwrap();
    assert_eq!(agreement.media.len(), 1);
    assert!(answer.contains("m=audio 0 ") && answer.contains("a=group:BUNDLE 1\r\n"));
}

#[test]
fn several_sections_without_a_group_are_refused_but_a_lone_one_is_not() {
    assert_eq!(upstream(&CHROMIUM_WHIP.replace("a=group:BUNDLE 0 1\n", "")).unwrap_err(), Refusal::NotBundled);
    let lone =
        CHROMIUM_WHIP.split("m=video").next().unwrap().replace("a=group:BUNDLE 0 1\n", "").replace("a=mid:0\n", "");
    let (agreement, answer) = upstream(&lone).unwrap();
    assert!(agreement.media[0].mid.is_empty());
    assert!(!answer.contains("BUNDLE") && !answer.contains("a=mid"));
}

#[test]
fn offers_that_cannot_be_served_say_why() {
    let refusal = |from: &str, to: &str| upstream(&CHROMIUM_WHIP.replace(from, to)).map(|(_, answer)| answer);
    assert_eq!(refusal("a=sendonly", "a=recvonly"), Err(Refusal::NothingSent));
    assert_eq!(refusal("a=rtcp-mux\n", ""), Err(Refusal::NoRtcpMux));
    assert_eq!(refusal("a=setup:actpass", "a=setup:passive"), Err(Refusal::NotDtlsClient));
    assert_eq!(refusal("a=fingerprint:sha-256", "a=fingerprint:sha-512"), Err(Refusal::NoFingerprint));
    assert_eq!(refusal("a=ice-", "a=x-"), Err(Refusal::NoCredentials));
    assert_eq!(refusal("RTP/SAVPF", "RTP/AVP"), Err(Refusal::NothingSent));
    let cut: String =
        CHROMIUM_WHIP.lines().filter(|line| !line.contains("rtpmap")).map(|line| format!("{line}\n")).collect();
    // PCMU, PCMA and G.722 need no rtpmap.
    assert_eq!(payload_types(&upstream(&cut).unwrap().0.media[0]), [9, 0, 8]);
    let video = cut.replace("SAVPF 111 63 9 0 8", "SAVPF 111 63");
    assert_eq!(upstream(&video).map(|(_, answer)| answer), Err(Refusal::NoCommonCodec));
}

#[test]
fn extensions_that_name_no_section_may_be_numbered_anew_in_each() {
    // As aiortc does: an id is the audio level in one section, and the time of sending in the next.
    let level = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    assert!(CHROMIUM_WHIP.contains(level));
    let offer = CHROMIUM_WHIP.replace(level, &level.replace(":1 ", ":2 "));
    let (agreement, _) = upstream(&offer).unwrap();
    assert_eq!(agreement.media[0].extensions.id(Extension::AudioLevel), Some(2));
    assert_ne!(agreement.media[1].extensions.of(2), Some(Extension::AudioLevel));
}

#[test]
fn offers_that_break_the_rules_say_which() {
    let error = |from: &str, to: &str| Offer::parse(&CHROMIUM_WHIP.replace(from, to)).unwrap_err();
    assert_eq!(error("a=mid:1", "a=mid:0"), SdpError::MidRepeated("0".into()));
    assert_eq!(error("a=mid:1", "a=mid:12345678901234567"), SdpError::MidInvalid("12345678901234567".into()));
    assert_eq!(error("a=mid:1", "a=mid:a b"), SdpError::MidInvalid("a b".into()));
    assert_eq!(error("SAVPF 96 97", "SAVPF 96 130"), SdpError::PayloadTypeInvalid("130".into()));
    assert_eq!(error("a=ice-ufrag:lHNG\n", ""), SdpError::CredentialsHalf);
    assert_eq!(error("a=ice-ufrag:lHNG", "a=ice-ufrag:lH"), SdpError::CredentialsInvalid(BadCredentials));
    assert!(matches!(error("sha-256 56:35", "sha-256 56"), SdpError::FingerprintInvalid(_)));
    assert_eq!(
        error(
            "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\na=extmap:10",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\na=extmap:10"
        ),
        SdpError::ExtensionClash(1)
    );
    assert!(matches!(error("v=0", "v=zero"), SdpError::NotSdp(_)));
    assert_eq!(Offer::parse("v=0\r\ns=-\r\n").unwrap_err(), SdpError::NoMedia);
    let many = format!("v=0\ns=-\n{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\n".repeat(129));
    assert_eq!(Offer::parse(&many).unwrap_err(), SdpError::TooManyMedia);
    assert_eq!(Offer::parse(&"a=x\n".repeat(SDP_LEN_MAX / 4 + 1)).unwrap_err(), SdpError::TooLong);
}

#[test]
fn interleaved_h264_is_left_out() {
    let (agreement, _) = upstream(&OBS_WHIP.replace("packetization-mode=1", "packetization-mode=2")).unwrap();
    assert_eq!(agreement.media.len(), 1);
}

#[test]
fn candidates_fall_in_priority() {
    assert_eq!(candidate_line(([192, 0, 2, 1], 5).into(), 0), "candidate:1 1 udp 2130706431 192.0.2.1 5 typ host");
    assert_eq!(candidate_line(([192, 0, 2, 1], 5).into(), 1), "candidate:2 1 udp 2130706175 192.0.2.1 5 typ host");
    assert!(candidate_line(([192, 0, 2, 1], 5).into(), usize::MAX - 1).contains(" 2113929471 "));
}

/// One change to an offer's lines.
#[derive(Clone, Debug)]
enum Mutation {
    Remove(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Replace(prop::sample::Index, prop::sample::Index, char),
    Cut(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Mutation::Remove),
        (index(), index()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        (index(), index(), any::<char>()).prop_map(|(line, at, with)| Mutation::Replace(line, at, with)),
        (index(), index(), prop::char::range(' ', '~')).prop_map(|(line, at, with)| Mutation::Replace(line, at, with)),
        (index(), index()).prop_map(|(line, at)| Mutation::Cut(line, at)),
    ]
}

fn mutate(lines: &mut Vec<String>, mutation: &Mutation) {
    let len = lines.len();
    if len == 0 {
        return;
    }
    match mutation {
        Mutation::Remove(at) => {
            lines.remove(at.index(len));
        }
        Mutation::Repeat(from, to) => lines.insert(to.index(len), lines[from.index(len)].clone()),
        Mutation::Replace(line, at, with) => {
            let line = &mut lines[line.index(len)];
            let at = at.index(line.chars().count() + 1);
            *line = line.chars().take(at).chain([*with]).chain(line.chars().skip(at + 1)).collect();
        }
        Mutation::Cut(line, at) => {
            let line = &mut lines[line.index(len)];
            *line = line.chars().take(at.index(line.chars().count() + 1)).collect();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_mutation_panics_and_every_answer_is_itself_a_description(
        offer in prop::sample::select(&OFFERS[..]),
        mutations in prop::collection::vec(mutation(), 0..12),
    ) {
        let mut lines: Vec<String> = offer.lines().map(str::to_owned).collect();
        mutations.iter().for_each(|mutation| mutate(&mut lines, mutation));
        if let Ok(offer) = Offer::parse(&lines.join("\r\n")) {
            let wanted = [opus(), spec(Codec::Vp8, ""), spec(Codec::H264, "")];
            let up = with_local(|local| answer_upstream(&offer, local));
            let down = downstream_of(&offer, &wanted);
            for (answered, direction) in [(up, Direction::ReceiveOnly), (down, Direction::SendOnly)] {
                let Ok((agreement, text)) = answered else { continue };
                let answer = Offer::parse(&text).unwrap();
                prop_assert_eq!(answer.sections.len(), offer.sections.len());
                let open: Vec<_> = answer.sections.iter().filter(|section| section.offered).collect();
                prop_assert_eq!(open.len(), agreement.media.len());
                for (section, media) in open.iter().zip(&agreement.media) {
                    prop_assert_eq!(section.direction, direction);
                    prop_assert_eq!(&section.formats, &media.formats);
                    prop_assert_eq!(section.mid.unwrap_or_default(), media.mid);
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,200}|([amvosc]=[a-z:0-9 /]{0,30}\r?\n){0,12}") {
        let offer = Offer::parse(&text);
        let fragment = Fragment::parse(&text);
        prop_assert!(offer.is_err() || !text.is_empty());
        prop_assert!(fragment.is_ok() || !text.is_empty());
    }
}
