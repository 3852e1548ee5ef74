//! What a refused request still had to say.
//!
//! A refusal often comes before the body is read. Were the connection closed then, a client that still sends would see a
//! reset in place of its answer, and one that keeps connections would meet it at its next request. So the rest of every
//! body is read, and thrown away, before its answer goes out; bounded in length and in time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tokio::time::timeout;

use super::request::content_length;
use crate::limits::{BODY_DRAIN_MAX, BODY_TIMEOUT};

/// Runs the request, then reads what was left of its body.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    let headers = request.headers();
    // Who waits to be asked for the body has sent none; who announces too much is not worth the reading.
    let worth_it =
        !headers.contains_key(header::EXPECT) && content_length(headers).is_none_or(|len| len <= BODY_DRAIN_MAX);
    let (parts, body) = request.into_parts();
    let body = Lent(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(parts, Body::new(body.clone()))).await;
    if worth_it && timeout(BODY_TIMEOUT, body.read_out()).await.is_err() {
        tracing::debug!("a refused body was not sent to its end");
    }
    response
}

/// A body that its reader gives back by dropping it.
#[derive(Clone)]
struct Lent(Arc<Mutex<Body>>);

impl Lent {
    async fn read_out(mut self) {
        let mut len = 0;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {
            len += frame.data_ref().map_or(0, Bytes::len);
            if len > BODY_DRAIN_MAX {
                return;
            }
        }
    }

    fn with<T>(&self, look: impl FnOnce(Pin<&mut Body>) -> T) -> T {
        // Nobody panics while holding it, and a body read half is a body all the same.
        look(Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| body.poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}
