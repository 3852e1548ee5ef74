//! One process of the program under test: started, watched through `/proc` and `/metrics`, ended by a signal.
//!
//! The program is the only thing that is known of Tidewire here. One that is dropped without being stopped is killed, so
//! that a failing test leaves nothing behind.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::http::Endpoint;
use crate::client::wait;
use crate::machine;
use crate::metrics::Metrics;

/// A running process.
pub struct Program {
    child: Child,
    log: PathBuf,
    /// Where it serves HTTP.
    pub http: SocketAddr,
}

impl Program {
    /// Starts it with these arguments, which must have it serve HTTP at `http`. `core` pins the whole process.
    pub fn start(binary: &Path, http: SocketAddr, core: Option<usize>, arguments: &[&str]) -> Result<Self> {
        let log = std::env::temp_dir().join(format!("tidewire-{}-{}.log", std::process::id(), http.port()));
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let mut spawn = || {
            command
                .spawn()
                .with_context(|| format!("cannot start {}; build it with `cargo build --release`", binary.display()))
        };
        let child = match core {
            Some(core) => machine::with_affinity(core, &mut spawn)??,
            None => spawn()?,
        };
        Ok(Self { child, log, http })
    }

    /// An address of loopback that nobody serves at present.
    pub fn free_address() -> Result<SocketAddr> {
        Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    pub fn metrics(&self) -> Result<Metrics> {
        let reply = Endpoint::new(&self.base(), "").get("/metrics")?;
        ensure!(reply.status == 200, "/metrics answered {}", reply.status);
        Ok(Metrics::parse(&reply.body))
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub fn is_ready(&self) -> bool {
        // Refused connections are how a program looks that does not listen yet.
        Endpoint::new(&self.base(), "").get("/readyz").is_ok_and(|reply| reply.status == 200)
    }

    pub fn wait_until_ready(&mut self) -> Result<()> {
        wait::until("the program to be ready", Duration::from_secs(10), || {
            ensure!(self.is_running()?, "the program ended while it started:\n{}", self.log());
            Ok(self.is_ready().then_some(()))
        })
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
        self.wait_for_end(Duration::from_secs(5))?.context("the program is still there 5 s after SIGTERM")
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap_or_default();
            self.child.wait().map(drop).unwrap_or_default();
        }
        std::fs::remove_file(&self.log).unwrap_or_default();
    }
}
