//! The pages of the WebSockets, made from the types that are their wire: a page to read, and an AsyncAPI document.

use std::fmt::Write;

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};
use tidewire_core::message::{client, media};

use super::{code, row, settle};

#[test]
fn client_pages_show_every_message() {
    Wire {
        name: "client",
        address: "/v1/client",
        head: CLIENT_HEAD,
        up: Side::of::<client::Request>("What a client sends"),
        down: Side::of::<client::Told>("What the gateway sends"),
    }
    .settle();
}

#[test]
fn media_pages_show_every_message() {
    Wire {
        name: "media",
        address: "/v1/media",
        head: MEDIA_HEAD,
        up: Side::of::<media::FromMedia>("What a media server sends"),
        down: Side::of::<media::ToMedia>("What the gateway sends"),
    }
    .settle();
}

/// One WebSocket.
struct Wire {
    name: &'static str,
    address: &'static str,
    head: &'static str,
    /// Towards the gateway.
    up: Side,
    down: Side,
}

/// One direction of it.
struct Side {
    title: &'static str,
    schema: Value,
}

impl Side {
    fn of<M: JsonSchema>(title: &'static str) -> Self {
        Self { title, schema: schema_for!(M).to_value() }
    }

    fn definitions(&self) -> Map<String, Value> {
        self.schema["$defs"].as_object().cloned().unwrap_or_default()
    }

    /// The direction's own type, without the types that it is made of.
    fn message(&self) -> Value {
        let mut message = self.schema.as_object().cloned().unwrap_or_default();
        message.remove("$defs");
        message.remove("$schema");
        message.into()
    }
}

impl Wire {
    fn settle(&self) {
        settle(&format!("wire-{}.md", self.name), &self.page());
        let document = serde_json::to_string_pretty(&self.asyncapi()).expect("JSON can be written");
        settle(&format!("wire-{}.asyncapi.json", self.name), &(document.replace(DEFINITIONS, SCHEMAS) + "\n"));
    }

    fn definitions(&self) -> Map<String, Value> {
        let mut all = self.up.definitions();
        all.extend(self.down.definitions());
        all
    }

    fn page(&self) -> String {
        let mut page = String::from(self.head);
        for side in [&self.up, &self.down] {
            variants(&mut page, side.title, &side.message());
        }
        for (name, schema) in &self.definitions() {
            if schema["type"] == "string" && schema.get("enum").is_none() {
                writeln!(page, "\n## {name}\n\n{}\n\nText{}.", said(schema), limits(schema)).expect(TAKES);
            } else {
                variants(&mut page, name, schema);
            }
        }
        page
    }

    /// AsyncAPI 3.0.0.
    fn asyncapi(&self) -> Value {
        let mut schemas = self.definitions();
        let mut messages = Map::new();
        for (name, side) in [("up", &self.up), ("down", &self.down)] {
            let payload = json!({ "$ref": format!("#/components/schemas/{name}") });
            let frame = json!({
                "type": "object",
                "properties": { "n": { "type": "integer", "minimum": 1 }, "seen": { "type": "integer", "minimum": 0 }, "m": payload },
            });
            messages.insert(
                name.to_owned(),
                json!({ "title": side.title, "contentType": "application/json", "payload": frame }),
            );
            schemas.insert(name.to_owned(), side.message());
        }
        let operation = |action: &str, message: &str| {
            json!({
                "action": action, "channel": { "$ref": "#/channels/socket" },
                "messages": [{ "$ref": format!("#/channels/socket/messages/{message}") }],
            })
        };
        json!({
            "asyncapi": "3.0.0",
            "info": { "title": format!("Tidewire {}", self.address), "version": env!("CARGO_PKG_VERSION") },
            "channels": { "socket": { "address": self.address, "messages": messages } },
            "operations": { "up": operation("receive", "up"), "down": operation("send", "down") },
            "components": { "schemas": schemas },
        })
    }
}

/// A type: its variants, each with its fields, or its own fields.
fn variants(page: &mut String, title: &str, schema: &Value) {
    writeln!(page, "\n## {title}").expect(TAKES);
    paragraph(page, schema);
    // Where there are fields of its own, alternatives beside them are laid into it.
    let alternatives = schema["oneOf"].as_array().filter(|_| schema.get("properties").is_none());
    match alternatives {
        None if schema.get("enum").is_some() => variant(page, &json!({ "type": "string", "enum": schema["enum"] })),
        None => fields(page, schema),
        Some(all) => all.iter().for_each(|one| variant(page, one)),
    }
}

fn variant(page: &mut String, schema: &Value) {
    let values = || schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
    if schema["type"] == "string" {
        let names: Vec<String> = values().filter_map(Value::as_str).map(code).collect();
        writeln!(page, "\n- {}{}", names.join(", "), after_colon(schema)).expect(TAKES);
        return;
    }
    let tag = schema["properties"]["type"]["const"].as_str();
    let key = || schema["properties"].as_object().and_then(|all| all.keys().next().cloned()).unwrap_or_default();
    writeln!(page, "\n### `{}`", tag.map_or_else(key, str::to_owned)).expect(TAKES);
    paragraph(page, schema);
    fields(page, schema);
}

fn fields(page: &mut String, schema: &Value) {
    let mut rows = Vec::new();
    collect(schema, &mut rows);
    if rows.is_empty() {
        return;
    }
    *page += "\n| field | is | |\n| --- | --- | --- |\n";
    for [name, kind, said] in rows {
        row(page, &[&code(&name), &kind, &said]);
    }
}

/// The fields of an object, and of the objects that are laid into it.
fn collect(schema: &Value, rows: &mut Vec<[String; 3]>) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if name == "type" && field.get("const").is_some() {
            continue;
        }
        let need = if required(name) { "" } else { ", may be left out" };
        rows.push([name.clone(), format!("{}{need}", kind(field)), said(field)]);
    }
    let laid_in = schema.get("$ref").and_then(Value::as_str).map(link);
    rows.extend(laid_in.map(|link| ["...".to_owned(), format!("the fields of {link}"), String::new()]));
    for alternatives in ["oneOf", "anyOf"] {
        let choices = schema[alternatives].as_array().into_iter().flatten();
        let choices: Vec<String> =
            choices.filter_map(|one| one["properties"].as_object()).flat_map(Map::keys).map(|key| code(key)).collect();
        if !choices.is_empty() && schema.get("properties").is_some() {
            rows.push([choices.join(" or ").replace('`', ""), "text".to_owned(), "one of them".to_owned()]);
        }
    }
}

/// A field's type in words.
fn kind(field: &Value) -> String {
    if let Some(path) = field["$ref"].as_str() {
        return link(path);
    }
    if let Some(any) = field["anyOf"].as_array() {
        return any.iter().filter(|one| one["type"] != "null").map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(all) = field["allOf"].as_array() {
        return all.iter().map(kind).collect::<Vec<_>>().join(" and ");
    }
    let name = field["type"].as_array().and_then(|all| all.first()).unwrap_or(&field["type"]);
    match name.as_str() {
        Some("array") => format!("list of {}", kind(&field["items"])),
        Some("string") => "text".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        other => other.unwrap_or("anything").to_owned(),
    }
}

fn link(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("[{name}](#{})", name.to_lowercase())
}

fn said(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("[`", "`").replace("`]", "`")
}

fn after_colon(schema: &Value) -> String {
    let said = said(schema);
    if said.is_empty() { said } else { format!(": {said}") }
}

fn paragraph(page: &mut String, schema: &Value) {
    let said = said(schema);
    if !said.is_empty() {
        writeln!(page, "\n{said}").expect(TAKES);
    }
}

fn limits(schema: &Value) -> String {
    match (schema["pattern"].as_str(), schema["maxLength"].as_u64()) {
        (Some(pattern), _) => format!(" that fits `{pattern}`"),
        (None, Some(longest)) => format!(" of at most {longest} bytes"),
        (None, None) => String::new(),
    }
}

const TAKES: &str = "a String takes every line";
const DEFINITIONS: &str = "#/$defs/";
const SCHEMAS: &str = "#/components/schemas/";

const CLIENT_HEAD: &str = "\
# The client's WebSocket

Written by `cargo xtask reference` from the types in `core/src/message/client`; do not edit. The same as an AsyncAPI document: [wire-client.asyncapi.json](wire-client.asyncapi.json).

A client opens a WebSocket at `/v1/client`. Each text message is one frame, a JSON object of at most 384 KiB:

```json
{ \"n\": 7, \"seen\": 12, \"m\": { \"type\": \"join\", \"token\": \"...\" } }
```

- `m` is the message. `n` numbers it, counting from 1 in each direction; few messages stand outside the numbering, and say so below.
- `seen` says that every frame of the other direction up to that number has arrived. A frame may hold `seen` alone. It is due at least every 32 frames or every second.
- The first frame is `register`, numbered 1, and is due within ten seconds. Every request is answered once, by `reply` or `refused`, which name its number in `to`.
- When the socket is lost, open another within the lease and send `resume` (not numbered) as the first frame: the key from the registration, and the highest number seen.
  `resumed` names what the gateway has seen. Both ends then send again, in order and under the old numbers, what the other has not seen. What comes twice is thrown away.
- Fields that are not named here are to be ignored. Requests of an unknown type are refused.

A session in short: `register`, then `openUpstream` with an offer of SDP (answered with the server's), and `openDownstream` with what is wanted. The server then sends an `offer` event
for the downstream, now and whenever that changes what is sent; the client answers each by `answer` with the revision that it answers.
";

const MEDIA_HEAD: &str = "\
# A media server's WebSocket

Written by `cargo xtask reference` from the types in `core/src/message/media.rs`; do not edit. The same as an AsyncAPI document: [wire-media.asyncapi.json](wire-media.asyncapi.json).

A media server opens a WebSocket at `/v1/media` with a token of the cluster's own secret as `Authorization: Bearer`. Frames, numbers, acknowledgements and resuming are those of [the client's
WebSocket](wire-client.md); the first frame is `enlist` or `resume`. The gateway asks, the media server answers each request once, and tells of its own accord when a connection ends.
";
