//! From a setting's text to its typed value, each with what is wrong and how to mend it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tidewire_core::id::Label;
use tidewire_core::limits::{CONNECTIONS_MAX, SOCKETS_MAX};
use tidewire_net::handshake::Versions;
use tidewire_net::{DriverChoice, IoChoice, Offload};
use tidewire_sfu::limits::LOUDEST_MAX;

use super::{ClusterSecret, Draft, GatewayUrl, LogFormat, SHARDS_MAX, Setting, SettingsError, Source};

/// What is wrong with a value, before it is known where it came from.
#[derive(Debug)]
pub(super) struct Wrong {
    problem: String,
    mend: String,
}

impl Wrong {
    fn new(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { problem: problem.into(), mend: mend.into() }
    }

    fn not(text: &str, kind: &str, mend: &str) -> Self {
        Self::new(format!("{text:?} is not {kind}"), mend)
    }

    pub(super) fn of(self, setting: &Setting, source: &Source) -> SettingsError {
        SettingsError {
            setting: setting.key.to_owned(),
            origin: source.of(setting),
            problem: self.problem,
            mend: self.mend,
        }
    }
}

pub(super) fn listen(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.listen = Some(parsed(text, "an IP address and a port", "Write it as 127.0.0.1:8080 or [::1]:8080")?);
    Ok(())
}

pub(super) fn media_ips(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.media_ips = addresses(text)?;
    if let Some(ip) = draft.media_ips.iter().find(|ip| is_link_local(ip)) {
        return Err(Wrong::new(format!("{ip} is link-local, which no candidate can name"), "Take a global address"));
    }
    Ok(())
}

pub(super) fn announce_ips(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.announce_ips = addresses(text)?;
    Ok(())
}

pub(super) fn udp_port(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.udp_port = Some(parsed(text, "a port", "Write a number from 0 to 65535")?);
    Ok(())
}

pub(super) fn shards(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let mend = format!("Write a number from 1 to {SHARDS_MAX}");
    match parsed(text, "a number of shards", &mend)? {
        0 => Err(Wrong::new("without a shard nothing is forwarded", mend)),
        shards => {
            draft.shards = Some(shards);
            Ok(())
        }
    }
}

pub(super) fn io(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.io = one_of(text, &[("auto", IoChoice::Auto), ("uring", IoChoice::Uring), ("epoll", IoChoice::Epoll)])?;
    Ok(())
}

pub(super) fn driver(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let choices = [("auto", DriverChoice::Auto), ("executor", DriverChoice::Executor), ("plain", DriverChoice::Plain)];
    draft.driver = one_of(text, &choices)?;
    Ok(())
}

pub(super) fn dtls(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.dtls = one_of(text, &[("1.2", Versions::Dtls12), ("1.3", Versions::Dtls13)])?;
    Ok(())
}

pub(super) fn trains(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let whether = |trains| Offload { send: trains, receive: trains };
    draft.trains = one_of(text, &[("on", whether(true)), ("off", whether(false))])?;
    Ok(())
}

pub(super) fn spin(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let mend = format!("Write a number from 0 to {SPIN_US_MAX}");
    match parsed(text, "a number of microseconds", &mend)? {
        us if us > SPIN_US_MAX => Err(Wrong::new(format!("{us} us is longer than any wait for a packet pays"), mend)),
        us => {
            draft.spin = Duration::from_micros(us);
            Ok(())
        }
    }
}

pub(super) fn connected_sockets(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let mend = format!("Write a number from 1 to {CONNECTIONS_MAX}, or 0 for none");
    match parsed(text, "a number of sockets", &mend)? {
        sockets if sockets > CONNECTIONS_MAX => {
            Err(Wrong::new(format!("{sockets} are more than a shard has connections"), mend))
        }
        sockets => {
            draft.connected_max = Some(sockets);
            Ok(())
        }
    }
}

pub(super) fn loudest(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let mend = format!("Write a number from 1 to {LOUDEST_MAX}, or 0 for all");
    match parsed(text, "a number of audio tracks", &mend)? {
        tracks if tracks > LOUDEST_MAX => Err(Wrong::new("nobody understands so many at a time", mend)),
        tracks => {
            draft.loudest = tracks;
            Ok(())
        }
    }
}

pub(super) fn secret(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("it is empty, and an empty secret verifies nothing", "Set one, or leave it out"));
    }
    draft.secret = Some(text.as_bytes().to_vec());
    Ok(())
}

pub(super) fn cluster_secret(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    if text.len() < CLUSTER_SECRET_LEN_MIN {
        let problem = format!("it is shorter than {CLUSTER_SECRET_LEN_MIN} bytes, which makes it easy to guess");
        return Err(Wrong::new(problem, "Make one with `openssl rand -hex 32`"));
    }
    draft.cluster_secret = Some(ClusterSecret(text.as_bytes().to_vec()));
    Ok(())
}

pub(super) fn gateway_url(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.gateway_url = Some(GatewayUrl::new(text.trim()).map_err(|problem| {
        Wrong::new(format!("{text:?} {problem}"), "Write it as wss://gateway.example or ws://127.0.0.1:8080")
    })?);
    Ok(())
}

pub(super) fn media_name(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.media_name = Some(label(text)?);
    Ok(())
}

pub(super) fn region(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.region = Some(label(text)?);
    Ok(())
}

pub(super) fn drain(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let seconds: u32 = parsed(text, "a number of seconds", "Write a number, 0 to end at once")?;
    draft.drain = Duration::from_secs(seconds.into());
    Ok(())
}

pub(super) fn tls(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.self_signed = one_of(text, &[("off", false), ("self-signed", true)])?;
    Ok(())
}

pub(super) fn certificate(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.certificate = Some(file(text)?);
    Ok(())
}

pub(super) fn key(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.key = Some(file(text)?);
    Ok(())
}

pub(super) fn log(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    let mend = "Write a level, or levels by module as in warn,tidewire_net=debug";
    let _: tracing_subscriber::EnvFilter = parsed(text, "a log filter", mend)?;
    draft.log = Some(text.to_owned());
    Ok(())
}

pub(super) fn log_format(draft: &mut Draft, text: &str) -> Result<(), Wrong> {
    draft.log_format = one_of(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])?;
    Ok(())
}

fn parsed<T: FromStr>(text: &str, kind: &str, mend: &str) -> Result<T, Wrong> {
    text.trim().parse().map_err(|_| Wrong::not(text, kind, mend))
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Wrong> {
    let found = choices.iter().find(|(name, _)| *name == text.trim());
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        Wrong::not(text, "a choice there is", &format!("Write {}", names.join(" or ")))
    })
}

fn label(text: &str) -> Result<Label, Wrong> {
    Label::new(text.trim())
        .map_err(|error| Wrong::new(format!("{text:?} is no name"), format!("Remember that {error}")))
}

fn file(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("it is empty", "Write the path of a file, or leave it out"));
    }
    Ok(PathBuf::from(text))
}

/// Each address once, in their order.
fn addresses(text: &str) -> Result<Vec<IpAddr>, Wrong> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let ip: IpAddr = parsed(part, "an IP address", "Write addresses with commas between, without ports")?;
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(Wrong::new(
                format!("{ip} is nowhere a client could send to"),
                "Name addresses of this machine",
            ));
        }
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    if found.len() > SOCKETS_MAX {
        return Err(Wrong::new(format!("{} addresses", found.len()), format!("Name at most {SOCKETS_MAX}")));
    }
    Ok(found)
}

/// Needs an interface beside it, which an ICE candidate has no room for.
pub(crate) fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// A second of spinning is a busy core.
const SPIN_US_MAX: u64 = 1_000_000;

/// RFC 7518 3.2: a key for HS256 has at least the size of its hash.
const CLUSTER_SECRET_LEN_MIN: usize = 32;
