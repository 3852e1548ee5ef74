//! Socket addresses as the kernel writes them (`sockaddr_in`, `sockaddr_in6`), read and written as plain bytes.
//!
//! Reading is checked and fails on what is no internet address. The flow label is left out both ways, so that a client's
//! address is the same whatever label its packets carry.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for either family.
pub(crate) const NAME_LEN: usize = size_of::<libc::sockaddr_in6>();

/// An address in the kernel's form; aligned as the kernel's structures are.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub(crate) struct Name(pub(crate) [u8; NAME_LEN]);

impl Name {
    pub(crate) const EMPTY: Self = Self([0; NAME_LEN]);

    /// Writes the address and says how many bytes it takes.
    pub(crate) fn write(&mut self, address: &SocketAddr) -> usize {
        let name = &mut self.0;
        name[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                name[4..8].copy_from_slice(&v4.ip().octets());
                name[8..16].fill(0);
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                name[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                name[4..8].fill(0);
                name[8..24].copy_from_slice(&v6.ip().octets());
                name[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                NAME_LEN
            }
        }
    }
}

/// Reads an address.
pub(crate) fn read(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    match libc::c_int::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let octets: [u8; 4] = *rest.first_chunk()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(octets), port).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = *rest.get(4..)?.first_chunk()?;
            let scope: [u8; 4] = *rest.get(20..)?.first_chunk()?;
            Some(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, u32::from_ne_bytes(scope)).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_survives_the_kernels_form() {
        for text in ["192.0.2.7:50000", "[2001:db8::7]:1", "[fe80::1%3]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = Name([0xff; NAME_LEN]);
            let len = name.write(&address);
            assert_eq!(read(&name.0[..len]), Some(address));
        }
    }

    #[test]
    fn short_or_foreign_name_is_no_address() {
        let mut name = Name::EMPTY;
        let len = name.write(&"[2001:db8::7]:1".parse().unwrap());
        for cut in 0..len {
            assert_eq!(read(&name.0[..cut]), None);
        }
        assert_eq!(read(&[libc::AF_UNIX as u8, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
