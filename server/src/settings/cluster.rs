//! What joins gateways and media servers that are programs of their own.

use std::fmt;
use std::time::Duration;

use tidewire_core::id::Label;
use tokio_tungstenite::tungstenite::http::Uri;

/// How a media server that is a program of its own finds its gateway and ends.
#[derive(Clone, Debug)]
pub(crate) struct Apart {
    pub(crate) gateway: GatewayUrl,
    pub(crate) secret: ClusterSecret,
    /// Nothing for the host's name.
    pub(crate) name: Option<Label>,
    pub(crate) region: Option<Label>,
    pub(crate) drain: Duration,
}

/// What signs and verifies the tokens of media servers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClusterSecret(pub(super) Vec<u8>);

impl ClusterSecret {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

/// The address of a gateway's `/v1/media`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayUrl {
    uri: Uri,
}

impl GatewayUrl {
    /// Takes the gateway's own address, or the whole one where a proxy has put it elsewhere. Says what is wrong.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        let whole = match text.split_once("://") {
            Some((_, rest)) if rest.trim_end_matches('/').contains('/') => text.to_owned(),
            _ => format!("{}/v1/media", text.trim_end_matches('/')),
        };
        let uri: Uri = whole.parse().map_err(|_| "is no URL")?;
        match (uri.scheme_str(), uri.host()) {
            (Some("ws" | "wss"), Some(host)) if !host.is_empty() => Ok(Self { uri }),
            (Some("ws" | "wss"), _) => Err("names no host"),
            _ => Err("does not begin with ws:// or wss://"),
        }
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether whoever is on the way can read the link: it is not encrypted, and leaves the machine.
    pub(crate) fn is_exposed(&self) -> bool {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        self.uri.scheme_str() == Some("ws") && !is_local
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_address_is_completed_and_a_whole_one_kept() {
        for (text, whole) in [
            ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/media"),
            ("wss://gateway.example/", "wss://gateway.example/v1/media"),
            ("wss://example/tidewire/v1/media", "wss://example/tidewire/v1/media"),
        ] {
            assert_eq!(GatewayUrl::new(text).unwrap().to_string(), whole);
        }
        for text in ["", "http://example", "example:80", "ws://", "ws://a b"] {
            assert!(GatewayUrl::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_is_exposed_when_it_leaves_the_machine_unencrypted() {
        let exposed = |text| GatewayUrl::new(text).unwrap().is_exposed();
        assert!(exposed("ws://192.0.2.1") && exposed("ws://gateway.example"));
        assert!(!exposed("ws://127.0.0.1:1") && !exposed("ws://[::1]:1") && !exposed("wss://gateway.example"));
    }
}
