//! The pages and the SDK: static files, built into the program.
//!
//! The pages are clients like any other. They load nothing from elsewhere, and say so to the browser. `/sdk/` serves the
//! SDK as it stands in the repository but for its comments, `/pages/` what the pages are made of; a page itself has a path of its own.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::hall::refuse;
use crate::problem::Code;

#[cfg(test)]
mod bare;

mod files {
    include!(concat!(env!("OUT_DIR"), "/files.rs"));
}

/// The routes of everything that is built in.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async || built_in("pages/front/index.html")))
        .route("/call", get(async || built_in("pages/call/index.html")))
        .route("/broadcast", get(async || built_in("pages/broadcast/index.html")))
        .route("/whip", get(async || built_in("pages/whip/index.html")))
        .route("/sdk/{*path}", get(sdk))
        .route("/pages/{*path}", get(async |Path(path): Path<String>| built_in(&format!("pages/{path}"))))
}

/// The SDK is for pages of every origin: a browser loads a module from another only where that says so.
async fn sdk(Path(path): Path<String>) -> Response {
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], built_in(&format!("sdk/{path}"))).into_response()
}

fn built_in(path: &str) -> Response {
    let found = files::FILES.binary_search_by(|(name, _)| (*name).cmp(path)).ok();
    match found.and_then(|at| files::FILES.get(at)) {
        Some((path, bytes)) => file(path, bytes).into_response(),
        None => crate::edge::problem(&refuse(Code::PathUnknown)),
    }
}

fn file(path: &str, bytes: &'static [u8]) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 6] = [
        (header::CONTENT_TYPE, media_type(path)),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, bytes)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "json" => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; worker-src blob:; \
     media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
