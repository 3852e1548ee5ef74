//! Serves routes on a listener, plain or with TLS, until told to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use tokio::task::JoinHandle;

/// A running HTTP server.
#[derive(Debug)]
pub(crate) struct Server {
    handle: Handle<SocketAddr>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts to serve; must be called inside a tokio runtime.
    pub(crate) fn start(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        routes: Router,
    ) -> std::io::Result<Self> {
        let handle = Handle::new();
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        let task = match tls {
            None => {
                let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
                server.http_builder().http1().header_read_timeout(REQUEST_HEAD_MAX);
                tokio::spawn(server.serve(routes))
            }
            Some(config) => {
                let config = RustlsConfig::from_config(config);
                let mut server = axum_server::from_tcp_rustls(listener, config)?.handle(handle.clone());
                server.http_builder().http1().header_read_timeout(REQUEST_HEAD_MAX);
                tokio::spawn(server.serve(routes))
            }
        };
        Ok(Self { handle, task })
    }

    /// Waits until it ends of its own accord, which it does only when something is wrong.
    pub(crate) async fn ended(&mut self) -> std::io::Result<()> {
        (&mut self.task).await.map_err(std::io::Error::other)?
    }

    /// Takes no more connections, gives those that are there `patience` to end, and ends.
    pub(crate) async fn stop(mut self, patience: Duration) -> std::io::Result<()> {
        self.handle.graceful_shutdown(Some(patience));
        self.ended().await
    }
}

/// How long a client may take to send the head of a request.
const REQUEST_HEAD_MAX: Duration = Duration::from_secs(10);
