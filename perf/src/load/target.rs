//! Whom a scenario is run against: a server of our own, one that runs already, or the floor program.
//!
//! A target is written as `uring`, `epoll` or `floor`, with arguments for the program behind colons:
//! `uring:--spin-us=50`, `floor:--connected:--segments=1`. `uring@PATH` and `epoll@PATH` are a server of our own that was built
//! elsewhere, the commit before for one; `floor@IP:PORT` is one that runs already. [`Live`] is a target that can be called.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use super::setup::{Seat, Setup};
use crate::client::http::Endpoint;
use crate::client::{Call, Client, Direction};
use crate::floor::{self, Floor};
use crate::server::{Io, Metrics, Server};

/// A target and the name that reports give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub label: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server of our own with this packet I/O and these additional arguments; by default the one that was built here.
    Tidewire {
        binary: Option<PathBuf>,
        io: Io,
        arguments: Vec<String>,
    },
    Floor {
        arguments: Vec<String>,
    },
    /// A floor program that runs already.
    FloorAt(SocketAddr),
    Running(Running),
}

/// A server that runs already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// `http://host:port`.
    pub base: String,
    /// A token for the channel, and for `channel-1`, `channel-2`, ... where there are several rooms.
    pub token: String,
    pub channel: String,
    /// The address of this machine that it is called from.
    pub local_ip: IpAddr,
    /// Its process id lets us see what it uses.
    pub pid: Option<u32>,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(address) = text.strip_prefix("floor@") {
            return Ok(Self { label: text.to_owned(), kind: Kind::FloorAt(address.parse()?) });
        }
        let mut words = text.split(":--");
        let name = words.next().unwrap_or_default();
        // `--name=value` becomes two arguments, which every program understands.
        let arguments = words.flat_map(|word| match word.split_once('=') {
            Some((name, value)) => vec![format!("--{name}"), value.to_owned()],
            None => vec![format!("--{word}")],
        });
        let arguments: Vec<String> = arguments.collect();
        let (name, binary) =
            name.split_once('@').map_or((name, None), |(name, path)| (name, Some(PathBuf::from(path))));
        let kind = match name {
            "uring" => Kind::Tidewire { binary, io: Io::Uring, arguments },
            "epoll" => Kind::Tidewire { binary, io: Io::Epoll, arguments },
            "floor" if binary.is_none() => Kind::Floor { arguments },
            _ => bail!("{name:?} is neither uring, epoll nor floor"),
        };
        Ok(Self { label: text.to_owned(), kind })
    }
}

impl Target {
    pub fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor { .. } | Kind::FloorAt(_))
    }
}

/// A target that can be called. What was started for it ends with it.
pub(super) enum Live {
    Server {
        server: Box<Server>,
        /// One for each room.
        clients: Vec<Client>,
    },
    Floor(Floor),
    FloorAt(SocketAddr),
    Running {
        running: Box<Running>,
        client: Box<Client>,
    },
}

impl Live {
    pub(super) fn start(target: &Target, setup: &Setup) -> Result<Self> {
        match &target.kind {
            Kind::Tidewire { binary, io, arguments } => {
                let binary = binary.clone().unwrap_or_else(Server::default_binary);
                let server = Server::start(&binary, *io, setup.server_core, &borrowed(arguments))?;
                let first = Client::new(&server.base(), "", setup.profile)?;
                let clients = (0..setup.shape.rooms).map(|room| Ok(first.with_token(&server.token(&channel(room))?)));
                Ok(Self::Server { clients: clients.collect::<Result<_>>()?, server: Box::new(server) })
            }
            Kind::Floor { arguments } => {
                Ok(Self::Floor(Floor::start(&Floor::default_binary(), setup.server_core, &borrowed(arguments))?))
            }
            Kind::FloorAt(address) => Ok(Self::FloorAt(*address)),
            Kind::Running(running) => {
                let client = Client::new(&running.base, &running.token, setup.profile)?.from_address(running.local_ip);
                Ok(Self::Running { running: Box::new(running.clone()), client: Box::new(client) })
            }
        }
    }

    /// Takes a seat: blocks until media may flow.
    pub(super) fn enter(&self, seat: &Seat) -> Result<Call> {
        let path = |channel: String| match &seat.media {
            Some(media) => format!("{channel}/{media}"),
            None => channel,
        };
        match self {
            Self::Server { clients, .. } => {
                clients.get(seat.room).context("no such room")?.join(&path(channel(seat.room)), &seat.offer)
            }
            Self::Floor(floor) => floor::register(floor.address, seat.source as u32, &seat.offer),
            Self::FloorAt(address) => floor::register(*address, seat.source as u32, &seat.offer),
            Self::Running { running, client } => {
                let suffix = if seat.room == 0 { String::new() } else { format!("-{}", seat.room) };
                client.join(&path(format!("{}{suffix}", running.channel)), &seat.offer)
            }
        }
        .with_context(|| match seat.direction {
            Direction::Send => format!("the join of publisher {}", seat.source),
            Direction::Receive => format!("the join of a viewer of publisher {}", seat.source),
        })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Server { server, .. } => Some(server.pid()),
            Self::Floor(floor) => Some(floor.pid()),
            Self::FloorAt(_) => None,
            Self::Running { running, .. } => running.pid,
        }
    }

    /// What the server counts; other servers count nothing that we know.
    pub(super) fn metrics(&self) -> Metrics {
        match self {
            Self::Server { server, .. } => server.metrics().unwrap_or_default(),
            Self::Floor(_) | Self::FloorAt(_) => Metrics::default(),
            Self::Running { running, .. } => Endpoint::new(&running.base, "")
                .get("/metrics")
                .map_or_else(|_| Metrics::default(), |reply| Metrics::parse(&reply.body)),
        }
    }

    /// Whether everybody must leave in good order, since the server stays.
    pub(super) fn outlives_us(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

fn channel(room: usize) -> String {
    format!("load-{room}")
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_and_arguments() {
        let target: Target = "floor:--connected:--segments=1".parse().unwrap();
        let arguments = ["--connected", "--segments", "1"].map(str::to_owned).to_vec();
        assert_eq!(target.kind, Kind::Floor { arguments });
        assert!(target.is_floor() && target.label == "floor:--connected:--segments=1");
        let target: Target = "epoll".parse().unwrap();
        assert_eq!(target.kind, Kind::Tidewire { binary: None, io: Io::Epoll, arguments: Vec::new() });
        let target: Target = "uring@/before/tidewire:--spin-us=50".parse().unwrap();
        let arguments = ["--spin-us", "50"].map(str::to_owned).to_vec();
        assert_eq!(target.kind, Kind::Tidewire { binary: Some("/before/tidewire".into()), io: Io::Uring, arguments });
        assert!("nginx".parse::<Target>().is_err());
    }
}
