//! The server's own offers before str0m: it takes each one, and its answers are what the server understands.
//!
//! Text against text, without a server: whether media flows by it is a matter of the programs.
#![allow(clippy::unwrap_used)]

use str0m::change::SdpOffer;
use str0m::{Candidate, Rtc, RtcConfig};
use tidewire_core::codec::Kind;
use tidewire_core::handshake::Fingerprint;
use tidewire_core::id::Mid;
use tidewire_core::negotiate::{
    Answered, Cname, Credentials, Local, OwnSection, Sends, Source, offer_downstream, read_answer,
};

fn offer(version: u32, sections: &[OwnSection]) -> String {
    let credentials = Credentials::new("t1de", "w1rew1rew1rew1rew1rew1re").unwrap();
    let (fingerprint, candidates) = (Fingerprint([7; 32]), [([127, 0, 0, 1], 7000).into()]);
    let local = Local { credentials: &credentials, fingerprint: &fingerprint, candidates: &candidates, session_id: 42 };
    offer_downstream(&local, version, sections)
}

/// Audio and video in turn; each carries the stream of this SSRC, or nothing.
fn sections(ssrcs: &[Option<u32>]) -> Vec<OwnSection> {
    let section = |(at, ssrc): (usize, &Option<u32>)| {
        let kind = if at.is_multiple_of(2) { Kind::Audio } else { Kind::Video };
        let stream = |ssrc| Sends::Stream {
            source: Source { primary: ssrc, rtx: (kind == Kind::Video).then_some(ssrc + 1) },
            cname: Cname::from("somebody").unwrap(),
        };
        OwnSection { mid: Mid::from(&at.to_string()).unwrap(), kind, sends: ssrc.map_or(Sends::Nothing, stream) }
    };
    ssrcs.iter().enumerate().map(section).collect()
}

fn answer(rtc: &mut Rtc, version: u32, sections: &[OwnSection]) -> Answered {
    let offer = offer(version, sections);
    let offer = SdpOffer::from_sdp_string(&offer).unwrap();
    let answer = rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string();
    read_answer(&answer, sections).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn str0m_answers_sections_that_come_go_and_are_used_again() {
    let mut rtc = RtcConfig::new().build(std::time::Instant::now());
    rtc.add_local_candidate(Candidate::host("127.0.0.1:9".parse().unwrap(), "udp").unwrap());
    let nothing = answer(&mut rtc, 1, &sections(&[None, None]));
    assert!(nothing.agreement.media.is_empty() && nothing.rejected.is_empty());
    for (version, ssrcs) in [
        (2, &[Some(10), Some(20)][..]),
        (3, &[Some(10), Some(20), Some(30), Some(40)]),
        (4, &[None, None, Some(30), Some(40)]),
        (5, &[Some(50), Some(60), Some(30), Some(40)]),
    ] {
        let Answered { agreement, rejected } = answer(&mut rtc, version, &sections(ssrcs));
        let agreed: Vec<_> = agreement.media.iter().map(|media| media.sources[0].primary).collect();
        assert_eq!((agreed, rejected.len()), (ssrcs.iter().flatten().copied().collect(), 0), "version {version}");
        assert_eq!(agreement.remote, nothing.agreement.remote, "the transport stays");
        assert!(agreement.media.iter().all(|media| media.formats.iter().all(|format| match media.kind {
            Kind::Audio => format.rtx.is_none(),
            Kind::Video => format.rtx.is_some(),
        })));
    }
}

#[test]
fn str0m_answers_the_largest_meeting() {
    let mut rtc = RtcConfig::new().build(std::time::Instant::now());
    let ssrcs: Vec<_> = (1..=128).map(|at| Some(at * 10)).collect();
    assert_eq!(answer(&mut rtc, 1, &sections(&ssrcs)).agreement.media.len(), 128);
}
