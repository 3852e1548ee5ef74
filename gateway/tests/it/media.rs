//! A media server that follows a script, and a client that speaks HTTP to the gateway in front of it.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request as HttpRequest, StatusCode};
use tidewire_core::codec::Kind;
use tidewire_core::id::{ChannelName, ConnectionKey};
use tidewire_core::message::{ErrorCode, Event, Request, Response, Section, Want};
use tidewire_gateway::{Config, Gateway, MediaLink, token};
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt;

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes....";
pub(crate) const PASSWORD: &str = "abcdefghijklmnopqrstuv";
pub(crate) const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
     m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:clnt\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=sendonly\r\n";

/// How the scripted media server takes what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Opens what looks like an offer with credentials; refuses the rest as the real one does.
    Judge,
    Refuse(ErrorCode),
    /// Keeps the question and never answers.
    Silent,
}

/// What the media server saw, and which connections it believes to be open.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<Request>,
    pub(crate) open: HashSet<ConnectionKey>,
    /// Of those that the server offers: the revision of the newest offer, and what it carries.
    pub(crate) offered: BTreeMap<ConnectionKey, (u32, Vec<Want>)>,
}

pub(crate) struct Bed {
    pub(crate) gateway: Gateway,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) peer: SocketAddr,
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable code of a refusal, once its form is checked.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(document["status"], self.status.as_u16());
        assert!(document["detail"].as_str().unwrap().len() > 5, "{document}");
        document["code"].as_str().unwrap().to_owned()
    }
}

impl Bed {
    pub(crate) fn new(script: Script) -> Self {
        Self::with(script, |_| {}, |_| {})
    }

    pub(crate) fn with(script: Script, configure: fn(&mut Config), relink: fn(&mut MediaLink)) -> Self {
        let (mut link, questions) = MediaLink::pair();
        relink(&mut link);
        let (events, told) = mpsc::channel(16);
        let mut config = Config::new(SECRET.to_vec());
        configure(&mut config);
        let seen = Arc::<Mutex<Seen>>::default();
        tokio::spawn(serve(script, questions, Arc::clone(&seen)));
        Self { gateway: Gateway::new(config, link, told), seen, events, peer: "127.0.0.1:50000".parse().unwrap() }
    }

    pub(crate) async fn send(&self, mut request: HttpRequest<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let response = self.gateway.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().into()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends with a good token for channel `studio`.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(request(method, path, &[headers, &[("authorization", &bearer("studio"))]].concat(), body)).await
    }

    /// Opens a session, and gives its path.
    pub(crate) async fn opened(&self, endpoint: &str) -> String {
        let answer = self.call("POST", endpoint, &[("content-type", "application/sdp")], OFFER).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.header("location").to_owned()
    }

    pub(crate) fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Waits until nothing is left in the gateway's table and at the media server.
    pub(crate) async fn settled_empty(&self) {
        wait_until("nothing is left behind", || self.gateway.sessions() == 0 && self.seen().open.is_empty()).await;
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest<Body> {
    let mut builder = HttpRequest::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::from(body.to_owned())).unwrap()
}

pub(crate) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn bearer(channel: &str) -> String {
    let channel = ChannelName::new(channel).unwrap();
    format!("Bearer {}", token::mint(SECRET, &channel, Duration::from_secs(600), now_unix()))
}

pub(crate) async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

async fn serve(
    script: Script,
    mut questions: mpsc::Receiver<tidewire_gateway::link::Question>,
    seen: Arc<Mutex<Seen>>,
) {
    let mut unanswered = Vec::new();
    while let Some((request, answer)) = questions.recv().await {
        seen.lock().unwrap().requests.push(request.clone());
        let is_close = matches!(request, Request::Close { .. });
        match script {
            Script::Silent if !is_close => {
                track(&request, &mut seen.lock().unwrap().open);
                unanswered.push(answer);
            }
            Script::Refuse(code) if !is_close => {
                tell(answer, Response::Refused { code, detail: String::new() });
            }
            Script::Judge | Script::Refuse(_) | Script::Silent => {
                let response = judge(&request, &mut seen.lock().unwrap());
                tell(answer, response);
            }
        }
    }
}

/// Answers; an asker that has gone away wants none.
fn tell(answer: oneshot::Sender<Response>, response: Response) {
    drop(answer.send(response));
}

fn track(request: &Request, open: &mut HashSet<ConnectionKey>) {
    if let Request::OpenUpstream { connection, .. } | Request::OpenDownstream { connection, .. } = request {
        open.insert(*connection);
    }
}

fn judge(request: &Request, seen: &mut Seen) -> Response {
    let Seen { open, offered, .. } = seen;
    let refuse = |code| Response::Refused { code, detail: String::new() };
    match request {
        Request::OpenUpstream { offer, .. } | Request::OpenDownstream { offer, .. } => {
            if !offer.contains("a=ice-pwd:") || !offer.contains("\r\nm=") {
                return refuse(ErrorCode::OfferInvalid);
            }
            if offer.contains("m=application") {
                return refuse(ErrorCode::OfferUnacceptable);
            }
            track(request, open);
            Response::Opened { answer: "v=0\r\n".to_owned() }
        }
        Request::Restart { connection, .. } if open.contains(connection) => Response::Restarted {
            ufrag: "serv".to_owned(),
            password: PASSWORD.to_owned(),
            candidates: vec!["candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host".to_owned()],
        },
        Request::Restart { .. } => refuse(ErrorCode::ConnectionUnknown),
        Request::Prefer { .. } | Request::Observe { .. } => Response::Noted,
        Request::Close { connection } if open.remove(connection) => Response::Closed,
        Request::Close { .. } => refuse(ErrorCode::ConnectionUnknown),
        Request::OfferDownstream { connection, wants, .. } => {
            open.insert(*connection);
            offer(1, wants.clone(), offered, *connection)
        }
        Request::ChangeDownstream { connection, wants } => match offered.get(connection) {
            Some((_, known)) if known == wants => Response::Unchanged,
            Some((revision, _)) => offer(revision + 1, wants.clone(), offered, *connection),
            None => refuse(ErrorCode::ConnectionUnknown),
        },
        Request::RestartDownstream { connection } => match offered.get(connection).cloned() {
            Some((revision, wants)) => offer(revision + 1, wants, offered, *connection),
            None => refuse(ErrorCode::ConnectionUnknown),
        },
        Request::AnswerDownstream { connection, revision, .. } => match offered.get(connection) {
            Some((newest, _)) if newest == revision => Response::Answered,
            Some(_) => refuse(ErrorCode::AnswerOutdated),
            None => refuse(ErrorCode::ConnectionUnknown),
        },
    }
}

/// An offer with a section for each kind that is wanted.
fn offer(
    revision: u32,
    wants: Vec<Want>,
    offered: &mut BTreeMap<ConnectionKey, (u32, Vec<Want>)>,
    connection: ConnectionKey,
) -> Response {
    let kinds = wants.iter().flat_map(|want| {
        [(want.audio, Kind::Audio), (want.video, Kind::Video)]
            .map(|(is_wanted, kind)| (is_wanted, kind, &want.media_id))
    });
    let kinds = kinds.filter(|(is_wanted, ..)| *is_wanted).enumerate();
    let sections =
        kinds.map(|(at, (_, kind, media_id))| Section { mid: at.to_string(), kind, media_id: media_id.clone() });
    let sections = sections.collect();
    offered.insert(connection, (revision, wants));
    Response::Offered { revision, offer: format!("v=0\r\ns={revision}\r\n"), sections }
}
