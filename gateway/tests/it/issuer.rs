//! Application servers, good and bad ones: they sign whatever they are given, by whatever they have.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidewire_core::id::ApplicationId;
use tidewire_gateway::token::{Applications, KeySet, Keys};

use crate::media::SECRET;

pub(crate) const SHOP: &[u8] = b"the shop's secret, thirty-two bytes";
pub(crate) const SHOP_BEFORE: &[u8] = b"the secret that the shop had before";

/// The keys of application `bank`, and some that are nobody's.
pub(crate) static KEYS: LazyLock<Keyring> = LazyLock::new(Keyring::new);

pub(crate) struct Keyring {
    pub(crate) rsa: RsaKeyPair,
    pub(crate) other_rsa: RsaKeyPair,
    pub(crate) ec: EcdsaKeyPair,
    pub(crate) other_ec: EcdsaKeyPair,
}

impl Keyring {
    fn new() -> Self {
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let ec = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { rsa: rsa(), other_rsa: rsa(), ec: ec(), other_ec: ec() }
    }

    /// `bank`'s key set: an RSA key `r1` and a P-256 key `e1`.
    pub(crate) fn bank_keys(&self) -> String {
        json!({"keys": [rsa_jwk("r1", &self.rsa), ec_jwk("e1", &self.ec)]}).to_string()
    }

    /// The ways in which somebody might take the public RSA key for a secret: PEM, DER in two forms, the JWK, the modulus.
    pub(crate) fn public_forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let pkcs1 = self.rsa.public_key().as_ref().to_vec();
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(self.rsa.public_key()).unwrap().as_ref().to_vec();
        let lines =
            BASE64_STANDARD.encode(&spki).as_bytes().chunks(64).map(|c| [c, b"\n"].concat()).collect::<Vec<_>>();
        let pem = [b"-----BEGIN PUBLIC KEY-----\n".to_vec(), lines.concat(), b"-----END PUBLIC KEY-----\n".to_vec()];
        let jwk = rsa_jwk("r1", &self.rsa);
        let modulus = jwk["n"].as_str().unwrap().as_bytes().to_vec();
        vec![
            ("PEM", pem.concat()),
            ("DER", spki),
            ("PKCS #1", pkcs1),
            ("JWK", jwk.to_string().into_bytes()),
            ("key set", self.bank_keys().into_bytes()),
            ("modulus", modulus),
        ]
    }
}

/// The default application by secret, `shop` by two, `bank` by a key set, `both` by a secret and a nameless key.
pub(crate) fn applications() -> Applications {
    let id = |text| ApplicationId::new(text).unwrap();
    let mut applications = Applications::of_secret(SECRET);
    applications.add(id("shop"), Keys::new([SHOP, SHOP_BEFORE], None).unwrap()).unwrap();
    let bank = KeySet::parse(&KEYS.bank_keys()).unwrap();
    applications.add(id("bank"), Keys::new([], Some(bank)).unwrap()).unwrap();
    let mut nameless = ec_jwk("", &KEYS.ec);
    nameless.as_object_mut().unwrap().remove("kid");
    let one = KeySet::parse(&json!({"keys": [nameless]}).to_string()).unwrap();
    applications.add(id("both"), Keys::new([SHOP], Some(one)).unwrap()).unwrap();
    applications
}

pub(crate) fn hs256(secret: &[u8], header: &Value, payload: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    signed(header, payload, |text| hmac::sign(&key, text).as_ref().to_vec())
}

pub(crate) fn rs256(key: &RsaKeyPair, header: &Value, payload: &str) -> String {
    rsa(key, &RSA_PKCS1_SHA256, header, payload)
}

pub(crate) fn rs512(key: &RsaKeyPair, header: &Value, payload: &str) -> String {
    rsa(key, &RSA_PKCS1_SHA512, header, payload)
}

pub(crate) fn es256(key: &EcdsaKeyPair, header: &Value, payload: &str) -> String {
    signed(header, payload, |text| key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec())
}

pub(crate) fn rsa_jwk(kid: &str, key: &RsaKeyPair) -> Value {
    // RFC 8017 A.1.1: a sequence of two integers; with 2048 bits and the usual exponent each length is known.
    let der = key.public_key().as_ref();
    let (modulus, exponent) = (&der[9..265], &der[267..]);
    json!({"kty": "RSA", "kid": kid, "n": url(modulus), "e": url(exponent)})
}

fn ec_jwk(kid: &str, key: &EcdsaKeyPair) -> Value {
    // SEC 1 2.3.3: 4, then both coordinates.
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": url(x), "y": url(y)})
}

fn rsa(key: &RsaKeyPair, encoding: &'static dyn RsaEncoding, header: &Value, payload: &str) -> String {
    signed(header, payload, |text| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), text, &mut signature).unwrap();
        signature
    })
}

fn signed(header: &Value, payload: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", url(header.to_string().as_bytes()), url(payload.as_bytes()));
    let signature = url(&sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
