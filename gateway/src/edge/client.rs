//! The WebSocket of a client, `/v1/client`: frames in, what the hall has for the client out. One task a socket.
//!
//! The first frame registers a client or resumes one; until then a socket costs a place among the strangers and nothing
//! else. From then on the task writes what its client's line has, in batches, and reads a frame at a time; while a write
//! waits it does not read, so a client that takes nothing is asked for nothing. Tokens are verified without the lock, and
//! a registered client's only while it may ask. When the task ends, by whatever way, the client's lease begins.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::response::Response;
use futures_util::SinkExt;
use serde::Serialize;
use serde_json::Value;
use tidewire_core::id::LinkKey;
use tidewire_core::message::client::{EndReason, Request as Ask, Told};
use tidewire_core::message::lane::Frame;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::floor::Shared;
use super::strangers::Place;
use super::{Gateway, fresh, request, respond};
use crate::hall::clients::Introduction;
use crate::hall::{Asked, refuse};
use crate::limits::{
    ACKNOWLEDGE_AFTER, ACKNOWLEDGE_WITHIN, FAREWELL_MAX, FRAME_LEN_MAX, PING_EVERY, REGISTER_TIMEOUT, SILENCE_MAX,
    SOCKET_BUFFER_LEN,
};
use crate::problem::{Code, Problem};

/// `GET /v1/client`
pub(super) async fn open(State(gateway): State<Gateway>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return respond::problem(&refuse(Code::UpgradeRequired));
    };
    // Without the peer's address all count as one.
    let Some(place) = gateway.0.strangers.enter(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))) else {
        return respond::problem(&refuse(Code::SocketsFull));
    };
    let upgrade = upgrade.max_message_size(FRAME_LEN_MAX).max_frame_size(FRAME_LEN_MAX);
    let upgrade = upgrade.read_buffer_size(SOCKET_BUFFER_LEN).write_buffer_size(SOCKET_BUFFER_LEN);
    upgrade.on_upgrade(move |socket| serve(gateway.0, socket, place))
}

async fn serve(shared: Arc<Shared>, mut socket: WebSocket, place: Place) {
    let first = timeout(REGISTER_TIMEOUT, first_frame(&mut socket)).await;
    let Ok(Some(text)) = first else { return farewell(socket, CLOSE_UNREGISTERED, "register in time").await };
    match greet(&shared, &text) {
        Ok((attendance, greeting)) => {
            drop(place);
            if attend(attendance, &mut socket, greeting).await.is_some() {
                farewell(socket, CLOSE_ENDED, "the client is over").await;
            }
        }
        Err(told) => {
            // What cannot be delivered was for a client that has gone.
            socket.send(plain(&told)).await.ok();
            farewell(socket, CLOSE_UNREGISTERED, "not registered").await;
        }
    }
}

/// The first text; other messages are the protocol's own.
async fn first_frame(socket: &mut WebSocket) -> Option<Utf8Bytes> {
    while let Some(Ok(message)) = socket.recv().await {
        match message {
            Message::Text(text) => return Some(text),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) => return None,
        }
    }
    None
}

/// Registers or resumes. What a resumed client is greeted with stands outside the numbering.
fn greet(shared: &Arc<Shared>, text: &str) -> Result<(Attendance, Option<Told>), Box<Told>> {
    let Incoming { n, request, .. } = Incoming::read(text).unwrap_or_default();
    let refuse_with = |problem: Problem| Box::new(problem.told(n.unwrap_or_default()));
    match (n, request) {
        (None, Some(Ok(Ask::Resume { key, seen }))) => resume(shared, key, seen),
        (Some(1), Some(Ok(Ask::Register { token, user_alias, device_alias, tag, agent }))) => {
            let introduction = Introduction { user_alias, device_alias, tag };
            let client = register(shared, &token, introduction).map_err(refuse_with)?;
            tracing::info!(socket = client.socket, agent = agent.as_ref().map(|agent| agent.as_str()), "registered");
            Ok((client, None))
        }
        (_, Some(Err(problem))) => Err(refuse_with(problem)),
        _ => Err(refuse_with(refuse(Code::NotRegistered))),
    }
}

fn register(shared: &Arc<Shared>, token: &str, introduction: Introduction) -> Result<Attendance, Problem> {
    let claims = request::claims(&shared.applications(), token)?;
    let fresh = fresh()?;
    let mut floor = shared.floor();
    let socket = floor.number();
    let client = floor.hall.register(&claims, introduction, &fresh, socket)?;
    let notify = floor.attend(client, socket);
    Ok(Attendance { shared: Arc::clone(shared), client, socket, notify })
}

fn resume(shared: &Arc<Shared>, client: LinkKey, seen: u64) -> Result<(Attendance, Option<Told>), Box<Told>> {
    let mut floor = shared.floor();
    let socket = floor.number();
    let seen = floor.hall.resume(client, seen, socket).map_err(|reason| Box::new(Told::Ended { reason }))?;
    let notify = floor.attend(client, socket);
    Ok((Attendance { shared: Arc::clone(shared), client, socket, notify }, Some(Told::Resumed { seen })))
}

/// One socket that serves one client. Its lease begins when this is dropped.
struct Attendance {
    shared: Arc<Shared>,
    client: LinkKey,
    socket: u64,
    notify: Arc<Notify>,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let now = self.shared.now();
        let mut floor = self.shared.floor();
        floor.leave(self.client, self.socket);
        floor.hall.hang(self.client, self.socket, now);
    }
}

/// Serves until the socket is lost, or until the client is told that it is over: then it gives the reason.
async fn attend(attendance: Attendance, socket: &mut WebSocket, greeting: Option<Told>) -> Option<EndReason> {
    if let Some(greeting) = greeting {
        socket.send(plain(&greeting)).await.ok()?;
    }
    let mut due = interval(ACKNOWLEDGE_WITHIN);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard_at, mut pinged_at) = (Instant::now(), Instant::now());
    loop {
        let taken = attendance.shared.floor().hall.take(attendance.client, attendance.socket);
        write(socket, taken.frames).await?;
        if let Some(reason) = taken.end {
            socket.send(plain(&Told::Ended { reason })).await.ok()?;
            return Some(reason);
        }
        if taken.has_more {
            continue;
        }
        tokio::select! {
            message = socket.recv() => {
                heard_at = Instant::now();
                attendance.hear(message?.ok()?)?;
                write(socket, attendance.acknowledgement(ACKNOWLEDGE_AFTER - 1)).await?;
            }
            () = attendance.notify.notified() => {}
            _ = due.tick() => {
                if heard_at.elapsed() > SILENCE_MAX {
                    return None;
                }
                write(socket, attendance.acknowledgement(0)).await?;
                if pinged_at.elapsed() >= PING_EVERY {
                    pinged_at = Instant::now();
                    socket.send(Message::Ping(Default::default())).await.ok()?;
                }
            }
        }
    }
}

/// Writes frames as one batch. A socket that takes none for too long is lost.
async fn write(socket: &mut WebSocket, frames: impl IntoIterator<Item = String>) -> Option<()> {
    let mut frames = frames.into_iter().peekable();
    if frames.peek().is_none() {
        return Some(());
    }
    let batch = async {
        for frame in frames {
            socket.feed(Message::Text(frame.into())).await?;
        }
        socket.flush().await
    };
    timeout(SILENCE_MAX, batch).await.ok()?.ok()
}

impl Attendance {
    /// Takes a message. None when the socket is to be left.
    fn hear(&self, message: Message) -> Option<()> {
        match message {
            Message::Text(text) => self.hear_frame(&text),
            Message::Binary(_) => self.violate(),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return None,
        }
        Some(())
    }

    fn hear_frame(&self, text: &str) {
        let Some(Incoming { n, seen, request }) = Incoming::read(text) else { return self.violate() };
        if let Some(seen) = seen {
            self.shared.floor().hall.acknowledge(self.client, seen);
        }
        match (n, request) {
            (None, None) => {}
            (None, Some(_)) => self.violate(),
            (Some(n), request) => self.ask(n, request.unwrap_or_else(|| Err(refuse(Code::RequestInvalid)))),
        }
    }

    fn ask(&self, n: u64, request: Result<Ask, Problem>) {
        let now = self.shared.now();
        // Verifying a token costs up to a public-key operation, and being told to wait nearly nothing.
        if !self.shared.floor().hall.admit(self.client, n, request.as_ref().ok(), now) {
            return;
        }
        let asked = request.and_then(|request| {
            let claims = match &request {
                Ask::Join { token } | Ask::Renew { token } => {
                    Some(request::claims(&self.shared.applications(), token)?)
                }
                _ => None,
            };
            Ok(Asked { request, claims })
        });
        let (asked, fresh) = match fresh() {
            Ok(fresh) => (asked, fresh),
            Err(problem) => (Err(problem), Default::default()),
        };
        self.shared.floor().hall.handle(self.client, n, asked, &fresh);
    }

    fn violate(&self) {
        self.shared.floor().hall.violate(self.client);
    }

    fn acknowledgement(&self, frames: u64) -> Option<String> {
        self.shared.floor().hall.acknowledgement(self.client, self.socket, frames)
    }
}

/// What a frame says, the request in it already read.
#[derive(Default)]
struct Incoming {
    n: Option<u64>,
    seen: Option<u64>,
    request: Option<Result<Ask, Problem>>,
}

impl Incoming {
    /// None for what is no frame at all.
    fn read(text: &str) -> Option<Self> {
        let Frame { n, seen, m } = serde_json::from_str::<Frame<Value>>(text).ok()?;
        let request = m.map(|request| {
            serde_json::from_value(request).map_err(|error| Problem::new(Code::RequestInvalid, error.to_string()))
        });
        Some(Self { n, seen, request })
    }
}

/// A frame outside the numbering.
fn plain(told: &impl Serialize) -> Message {
    // The shapes of `core::message` can all be written as JSON.
    let text = serde_json::to_string(&Frame { n: None, seen: None, m: Some(told) }).unwrap_or_default();
    Message::Text(text.into())
}

/// Closes, and reads until the other end has closed too: what was written last would be lost in a reset.
async fn farewell(mut socket: WebSocket, code: u16, reason: &'static str) {
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let parting = async {
        if socket.send(close).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // Whoever does not close is left.
    timeout(FAREWELL_MAX, parting).await.ok();
}

/// Close codes (RFC 6455 7.4.2 leaves 4000 and above to applications). The frame before says why.
const CLOSE_UNREGISTERED: u16 = 4001;
const CLOSE_ENDED: u16 = 4002;
