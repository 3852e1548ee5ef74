//! The text of a token's parts: Base64 in either alphabet, padded or not, and the JSON inside.
//!
//! Takes a part's text, gives its bytes or a refusal that names the part. One part keeps to one alphabet.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::problem::{Code, Problem};

/// The bytes of a part.
pub(super) fn bytes(part: &str, text: &str) -> Result<Vec<u8>, Problem> {
    let engine = if text.contains(['+', '/']) { &PLAIN } else { &URL };
    engine.decode(text).map_err(|_| refuse(part, "not Base64"))
}

/// The JSON of a header.
pub(super) fn header<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_slice(&bytes("header", text)?).map_err(|error| refuse("header", &error.to_string()))
}

/// The JSON of a payload. What is JSON and says something that cannot be has a code of its own.
pub(super) fn payload<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let json = bytes("payload", text)?;
    // The position of a JSON error says nothing that the sender may not know: it wrote the text.
    serde_json::from_slice(&json).map_err(|error| match error.classify() {
        Category::Data => invalid(&error),
        // Where one of a few words is wanted, serde_json calls anything else than a text a fault of the syntax.
        _ if serde_json::from_slice::<IgnoredAny>(&json).is_ok() => invalid(&error),
        Category::Io | Category::Syntax | Category::Eof => refuse("payload", &error.to_string()),
    })
}

/// Unpadded Base64url.
pub(super) fn url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn invalid(error: &serde_json::Error) -> Problem {
    Problem::new(Code::TokenClaimInvalid, format!("The token's payload: {error}."))
}

fn refuse(part: &str, why: &str) -> Problem {
    Problem::new(Code::TokenParseFailure, format!("The token's {part}: {why}."))
}

const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, PADDED_OR_NOT);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, PADDED_OR_NOT);
