//! The boundary between pure machines and whatever drives them.
//!
//! A driver (a shard, the simulator, a bench) hands a machine datagrams, commands, handshake progress and the time;
//! the machine seals what it sends into egress that it was lent, and keeps events for the driver to poll.
//! Order of calls in one turn: `handle_command` and `handle_handshake` for each that waits, so that a client is known
//! before its first datagram is looked at, `handle` for each batch, `forward` until it says `Done` or its slice is over,
//! `handle_timeout` when `poll_timeout` has passed, or sooner so that what may wait is done along with what came; and
//! after each of them `poll_event` and `poll_handshake` until they are empty. Nothing else changes a machine.

use std::net::SocketAddr;
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::count::Tally;
use crate::handshake;
use crate::limits::BATCH_LEN_MAX;
use crate::time::Instant;

/// The way of a datagram: one of the shard's own sockets, and the other end's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Index of the local socket, in the order in which the shard bound them.
    pub local: u8,
    pub remote: SocketAddr,
}

/// One UDP payload, lent for the length of a call; decryption happens in place.
#[derive(Debug)]
pub struct Datagram<'a> {
    pub path: Path,
    /// When the kernel took it off the wire, on the driver's clock.
    pub arrival: Instant,
    pub bytes: &'a mut [u8],
}

/// What one wake-up brought, in order of arrival.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    datagrams: ArrayVec<Datagram<'a>, BATCH_LEN_MAX>,
}

impl<'a> Batch<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a datagram; gives it back when the batch is full.
    pub fn push(&mut self, datagram: Datagram<'a>) -> Result<(), Datagram<'a>> {
        self.datagrams.try_push(datagram).map_err(|full| full.element())
    }

    pub fn is_full(&self) -> bool {
        self.datagrams.is_full()
    }

    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Datagram<'a>> {
        self.datagrams.iter_mut()
    }

    pub fn clear(&mut self) {
        self.datagrams.clear();
    }
}

/// Where a machine writes what it sends. The backend decides where the bytes lie: a train, an iovec, a frame.
///
/// Datagrams for one path leave in the order in which they were committed.
pub trait Egress {
    /// Lends exactly `len` bytes for one datagram to `path`, or nothing when the backend has no room this turn.
    /// The content is unspecified. A reservation that is not committed is taken back by the next.
    fn reserve(&mut self, path: &Path, len: usize) -> Option<&mut [u8]>;

    /// Hands over the first `len` bytes of the last reservation.
    fn commit(&mut self, len: usize);

    /// Tells that the first bytes of `soon` will be read before long. A backend that knows its processor can have them
    /// fetched meanwhile; nothing else may come of it.
    #[inline]
    fn expect<T>(&self, _soon: &T) {}

    /// The same of what the pointers in `soon` lead to, `len` bytes from each: for a value that keeps its pointers to itself.
    #[inline]
    fn expect_behind<T>(&self, _soon: &T, _len: usize) {}

    /// Tells that media goes to this path from now on, whose other end has shown who it is. A backend can set something
    /// aside for it; what is sent, and from where, stays the same. A path is devoted once, until it is released.
    fn devote(&mut self, _path: &Path) {}

    /// Tells that a devoted path is one like any other again.
    fn release(&mut self, _path: &Path) {}
}

/// Whether a fan-out came to its end within its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// There is more: receive once, then call `forward` again without sleeping.
    More,
}

/// What one slice of a fan-out may cost before receiving is looked at again.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Packets that may be sealed in this slice; a slice ends at the first viewer that brings it over.
    pub packets_max: usize,
}

/// A pure machine that a shard drives.
pub trait Machine {
    type Command: Send + 'static;
    type Event: Send + 'static;

    /// First phase: authenticates, decrypts and accepts every datagram; answers what is answered at once.
    fn handle<E: Egress>(&mut self, now: Instant, batch: &mut Batch<'_>, egress: &mut E);

    fn handle_command<E: Egress>(&mut self, now: Instant, command: Self::Command, egress: &mut E);

    /// What a handshake thread has to say: records to send, keys, a failure.
    fn handle_handshake<E: Egress>(&mut self, now: Instant, progress: handshake::Progress, egress: &mut E);

    /// Runs every deadline up to `now`, and what may wait for `poll_timeout` but need not.
    fn handle_timeout<E: Egress>(&mut self, now: Instant, egress: &mut E);

    /// Second phase: forwards what was accepted, viewer by viewer, from where the last slice stopped.
    fn forward<E: Egress>(&mut self, now: Instant, budget: Budget, egress: &mut E) -> Progress;

    fn poll_event(&mut self) -> Option<Self::Event>;

    /// What the handshake threads are to be told.
    fn poll_handshake(&mut self) -> Option<handshake::Request>;

    /// The next moment at which `handle_timeout` has to be called though nothing else happens; `None` when nothing is pending.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Everything counted since the machine was made.
    fn tally(&self) -> &Tally;
}

/// A connection without an authenticated binding request for this long is gone (RFC 7675 5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
