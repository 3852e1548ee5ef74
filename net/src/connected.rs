//! A socket that is connected to one viewer: it sends from a shard's own address and port, and receives nothing.
//!
//! The kernel keeps the route of a connected socket, which it looks up anew for each message of any other. Bound to the
//! shard's own address such a socket would take what its viewer sends, and every stranger's packet would be a search
//! through all of them. So it is bound to a multicast group that nobody joins, at the shard's port. What arrives is looked
//! up by the address that it was sent to, finds the shard's one socket as before, and so do ICMP errors. What leaves has
//! the group's port and, since a group is nobody's source, the address that the routes choose. Invariant: that is the
//! shard's address, or there is no such socket. Whose it is, and how it is sent by, is not known here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use tidewire_core::limits::CONNECTED_BUFFER_LEN;

use crate::socket::send_unfragmented;

/// Connects a socket to `remote` that sends from `own`; an error where the kernel would choose another source.
///
/// `number` tells the sockets of a shard apart. Only for a remote that has shown who it is: this takes memory of the kernel.
pub(crate) fn connect(own: SocketAddr, remote: SocketAddr, number: u32) -> io::Result<Socket> {
    if source_towards(remote)? != own.ip() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    let socket = Socket::new(Domain::for_address(own), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    // Others are bound to the same group and port.
    socket.set_reuse_address(true)?;
    send_unfragmented(&socket, own)?;
    socket.set_send_buffer_size(CONNECTED_BUFFER_LEN)?;
    // The least that the kernel grants, since nobody reads.
    socket.set_recv_buffer_size(0)?;
    socket.bind(&SocketAddr::new(group(own.ip(), number), own.port()).into())?;
    socket.connect(&remote.into())?;
    Ok(socket)
}

/// The address from which the kernel sends to `remote` what is bound to none. No packet goes out.
fn source_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// One of 256 groups that are set aside for documentation (RFC 6676), so that nobody joins them. Several, since the kernel
/// searches through the sockets of an address and port whenever another is bound there.
fn group(own: IpAddr, number: u32) -> IpAddr {
    let [.., last] = number.to_be_bytes();
    match own {
        IpAddr::V4(_) => Ipv4Addr::new(233, 252, 0, last).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0xdb8, 0, last.into()).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bound(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    fn connected(own: &UdpSocket, viewer: &UdpSocket, number: u32) -> io::Result<Socket> {
        connect(own.local_addr().unwrap(), viewer.local_addr().unwrap(), number)
    }

    #[test]
    fn viewer_hears_the_shards_own_address_and_is_heard_by_its_socket() {
        for address in ["127.0.0.1", "::1"] {
            let (own, viewer) = (bound(address), bound(address));
            let sockets: Vec<_> = [0, 1, 256].map(|number| connected(&own, &viewer, number).unwrap()).into();
            for socket in &sockets {
                socket.send(b"media").unwrap();
                let mut bytes = [0; 16];
                assert_eq!(viewer.recv_from(&mut bytes).unwrap(), (5, own.local_addr().unwrap()));
                viewer.send_to(b"answer", own.local_addr().unwrap()).unwrap();
                assert_eq!(own.recv_from(&mut bytes).unwrap(), (6, viewer.local_addr().unwrap()));
            }
        }
    }

    #[test]
    fn another_source_than_the_shards_is_refused() {
        let (own, viewer) = (bound("127.0.0.2"), bound("127.0.0.1"));
        assert_eq!(connected(&own, &viewer, 0).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn viewer_that_is_gone_makes_no_send_fail() {
        let (own, viewer) = (bound("127.0.0.1"), bound("127.0.0.1"));
        let socket = connected(&own, &viewer, 0).unwrap();
        drop(viewer);
        // Loopback answers each with a port unreachable before the next is sent.
        (0..10).for_each(|_| assert_eq!(socket.send(b"media").unwrap(), 5));
        assert!(socket.take_error().unwrap().is_none());
    }
}
