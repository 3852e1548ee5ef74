//! The server's offers, and what a model client's answers to them come to.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::codec::Codec;
use crate::handshake::Fingerprint;
use crate::limits::{MEDIA_SECTIONS_MAX, SDP_LEN_MAX};
use crate::negotiate::{Cname, Credentials, Extension, Local, Source, Spec, offer_downstream};
use crate::sim::Answerer;

const ALL: [&str; 9] = [
    "opus/48000/2",
    "PCMU/8000",
    "PCMA/8000",
    "G722/8000",
    "VP8/90000",
    "VP9/90000",
    "H264/90000",
    "H265/90000",
    "AV1/90000",
];

fn offer(version: u32, sections: &[OwnSection]) -> String {
    let credentials = Credentials::new("t1de", "w1rew1rew1rew1rew1rew1re").unwrap();
    let fingerprint = Fingerprint(std::array::from_fn(|index| index as u8 * 7));
    let candidates: [SocketAddr; 2] = [([192, 0, 2, 7], 7000).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 7000).into()];
    let local = Local { credentials: &credentials, fingerprint: &fingerprint, candidates: &candidates, session_id: 42 };
    offer_downstream(&local, version, sections)
}

fn answerer(codecs: &[&'static str], rtx: bool) -> Answerer<'static> {
    let codecs = codecs.to_vec().leak();
    Answerer { ufrag: "client00001".to_owned(), password: "clientpasswordofenoughlength".to_owned(), codecs, rtx }
}

fn stream(ssrc: u32, kind: Kind) -> Sends {
    let source = Source { primary: ssrc, rtx: (kind == Kind::Video).then_some(ssrc + 1) };
    Sends::Stream { source, cname: Cname::from("somebody").unwrap() }
}

fn section(index: usize, kind: Kind, sends: Sends) -> OwnSection {
    OwnSection { mid: Mid::from(&index.to_string()).unwrap(), kind, sends }
}

/// Audio and video of so many publishers.
fn meeting(publishers: usize) -> Vec<OwnSection> {
    let kinds = (0..2 * publishers).map(|at| if at % 2 == 0 { Kind::Audio } else { Kind::Video });
    kinds.enumerate().map(|(at, kind)| section(at, kind, stream(100 + 2 * at as u32, kind))).collect()
}

fn one_of_each() -> Vec<OwnSection> {
    let [audio, video] = meeting(1)[..] else { unreachable!("two sections") };
    vec![audio, video, section(2, Kind::Video, Sends::Nothing), section(3, Kind::Audio, Sends::Never)]
}

/// The answer of a client that plays everything to `one_of_each`, with a piece replaced.
fn answer(from: &str, to: &str) -> Result<Answered, AnswerError> {
    let sections = one_of_each();
    let answer = answerer(&ALL, true).answer(&offer(1, &sections));
    assert!(answer.contains(from), "{answer}");
    read_answer(&answer.replace(from, to), &sections)
}

#[test]
fn the_offer_is_the_one_written_down() {
    let text = offer(3, &one_of_each()).replace("\r\n", "\n");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/negotiate/fixtures/own.offer.sdp");
    if std::env::var_os("TIDEWIRE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
}

#[test]
fn a_client_that_plays_everything_agrees_to_everything() {
    let Answered { agreement, rejected } = answer("recvonly", "recvonly").unwrap();
    let [audio, video] = &agreement.media[..] else { panic!("{agreement:?}") };
    assert_eq!(agreement.remote.ufrag, "client00001");
    assert_eq!(rejected, [Mid::from("3").unwrap()]);
    let numbers = |media: &Media| media.formats.iter().map(|format| format.payload_type).collect::<Vec<_>>();
    assert_eq!((numbers(audio), numbers(video)), (vec![111, 9, 0, 8], vec![96, 98, 100, 102, 104, 106, 108, 112]));
    assert_eq!(video.sources, [Source { primary: 102, rtx: Some(103) }]);
    assert!(video.formats.iter().all(|format| format.rtx == Some(format.payload_type + 1) && format.feedback.pli));
    assert_eq!((audio.extensions.id(Extension::Mid), video.extensions.id(Extension::Mid)), (Some(1), Some(1)));
    assert_eq!(
        (audio.extensions.id(Extension::AudioLevel), video.extensions.id(Extension::AudioLevel)),
        (Some(4), None)
    );
}

#[test]
fn whatever_is_published_has_its_format_already() {
    let Answered { agreement, .. } = answer("recvonly", "recvonly").unwrap();
    let video = &agreement.media[1];
    for (codec, parameters, payload_type) in [
        (Codec::Vp8, "", 96),
        (Codec::Vp9, "", 98),
        (Codec::H264, "packetization-mode=1;profile-level-id=42e01f", 102),
        (Codec::H264, "profile-level-id=42001f", 102),
        (Codec::H264, "packetization-mode=1;profile-level-id=640c1f", 104),
        (Codec::H264, "packetization-mode=1;profile-level-id=640028", 106),
        (Codec::Av1, "profile=0", 108),
        (Codec::H265, "level-id=93", 112),
    ] {
        let spec = Spec { codec, clock_rate: 90_000, channels: 1, parameters: parameters.to_owned() };
        assert_eq!(video.format_for(&spec).map(|format| format.payload_type), Some(payload_type), "{spec:?}");
    }
}

#[test]
fn answers_that_cannot_be_taken_say_why() {
    let error = |from: &str, to: &str| answer(from, to).unwrap_err();
    let mid = |mid: &str| Mid::from(mid).unwrap();
    assert_eq!(error("a=setup:active", "a=setup:passive"), AnswerError::NotDtlsClient);
    assert_eq!(error("a=setup:active", "a=setup:actpass"), AnswerError::NotDtlsClient);
    assert_eq!(error("a=setup:active\r\n", ""), AnswerError::NotDtlsClient);
    assert_eq!(error("recvonly", "sendrecv"), AnswerError::WouldSend(mid("0")));
    assert_eq!(error("a=mid:1", "a=mid:9"), AnswerError::OtherSections);
    assert_eq!(error("m=video 9", "m=audio 9"), AnswerError::OtherSections);
    assert_eq!(error("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:3\r\n", ""), AnswerError::OtherSections);
    assert_eq!(error("BUNDLE 0 1 2", "BUNDLE 0 2"), AnswerError::NotBundled(mid("1")));
    assert_eq!(error("a=rtcp-mux\r\n", ""), AnswerError::NoRtcpMux(mid("0")));
    assert_eq!(error("a=fingerprint:sha-256", "a=fingerprint:sha-512"), AnswerError::NoFingerprint);
    assert_eq!(error("a=ice-", "a=x-"), AnswerError::NoCredentials);
    assert_eq!(error("a=ice-ufrag:client00001\r\n", ""), AnswerError::Sdp(SdpError::CredentialsHalf));
    let none = answerer(&[], true).answer(&offer(1, &one_of_each()));
    assert_eq!(read_answer(&none, &one_of_each()).unwrap_err(), AnswerError::NothingAccepted);
}

#[test]
fn what_was_not_offered_is_not_agreed_to() {
    // Another codec under a number of ours, and an extension under another's.
    let Answered { agreement, .. } = answer("a=rtpmap:98 VP9/90000", "a=rtpmap:98 VP8/90000").unwrap();
    assert!(agreement.media[1].formats.iter().all(|format| format.payload_type != 98));
    let Answered { agreement, .. } = answer("a=extmap:1 urn:ietf", "a=extmap:7 urn:ietf").unwrap();
    assert_eq!(agreement.media[0].extensions.id(Extension::Mid), None);
}

#[test]
fn a_client_may_leave_a_section_inactive() {
    let sections = one_of_each();
    let text = answerer(&ALL, true).answer(&offer(1, &sections)).replacen("a=recvonly", "a=inactive", 1);
    let Answered { agreement, rejected } = read_answer(&text, &sections).unwrap();
    assert_eq!((agreement.media.len(), agreement.media[0].mid.as_str(), rejected.len()), (1, "1", 1));
}

#[test]
fn the_largest_meeting_fits_with_room_for_a_browsers_answer() {
    let sections = meeting(MEDIA_SECTIONS_MAX / 2);
    let text = offer(u32::MAX, &sections);
    // A browser's answer has candidates and transport in each section: half a kilobyte more.
    assert!(text.len() + sections.len() * 512 < SDP_LEN_MAX, "{} bytes", text.len());
    let Answered { agreement, .. } = read_answer(&answerer(&ALL, true).answer(&text), &sections).unwrap();
    assert_eq!(agreement.media.len(), MEDIA_SECTIONS_MAX);
}

fn sends() -> impl Strategy<Value = u8> {
    0u8..3
}

proptest! {
    #[test]
    fn any_offer_can_be_answered_by_any_client(
        shape in prop::collection::vec((any::<bool>(), sends()), 1..40),
        codecs in prop::collection::vec(prop::sample::select(&ALL[..]), 0..6),
        rtx: bool,
        version: u32,
    ) {
        let sections: Vec<_> = shape.iter().enumerate().map(|(at, (video, sends))| {
            let kind = if *video { Kind::Video } else { Kind::Audio };
            let sends = [stream(100 + 2 * at as u32, kind), Sends::Nothing, Sends::Never][usize::from(*sends)];
            section(at, kind, sends)
        }).collect();
        let text = offer(version, &sections);
        // It is a description that this server itself could read.
        prop_assert!(Offer::parse(&text).is_ok());
        let answer = answerer(&codecs, rtx).answer(&text);
        match read_answer(&answer, &sections) {
            Err(error) => prop_assert_eq!(error, AnswerError::NothingAccepted),
            Ok(Answered { agreement, rejected }) => {
                let rejected: BTreeSet<_> = rejected.into_iter().collect();
                for own in &sections {
                    let media = agreement.media.iter().find(|media| media.mid == own.mid);
                    let plays = offer::formats(own.kind)
                        .any(|format| codecs.iter().any(|name| name.starts_with(name_of(format.spec.codec))));
                    let sent = matches!(own.sends, Sends::Stream { .. }) && plays;
                    prop_assert_eq!(media.is_some(), sent);
                    prop_assert_eq!(rejected.contains(&own.mid), own.sends == Sends::Never || !plays);
                    let repaired = |media: &Media| media.formats.iter().any(|format| format.rtx.is_some());
                    prop_assert!(media.is_none_or(|media| repaired(media) == (rtx && own.kind == Kind::Video)));
                }
            }
        }
    }

    #[test]
    fn an_answer_that_was_changed_on_its_way_is_read_or_refused(at in any::<prop::sample::Index>(), with: char) {
        let sections = one_of_each();
        let mut answer: Vec<char> = answerer(&ALL, true).answer(&offer(1, &sections)).chars().collect();
        let at = at.index(answer.len());
        answer[at] = with;
        let answer: String = answer.into_iter().collect();
        if let Ok(answered) = read_answer(&answer, &sections) {
            prop_assert!(answered.agreement.media.len() <= 2);
        }
    }
}

fn name_of(codec: Codec) -> &'static str {
    crate::negotiate::capabilities::name_of(codec)
}
