//! The HTTP side of WHIP (RFC 9725) and WHEP: create a session, end it, and any other request that a test wants to make.
//!
//! Statuses are results here, never errors: it is for the caller to say which one it wanted.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ureq::Agent;

/// Where the server is and who we are.
#[derive(Clone, Debug)]
pub struct Endpoint {
    agent: Agent,
    /// `http://host:port`.
    pub base: String,
    pub token: String,
}

/// A response with its body read.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Header names are in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// A session that the server created.
#[derive(Clone, Debug)]
pub struct Session {
    pub url: String,
    pub etag: Option<String>,
}

impl Endpoint {
    pub fn new(base: &str, token: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
        Self { agent, base: base.trim_end_matches('/').to_owned(), token: token.to_owned() }
    }

    /// The same server with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Offers at `path` and expects 201 with a Location.
    pub fn create(&self, path: &str, offer: &str) -> Result<(Session, String)> {
        let reply = self.post(
            path,
            &[("authorization", &self.bearer()), ("content-type", "application/sdp")],
            offer.as_bytes(),
        )?;
        anyhow::ensure!(reply.status == 201, "POST {path} was answered {}: {}", reply.status, reply.body);
        let location = reply.headers.get("location").context("201 without a Location")?;
        let session = Session { url: self.resolve(location), etag: reply.headers.get("etag").cloned() };
        Ok((session, reply.body))
    }

    /// Ends a session; the status is the server's word on it.
    pub fn delete(&self, session: &Session) -> Result<u16> {
        let response = self.agent.delete(&session.url).header("authorization", self.bearer()).call()?;
        Ok(response.status().as_u16())
    }

    pub fn get(&self, path: &str) -> Result<Reply> {
        Reply::read(self.agent.get(self.resolve(path)).call()?)
    }

    /// A POST with exactly these headers.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        self.request("POST", path, headers, body)
    }

    /// Any method with exactly these headers.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        let mut request = ureq::http::Request::builder().method(method).uri(self.resolve(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec())?;
        let request = self.agent.configure_request(request).allow_non_standard_methods(true).build();
        Reply::read(self.agent.run(request)?)
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn resolve(&self, location: &str) -> String {
        if location.contains("://") { location.to_owned() } else { format!("{}{location}", self.base) }
    }
}

impl Reply {
    fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Self> {
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Ok(Self { status: response.status().as_u16(), headers, body: response.body_mut().read_to_string()? })
    }
}

/// No request of a test takes longer than this.
const TIMEOUT: Duration = Duration::from_secs(10);
