//! One call: from the offer to keys, and then the transport that a publisher or a player stands on.
//!
//! [`Call::join`] blocks until SRTP keys are in or a deadline has passed. Afterwards the owner lends it datagrams (or asks
//! it to read them) and time; it answers with what arrived. It keeps consent fresh (RFC 7675) by a nominating binding
//! request every few seconds and notices when the server closes.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
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
use crate::{clock, machine};

/// What all calls to one server share.
pub struct Client {
    pub endpoint: Endpoint,
    pub profile: Profile,
    local_ip: IpAddr,
    pub(super) identity: Identity,
    pub(super) runtime: Arc<Runtime>,
}

impl Client {
    pub fn new(base: &str, token: &str, profile: Profile) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            // Behind what is planned to the microsecond, before those who wait for a handshake.
            .on_thread_start(machine::take_some_precedence)
            .build()?;
        let local_ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let identity = Identity::generate()?;
        Ok(Self { endpoint: Endpoint::new(base, token), profile, local_ip, identity, runtime: Arc::new(runtime) })
    }

    /// The same client with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            endpoint: self.endpoint.with_token(token),
            profile: self.profile,
            local_ip: self.local_ip,
            identity: self.identity.clone(),
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// Calls from this address instead of loopback.
    pub fn from_address(mut self, local_ip: IpAddr) -> Self {
        self.local_ip = local_ip;
        self
    }

    /// Joins `channel`, or `channel/media id`, by WHIP or WHEP, whichever the offer's direction says.
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
    /// When the join began, by the wall clock in nanoseconds.
    pub started_ns: u64,
    /// Datagrams sent since the keys came in, DTLS not counted.
    pub datagrams_sent: u64,
    protection: Protection,
    signalling: Option<Signalling>,
    /// What arrived before the keys.
    early: VecDeque<Vec<u8>>,
    /// The last sealed RTCP packet: its memory is used again.
    sealed: Vec<u8>,
}

/// What keeps a call and ends it. A call to the floor program has none.
struct Signalling {
    endpoint: Endpoint,
    association: Association,
    consent: Consent,
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
        let (started, started_ns) = (Instant::now(), clock::unix_ns());
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
            started_ns,
            datagrams_sent: 0,
            protection,
            signalling: Some(Signalling { endpoint, association, consent }),
            early,
            sealed: Vec::new(),
        })
    }

    /// A call over a connected socket whose keys were agreed on beforehand: everything offered counts as answered.
    pub fn without_signalling(
        socket: UdpSocket,
        protection: Protection,
        offer: &Offer,
        started_ns: u64,
    ) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let server = socket.peer_addr()?;
        Ok(Self {
            socket,
            server,
            answer: Answer::to_everything(offer, server),
            session: Session { url: String::new(), etag: None },
            cname: random_text(16)?,
            join_times: JoinTimes::default(),
            started_ns,
            datagrams_sent: 0,
            protection,
            signalling: None,
            early: VecDeque::new(),
            sealed: Vec::new(),
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
            Protocol::Stun | Protocol::Dtls => self
                .signalling
                .as_mut()
                .and_then(|signalling| signalling.handle(now, datagram))
                .map_or(Arrival::Garbage, |()| Arrival::Transport),
            Protocol::Rtp => self.protection.open_rtp(datagram).map_or(Arrival::Garbage, Arrival::Rtp),
            Protocol::Rtcp => self.protection.open_rtcp(datagram).map_or(Arrival::Garbage, Arrival::Rtcp),
            Protocol::Unknown => Arrival::Garbage,
        }
    }

    /// What arrived before the keys, for a caller that reads the socket itself.
    pub fn take_early(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.early)
    }

    pub fn send_rtp(&mut self, packet: &[u8]) -> Result<()> {
        let sealed = self.seal_rtp(packet)?;
        self.send_sealed(&sealed)
    }

    /// Seals a packet that goes later, by [`Self::send_sealed`].
    pub fn seal_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>> {
        Ok(self.protection.seal_rtp(packet)?.as_ref().to_vec())
    }

    pub fn send_sealed(&mut self, datagram: &[u8]) -> Result<()> {
        self.datagrams_sent += 1;
        send(&self.socket, datagram)
    }

    pub fn send_rtcp(&mut self, packet: &[u8]) -> Result<()> {
        self.protection.seal_rtcp(packet, &mut self.sealed)?;
        self.datagrams_sent += 1;
        send(&self.socket, &self.sealed)
    }

    /// Renews consent when it is due.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        if let Some(Signalling { consent, .. }) = &mut self.signalling
            && now >= consent.next_request
        {
            self.datagrams_sent += 1;
            consent.send_request(now, &self.socket, CONSENT_INTERVAL)?;
        }
        Ok(())
    }

    /// A packet of this call as it would go out now, for tests that bend it: sealed, and never sent.
    pub fn sealed_sample(&mut self, packet: &[u8]) -> Result<Vec<u8>> {
        match Protocol::of(packet) {
            Protocol::Rtcp => {
                let mut sealed = Vec::new();
                self.protection.seal_rtcp(packet, &mut sealed)?;
                Ok(sealed)
            }
            Protocol::Rtp | Protocol::Stun | Protocol::Dtls | Protocol::Unknown => self.seal_rtp(packet),
        }
    }

    /// A binding request of this call, never sent.
    pub fn binding_request_sample(&self) -> Result<Vec<u8>> {
        Ok(self.signalling()?.consent.checks.request()?.0)
    }

    /// Whether binding requests have gone unanswered for long (RFC 7675 5.1 allows 30 s; nothing is lost on loopback).
    pub fn consent_age(&self, now: Instant) -> Duration {
        let answered = self.signalling.as_ref().map(|signalling| signalling.consent.answered);
        answered.map_or(Duration::ZERO, |answered| now.saturating_duration_since(answered))
    }

    /// Whether the server has closed DTLS.
    pub fn is_closed_by_server(&self) -> bool {
        self.signalling.as_ref().is_some_and(|signalling| signalling.association.is_closed())
    }

    /// Leaves in good order: DELETE, then close_notify (after which the server would know no such session). Returns
    /// DELETE's status.
    pub fn leave(self) -> Result<u16> {
        let status = self.delete()?;
        self.hang_up()?;
        Ok(status)
    }

    /// Leaves by close_notify alone, as a page that is closed does.
    pub fn hang_up(self) -> Result<()> {
        self.signalling()?.association.close()
    }

    /// DELETE alone, so that a test sees how the server closes.
    pub fn delete(&self) -> Result<u16> {
        self.signalling()?.endpoint.delete(&self.session)
    }

    fn signalling(&self) -> Result<&Signalling> {
        self.signalling.as_ref().context("a call without signalling")
    }
}

impl Signalling {
    /// STUN or DTLS; `None` when it is not for us.
    fn handle(&mut self, now: Instant, datagram: &[u8]) -> Option<()> {
        if Protocol::of(datagram) == Protocol::Stun {
            return self.consent.handle_response(now, datagram).ok();
        }
        self.association.feed(datagram);
        Some(())
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
