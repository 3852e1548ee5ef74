//! What is written: the hall's replies and refusals as HTTP responses, and the headers that let pages of any origin in.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::request::{FRAGMENT, SDP};
use crate::hall::sessions::Reply;
use crate::problem::{Code, Problem};

pub(super) const ENDPOINT_METHODS: &str = "POST, OPTIONS, GET, HEAD";
pub(super) const SESSION_METHODS: &str = "PATCH, DELETE, OPTIONS, GET, HEAD";

pub(super) fn outcome(outcome: Result<Reply, Problem>) -> Response {
    match outcome {
        Ok(reply) => success(reply),
        Err(refused) => {
            tracing::debug!(code = refused.code.wire(), detail = refused.detail, "refused");
            problem(&refused)
        }
    }
}

fn success(reply: Reply) -> Response {
    match reply {
        Reply::Opened { key, etag, answer } => {
            let headers = [
                (header::LOCATION, format!("/v1/sessions/{key}")),
                (header::ETAG, etag),
                (header::CONTENT_TYPE, SDP.to_owned()),
            ];
            (StatusCode::CREATED, headers, answer).into_response()
        }
        Reply::Restarted { etag, fragment } => {
            ([(header::ETAG, etag), (header::CONTENT_TYPE, FRAGMENT.to_owned())], fragment).into_response()
        }
        // RFC 9725 4.3.2: no body and no entity-tag.
        Reply::Trickled | Reply::Present => StatusCode::NO_CONTENT.into_response(),
        Reply::Closed => Body::empty().into_response(),
    }
}

/// RFC 9457: `type` is left out and so `about:blank`; `title` is the status's phrase; `code` is ours.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    code: Code,
    detail: &'a str,
}

pub(crate) fn problem(problem: &Problem) -> Response {
    let Problem { code, detail } = problem;
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = status.canonical_reason().unwrap_or_default();
    // A document of strings and a number cannot fail to be written.
    let body =
        serde_json::to_vec(&Document { title, status: status.as_u16(), code: *code, detail }).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    explain(*code, response.headers_mut());
    response
}

/// The headers that belong to a refusal: when to come again, and how to authenticate (RFC 6750 3).
fn explain(code: Code, headers: &mut HeaderMap) {
    if let Some(seconds) = code.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let challenge = match (code.bearer_error(), code.status()) {
        (Some(error), _) => {
            format!("Bearer realm=\"tidewire\", error=\"{error}\", error_description=\"{}\"", code.wire())
        }
        (None, 401) => "Bearer realm=\"tidewire\"".to_owned(),
        (None, _) => return,
    };
    if let Ok(value) = HeaderValue::try_from(challenge) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
}

pub(super) fn method_not_allowed(methods: &'static str) -> Response {
    let mut response = problem(&Problem::new(Code::MethodNotAllowed, format!("Allowed here: {methods}.")));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

/// The answer to OPTIONS, a CORS preflight or not. It needs no token, since a preflight carries none.
pub(super) fn options(methods: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Authorization, Content-Type, If-Match, Link"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    if methods == ENDPOINT_METHODS {
        headers.insert(HeaderName::from_static("accept-post"), HeaderValue::from_static(SDP));
    } else {
        headers.insert(HeaderName::from_static("accept-patch"), HeaderValue::from_static(FRAGMENT));
    }
    (headers, Body::empty()).into_response()
}

/// Lets any origin read a response. Nothing rides on cookies: whoever holds the token may ask from wherever.
pub(super) async fn share(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Location, ETag, Link, Retry-After, WWW-Authenticate, Allow, Accept-Post, Accept-Patch",
        ),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
