use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use tidewire_core::codec::Kind;
use tidewire_core::id::{ApplicationId, ChannelName, Label};
use tidewire_core::message::client::Member;

use super::{
    Applications, ChannelClaim, Claims, Keys, Kinds, ServerClaims, Side, TokenType, mint, sign, sign_server,
    verify_server,
};
use crate::limits::{TOKEN_CHANNELS_MAX, TOKEN_LEN_MAX, TOKEN_ROLES_MAX};
use crate::problem::{Code, Problem};

const SECRET: &[u8] = b"--replace me, 32 bytes or more--";
const NOW: u64 = 1_700_000_000;

/// The default application alone, which is that of a token that names none.
fn verify(secret: &[u8], token: &str, now_unix: u64) -> Result<Claims, Problem> {
    super::verify(&Applications::of_secret(secret), token, now_unix)
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

/// A token as an application server writes one, in the given Base64.
fn token_in(engine: &impl Engine, header: &Value, payload: &Value) -> String {
    let signed = format!("{}.{}", engine.encode(header.to_string()), engine.encode(payload.to_string()));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{}", engine.encode(BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap()))
}

fn token(payload: &Value) -> String {
    token_in(&BASE64_URL_SAFE_NO_PAD, &json!({"alg": "HS256", "typ": "JWT"}), payload)
}

fn good() -> Value {
    json!({"exp": NOW + 120, "iat": NOW, "type": "join", "channels": [{"id": "studio", "action": "join"}]})
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut payload = good();
    for (key, value) in changes {
        payload[*key] = value.clone();
    }
    payload
}

fn code(result: Result<impl std::fmt::Debug, Problem>) -> Code {
    result.unwrap_err().code
}

#[test]
fn minted_token_may_publish_and_watch_its_channel_until_it_expires() {
    let text = mint(SECRET, &channel("Studio"), Duration::from_secs(60), NOW);
    let claims = verify(SECRET, &text, NOW).unwrap();
    for side in [Side::Publish, Side::Watch] {
        assert_eq!(claims.may(side, &channel("studio")), Ok(()));
        assert_eq!(claims.may_offer(side, &channel("studio"), Kinds { audio: true, video: true }), Ok(()));
        assert_eq!(code(claims.may(side, &channel("other"))), Code::TokenMissingChannelClaim);
    }
    assert!(verify(SECRET, &text, NOW + 59).is_ok());
    assert_eq!(code(verify(SECRET, &text, NOW + 60)), Code::TokenExpired);
    assert_eq!(code(verify(b"another secret", &text, NOW)), Code::TokenAuthFailure);
}

#[test]
fn either_base64_padded_or_not_is_taken() {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let mut seen = String::new();
    // Every alignment, of claims whose encodings hold the characters in which the alphabets differ.
    for user in ["???>>>~~~ü", "-???>>>~~~ü", "--???>>>~~~ü"] {
        let payload = with(&[("userId", json!(user))]);
        let tokens = [
            token_in(&BASE64_STANDARD, &header, &payload),
            token_in(&BASE64_STANDARD_NO_PAD, &header, &payload),
            token_in(&BASE64_URL_SAFE, &header, &payload),
            token_in(&BASE64_URL_SAFE_NO_PAD, &header, &payload),
        ];
        for text in &tokens {
            assert_eq!(verify(SECRET, text, NOW).unwrap().user_id, Some(Label::new(user).unwrap()), "{text}");
            // LiveSwitch's own: padding on header and payload, none on the signature.
            assert!(verify(SECRET, text.trim_end_matches('='), NOW).is_ok(), "{text}");
            seen += text;
        }
    }
    assert!(["+", "/", "-", "_", "=."].iter().all(|sign| seen.contains(sign)), "the table tries every sign: {seen}");
}

#[test]
fn every_bad_token_is_refused_with_its_own_code() {
    let hs256 = json!({"alg": "HS256"});
    let url = &BASE64_URL_SAFE_NO_PAD;
    let valid = token(&good());
    let (signed, signature) = valid.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let other_payload = url.encode(with(&[("exp", json!(NOW + 9999))]).to_string());
    let table = [
        ("too large", "a".repeat(TOKEN_LEN_MAX + 1), Code::TokenTooLarge),
        ("empty", String::new(), Code::TokenParseFailure),
        ("one part", "abc".into(), Code::TokenParseFailure),
        ("two parts", signed.into(), Code::TokenParseFailure),
        ("four parts", format!("{valid}.x"), Code::TokenParseFailure),
        ("header no Base64", format!("!!.{payload}.{signature}"), Code::TokenParseFailure),
        ("header no JSON", format!("{}.{payload}.{signature}", url.encode("hi")), Code::TokenParseFailure),
        ("header without alg", token_in(url, &json!({}), &good()), Code::TokenParseFailure),
        ("mixed alphabets", format!("{header}.{payload}.-+{signature}"), Code::TokenParseFailure),
        (
            "critical extension",
            token_in(url, &json!({"alg": "HS256", "crit": ["b64"]}), &good()),
            Code::TokenParseFailure,
        ),
        ("alg none", format!("{}.{payload}.", url.encode(r#"{"alg":"none"}"#)), Code::TokenUnsigned),
        ("alg NoNe", token_in(url, &json!({"alg": "NoNe"}), &good()), Code::TokenUnsigned),
        ("alg HS512", token_in(url, &json!({"alg": "HS512"}), &good()), Code::TokenAlgorithmUnsupported),
        (
            "alg RS256 without such a key",
            token_in(url, &json!({"alg": "RS256"}), &good()),
            Code::TokenAlgorithmUnsupported,
        ),
        ("alg hs256", token_in(url, &json!({"alg": "hs256"}), &good()), Code::TokenAlgorithmUnsupported),
        ("signature empty", format!("{signed}."), Code::TokenAuthFailure),
        ("signature cut", format!("{signed}.{}", url.encode([1; 16])), Code::TokenAuthFailure),
        ("payload exchanged", format!("{header}.{other_payload}.{signature}"), Code::TokenAuthFailure),
        ("payload no JSON object", token_in(url, &hs256, &json!("hi")), Code::TokenClaimInvalid),
        ("exp no number", token(&with(&[("exp", json!("soon"))])), Code::TokenClaimInvalid),
        ("exp negative", token(&with(&[("exp", json!(-1))])), Code::TokenClaimInvalid),
        ("channels no list", token(&with(&[("channels", json!({}))])), Code::TokenClaimInvalid),
        ("without exp", token(&with(&[("exp", Value::Null)])), Code::TokenExpiryMissing),
        ("expired", token(&with(&[("exp", json!(NOW))])), Code::TokenExpired),
        ("nbf ahead", token(&with(&[("nbf", json!(NOW + 61))])), Code::TokenNotYetValid),
        ("iat ahead", token(&with(&[("iat", json!(NOW + 61))])), Code::TokenNotYetValid),
        (
            "times at the end of reckoning",
            token(&with(&[("nbf", json!(u64::MAX)), ("exp", json!(u64::MAX))])),
            Code::TokenNotYetValid,
        ),
    ];
    for (name, text, wanted) in table {
        assert_eq!(code(verify(SECRET, &text, NOW)), wanted, "{name}");
    }
}

#[test]
fn an_empty_secret_verifies_nothing() {
    let text = mint(b"", &channel("studio"), Duration::from_secs(60), NOW);
    assert_eq!(code(verify(b"", &text, NOW)), Code::TokenAlgorithmUnsupported);
}

#[test]
fn fractions_nulls_unknown_keys_and_a_clock_ahead_are_taken() {
    let payload = with(&[
        ("exp", json!(NOW as f64 + 120.5)),
        ("iat", json!(NOW + 60)),
        ("nbf", Value::Null),
        ("region", Value::Null),
        ("clientRoles", Value::Null),
        ("mediaServerId", Value::Null),
        ("externalId", json!("x")),
        ("channels", json!([{"id": "STUDIO", "disableSfu": null, "broadcast": true}])),
    ]);
    let claims = verify(SECRET, &token(&payload), NOW).unwrap();
    assert_eq!(claims.may(Side::Publish, &channel("studio")), Ok(()));
}

#[test]
fn claims_decide_who_may_publish_and_watch() {
    use Code::{PublishForbidden, WatchForbidden};
    let refusal = |payload: &Value, side| {
        let claims = verify(SECRET, &token(payload), NOW).unwrap();
        let both = Kinds { audio: true, video: true };
        let studio = channel("studio");
        claims.may(side, &studio).and_then(|()| claims.may_offer(side, &studio, both)).err().map(|problem| problem.code)
    };
    let claim = |claim: Value| with(&[("channels", json!([claim]))]);
    let table = [
        (json!({"id": "studio"}), None, None),
        (json!({"id": "studio", "disablePeer": true, "disableMcu": true}), None, None),
        (json!({"id": "studio", "disableSfu": true}), Some(PublishForbidden), Some(WatchForbidden)),
        (json!({"id": "studio", "disableSendAudio": true, "disableSendVideo": true}), Some(PublishForbidden), None),
        (json!({"id": "studio", "disableSendAudio": true}), Some(Code::SendAudioForbidden), None),
        (json!({"id": "studio", "disableSendVideo": true}), Some(Code::SendVideoForbidden), None),
        (json!({"id": "studio", "enableHiddenObserverMode": true}), Some(PublishForbidden), None),
        (json!({"id": "studio", "audioReceiveWhitelist": ["host"]}), None, Some(Code::ReceiveAudioForbidden)),
        (json!({"id": "studio", "videoReceiveWhitelist": []}), None, Some(Code::ReceiveVideoForbidden)),
        (
            json!({"id": "studio", "action": "drop"}),
            Some(Code::ChannelActionForbidden),
            Some(Code::ChannelActionForbidden),
        ),
        (json!({"id": "studio2"}), Some(Code::TokenMissingChannelClaim), Some(Code::TokenMissingChannelClaim)),
    ];
    for (given, publish, watch) in table {
        assert_eq!(refusal(&claim(given.clone()), Side::Publish), publish, "{given}");
        assert_eq!(refusal(&claim(given.clone()), Side::Watch), watch, "{given}");
    }
    for kind in ["event", "Join", "server"] {
        assert_eq!(refusal(&with(&[("type", json!(kind))]), Side::Watch), Some(Code::TokenTypeForbidden), "{kind}");
    }
    assert_eq!(refusal(&with(&[("type", json!("register"))]), Side::Watch), None);
    assert_eq!(refusal(&with(&[("type", Value::Null)]), Side::Watch), None);
}

#[test]
fn first_claim_of_a_channel_counts() {
    let payload = with(&[
        ("type", json!("register")),
        ("channels", json!([{"id": "studio", "disableSfu": true}, {"id": "Studio"}])),
    ]);
    let claims = verify(SECRET, &token(&payload), NOW).unwrap();
    assert_eq!(code(claims.may(Side::Watch, &channel("studio"))), Code::WatchForbidden);
    assert_eq!(claims.to_register().unwrap().len(), 1);
}

#[test]
fn type_decides_what_a_token_opens_and_how_many_channels_it_claims() {
    let claim = |name: &str| ChannelClaim::of(channel(name));
    let opened = |claims: Claims| verify(SECRET, &sign(SECRET, &claims.lasting(Duration::from_secs(9), NOW)), NOW);
    let register = opened(Claims::register(vec![claim("a"), claim("b")])).unwrap();
    assert_eq!(register.to_register().unwrap().len(), 2);
    assert_eq!(code(register.to_join()), Code::TokenTypeForbidden);
    let join = opened(Claims::join(claim("a"))).unwrap();
    assert_eq!(join.to_join().unwrap().id, channel("a"));
    assert_eq!(code(join.to_register()), Code::TokenTypeForbidden);
    assert!(opened(Claims::register(Vec::new())).unwrap().to_register().unwrap().is_empty());

    let of = |kind, count: usize| {
        let channels = (0..count).map(|n| claim(&n.to_string())).collect();
        let mut claims = Claims::register(channels);
        claims.kind = kind;
        opened(claims)
    };
    assert_eq!(code(of(TokenType::Join, 0)), Code::TokenMissingChannelClaim);
    assert_eq!(code(of(TokenType::Join, 2)), Code::TokenTooManyChannelClaims);
    assert!(of(TokenType::Register, TOKEN_CHANNELS_MAX).is_ok());
    assert_eq!(code(of(TokenType::Register, TOKEN_CHANNELS_MAX + 1)), Code::TokenTooManyChannelClaims);

    let drop = with(&[("channels", json!([{"id": "studio", "action": "drop"}]))]);
    assert_eq!(code(verify(SECRET, &token(&drop), NOW).unwrap().to_join()), Code::ChannelActionForbidden);
}

#[test]
fn roles_are_bounded() {
    let roles = |count: usize| token(&with(&[("clientRoles", json!(vec!["r"; count]))]));
    assert!(verify(SECRET, &roles(TOKEN_ROLES_MAX), NOW).is_ok());
    assert_eq!(code(verify(SECRET, &roles(TOKEN_ROLES_MAX + 1), NOW)), Code::TokenTooManyRoles);
}

#[test]
fn each_flag_takes_or_gives_its_own_right() {
    let rights = |given: Value| {
        let payload = with(&[("channels", json!([given]))]);
        let claims = verify(SECRET, &token(&payload), NOW).unwrap();
        let rights = claims.to_join().unwrap().rights();
        serde_json::to_value(rights).unwrap()
    };
    let plain = rights(json!({"id": "studio"}));
    let all = json!({"sendAudio": true, "sendVideo": true, "sendMessages": true, "sfu": true, "kick": false, "update": false, "hidden": false});
    assert_eq!(plain, all);
    for (flag, right) in [
        ("disableSendAudio", "sendAudio"),
        ("disableSendVideo", "sendVideo"),
        ("disableSendMessage", "sendMessages"),
        ("disableSfu", "sfu"),
        ("canKick", "kick"),
        ("canUpdate", "update"),
    ] {
        let mut wanted = all.clone();
        wanted[right] = json!(flag.starts_with("can"));
        assert_eq!(rights(json!({"id": "studio", flag: true})), wanted, "{flag}");
    }
    let hidden = rights(json!({"id": "studio", "enableHiddenObserverMode": true, "canKick": true, "canUpdate": true}));
    let only_watches = json!({"sendAudio": false, "sendVideo": false, "sendMessages": false, "sfu": true, "kick": false, "update": false, "hidden": true});
    assert_eq!(hidden, only_watches);
}

#[test]
fn whitelist_lets_those_be_received_who_have_one_of_its_roles() {
    let given = json!([{"id": "studio", "audioReceiveWhitelist": ["host", "guest"], "videoReceiveWhitelist": []}]);
    let claims = verify(SECRET, &token(&with(&[("channels", given)])), NOW).unwrap();
    let claim = claims.to_join().unwrap();
    let roles = |names: &[&str]| names.iter().map(|name| label(name)).collect::<Vec<_>>();
    for (kind, names, received) in [
        (Kind::Audio, &["guest", "x"][..], true),
        (Kind::Audio, &["x"], false),
        (Kind::Audio, &[], false),
        (Kind::Video, &["host"], false),
    ] {
        assert_eq!(claim.may_receive(kind, &roles(names)), received, "{kind:?} {names:?}");
    }
    let free = ChannelClaim::of(channel("studio"));
    assert!(free.may_receive(Kind::Video, &[]));
}

#[test]
fn token_of_another_bearer_is_told_by_what_differs() {
    let member = Member {
        client_id: label("1"),
        user_id: label("alice"),
        device_id: label("laptop"),
        user_alias: None,
        device_alias: None,
        tag: None,
        roles: vec![label("host"), label("guest")],
        region: Some(label("eu")),
    };
    let ours = ApplicationId::new("shop").unwrap();
    let result = |changes: &[(&str, Value)]| {
        let mut payload = with(&[("applicationId", json!("shop"))]);
        changes.iter().for_each(|(key, value)| payload[*key] = value.clone());
        let claims: Claims = serde_json::from_value(payload).unwrap();
        claims.same_bearer(&ours, &member).err().map(|problem| problem.code)
    };
    assert_eq!(result(&[]), None);
    let same = [
        ("userId", json!("alice")),
        ("deviceId", json!("laptop")),
        ("clientId", json!("1")),
        ("region", json!("eu")),
        ("clientRoles", json!(["guest", "host"])),
    ];
    assert_eq!(result(&same), None);
    for (key, value, wanted) in [
        ("applicationId", json!("other"), Code::TokenApplicationMismatch),
        ("userId", json!("Alice"), Code::TokenUserMismatch),
        ("deviceId", json!("phone"), Code::TokenDeviceMismatch),
        ("clientId", json!("2"), Code::TokenClientMismatch),
        ("region", json!("us"), Code::TokenRegionMismatch),
        ("clientRoles", json!(["host"]), Code::TokenClientRoleMismatch),
        ("clientRoles", json!(["host", "guest", "admin"]), Code::TokenClientRoleMismatch),
    ] {
        assert_eq!(result(&[(key, value)]), Some(wanted), "{key}");
    }
}

#[test]
fn tokens_of_servers_and_of_clients_never_stand_for_each_other() {
    let keys = Keys::new([SECRET], None).unwrap();
    let claims = ServerClaims { media_server: label("m1"), region: Some(label("eu")) };
    let server = sign_server(SECRET, &claims, Duration::from_secs(60), NOW);
    assert_eq!(verify_server(&keys, &server, NOW), Ok(claims));
    assert_eq!(code(verify_server(&keys, &server, NOW + 60)), Code::TokenExpired);
    assert_eq!(code(verify(SECRET, &server, NOW)), Code::TokenTypeForbidden);
    assert_eq!(code(verify_server(&keys, &token(&good()), NOW)), Code::TokenTypeForbidden);
    assert_eq!(code(verify_server(&Keys::new([&b"x"[..]], None).unwrap(), &server, NOW)), Code::TokenAuthFailure);
    for id in
        ["mediaServerId", "connectorId", "apiServiceId", "recordingMonitorId", "recordingMoverId", "recordingMuxerId"]
    {
        assert_eq!(code(verify(SECRET, &token(&with(&[(id, json!("x"))])), NOW)), Code::TokenTypeForbidden, "{id}");
    }
}

#[test]
fn codes_are_told_apart_by_name() {
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.wire()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
}
