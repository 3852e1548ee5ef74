//! The edge: routes, sockets and tokens in; the hall's decisions out.
//!
//! Endpoints `/whip/{channel}[/{media}]` and `/whep/{channel}[/{media}]`, sessions `/v1/sessions/{id}`, the WebSocket of
//! clients `/v1/client`, the page at `/`. Here alone anything is waited for, here alone are clock and randomness read.
//! Invariant: the hall's lock is never held over an await ([`floor`]). RFC 9725, draft-ietf-wish-whep-03, RFC 6455,
//! RFC 9110, RFC 9457, RFC 6750.

mod floor;
mod media;
mod request;
mod respond;
mod rest;
mod sessions;
mod strangers;
mod client;
mod demo;

pub use media::media_routes;

use std::sync::Arc;

use aws_lc_rs::rand;
use axum::Router;
use axum::middleware::{from_fn, map_response};
use axum::routing::{any, get};
use tidewire_core::message::Event;
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::hall::clients::Fresh;
use crate::hall::{Figures, refuse};
use crate::limits::{SESSIONS_MAX, TICK};
use crate::link::MediaLink;
use crate::page;
use crate::problem::{Code, Problem};
use crate::token::Applications;
use floor::Shared;
pub(crate) use respond::problem;

/// What a gateway is told at its start.
#[derive(Clone)]
pub struct Config {
    /// Whose tokens are taken, until the gateway is told otherwise.
    pub applications: Applications,
    /// Signs the page's own tokens: the default application's secret.
    pub secret: Vec<u8>,
    /// Whether the page may have tokens made for it. Only for a server that listens on loopback with a secret of its
    /// own making: behind a proxy on the same machine every visitor would look like a local one.
    pub page_mints_tokens: bool,
    /// Sessions at most.
    pub sessions_max: usize,
}

impl Config {
    /// The default application alone, by its secret. Should be 32 random bytes (RFC 7518 3.2); an empty one verifies
    /// nothing.
    pub fn new(secret: Vec<u8>) -> Self {
        Self {
            applications: Applications::of_secret(&secret),
            secret,
            page_mints_tokens: false,
            sessions_max: SESSIONS_MAX,
        }
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

impl Gateway {
    /// Starts taking events, until the media server drops its end; then every connection is gone.
    pub fn new(config: Config, link: MediaLink, mut events: mpsc::Receiver<Event>) -> Self {
        let shared = Shared::new(config, link);
        let gateway = Self(Arc::clone(&shared));
        let ticking = Arc::downgrade(&shared);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                tracing::info!(?event, "media server");
                shared.floor().hall.event(&event);
            }
            tracing::info!("the media server is gone");
            shared.floor().hall.media_lost();
        });
        tokio::spawn(async move {
            let mut ticks = interval(TICK);
            loop {
                ticks.tick().await;
                let Some(shared) = ticking.upgrade() else { return };
                while shared.floor().hall.tick(shared.now()) {
                    tokio::task::yield_now().await;
                }
            }
        });
        gateway
    }

    pub fn router(&self) -> Router {
        let protocol = Router::new()
            .route("/whip/{channel}", any(sessions::whip))
            .route("/whip/{channel}/{media_id}", any(sessions::whip))
            .route("/whep/{channel}", any(sessions::whep))
            .route("/whep/{channel}/{media_id}", any(sessions::whep))
            .route("/v1/sessions/{key}", any(sessions::session))
            .layer(from_fn(rest::drain))
            .layer(map_response(respond::share));
        // Nothing of these may be read by another origin's page.
        Router::new()
            .merge(page::routes())
            .route("/v1/demo-token", get(demo::token))
            .route("/v1/client", get(client::open))
            .method_not_allowed_fallback(async || {
                problem(&Problem::new(Code::MethodNotAllowed, "Only GET is allowed here."))
            })
            .merge(protocol)
            .fallback(async || problem(&refuse(Code::PathUnknown)))
            .with_state(self.clone())
    }

    /// Connections at present, those that are being opened among them.
    pub fn sessions(&self) -> usize {
        self.figures().connections
    }

    /// What is counted, for metrics.
    pub fn figures(&self) -> Figures {
        self.0.floor().hall.figures()
    }

    /// From now on tokens are verified by these keys. Who is registered stays: a token's time gates no more than that does.
    pub fn verify_by(&self, applications: Applications) {
        self.0.verify_by(applications);
    }

    /// Tells every client that the gateway goes, and ends their sockets.
    pub fn shut_down(&self) {
        self.0.floor().hall.shut_down();
    }
}

/// Numbers that nobody can guess.
fn fresh() -> Result<Fresh, Problem> {
    let mut bytes = [[0; 16]; 4];
    let drawn = bytes.iter_mut().try_for_each(|bytes| rand::fill(bytes));
    drawn.map_err(|_| Problem::new(Code::MediaServerUnavailable, "The system gives no random numbers."))?;
    Ok(Fresh(bytes.map(u128::from_be_bytes)))
}
