use std::collections::BTreeSet;

use serde::de::value::Error as NotRead;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Value, json};

use super::*;
use crate::token::{Applications, ChannelClaim, Claims, sign_any, verify};

const SECRET: &[u8] = b"secret";
const NOW: u64 = 1_700_000_000;

/// Is asked for a struct, and remembers the keys that it would be filled from, with those that stand for the same.
#[derive(Default)]
struct Keys(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Keys {
    type Error = NotRead;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NotRead> {
        self.0 = fields;
        Err(NotRead::custom("nothing but the keys is wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotRead> {
        Err(NotRead::custom("a struct is wanted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn keys_read<'de, T: Deserialize<'de>>() -> BTreeSet<&'static str> {
    let mut keys = Keys::default();
    assert!(T::deserialize(&mut keys).is_err());
    keys.0.iter().copied().collect()
}

fn keys_listed(table: &[Claim]) -> BTreeSet<&'static str> {
    let all: Vec<_> = table.iter().flat_map(|claim| claim.names).copied().collect();
    let distinct: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(distinct.len(), all.len(), "a key is there twice: {all:?}");
    distinct
}

#[test]
fn every_key_that_is_read_is_listed_and_every_key_listed_is_read() {
    assert_eq!(keys_listed(OF_TOKEN), keys_read::<Claims>());
    assert_eq!(keys_listed(OF_CHANNEL), keys_read::<ChannelClaim>());
}

/// A token's payload in which one key has another value, or is missing: its own, or one of its channel's claim.
fn with(place: &str, name: &str, value: Option<Value>) -> Value {
    let mut payload = json!({"exp": NOW + 60, "channels": [{"id": "studio"}]});
    let object = payload.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
    match value {
        Some(value) => drop(object.insert(name.to_owned(), value)),
        None => drop(object.remove(name)),
    }
    payload
}

fn refusal(payload: &Value) -> Option<Code> {
    verify(&Applications::of_secret(SECRET), &sign_any(SECRET, payload), NOW).err().map(|problem| problem.code)
}

/// Values of a form, and values that are none.
fn examples(form: Form) -> (Vec<Value>, Vec<Value>) {
    let long = "x".repeat(129);
    match form {
        Form::Time => (vec![json!(NOW), json!(NOW as f64 + 0.5)], vec![json!("1"), json!(-1), json!(true), json!([])]),
        Form::Word(words) => (words.iter().map(|word| json!(word)).collect(), vec![json!(1), json!(["join"])]),
        Form::Name => (vec![json!("a.B_9~-")], vec![json!(""), json!("a b"), json!("x".repeat(65)), json!(1)]),
        Form::Label => (vec![json!("ü b")], vec![json!(""), json!("a\nb"), json!(long), json!(1)]),
        Form::Labels | Form::Roles => {
            (vec![json!([]), json!(["a", "b"])], vec![json!("a"), json!([1]), json!([""]), json!([long])])
        }
        Form::Texts => (vec![json!([]), json!(["", "a"])], vec![json!("a"), json!([1])]),
        Form::Flag => (vec![json!(true), json!(false)], vec![json!("true"), json!(1)]),
        Form::Number => (vec![json!(-7)], vec![json!(1.5), json!("1")]),
        Form::Channels => (vec![json!([{"id": "a"}])], vec![json!([{}]), json!(["a"]), json!({"id": "a"})]),
        Form::Anything => (vec![json!("a"), json!(1), json!([]), json!(false)], Vec::new()),
    }
}

#[test]
fn each_claim_takes_values_of_its_form_and_no_others() {
    for (table, place) in [(OF_TOKEN, ""), (OF_CHANNEL, "/channels/0")] {
        for (claim, name) in table.iter().flat_map(|claim| claim.names.iter().map(move |name| (claim, *name))) {
            check_form(claim, |value| refusal(&with(place, name, value)));
        }
    }
}

fn check_form(claim: &Claim, refusal: impl Fn(Option<Value>) -> Option<Code>) {
    let name = claim.names[0];
    let (good, bad) = examples(claim.form);
    for value in good {
        let code = refusal(Some(value.clone()));
        assert!(code.is_none_or(|code| claim.refusals.contains(&code)), "{name} {value} {code:?}");
    }
    for value in bad {
        // Whose keys a token is checked by is looked at before anything of it is believed.
        let is_nobody = name == "applicationId" && value.is_string();
        let wanted = if is_nobody { Code::TokenApplicationUnknown } else { Code::TokenClaimInvalid };
        assert_eq!(refusal(Some(value.clone())), Some(wanted), "{name} {value}");
    }
    let missing = refusal(None);
    assert_eq!(refusal(Some(Value::Null)), missing, "null is as good as nothing: {name}");
    // A token without a type is one that joins, and needs a channel.
    assert_eq!(missing.is_some(), claim.is_required || name == "channels", "{name}");
}
