//! The HTTP edge: routes, the Bearer token and the body in; the desk's decision out as a response.
//!
//! Endpoints `/whip/{channel}[/{media}]` and `/whep/{channel}[/{media}]`, sessions `/v1/sessions/{id}`, the page at `/`.
//! Order of refusals: path, method, token, permission, media type, size, content. Invariant: a request whose client goes
//! away, or whose media server does not answer in time, leaves no session and no connection behind; [`Waiting`] sees
//! to it when it is dropped. RFC 9725, draft-ietf-wish-whep-03, RFC 9110, RFC 9457, RFC 6750.

mod demo;
mod media;
mod request;
mod respond;
mod rest;

pub use media::media_routes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use axum::routing::{any, get};
use serde::Deserialize;
use tidewire_core::id::{ChannelName, ConnectionKey, MediaId};
use tidewire_core::limits::SDP_LEN_MAX;
use tidewire_core::message::Event;
use tokio::sync::mpsc;

use crate::desk::{Call, Desk, Reply, Step, Ticket};
use crate::limits::{FRAGMENT_LEN_MAX, SESSIONS_MAX};
use crate::link::{ClosePlace, MediaLink, Pending};
use crate::page;
use crate::problem::{Code, Problem};
use crate::token::{Claims, Side};

/// What a gateway is told at its start.
#[derive(Clone)]
pub struct Config {
    /// Signs and verifies tokens (HS256). Should be 32 random bytes (RFC 7518 3.2); an empty one verifies nothing.
    pub secret: Vec<u8>,
    /// Whether the page may have tokens made for it. Only for a server that listens on loopback with a secret of its
    /// own making: behind a proxy on the same machine every visitor would look like a local one.
    pub page_mints_tokens: bool,
    /// Sessions at most.
    pub sessions_max: usize,
}

impl Config {
    pub fn new(secret: Vec<u8>) -> Self {
        Self { secret, page_mints_tokens: false, sessions_max: SESSIONS_MAX }
    }
}

/// The whole gateway as routes. Must be called inside a tokio runtime: events are taken by a task.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`; without the peer's address no tokens are made
/// for the page.
pub fn router(config: Config, link: MediaLink, events: mpsc::Receiver<Event>) -> Router {
    Gateway::new(config, link, events).router()
}

/// A running gateway; clones are the same one.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

struct Shared {
    config: Config,
    link: MediaLink,
    desk: Mutex<Desk>,
}

impl Gateway {
    /// Starts taking events, until the media server drops its end; then every session is gone.
    pub fn new(config: Config, link: MediaLink, mut events: mpsc::Receiver<Event>) -> Self {
        let desk = Mutex::new(Desk::new(config.sessions_max));
        let gateway = Self(Arc::new(Shared { config, link, desk }));
        let shared = Arc::clone(&gateway.0);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                tracing::info!(?event, "media server");
                shared.desk().event(&event);
            }
            tracing::info!("the media server is gone");
            shared.desk().clear();
        });
        gateway
    }

    pub fn router(&self) -> Router {
        let protocol = Router::new()
            .route("/whip/{channel}", any(whip))
            .route("/whip/{channel}/{media_id}", any(whip))
            .route("/whep/{channel}", any(whep))
            .route("/whep/{channel}/{media_id}", any(whep))
            .route("/v1/sessions/{key}", any(session))
            .layer(from_fn(rest::drain))
            .layer(map_response(respond::share));
        // Nothing of these may be read by another origin's page.
        Router::new()
            .route("/", get(page::html))
            .route("/page.js", get(page::script))
            .route("/page.css", get(page::style))
            .route("/v1/demo-token", get(demo::token))
            .method_not_allowed_fallback(async || {
                respond::problem(&Problem::new(Code::MethodNotAllowed, "Only GET is allowed here."))
            })
            .merge(protocol)
            .fallback(async || respond::problem(&Problem::new(Code::PathUnknown, Code::PathUnknown.meaning())))
            .with_state(self.clone())
    }

    /// Sessions at present, those that are being opened among them.
    pub fn sessions(&self) -> usize {
        self.0.desk().len()
    }

    async fn open(
        &self,
        side: Side,
        channel: ChannelName,
        media_id: MediaId,
        request: Request,
    ) -> Result<Reply, Problem> {
        let who = request::bearer(&self.0.config.secret, request.headers())?;
        who.may(side, &channel)?;
        request::media_type(request.headers(), request::SDP)?;
        let offer = request::text(request, SDP_LEN_MAX, Code::OfferInvalid).await?;
        let key = fresh_key()?;
        tracing::info!(%key, ?side, %channel, %media_id, "opening");
        self.run(&who, Call::Open { key, side, channel, media_id, offer }).await
    }

    async fn change(&self, key: ConnectionKey, request: Request) -> Result<Reply, Problem> {
        let who = request::bearer(&self.0.config.secret, request.headers())?;
        // Who may not touch the session learns nothing more about it, and its body is not read.
        self.run(&who, Call::Look { key }).await?;
        request::media_type(request.headers(), request::FRAGMENT)?;
        let if_match = request::if_match(request.headers());
        let fragment = request::text(request, FRAGMENT_LEN_MAX, Code::FragmentInvalid).await?;
        self.run(&who, Call::Change { key, if_match, fragment }).await
    }

    async fn plain(&self, call: Call, headers: &HeaderMap) -> Result<Reply, Problem> {
        let who = request::bearer(&self.0.config.secret, headers)?;
        self.run(&who, call).await
    }

    async fn run(&self, who: &Claims, call: Call) -> Result<Reply, Problem> {
        match self.0.begin(who, call)? {
            Begun::Done(reply) => Ok(reply),
            Begun::Waiting(waiting) => waiting.settle().await,
        }
    }
}

/// A call that was answered at once, or waits for the media server.
enum Begun<'a> {
    Done(Reply),
    Waiting(Waiting<'a>),
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // No call on the desk leaves it half done, so a panic elsewhere in a holder spoils nothing.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides, and asks under the same lock: the media server hears questions in the order of the decisions.
    fn begin(&self, who: &Claims, call: Call) -> Result<Begun<'_>, Problem> {
        let mut desk = self.desk();
        let (request, ticket) = match desk.handle(who, call)? {
            Step::Answer(reply) => return Ok(Begun::Done(reply)),
            Step::Ask { request, ticket } => (request, ticket),
        };
        let is_opening = matches!(ticket, Ticket::Open(_));
        let place = if is_opening { self.link.close_place().map(Some) } else { Ok(None) };
        match place.and_then(|place| Ok((place, self.link.ask(request)?))) {
            Ok((place, pending)) => Ok(Begun::Waiting(Waiting { shared: self, ticket, place, pending: Some(pending) })),
            Err(problem) => {
                // It was never asked, so there is nothing to close.
                desk.abandon(&ticket);
                Err(problem)
            }
        }
    }
}

/// A question that is out. Dropped unsettled, it takes an opening back.
struct Waiting<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    /// For an opening: the place of its close.
    place: Option<ClosePlace>,
    pending: Option<Pending>,
}

impl Waiting<'_> {
    async fn settle(mut self) -> Result<Reply, Problem> {
        let Some(pending) = self.pending.take() else {
            return Err(Problem::new(Code::MediaServerUnavailable, Code::MediaServerUnavailable.meaning()));
        };
        let response = pending.answer().await?;
        self.shared.desk().settle(self.ticket.clone(), response)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let abandoned = self.shared.desk().abandon(&self.ticket);
        if let (Some(key), Some(place)) = (abandoned, self.place.take()) {
            place.close(key);
        }
    }
}

#[derive(Deserialize)]
struct Place {
    channel: String,
    media_id: Option<String>,
}

type PlacePath = Result<Path<Place>, PathRejection>;

async fn whip(State(gateway): State<Gateway>, place: PlacePath, request: Request) -> Response {
    endpoint(&gateway, Side::Publish, place, request).await
}

async fn whep(State(gateway): State<Gateway>, place: PlacePath, request: Request) -> Response {
    endpoint(&gateway, Side::Watch, place, request).await
}

async fn endpoint(gateway: &Gateway, side: Side, place: PlacePath, request: Request) -> Response {
    let (channel, media_id) = match names(place) {
        Ok(names) => names,
        Err(problem) => return respond::problem(&problem),
    };
    match *request.method() {
        Method::POST => respond::outcome(gateway.open(side, channel, media_id, request).await),
        Method::OPTIONS => respond::options(respond::ENDPOINT_METHODS),
        // RFC 9725 4.1: an endpoint has no representation.
        Method::GET | Method::HEAD => respond::outcome(Ok(Reply::Present)),
        _ => respond::method_not_allowed(respond::ENDPOINT_METHODS),
    }
}

fn names(place: PlacePath) -> Result<(ChannelName, MediaId), Problem> {
    let refuse = |code: Code| move |_| Problem::new(code, code.meaning());
    let Path(place) = place.map_err(|_| Problem::new(Code::ChannelInvalid, Code::ChannelInvalid.meaning()))?;
    let channel = ChannelName::new(&place.channel).map_err(refuse(Code::ChannelInvalid))?;
    let media_id = match &place.media_id {
        Some(text) => MediaId::new(text).map_err(refuse(Code::MediaIdInvalid))?,
        None => MediaId::main(),
    };
    Ok((channel, media_id))
}

async fn session(
    State(gateway): State<Gateway>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let key = path.ok().and_then(|Path(text)| text.parse::<ConnectionKey>().ok());
    let Some(key) = key else {
        return respond::problem(&Problem::new(Code::SessionUnknown, Code::SessionUnknown.meaning()));
    };
    match *request.method() {
        Method::PATCH => respond::outcome(gateway.change(key, request).await),
        Method::DELETE => respond::outcome(gateway.plain(Call::Close { key }, request.headers()).await),
        Method::GET | Method::HEAD => respond::outcome(gateway.plain(Call::Look { key }, request.headers()).await),
        Method::OPTIONS => respond::options(respond::SESSION_METHODS),
        _ => respond::method_not_allowed(respond::SESSION_METHODS),
    }
}

/// 128 bits that nobody can guess.
fn fresh_key() -> Result<ConnectionKey, Problem> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)
        .map_err(|_| Problem::new(Code::MediaServerUnavailable, "The system gives no random numbers."))?;
    Ok(ConnectionKey(u128::from_be_bytes(bytes)))
}
