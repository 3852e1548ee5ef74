//! The boundary between forwarding and the two ways of talking to the kernel, and the receive slots they share.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::RawFd;
use std::rc::Rc;

use crate::memory::Memory;
use crate::outgoing::Outgoing;

pub(crate) trait Carrier {
    /// The memory in which arrivals lie.
    fn slots(&self) -> Rc<Memory>;

    /// Makes a socket known by its number, the next after the last; the listening one is 0 and known already.
    fn adopt(&mut self, number: u32, socket: RawFd) -> io::Result<()>;

    /// One wake-up: hands over what is still to be sent, sleeps until something has come, takes all of it.
    ///
    /// What arrived before is given up: its slots may be written over.
    fn exchange(&mut self, outgoing: &mut Outgoing, arrivals: &mut Vec<Arrival>) -> io::Result<()>;

    /// Hands over what is to be sent. On return the kernel holds no pointer into it.
    fn send(&mut self, outgoing: &mut Outgoing) -> io::Result<()>;
}

/// A datagram in its slot; one that is too long for it has length 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) source: SocketAddrV4,
    /// Its place among all slots.
    pub(crate) start: usize,
    pub(crate) len: usize,
}

pub(crate) fn address_of(name: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)), u16::from_be(name.sin_port))
}

/// What a wake-up can hold: a power of two, and few, so that they stay in the cache.
pub(crate) const RECEIVE_SLOTS: usize = 64;

/// An odd number of cache lines, so that not all slots begin in the same cache sets.
pub(crate) const SLOT_LEN: usize = 33 * 64;
