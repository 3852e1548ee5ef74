//! A registered client: one WebSocket at `/v1/client`, written and read without waiting by the test's own loop.
//!
//! Requests go out numbered; what the gateway says comes back in order. Invariant: no number is missing and none comes
//! twice. Its frames are written out by hand, as the wire's reference has them. It neither resumes nor renews.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use tidewire_perf::client::wait;
use tokio_tungstenite::tungstenite::{self, Error, Message, WebSocket};

pub(crate) struct Member {
    socket: WebSocket<TcpStream>,
    /// The number of the next request.
    next: u64,
    /// The highest number of the gateway's that came, and the highest that it was told of.
    seen: u64,
    acknowledged: u64,
}

impl Member {
    pub(crate) fn register(http: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(http)?;
        stream.set_nodelay(true)?;
        let shaken = tungstenite::client(format!("ws://{http}/v1/client"), stream);
        let (socket, _) = shaken.map_err(|error| anyhow!("/v1/client: {error}"))?;
        socket.get_ref().set_nonblocking(true)?;
        let mut member = Self { socket, next: 1, seen: 0, acknowledged: 0 };
        member.ask(&json!({ "type": "register", "token": token, "agent": "interop" }))?;
        let told = wait::until("the registration", Duration::from_secs(10), || Ok(member.hear()?.into_iter().next()))?;
        ensure!(told["reply"]["type"] == "registered", "not registered: {told}");
        Ok(member)
    }

    /// Sends a request; returns its number.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<u64> {
        let n = self.next;
        self.next += 1;
        self.send(&json!({ "n": n, "seen": self.seen, "m": request }))?;
        Ok(n)
    }

    /// All messages that have come.
    pub(crate) fn hear(&mut self) -> Result<Vec<Value>> {
        if self.seen > self.acknowledged {
            self.send(&json!({ "seen": self.seen }))?;
        }
        patient(self.socket.flush())?;
        let mut told = Vec::new();
        while let Some(message) = patient(self.socket.read())? {
            match message {
                Message::Text(text) => told.extend(self.accept(&text)?),
                Message::Close(frame) => bail!("the gateway ended the socket: {frame:?}"),
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
            }
        }
        Ok(told)
    }

    fn accept(&mut self, text: &str) -> Result<Option<Value>> {
        let mut frame: Value = serde_json::from_str(text)?;
        let Some(message) = frame.get_mut("m").map(Value::take) else { return Ok(None) };
        let n = frame["n"].as_u64().with_context(|| format!("not numbered: {text}"))?;
        ensure!(n == self.seen + 1, "frame {n} came after frame {}", self.seen);
        self.seen = n;
        Ok(Some(message))
    }

    fn send(&mut self, frame: &Value) -> Result<()> {
        self.acknowledged = self.seen;
        patient(self.socket.send(Message::text(frame.to_string())))?;
        Ok(())
    }
}

impl AsFd for Member {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

/// What would have to wait is no error: it stays in the socket's buffer, for the next turn.
fn patient<T>(result: Result<T, Error>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}
