//! The roles that the program takes: gateway, media server, and both in one process.
//!
//! Each role is one function that starts what it is made of, serves until told to end, and takes it down in an order in
//! which nothing that still runs misses what has ended. What the roles share stands here: the start before anything
//! runs, the wait, and the bound on the end.

mod everything;
mod gateway;
mod media;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand;
use tidewire_core::id::Label;
use tidewire_core::limits::CONNECTIONS_MAX;
use tidewire_gateway::Config;
use tidewire_gateway::limits::ASKS_MAX;
use tidewire_net::precedence;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::applications::Known;
use crate::http::Server;
use crate::report::{self, Packets, Report};
use crate::settings::{Role, Settings, Sources};
use crate::shutdown::{SHUTDOWN_MAX, Signals};
use crate::{logs, output};

/// Runs until told to end. Fails when the start fails, or when something ends that should not.
pub(crate) fn run(role: Role, sources: &Sources) -> Result<()> {
    let start = Start::prepare(role, sources)?;
    let listener = start.listener()?;
    let runtime = start.runtime()?;
    let ended = match role {
        Role::Everything => runtime.block_on(everything::serve(&start, listener)),
        Role::Gateway => runtime.block_on(gateway::serve(&start, listener)),
        Role::Media => runtime.block_on(media::serve(&start, listener)),
    };
    runtime.shutdown_background();
    ended
}

/// What is known before anything runs.
struct Start {
    role: Role,
    settings: Settings,
    addresses: Addresses,
    cores: usize,
}

impl Start {
    fn prepare(role: Role, sources: &Sources) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings::read(role, sources, cores, random()?)?;
        logs::begin(&settings.log);
        let addresses =
            Addresses::of(&settings).context("cannot list this machine's addresses: name them with --media-ip")?;
        Ok(Self { role, settings, addresses, cores })
    }

    fn listener(&self) -> Result<TcpListener> {
        let listen = self.settings.listen;
        TcpListener::bind(listen)
            .with_context(|| format!("cannot serve HTTP on {listen}: choose another address with --listen"))
    }

    /// Control threads on the cores that are left over.
    fn runtime(&self) -> Result<Runtime> {
        let shards = if self.role == Role::Gateway { 0 } else { self.settings.shards.into() };
        let threads = self.cores.saturating_sub(shards).clamp(1, CONTROL_THREADS_MAX);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name("control").on_thread_start(precedence::control);
        builder.enable_all().build().context("cannot start control threads")
    }

    /// Says what was found and chosen.
    fn report(&self, packets: Option<&Packets>, name: Option<&Label>, listening: SocketAddr) -> Result<()> {
        let Self { role, settings, addresses, cores } = self;
        let kernel = &report::kernel();
        let report = Report { role: *role, settings, addresses, packets, name, listening, kernel, cores: *cores };
        Ok(output::print(&report)?)
    }

    /// What the gateway is told, taking the tokens of these applications.
    fn gateway_config(&self, known: &Known) -> Result<Config> {
        let mut config = Config::new(self.settings.secret.bytes().to_vec());
        config.applications = known.applications()?;
        config.page_mints_tokens = self.settings.page_mints_tokens();
        Ok(config)
    }

    /// What a certificate made here is for.
    fn names(&self, listening: SocketAddr) -> Vec<IpAddr> {
        let mut names: Vec<_> = self.addresses.local.iter().chain(&self.addresses.announced).copied().collect();
        if !listening.ip().is_unspecified() && !names.contains(&listening.ip()) {
            names.push(listening.ip());
        }
        names
    }

    /// Connections that the shards take together.
    fn connections_max(&self) -> usize {
        usize::from(self.settings.shards) * CONNECTIONS_MAX
    }

    /// Questions that may wait for the media server: those that are not answered, and a close for each connection.
    fn asks_len(&self) -> usize {
        2 * ASKS_MAX + self.connections_max()
    }
}

/// Waits for a signal. Fails when HTTP ends by itself, which it does only when something is wrong.
async fn until_told(signals: &mut Signals, server: &mut Server) -> Result<()> {
    tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "ending");
            Ok(())
        }
        ended = server.ended() => {
            Err(ended.err().map_or_else(|| anyhow!("it ended by itself"), Into::into)).context("HTTP is served no more")
        }
    }
}

/// Ends in good order, or at once when time is up or a second signal comes.
async fn end(in_order: impl Future<Output = ()>, mut signals: Signals) {
    tokio::select! {
        ended = timeout(SHUTDOWN_MAX, in_order) => {
            if ended.is_err() {
                tracing::warn!("not everything ended in time");
            }
        }
        signal = signals.next() => tracing::warn!(signal, "ending at once"),
    }
}

/// Ends HTTP, for which a quarter of the time is left.
async fn stop_http(server: Server) {
    let patience: Duration = SHUTDOWN_MAX / 4;
    if let Err(error) = server.stop(patience).await {
        tracing::warn!(%error, "HTTP ended badly");
    }
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok().context("the system gives no random bytes")?;
    Ok(bytes)
}

/// Signalling is light; more threads would only take cores from somebody else.
const CONTROL_THREADS_MAX: usize = 4;

/// What a media server says and the gateway has not heard: every connection of a full shard ends at once.
const SAID_LEN: usize = CONNECTIONS_MAX;
