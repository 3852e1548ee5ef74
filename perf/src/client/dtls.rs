//! The DTLS end of a call, with webrtc-dtls as a client: it hands back SRTP keying material and tells when the peer closed.
//!
//! webrtc-dtls is async and wants tokio; the call that owns the socket is neither. So datagrams go in through a bounded
//! queue, records leave straight through the (connected, non-blocking) socket, and outcomes wait until they are asked for.
//! RFC 6347, RFC 5764; the certificate is checked against the answer's fingerprint (RFC 8122).

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use webrtc_dtls::config::{Config, ExtendedMasterSecretType};
use webrtc_dtls::conn::DTLSConn;
use webrtc_dtls::crypto::Certificate;
use webrtc_util::KeyingMaterialExporter as _;
use webrtc_util::conn::Conn;

use super::srtp::{Profile, Protection};

/// Our certificate, and its fingerprint as SDP writes it.
#[derive(Clone)]
pub struct Identity {
    certificate: Certificate,
    pub fingerprint: String,
}

impl Identity {
    pub fn generate() -> Result<Self> {
        // Of several providers in one build rustls would refuse to choose. Installing twice is no error to us.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let certificate = Certificate::generate_self_signed(vec!["tidewire-load".to_owned()])?;
        let der = certificate.certificate.first().context("a certificate without a body")?;
        let hex: Vec<String> = sha256(der).iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self { certificate, fingerprint: hex.join(":") })
    }
}

/// A handshake on its way.
pub struct Handshake {
    incoming: mpsc::Sender<Vec<u8>>,
    outcome: oneshot::Receiver<Result<(Protection, Arc<DTLSConn>)>>,
    /// Readable once there is an outcome.
    pub done: Arc<EventFd>,
    closed: Arc<AtomicBool>,
    runtime: Handle,
}

/// DTLS after its handshake: kept for close_notify in either direction.
pub struct Association {
    incoming: mpsc::Sender<Vec<u8>>,
    connection: Arc<DTLSConn>,
    closed: Arc<AtomicBool>,
    runtime: Handle,
}

impl Handshake {
    /// Sends the ClientHello through `socket`, which is connected to the server.
    pub fn start(
        runtime: &Handle,
        socket: UdpSocket,
        identity: &Identity,
        profile: Profile,
        fingerprint: Vec<u8>,
    ) -> Result<Self> {
        let (incoming, datagrams) = mpsc::channel(DATAGRAMS_MAX);
        let (tell, outcome) = oneshot::channel();
        let closed = Arc::new(AtomicBool::new(false));
        let pipe = Arc::new(Pipe { socket, datagrams: Mutex::new(datagrams) });
        let config = config(identity, profile, fingerprint);
        let flag = Arc::clone(&closed);
        let done = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?);
        let bell = Arc::clone(&done);
        runtime.spawn(async move {
            let result = shake(pipe, config, profile).await;
            let connection = result.as_ref().ok().map(|(_, connection)| Arc::clone(connection));
            let is_awaited = tell.send(result).is_ok();
            // A bell that cannot be rung is noticed a little later, by the clock.
            bell.write(1).map(drop).unwrap_or_default();
            drop(bell);
            if is_awaited && let Some(connection) = connection {
                watch(&connection, &flag).await;
            }
        });
        Ok(Self { incoming, outcome, done, closed, runtime: runtime.clone() })
    }

    /// Hands over a DTLS datagram; beyond the queue's bound it is lost, as on a network.
    pub fn feed(&self, datagram: &[u8]) {
        feed(&self.incoming, datagram);
    }

    /// The keys, once they are there.
    pub fn poll(&mut self) -> Option<Result<(Protection, Association)>> {
        match self.outcome.try_recv() {
            Ok(Ok((protection, connection))) => {
                let association = Association {
                    incoming: self.incoming.clone(),
                    connection,
                    closed: Arc::clone(&self.closed),
                    runtime: self.runtime.clone(),
                };
                Some(Ok((protection, association)))
            }
            Ok(Err(error)) => Some(Err(error)),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => {
                Some(Err(anyhow::anyhow!("the handshake task ended without a result")))
            }
        }
    }
}

impl Association {
    pub fn feed(&self, datagram: &[u8]) {
        feed(&self.incoming, datagram);
    }

    /// Whether the server has sent close_notify or a fatal alert.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Sends close_notify.
    pub fn close(&self) -> Result<()> {
        let connection = Arc::clone(&self.connection);
        self.runtime.block_on(async move { tokio::time::timeout(CLOSE_LIMIT, connection.close()).await })??;
        Ok(())
    }
}

fn feed(queue: &mpsc::Sender<Vec<u8>>, datagram: &[u8]) {
    // A full or closed queue is a lost datagram, which DTLS repairs.
    queue.try_send(datagram.to_vec()).unwrap_or_default();
}

async fn shake(pipe: Arc<Pipe>, config: Config, profile: Profile) -> Result<(Protection, Arc<DTLSConn>)> {
    let connection = tokio::time::timeout(HANDSHAKE_LIMIT, DTLSConn::new(pipe, config, true, None)).await??;
    let agreed = connection.selected_srtpprotection_profile();
    ensure!(agreed == profile.for_dtls(), "DTLS agreed on SRTP profile {agreed:?}, not on {}", profile.name());
    let state = connection.connection_state().await;
    let block = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.keying_len()).await?;
    Ok((Protection::from_exported(profile, &block)?, Arc::new(connection)))
}

/// Reads until the peer closes. Application data is nobody's business here.
async fn watch(connection: &DTLSConn, closed: &AtomicBool) {
    let mut buffer = vec![0; 2048];
    while connection.read(&mut buffer, None).await.is_ok() {}
    closed.store(true, Ordering::Release);
}

fn config(identity: &Identity, profile: Profile, fingerprint: Vec<u8>) -> Config {
    Config {
        certificates: vec![identity.certificate.clone()],
        srtp_protection_profiles: vec![profile.for_dtls()],
        extended_master_secret: ExtendedMasterSecretType::Require,
        // libwebrtc's first retransmission; the default of a second would make a lost flight look like a slow server.
        flight_interval: Duration::from_millis(50),
        // There is no chain to verify (RFC 8122): the certificate must be the one that the answer promised.
        insecure_skip_verify: true,
        verify_peer_certificate: Some(Arc::new(move |chain, _| {
            let presented = chain.first().is_some_and(|der| sha256(der) == fingerprint);
            if presented {
                Ok(())
            } else {
                Err(webrtc_dtls::Error::Other("certificate is not the answer's".to_owned()))
            }
        })),
        ..Config::default()
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

/// The transport that webrtc-dtls sees.
struct Pipe {
    socket: UdpSocket,
    datagrams: Mutex<mpsc::Receiver<Vec<u8>>>,
}

type UtilResult<T> = std::result::Result<T, webrtc_util::Error>;

#[async_trait]
impl Conn for Pipe {
    async fn connect(&self, _: SocketAddr) -> UtilResult<()> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> UtilResult<usize> {
        let datagram =
            self.datagrams.lock().await.recv().await.ok_or_else(|| webrtc_util::Error::Other("closed".to_owned()))?;
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> UtilResult<(usize, SocketAddr)> {
        Ok((self.recv(buffer).await?, self.socket.peer_addr()?))
    }

    async fn send(&self, buffer: &[u8]) -> UtilResult<usize> {
        Ok(self.socket.send(buffer)?)
    }

    async fn send_to(&self, buffer: &[u8], _: SocketAddr) -> UtilResult<usize> {
        self.send(buffer).await
    }

    fn local_addr(&self) -> UtilResult<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()
    }

    async fn close(&self) -> UtilResult<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// Datagrams that wait for the DTLS task: more than any handshake sends.
const DATAGRAMS_MAX: usize = 64;

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(8);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
