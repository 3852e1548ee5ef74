//! One call: from the offer to keys, and then the transport that a publisher or a player stands on.
//!
//! [`Call::join`] blocks until SRTP keys are in or a deadline has passed. Afterwards the owner lends it datagrams (or asks
//! it to read them) and time; it answers with what arrived. It keeps consent fresh (RFC 7675) by a nominating binding
//! request every few seconds and notices when the server closes.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Runtime;

use super::answer::Answer;
use super::consent::{CONSENT_INTERVAL, Consent};
use super::dtls::{Association, Identity};
use super::http::{Endpoint, Session};
use super::join::{Joining, random_number, random_text, reachable};
use super::offer::{Direction, Offer, TransportLines};
use super::srtp::{Profile, Protection};
use super::stun::{Checks, Credentials};
use super::wire::{Protocol, receive_one, send, widen};

/// What all calls to one server share.
pub struct Client {
    pub endpoint: Endpoint,
    pub profile: Profile,
    local_ip: IpAddr,
    pub(super) identity: Identity,
    pub(super) runtime: Runtime,
}

impl Client {
    pub fn new(base: &str, token: &str, profile: Profile) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let local_ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Self { endpoint: Endpoint::new(base, token), profile, local_ip, identity: Identity::generate()?, runtime })
    }

    /// Calls from this address instead of loopback.
    pub fn from_address(mut self, local_ip: IpAddr) -> Self {
        self.local_ip = local_ip;
        self
    }

    /// Joins `channel` by WHIP or WHEP, whichever the offer's direction says.
    pub fn join(&self, channel: &str, offer: &Offer) -> Result<Call> {
        let path = match offer.direction {
            Direction::Send => format!("/whip/{channel}"),
            Direction::Receive => format!("/whep/{channel}"),
        };
        Call::join(self, &path, offer)
    }
}

/// How long the parts of a join took.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinTimes {
    pub http: Duration,
    pub ice: Duration,
    pub dtls: Duration,
}

/// What a datagram turned out to be.
#[derive(Debug)]
pub enum Arrival {
    /// A decrypted RTP packet.
    Rtp(Vec<u8>),
    /// A decrypted compound RTCP packet.
    Rtcp(Vec<u8>),
    /// STUN or DTLS: dealt with.
    Transport,
    /// Not what the server should have sent: does not decrypt, or is of no known protocol.
    Garbage,
}

/// A call whose keys are in.
pub struct Call {
    socket: UdpSocket,
    pub server: SocketAddr,
    pub answer: Answer,
    pub session: Session,
    pub cname: String,
    pub join_times: JoinTimes,
    /// Datagrams sent since the keys came in, DTLS not counted.
    pub datagrams_sent: u64,
    endpoint: Endpoint,
    protection: Protection,
    association: Association,
    consent: Consent,
    /// What arrived before the keys.
    early: VecDeque<Vec<u8>>,
}

impl Call {
    fn join(client: &Client, path: &str, offer: &Offer) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(client.local_ip, 0))?;
        widen(&socket)?;
        let local = Credentials { ufrag: random_text(8)?, password: random_text(24)? };
        let cname = random_text(16)?;
        let lines = TransportLines {
            credentials: &local,
            fingerprint: &client.identity.fingerprint,
            candidate: socket.local_addr()?,
            cname: &cname,
        };
        let started = Instant::now();
        let (session, answer) = client.endpoint.create(path, &offer.text(&lines))?;
        let answer = Answer::parse(&answer).with_context(|| format!("the answer to {path}"))?;
        let http = started.elapsed();
        ensure!(answer.setup == "passive", "a server that answers setup:{} to an actpass offer", answer.setup);
        ensure!(answer.media.len() == offer.sections.len(), "an answer with {} media sections", answer.media.len());
        let server = reachable(&answer.candidates, client.local_ip)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let checks = Checks { local, remote: answer.credentials.clone(), tie_breaker: random_number()? };
        let mut joining = Joining { consent: Consent::new(checks), socket, early: VecDeque::new() };
        joining.validate_path()?;
        let ice = started.elapsed() - http;
        let (protection, association) = joining.shake(client, answer.fingerprint.clone())?;
        let join_times = JoinTimes { http, ice, dtls: started.elapsed() - http - ice };
        let Joining { consent, socket, early } = joining;
        let endpoint = client.endpoint.clone();
        Ok(Self {
            socket,
            server,
            answer,
            session,
            cname,
            join_times,
            datagrams_sent: 0,
            endpoint,
            protection,
            association,
            consent,
            early,
        })
    }

    /// The socket, for whoever waits on it, sets options on it or forges datagrams from its address.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Reads and handles one datagram; `None` when there is none.
    pub fn receive(&mut self, now: Instant) -> Result<Option<Arrival>> {
        if let Some(datagram) = self.early.pop_front() {
            return Ok(Some(self.handle(now, &datagram)));
        }
        let mut buffer = [0; 2048];
        match receive_one(&self.socket, &mut buffer)? {
            Some(len) => Ok(Some(self.handle(now, &buffer[..len]))),
            None => Ok(None),
        }
    }

    /// Handles a datagram that the caller read from the socket.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Arrival {
        match Protocol::of(datagram) {
            Protocol::Stun => {
                self.consent.handle_response(now, datagram).map_or(Arrival::Garbage, |()| Arrival::Transport)
            }
            Protocol::Dtls => {
                self.association.feed(datagram);
                Arrival::Transport
            }
            Protocol::Rtp => self.protection.open_rtp(datagram).map_or(Arrival::Garbage, Arrival::Rtp),
            Protocol::Rtcp => self.protection.open_rtcp(datagram).map_or(Arrival::Garbage, Arrival::Rtcp),
            Protocol::Unknown => Arrival::Garbage,
        }
    }

    pub fn send_rtp(&mut self, packet: &[u8]) -> Result<()> {
        let sealed = self.protection.seal_rtp(packet)?;
        self.datagrams_sent += 1;
        send(&self.socket, sealed.as_ref())
    }

    pub fn send_rtcp(&mut self, packet: &[u8]) -> Result<()> {
        let sealed = self.protection.seal_rtcp(packet)?;
        self.datagrams_sent += 1;
        send(&self.socket, sealed.as_ref())
    }

    /// Renews consent when it is due.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        if now >= self.consent.next_request {
            self.datagrams_sent += 1;
            self.consent.send_request(now, &self.socket, CONSENT_INTERVAL)?;
        }
        Ok(())
    }

    /// A packet of this call as it would go out now, for tests that bend it: sealed, and never sent.
    pub fn sealed_sample(&mut self, packet: &[u8]) -> Result<Vec<u8>> {
        match Protocol::of(packet) {
            Protocol::Rtcp => Ok(self.protection.seal_rtcp(packet)?.as_ref().to_vec()),
            Protocol::Rtp | Protocol::Stun | Protocol::Dtls | Protocol::Unknown => {
                Ok(self.protection.seal_rtp(packet)?.as_ref().to_vec())
            }
        }
    }

    /// A binding request of this call, never sent.
    pub fn binding_request_sample(&self) -> Result<Vec<u8>> {
        Ok(self.consent.checks.request()?.0)
    }

    /// Whether binding requests have gone unanswered for long (RFC 7675 5.1 allows 30 s; nothing is lost on loopback).
    pub fn consent_age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.consent.answered)
    }

    /// Whether the server has closed DTLS.
    pub fn is_closed_by_server(&self) -> bool {
        self.association.is_closed()
    }

    /// Leaves in good order: DELETE, then close_notify (after which the server would know no such session). Returns
    /// DELETE's status.
    pub fn leave(self) -> Result<u16> {
        let status = self.endpoint.delete(&self.session)?;
        self.association.close()?;
        Ok(status)
    }

    /// Leaves by close_notify alone, as a page that is closed does.
    pub fn hang_up(self) -> Result<()> {
        self.association.close()
    }

    /// DELETE alone, so that a test sees how the server closes.
    pub fn delete(&self) -> Result<u16> {
        self.endpoint.delete(&self.session)
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
