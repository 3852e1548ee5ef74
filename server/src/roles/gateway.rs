//! `tidewire gateway`: signalling alone, for media servers that come to it by `/v1/media`.
//!
//! When it ends, media servers and the media that flows through them are left alone.

use std::net::TcpListener;

use anyhow::Result;
use tidewire_gateway::limits::MEDIA_LEASE;
use tidewire_gateway::{Exchange, Gateway, media_routes};

use super::{Start, end, stop_http, until_told};
use crate::applications::Known;
use crate::health::{self, Readiness};
use crate::http::Server;
use crate::settings::ClusterSecret;
use crate::shutdown::Signals;
use crate::{metrics, tls};

pub(super) async fn serve(start: &Start, listener: TcpListener) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listening = listener.local_addr()?;
    let tls = tls::config(&start.settings.tls, &start.names(listening))?;

    let (exchange, link, events) = Exchange::start(MEDIA_LEASE, None);
    let known = Known::read(&start.settings)?;
    let gateway = Gateway::new(start.gateway_config(&known)?, link, events);
    // Ends with the runtime.
    drop(tokio::spawn(known.follow(gateway.clone())));
    let secret = start.settings.cluster_secret.as_ref().map(ClusterSecret::bytes);

    let readiness = Readiness::default();
    let routes = gateway
        .router()
        .merge(media_routes(exchange.clone(), secret))
        .merge(health::routes(readiness.clone()))
        .merge(metrics::routes([metrics::of_fleet(exchange), metrics::of_hall(gateway.clone())]));
    let mut server = Server::start(listener, tls, routes)?;
    readiness.begin();
    start.report(None, None, listening)?;

    let told = until_told(&mut signals, &mut server).await;
    readiness.end();
    if told.is_ok() {
        let in_order = async {
            gateway.shut_down();
            stop_http(server).await;
        };
        end(in_order, signals).await;
    }
    told
}
