//! A virtual client's transport: it checks its path, stands in for a DTLS client, and opens and seals with given keys.

use std::net::SocketAddr;
use std::time::Duration;

use crate::demux::{self, Class};
use crate::handshake::SrtpKeys;
use crate::negotiate::Credentials;
use crate::rtp::Header;
use crate::srtp::{Inbound, Outbound};
use crate::stun::{Request, Response, Role};
use crate::time::Instant;

const CHECK_INTERVAL: Duration = Duration::from_millis(50);
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// What a peer's datagram turned out to be.
#[derive(Debug)]
pub enum Heard {
    /// A decrypted RTP packet: its header, its extended sequence number, and the whole of it.
    Rtp(Header, u64, Vec<u8>),
    /// A decrypted RTCP datagram.
    Rtcp(Vec<u8>),
    /// Part of the transport's own talk, or refused.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Checking,
    /// The path is validated; hellos go out.
    Greeting,
    Connected,
    Silent,
}

/// See the module's description.
pub struct Peer {
    pub address: SocketAddr,
    pub server: SocketAddr,
    local: Credentials,
    remote: Credentials,
    /// As the server is to have them.
    pub keys: SrtpKeys,
    inbound: Inbound,
    outbound: Outbound,
    stage: Stage,
    next_check: Instant,
    next_hello: Instant,
    checks: u64,
    pub outbox: Vec<Vec<u8>>,
    /// Packets that failed authentication or came twice, by whatever fault.
    pub refused: u64,
}

impl Peer {
    /// `remote` are the server's credentials, `keys` the server's view of what DTLS would have agreed on.
    pub fn new(
        address: SocketAddr,
        server: SocketAddr,
        local: Credentials,
        remote: Credentials,
        keys: SrtpKeys,
    ) -> Self {
        Self {
            address,
            server,
            local,
            remote,
            inbound: Inbound::new(keys.profile, &keys.outbound),
            outbound: Outbound::new(keys.profile, &keys.inbound),
            keys,
            stage: Stage::Checking,
            next_check: Instant::ORIGIN,
            next_hello: Instant::ORIGIN,
            checks: 0,
            outbox: Vec::new(),
            refused: 0,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    /// Takes new credentials of both ends (RFC 8445 9), and checks its path anew at its next turn.
    pub fn restart(&mut self, local: Credentials, remote: Credentials) {
        (self.local, self.remote) = (local, remote);
        self.next_check = Instant::ORIGIN;
    }

    /// Its network has given it another address; it checks the new path at its next turn.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.address = address;
        self.next_check = Instant::ORIGIN;
    }

    /// A stream has ended: its place is another's.
    pub fn forget(&mut self, ssrc: u32) {
        self.inbound.forget(ssrc);
    }

    /// Says and answers nothing any more, as if its machine were gone.
    pub fn fall_silent(&mut self) {
        self.stage = Stage::Silent;
    }

    pub fn handle(&mut self, bytes: &mut [u8]) -> Heard {
        match demux::classify(bytes) {
            Ok(Class::Stun) => self.hear_answer(bytes),
            // Any record of the server's ends the pretended handshake.
            Ok(Class::Dtls) if self.stage == Stage::Greeting => self.stage = Stage::Connected,
            Ok(Class::Rtp) => return self.hear_rtp(bytes),
            Ok(Class::Rtcp) => match self.inbound.open_rtcp(bytes) {
                Ok(len) => return Heard::Rtcp(bytes[..len].to_vec()),
                Err(_) => self.refused += 1,
            },
            Ok(Class::Dtls) | Err(_) => {}
        }
        Heard::Nothing
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stage == Stage::Silent {
            return;
        }
        if self.next_check <= now {
            let connected = self.stage == Stage::Connected;
            self.next_check = now + if connected { CONSENT_INTERVAL } else { CHECK_INTERVAL };
            self.check();
        }
        if self.stage == Stage::Greeting && self.next_hello <= now {
            self.next_hello = now + CHECK_INTERVAL;
            // A handshake record in form; the world knows by its source whose it is.
            self.outbox.push(vec![22, 254, 253, 0, 0]);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Silent => None,
            Stage::Greeting => Some(self.next_check.min(self.next_hello)),
            Stage::Checking | Stage::Connected => Some(self.next_check),
        }
    }

    /// Seals and sends an RTP packet whose header takes the first `header_len` bytes.
    pub fn send_rtp(&mut self, index: u64, header_len: usize, packet: &[u8]) {
        let mut out = vec![0; packet.len() + self.outbound.rtp_overhead()];
        out[..packet.len()].copy_from_slice(packet);
        if self.outbound.seal_rtp_in_place(index, header_len, packet.len() - header_len, &mut out).is_ok() {
            self.outbox.push(out);
        }
    }

    pub fn send_rtcp(&mut self, packet: &[u8]) {
        let mut out = vec![0; packet.len() + self.outbound.rtcp_overhead()];
        out[..packet.len()].copy_from_slice(packet);
        if self.outbound.seal_rtcp(packet.len(), &mut out).is_ok() {
            self.outbox.push(out);
        }
    }

    fn check(&mut self) {
        self.checks += 1;
        let mut transaction = [0; 12];
        transaction[4..].copy_from_slice(&self.checks.to_be_bytes());
        let request = Request {
            transaction,
            receiver_ufrag: &self.remote.ufrag,
            sender_ufrag: &self.local.ufrag,
            priority: 1,
            role: Role::Controlling(7),
            use_candidate: true,
        };
        let mut out = [0; 640];
        if let Some(len) = request.write(self.remote.password.as_bytes(), &mut out) {
            self.outbox.push(out[..len].to_vec());
        }
    }

    fn hear_answer(&mut self, bytes: &[u8]) {
        let answer = Response::parse(bytes);
        if answer.is_ok_and(|answer| answer.verify(self.remote.password.as_bytes()).is_ok())
            && self.stage == Stage::Checking
        {
            self.stage = Stage::Greeting;
        }
    }

    fn hear_rtp(&mut self, bytes: &mut [u8]) -> Heard {
        let Ok(header) = Header::parse(bytes) else { return Heard::Nothing };
        match self.inbound.open_rtp(&header, bytes) {
            Ok(opened) => Heard::Rtp(header, opened.index, bytes[..opened.len].to_vec()),
            Err(_) => {
                self.refused += 1;
                Heard::Nothing
            }
        }
    }
}
