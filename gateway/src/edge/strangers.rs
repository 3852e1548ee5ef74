//! Sockets that have not registered yet: how many there may be, in all and from one address.
//!
//! An IPv6 address stands for the /64 that its host has to itself. A [`Place`] is given back when it is dropped.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::{STRANGERS_MAX, STRANGERS_PER_ADDRESS_MAX};

#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: BTreeMap<u128, usize>,
}

/// Counts one socket for as long as it is kept.
pub(super) struct Place {
    strangers: Strangers,
    address: u128,
}

impl Strangers {
    /// None when there is no room.
    pub(super) fn enter(&self, ip: IpAddr) -> Option<Place> {
        let address = prefix(ip);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = counts.by_address.get(&address).copied().unwrap_or_default();
        // A proxy on this machine brings everybody under one address.
        let share = if ip.to_canonical().is_loopback() { STRANGERS_MAX } else { STRANGERS_PER_ADDRESS_MAX };
        if counts.total >= STRANGERS_MAX || here >= share {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, here + 1);
        Some(Place { strangers: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.strangers.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        let here = counts.by_address.entry(self.address).or_default();
        *here = here.saturating_sub(1);
        if *here == 0 {
            counts.by_address.remove(&self.address);
        }
    }
}

fn prefix(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_its_share_and_gives_it_back() {
        let strangers = Strangers::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let places: Vec<_> = (0..STRANGERS_PER_ADDRESS_MAX).map_while(|_| strangers.enter(ip("2001:db8::1"))).collect();
        assert_eq!(places.len(), STRANGERS_PER_ADDRESS_MAX);
        assert!(strangers.enter(ip("2001:db8::2")).is_none(), "the same /64");
        assert!(strangers.enter(ip("2001:db8:0:1::1")).is_some());
        assert!(strangers.enter(ip("::ffff:192.0.2.1")).is_some());
        drop(places);
        assert!(strangers.enter(ip("2001:db8::1")).is_some());
        assert!(strangers.0.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn there_are_so_many_in_all() {
        let strangers = Strangers::default();
        let from = |n: usize| strangers.enter(IpAddr::from((n as u32).to_be_bytes()));
        let places: Vec<_> = (0..2 * STRANGERS_MAX).map_while(from).collect();
        assert_eq!(places.len(), STRANGERS_MAX);
    }
}
