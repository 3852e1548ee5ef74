//! The refusal matrix: everything that can be wrong with a token, the code it earns, and that WHIP, WHEP and sessions
//! refuse it with that very code and keep nothing. Then every claim that forbids something, against what it forbids.

use std::collections::HashSet;

use serde_json::{Value, json};
use tidewire_gateway::problem::Code;
use tidewire_gateway::token::{Applications, verify};

use crate::issuer::{KEYS, SHOP, SHOP_BEFORE, applications, es256, hs256, rs256, rs512, rsa_jwk};
use crate::media::{Bed, OFFER, SECRET, Script, now_unix, request};

type Row = (String, String, Code);

#[test]
fn good_tokens_of_every_kind_are_taken() {
    let now = now_unix();
    for (application, token) in [
        ("default", hs256(SECRET, &json!({"alg": "HS256"}), &payload(&[]))),
        ("default", hs256(SECRET, &json!({"alg": "HS256", "kid": "any"}), &of("default"))),
        ("shop", hs256(SHOP, &json!({"alg": "HS256"}), &of("shop"))),
        ("shop", hs256(SHOP_BEFORE, &json!({"alg": "HS256"}), &of("shop"))),
        ("bank", rs256(&KEYS.rsa, &json!({"alg": "RS256", "kid": "r1"}), &of("bank"))),
        ("bank", es256(&KEYS.ec, &json!({"alg": "ES256", "kid": "e1"}), &of("bank"))),
        ("both", es256(&KEYS.ec, &json!({"alg": "ES256"}), &of("both"))),
        ("both", hs256(SHOP, &json!({"alg": "HS256"}), &of("both"))),
    ] {
        let claims = verify(&applications(), &token, now).unwrap();
        assert_eq!(claims.application_id.as_str(), application);
    }
}

#[tokio::test]
async fn everything_wrong_with_a_token_earns_its_code_and_leaves_nothing_behind() {
    let bed = Bed::with(Script::Judge, |config| config.applications = applications(), |_| {});
    let session = format!("/v1/sessions/{:032x}", 7);
    let rows: Vec<Row> = [forms(), algorithms(), keys(), confusions(), contents()].concat();
    for (name, token, wanted) in &rows {
        assert_eq!(verify(&applications(), token, now_unix()).unwrap_err().code, *wanted, "{name}");
        for (method, path) in [("POST", "/whip/studio"), ("POST", "/whep/studio"), ("DELETE", &session)] {
            // What cannot stand in a header never reaches the gateway.
            if token.contains(['\n', '\u{7f}']) || token.trim() != token {
                continue;
            }
            let bearer = format!("Bearer {token}");
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
            let answer = bed.send(request(method, path, &headers, OFFER)).await;
            // Without anything after it the scheme is no token at all.
            let wanted = if token.is_empty() { Code::TokenMissing } else { *wanted };
            assert_eq!((answer.code().as_str(), answer.status.as_u16()), (wanted.wire(), wanted.status()), "{name}");
        }
    }
    let codes: HashSet<_> = rows.iter().map(|(.., code)| *code).collect();
    assert!(rows.len() >= 60 && codes.len() >= 14, "{} rows, {} codes", rows.len(), codes.len());
    assert!(bed.seen().requests.is_empty() && bed.gateway.sessions() == 0);
}

#[tokio::test]
async fn every_claim_that_forbids_is_kept_against_the_request_it_forbids() {
    let bed = Bed::new(Script::Judge);
    let (audio, video) = (OFFER.to_owned(), OFFER.replace("m=audio", "m=video"));
    let none = None;
    // The claim; what publishing audio, publishing video, watching audio and watching video earn.
    let table = [
        (json!({}), [none, none, none, none]),
        (json!({"disableSendAudio": true}), [Some("sendAudioForbidden"), none, none, none]),
        (json!({"disableSendVideo": true}), [none, Some("sendVideoForbidden"), none, none]),
        (
            json!({"disableSendAudio": true, "disableSendVideo": true}),
            [Some("publishForbidden"), Some("publishForbidden"), none, none],
        ),
        (
            json!({"disableSfu": true}),
            [Some("publishForbidden"), Some("publishForbidden"), Some("watchForbidden"), Some("watchForbidden")],
        ),
        (json!({"enableHiddenObserverMode": true}), [Some("publishForbidden"), Some("publishForbidden"), none, none]),
        (json!({"audioReceiveWhitelist": ["host"]}), [none, none, Some("receiveAudioForbidden"), none]),
        (json!({"videoReceiveWhitelist": []}), [none, none, none, Some("receiveVideoForbidden")]),
        (json!({"action": "claim"}), [Some("channelActionForbidden"); 4]),
        (json!({"action": "drop"}), [Some("channelActionForbidden"); 4]),
        (json!({"id": "other"}), [Some("tokenMissingChannelClaim"); 4]),
        // These forbid what cannot be asked for by WHIP and WHEP.
        (json!({"disablePeer": true, "disableMcu": true, "disableSendData": true}), [none; 4]),
        (json!({"disableSendMessage": true, "disableRemoteClientEvents": true}), [none; 4]),
        (json!({"disableRemoteUpstreamConnectionEvents": true, "dataReceiveWhitelist": []}), [none; 4]),
        (json!({"canKick": true, "canUpdate": true, "canUpdateLayout": true, "allowedLayoutPriority": 1}), [none; 4]),
    ];
    for (claim, wanted) in table {
        let mut channel = json!({"id": "studio"});
        claim.as_object().unwrap().iter().for_each(|(key, value)| channel[key] = value.clone());
        let token = hs256(SECRET, &json!({"alg": "HS256"}), &payload(&[("channels", json!([channel]))]));
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
        let requests =
            [("/whip/studio", &audio), ("/whip/studio", &video), ("/whep/studio", &audio), ("/whep/studio", &video)];
        for ((path, offer), wanted) in requests.into_iter().zip(wanted) {
            let answer = bed.send(request("POST", path, &headers, offer)).await;
            match wanted {
                Some(code) => {
                    assert_eq!((answer.code().as_str(), answer.status.as_u16()), (code, 403), "{claim} {path}")
                }
                None => assert_eq!(answer.status.as_u16(), 201, "{claim} {path} {answer:?}"),
            }
        }
    }
}

#[tokio::test]
async fn keys_that_are_exchanged_hold_from_the_next_token_on() {
    let bed = Bed::new(Script::Judge);
    let bearer = format!("Bearer {}", hs256(SECRET, &json!({"alg": "HS256"}), &payload(&[])));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
    let open = async || bed.send(request("POST", "/whip/studio", &headers, OFFER)).await;
    assert_eq!(open().await.status.as_u16(), 201);
    bed.gateway.verify_by(Applications::of_secret(b"the secret that came after it"));
    assert_eq!(open().await.code(), Code::TokenAuthFailure.wire());
    bed.gateway.verify_by(Applications::of_secret(SECRET));
    assert_eq!(open().await.status.as_u16(), 201);
}

/// Size, parts, Base64, JSON.
fn forms() -> Vec<Row> {
    let header = json!({"alg": "HS256"});
    let good = hs256(SECRET, &header, &payload(&[]));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let parse = Code::TokenParseFailure;
    let rows = [
        ("too large", "a".repeat(8 * 1024 + 1), Code::TokenTooLarge),
        (
            "too large, and well signed",
            hs256(SECRET, &header, &payload(&[("x", json!("x".repeat(8_000)))])),
            Code::TokenTooLarge,
        ),
        ("nothing", String::new(), parse),
        ("one part", head.to_owned(), parse),
        ("two parts", signed.to_owned(), parse),
        ("four parts", format!("{good}.{signature}"), parse),
        ("five parts, as an encrypted token has", format!("{good}.{signature}.{signature}"), parse),
        ("a dot at the end", format!("{good}."), parse),
        ("a blank at the end", format!("{good} "), parse),
        ("a line end at the end", format!("{good}\n"), parse),
        ("header is no Base64", format!("*{head}.{body}.{signature}"), parse),
        ("payload is no Base64", format!("{head}.{body}*.{signature}"), parse),
        ("signature is no Base64", format!("{signed}.{signature}*"), parse),
        ("a signature of both alphabets", format!("{signed}.-_+/{signature}"), parse),
        ("padding within", format!("{signed}.AA=={signature}"), parse),
        ("header is no JSON", format!("{}.{body}.{signature}", "bm9uZQ"), parse),
        ("header is a list", format!("{}.{body}.{signature}", "WyJIUzI1NiJd"), parse),
        ("payload is no JSON", hs256(SECRET, &header, "{"), parse),
        ("something after the payload", hs256(SECRET, &header, &format!("{} {{}}", payload(&[]))), parse),
        ("payload is a text", hs256(SECRET, &header, "\"hi\""), Code::TokenClaimInvalid),
    ];
    rows.map(row).to_vec()
}

/// What the header says.
fn algorithms() -> Vec<Row> {
    let unsigned = |alg: &str| {
        let token = hs256(SECRET, &json!({"alg": alg}), &payload(&[]));
        token.rsplit_once('.').unwrap().0.to_owned() + "."
    };
    let mut rows = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE"] {
        rows.push((format!("alg {alg}"), unsigned(alg), Code::TokenUnsigned));
        let signed = hs256(SECRET, &json!({"alg": alg}), &payload(&[]));
        rows.push((format!("alg {alg}, signed all the same"), signed, Code::TokenUnsigned));
    }
    for alg in ["", "none ", "hs256", "HS384", "HS512", "RS512", "PS256", "ES384", "EdDSA", "dir"] {
        rows.push((format!("alg {alg:?}"), unsigned(alg), Code::TokenAlgorithmUnsupported));
    }
    let signed = |header: Value| hs256(SECRET, &header, &payload(&[]));
    let others = [
        ("no alg", signed(json!({"typ": "JWT"})), Code::TokenParseFailure),
        ("alg is null", signed(json!({"alg": null})), Code::TokenParseFailure),
        ("alg is a list", signed(json!({"alg": ["HS256", "none"]})), Code::TokenParseFailure),
        ("alg twice", signed_text(r#"{"alg":"none","alg":"HS256"}"#), Code::TokenParseFailure),
        ("crit", signed(json!({"alg": "HS256", "crit": ["b64"], "b64": false})), Code::TokenParseFailure),
        ("crit, empty", signed(json!({"alg": "HS256", "crit": []})), Code::TokenParseFailure),
        ("kid is a number", signed(json!({"alg": "HS256", "kid": 1})), Code::TokenParseFailure),
    ];
    rows.extend(others.map(row));
    rows
}

/// Which application, which key, which signature.
fn keys() -> Vec<Row> {
    let hs = json!({"alg": "HS256"});
    let (r1, e1) = (json!({"alg": "RS256", "kid": "r1"}), json!({"alg": "ES256", "kid": "e1"}));
    let other = rsa_jwk("r1", &KEYS.other_rsa);
    let auth = Code::TokenAuthFailure;
    let mut tampered = rs256(&KEYS.rsa, &r1, &of("bank"));
    tampered.replace_range(tampered.len() - 8..tampered.len() - 4, "AAAA");
    let good = hs256(SECRET, &hs, &payload(&[]));
    let stripped = format!("{}.", good.rsplit_once('.').unwrap().0);
    let rows = [
        ("wrong secret", hs256(b"guessed", &hs, &payload(&[])), auth),
        ("empty secret", hs256(b"", &hs, &payload(&[])), auth),
        ("signature left out", stripped, auth),
        ("signature of another application", hs256(SHOP, &hs, &payload(&[])), auth),
        ("application exchanged", hs256(SECRET, &hs, &of("shop")), auth),
        ("unknown application", hs256(SECRET, &hs, &of("nobody")), Code::TokenApplicationUnknown),
        ("application *", hs256(SECRET, &hs, &of("*")), Code::TokenApplicationUnknown),
        ("application of another case", hs256(SHOP, &hs, &of("Shop")), Code::TokenApplicationUnknown),
        ("application ../shop", hs256(SHOP, &hs, &of("../shop")), Code::TokenApplicationUnknown),
        (
            "application is a list",
            hs256(SHOP, &hs, &payload(&[("applicationId", json!(["shop"]))])),
            Code::TokenClaimInvalid,
        ),
        (
            "application twice",
            hs256(SECRET, &hs, r#"{"applicationId":"default","applicationId":"shop"}"#),
            Code::TokenClaimInvalid,
        ),
        ("wrong RSA key", rs256(&KEYS.other_rsa, &r1, &of("bank")), auth),
        ("wrong P-256 key", es256(&KEYS.other_ec, &e1, &of("bank")), auth),
        ("RSA signature tampered with", tampered, auth),
        ("RS512 under the name of RS256", rs512(&KEYS.rsa, &r1, &of("bank")), auth),
        ("unknown kid", rs256(&KEYS.rsa, &json!({"alg": "RS256", "kid": "r2"}), &of("bank")), Code::TokenKeyUnknown),
        (
            "kid of a path",
            rs256(&KEYS.rsa, &json!({"alg": "RS256", "kid": "../../dev/null"}), &of("bank")),
            Code::TokenKeyUnknown,
        ),
        (
            "kid of a query",
            rs256(&KEYS.rsa, &json!({"alg": "RS256", "kid": "r1' OR '1'='1"}), &of("bank")),
            Code::TokenKeyUnknown,
        ),
        ("empty kid", rs256(&KEYS.rsa, &json!({"alg": "RS256", "kid": ""}), &of("bank")), Code::TokenKeyUnknown),
        ("no kid among several keys", rs256(&KEYS.rsa, &json!({"alg": "RS256"}), &of("bank")), Code::TokenKeyUnknown),
        (
            "kid for a key without one",
            es256(&KEYS.ec, &json!({"alg": "ES256", "kid": "e1"}), &of("both")),
            Code::TokenKeyUnknown,
        ),
        ("key set of another application", rs256(&KEYS.rsa, &r1, &of("shop")), Code::TokenAlgorithmUnsupported),
        ("RS256 of an application with secrets", rs256(&KEYS.rsa, &r1, &payload(&[])), Code::TokenAlgorithmUnsupported),
        (
            "a key brought along (jwk)",
            rs256(&KEYS.other_rsa, &json!({"alg": "RS256", "kid": "r1", "jwk": other}), &of("bank")),
            auth,
        ),
        (
            "a key to be fetched (jku)",
            rs256(&KEYS.other_rsa, &json!({"alg": "RS256", "kid": "r1", "jku": "http://127.0.0.1/"}), &of("bank")),
            auth,
        ),
        (
            "a key brought along for a secret's application",
            hs256(b"mine", &json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "bWluZQ"}}), &payload(&[])),
            auth,
        ),
    ];
    rows.map(row).to_vec()
}

/// A public key taken for a secret, and keys for algorithms that are not theirs.
fn confusions() -> Vec<Row> {
    let mut rows = Vec::new();
    for (form, secret) in KEYS.public_forms() {
        for header in [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "r1"})] {
            let token = hs256(&secret, &header, &of("bank"));
            rows.push((format!("HS256 with the public key as {form}"), token, Code::TokenAlgorithmUnsupported));
        }
        let token = hs256(&secret, &json!({"alg": "RS256", "kid": "r1"}), &of("bank"));
        rows.push((format!("HMAC with {form} under the name of RS256"), token, Code::TokenAuthFailure));
        let token = hs256(&secret, &json!({"alg": "HS256"}), &of("both"));
        rows.push((format!("HS256 with {form}, where there is a secret too"), token, Code::TokenAuthFailure));
    }
    let crossed = [
        (
            "RS256 by the P-256 key's name",
            rs256(&KEYS.rsa, &json!({"alg": "RS256", "kid": "e1"}), &of("bank")),
            Code::TokenAlgorithmUnsupported,
        ),
        (
            "ES256 by the RSA key's name",
            es256(&KEYS.ec, &json!({"alg": "ES256", "kid": "r1"}), &of("bank")),
            Code::TokenAlgorithmUnsupported,
        ),
        (
            "RS256 where the only key is P-256",
            rs256(&KEYS.rsa, &json!({"alg": "RS256"}), &of("both")),
            Code::TokenAlgorithmUnsupported,
        ),
        (
            "an RSA signature under the name of ES256",
            rs256(&KEYS.rsa, &json!({"alg": "ES256", "kid": "e1"}), &of("bank")),
            Code::TokenAuthFailure,
        ),
        (
            "a P-256 signature under the name of HS256",
            es256(&KEYS.ec, &json!({"alg": "HS256"}), &of("both")),
            Code::TokenAuthFailure,
        ),
        // RFC 7518 3.4; CVE-2022-21449.
        (
            "a P-256 signature of zeros",
            zeroed(&es256(&KEYS.ec, &json!({"alg": "ES256", "kid": "e1"}), &of("bank"))),
            Code::TokenAuthFailure,
        ),
    ];
    rows.extend(crossed.map(row));
    rows
}

/// What the payload says, under a good signature.
fn contents() -> Vec<Row> {
    let now = now_unix();
    let of = |changes: &[(&str, Value)]| hs256(SECRET, &json!({"alg": "HS256"}), &payload(changes));
    let text = |text: &str| hs256(SECRET, &json!({"alg": "HS256"}), text);
    let claim = |key: &str, value: Value| of(&[("channels", json!([{"id": "studio", key: value}]))]);
    let invalid = Code::TokenClaimInvalid;
    let rows = [
        ("no exp", of(&[("exp", Value::Null)]), Code::TokenExpiryMissing),
        ("expired", of(&[("exp", json!(now - 1))]), Code::TokenExpired),
        ("expired since 1970", of(&[("exp", json!(0))]), Code::TokenExpired),
        ("not yet valid", of(&[("nbf", json!(now + 3_600))]), Code::TokenNotYetValid),
        ("issued in the future", of(&[("iat", json!(now + 3_600))]), Code::TokenNotYetValid),
        ("exp is a text", of(&[("exp", json!((now + 60).to_string()))]), invalid),
        ("exp is negative", of(&[("exp", json!(-1))]), invalid),
        ("exp beyond reckoning", of(&[("exp", json!(1e300))]), invalid),
        ("exp twice", text(r#"{"exp":1,"exp":99999999999,"channels":[{"id":"studio"}]}"#), invalid),
        (
            "a channel's flag twice",
            text(r#"{"exp":99999999999,"channels":[{"id":"studio","disableSfu":true,"disableSfu":false}]}"#),
            invalid,
        ),
        ("channels twice", text(r#"{"exp":99999999999,"channels":[],"channels":[{"id":"studio"}]}"#), invalid),
        ("a channel without a name", of(&[("channels", json!([{"action": "join"}]))]), invalid),
        ("a channel of a bad name", claim("id", json!("two words")), invalid),
        ("channel *", claim("id", json!("*")), invalid),
        ("a flag that is a text", claim("disableSfu", json!("false")), invalid),
        ("an action that is none", claim("action", json!("leave")), invalid),
        ("a whitelist that is a text", claim("audioReceiveWhitelist", json!("host")), invalid),
        ("an empty user", of(&[("userId", json!(""))]), invalid),
        ("a user with a line end", of(&[("userId", json!("a\nb"))]), invalid),
        ("a user of 129 bytes", of(&[("userId", json!("u".repeat(129)))]), invalid),
        ("a device that is a number", of(&[("deviceId", json!(1))]), invalid),
        ("a client that is a list", of(&[("clientId", json!(["a"]))]), invalid),
        ("an empty region", of(&[("region", json!(""))]), invalid),
        ("a role with a control character", of(&[("clientRoles", json!(["\u{7}"]))]), invalid),
        ("too many roles", of(&[("clientRoles", json!(vec!["r"; 17]))]), Code::TokenTooManyRoles),
        ("join without a channel", of(&[("channels", json!([]))]), Code::TokenMissingChannelClaim),
        (
            "join with two channels",
            of(&[("channels", json!([{"id": "studio"}, {"id": "other"}]))]),
            Code::TokenTooManyChannelClaims,
        ),
        (
            "register with too many channels",
            of(&[("type", json!("register")), ("channels", json!(vec![json!({"id": "a"}); 129]))]),
            Code::TokenTooManyChannelClaims,
        ),
        ("a media server's token", of(&[("mediaServerId", json!("m1"))]), Code::TokenTypeForbidden),
        (
            "a connector's token",
            of(&[("type", json!("register")), ("connectorId", json!("c1"))]),
            Code::TokenTypeForbidden,
        ),
    ];
    rows.map(row).to_vec()
}

fn row((name, token, code): (&str, String, Code)) -> Row {
    (name.to_owned(), token, code)
}

/// A good payload for channel `studio`, with changes.
fn payload(changes: &[(&str, Value)]) -> String {
    let mut payload = json!({"exp": now_unix() + 600, "type": "join", "channels": [{"id": "studio"}]});
    changes.iter().for_each(|(key, value)| payload[*key] = value.clone());
    payload.to_string()
}

fn of(application: &str) -> String {
    payload(&[("applicationId", json!(application))])
}

/// A header that no JSON value can hold.
fn signed_text(header: &str) -> String {
    use base64::Engine;
    let good = hs256(SECRET, &json!({"alg": "HS256"}), &payload(&[]));
    let (_, rest) = good.split_once('.').unwrap();
    format!("{}.{rest}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(header))
}

fn zeroed(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", "A".repeat(signature.len()))
}
