//! A network of one seed: each datagram is lost, late, overtaken or doubled by chance.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::random::Seeded;
use crate::time::Instant;

/// What happens to datagrams on their way, in each direction alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// Lost datagrams in a million.
    pub loss: u64,
    /// Doubled datagrams in a million.
    pub doubling: u64,
    /// One way, at least.
    pub delay: Duration,
    /// Added to each datagram by itself, evenly from nothing to this: so later ones overtake earlier ones.
    pub jitter: Duration,
    /// Datagrams in a million that go astray, and by how much those are late: so many later ones overtake them.
    pub strays: u64,
    pub astray: Duration,
}

impl Link {
    /// Everything arrives at once.
    pub const NONE: Self =
        Self { loss: 0, doubling: 0, delay: Duration::ZERO, jitter: Duration::ZERO, strays: 0, astray: Duration::ZERO };
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flight {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// All datagrams on their way.
#[derive(Debug)]
pub struct Network {
    link: Link,
    /// Of clients whose link is another.
    links: BTreeMap<SocketAddr, Link>,
    random: Seeded,
    /// By arrival; the counter keeps equal ones in order.
    flights: BinaryHeap<Reverse<(Instant, u64, Flight)>>,
    sent: u64,
}

impl Network {
    pub fn new(seed: u64, link: Link) -> Self {
        Self { link, links: BTreeMap::new(), random: Seeded::new(seed), flights: BinaryHeap::new(), sent: 0 }
    }

    /// Gives a client a link of its own.
    pub fn connect(&mut self, client: SocketAddr, link: Link) {
        self.links.insert(client, link);
    }

    pub fn send(&mut self, now: Instant, flight: Flight) {
        let own = self.links.get(&flight.from).or_else(|| self.links.get(&flight.to));
        let link = *own.unwrap_or(&self.link);
        if self.random.chance(link.doubling) {
            self.launch(now, link, flight.clone());
        }
        if !self.random.chance(link.loss) {
            self.launch(now, link, flight);
        }
    }

    /// When the next datagram arrives.
    pub fn next(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse((at, ..))| *at)
    }

    /// A datagram that has arrived by now.
    pub fn receive(&mut self, now: Instant) -> Option<Flight> {
        self.next().filter(|at| *at <= now)?;
        self.flights.pop().map(|Reverse((_, _, flight))| flight)
    }

    fn launch(&mut self, now: Instant, link: Link, flight: Flight) {
        let jitter = self.random.below(link.jitter.as_nanos() as u64 + 1);
        let is_astray = link.strays > 0 && self.random.chance(link.strays);
        let astray = if is_astray { link.astray } else { Duration::ZERO };
        self.sent += 1;
        self.flights.push(Reverse((now + link.delay + Duration::from_nanos(jitter) + astray, self.sent, flight)));
    }
}
