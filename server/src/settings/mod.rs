//! What the operator chose: every setting by flag, environment or file, read into one typed value.
//!
//! The registry ([`TABLE`]) is data; the command line, the environment, `tidewire.toml` and the reference page are all
//! made from it, so no setting can exist in one of them alone. A flag goes before the environment, that before the
//! file, that before the default. A role takes the settings that are its own, so one file may serve several. Invariant: a [`Settings`] can only be one that makes sense; whatever is wrong is a
//! [`SettingsError`] that names the setting, where its value came from, and the mend. Looks at no socket and no clock.

mod applications;
mod cluster;
mod read;
mod reference;
mod sources;
mod table;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tidewire_core::id::{ApplicationId, Label};
use tidewire_core::limits::CONNECTED_MAX;
use tidewire_net::handshake::Versions;
use tidewire_net::{DriverChoice, IoChoice, Offload};

pub(crate) use applications::Application;
pub(crate) use cluster::{Apart, ClusterSecret, GatewayUrl};
pub(crate) use read::is_link_local;
pub(crate) use reference::{in_force, markdown};
pub(crate) use sources::{Source, Sources};
pub(crate) use table::{Setting, Shape, TABLE};

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Gateway and media server in one process.
    Everything,
    Gateway,
    Media,
}

impl Role {
    /// As the reference has it.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Everything => "tidewire",
            Self::Gateway => "tidewire gateway",
            Self::Media => "tidewire media",
        }
    }
}

/// Everything that can be set, checked. What a role does not take has its default.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where HTTP is served.
    pub(crate) listen: SocketAddr,
    /// Local addresses to bind media sockets to; empty for every local address.
    pub(crate) media_ips: Vec<IpAddr>,
    /// Addresses to announce beside the bound ones: where a NAT hands on to us.
    pub(crate) announce_ips: Vec<IpAddr>,
    /// The first shard's port; the others follow. Zero takes any that are free.
    pub(crate) udp_port: u16,
    /// At least 1.
    pub(crate) shards: u8,
    pub(crate) io: IoChoice,
    pub(crate) driver: DriverChoice,
    pub(crate) dtls: Versions,
    pub(crate) trains: Offload,
    /// Viewers of a shard that may have a socket of their own; 0 for none.
    pub(crate) connected_max: usize,
    /// Audio tracks of a channel that are forwarded at a time; 0 for all.
    pub(crate) loudest: usize,
    pub(crate) secret: Secret,
    /// Beside the default one, or in its place.
    pub(crate) applications: Vec<Application>,
    pub(crate) tls: Tls,
    /// How long a shard looks for packets before it sleeps.
    pub(crate) spin: Duration,
    /// Verifies media servers at a gateway; nothing where it takes none.
    pub(crate) cluster_secret: Option<ClusterSecret>,
    /// Of a media server that is a program of its own, and there always.
    pub(crate) apart: Option<Apart>,
    pub(crate) log: Log,
}

/// How HTTP is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tls {
    #[default]
    Off,
    /// A certificate made at the start.
    SelfSigned,
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

/// What signs and verifies tokens.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Given(Vec<u8>),
    /// Made at the start: no token outlives this run.
    Random(Vec<u8>),
}

impl Secret {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Given(bytes) | Self::Random(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(..)",
            Self::Random(_) => "Random(..)",
        })
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// Directives as `tracing` has them: `info`, or `warn,tidewire_net=debug`.
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} ({origin}): {problem}. {mend}.")]
pub(crate) struct SettingsError {
    pub(crate) setting: String,
    /// Where the value came from.
    pub(crate) origin: String,
    pub(crate) problem: String,
    pub(crate) mend: String,
}

impl Settings {
    /// Reads every setting that a role takes. `cores` is what this machine has; `random` is the secret to use when none is given.
    pub(crate) fn read(role: Role, sources: &Sources, cores: usize, random: [u8; 32]) -> Result<Self, SettingsError> {
        let mut draft = Draft::default();
        for setting in Setting::of_role(role) {
            if let Some(given) = sources.of(setting) {
                (setting.read)(&mut draft, &given.text).map_err(|wrong| wrong.of(setting, &given.source))?;
            }
        }
        draft.finish(role, sources, cores, random)
    }

    /// The secret that an application's tokens are signed with, which has to have been set.
    pub(crate) fn secret_of(sources: &Sources, id: &ApplicationId) -> Result<Vec<u8>, SettingsError> {
        let Some(entry) = sources.applications().iter().find(|entry| entry.id == *id) else {
            return Self::secret_given(sources);
        };
        entry.secret.as_ref().map(|secret| secret.clone().into_bytes()).ok_or_else(|| {
            let problem = format!("application {id} has a key set and no secret");
            sources.conflict("secret", problem, "Have its application server sign the token")
        })
    }

    fn secret_given(sources: &Sources) -> Result<Vec<u8>, SettingsError> {
        sources.of_key("secret").map(|given| given.text.into_bytes()).filter(|secret| !secret.is_empty()).ok_or_else(
            || {
                let mend = "Give the one that the server has, by --secret, TIDEWIRE_SECRET or tidewire.toml";
                sources.conflict("secret", "a token needs the secret that it is signed with".to_owned(), mend)
            },
        )
    }

    /// Whether the page may have tokens made for it: only where nobody but this machine's users can ask, and only with
    /// a secret that nobody set for a purpose of their own.
    pub(crate) fn page_mints_tokens(&self) -> bool {
        let has_default = self.applications.iter().any(|entry| entry.id == ApplicationId::default());
        self.listen.ip().is_loopback() && matches!(self.secret, Secret::Random(_)) && !has_default
    }
}

/// What was set so far; what was not has its default once all is read.
#[derive(Debug, Default)]
struct Draft {
    listen: Option<SocketAddr>,
    media_ips: Vec<IpAddr>,
    announce_ips: Vec<IpAddr>,
    udp_port: Option<u16>,
    shards: Option<u8>,
    io: IoChoice,
    driver: DriverChoice,
    dtls: Versions,
    trains: Offload,
    connected_max: Option<usize>,
    loudest: usize,
    secret: Option<Vec<u8>>,
    self_signed: bool,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    spin: Duration,
    gateway_url: Option<GatewayUrl>,
    cluster_secret: Option<ClusterSecret>,
    media_name: Option<Label>,
    region: Option<Label>,
    drain: Duration,
    log: Option<String>,
    log_format: LogFormat,
}

impl Draft {
    fn finish(self, role: Role, sources: &Sources, cores: usize, random: [u8; 32]) -> Result<Settings, SettingsError> {
        let tls = self.tls(sources)?;
        let apart = if role == Role::Media { Some(self.apart(sources)?) } else { None };
        let shards = self.shards.unwrap_or_else(|| default_shards(cores));
        let udp_port = self.udp_port.unwrap_or(UDP_PORT);
        if usize::from(udp_port) + usize::from(shards) > 1 + usize::from(u16::MAX) {
            let problem = format!("{shards} shards need the {shards} ports from {udp_port} up, and ports end at 65535");
            return Err(sources.conflict("udp-port", problem, "Take a lower port or fewer shards"));
        }
        Ok(Settings {
            listen: self.listen.unwrap_or(if role == Role::Media { LISTEN_MEDIA } else { LISTEN }),
            media_ips: self.media_ips,
            announce_ips: self.announce_ips,
            udp_port,
            shards,
            io: self.io,
            driver: self.driver,
            dtls: self.dtls,
            trains: self.trains,
            connected_max: self.connected_max.unwrap_or(CONNECTED_MAX),
            loudest: self.loudest,
            secret: self.secret.map_or_else(|| Secret::Random(random.to_vec()), Secret::Given),
            applications: Self::applications(sources)?,
            tls,
            spin: self.spin,
            cluster_secret: self.cluster_secret,
            apart,
            log: Log { filter: self.log.unwrap_or_else(|| LOG.to_owned()), format: self.log_format },
        })
    }

    /// The default application has its keys from one place.
    fn applications(sources: &Sources) -> Result<Vec<Application>, SettingsError> {
        let applications = sources.applications().to_vec();
        let has_default = applications.iter().any(|entry| entry.id == ApplicationId::default());
        if has_default && sources.of_key("secret").is_some() {
            let problem = "there is an [[application]] named default as well".to_owned();
            return Err(sources.conflict("secret", problem, "Give the secret there, and leave out this one"));
        }
        Ok(applications)
    }

    /// A media server by itself has to know whom it works for.
    fn apart(&self, sources: &Sources) -> Result<Apart, SettingsError> {
        let missing = |key, problem: &str, mend| sources.conflict(key, problem.to_owned(), mend);
        let gateway = self.gateway_url.clone().ok_or_else(|| {
            let mend = "Name it as in --gateway-url wss://gateway.example";
            missing("gateway-url", "a media server needs a gateway to work for", mend)
        })?;
        let secret = self.cluster_secret.clone().ok_or_else(|| {
            let mend =
                "Give the one that the gateway has, by TIDEWIRE_CLUSTER_SECRET, tidewire.toml or --cluster-secret";
            missing("cluster-secret", "without it no gateway takes this media server", mend)
        })?;
        let (name, region) = (self.media_name.clone(), self.region.clone());
        Ok(Apart { gateway, secret, name, region, drain: self.drain })
    }

    fn tls(&self, sources: &Sources) -> Result<Tls, SettingsError> {
        let conflict = |key, problem: &str, mend| Err(sources.conflict(key, problem.to_owned(), mend));
        match (self.self_signed, &self.certificate, &self.key) {
            (false, None, None) => Ok(Tls::Off),
            (true, None, None) => Ok(Tls::SelfSigned),
            (false, Some(certificate), Some(key)) => {
                Ok(Tls::Files { certificate: certificate.clone(), key: key.clone() })
            }
            (true, _, _) => {
                conflict("tls", "it asks for a certificate made here and there is one in files", "Leave out tls")
            }
            (false, Some(_), None) => conflict("tls-cert", "it has no private key beside it", "Set tls-key as well"),
            (false, None, Some(_)) => conflict("tls-key", "it has no certificate beside it", "Set tls-cert as well"),
        }
    }
}

/// One core stays for everything that is no shard.
fn default_shards(cores: usize) -> u8 {
    u8::try_from(cores.saturating_sub(1).max(1)).unwrap_or(SHARDS_MAX)
}

/// A `ShardId` is a byte.
const SHARDS_MAX: u8 = u8::MAX;
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// Beside a gateway on the same machine.
const LISTEN_MEDIA: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8081);
const UDP_PORT: u16 = 10_000;
const LOG: &str = "info";

#[cfg(test)]
mod tests;
