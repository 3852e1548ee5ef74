//! The boundary between a shard and the kernel's packet interfaces.
//!
//! A `PacketIo` lends received datagrams in its own receive slots together with its other half, the egress into which the
//! machine seals; so the two phases of a packet touch each byte once. It waits, counts, and hides every system call.
//! It knows nothing of machines. Order of calls: `collect` or `wait`, `receive` until it lends no datagram, `flush`.

pub(crate) mod epoll;
pub(crate) mod outbox;
pub(crate) mod slots;
pub(crate) mod uring;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use tidewire_core::machine::{Batch, Egress};
use tidewire_core::time::Instant;

use crate::count::IoTally;

/// One way of moving datagrams between a shard's sockets and its machine.
pub(crate) trait PacketIo {
    type Egress: Egress;

    /// The local addresses, in the order of `Path::local`.
    fn addresses(&self) -> &[SocketAddr];

    /// Learns what has come without waiting; hands over what was flushed.
    fn collect(&mut self);

    /// Fills `batch` with datagrams, which stay where the kernel put them, and lends the egress beside them. An empty
    /// batch says that everything collected has been lent. The next call takes back what this one lent.
    fn receive<'a>(&'a mut self, now: Instant, batch: &mut Batch<'a>) -> &'a mut Self::Egress;

    fn egress(&mut self) -> &mut Self::Egress;

    /// Makes sure that what was committed is handed to the kernel with the next `collect`, `wait` or `doze` at the latest.
    fn flush(&mut self);

    /// Hands over what was flushed, then sleeps until something comes, the waker rings, or `timeout` has passed.
    fn wait(&mut self, timeout: Option<Duration>);

    /// For a driver that sleeps elsewhere: a descriptor that turns readable when `collect` would find something.
    /// `None` when there is something already.
    fn doze(&mut self) -> Option<RawFd>;

    /// The opposite of `doze`, after sleeping.
    fn rouse(&mut self);

    /// Counts what only the kernel knows. To be called now and then.
    fn survey(&mut self);

    fn tally(&self) -> &IoTally;

    fn tally_mut(&mut self) -> &mut IoTally;
}
