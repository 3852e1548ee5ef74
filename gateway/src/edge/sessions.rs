//! WHIP and WHEP over HTTP: endpoints, sessions, and what becomes of a request whose client goes away.
//!
//! Order of refusals: path, method, token, permission, media type, size, content. Invariant: a request whose client goes
//! away, or whose media server does not answer in time, leaves no session and no connection behind; [`Waiting`] sees
//! to it when it is dropped.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde::Deserialize;
use tidewire_core::id::{ChannelName, ConnectionKey, MediaId};
use tidewire_core::limits::SDP_LEN_MAX;

use super::floor::Shared;
use super::{Gateway, fresh, request, respond};
use crate::hall::effects::Ticket;
use crate::hall::refuse;
use crate::hall::sessions::{Call, Reply, Step};
use crate::limits::FRAGMENT_LEN_MAX;
use crate::link::{ClosePlace, Pending};
use crate::problem::{Code, Problem};
use crate::token::{Claims, Side};

impl Gateway {
    async fn open(
        &self,
        side: Side,
        channel: ChannelName,
        media_id: MediaId,
        request: Request,
    ) -> Result<Reply, Problem> {
        let who = request::bearer(&self.0.applications(), request.headers())?;
        who.may(side, &channel)?;
        request::media_type(request.headers(), request::SDP)?;
        let offer = request::text(request, SDP_LEN_MAX, Code::OfferInvalid).await?;
        let fresh = fresh()?;
        let (key, upstream) = (fresh.connection(), fresh.upstream());
        tracing::info!(%key, ?side, %channel, %media_id, "opening");
        self.run(&who, Call::Open { key, upstream, side, channel, media_id, offer }).await
    }

    async fn change(&self, key: ConnectionKey, request: Request) -> Result<Reply, Problem> {
        let who = request::bearer(&self.0.applications(), request.headers())?;
        // Who may not touch the session learns nothing more about it, and its body is not read.
        self.run(&who, Call::Look { key }).await?;
        request::media_type(request.headers(), request::FRAGMENT)?;
        let if_match = request::if_match(request.headers());
        let fragment = request::text(request, FRAGMENT_LEN_MAX, Code::FragmentInvalid).await?;
        self.run(&who, Call::Change { key, if_match, fragment }).await
    }

    async fn plain(&self, call: Call, headers: &HeaderMap) -> Result<Reply, Problem> {
        let who = request::bearer(&self.0.applications(), headers)?;
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
    /// Decides, and asks under the same lock: the media server hears questions in the order of the decisions.
    fn begin(&self, who: &Claims, call: Call) -> Result<Begun<'_>, Problem> {
        let mut floor = self.floor();
        let (request, ticket) = match floor.hall.call(who, call)? {
            Step::Answer(reply) => return Ok(Begun::Done(reply)),
            Step::Ask { request, ticket } => (request, ticket),
        };
        floor.flush();
        let place = if ticket.is_opening().is_some() { self.link.close_place().map(Some) } else { Ok(None) };
        match place.and_then(|place| Ok((place, self.link.ask(request)?))) {
            Ok((place, pending)) => Ok(Begun::Waiting(Waiting { shared: self, ticket, place, pending: Some(pending) })),
            Err(problem) => {
                // It was never asked, so there is nothing to close.
                floor.hall.abandon(&ticket);
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
        let pending = self.pending.take().ok_or_else(|| refuse(Code::MediaServerUnavailable))?;
        let response = pending.answer().await?;
        self.shared.floor().hall.settle_call(self.ticket.clone(), response)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let abandoned = self.shared.floor().hall.abandon(&self.ticket);
        if let (Some(key), Some(place)) = (abandoned, self.place.take()) {
            place.close(key);
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Place {
    channel: String,
    media_id: Option<String>,
}

pub(super) type PlacePath = Result<Path<Place>, PathRejection>;

pub(super) async fn whip(State(gateway): State<Gateway>, place: PlacePath, request: Request) -> Response {
    endpoint(&gateway, Side::Publish, place, request).await
}

pub(super) async fn whep(State(gateway): State<Gateway>, place: PlacePath, request: Request) -> Response {
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
    let Path(place) = place.map_err(|_| refuse(Code::ChannelInvalid))?;
    let channel = ChannelName::new(&place.channel).map_err(|_| refuse(Code::ChannelInvalid))?;
    let media_id = match &place.media_id {
        Some(text) => MediaId::new(text).map_err(|_| refuse(Code::MediaIdInvalid))?,
        None => MediaId::main(),
    };
    Ok((channel, media_id))
}

pub(super) async fn session(
    State(gateway): State<Gateway>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let key = path.ok().and_then(|Path(text)| text.parse::<ConnectionKey>().ok());
    let Some(key) = key else {
        return respond::problem(&refuse(Code::SessionUnknown));
    };
    match *request.method() {
        Method::PATCH => respond::outcome(gateway.change(key, request).await),
        Method::DELETE => respond::outcome(gateway.plain(Call::Close { key }, request.headers()).await),
        Method::GET | Method::HEAD => respond::outcome(gateway.plain(Call::Look { key }, request.headers()).await),
        Method::OPTIONS => respond::options(respond::SESSION_METHODS),
        _ => respond::method_not_allowed(respond::SESSION_METHODS),
    }
}
