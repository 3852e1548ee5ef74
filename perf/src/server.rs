//! The server under test as a process of its own: started on free ports, watched through `/proc` and `/metrics`, stopped
//! by SIGTERM.
//!
//! The program is the only thing that is known of Tidewire here. A server that is dropped without being stopped is killed,
//! so that a failing test leaves nothing behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::http::Endpoint;
use crate::client::wait;
use crate::machine;
use crate::usage::Usage;

/// Which packet I/O the server is told to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Io {
    Uring,
    Epoll,
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

/// A running server.
pub struct Server {
    child: Child,
    binary: PathBuf,
    log: PathBuf,
    pub http: SocketAddr,
    /// The port of the first (and only) shard.
    pub media: SocketAddr,
}

impl Server {
    /// Starts the program with one shard on loopback and waits until it is ready. `core` pins the whole process.
    pub fn start(binary: &Path, io: Io, core: Option<usize>, more: &[&str]) -> Result<Self> {
        // Between the moment a port is found free and the server's binding it, anybody may take it.
        (1..START_TRIES).fold(Self::start_once(binary, io, core, more), |started, _| {
            started.or_else(|_| Self::start_once(binary, io, core, more))
        })
    }

    fn start_once(binary: &Path, io: Io, core: Option<usize>, more: &[&str]) -> Result<Self> {
        let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let media = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let log = std::env::temp_dir().join(format!("tidewire-{}-{}.log", std::process::id(), http.port()));
        let mut command = Command::new(binary);
        command.args(["--listen", &http.to_string(), "--media-ip", &media.ip().to_string()]);
        command.args(["--udp-port", &media.port().to_string(), "--shards", "1", "--io", io.name(), "--secret", SECRET]);
        command
            .args(more)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        let mut spawn = || {
            command
                .spawn()
                .with_context(|| format!("cannot start {}; build it with `cargo build --release`", binary.display()))
        };
        let child = match core {
            Some(core) => machine::with_affinity(core, &mut spawn)??,
            None => spawn()?,
        };
        let mut server = Self { child, binary: binary.to_owned(), log, http, media };
        server.wait_until_ready()?;
        Ok(server)
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
        self.child.id()
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    /// A token that may publish and watch in `channel`, from the program's own subcommand.
    pub fn token(&self, channel: &str) -> Result<String> {
        let output = Command::new(&self.binary).args(["token", "--secret", SECRET, "--channel", channel]).output()?;
        ensure!(
            output.status.success(),
            "`tidewire token` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    pub fn metrics(&self) -> Result<Metrics> {
        let reply = Endpoint::new(&self.base(), "").get("/metrics")?;
        ensure!(reply.status == 200, "/metrics answered {}", reply.status);
        Ok(Metrics::parse(&reply.body))
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid())
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGTERM)?)
    }

    /// Waits for the end of the process; `None` when it is still there after `limit`.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            wait::readable([], Duration::from_millis(2))?;
        }
    }

    /// SIGTERM, then wait: the ordinary end of a run.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.terminate()?;
        self.wait_for_end(Duration::from_secs(5))?.context("the server is still there 5 s after SIGTERM")
    }

    /// What the server has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let endpoint = Endpoint::new(&self.base(), "");
        wait::until("the server to be ready", Duration::from_secs(10), || {
            ensure!(self.is_running()?, "the server ended while it started:\n{}", self.log());
            // Refused connections are how a server looks that does not listen yet.
            Ok(endpoint.get("/readyz").ok().filter(|reply| reply.status == 200))
        })?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap_or_default();
            self.child.wait().map(drop).unwrap_or_default();
        }
        std::fs::remove_file(&self.log).unwrap_or_default();
    }
}

/// The samples of `/metrics`: name and labels as they stand, and the value.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let sample = |line: &str| -> Option<(String, f64)> {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { samples: text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect() }
    }

    /// The largest sample of this name, whatever its labels.
    pub fn max(&self, name: &str) -> Option<f64> {
        self.matching(name).map(|(_, value)| value).reduce(f64::max)
    }

    /// The sum of all samples of this name, whatever their labels. Counters may or may not carry `_total`.
    pub fn sum(&self, name: &str) -> f64 {
        self.matching(name).map(|(_, value)| value).sum()
    }

    /// The sum of the samples of this name that carry all of these labels; an empty value stands for any.
    pub fn labelled(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carries = |key: &str| {
            labels.iter().all(|(label, value)| match *value {
                "" => key.contains(&format!("{label}=\"")),
                value => key.contains(&format!("{label}=\"{value}\"")),
            })
        };
        self.matching(name).filter(|(key, _)| carries(key)).map(|(_, value)| value).sum()
    }

    pub fn has(&self, name: &str) -> bool {
        self.matching(name).next().is_some()
    }

    /// Every sample whose name starts so.
    pub fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.samples.iter().filter(move |(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.as_str(), *value))
    }

    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.samples
            .iter()
            .filter(move |(key, _)| {
                key.split('{').next().is_some_and(|own| own == name || own.strip_suffix("_total") == Some(name))
            })
            .map(|(key, value)| (key.as_str(), *value))
    }
}

/// The secret that every server under test is started with.
pub const SECRET: &str = "a-secret-for-tests-of-at-least-32-bytes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let metrics = Metrics::parse(
            "# HELP x y\na_total{shard=\"0\",reason=\"r\"} 3\na_total{shard=\"1\",reason=\"s\"} 4\nb 1.5\n",
        );
        assert!((metrics.sum("a") - 7.0).abs() < 1e-9);
        assert!((metrics.sum("a_total") - 7.0).abs() < 1e-9);
        assert!((metrics.labelled("a", &[("reason", "s"), ("shard", "")]) - 4.0).abs() < 1e-9);
        assert_eq!((metrics.max("a"), metrics.max("b"), metrics.max("c")), (Some(4.0), Some(1.5), None));
        assert!(metrics.has("b") && !metrics.has("c"));
    }
}
