//! Connecting to the gateway, again and again: with a fresh token, after a pause that grows while it fails.
//!
//! In goes where the gateway is; what sockets bring goes to the link's task. Invariant: it tries for ever, and never more
//! often than the pauses allow; an outage is told of once. RFC 6455, RFC 6750.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt, future};
use tidewire_core::id::Label;
use tidewire_core::limits::CONNECTIONS_MAX;
use tidewire_gateway::limits::{ANSWER_LEN_MAX, ASKS_MAX, CONNECT_MAX, SERVER_TOKEN_LIFETIME};
use tidewire_gateway::link::Farewell;
use tidewire_gateway::link::pump::{self, End, Packet};
use tidewire_gateway::token::{ServerClaims, sign_server};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::Input;
use crate::settings::{Apart, ClusterSecret, GatewayUrl};

/// Makes sockets to one gateway, one at a time.
pub(super) struct Connector {
    gateway: GatewayUrl,
    secret: ClusterSecret,
    server: Label,
    inputs: mpsc::Sender<Input>,
    has_stood: Arc<AtomicBool>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Connector {
    pub(super) fn new(apart: &Apart, server: Label, inputs: mpsc::Sender<Input>, has_stood: Arc<AtomicBool>) -> Self {
        Self { gateway: apart.gateway.clone(), secret: apart.secret.clone(), server, inputs, has_stood }
    }

    /// Runs until the link's task has ended.
    pub(super) async fn run(self) {
        let mut failures = 0;
        while !self.inputs.is_closed() {
            let outcome = match self.connect().await {
                Ok(socket) => self.carry(socket).await,
                Err(problem) => Some(problem),
            };
            if self.has_stood.swap(false, Ordering::Relaxed) {
                failures = 0;
            }
            match outcome {
                Some(problem) if failures == 0 => {
                    tracing::warn!(gateway = %self.gateway, problem, "no link to the gateway; trying again for ever");
                }
                Some(problem) => tracing::debug!(problem, "no link to the gateway"),
                None => {}
            }
            tokio::select! {
                () = sleep(pause(failures, random())) => failures = failures.saturating_add(1),
                () = self.inputs.closed() => return,
            }
        }
    }

    async fn connect(&self) -> Result<Socket, String> {
        let mut request = self.gateway.uri().into_client_request().map_err(|error| error.to_string())?;
        let claims = ServerClaims { media_server: self.server.clone(), region: None };
        let token = sign_server(self.secret.bytes(), &claims, SERVER_TOKEN_LIFETIME, now_unix());
        // A token is letters, digits, dots, dashes and underscores.
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| error.to_string())?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let config = WebSocketConfig::default().max_message_size(Some(ANSWER_LEN_MAX));
        match timeout(CONNECT_MAX, connect_async_with_config(request, Some(config), true)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err("it does not answer".to_owned()),
        }
    }

    /// Carries frames until the socket ends. Says why, where a person can mend it.
    async fn carry(&self, socket: Socket) -> Option<String> {
        let (outgoing, mut queue) = mpsc::channel(OUTGOING_LEN);
        self.inputs.send(Input::Opened(outgoing)).await.ok()?;
        let (writer, reader) = socket.split();
        let writer = writer.with(|packet| future::ready(Ok::<_, Error>(message(packet))));
        let reader = reader.map(|message| message.map(packet));
        let end = pump::run(writer, reader, &mut queue, self.inputs.clone(), Input::Heard).await;
        tracing::debug!(?end, "the socket to the gateway ended");
        if self.inputs.send(Input::Lost).await.is_err() {
            tracing::debug!("the link has ended");
        }
        match end {
            End::Closed(Some(code)) if code == Farewell::NameTaken.close_code() => {
                Some(format!("another media server is there under the name {}: set media-name", self.server))
            }
            End::Closed(Some(code)) if code == Farewell::TooMany.close_code() => {
                Some("it has no room for another media server".to_owned())
            }
            End::Closed(_) | End::Lost | End::Silent | End::Ours => None,
        }
    }
}

/// How long to wait after so many failures: from 100 ms, doubling up to 5 s, and between half and all of it, so that
/// media servers that lost their gateway together do not come back together.
fn pause(failures: u32, random: u64) -> Duration {
    let whole_ms = PAUSE_MS_MIN.saturating_mul(1 << failures.min(16)).min(PAUSE_MS_MAX);
    Duration::from_millis(whole_ms / 2 + random % (whole_ms / 2 + 1))
}

/// Why there is no socket, in words; what the gateway said itself is in them.
fn told(error: &Error) -> String {
    let Error::Http(response) = error else { return error.to_string() };
    let said = response.body().as_deref().and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
    let detail = said.as_ref().and_then(|problem| problem.get("detail")).and_then(serde_json::Value::as_str);
    format!("it answers {}: {}", response.status(), detail.unwrap_or("without a reason"))
}

fn packet(message: Message) -> Packet {
    match message {
        Message::Text(text) => Packet::Text(text.as_str().to_owned()),
        Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => Packet::Life,
        Message::Close(frame) => Packet::Closed(frame.map(|frame| frame.code.into())),
    }
}

fn message(packet: Packet) -> Message {
    match packet {
        Packet::Text(text) => Message::text(text),
        Packet::Ping | Packet::Life => Message::Ping(Vec::new().into()),
        Packet::Close(farewell) => {
            Message::Close(Some(CloseFrame { code: CloseCode::from(farewell.close_code()), reason: "".into() }))
        }
        Packet::Closed(_) => Message::Close(None),
    }
}

fn now_unix() -> u64 {
    // A clock before 1970 makes a token of the past: refused, as it should be.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness there is no jitter, and no harm.
    aws_lc_rs::rand::fill(&mut bytes).map_or(0, |()| u64::from_be_bytes(bytes))
}

const PAUSE_MS_MIN: u64 = 100;
const PAUSE_MS_MAX: u64 = 5_000;

/// Frames that wait for a socket: all that a link keeps for a media server of the largest kind fit, so that one that
/// resumes is told everything at once. The queue takes memory only as it fills.
const OUTGOING_LEN: usize = 4 * CONNECTIONS_MAX + 4 * ASKS_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        let whole = |failures| pause(failures, u64::from(u32::MAX)).as_millis();
        assert!((0..40).all(|failures| (50..=5_000).contains(&whole(failures))));
        assert_eq!((pause(0, 0).as_millis(), pause(0, 50).as_millis()), (50, 100));
        assert_eq!((pause(3, 0).as_millis(), pause(60, 0).as_millis()), (400, 2_500));
    }
}
