//! Media servers at the gateway's `/v1/media`, over real sockets: who is let in, and what becomes of whom.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tidewire_core::id::{ConnectionKey, Label};
use tidewire_core::message::media::FromMedia;
use tidewire_core::message::{CloseReason, ErrorCode, Event, Request, Response};
use tidewire_gateway::limits::SERVER_TOKEN_LIFETIME;
use tidewire_gateway::link::media_end::{About, MediaEnd, Step};
use tidewire_gateway::token::{ServerClaims, sign_server};
use tidewire_gateway::{Exchange, MediaLink, media_routes};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::media::{SECRET, bearer, now_unix, wait_until};

const CLUSTER_SECRET: &[u8] = b"a cluster secret of thirty-two b";

/// A gateway's exchange on a real socket.
struct Bed {
    address: SocketAddr,
    exchange: Exchange,
    link: MediaLink,
    events: mpsc::Receiver<Event>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Bed {
    async fn new(lease: Duration, secret: Option<&[u8]>) -> Self {
        let (exchange, link, events) = Exchange::start(lease, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = media_routes(exchange.clone(), secret);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, exchange, link, events }
    }

    async fn enter(&self, authorization: Option<&str>) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/v1/media", self.address).into_client_request().unwrap();
        if let Some(text) = authorization {
            request.headers_mut().insert("authorization", text.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }

    /// The status and code by which an entrance is refused.
    async fn refused(&self, authorization: Option<&str>) -> (u16, String) {
        let Err(Error::Http(response)) = self.enter(authorization).await else { panic!("{authorization:?} is let in") };
        let document: serde_json::Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
        (response.status().as_u16(), document["code"].as_str().unwrap().to_owned())
    }

    /// A media server that has enlisted.
    async fn enlisted(&self, name: &str) -> Server {
        let token = minted(CLUSTER_SECRET, name, now_unix());
        let socket = self.enter(Some(&format!("Bearer {token}"))).await.unwrap();
        let about = About { server: label(name), region: None, version: String::new(), connections_max: 10 };
        let mut server = Server { socket, end: MediaEnd::new(about) };
        let greeting = server.end.greeting();
        server.send(greeting).await;
        assert!(matches!(server.steps().await[..], [Step::Linked(_)]));
        server
    }

    async fn ask(&self, request: Request) -> Result<Response, tidewire_gateway::problem::Problem> {
        self.link.ask(request)?.answer().await
    }
}

/// A media server's end over a real socket.
struct Server {
    socket: Socket,
    end: MediaEnd,
}

impl Server {
    async fn send(&mut self, frame: String) {
        self.socket.send(Message::text(frame)).await.unwrap();
    }

    /// What follows from the next text that comes.
    async fn steps(&mut self) -> Vec<Step> {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return self.end.hear(&text).unwrap(),
                Message::Close(frame) => panic!("the gateway ends the socket: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Answers the next question.
    async fn answer(&mut self, response: Response) -> Request {
        loop {
            if let Some(Step::Ask(ask)) = self.steps().await.pop() {
                let frame = self.end.say(&FromMedia::Answer { to: ask.n, response }).unwrap().unwrap();
                self.send(frame).await;
                return ask.request;
            }
        }
    }
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

/// A media server's token, good for a minute from `now_unix`.
fn minted(secret: &[u8], name: &str, now_unix: u64) -> String {
    let claims = ServerClaims { media_server: label(name), region: None };
    sign_server(secret, &claims, SERVER_TOKEN_LIFETIME, now_unix)
}

fn open(connection: u128, channel: &str) -> Request {
    let channel = format!("app/{channel}").try_into().unwrap();
    Request::OfferDownstream { connection: ConnectionKey(connection), channel, wants: vec![] }
}

#[tokio::test]
async fn who_cannot_show_the_clusters_secret_is_refused_before_the_upgrade() {
    let bed = Bed::new(Duration::from_secs(30), Some(CLUSTER_SECRET)).await;
    let shown = |secret, now| format!("Bearer {}", minted(secret, "m", now));
    let refusals = [
        (None, "tokenMissing"),
        (Some("Bearer x".to_owned()), "tokenParseFailure"),
        (Some(shown(SECRET, now_unix())), "tokenAuthFailure"),
        (Some(shown(CLUSTER_SECRET, now_unix() - 61)), "tokenExpired"),
        (Some(bearer("studio")), "tokenAuthFailure"),
    ];
    for (authorization, code) in refusals {
        assert_eq!(bed.refused(authorization.as_deref()).await, (401, code.to_owned()));
    }
    assert_eq!(bed.exchange.overview().servers, 0);
}

#[tokio::test]
async fn a_gateway_without_a_secret_takes_nobody() {
    let bed = Bed::new(Duration::from_secs(30), None).await;
    let token = format!("Bearer {}", minted(b"", "m", now_unix()));
    assert_eq!(bed.refused(Some(&token)).await, (403, "clusterSecretMissing".to_owned()));
}

#[tokio::test]
async fn questions_reach_a_media_server_and_its_answers_come_back() {
    let bed = Bed::new(Duration::from_secs(30), Some(CLUSTER_SECRET)).await;
    let nobody = bed.ask(open(1, "a")).await.unwrap();
    assert!(matches!(nobody, Response::Refused { code: ErrorCode::MediaServerUnavailable, .. }), "{nobody:?}");
    let mut server = bed.enlisted("m").await;
    let (answer, asked) = tokio::join!(bed.ask(open(1, "a")), server.answer(Response::Unchanged));
    assert_eq!((answer.unwrap(), asked), (Response::Unchanged, open(1, "a")));
}

#[tokio::test]
async fn a_media_server_that_dies_is_told_of_once_its_lease_is_over() {
    let mut bed = Bed::new(Duration::from_millis(200), Some(CLUSTER_SECRET)).await;
    let mut server = bed.enlisted("m").await;
    let (opened, _) = tokio::join!(bed.ask(open(1, "a")), server.answer(Response::Unchanged));
    opened.unwrap();
    drop(server);
    let lost = Event::Closed { connection: ConnectionKey(1), reason: CloseReason::MediaServerLost };
    assert_eq!(bed.events.recv().await, Some(lost));
    wait_until("nothing is left of it", || bed.exchange.overview().servers == 0).await;
}

#[tokio::test]
async fn channels_are_shared_out_over_media_servers_and_stay_where_they_are() {
    let bed = Bed::new(Duration::from_secs(30), Some(CLUSTER_SECRET)).await;
    let (mut one, mut two) = (bed.enlisted("one").await, bed.enlisted("two").await);
    for (connection, channel) in [(1, "a"), (2, "a")] {
        let (_, asked) = tokio::join!(bed.ask(open(connection, channel)), one.answer(Response::Unchanged));
        assert_eq!(asked, open(connection, channel));
    }
    let (_, asked) = tokio::join!(bed.ask(open(3, "b")), two.answer(Response::Unchanged));
    assert_eq!(asked, open(3, "b"), "there is more room");
    let close = Request::Close { connection: ConnectionKey(2) };
    let (_, asked) = tokio::join!(bed.ask(close.clone()), one.answer(Response::Closed));
    assert_eq!(asked, close);
}
