//! One client of the gateway's WebSocket: it registers, reads, acknowledges and speaks. Its frames are written out by
//! hand, as the wire's reference has them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::SharedBook;
use crate::clock::unix_ns;

/// Where and as whom to register.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) http: SocketAddr,
    pub(super) token: String,
}

/// A registered client; its socket lives in tasks of this thread.
#[derive(Debug)]
pub(super) struct Member {
    outgoing: mpsc::UnboundedSender<String>,
    next: Cell<u64>,
    /// Of one who never reads: the socket stays open.
    unread: Option<SplitStream<Socket>>,
}

type Socket = WebSocketStream<TcpStream>;

/// A frame of the gateway's; what is not looked at stays out.
#[derive(Deserialize)]
struct Frame {
    n: Option<u64>,
    m: Option<Value>,
}

impl Member {
    pub(super) async fn register(address: Address, is_deaf: bool, book: SharedBook) -> Result<Self> {
        let started = Instant::now();
        let stream = TcpStream::connect(address.http).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{}/v1/client", address.http);
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let register = json!({ "n": 1, "m": { "type": "register", "token": address.token, "agent": "tidewire-load" } });
        socket.send(Message::text(register.to_string())).await?;
        let first = socket.next().await.context("the gateway closed the socket")??;
        let frame: Frame = serde_json::from_str(first.to_text()?)?;
        let kind = frame.m.as_ref().and_then(|told| told["reply"]["type"].as_str());
        if kind != Some("registered") {
            bail!("not registered: {first}");
        }
        book.borrow_mut().joins.saturating_record(started.elapsed().as_nanos() as u64);
        Ok(Self::run(socket, is_deaf, frame.n.unwrap_or_default(), book))
    }

    fn run(socket: Socket, is_deaf: bool, seen: u64, book: SharedBook) -> Self {
        let (outgoing, frames) = mpsc::unbounded_channel();
        let (sink, stream) = socket.split();
        spawn_local(write(sink, frames));
        let next = Cell::new(2);
        if is_deaf {
            return Self { outgoing, next, unread: Some(stream) };
        }
        spawn_local(read(stream, outgoing.clone(), seen, book));
        Self { outgoing, next, unread: None }
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.unread.is_some()
    }

    /// Sends a message to the whole channel.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        let n = self.next.replace(self.next.get() + 1);
        let frame = json!({ "n": n, "m": { "type": "send", "channel": CHANNEL, "text": text } });
        Ok(self.outgoing.send(frame.to_string())?)
    }
}

async fn write(mut sink: SplitSink<Socket, Message>, mut frames: mpsc::UnboundedReceiver<String>) {
    while let Some(frame) = frames.recv().await {
        if sink.send(Message::text(frame)).await.is_err() {
            return;
        }
    }
}

async fn read(
    mut stream: SplitStream<Socket>,
    outgoing: mpsc::UnboundedSender<String>,
    mut seen: u64,
    book: SharedBook,
) {
    let mut acknowledged = 0;
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        seen = note(&text, seen, &book);
        if seen >= acknowledged + ACKNOWLEDGE_EVERY {
            acknowledged = seen;
            outgoing.send(json!({ "seen": seen }).to_string()).unwrap_or_default();
        }
    }
}

/// Writes down what a frame says; returns the highest number that was seen.
fn note(text: &str, seen: u64, book: &Rc<RefCell<super::Book>>) -> u64 {
    let now = unix_ns();
    let mut book = book.borrow_mut();
    let Ok(Frame { n, m }) = serde_json::from_str::<Frame>(text) else { return seen };
    let event = m.as_ref().map(|told| &told["event"]);
    match event.and_then(|event| event["type"].as_str()) {
        Some("message") => {
            let planned = event.and_then(|event| event["text"].as_str()?.parse::<u64>().ok());
            book.delays.saturating_record(now.saturating_sub(planned.unwrap_or(now)));
            book.heard += 1;
        }
        Some("lost") => book.given_up += 1,
        Some(_) | None => {}
    }
    if n.is_some_and(|n| n != seen + 1) {
        book.out_of_order += 1;
    }
    n.unwrap_or(seen)
}

pub(super) const CHANNEL: &str = "talk";

/// The wire's reference asks for an acknowledgement at least every 32 frames.
const ACKNOWLEDGE_EVERY: u64 = 16;
