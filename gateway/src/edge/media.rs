//! `/v1/media`: the WebSocket by which media servers come to the gateway.
//!
//! In comes an upgrade with a server token, out go frames between it and the exchange. Order of refusals: cluster secret,
//! token, upgrade; whoever is refused leaves nothing behind. Decides nothing about what the frames say. RFC 6455.

use std::sync::Arc;

use aws_lc_rs::rand;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt, future};
use tidewire_core::id::LinkKey;
use tidewire_core::limits::CONNECTIONS_MAX;
use tokio::sync::mpsc;

use super::{request, respond};
use crate::limits::{ANSWER_LEN_MAX, ASKS_MAX};
use crate::link::exchange::{Exchange, Input};
use crate::link::pump::{self, Packet};
use crate::link::switchboard::Visitor;
use crate::problem::{Code, Problem};
use crate::token::{Keys, verify_server};

#[derive(Clone)]
struct Entrance {
    exchange: Exchange,
    /// None where there is no cluster secret.
    keys: Option<Arc<Keys>>,
}

/// The route by which media servers reach an exchange. Without a secret it takes nobody, and says why.
pub fn media_routes(exchange: Exchange, cluster_secret: Option<&[u8]>) -> Router {
    // An empty secret gives no keys.
    let keys = cluster_secret.and_then(|secret| Keys::new([secret], None).ok()).map(Arc::new);
    Router::new().route("/v1/media", get(enter)).with_state(Entrance { exchange, keys })
}

async fn enter(
    State(Entrance { exchange, keys }): State<Entrance>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let visitor = match admit(&exchange, keys.as_deref(), &headers) {
        Ok(visitor) => visitor,
        Err(problem) => {
            tracing::debug!(code = problem.code.wire(), detail = problem.detail, "a media server was refused");
            return respond::problem(&problem);
        }
    };
    match upgrade {
        Ok(upgrade) => upgrade.max_message_size(ANSWER_LEN_MAX).on_upgrade(|socket| serve(socket, visitor, exchange)),
        Err(rejection) => respond::problem(&Problem::new(Code::UpgradeRequired, rejection.body_text())),
    }
}

fn admit(exchange: &Exchange, keys: Option<&Keys>, headers: &HeaderMap) -> Result<Visitor, Problem> {
    let keys = keys.ok_or_else(|| Problem::new(Code::ClusterSecretMissing, Code::ClusterSecretMissing.meaning()))?;
    let token = request::bearer_text(headers)?;
    let name = verify_server(keys, token, request::now_unix())?.media_server;
    let mut key = [0; 16];
    rand::fill(&mut key)
        .map_err(|_| Problem::new(Code::MediaServerUnavailable, "The system gives no random numbers."))?;
    Ok(Visitor { socket: exchange.fresh_socket(), name, key: LinkKey(u128::from_be_bytes(key)) })
}

async fn serve(socket: WebSocket, visitor: Visitor, exchange: Exchange) {
    let (outgoing, mut queue) = mpsc::channel(OUTGOING_LEN);
    let visitor = Arc::new(visitor);
    exchange.tell(Input::Opened(visitor.socket, outgoing)).await;
    let (writer, reader) = socket.split();
    let writer = writer.with(|packet| future::ready(Ok::<_, axum::Error>(message(packet))));
    let reader = reader.map(|message| message.map(packet));
    let heard = |text| Input::Heard(Arc::clone(&visitor), text);
    let end = pump::run(writer, reader, &mut queue, exchange.inputs(), heard).await;
    tracing::debug!(name = %visitor.name, ?end, "a media server's socket ended");
    exchange.tell(Input::Lost(visitor.socket)).await;
}

fn packet(message: Message) -> Packet {
    match message {
        Message::Text(text) => Packet::Text(text.as_str().to_owned()),
        Message::Ping(_) | Message::Pong(_) | Message::Binary(_) => Packet::Life,
        Message::Close(frame) => Packet::Closed(frame.map(|frame| frame.code)),
    }
}

fn message(packet: Packet) -> Message {
    match packet {
        Packet::Text(text) => Message::Text(text.into()),
        Packet::Ping | Packet::Life => Message::Ping(Vec::new().into()),
        Packet::Close(farewell) => Message::Close(Some(CloseFrame { code: farewell.close_code(), reason: "".into() })),
        Packet::Closed(_) => Message::Close(None),
    }
}

/// Frames that wait for a socket: all that a link keeps for a server of the largest kind fit, so that one that resumes
/// takes them at once. The queue takes memory only as it fills.
const OUTGOING_LEN: usize = 4 * CONNECTIONS_MAX + 4 * ASKS_MAX;
