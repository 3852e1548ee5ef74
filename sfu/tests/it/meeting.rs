//! Downstreams that the server offers: many upstreams that come and go on one connection, and what stays undisturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidewire_core::codec::Codec;
use tidewire_core::id::{ConnectionKey, MediaId};
use tidewire_core::limits::{CONNECTIONS_MAX, WANTS_MAX};
use tidewire_core::message::{ErrorCode, Request, Response, Want};
use tidewire_core::random::Seeded;
use tidewire_core::sim::{Delivery, Link, Viewer, announced};
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes, channel_key};
use crate::guest::{Guest, Pending, wants};
use crate::sealed::{Seen, note};

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::ZERO, ..Link::NONE };
const END: Instant = Instant::from_millis(600_000);

fn publish(call: &mut Call, media_id: &str) -> ConnectionKey {
    call.publish_as("sea", MediaId::new(media_id).unwrap(), Codec::Vp8, Wishes::default(), END)
}

/// What came of one publisher's client (all its streams), in the order of each outgoing stream.
fn by_stream(viewer: &Viewer) -> BTreeMap<u32, Vec<Delivery>> {
    let mut streams = BTreeMap::<u32, Vec<Delivery>>::new();
    for delivery in &viewer.log {
        streams.entry(delivery.ssrc).or_default().push(*delivery);
    }
    streams.values_mut().for_each(|deliveries| deliveries.sort_by_key(|delivery| delivery.sequence));
    streams
}

/// Every outgoing sequence number came, and every packet of the publisher's in between.
fn assert_unbroken(deliveries: &[Delivery]) {
    for pair in deliveries.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence, "{pair:?}");
        if pair[0].content.stream == pair[1].content.stream {
            assert_eq!(pair[0].content.number + 1, pair[1].content.number, "{pair:?}");
        }
    }
}

fn refused(response: &Response) -> Option<ErrorCode> {
    match response {
        Response::Refused { code, .. } => Some(*code),
        _ => None,
    }
}

/// The publishers whose media came since `since`, by the number of their client.
fn heard(viewer: &Viewer, since: Instant) -> BTreeSet<u32> {
    viewer.log.iter().filter(|delivery| delivery.at >= since).map(|delivery| delivery.content.stream / 100).collect()
}

#[test]
fn upstreams_come_and_go_and_those_that_stay_lose_nothing() {
    for seed in 1..=2 {
        churn(seed);
    }
}

fn churn(seed: u64) {
    let link = Link {
        loss: 20_000,
        doubling: 5_000,
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(8),
        ..Link::NONE
    };
    let mut call = Call::new(seed, link);
    call.world.sent = Some(Vec::new());
    let names: Vec<String> = (0..24).map(|at| format!("p{at}")).collect();
    for name in &names {
        publish(&mut call, name);
    }
    let (stay, others) = names.split_at(4);
    let stay: Vec<&str> = stay.iter().map(String::as_str).collect();
    let mut random = Seeded::new(seed);
    let mut guest = Guest::join(&mut call, "sea", &stay);
    call.run(Duration::from_millis(500));
    let (mut wanted, mut seen, mut mids) = (stay.clone(), Seen::new(), BTreeSet::new());
    for change in 0..200 {
        let name = others[random.below(others.len() as u64) as usize].as_str();
        match wanted.iter().position(|one| *one == name) {
            Some(at) => drop(wanted.remove(at)),
            None => wanted.push(name),
        }
        let pending = guest.change(&mut call, wants(&wanted));
        call.run(Duration::from_millis(random.below(30)));
        // Now and then the next change is there before the answer.
        if random.below(4) > 0 || change == 199 {
            guest.answer(&mut call, &pending);
        }
        mids.extend(pending.mids());
        call.run(Duration::from_millis(random.below(30)));
        note(&mut seen, call.world.sent.replace(Vec::new()).unwrap());
    }
    call.run(Duration::from_secs(2));
    let viewer = guest.viewer(&call);
    assert_eq!((viewer.peer.refused > 0, viewer.damaged), (true, 0), "seed {seed}: doubled datagrams only");
    assert!(mids.len() <= 60, "seed {seed}: {} sections for 48 streams", mids.len());
    let streams = by_stream(viewer);
    let of_stay = |deliveries: &&Vec<Delivery>| deliveries[0].content.stream / 100 <= 4;
    let staying: Vec<_> = streams.values().filter(of_stay).collect();
    assert_eq!(staying.len(), 8, "seed {seed}: each of those that stay has one SSRC throughout");
    let end = call.world.now;
    for deliveries in staying {
        // What came within the last moments may still have to be repaired.
        let settled: Vec<_> =
            deliveries.iter().filter(|one| end.since(one.content.sent) > Duration::from_millis(500)).copied().collect();
        assert!(settled.len() > 300, "seed {seed}: {}", settled.len());
        assert_unbroken(&settled);
    }
    assert!(streams.len() > 50, "seed {seed}: others came and went: {}", streams.len());
}

#[test]
fn an_upstream_that_comes_later_takes_the_sections_of_one_that_went() {
    let mut call = Call::new(3, PERFECT);
    publish(&mut call, "a");
    publish(&mut call, "b");
    let (mut guest, first) = Guest::ask(&mut call, "sea", &["a"]);
    guest.answer(&mut call, &first);
    call.run(Duration::from_secs(1));
    let idle = guest.turn_to(&mut call, &[]);
    assert!(idle.sections.is_empty() && !idle.offer.contains("a=ssrc"), "{}", idle.offer);
    let next = guest.turn_to(&mut call, &["b"]);
    assert_eq!((first.mids(), next.mids()), (vec!["0".to_owned(), "1".to_owned()], first.mids()));
    assert!(announced(&next.offer).iter().all(|ssrc| !announced(&first.offer).contains(ssrc)));
    assert!(first.revision < idle.revision && idle.revision < next.revision);
    let since = call.world.now + Duration::from_millis(50);
    call.run(Duration::from_secs(1));
    assert_eq!(heard(guest.viewer(&call), since), BTreeSet::from([2]));
    assert_eq!(next.offer.matches("\r\nm=").count(), 2);
    // Origins are one session whose version counts.
    let origin = |pending: &Pending| pending.offer.lines().nth(1).unwrap().split(' ').nth(1).unwrap().to_owned();
    assert_eq!(origin(&first), origin(&next));
}

#[test]
fn what_is_not_wanted_any_longer_is_not_sent_though_nobody_has_answered() {
    let mut call = Call::new(4, PERFECT);
    publish(&mut call, "a");
    publish(&mut call, "b");
    let guest = Guest::join(&mut call, "sea", &["a", "b"]);
    call.run(Duration::from_secs(1));
    guest.change(&mut call, wants(&["b"]));
    let since = call.world.now + Duration::from_millis(10);
    call.run(Duration::from_secs(1));
    let viewer = guest.viewer(&call);
    assert_eq!(heard(viewer, since), BTreeSet::from([2]));
    assert_eq!(viewer.goodbyes, 2);
    by_stream(viewer).values().for_each(|deliveries| assert_unbroken(deliveries));
}

#[test]
fn a_second_kind_of_the_same_media_id_does_not_disturb_the_first() {
    let mut call = Call::new(5, PERFECT);
    publish(&mut call, "a");
    let mut guest = Guest::join(&mut call, "sea", &[]);
    let audio = vec![Want { media_id: MediaId::new("a").unwrap(), audio: true, video: false }];
    let pending = guest.change(&mut call, audio);
    guest.answer(&mut call, &pending);
    call.run(Duration::from_secs(1));
    guest.turn_to(&mut call, &["a"]);
    call.run(Duration::from_secs(1));
    let streams = by_stream(guest.viewer(&call));
    assert_eq!(streams.len(), 2);
    streams.values().for_each(|deliveries| assert_unbroken(deliveries));
    // Audio keeps its offset to the publisher's clock: it has not begun a second time.
    let audio = streams.values().find(|deliveries| deliveries[0].content.stream % 2 == 1).unwrap();
    let offset = |one: &Delivery| one.timestamp.wrapping_sub((one.content.sent.nanos() * 48 / 1_000_000) as u32);
    assert!(audio.len() > 90 && audio.iter().all(|one| offset(one) == offset(&audio[0])));
}

#[test]
fn a_want_waits_for_its_publisher_and_outlives_it_whatever_the_codec() {
    let mut call = Call::new(6, PERFECT);
    let guest = Guest::join(&mut call, "sea", &["late"]);
    call.run(Duration::from_secs(1));
    assert!(guest.viewer(&call).peer.is_connected() && guest.viewer(&call).log.is_empty());
    let first = publish(&mut call, "late");
    call.run(Duration::from_secs(1));
    assert_eq!(call.request(Request::Close { connection: first }), Response::Closed);
    call.run(Duration::from_secs(1));
    // A re-publish in another codec, then a replacement of a publisher that is still there.
    for codec in [Codec::H264, Codec::Vp8] {
        call.publish_as("sea", MediaId::new("late").unwrap(), codec, Wishes::default(), END);
        call.run(Duration::from_secs(1));
    }
    let streams = by_stream(guest.viewer(&call));
    assert_eq!(streams.len(), 2, "the sections stay");
    for deliveries in streams.values() {
        let publishers: BTreeSet<_> = deliveries.iter().map(|one| one.content.stream / 100).collect();
        assert_eq!(publishers.len(), 3);
        assert_unbroken(deliveries);
    }
    let same = Request::ChangeDownstream { connection: guest.key, wants: wants(&["late"]) };
    assert_eq!(call.request(same), Response::Unchanged);
}

#[test]
fn a_publisher_without_video_leaves_no_viewer_with_its_predecessors_track() {
    let mut call = Call::new(7, PERFECT);
    publish(&mut call, "a");
    let guest = Guest::join(&mut call, "sea", &["a"]);
    call.run(Duration::from_secs(1));
    let offer = call.client(Wishes::default()).offer_to_send();
    let offer = offer.split("m=video").next().unwrap().replace("BUNDLE 0 1", "BUNDLE 0");
    let (connection, channel) = (ConnectionKey(9), channel_key("sea"));
    let media_id = MediaId::new("a").unwrap();
    let response = call.request(Request::OpenUpstream { connection, channel, media_id, offer });
    assert!(matches!(response, Response::Opened { .. }));
    call.run(Duration::from_millis(100));
    // Takes the place of the one that was replaced, in the table too.
    call.world.actors.remove(0);
    publish(&mut call, "b");
    let since = call.world.now;
    call.run(Duration::from_secs(1));
    assert_eq!(heard(guest.viewer(&call), since), BTreeSet::new());
}

#[test]
fn a_restart_goes_on_with_new_credentials_and_without_a_gap() {
    let mut call = Call::new(8, PERFECT);
    publish(&mut call, "a");
    let mut guest = Guest::join(&mut call, "sea", &["a"]);
    call.run(Duration::from_secs(1));
    for _ in 0..3 {
        let pending = guest.restart(&mut call);
        call.run(Duration::from_millis(100));
        guest.answer(&mut call, &pending);
        call.run(Duration::from_secs(20));
    }
    let viewer = guest.viewer(&call);
    assert!(viewer.log.len() > 60 * 100);
    by_stream(viewer).values().for_each(|deliveries| assert_unbroken(deliveries));
}

#[test]
fn an_answer_is_taken_once_and_only_to_the_newest_offer() {
    let mut call = Call::new(9, PERFECT);
    publish(&mut call, "a");
    let (mut guest, first) = Guest::ask(&mut call, "sea", &["a"]);
    let second = guest.change(&mut call, wants(&["a", "b"]));
    let answer = |revision: u32, answer: String| Request::AnswerDownstream { connection: guest.key, revision, answer };
    let text = guest.text(&second);
    let outdated = call.request(answer(first.revision, guest.text(&first)));
    assert_eq!(refused(&outdated), Some(ErrorCode::AnswerOutdated));
    for bad in ["", "v=0", &text.replace("a=setup:active", "a=setup:passive"), &guest.text(&first)] {
        let response = call.request(answer(second.revision, (*bad).to_owned()));
        assert_eq!(refused(&response), Some(ErrorCode::AnswerInvalid), "{bad}");
    }
    let early = call.request(answer(second.revision + 1, text.clone()));
    assert_eq!(refused(&early), Some(ErrorCode::AnswerInvalid));
    assert_eq!(call.control.slots_taken(), 1, "no shard knows of it yet");
    let again = answer(second.revision, text);
    guest.answer(&mut call, &second);
    assert_eq!(refused(&call.request(again)), Some(ErrorCode::AnswerInvalid));
    let third = guest.change(&mut call, wants(&["a"]));
    let other = guest.text(&third).replace("client0", "stranger");
    let request = Request::AnswerDownstream { connection: guest.key, revision: third.revision, answer: other };
    assert_eq!(refused(&call.request(request)), Some(ErrorCode::AnswerInvalid));
    guest.answer(&mut call, &third);
    call.run(Duration::from_secs(1));
    assert!(!guest.viewer(&call).log.is_empty());
}

#[test]
fn a_section_that_the_client_makes_inactive_comes_back_as_another_stream() {
    let mut call = Call::new(10, PERFECT);
    call.world.sent = Some(Vec::new());
    publish(&mut call, "a");
    let (mut guest, first) = Guest::ask(&mut call, "sea", &["a"]);
    guest.answer(&mut call, &first);
    call.run(Duration::from_secs(1));
    let second = guest.change(&mut call, wants(&["a", "b"]));
    let (connection, revision) = (guest.key, second.revision);
    let answer = guest.text(&second).replacen("a=recvonly", "a=inactive", 1);
    assert_eq!(call.request(Request::AnswerDownstream { connection, revision, answer }), Response::Answered);
    call.run(Duration::from_secs(1));
    let third = guest.turn_to(&mut call, &["a"]);
    call.run(Duration::from_secs(1));
    assert_eq!(third.mids(), first.mids());
    let ssrcs = |pending: &Pending| announced(&pending.offer).into_iter().map(|(ssrc, _)| ssrc).collect::<Vec<_>>();
    assert!(ssrcs(&first)[0] != ssrcs(&third)[0] && ssrcs(&first)[1] == ssrcs(&third)[1]);
    note(&mut Seen::new(), call.world.sent.take().unwrap());
    assert_eq!(by_stream(guest.viewer(&call)).len(), 3);
}

#[test]
fn a_section_that_the_client_rejects_is_never_sent_and_disturbs_no_other() {
    let mut call = Call::new(11, PERFECT);
    publish(&mut call, "a");
    let (guest, first) = Guest::ask(&mut call, "sea", &["a"]);
    let (connection, revision) = (guest.key, first.revision);
    let answer = guest.text(&first).replace("m=video 9", "m=video 0").replace("BUNDLE 0 1", "BUNDLE 0");
    assert_eq!(call.request(Request::AnswerDownstream { connection, revision, answer }), Response::Answered);
    let second = guest.change(&mut call, wants(&["a", "b"]));
    assert_eq!(second.mids(), ["0", "2", "3"], "{}", second.offer);
    assert!(second.offer.contains("m=video 0 ") && second.offer.contains("a=group:BUNDLE 0 2 3\r\n"));
}

#[test]
fn requests_that_do_not_fit_the_connection_are_refused() {
    let mut call = Call::new(12, PERFECT);
    let upstream = publish(&mut call, "main");
    let viewer = call.watch("sea", Wishes::default());
    let guest = Guest::join(&mut call, "sea", &["main"]);
    let password = "p".repeat(22);
    for connection in [upstream, viewer] {
        for request in [
            Request::ChangeDownstream { connection, wants: Vec::new() },
            Request::AnswerDownstream { connection, revision: 1, answer: String::new() },
            Request::RestartDownstream { connection },
            Request::OfferDownstream { connection, channel: channel_key("sea"), wants: Vec::new() },
        ] {
            assert_eq!(refused(&call.request(request)), Some(ErrorCode::ConnectionKindMismatch));
        }
    }
    let restart = Request::Restart { connection: guest.key, ufrag: "restarted".to_owned(), password };
    assert_eq!(refused(&call.request(restart)), Some(ErrorCode::ConnectionKindMismatch));
    let offer = call.client(Wishes::default()).offer_to_receive();
    let (channel, media_id) = (channel_key("sea"), MediaId::main());
    let open = Request::OpenDownstream { connection: guest.key, channel, media_id, offer };
    assert_eq!(refused(&call.request(open)), Some(ErrorCode::ConnectionKindMismatch));
    let unknown = Request::ChangeDownstream { connection: ConnectionKey(7), wants: Vec::new() };
    assert_eq!(refused(&call.request(unknown)), Some(ErrorCode::ConnectionUnknown));
}

#[test]
fn wants_are_bounded_and_as_many_as_allowed_always_find_their_sections() {
    let mut call = Call::new(13, PERFECT);
    let mut guest = Guest::join(&mut call, "sea", &[]);
    let names: Vec<String> = (0..200).map(|at| format!("p{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for some in names.windows(WANTS_MAX).step_by(10) {
        let pending = guest.turn_to(&mut call, some);
        assert_eq!(pending.sections.len(), 2 * WANTS_MAX);
    }
    let request = Request::ChangeDownstream { connection: guest.key, wants: wants(&names[..=WANTS_MAX]) };
    assert_eq!(refused(&call.request(request)), Some(ErrorCode::TooManyWants));
    assert_eq!(call.request(Request::Close { connection: guest.key }), Response::Closed);
    call.run(Duration::from_secs(1));
    assert_eq!((call.control.slots_taken(), call.control.channels()), (0, 0));
}

#[test]
fn an_offer_that_nobody_answers_leaves_nothing_once_it_is_closed() {
    let mut call = Call::new(14, PERFECT);
    for _ in 0..=CONNECTIONS_MAX {
        let (guest, _) = Guest::ask(&mut call, "sea", &[]);
        guest.change(&mut call, wants(&["a"]));
        assert_eq!(call.request(Request::Close { connection: guest.key }), Response::Closed);
    }
    assert_eq!((call.control.connections(), call.control.slots_taken(), call.control.channels()), (0, 0, 0));
}
