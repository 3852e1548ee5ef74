//! One client's DTLS association, without a thread, a queue or a clock of its own.
//!
//! Datagrams and the time go in; records to send, the SRTP keys (once) and the end (once) come out. The engine beneath is
//! dimpl, whose every error is the end of its object; this module decides what such an end means. Until the keys are in,
//! a datagram that breaks the handshake only starts it afresh, a bounded number of times, so that no wrong ClientHello
//! ends a session by itself; afterwards the media goes on, for it needs the association no more.
//! It does not know the path, and leaves consent (RFC 7675) to ICE.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Error, KeyingMaterial, Output, SecurityError, SrtpProfile};
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::handshake::{EndReason, Fingerprint, Profile, Progress, SrtpKeys};
use tidewire_core::id::ConnectionId;
use tidewire_core::limits::{DATAGRAM_LEN_MAX, HANDSHAKE_DATAGRAMS_BURST, HANDSHAKE_RESTARTS_MAX};

use super::Versions;
use super::identity::{Identity, fingerprint_of};
use super::outline::Outline;

/// What every association of the pool is made from.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    versions: Versions,
}

impl Recipe {
    pub(super) fn new(identity: &Identity, versions: Versions) -> io::Result<Self> {
        let config = Config::builder()
            // ICE has validated the client's address, so a cookie would only cost a round trip.
            .use_server_cookie(false)
            .mtu(RECORDS_LEN_MAX)
            .flight_start_rto(FLIGHT_TIMEOUT)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(HANDSHAKE_TIMEOUT)
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { config: Arc::new(config), certificate: identity.certificate.clone(), versions })
    }

    fn server(&self, now: Instant) -> Dtls {
        let (config, certificate) = (Arc::clone(&self.config), self.certificate.clone());
        match self.versions {
            Versions::Dtls12 => Dtls::new_12(config, certificate, now),
            Versions::Dtls13 => Dtls::new_auto(config, certificate, now),
        }
    }
}

/// What an association is lent for the length of one call.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) recipe: &'a Recipe,
    pub(super) progress: &'a mut Vec<Progress>,
    pub(super) tally: &'a mut Tally,
}

pub(super) struct Association {
    connection: ConnectionId,
    /// What the client's description promised.
    expected: Fingerprint,
    engine: Dtls,
    phase: Phase,
    /// The random of the ClientHello that the engine is at.
    hello: Option<[u8; 32]>,
    /// What the client has shown; proven to be its own once the engine says `Connected`.
    shown: Option<Fingerprint>,
    restarts_left: u8,
    /// Set by the first datagram.
    expiry: Option<Instant>,
    /// When the engine wants to be called.
    timer: Option<Instant>,
    allowance: Allowance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until the keys are in.
    Handshake,
    /// The keys are in; the last flight may have to be repeated, and the client may say goodbye.
    Established,
    /// The keys are in, the engine failed: the session lives on, and ends by ICE or signalling.
    Deaf,
    Over,
}

impl Association {
    pub(super) fn new(connection: ConnectionId, expected: Fingerprint, turn: &mut Turn<'_>) -> Self {
        turn.tally.count(Counter::HandshakesStarted);
        Self {
            connection,
            expected,
            engine: turn.recipe.server(turn.now),
            phase: Phase::Handshake,
            hello: None,
            shown: None,
            restarts_left: HANDSHAKE_RESTARTS_MAX,
            expiry: None,
            timer: None,
            allowance: Allowance::new(turn.now),
        }
    }

    pub(super) fn handle(&mut self, turn: &mut Turn<'_>, bytes: &[u8]) -> Result<(), Discard> {
        let outline = Outline::of(bytes, turn.recipe.versions).ok_or(Discard::DtlsUnexpected)?;
        if self.phase == Phase::Deaf || !self.allowance.take(turn.now) {
            return Err(Discard::DtlsUnexpected);
        }
        self.expiry.get_or_insert(turn.now + HANDSHAKE_TIMEOUT);
        self.follow(turn, outline);
        self.drive(turn, |engine| engine.handle_packet(bytes));
        Ok(())
    }

    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Handshake && self.expiry.is_some_and(|expiry| turn.now >= expiry) {
            return self.end(turn, EndReason::HandshakeTimeout);
        }
        self.drive(turn, |_| Ok(()));
    }

    /// Says goodbye, if the client can understand it.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Established {
            self.drive(turn, Dtls::close);
        }
        self.phase = Phase::Over;
    }

    /// When `handle_timeout` wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Handshake => self.timer.into_iter().chain(self.expiry).min(),
            Phase::Established => self.timer,
            Phase::Deaf | Phase::Over => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Lets the newest hello win until the keys are in: whoever sent an earlier one, a client waits for an answer to
    /// the last. It repeats the fragments of its hello that were lost on the way here.
    fn follow(&mut self, turn: &mut Turn<'_>, outline: Outline) {
        let Some(random) = outline.hello.filter(|_| self.phase == Phase::Handshake) else { return };
        if self.hello.is_some_and(|known| known != random) {
            self.restart(turn, EndReason::HandshakeFailed);
        }
        self.hello = Some(random);
    }

    /// Brings the engine up to the time, lets it act, and takes everything that it has to say.
    fn drive(&mut self, turn: &mut Turn<'_>, act: impl FnOnce(&mut Dtls) -> Result<(), Error>) {
        if !matches!(self.phase, Phase::Handshake | Phase::Established) {
            return;
        }
        let acted = self.engine.handle_timeout(turn.now).and_then(|()| act(&mut self.engine));
        match acted {
            Ok(()) => self.drain(turn),
            Err(error) => self.fail(turn, &error),
        }
    }

    fn drain(&mut self, turn: &mut Turn<'_>) {
        let mut buffer = [0; DATAGRAM_LEN_MAX];
        let mut keys = None;
        let mut connected = false;
        loop {
            match self.engine.poll_output(&mut buffer) {
                Output::Packet(bytes) => {
                    turn.tally.count(Counter::DtlsSent);
                    turn.progress.push(Progress::Records { connection: self.connection, bytes: bytes.into() });
                }
                Output::PeerCert(der) => self.shown = Some(fingerprint_of(der)),
                Output::Connected => connected = true,
                Output::KeyingMaterial(material, profile) => keys = keys_from(&material, profile),
                // There are no data channels yet.
                Output::ApplicationData(_) => turn.tally.discard(Discard::DtlsUnexpected),
                Output::CloseNotify => return self.end(turn, EndReason::PeerClosed),
                Output::Timeout(at) => {
                    self.timer = Some(at);
                    break;
                }
                // Too small a buffer for what the recipe limits, or an output that the engine had not when this was written.
                _ => return self.end(turn, EndReason::HandshakeFailed),
            }
        }
        if connected {
            self.establish(turn, keys);
        }
    }

    fn establish(&mut self, turn: &mut Turn<'_>, keys: Option<SrtpKeys>) {
        // RFC 8827 6.5: without the promised certificate there is no session, and no keys.
        if self.shown != Some(self.expected) {
            return self.end(turn, EndReason::WrongFingerprint);
        }
        let Some(keys) = keys else {
            return self.end(turn, EndReason::HandshakeFailed);
        };
        self.phase = Phase::Established;
        turn.tally.count(Counter::HandshakesCompleted);
        turn.progress.push(Progress::Keys { connection: self.connection, keys });
    }

    /// The engine is dead. Whether the session is too depends on how far it was.
    fn fail(&mut self, turn: &mut Turn<'_>, error: &Error) {
        tracing::debug!(connection = ?self.connection, phase = ?self.phase, %error, "DTLS failed");
        match (self.phase, error) {
            (Phase::Handshake, Error::Timeout(_)) => self.end(turn, EndReason::HandshakeTimeout),
            (Phase::Handshake, _) => self.restart(turn, EndReason::HandshakeFailed),
            // Alerts count only when they are authenticated, once the keys are in.
            (_, Error::SecurityError(SecurityError::FatalAlert { .. })) => self.end(turn, EndReason::PeerClosed),
            (_, _) => self.phase = Phase::Deaf,
        }
    }

    /// Waits for a hello anew, or ends for `reason` when that has happened too often.
    fn restart(&mut self, turn: &mut Turn<'_>, reason: EndReason) {
        let Some(left) = self.restarts_left.checked_sub(1) else {
            return self.end(turn, reason);
        };
        self.restarts_left = left;
        turn.tally.count(Counter::HandshakesRestarted);
        self.engine = turn.recipe.server(turn.now);
        (self.hello, self.shown, self.timer) = (None, None, None);
    }

    pub(super) fn end(&mut self, turn: &mut Turn<'_>, reason: EndReason) {
        if self.phase == Phase::Handshake {
            turn.tally.count(Counter::HandshakesFailed);
        }
        self.phase = Phase::Over;
        turn.progress.push(Progress::Ended { connection: self.connection, reason });
    }
}

/// How many datagrams an association may still cost: a burst, and a few a second from then on.
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: HANDSHAKE_DATAGRAMS_BURST, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        while self.left < HANDSHAKE_DATAGRAMS_BURST && now.saturating_duration_since(self.since) >= ALLOWANCE_INTERVAL {
            self.left += 1;
            self.since += ALLOWANCE_INTERVAL;
        }
        if self.left == HANDSHAKE_DATAGRAMS_BURST {
            self.since = now;
        }
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or(0);
        taken.is_some()
    }
}

fn keys_from(material: &KeyingMaterial, profile: SrtpProfile) -> Option<SrtpKeys> {
    let profile = match profile {
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1_80,
        _ => return None,
    };
    SrtpKeys::for_server(profile, material)
}

/// Fits every path that carries IPv6, with room for a tunnel's header.
const RECORDS_LEN_MAX: usize = 1200;

/// From a client's first DTLS datagram to its keys. A phone on a bad network that needs longer starts again.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// RFC 9147 5.8.2 wants less than its second where latency matters. It doubles from here.
const FLIGHT_TIMEOUT: Duration = Duration::from_millis(100);

/// 100 ms doubled eight times is more than `HANDSHAKE_TIMEOUT`, which therefore decides.
const FLIGHT_RETRIES: usize = 8;

/// Sixteen datagrams a second: repeated flights, a goodbye.
const ALLOWANCE_INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 16);
