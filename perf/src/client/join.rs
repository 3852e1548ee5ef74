//! The way from an answered offer to keys: a path that is validated, then DTLS over it.
//!
//! Blocks, by waiting on the socket, until done or a deadline has passed. SRTP that comes before the keys is kept for the call.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::call::Client;
use super::consent::{CONSENT_INTERVAL, Consent};
use super::dtls::{Association, Handshake};
use super::srtp::Protection;
use super::wait;
use super::wire::{Protocol, receive_one};

/// A call without keys.
pub(super) struct Joining {
    pub(super) socket: UdpSocket,
    pub(super) consent: Consent,
    pub(super) early: VecDeque<Vec<u8>>,
}

impl Joining {
    /// Sends nominating checks until one is answered.
    pub(super) fn validate_path(&mut self) -> Result<()> {
        let deadline = Instant::now() + JOIN_LIMIT;
        let started = Instant::now();
        self.consent.answered = started;
        while Instant::now() < deadline {
            let now = Instant::now();
            if now >= self.consent.next_request {
                self.consent.send_request(now, &self.socket, CHECK_INTERVAL)?;
            }
            wait::one_readable(&self.socket, CHECK_INTERVAL)?;
            let mut buffer = [0; 2048];
            while let Some(len) = receive_one(&self.socket, &mut buffer)? {
                if Protocol::of(&buffer[..len]) == Protocol::Stun {
                    self.consent.handle_response(Instant::now(), &buffer[..len])?;
                    self.consent.next_request = Instant::now() + CONSENT_INTERVAL;
                    return Ok(());
                }
            }
        }
        bail!("no answer to binding requests within {JOIN_LIMIT:?}")
    }

    pub(super) fn shake(&mut self, client: &Client, fingerprint: Vec<u8>) -> Result<(Protection, Association)> {
        let runtime = client.runtime.handle();
        let mut handshake =
            Handshake::start(runtime, self.socket.try_clone()?, &client.identity, client.profile, fingerprint)?;
        let deadline = Instant::now() + JOIN_LIMIT;
        while Instant::now() < deadline {
            if let Some(outcome) = handshake.poll() {
                return outcome;
            }
            wait::readable([self.socket.as_fd(), handshake.done.as_fd()], CHECK_INTERVAL)?;
            self.feed(&handshake)?;
        }
        bail!("no DTLS association within {JOIN_LIMIT:?}")
    }

    fn feed(&mut self, handshake: &Handshake) -> Result<()> {
        let mut buffer = [0; 2048];
        while let Some(len) = receive_one(&self.socket, &mut buffer)? {
            match Protocol::of(&buffer[..len]) {
                Protocol::Dtls => handshake.feed(&buffer[..len]),
                Protocol::Stun => self.consent.handle_response(Instant::now(), &buffer[..len])?,
                Protocol::Rtp | Protocol::Rtcp => self.keep(&buffer[..len]),
                Protocol::Unknown => {}
            }
        }
        Ok(())
    }

    /// The oldest goes first: what is kept has no holes.
    fn keep(&mut self, datagram: &[u8]) {
        if self.early.len() == EARLY_MAX {
            self.early.pop_front();
        }
        self.early.push_back(datagram.to_vec());
    }
}

/// The candidate at our own address if there is one, else any of our family.
pub(super) fn reachable(candidates: &[SocketAddr], local: IpAddr) -> Result<SocketAddr> {
    let of_family = || candidates.iter().filter(|candidate| candidate.is_ipv4() == local.is_ipv4());
    of_family()
        .find(|candidate| candidate.ip() == local)
        .or_else(|| of_family().next())
        .copied()
        .context("no candidate within reach")
}

/// Characters that ICE allows (RFC 8839 5.4).
pub(super) fn random_text(len: usize) -> Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; len];
    SystemRandom::new().fill(&mut bytes).ok().context("no randomness")?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect())
}

pub(super) fn random_number() -> Result<u64> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok().context("no randomness")?;
    Ok(u64::from_be_bytes(bytes))
}

/// Each of the two steps.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// RFC 8445 14.2: Ta.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Packets kept from before the keys: a large key frame.
const EARLY_MAX: usize = 512;
