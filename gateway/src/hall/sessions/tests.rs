use std::time::Duration;

use tidewire_core::message::Event;

use super::*;
use crate::hall::Hall;
use crate::token;

const OFFER: &str =
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:cccc\r\na=ice-pwd:cccccccccccccccccccccccc\r\n";
const KEY: ConnectionKey = ConnectionKey(7);

fn who(name: &str) -> Claims {
    let text = token::mint(b"secret", &channel(name), Duration::from_secs(60), 1_000);
    token::verify(&token::Applications::of_secret(b"secret"), &text, 1_000).unwrap()
}

fn empty(connections_max: usize) -> Hall {
    Hall::new(Room { connections_max })
}

fn is_empty(hall: &Hall) -> bool {
    hall.figures().connections == 0 && hall.figures().channels == 0
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn open(key: ConnectionKey) -> Call {
    let offer = OFFER.to_owned();
    Call::Open {
        key,
        upstream: UpstreamId(key.0),
        side: Side::Publish,
        channel: channel("studio"),
        media_id: MediaId::main(),
        offer,
    }
}

fn change(if_match: Option<&str>, ufrag: &str) -> Call {
    let fragment = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\n", ufrag.repeat(6));
    Call::Change { key: KEY, if_match: if_match.map(str::to_owned), fragment }
}

fn ask(hall: &mut Hall, call: Call) -> (Request, Ticket) {
    match hall.call(&who("studio"), call).unwrap() {
        Step::Ask { request, ticket } => (request, ticket),
        Step::Answer(reply) => panic!("answered {reply:?}"),
    }
}

fn restarted(ufrag: &str) -> Response {
    Response::Restarted { ufrag: ufrag.into(), password: "p".repeat(22), candidates: vec![] }
}

/// A hall with one open session.
fn opened() -> Hall {
    let mut hall = empty(2);
    let (_, ticket) = ask(&mut hall, open(KEY));
    let reply = hall.settle_call(ticket, Response::Opened { answer: "answer".into() }).unwrap();
    assert_eq!(reply, Reply::Opened { key: KEY, etag: "\"ice-0\"".into(), answer: "answer".into() });
    hall
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}

#[test]
fn refused_opening_leaves_nothing() {
    let mut hall = empty(1);
    let (request, ticket) = ask(&mut hall, open(KEY));
    assert!(matches!(request, Request::OpenUpstream { connection: KEY, .. }));
    let refused = Response::Refused { code: ErrorCode::OfferUnacceptable, detail: "no codec".into() };
    assert_eq!(hall.settle_call(ticket, refused).unwrap_err(), Problem::new(Code::OfferUnacceptable, "no codec"));
    assert!(is_empty(&hall));
}

#[test]
fn abandoned_opening_is_to_be_closed_and_a_settled_one_is_not() {
    let mut hall = empty(1);
    let (_, ticket) = ask(&mut hall, open(KEY));
    assert_eq!(hall.abandon(&ticket), Some(KEY));
    assert_eq!(hall.abandon(&ticket), None);
    assert!(is_empty(&hall));
    assert_eq!(code(hall.settle_call(ticket, Response::Opened { answer: String::new() })), Code::ConnectionEnded);
    let mut hall = opened();
    assert_eq!(hall.abandon(&Ticket::Open(KEY, None)), None);
    assert_eq!(hall.figures().connections, 1);
}

#[test]
fn table_is_bounded() {
    let mut hall = empty(1);
    ask(&mut hall, open(KEY));
    assert_eq!(code(hall.call(&who("studio"), open(ConnectionKey(8)))), Code::SessionsFull);
}

#[test]
fn session_that_is_still_opening_is_unknown_to_others() {
    let mut hall = empty(1);
    ask(&mut hall, open(KEY));
    assert_eq!(code(hall.call(&who("studio"), Call::Close { key: KEY })), Code::SessionUnknown);
}

#[test]
fn another_channels_token_touches_no_session() {
    let mut hall = opened();
    for call in [Call::Close { key: KEY }, Call::Look { key: KEY }, change(Some("*"), "dddd")] {
        assert_eq!(code(hall.call(&who("other"), call)), Code::TokenMissingChannelClaim);
    }
    assert_eq!(hall.figures().connections, 1);
}

#[test]
fn preconditions_decide_about_patches() {
    let mut hall = opened();
    let who = who("studio");
    assert_eq!(code(hall.call(&who, change(None, "cccc"))), Code::PreconditionRequired);
    for stale in ["\"ice-1\"", "W/\"ice-0\"", "ice-0", "", "\"a\", \"b\""] {
        assert_eq!(code(hall.call(&who, change(Some(stale), "cccc"))), Code::PreconditionFailed, "{stale}");
    }
    for current in ["\"ice-0\"", "*", "\"a\", \"ice-0\""] {
        assert_eq!(hall.call(&who, change(Some(current), "cccc")).unwrap(), Step::Answer(Reply::Trickled), "{current}");
    }
}

#[test]
fn new_credentials_restart_and_change_the_entity_tag() {
    let mut hall = opened();
    let (request, ticket) = ask(&mut hall, change(Some("*"), "dddd"));
    assert_eq!(request, Request::Restart { connection: KEY, ufrag: "dddd".into(), password: "dddd".repeat(6) });
    let Reply::Restarted { etag, fragment } = hall.settle_call(ticket, restarted("ssss")).unwrap() else { panic!() };
    assert_eq!(etag, "\"ice-1\"");
    assert!(fragment.contains("a=mid:0\r\na=ice-ufrag:ssss\r\n"));
    assert_eq!(code(hall.call(&who("studio"), change(Some("\"ice-0\""), "dddd"))), Code::PreconditionFailed);
    let trickled = hall.call(&who("studio"), change(Some("\"ice-1\""), "dddd"));
    assert_eq!(trickled.unwrap(), Step::Answer(Reply::Trickled));
}

#[test]
fn last_of_overlapping_restarts_holds_whatever_order_their_answers_come_in() {
    let mut hall = opened();
    let (_, first) = ask(&mut hall, change(Some("*"), "dddd"));
    let (_, second) = ask(&mut hall, change(Some("*"), "eeee"));
    hall.settle_call(second, restarted("tttt")).unwrap();
    hall.settle_call(first, restarted("ssss")).unwrap();
    let trickled = hall.call(&who("studio"), change(Some("\"ice-2\""), "eeee"));
    assert_eq!(trickled.unwrap(), Step::Answer(Reply::Trickled));
}

#[test]
fn failed_restart_keeps_the_session_as_it_was() {
    let mut hall = opened();
    let (_, ticket) = ask(&mut hall, change(Some("*"), "dddd"));
    let refused = Response::Refused { code: ErrorCode::CredentialsInvalid, detail: String::new() };
    assert_eq!(code(hall.settle_call(ticket, refused)), Code::CredentialsInvalid);
    let trickled = hall.call(&who("studio"), change(Some("\"ice-0\""), "cccc"));
    assert_eq!(trickled.unwrap(), Step::Answer(Reply::Trickled));
    assert!(matches!(ask(&mut hall, change(Some("*"), "dddd")).1, Ticket::Restart { generation: 2, .. }));
}

#[test]
fn closing_ends_the_session_even_where_the_media_server_has_forgotten_it() {
    for gone in [Response::Closed, Response::Refused { code: ErrorCode::ConnectionUnknown, detail: String::new() }] {
        let mut hall = opened();
        let (request, ticket) = ask(&mut hall, Call::Close { key: KEY });
        assert_eq!(request, Request::Close { connection: KEY });
        assert_eq!(hall.settle_call(ticket, gone).unwrap(), Reply::Closed);
        assert_eq!(code(hall.call(&who("studio"), Call::Close { key: KEY })), Code::SessionUnknown);
    }
}

#[test]
fn connection_that_ends_by_itself_takes_its_session_along() {
    let mut hall = opened();
    hall.event(&Event::Connected { connection: KEY });
    assert_eq!(hall.figures().connections, 1);
    hall.event(&Event::Closed { connection: KEY, reason: CloseReason::ConsentExpired });
    assert!(is_empty(&hall));
}

#[test]
fn answers_out_of_turn_are_the_media_servers_fault() {
    let mut hall = empty(1);
    let (_, ticket) = ask(&mut hall, open(KEY));
    assert_eq!(code(hall.settle_call(ticket.clone(), Response::Closed)), Code::MediaServerUnavailable);
    assert_eq!(hall.abandon(&ticket), Some(KEY), "what is unclear is closed");
}
