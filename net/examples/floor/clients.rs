//! Who publishes, and who views what: plain arrays, filled by registrations, only read while packets flow.
//!
//! A publisher is found by its address, the last one first. Viewers of a group lie side by side, in the order in which they
//! are served. Two publishers of one group must not use one SSRC: their packets share the viewers' keys.

use std::net::SocketAddrV4;

use tidewire_core::rtp;
use tidewire_core::srtp::{Inbound, Outbound};

use crate::carrier::RECEIVE_SLOTS;
use crate::outgoing::Destination;
use crate::registration::{PROFILE, Role, master_key};

#[derive(Default)]
pub(crate) struct Clients {
    /// Parallel to `publishers`.
    addresses: Vec<SocketAddrV4>,
    publishers: Vec<Publisher>,
    /// Where the publisher of the last packet lies.
    recent: usize,
    groups: Vec<Group>,
    /// Groups for which something waits.
    busy: Vec<usize>,
}

struct Publisher {
    inbound: Inbound,
    group: usize,
}

/// A publisher's viewers, and what waits for them.
pub(crate) struct Group {
    number: u32,
    pub(crate) viewers: Vec<Viewer>,
    /// Never more than there are receive slots.
    pub(crate) waiting: Vec<Packet>,
}

pub(crate) struct Viewer {
    address: SocketAddrV4,
    pub(crate) outbound: Outbound,
    pub(crate) to: Destination,
}

/// A decrypted packet in its receive slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) header_len: usize,
    pub(crate) index: u64,
}

impl Clients {
    /// Decrypts a publisher's packet, which lies at `start` of the receive slots, and lets it wait for the viewers.
    pub(crate) fn take(&mut self, source: SocketAddrV4, start: usize, bytes: &mut [u8]) -> bool {
        let Some(publisher) = self.publisher(source) else { return false };
        let Ok(header) = rtp::Header::parse(bytes) else { return false };
        let Ok(opened) = publisher.inbound.open_rtp(&header, bytes) else { return false };
        let group = publisher.group;
        let packet = Packet { start, len: opened.len, header_len: header.len, index: opened.index };
        let waiting = &mut self.groups[group].waiting;
        if waiting.is_empty() {
            self.busy.push(group);
        }
        waiting.push(packet);
        true
    }

    /// Takes a group for which something waits out of the list of those.
    pub(crate) fn next_busy(&mut self) -> Option<&mut Group> {
        self.groups.get_mut(self.busy.pop()?)
    }

    fn publisher(&mut self, source: SocketAddrV4) -> Option<&mut Publisher> {
        if self.addresses.get(self.recent) != Some(&source) {
            self.recent = self.addresses.iter().position(|&known| known == source)?;
        }
        self.publishers.get_mut(self.recent)
    }

    /// Notes a publisher; false if there is no room for it.
    pub(crate) fn add_publisher(&mut self, address: SocketAddrV4, group: u32) -> bool {
        if self.addresses.contains(&address) {
            return true;
        }
        let room = self.addresses.len() < PUBLISHERS_MAX;
        if room {
            let inbound = Inbound::new(PROFILE, &master_key(Role::Publisher, address));
            let group = self.group(group);
            self.addresses.push(address);
            self.publishers.push(Publisher { inbound, group });
        }
        room
    }

    /// Notes a viewer, who must not be there yet.
    pub(crate) fn add_viewer(&mut self, address: SocketAddrV4, group: u32, socket: u32) {
        let outbound = Outbound::new(PROFILE, &master_key(Role::Viewer, address));
        let group = self.group(group);
        self.groups[group].viewers.push(Viewer { address, outbound, to: Destination::new(address, socket) });
    }

    /// The socket from which a viewer is served, if it is known.
    pub(crate) fn socket_of(&self, address: SocketAddrV4) -> Option<u32> {
        let mut viewers = self.groups.iter().flat_map(|group| &group.viewers);
        viewers.find(|viewer| viewer.address == address).map(|viewer| viewer.to.socket())
    }

    pub(crate) fn has_room_for_viewer(&self) -> bool {
        self.groups.iter().map(|group| group.viewers.len()).sum::<usize>() < VIEWERS_MAX
    }

    fn group(&mut self, number: u32) -> usize {
        if let Some(index) = self.groups.iter().position(|group| group.number == number) {
            return index;
        }
        self.groups.push(Group { number, viewers: Vec::new(), waiting: Vec::with_capacity(RECEIVE_SLOTS) });
        self.groups.len() - 1
    }
}

/// More than a load has on one machine; groups are bounded by both.
const PUBLISHERS_MAX: usize = 1024;
pub(crate) const VIEWERS_MAX: usize = 16_384;
