//! Tokens that LiveSwitch's own SDK minted are taken, and mean here what they were minted for.

use serde_json::{Value, json};
use tidewire_core::codec::Kind;
use tidewire_core::id::{ApplicationId, Label};
use tidewire_gateway::problem::Code;
use tidewire_gateway::token::{Applications, Claims, Keys, verify};

const FIXTURES: &str = include_str!("../fixtures/liveswitch-tokens.json");
/// After they were minted, before they end.
const NOW: u64 = 2_000_000_000;

#[test]
fn every_token_of_the_sdk_carries_the_claims_it_was_minted_with() {
    let mut quirks = (false, false);
    for (name, token, wanted) in tokens() {
        let claims = verify(&applications(), &token, NOW).unwrap();
        let mut carried = serde_json::to_value(&claims).unwrap();
        assert!(carried["iat"].take().is_u64(), "{name}");
        assert_eq!(without_nulls(carried), without_nulls(filled(wanted)), "{name}");
        quirks.0 |= token.contains(['+', '/']);
        quirks.1 |= token.contains("=.") && !token.ends_with('=');
    }
    assert_eq!(quirks, (true, true), "the alphabet and the padding of the SDK are among them");
}

#[test]
fn every_field_of_the_sdks_channel_claim_is_understood() {
    let claims = named("join with every field of the channel claim");
    let claim = claims.to_join().unwrap();
    let rights = claim.rights();
    assert!(rights.hidden && !rights.sfu && !rights.send_audio && !rights.send_messages && !rights.kick);
    let host = [Label::new("host").unwrap()];
    assert!(claim.may_receive(Kind::Audio, &host) && !claim.may_receive(Kind::Audio, &[]));
    assert!(!claim.may_receive(Kind::Video, &host), "an empty list is nobody");
    assert!(claim.disable_peer && claim.disable_mcu && claim.disable_remote_client_events);
    assert_eq!((claim.allowed_layout_zones.len(), claim.allowed_layout_priority), (2, Some(3)));
    assert_eq!(named("event").to_register().unwrap_err().code, Code::TokenTypeForbidden);
    assert_eq!(named("register with every field of the client").to_register().unwrap().len(), 2);
}

fn tokens() -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(FIXTURES).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = document["tokens"].as_array().unwrap();
    rows.iter().map(|row| (text(&row["name"]), text(&row["token"]), row["claims"].clone())).collect()
}

fn applications() -> Applications {
    let document: Value = serde_json::from_str(FIXTURES).unwrap();
    let keys = Keys::new([document["secret"].as_str().unwrap().as_bytes()], None).unwrap();
    let mut applications = Applications::default();
    applications.add(ApplicationId::new("my-app").unwrap(), keys).unwrap();
    applications
}

fn named(name: &str) -> Claims {
    let (_, token, _) = tokens().into_iter().find(|(other, ..)| other == name).unwrap();
    verify(&applications(), &token, NOW).unwrap()
}

/// What was asked for, with what the SDK adds of itself.
fn filled(mut claims: Value) -> Value {
    for channel in claims["channels"].as_array_mut().unwrap() {
        channel["action"] = json!("join");
    }
    claims
}

/// A key that is null, or an empty list, means what a missing one means; but an empty list of those who may be received
/// means nobody.
fn without_nulls(mut claims: Value) -> Value {
    let object = claims.as_object_mut().unwrap();
    object.retain(|_, value| !value.is_null() && *value != json!([]));
    claims
}
