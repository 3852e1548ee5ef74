//! `/healthz`: the program runs. `/readyz`: it takes clients; not before its start is done, nor once it is ending.
//!
//! A media server is not ready either while its link is down. Invariant: what is ending is never ready again, whatever
//! becomes of its link meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

/// Whether clients are welcome; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Stage>);

#[derive(Debug, Default)]
struct Stage {
    is_up: AtomicBool,
    is_ending: AtomicBool,
}

impl Readiness {
    pub(crate) fn begin(&self) {
        self.0.is_up.store(true, Ordering::Release);
    }

    /// Until it begins again.
    pub(crate) fn pause(&self) {
        self.0.is_up.store(false, Ordering::Release);
    }

    /// For good.
    pub(crate) fn end(&self) {
        self.0.is_ending.store(true, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.is_up.load(Ordering::Acquire) && !self.0.is_ending.load(Ordering::Acquire)
    }
}

pub(crate) fn routes(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn ready_only_between_start_and_end() {
        let readiness = Readiness::default();
        assert_eq!(status(&readiness, "/readyz").await, 503);
        readiness.begin();
        assert_eq!(status(&readiness, "/readyz").await, 200);
        readiness.pause();
        assert_eq!(status(&readiness, "/readyz").await, 503);
        readiness.begin();
        assert_eq!(status(&readiness, "/readyz").await, 200);
        readiness.end();
        readiness.begin();
        assert_eq!(status(&readiness, "/readyz").await, 503, "what is ending stays so");
        assert_eq!(status(&readiness, "/healthz").await, 200);
    }

    async fn status(readiness: &Readiness, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).unwrap();
        routes(readiness.clone()).oneshot(request).await.unwrap().status().as_u16()
    }
}
