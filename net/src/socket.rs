//! The sockets of a shard: one a local address, all on the shard's own port, set up once and never connected. Everything
//! that comes, comes to them.
//!
//! Says what the kernel gave of what was asked (buffers, UDP_GRO), and holds every socket option in one place.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};
use tidewire_core::limits::{SOCKET_BUFFER_LEN, SOCKETS_MAX};

/// Bound sockets, in the order of `Path::local`.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    addresses: Vec<SocketAddr>,
}

impl Sockets {
    /// Binds `port` on each of `addresses`; port 0 takes whichever port the first address has free.
    pub(crate) fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Self> {
        if addresses.is_empty() || addresses.len() > SOCKETS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("1 to {SOCKETS_MAX} media addresses, not {}", addresses.len()),
            ));
        }
        let mut bound =
            Self { sockets: Vec::with_capacity(addresses.len()), addresses: Vec::with_capacity(addresses.len()) };
        for &address in addresses {
            let port = bound.addresses.first().map_or(port, SocketAddr::port);
            bound
                .add(SocketAddr::new(address, port))
                .map_err(|error| io::Error::new(error.kind(), format!("{address} port {port}: {error}")))?;
        }
        Ok(bound)
    }

    fn add(&mut self, address: SocketAddr) -> io::Result<()> {
        let socket =
            Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        enlarge_buffers(&socket)?;
        send_unfragmented(&socket, address)?;
        set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        socket.bind(&address.into())?;
        self.addresses.push(socket.local_addr()?.as_socket().unwrap_or(address));
        self.sockets.push(socket);
        Ok(())
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// The descriptor of `Path::local`. `None` for a socket that this shard does not have.
    pub(crate) fn descriptor(&self, local: u8) -> Option<RawFd> {
        self.sockets.get(usize::from(local)).map(AsRawFd::as_raw_fd)
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.sockets.iter().map(AsRawFd::as_raw_fd)
    }

    /// Lets the kernel hand over several datagrams of one sender as one message, which then needs a slot of 64 kB.
    pub(crate) fn receive_trains(&self) -> io::Result<()> {
        self.descriptors().try_for_each(|socket| set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1))
    }

    /// What the kernel gave of the receive and of the send buffer, in bytes: the least of all sockets.
    pub(crate) fn buffers(&self) -> (usize, usize) {
        let least = |size: fn(&Socket) -> io::Result<usize>| {
            self.sockets.iter().filter_map(|socket| size(socket).ok()).min().unwrap_or(0)
        };
        // The kernel doubles what it is asked for, to make room for its own bookkeeping.
        (least(Socket::recv_buffer_size) / 2, least(Socket::send_buffer_size) / 2)
    }

    /// Datagrams that the kernel dropped on all sockets since they were made.
    pub(crate) fn drops(&self) -> u64 {
        self.descriptors().map(|socket| u64::from(drops_of(socket))).sum()
    }
}

/// Media never travels in fragments, and no message from the path can make it smaller; it fits every path that WebRTC works
/// over. What this saves is the kernel's choice of an identification for fragments: 5 % of a lone datagram.
pub(crate) fn send_unfragmented(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        set_option(socket.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    } else {
        set_option(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    }
}

fn enlarge_buffers(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(SOCKET_BUFFER_LEN)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_LEN)
}

/// Sets an integer option.
pub(crate) fn set_option(socket: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: an integer of the stated length, which the kernel only reads.
    let result = unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's count of datagrams dropped at a socket (`SO_MEMINFO`); 0 where it does not say.
fn drops_of(socket: RawFd) -> u32 {
    /// `SK_MEMINFO_VARS` of linux/sock_diag.h, and the place of the drops.
    const VARS: usize = 9;
    const DROPS: usize = 8;
    let mut info = MaybeUninit::<[u32; VARS]>::zeroed();
    let mut len = size_of::<[u32; VARS]>() as libc::socklen_t;
    // SAFETY: as many writable bytes as `len` says; all-zero bytes are valid integers, whatever the kernel writes of them.
    let info = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, info.as_mut_ptr().cast(), &raw mut len);
        info.assume_init()
    };
    info[DROPS]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_share_the_port_of_the_first() {
        let addresses = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        let sockets = Sockets::bind(&addresses, 0).unwrap();
        let port = sockets.addresses()[0].port();
        assert_ne!(port, 0);
        assert_eq!(sockets.addresses()[1], SocketAddr::new(addresses[1], port));
        assert_eq!((sockets.len(), sockets.drops()), (2, 0));
        let (receive, send) = sockets.buffers();
        assert!(receive > 0 && send > 0);
    }

    #[test]
    fn address_that_is_not_ours_is_named_in_the_error() {
        let error = Sockets::bind(&["192.0.2.1".parse().unwrap()], 0).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1"));
        assert!(Sockets::bind(&[], 0).is_err());
    }
}
