//! The role without a subcommand: gateway and media server in one process, joined by a queue each way.

use std::net::TcpListener;

use anyhow::{Context, Result};
use tidewire_gateway::limits::MEDIA_LEASE;
use tidewire_gateway::{Exchange, Gateway, Here};
use tokio::sync::mpsc;

use super::{SAID_LEN, Start, end, stop_http, until_told};
use crate::applications::Known;
use crate::health::{self, Readiness};
use crate::http::Server;
use crate::link::host_name;
use crate::media::Media;
use crate::shutdown::Signals;
use crate::{metrics, overload, tls};

pub(super) async fn serve(start: &Start, listener: TcpListener) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listening = listener.local_addr()?;
    let tls = tls::config(&start.settings.tls, &start.names(listening))?;

    let (asks, asked) = mpsc::channel(start.asks_len());
    let (said, told) = mpsc::channel(SAID_LEN);
    let media =
        Media::start(&start.settings, &start.addresses, asked, said).context("cannot start the media server")?;
    let here = Here { name: host_name(), connections_max: start.connections_max(), asks, told };
    let (exchange, link, events) = Exchange::start(MEDIA_LEASE, Some(here));
    let known = Known::read(&start.settings)?;
    let gateway = Gateway::new(start.gateway_config(&known)?, link, events);
    // Ends with the runtime.
    drop(tokio::spawn(known.follow(gateway.clone())));

    let readiness = Readiness::default();
    let collectors =
        [metrics::of_media(media.counts()), metrics::of_fleet(exchange), metrics::of_hall(gateway.clone())];
    let routes = gateway.router().merge(health::routes(readiness.clone())).merge(metrics::routes(collectors));
    // Ends with the runtime.
    drop(tokio::spawn(overload::watch(media.counts())));
    let mut server = Server::start(listener, tls, routes)?;
    readiness.begin();
    start.report(Some(&media.packets()), None, listening)?;

    let told = until_told(&mut signals, &mut server).await;
    readiness.end();
    if told.is_err() {
        media.stop().await;
        return told;
    }
    let in_order = async {
        gateway.shut_down();
        media.stop().await;
        stop_http(server).await;
    };
    end(in_order, signals).await;
    Ok(())
}
