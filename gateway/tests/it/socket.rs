//! A client that speaks WebSocket to the gateway, over a socket that can be lost.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewire_core::id::{ChannelName, Label, LinkKey};
use tidewire_core::message::client::{Event, Reply, Told};
use tidewire_core::message::lane::{Arrived, Frame, Inbox};
use tidewire_gateway::token::{self, ChannelClaim, Claims};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::media::{Bed, SECRET, now_unix};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A gateway that listens.
pub(crate) struct Door {
    pub(crate) bed: Arc<Bed>,
    pub(crate) address: SocketAddr,
}

impl Door {
    pub(crate) async fn open(bed: Bed) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = bed.gateway.router().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { bed: Arc::new(bed), address }
    }

    pub(crate) async fn socket(&self) -> Socket {
        connect_async(format!("ws://{}/v1/client", self.address)).await.unwrap().0
    }

    /// A client of this user in these channels, registered.
    pub(crate) async fn client(&self, user: &str, channels: &[&str]) -> Caller {
        let claims: Vec<_> = channels.iter().map(|channel| claim(channel)).collect();
        self.registered(&register(user, claims)).await
    }

    pub(crate) async fn registered(&self, token: &str) -> Caller {
        let mut caller = Caller::new(self.socket().await);
        let registered = caller.ask(json!({"type": "register", "token": token})).await.unwrap();
        let Reply::Registered { key, .. } = &registered else { panic!("{registered:?}") };
        caller.key = *key;
        caller.registered = Some(registered);
        caller
    }
}

pub(crate) fn claim(channel: &str) -> ChannelClaim {
    ChannelClaim::of(ChannelName::new(channel).unwrap())
}

pub(crate) fn register(user: &str, channels: Vec<ChannelClaim>) -> String {
    let label = |text: &str| Some(Label::new(text).unwrap());
    let claims = Claims::register(channels).lasting(Duration::from_secs(600), now_unix());
    token::sign(SECRET, &Claims { user_id: label(user), client_id: label(&format!("{user}-1")), ..claims })
}

/// The client's end of a line, over whatever socket it has.
pub(crate) struct Caller {
    socket: Socket,
    inbox: Inbox,
    asked: u64,
    /// Requests that were not acknowledged, by number.
    unseen: VecDeque<(u64, Value)>,
    pub(crate) key: LinkKey,
    pub(crate) registered: Option<Reply>,
    /// What came beside the replies that were waited for.
    told: VecDeque<Told>,
}

impl Caller {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            inbox: Inbox::default(),
            asked: 0,
            unseen: VecDeque::new(),
            key: LinkKey(0),
            registered: None,
            told: VecDeque::new(),
        }
    }

    /// Sends a request, and gives its number.
    pub(crate) async fn send(&mut self, request: Value) -> u64 {
        self.asked += 1;
        self.unseen.push_back((self.asked, request.clone()));
        // A socket that is lost loses it; it is sent again.
        self.write(&json!({"n": self.asked, "seen": self.inbox.seen(), "m": request})).await;
        self.asked
    }

    pub(crate) async fn ask(&mut self, request: Value) -> Result<Reply, String> {
        let n = self.send(request).await;
        self.answer(n).await
    }

    /// The answer to a request; what comes before it waits to be `told`.
    pub(crate) async fn answer(&mut self, n: u64) -> Result<Reply, String> {
        if let Some(at) = self.told.iter().position(|told| answers(told, n)) {
            return outcome(self.told.remove(at).unwrap());
        }
        loop {
            let told = self.read().await.expect("the socket lives");
            if answers(&told, n) {
                return outcome(told);
            }
            self.told.push_back(told);
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Event {
        match self.told().await {
            Told::Event { event } => event,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn told(&mut self) -> Told {
        match self.told.pop_front() {
            Some(told) => told,
            None => self.read().await.expect("the socket lives"),
        }
    }

    /// The next that is new to this end; none when the socket is lost.
    pub(crate) async fn read(&mut self) -> Option<Told> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(30), self.socket.next()).await.expect("in time");
            let Ok(Message::Text(text)) = message? else { continue };
            let Frame { n, seen, m } = serde_json::from_str::<Frame<Told>>(&text).unwrap();
            if let Some(seen) = seen {
                self.unseen.retain(|(n, _)| *n > seen);
            }
            match n.map(|n| self.inbox.take(n)) {
                Some(Arrived::Again) => continue,
                Some(Arrived::Gap) => panic!("a frame is missing before {text}"),
                Some(Arrived::New) if self.inbox.seen().is_multiple_of(32) => self.acknowledge().await,
                Some(Arrived::New) | None => {}
            }
            if let Some(told) = m {
                return Some(told);
            }
        }
    }

    pub(crate) async fn acknowledge(&mut self) {
        let seen = self.inbox.seen();
        self.write(&json!({"seen": seen})).await;
    }

    pub(crate) async fn write(&mut self, frame: &Value) {
        self.socket.send(Message::Text(frame.to_string().into())).await.ok();
    }

    /// Goes on over another socket.
    pub(crate) async fn resume(&mut self, door: &Door) -> Told {
        self.socket = door.socket().await;
        self.write(&json!({"m": {"type": "resume", "key": self.key, "seen": self.inbox.seen()}})).await;
        let told = self.read().await.expect("a greeting");
        if let Told::Resumed { seen } = told {
            self.unseen.retain(|(n, _)| *n > seen);
            for (n, request) in self.unseen.clone() {
                self.write(&json!({"n": n, "m": request})).await;
            }
        }
        told
    }
}

fn answers(told: &Told, n: u64) -> bool {
    matches!(told, Told::Reply { to, .. } | Told::Refused { to, .. } if *to == n)
}

fn outcome(told: Told) -> Result<Reply, String> {
    match told {
        Told::Reply { reply, .. } => Ok(reply),
        Told::Refused { code, .. } => Err(code),
        other => panic!("{other:?}"),
    }
}
