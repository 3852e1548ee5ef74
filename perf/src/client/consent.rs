//! Consent to send (RFC 7675): nominating binding requests on the one pair that there is, and when they were last answered.
//!
//! The requests that make the path valid and those that keep it so are the same; only their pace differs, and the caller
//! sets it.

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::stun::Checks;
use super::wire::send;

/// The state of binding requests on the one pair there is.
pub(super) struct Consent {
    pub(super) checks: Checks,
    /// Requests that were not answered yet, oldest first.
    awaited: VecDeque<[u8; 12]>,
    pub(super) next_request: Instant,
    pub(super) answered: Instant,
}

impl Consent {
    pub(super) fn new(checks: Checks) -> Self {
        let now = Instant::now();
        Self { checks, awaited: VecDeque::new(), next_request: now, answered: now }
    }

    pub(super) fn send_request(&mut self, now: Instant, socket: &UdpSocket, interval: Duration) -> Result<()> {
        let (request, transaction) = self.checks.request()?;
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back(transaction);
        self.next_request = now + interval;
        send(socket, &request)
    }

    pub(super) fn handle_response(&mut self, now: Instant, bytes: &[u8]) -> Result<()> {
        let (transaction, _) = self.checks.response(bytes, self.awaited.make_contiguous())?;
        self.awaited.retain(|awaited| *awaited != transaction);
        self.answered = now;
        Ok(())
    }
}

/// RFC 7675 5.1 wants one about every 5 s; browsers send twice as often.
pub(super) const CONSENT_INTERVAL: Duration = Duration::from_millis(2500);

/// Requests without an answer that are still recognised.
const AWAITED_MAX: usize = 8;
