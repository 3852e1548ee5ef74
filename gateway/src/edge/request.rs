//! What is read of a request: its Bearer token, the type of its body, the body itself, all bounded.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use tokio::time::timeout;

use crate::limits::BODY_TIMEOUT;
use crate::problem::{Code, Problem};
use crate::token::{self, Applications, Claims};

pub(super) const SDP: &str = "application/sdp";
pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Seconds since 1970 by the system's clock.
pub(super) fn now_unix() -> u64 {
    // A clock before 1970 makes every token one of the future: refused, as it should be.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The verified claims of the request's token.
pub(super) fn bearer(applications: &Applications, headers: &HeaderMap) -> Result<Claims, Problem> {
    claims(applications, bearer_text(headers)?)
}

/// The request's token (RFC 6750 2.1).
pub(super) fn bearer_text(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || Problem::new(Code::TokenMissing, Code::TokenMissing.meaning());
    let text = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = text.to_str().map_err(|_| Problem::new(Code::TokenParseFailure, "The token is not ASCII."))?;
    let (scheme, token) = text.trim().split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(token.trim())
}

/// The verified claims of a token.
pub(super) fn claims(applications: &Applications, token: &str) -> Result<Claims, Problem> {
    token::verify(applications, token, now_unix())
}

/// Whether the body says that it has this media type, whatever its parameters, and is not encoded.
pub(super) fn media_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let refuse = |what: &str| Err(Problem::new(Code::MediaTypeUnsupported, format!("{what}; {wanted} is wanted.")));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refuse("The body has a Content-Encoding");
    }
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return refuse("The body has no Content-Type") };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) { Ok(()) } else { refuse("The body has another Content-Type") }
}

/// Every If-Match of the request as one list (RFC 9110 5.3).
pub(super) fn if_match(headers: &HeaderMap) -> Option<String> {
    let tags: Vec<_> = headers.get_all(header::IF_MATCH).iter().filter_map(|tag| tag.to_str().ok()).collect();
    (!tags.is_empty()).then(|| tags.join(", "))
}

/// The body as text. What is not UTF-8 is refused as `garbage`.
pub(super) async fn text(request: Request, len_max: usize, garbage: Code) -> Result<String, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("The body is larger than {len_max} bytes."));
    if content_length(request.headers()).is_some_and(|len| len > len_max) {
        return Err(too_large());
    }
    let late = |_| Problem::new(Code::RequestTimeout, Code::RequestTimeout.meaning());
    let body = timeout(BODY_TIMEOUT, read(request.into_body(), len_max)).await.map_err(late)?;
    let body = body.map_err(|_| Problem::new(Code::BodyIncomplete, Code::BodyIncomplete.meaning()))?;
    let body = body.ok_or_else(too_large)?;
    String::from_utf8(body).map_err(|_| Problem::new(garbage, "The body is not UTF-8."))
}

/// Reads a body to its end; `None` as soon as it is longer than `len_max`.
async fn read(mut body: Body, len_max: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if read.len() + data.len() > len_max {
            return Ok(None);
        }
        read.extend_from_slice(&data);
    }
    Ok(Some(read))
}

/// What the request says of its body's length.
pub(super) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
