use std::net::SocketAddr;

use proptest::prelude::*;
use stun_rs::attributes::ice::{IceControlled, IceControlling, Priority, UseCandidate};
use stun_rs::attributes::stun::{Fingerprint, MessageIntegrity, Software, UserName, XorMappedAddress};
use stun_rs::{
    DecoderContextBuilder, HMACKey, MessageClass, MessageDecoder, MessageDecoderBuilder, MessageEncoderBuilder,
    StunAttribute, StunMessage, StunMessageBuilder, TransactionId,
};

use super::*;
use crate::count::Discard;

/// RFC 5769 2: the password of all its short-term samples.
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: Transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

/// RFC 5769 2.1.
const REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
    0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65,
    0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51,
    0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20,
    0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2,
    0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];

/// RFC 5769 2.2.
const RESPONSE_V4: [u8; 80] = [
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
    0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20,
    0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd,
    0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04,
    0xc0, 0x7d, 0x4c, 0x96,
];

/// RFC 5769 2.3.
const RESPONSE_V6: [u8; 92] = [
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
    0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20,
    0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe,
    0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c,
    0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
];

#[test]
fn rfc_5769_request_is_read_and_authentic() {
    let binding = Binding::parse(&REQUEST).unwrap();
    assert_eq!(binding.transaction, TRANSACTION);
    assert_eq!((binding.local_ufrag, binding.remote_ufrag), ("evtj", "h6vY"));
    assert_eq!(binding.priority, Some(0x6e00_01ff));
    assert_eq!(binding.role, Some(Role::Controlled(0x932f_f9b1_5126_3b36)));
    assert!(!binding.use_candidate && binding.unknown.is_empty());
    assert_eq!(binding.verify(PASSWORD), Ok(()));
    assert_eq!(binding.verify(b"VOkJxbRl1RmTxUk/WvJxBu"), Err(Discard::StunBadIntegrity));
}

#[test]
fn rfc_5769_responses_are_read_and_authentic() {
    for (bytes, mapped) in
        [(&RESPONSE_V4[..], "192.0.2.1:32853"), (&RESPONSE_V6[..], "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let response = Response::parse(bytes).unwrap();
        assert_eq!(response.outcome, Outcome::Success(mapped.parse().unwrap()));
        assert_eq!(response.verify(PASSWORD), Ok(()));
        assert_eq!(response.verify(b"another"), Err(Discard::StunBadIntegrity));
    }
}

#[test]
fn what_is_no_whole_message_is_discarded() {
    assert_eq!(Binding::parse(&REQUEST[..19]).unwrap_err(), Discard::Truncated);
    assert_eq!(Binding::parse(&REQUEST[..104]).unwrap_err(), Discard::StunMalformed);
    assert_eq!(Binding::parse(&RESPONSE_V4).unwrap_err(), Discard::StunUnexpected);
    for (at, name) in [(0, "zero bits"), (4, "cookie"), (3, "length"), (43, "attribute length"), (107, "fingerprint")] {
        let mut bytes = REQUEST;
        bytes[at] ^= 0x41;
        assert_eq!(Binding::parse(&bytes).unwrap_err(), Discard::StunMalformed, "{name}");
    }
}

#[test]
fn attributes_in_any_order_mean_the_same() {
    let attributes = [
        raw(attribute::USERNAME, b"abcd:efgh"),
        raw(attribute::PRIORITY, &[0, 0, 0, 9]),
        raw(attribute::ICE_CONTROLLING, &[1; 8]),
        raw(attribute::USE_CANDIDATE, &[]),
        raw(0xC057, &[1, 2, 3, 4]),
    ];
    for turn in 0..attributes.len() {
        let mut order = attributes.clone();
        order.rotate_left(turn);
        let bytes = sealed(&order.concat());
        let binding = Binding::parse(&bytes).unwrap();
        assert_eq!((binding.local_ufrag, binding.remote_ufrag), ("abcd", "efgh"));
        assert_eq!(binding.priority, Some(9));
        assert_eq!(binding.role, Some(Role::Controlling(0x0101_0101_0101_0101)));
        assert!(binding.use_candidate && binding.unknown.is_empty());
        binding.verify(PASSWORD).unwrap();
    }
}

#[test]
fn of_a_repeated_attribute_the_first_is_meant() {
    let bytes = sealed(&[raw(attribute::USERNAME, b"a:b"), raw(attribute::USERNAME, b"c:d")].concat());
    assert_eq!(Binding::parse(&bytes).unwrap().local_ufrag, "a");
}

#[test]
fn attributes_behind_the_integrity_do_not_count() {
    let mut bytes = sealed(&raw(attribute::USERNAME, b"abcd:efgh"));
    bytes.truncate(bytes.len() - 8);
    bytes.extend(raw(attribute::USE_CANDIDATE, &[]));
    bytes.extend(raw(0x7777, &[]));
    let len = u16::try_from(bytes.len() - HEADER_LEN).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let binding = Binding::parse(&bytes).unwrap();
    assert!(!binding.use_candidate && binding.unknown.is_empty());
    binding.verify(PASSWORD).unwrap();
}

#[test]
fn unknown_attributes_that_must_be_known_are_reported() {
    let kinds = [0x0007, 0x7fff, 0x0002, 0x0003, 0x0004];
    let attributes = kinds.map(|kind| raw(kind, &[0]));
    let bytes = sealed(&[raw(attribute::USERNAME, b"abcd:efgh"), attributes.concat()].concat());
    assert_eq!(Binding::parse(&bytes).unwrap().unknown[..], kinds[..4]);
}

#[test]
fn request_without_user_name_or_integrity_is_malformed() {
    let bytes = sealed(&raw(attribute::PRIORITY, &[0; 4]));
    assert_eq!(Binding::parse(&bytes).unwrap_err(), Discard::StunMalformed);
    for name in [&b"abcd"[..], b":", b"abcd:", b":efgh", b"\xff\xfe:a", b""] {
        let bytes = sealed(&raw(attribute::USERNAME, name));
        assert_eq!(Binding::parse(&bytes).unwrap_err(), Discard::StunMalformed);
    }
    let mut bytes = sealed(&raw(attribute::USERNAME, b"abcd:efgh"));
    bytes.truncate(bytes.len() - 32);
    bytes[2..4].copy_from_slice(&16u16.to_be_bytes());
    assert_eq!(Binding::parse(&bytes).unwrap_err(), Discard::StunMalformed);
}

#[test]
fn too_many_attributes_are_malformed() {
    let count = crate::limits::STUN_ATTRIBUTES_MAX - 3;
    let filler = |n: usize| [raw(attribute::USERNAME, b"abcd:efgh"), raw(0x8000, &[]).repeat(n)].concat();
    assert!(Binding::parse(&sealed(&filler(count))).is_ok());
    assert_eq!(Binding::parse(&sealed(&filler(count + 1))).unwrap_err(), Discard::StunMalformed);
}

#[test]
fn error_answers_name_their_code_and_the_unknown_attributes() {
    let mut out = [0; RESPONSE_LEN_MAX];
    for code in [Code::BadRequest, Code::Unauthenticated, Code::RoleConflict] {
        let len = write_error(&TRANSACTION, code, &[], PASSWORD, &mut out).unwrap();
        let response = Response::parse(&out[..len]).unwrap();
        assert_eq!(response.outcome, Outcome::Error(code as u16));
        response.verify(PASSWORD).unwrap();
    }
    let len = write_error(&TRANSACTION, Code::UnknownAttribute, &[7, 8, 9, 10], PASSWORD, &mut out).unwrap();
    assert_eq!(len, RESPONSE_LEN_MAX);
    assert!(out.windows(12).any(|window| window == [0, 0x0a, 0, 8, 0, 7, 0, 8, 0, 9, 0, 10]));
}

#[test]
fn memory_that_is_too_short_gives_no_answer() {
    let mapped = "[2001:db8::1]:9".parse().unwrap();
    let len = write_success(&TRANSACTION, mapped, PASSWORD, &mut [0; RESPONSE_LEN_MAX]).unwrap();
    for short in 0..len {
        assert_eq!(write_success(&TRANSACTION, mapped, PASSWORD, &mut vec![0; short]), None);
    }
}

#[test]
fn mapped_ipv4_address_in_ipv6_form_is_told_as_ipv4() {
    let mut out = [0; RESPONSE_LEN_MAX];
    let len = write_success(&TRANSACTION, "[::ffff:192.0.2.7]:99".parse().unwrap(), PASSWORD, &mut out).unwrap();
    let outcome = Response::parse(&out[..len]).unwrap().outcome;
    assert_eq!(outcome, Outcome::Success("192.0.2.7:99".parse().unwrap()));
}

#[test]
fn longest_request_fits() {
    let long = "x".repeat(256);
    let request = Request { receiver_ufrag: &long, sender_ufrag: &long, use_candidate: true, ..request("", "") };
    let mut out = [0; REQUEST_LEN_MAX];
    let len = request.write(PASSWORD, &mut out).unwrap();
    assert_eq!(Binding::parse(&out[..len]).unwrap().local_ufrag, long);
}

proptest! {
    #[test]
    fn stun_rs_reads_our_answers(transaction: [u8; 12], mapped: SocketAddr, password in "[a-zA-Z0-9+/]{22,64}") {
        let mut out = [0; RESPONSE_LEN_MAX];
        let len = write_success(&transaction, mapped, password.as_bytes(), &mut out).unwrap();
        let (message, size) = oracle(&password).decode(&out[..len]).unwrap();
        prop_assert_eq!(size, len);
        prop_assert_eq!(message.class(), MessageClass::SuccessResponse);
        prop_assert_eq!(message.transaction_id().as_bytes(), &transaction);
        let told = message.get::<XorMappedAddress>().unwrap().as_xor_mapped_address().unwrap();
        prop_assert_eq!(told.socket_address(), &SocketAddr::new(mapped.ip().to_canonical(), mapped.port()));
        prop_assert!(message.get::<Fingerprint>().is_some());
    }

    #[test]
    fn stun_rs_reads_our_requests(
        transaction: [u8; 12],
        ours in "[a-zA-Z0-9+/]{4,40}",
        theirs in "[a-zA-Z0-9+/]{4,40}",
        password in "[a-zA-Z0-9+/]{22,64}",
        tie_breaker: u64,
        priority: u32,
        use_candidate: bool,
        controlling: bool,
    ) {
        let role = if controlling { Role::Controlling(tie_breaker) } else { Role::Controlled(tie_breaker) };
        let request = Request { transaction, receiver_ufrag: &ours, sender_ufrag: &theirs, priority, role, use_candidate };
        let mut out = [0; REQUEST_LEN_MAX];
        let len = request.write(password.as_bytes(), &mut out).unwrap();
        let (message, _) = oracle(&password).decode(&out[..len]).unwrap();
        let name = message.get::<UserName>().unwrap().as_user_name().unwrap().as_str().to_owned();
        prop_assert_eq!(name, format!("{ours}:{theirs}"));
        prop_assert_eq!(message.get::<Priority>().unwrap().as_priority().unwrap().as_u32(), priority);
        prop_assert_eq!(message.get::<UseCandidate>().is_some(), use_candidate);
        prop_assert_eq!(message.get::<IceControlling>().is_some(), controlling);
        prop_assert_eq!(message.get::<IceControlled>().is_some(), !controlling);
    }

    #[test]
    fn requests_of_stun_rs_are_read_and_authentic(
        transaction: [u8; 12],
        username in ("[a-zA-Z0-9+/]{4,40}", "[a-zA-Z0-9+/]{4,40}"),
        password in "[a-zA-Z0-9+/]{22,64}",
        tie_breaker: u64,
        priority: u32,
        use_candidate: bool,
        controlling: bool,
        order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let mut attributes: Vec<StunAttribute> = vec![
            UserName::new(format!("{}:{}", username.0, username.1)).unwrap().into(),
            Priority::from(priority).into(),
            Software::new("oracle").unwrap().into(),
            if controlling { IceControlling::from(tie_breaker).into() } else { IceControlled::from(tie_breaker).into() },
        ];
        if use_candidate {
            attributes.push(UseCandidate::default().into());
        }
        let order = order.into_iter().filter_map(|at| attributes.get(at).cloned());
        let bytes = of_stun_rs(transaction, order, &password);
        let binding = Binding::parse(&bytes).unwrap();
        prop_assert_eq!(binding.transaction, transaction);
        prop_assert_eq!((binding.local_ufrag, binding.remote_ufrag), (&*username.0, &*username.1));
        prop_assert_eq!(binding.priority, Some(priority));
        prop_assert_eq!(binding.use_candidate, use_candidate);
        let role = if controlling { Role::Controlling(tie_breaker) } else { Role::Controlled(tie_breaker) };
        prop_assert_eq!(binding.role, Some(role));
        prop_assert_eq!(binding.verify(password.as_bytes()), Ok(()));
    }

    #[test]
    fn mutated_messages_never_panic_and_never_pass(
        response: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let mut bytes = if response { RESPONSE_V4.to_vec() } else { REQUEST.to_vec() };
        let signed_len = bytes.len() - 8;
        for (at, bits) in edits {
            bytes[at.index(signed_len)] ^= bits;
        }
        prop_assume!(bytes != REQUEST && bytes != RESPONSE_V4);
        // The FINGERPRINT of an altered message is mended, so that the integrity is what has to see the change.
        let crc = message::fingerprint(&bytes[..signed_len]).to_be_bytes();
        bytes[signed_len + 4..].copy_from_slice(&crc);
        if let Ok(binding) = Binding::parse(&bytes) {
            prop_assert_eq!(binding.verify(PASSWORD), Err(Discard::StunBadIntegrity));
        }
        if let Ok(response) = Response::parse(&bytes) {
            prop_assert_eq!(response.verify(PASSWORD), Err(Discard::StunBadIntegrity));
        }
    }

    #[test]
    fn noise_behind_a_good_header_never_panics(
        kind in prop::sample::select(vec![BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR]),
        words in prop::collection::vec((prop::sample::select(vec![6u8, 8, 9, 32, 36, 37, 40]), 0u8..9, any::<[u8; 8]>()), 0..12),
    ) {
        let body: Vec<u8> = words.iter().flat_map(|(kind, len, value)| {
            let mut bytes = vec![0, *kind, 0, *len];
            bytes.extend(&value[..usize::from(*len).next_multiple_of(4).min(8)]);
            bytes
        }).collect();
        let mut bytes = header(kind, body.len());
        bytes.extend(body);
        if let Ok(binding) = Binding::parse(&bytes) {
            prop_assert!(binding.verify(PASSWORD).is_err());
        }
        if let Ok(response) = Response::parse(&bytes) {
            prop_assert!(response.verify(PASSWORD).is_err());
        }
    }
}

fn request<'a>(receiver_ufrag: &'a str, sender_ufrag: &'a str) -> Request<'a> {
    let role = Role::Controlling(1);
    Request { transaction: TRANSACTION, receiver_ufrag, sender_ufrag, priority: 1, role, use_candidate: false }
}

fn header(kind: u16, body_len: usize) -> Vec<u8> {
    let len = u16::try_from(body_len).unwrap();
    [&kind.to_be_bytes()[..], &len.to_be_bytes(), &MAGIC_COOKIE.to_be_bytes(), &TRANSACTION].concat()
}

fn raw(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap();
    let mut bytes = [&kind.to_be_bytes()[..], &len.to_be_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0x20);
    bytes
}

/// A binding request of raw attributes, sealed with `PASSWORD`.
fn sealed(attributes: &[u8]) -> Vec<u8> {
    let mut out = [header(BINDING_REQUEST, attributes.len()), attributes.to_vec()].concat();
    let tag = message::integrity_tag(&out, PASSWORD).unwrap();
    out.extend(raw(attribute::MESSAGE_INTEGRITY, tag.as_ref()));
    let len = u16::try_from(out.len() - HEADER_LEN + 8).unwrap();
    out[2..4].copy_from_slice(&len.to_be_bytes());
    let crc = message::fingerprint(&out);
    out.extend(raw(attribute::FINGERPRINT, &crc.to_be_bytes()));
    out
}

fn oracle(password: &str) -> MessageDecoder {
    let key = HMACKey::new_short_term(password).unwrap();
    let context = DecoderContextBuilder::default().with_key(key).with_validation().build();
    MessageDecoderBuilder::default().with_context(context).build()
}

fn of_stun_rs(transaction: [u8; 12], attributes: impl Iterator<Item = StunAttribute>, password: &str) -> Vec<u8> {
    let builder = StunMessageBuilder::new(stun_rs::methods::BINDING, MessageClass::Request)
        .with_transaction_id(TransactionId::from(transaction));
    let message: StunMessage = attributes
        .fold(builder, |builder, attribute| builder.with_attribute(attribute))
        .with_attribute(MessageIntegrity::new(HMACKey::new_short_term(password).unwrap()))
        .with_attribute(Fingerprint::default())
        .build();
    let mut out = vec![0; 512];
    let len = MessageEncoderBuilder::default().build().encode(&mut out, &message).unwrap();
    out.truncate(len);
    out
}
