//! One wake-up after the other: take what came, decrypt it once, seal it for each viewer, send.
//!
//! Viewer by viewer, not packet by packet: so all that a wake-up holds for a viewer makes one message. Registrations apart,
//! nothing is allocated.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use tidewire_core::demux::{self, Class};

use crate::arguments::Way;
use crate::carrier::{Arrival, Carrier, RECEIVE_SLOTS};
use crate::clients::{Clients, Group, Packet, Viewer};
use crate::memory::Memory;
use crate::outgoing::Outgoing;
use crate::registration::{Registration, Role};
use crate::system;

pub(crate) struct Forwarder<C> {
    carrier: C,
    slots: Rc<Memory>,
    arrivals: Vec<Arrival>,
    clients: Clients,
    outgoing: Outgoing,
    /// By number; the first one listens, the others belong to one viewer each.
    sockets: Vec<UdpSocket>,
    connected: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) wake_ups: u64,
    /// Packets of publishers.
    pub(crate) taken: u64,
    pub(crate) forwarded: u64,
    /// Messages that the kernel did not take.
    pub(crate) refused: u64,
}

impl<C: Carrier> Forwarder<C> {
    pub(crate) fn new(carrier: C, listener: UdpSocket, way: &Way) -> Self {
        Self {
            slots: carrier.slots(),
            carrier,
            arrivals: Vec::with_capacity(RECEIVE_SLOTS),
            clients: Clients::default(),
            outgoing: Outgoing::new(way),
            sockets: vec![listener],
            connected: way.connected,
            counts: Counts::default(),
        }
    }

    /// Forwards until `goes_on`, which is asked after each wake-up, says no.
    ///
    /// The last messages may still be unsent then: they leave with the next wake-up.
    pub(crate) fn run(&mut self, mut goes_on: impl FnMut(&Counts) -> bool) -> io::Result<()> {
        loop {
            self.carrier.exchange(&mut self.outgoing, &mut self.arrivals)?;
            self.counts.wake_ups += 1;
            self.take();
            self.forward()?;
            self.counts.refused = self.outgoing.refused;
            if !goes_on(&self.counts) {
                return Ok(());
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    fn take(&mut self) {
        for index in 0..self.arrivals.len() {
            let Arrival { source, start, len } = self.arrivals[index];
            // SAFETY: the kernel has given the slot up until the next exchange, and each arrival has its own.
            let bytes = unsafe { self.slots.lend(start, len) };
            match demux::classify(bytes) {
                Ok(Class::Rtp) => self.counts.taken += u64::from(self.clients.take(source, start, bytes)),
                _ => {
                    let registration = Registration::read(bytes);
                    self.take_registration(source, registration);
                }
            }
        }
    }

    fn forward(&mut self) -> io::Result<()> {
        while let Some(group) = self.clients.next_busy() {
            self.counts.forwarded += (group.waiting.len() * group.viewers.len()) as u64;
            fan_out(group, &self.slots, &mut self.outgoing, &mut self.carrier)?;
            group.waiting.clear();
        }
        Ok(())
    }

    /// Answers a registration from the socket that will serve its client; anything else is nothing to us.
    fn take_registration(&mut self, source: SocketAddrV4, registration: Option<Registration>) {
        let Some(registration) = registration else { return };
        let answered = self.register(registration, source).and_then(|number| {
            let (socket, bytes) = (&self.sockets[number as usize], &registration.write());
            // A viewer's answer is the first that its socket gets, so no media can crowd it out.
            if number == 0 { socket.send_to(bytes, source) } else { socket.send(bytes) }
        });
        if let Err(error) = answered {
            eprintln!("floor: {registration:?} of {source}: {error}");
        }
    }

    /// Registers a client, or recognises it, and says by which socket it is served.
    pub(crate) fn register(&mut self, registration: Registration, client: SocketAddrV4) -> io::Result<u32> {
        let Registration { role, group } = registration;
        if role == Role::Publisher {
            let added = self.clients.add_publisher(client, group);
            return added.then_some(0).ok_or_else(full);
        }
        if let Some(socket) = self.clients.socket_of(client) {
            return Ok(socket);
        }
        if !self.clients.has_room_for_viewer() {
            return Err(full());
        }
        let socket = if self.connected { self.connect(client)? } else { 0 };
        self.clients.add_viewer(client, group, socket);
        Ok(socket)
    }

    fn connect(&mut self, viewer: SocketAddrV4) -> io::Result<u32> {
        let socket = system::beside(&self.sockets[0], viewer)?;
        let number = self.sockets.len() as u32;
        self.carrier.adopt(number, socket.as_raw_fd())?;
        self.sockets.push(socket);
        Ok(number)
    }
}

fn full() -> io::Error {
    io::Error::other("no room for another client")
}

/// Seals all that waits for a group, viewer by viewer, and sends whenever the next viewer's share does not fit.
fn fan_out(group: &Group, slots: &Memory, outgoing: &mut Outgoing, carrier: &mut impl Carrier) -> io::Result<()> {
    let (Some(first), packets) = (group.viewers.first(), group.waiting.len()) else { return Ok(()) };
    let overhead = first.outbound.rtp_overhead();
    let len = group.waiting.iter().map(|packet| packet.len + overhead).sum();
    for viewer in &group.viewers {
        if !outgoing.has_room_for(packets, len) {
            carrier.send(outgoing)?;
        }
        outgoing.end_message();
        for packet in &group.waiting {
            seal(viewer, packet, slots, outgoing);
        }
    }
    Ok(())
}

fn seal(viewer: &Viewer, packet: &Packet, slots: &Memory, outgoing: &mut Outgoing) {
    // SAFETY: the slot is ours until the next exchange, and nobody else looks at it now.
    let (header, payload) = unsafe { slots.lend(packet.start, packet.len) }.split_at(packet.header_len);
    let len = packet.len + viewer.outbound.rtp_overhead();
    let room = outgoing.room(len);
    room[..header.len()].copy_from_slice(header);
    if viewer.outbound.seal_rtp(packet.index, header.len(), payload, room).is_ok() {
        outgoing.commit(&viewer.to, len);
    }
}
