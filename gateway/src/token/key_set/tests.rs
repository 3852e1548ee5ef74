use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

/// The generator of P-256 (SEC 2 2.4.2), which is a point like any other.
const X: &str = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
const Y: &str = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

fn rsa(kid: &str, bits: usize) -> Value {
    let mut modulus = vec![0xa5; bits / 8];
    if let Some(last) = modulus.last_mut() {
        *last |= 1;
    }
    json!({"kty": "RSA", "kid": kid, "n": BASE64_URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
}

fn p256(kid: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": X, "y": Y})
}

fn with(mut key: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

fn parse(keys: &[Value]) -> Result<KeySet, BadKeySet> {
    KeySet::parse(&json!({"keys": keys}).to_string())
}

#[test]
fn keys_are_found_by_name_and_know_their_algorithm() {
    let set = parse(&[rsa("r", 2048), p256("e"), rsa("big", 4096)]).unwrap();
    assert_eq!(set.named("r").unwrap().algorithm, Signing::Rs256);
    assert_eq!(set.named("e").unwrap().algorithm, Signing::Es256);
    assert!(set.named("x").is_none() && set.only().is_none());
    assert!(parse(&[p256("e")]).unwrap().only().is_some());
}

#[test]
fn keys_for_other_things_are_passed_over() {
    let others = [
        with(rsa("enc", 2048), json!({"use": "enc"})),
        with(rsa("pss", 2048), json!({"alg": "PS256"})),
        with(p256("wraps"), json!({"key_ops": ["deriveKey"]})),
        with(p256("curve"), json!({"crv": "P-384"})),
        json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "ed"}),
    ];
    let all: Vec<_> = others
        .iter()
        .cloned()
        .chain([with(p256("e"), json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]}))])
        .collect();
    assert_eq!(parse(&all).unwrap().len(), 1);
    assert_eq!(parse(&others).unwrap_err(), BadKeySet::NoUsableKey);
}

#[test]
fn weak_broken_private_and_ambiguous_keys_refuse_the_set_by_name() {
    let broken = || BadKeySet::Broken("\"k\"".into());
    let no_kid = |mut key: Value| {
        key.as_object_mut().unwrap().remove("kid");
        key
    };
    let mut padded = vec![0; 128];
    padded.extend([0xff; 128]);
    let table = [
        (vec![rsa("k", 2040)], BadKeySet::Weak("\"k\"".into())),
        (vec![rsa("k", 1024)], BadKeySet::Weak("\"k\"".into())),
        (
            vec![with(rsa("k", 2048), json!({"n": BASE64_URL_SAFE_NO_PAD.encode(padded)}))],
            BadKeySet::Weak("\"k\"".into()),
        ),
        (vec![with(rsa("k", 2048), json!({"e": "AQ"}))], broken()),
        (vec![with(rsa("k", 2048), json!({"e": "Ag"}))], broken()),
        (vec![with(rsa("k", 2048), json!({"e": null}))], broken()),
        (vec![with(rsa("k", 2048), json!({"n": "?"}))], broken()),
        (vec![with(p256("k"), json!({"y": X}))], broken()),
        (vec![with(p256("k"), json!({"x": "AA"}))], broken()),
        (vec![with(p256("k"), json!({"d": X}))], BadKeySet::Private("\"k\"".into())),
        (vec![json!({"kty": "oct", "k": X})], BadKeySet::Private("without kid".into())),
        (vec![p256("k"), rsa("k", 2048)], BadKeySet::Ambiguous("\"k\"".into())),
        (vec![p256("k"), no_kid(p256("k"))], BadKeySet::Ambiguous("without kid".into())),
        (vec![], BadKeySet::NoUsableKey),
        (vec![p256("k"); PUBLIC_KEYS_MAX + 1], BadKeySet::TooManyKeys),
    ];
    for (keys, wanted) in table {
        assert_eq!(parse(&keys).unwrap_err(), wanted, "{keys:?}");
    }
    assert_eq!(KeySet::parse(&" ".repeat(KEY_SET_LEN_MAX + 1)).unwrap_err(), BadKeySet::TooLarge);
    for text in ["", "{}", "[]", r#"{"keys": [{"kty": 1}]}"#, "-----BEGIN PUBLIC KEY-----"] {
        assert!(matches!(KeySet::parse(text), Err(BadKeySet::NoKeySet(_))), "{text}");
    }
}
