//! The addresses that media is bound to and announced at.
//!
//! From the settings and this machine's interfaces to the list that shards bind, one socket each. Invariant: every
//! address can stand in an ICE candidate. Binds nothing.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tidewire_core::limits::SOCKETS_MAX;

use crate::settings::{Settings, is_link_local};

/// Where clients reach this media server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// To bind, best first, at most `SOCKETS_MAX`.
    pub(crate) local: Vec<IpAddr>,
    /// To announce beside these, on the same ports.
    pub(crate) announced: Vec<IpAddr>,
    /// Local addresses for which there was no room.
    pub(crate) left_out: Vec<IpAddr>,
}

impl Addresses {
    pub(crate) fn of(settings: &Settings) -> io::Result<Self> {
        let mut addresses = Self { announced: settings.announce_ips.clone(), ..Self::default() };
        if settings.media_ips.is_empty() {
            addresses.take(interfaces()?);
        } else {
            addresses.local.clone_from(&settings.media_ips);
        }
        Ok(addresses)
    }

    /// What to tell clients of a shard: the announced addresses with the shard's port, then what it bound.
    pub(crate) fn candidates(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        let port = bound.first().map(SocketAddr::port);
        let announced =
            port.into_iter().flat_map(|port| self.announced.iter().map(move |&ip| SocketAddr::new(ip, port)));
        let beside = announced.filter(|candidate| !bound.contains(candidate));
        beside.chain(bound.iter().copied()).collect()
    }

    fn take(&mut self, found: impl IntoIterator<Item = IpAddr>) {
        let usable = found.into_iter().filter(|ip| !is_link_local(ip));
        // What reaches other machines first, and IPv4 first, since every client has that.
        let ranked: BTreeSet<_> = usable.map(|ip| (ip.is_loopback(), ip.is_ipv6(), ip)).collect();
        let mut ranked = ranked.into_iter().map(|(.., ip)| ip);
        self.local = ranked.by_ref().take(SOCKETS_MAX).collect();
        self.left_out = ranked.collect();
    }
}

/// The addresses of every interface that is up.
fn interfaces() -> io::Result<impl Iterator<Item = IpAddr>> {
    let found = if_addrs::get_if_addrs()?;
    Ok(found.into_iter().filter(if_addrs::Interface::is_oper_up).map(|interface| interface.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_reach_other_machines_come_first() {
        let mut addresses = Addresses::default();
        addresses.take(["::1", "2001:db8::1", "fe80::1", "127.0.0.1", "192.0.2.1", "192.0.2.1"].map(ip));
        assert_eq!(addresses.local, ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"].map(ip));
    }

    #[test]
    fn addresses_beyond_the_bound_are_left_out_and_told() {
        let mut addresses = Addresses::default();
        addresses.take((0..=SOCKETS_MAX as u32).map(|n| IpAddr::from((0xC000_0200 + n).to_be_bytes())));
        assert_eq!((addresses.local.len(), addresses.left_out.len()), (SOCKETS_MAX, 1));
    }

    #[test]
    fn announced_addresses_have_the_ports_of_the_shard() {
        let addresses = Addresses { announced: ["203.0.113.7", "192.0.2.1"].map(ip).to_vec(), ..Addresses::default() };
        let bound = ["192.0.2.1:9", "[2001:db8::1]:9"].map(|address| address.parse::<SocketAddr>().unwrap());
        let candidates = ["203.0.113.7:9".parse().unwrap(), bound[0], bound[1]];
        assert_eq!(addresses.candidates(&bound), candidates);
        assert_eq!(addresses.candidates(&[]), []);
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        assert!(interfaces().unwrap().any(|ip| ip.is_loopback()));
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
