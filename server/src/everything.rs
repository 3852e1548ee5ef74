//! The role without a subcommand: gateway and media server in one process, in memory.
//!
//! Starts both ends, joins them by a bounded queue each way, serves HTTP, and takes it all down again in an order in
//! which nothing that still runs misses what has ended: readiness, media, HTTP.

use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand;
use tidewire_gateway::{Config, Gateway, MediaLink};
use tidewire_net::precedence;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::addresses::Addresses;
use crate::health::{self, Readiness};
use crate::http::Server;
use crate::media::Media;
use crate::report::{self, Report};
use crate::settings::{Settings, Sources};
use crate::shutdown::{SHUTDOWN_MAX, Signals};
use crate::{applications, logs, metrics, output, overload, tls};

/// Runs until told to end. Fails when the start fails, or when something ends that should not.
pub(crate) fn run(sources: &Sources) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = Settings::read(sources, cores, random()?)?;
    logs::begin(&settings.log);
    let addresses =
        Addresses::of(&settings).context("cannot list this machine's addresses: name them with --media-ip")?;
    let listener = TcpListener::bind(settings.listen)
        .with_context(|| format!("cannot serve HTTP on {}: choose another address with --listen", settings.listen))?;
    let runtime = runtime(cores, &settings)?;
    let ended = runtime.block_on(serve(&settings, &addresses, listener, cores));
    runtime.shutdown_background();
    ended
}

async fn serve(settings: &Settings, addresses: &Addresses, listener: TcpListener, cores: usize) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listening = listener.local_addr()?;
    let tls = tls::config(&settings.tls, &names(listening, addresses))?;
    let (link, questions) = MediaLink::pair();
    let (events, events_heard) = mpsc::channel(EVENTS_LEN);
    let media = Media::start(settings, addresses, questions, events).context("cannot start the media server")?;
    let gateway = Gateway::new(config(settings)?, link, events_heard);
    let readiness = Readiness::default();
    let routes = gateway.router().merge(health::routes(readiness.clone())).merge(metrics::routes(media.counts()));
    // Ends with the runtime.
    drop(tokio::spawn(overload::watch(media.counts())));
    let mut server = Server::start(listener, tls, routes)?;
    readiness.begin();
    let (packets, kernel) = (media.packets(), report::kernel());
    output::print(&Report { settings, addresses, packets: &packets, listening, kernel: &kernel, cores })?;

    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "ending"),
        ended = server.ended() => {
            readiness.end();
            media.stop().await;
            return Err(ended.err().map_or_else(|| anyhow!("it ended by itself"), Into::into)).context("HTTP is served no more");
        }
    }
    readiness.end();
    end(media, server, signals).await;
    Ok(())
}

/// Ends in good order, or at once when time is up or a second signal comes.
async fn end(media: Media, server: Server, mut signals: Signals) {
    let in_order = async {
        media.stop().await;
        if let Err(error) = server.stop(SHUTDOWN_MAX / 4).await {
            tracing::warn!(%error, "HTTP ended badly");
        }
    };
    tokio::select! {
        ended = timeout(SHUTDOWN_MAX, in_order) => {
            if ended.is_err() {
                tracing::warn!("not everything ended in time");
            }
        }
        signal = signals.next() => tracing::warn!(signal, "ending at once"),
    }
}

fn config(settings: &Settings) -> Result<Config> {
    let mut config = Config::new(settings.secret.bytes().to_vec());
    config.applications = applications::of(settings)?;
    config.page_mints_tokens = settings.page_mints_tokens();
    Ok(config)
}

/// What a certificate made here is for.
fn names(listening: SocketAddr, addresses: &Addresses) -> Vec<IpAddr> {
    let mut names: Vec<_> = addresses.local.iter().chain(&addresses.announced).copied().collect();
    if !listening.ip().is_unspecified() && !names.contains(&listening.ip()) {
        names.push(listening.ip());
    }
    names
}

/// Control threads on the cores that are left over.
fn runtime(cores: usize, settings: &Settings) -> Result<Runtime> {
    let threads = cores.saturating_sub(settings.shards.into()).clamp(1, CONTROL_THREADS_MAX);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name("control").on_thread_start(precedence::control);
    builder.enable_all().build().context("cannot start control threads")
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok().context("the system gives no random bytes")?;
    Ok(bytes)
}

/// Signalling is light; more threads would only take cores from somebody else.
const CONTROL_THREADS_MAX: usize = 4;

/// Events that wait for the gateway: every connection of a full shard ends at once.
const EVENTS_LEN: usize = tidewire_core::limits::CONNECTIONS_MAX;
