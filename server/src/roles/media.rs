//! `tidewire media`: media alone, for the gateway to which it connects.
//!
//! It is ready while its link to the gateway stands, until it is told to end, with or without draining; media flows
//! whether it is or not.

use std::net::TcpListener;

use anyhow::{Context, Result};
use tidewire_gateway::link::media_end::About;
use tokio::sync::mpsc;

use super::{SAID_LEN, Start, end, stop_http, until_told};
use crate::health::{self, Readiness};
use crate::http::Server;
use crate::link::{Link, host_name};
use crate::media::Media;
use crate::shutdown::Signals;
use crate::{metrics, overload};

pub(super) async fn serve(start: &Start, listener: TcpListener) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listening = listener.local_addr()?;
    let apart = start.settings.apart.as_ref().context("a media server needs a gateway")?;

    let (asks, asked) = mpsc::channel(start.asks_len());
    let (said, to_tell) = mpsc::channel(SAID_LEN);
    let media =
        Media::start(&start.settings, &start.addresses, asked, said).context("cannot start the media server")?;

    let readiness = Readiness::default();
    let routes = health::routes(readiness.clone()).merge(metrics::routes([metrics::of_media(media.counts())]));
    // Ends with the runtime.
    drop(tokio::spawn(overload::watch(media.counts())));
    let mut server = Server::start(listener, None, routes)?;
    let name = apart.name.clone().unwrap_or_else(host_name);
    start.report(Some(&media.packets()), Some(&name), listening)?;
    let about = About {
        server: name,
        region: apart.region.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        connections_max: start.connections_max(),
    };
    let link = Link::start(apart, about, asks, to_tell, readiness.clone());

    let told = until_told(&mut signals, &mut server).await;
    readiness.end();
    if told.is_ok() {
        tokio::select! {
            () = media.drain(apart.drain) => {}
            signal = signals.next() => tracing::warn!(signal, "draining no longer"),
        }
    }
    let in_order = async {
        media.stop().await;
        // What the connections' ends were told by is on its way.
        link.finish().await;
        stop_http(server).await;
    };
    end(in_order, signals).await;
    told
}
