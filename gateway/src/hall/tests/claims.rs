//! The refusals that the registry of claims names, each earned by its claim.

use std::collections::BTreeSet;

use super::*;
use crate::limits::{CLIENTS_PER_USER_MAX, TOKEN_ROLES_MAX};
use crate::token::table::{Claim, OF_CHANNEL, OF_TOKEN};
use crate::token::{Applications, Kinds, Side, sign_any, verify};

const NOW: u64 = 1_700_000_000;

/// What earned which code, by their names on the wire.
type Earned = BTreeSet<(&'static str, String)>;

#[test]
fn refusals_that_the_registry_names_are_those_that_its_claims_earn() {
    let earned = [by_the_token_itself(), by_another_bearer()].concat().into_iter().collect();
    assert_eq!(named(OF_TOKEN), earned);
    let earned = [by_the_channel_claim_itself(), by_requests()].concat().into_iter().collect();
    assert_eq!(named(OF_CHANNEL), earned);
}

fn named(table: &[Claim]) -> Earned {
    let pairs = |claim: &Claim| claim.refusals.iter().map(|code| (claim.names[0], code.wire().to_owned())).collect();
    table.iter().flat_map(|claim| -> Vec<_> { pairs(claim) }).collect()
}

fn payload(changes: &Value) -> Value {
    let mut payload = json!({"exp": NOW + 60, "channels": [{"id": "sea"}]});
    changes.as_object().unwrap().iter().for_each(|(key, value)| payload[key] = value.clone());
    payload
}

/// A token with these claims, as far as it is taken.
fn verified(changes: &Value) -> Result<Claims, Problem> {
    verify(&Applications::of_secret(b"secret"), &sign_any(b"secret", &payload(changes)), NOW)
}

/// The claims of a token whose application has keys.
fn claims(changes: &Value) -> Claims {
    serde_json::from_value(payload(changes)).unwrap()
}

fn by_the_token_itself() -> Vec<(&'static str, String)> {
    let roles = vec!["r"; TOKEN_ROLES_MAX + 1];
    let table = [
        ("exp", json!({"exp": null})),
        ("exp", json!({"exp": NOW})),
        ("nbf", json!({"nbf": NOW + 100})),
        ("iat", json!({"iat": NOW + 100})),
        ("applicationId", json!({"applicationId": "other"})),
        ("clientRoles", json!({"clientRoles": roles})),
        ("channels", json!({"channels": []})),
        ("channels", json!({"channels": [{"id": "sea"}, {"id": "lake"}]})),
        ("mediaServerId", json!({"mediaServerId": "m1"})),
    ];
    table.map(|(claim, changes)| (claim, verified(&changes).unwrap_err().code.wire().to_owned())).to_vec()
}

/// What a client is refused that shows another token than it registered with.
fn by_another_bearer() -> Vec<(&'static str, String)> {
    let mut scene = Scene::new();
    let ids = json!({"type": "register", "userId": "alice", "deviceId": "d", "clientId": "1", "region": "eu",
        "clientRoles": ["host"]});
    let alice = scene.registered(&claims(&ids)).unwrap();
    let elsewhere = json!({"type": "register", "userId": "bob", "clientId": "1"});
    let taken = scene.registered(&claims(&elsewhere)).unwrap_err().wire().to_owned();
    let table = [
        ("type", json!({"type": "event"})),
        ("applicationId", json!({"applicationId": "other"})),
        ("userId", json!({"userId": "bob"})),
        ("deviceId", json!({"deviceId": "e"})),
        ("clientId", json!({"clientId": "2"})),
        ("region", json!({"region": "us"})),
        ("clientRoles", json!({"clientRoles": ["guest"]})),
    ];
    let join = json!({"type": "join", "token": "t"});
    let refused =
        table.map(|(claim, changes)| (claim, scene.ask_with(alice, join.clone(), claims(&changes)).unwrap_err()));
    refused.into_iter().chain([("clientId", taken), ("userId", by_one_client_too_many())]).collect()
}

fn by_one_client_too_many() -> String {
    let mut scene = Scene::new();
    let token = claims(&json!({"type": "register", "userId": "alice"}));
    let refused = (0..=CLIENTS_PER_USER_MAX).find_map(|_| scene.registered(&token).err());
    assert_eq!(scene.hall.figures().clients, CLIENTS_PER_USER_MAX);
    refused.unwrap().wire().to_owned()
}

/// What WHIP and WHEP refuse.
fn by_the_channel_claim_itself() -> Vec<(&'static str, String)> {
    use Side::{Publish, Watch};
    let table = [
        ("id", json!({"id": "lake"}), Publish),
        ("action", json!({"id": "sea", "action": "drop"}), Publish),
        ("disableSfu", json!({"id": "sea", "disableSfu": true}), Publish),
        ("disableSfu", json!({"id": "sea", "disableSfu": true}), Watch),
        ("disableSendAudio", json!({"id": "sea", "disableSendAudio": true}), Publish),
        ("disableSendVideo", json!({"id": "sea", "disableSendVideo": true}), Publish),
        ("disableSendAudio", json!({"id": "sea", "disableSendAudio": true, "disableSendVideo": true}), Publish),
        ("disableSendVideo", json!({"id": "sea", "disableSendAudio": true, "disableSendVideo": true}), Publish),
        ("enableHiddenObserverMode", json!({"id": "sea", "enableHiddenObserverMode": true}), Publish),
        ("audioReceiveWhitelist", json!({"id": "sea", "audioReceiveWhitelist": []}), Watch),
        ("videoReceiveWhitelist", json!({"id": "sea", "videoReceiveWhitelist": []}), Watch),
    ];
    let sea = ChannelName::new("sea").unwrap();
    let both = Kinds { audio: true, video: true };
    let refused = table.map(|(claim, channel, side)| {
        let claims = verified(&json!({"channels": [channel]})).unwrap();
        let problem = claims.may(side, &sea).and_then(|()| claims.may_offer(side, &sea, both)).unwrap_err();
        (claim, problem.code.wire().to_owned())
    });
    refused.to_vec()
}

/// What a member's requests are refused.
fn by_requests() -> Vec<(&'static str, String)> {
    let kick = json!({"type": "kick", "channel": "sea", "clientId": "bob-1"});
    let grant = json!({"type": "grant", "channel": "sea", "clientId": "bob-1", "rights": {}});
    let send = json!({"type": "send", "channel": "sea", "text": "x"});
    let hidden = json!({"enableHiddenObserverMode": true, "canKick": true, "canUpdate": true});
    let table = [
        ("canKick", json!({"canKick": false}), &kick),
        ("canUpdate", json!({"canUpdate": false}), &grant),
        ("disableSendMessage", json!({"disableSendMessage": true}), &send),
        ("enableHiddenObserverMode", hidden.clone(), &kick),
        ("enableHiddenObserverMode", hidden.clone(), &grant),
        ("enableHiddenObserverMode", hidden, &send),
    ];
    let refused = table.map(|(claim, mut channel, request)| {
        let mut scene = Scene::new();
        scene.client("bob", vec![super::claim("sea")]);
        channel["id"] = json!("sea");
        let alice = scene.client("alice", vec![serde_json::from_value(channel).unwrap()]);
        (claim, scene.ask(alice, request.clone()).unwrap_err())
    });
    refused.to_vec()
}
