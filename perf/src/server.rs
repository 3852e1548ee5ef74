//! The server under test: gateway and media server in one process, or as two programs with a link between them.
//!
//! Clients see no difference between the layouts. Whatever is measured is measured at the program that forwards media.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub use crate::metrics::Metrics;
use crate::program::Program;
use crate::usage::Usage;

/// Which packet I/O the server is told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Io {
    Uring,
    Epoll,
}

/// How many programs the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Together,
    /// `tidewire gateway` and `tidewire media`.
    Apart,
}

/// Starts that are tried before the last one's failure is told.
const START_TRIES: usize = 4;

impl Io {
    pub const ALL: [Self; 2] = [Self::Uring, Self::Epoll];

    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

impl Layout {
    /// `TIDEWIRE_APART` in the environment has every server be two programs.
    pub fn of_environment() -> Self {
        if std::env::var_os("TIDEWIRE_APART").is_some() { Self::Apart } else { Self::Together }
    }
}

/// A running server.
pub struct Server {
    /// What forwards media, and in one process is all there is.
    forwarder: Program,
    gateway: Option<Program>,
    binary: PathBuf,
    pub http: SocketAddr,
    /// The port of the first (and only) shard.
    pub media: SocketAddr,
}

impl Server {
    /// Starts it with one shard on loopback, in the layout of the environment, and waits until it is ready. `core` pins
    /// what forwards media, and `more` is told to it.
    pub fn start(binary: &Path, io: Io, core: Option<usize>, more: &[&str]) -> Result<Self> {
        Self::start_as(Layout::of_environment(), binary, io, core, more)
    }

    pub fn start_as(layout: Layout, binary: &Path, io: Io, core: Option<usize>, more: &[&str]) -> Result<Self> {
        let start = || match layout {
            Layout::Together => Self::start_together(binary, io, core, more),
            Layout::Apart => Self::start_apart(binary, io, core, more),
        };
        // Between the moment a port is found free and the server's binding it, anybody may take it.
        (1..START_TRIES).fold(start(), |started, _| started.or_else(|_| start()))
    }

    fn start_together(binary: &Path, io: Io, core: Option<usize>, more: &[&str]) -> Result<Self> {
        let (http, media) = (Program::free_address()?, free_media_address()?);
        let (listen, port) = (http.to_string(), media.port().to_string());
        let arguments = [&["--listen", &listen, "--secret", SECRET], &forwarding(&port, io)[..], more].concat();
        let mut forwarder = Program::start(binary, http, core, &arguments)?;
        forwarder.wait_until_ready()?;
        Ok(Self { forwarder, gateway: None, binary: binary.to_owned(), http, media })
    }

    fn start_apart(binary: &Path, io: Io, core: Option<usize>, more: &[&str]) -> Result<Self> {
        let gateway = start_gateway(binary, Program::free_address()?)?;
        let (http, media) = (gateway.http, free_media_address()?);
        let forwarder = start_media(binary, http, media, io, core, more)?;
        Ok(Self { forwarder, gateway: Some(gateway), binary: binary.to_owned(), http, media })
    }

    /// `$TIDEWIRE_BIN`, or what the release build leaves in the target directory.
    pub fn default_binary() -> PathBuf {
        if let Some(binary) = std::env::var_os("TIDEWIRE_BIN") {
            return binary.into();
        }
        let beside = std::env::current_exe().ok().and_then(|own| {
            let mut directories = own.ancestors().skip(1).map(|directory| directory.join("tidewire"));
            directories.find(|path| path.is_file())
        });
        beside.unwrap_or_else(|| "target/release/tidewire".into())
    }

    pub fn pid(&self) -> u32 {
        self.forwarder.pid()
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    /// A token that may publish and watch in `channel`, from the program's own subcommand.
    pub fn token(&self, channel: &str) -> Result<String> {
        token(&self.binary, channel)
    }

    /// A token that may register and join `channel`.
    pub fn register_token(&self, channel: &str) -> Result<String> {
        register_token(&self.binary, channel)
    }

    pub fn metrics(&self) -> Result<Metrics> {
        self.forwarder.metrics()
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid())
    }

    /// Nanoseconds that all its programs have been on a core; see [`Usage::cpu_ns`].
    pub fn cpu_ns(&self) -> Result<u64> {
        self.gateway.iter().chain([&self.forwarder]).map(|program| Ok(Usage::of(program.pid())?.cpu_ns)).sum()
    }

    pub fn is_running(&mut self) -> Result<bool> {
        let gateway = self.gateway.as_mut().map_or(Ok(true), Program::is_running)?;
        Ok(gateway && self.forwarder.is_running()?)
    }

    /// SIGTERM to what forwards media, without waiting.
    pub fn terminate(&self) -> Result<()> {
        self.forwarder.terminate()
    }

    /// Waits for the end of what forwards media; `None` when it is still there after `limit`.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.forwarder.wait_for_end(limit)
    }

    /// SIGTERM, then wait: the ordinary end of a run. The status of what forwards media.
    pub fn stop(self) -> Result<ExitStatus> {
        let status = self.forwarder.stop()?;
        if let Some(gateway) = self.gateway {
            let status = gateway.stop()?;
            ensure!(status.success(), "the gateway ended with {status}");
        }
        Ok(status)
    }

    /// What the server has printed.
    pub fn log(&self) -> String {
        self.gateway.iter().chain([&self.forwarder]).map(Program::log).collect()
    }
}

/// Starts `tidewire gateway` at an address and waits until it is ready.
pub fn start_gateway(binary: &Path, http: SocketAddr) -> Result<Program> {
    let listen = http.to_string();
    let arguments = ["gateway", "--listen", &listen, "--secret", SECRET, "--cluster-secret", CLUSTER_SECRET];
    let mut gateway = Program::start(binary, http, None, &arguments)?;
    gateway.wait_until_ready()?;
    Ok(gateway)
}

/// Starts `tidewire media` for the gateway behind an address, and waits until the link between them stands.
pub fn start_media(
    binary: &Path,
    gateway: SocketAddr,
    media: SocketAddr,
    io: Io,
    core: Option<usize>,
    more: &[&str],
) -> Result<Program> {
    let (http, port) = (Program::free_address()?, media.port().to_string());
    let (listen, gateway, name) = (http.to_string(), format!("ws://{gateway}"), format!("media-{port}"));
    let own = ["media", "--listen", &listen, "--gateway-url", &gateway, "--media-name", &name];
    let shared = ["--cluster-secret", CLUSTER_SECRET];
    let arguments = [&own[..], &shared, &forwarding(&port, io), more].concat();
    let mut program = Program::start(binary, http, core, &arguments)?;
    program.wait_until_ready()?;
    Ok(program)
}

/// A token that may publish and watch in `channel`, from the program's own subcommand.
pub fn token(binary: &Path, channel: &str) -> Result<String> {
    minted(binary, &["--channel", channel])
}

/// A token that may register and join `channel`.
pub fn register_token(binary: &Path, channel: &str) -> Result<String> {
    minted(binary, &["--type", "register", "--channel", channel])
}

fn minted(binary: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new(binary).args(["token", "--secret", SECRET]).args(words).output();
    let output = output.context("`tidewire token` does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`tidewire token` ended with {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A UDP port of loopback that nobody has at present.
pub fn free_media_address() -> Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

fn forwarding(port: &str, io: Io) -> [&str; 8] {
    ["--media-ip", "127.0.0.1", "--udp-port", port, "--shards", "1", "--io", io.name()]
}

/// The secret that every server under test is started with.
pub const SECRET: &str = "a-secret-for-tests-of-at-least-32-bytes";

/// What gateways and media servers under test belong together by.
pub const CLUSTER_SECRET: &str = "a-cluster-secret-for-tests-of-at-least-32-bytes";
