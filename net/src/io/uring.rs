//! The packet I/O over io_uring: one call into the kernel a turn, for sends and receives alike.
//!
//! Each socket has one multishot receive into a ring of provided slots; trains leave by SENDMSG, and the same
//! `io_uring_enter` that hands them over brings what came. Sends are tried at once and never wait (MSG_DONTWAIT), so when
//! the call returns the kernel holds no pointer to a train; a send without a completion went well. The ring belongs to the
//! thread that made it (SINGLE_ISSUER, DEFER_TASKRUN). It is never polled by another ring: with deferred work only a
//! registered eventfd rings. Viewers who get media are sent to by sockets of their own that receive nothing (`connected`).

mod buffers;
mod devoted;
mod ring;

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use tidewire_core::limits::RECEIVE_SLOTS;
use tidewire_core::machine::{Batch, Path};
use tidewire_core::time::Instant;

use self::buffers::BufferRing;
pub(crate) use self::ring::Ring;
use self::ring::{Arrived, Patience, SlotLayout};
use super::PacketIo;
use super::outbox::Outbox;
use super::slots::{Message, Slots};
use crate::clock::Stamps;
use crate::count::{IoCounter, IoTally};
use crate::socket::Sockets;
use crate::wake::Waker;
use crate::{address, control};

/// Fields in this order: the kernel lets go of the slots when the ring is closed.
pub(crate) struct Uring {
    outbox: Outbox<Ring>,
    inbox: Inbox,
}

impl Uring {
    /// To be called on the thread that will drive it.
    pub(crate) fn new(
        sockets: Sockets,
        waker: &Waker,
        segments_max: usize,
        gro: bool,
        connected_max: usize,
    ) -> io::Result<Self> {
        let inbox = Inbox::new();
        let ring = Ring::new(&sockets, waker, connected_max)?;
        inbox.buffers.register(&ring)?;
        if gro {
            sockets.receive_trains()?;
        }
        Ok(Self { outbox: Outbox::new(ring, sockets, segments_max), inbox })
    }

    /// One call into the kernel: hands over what was flushed and brings what came.
    fn enter(&mut self, patience: Patience) {
        self.inbox.give_back();
        if self.inbox.is_kernel_supplied(self.outbox.carrier.arrived.len()) {
            self.outbox.carrier.arm();
        }
        let outbox = &mut self.outbox;
        outbox.load.count();
        outbox.carrier.exchange(&mut outbox.load, patience);
        outbox.load.clear();
    }

    fn has_arrivals(&self) -> bool {
        self.inbox.current.is_some() || !self.outbox.carrier.arrived.is_empty()
    }
}

impl PacketIo for Uring {
    type Egress = Outbox<Ring>;

    fn addresses(&self) -> &[SocketAddr] {
        self.outbox.load.sockets.addresses()
    }

    fn collect(&mut self) {
        let nothing_to_send = self.outbox.load.trains.is_empty();
        if nothing_to_send && (self.has_arrivals() || self.outbox.carrier.is_quiet()) {
            return;
        }
        self.enter(Patience::None);
    }

    fn receive<'a>(&'a mut self, now: Instant, batch: &mut Batch<'a>) -> &'a mut Self::Egress {
        self.inbox.give_back();
        self.inbox.unload(now, &mut self.outbox, batch);
        &mut self.outbox
    }

    fn egress(&mut self) -> &mut Self::Egress {
        &mut self.outbox
    }

    /// The next call into the kernel takes what was committed along.
    fn flush(&mut self) {
        self.outbox.load.count();
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.outbox.carrier.arm_waker();
        let something = self.has_arrivals() || self.outbox.carrier.waker.is_woken();
        self.enter(if something { Patience::None } else { Patience::Until(timeout) });
    }

    fn doze(&mut self) -> Option<RawFd> {
        let bell = self.outbox.carrier.listen();
        self.enter(Patience::None);
        let quiet = !self.has_arrivals() && self.outbox.carrier.is_quiet() && !self.outbox.carrier.waker.is_woken();
        bell.filter(|_| quiet)
    }

    fn rouse(&mut self) {
        self.outbox.carrier.ignore();
    }

    fn survey(&mut self) {
        let load = &mut self.outbox.load;
        load.tally.set(IoCounter::DroppedIn, load.sockets.drops());
    }

    fn tally(&self) -> &IoTally {
        &self.outbox.load.tally
    }

    fn tally_mut(&mut self) -> &mut IoTally {
        &mut self.outbox.load.tally
    }
}

/// The receiving half: slots and who has them.
struct Inbox {
    buffers: BufferRing,
    slots: Slots,
    /// Slots whose datagrams were lent by the last `receive`.
    lent: Vec<u16>,
    /// The message that did not fit the last batch.
    current: Option<Message>,
    stamps: Stamps,
}

impl Inbox {
    fn new() -> Self {
        let slots = Slots::new();
        let mut buffers = BufferRing::new();
        (0..RECEIVE_SLOTS as u16).for_each(|slot| buffers.provide(slot, &slots));
        Self { buffers, slots, lent: Vec::with_capacity(RECEIVE_SLOTS), current: None, stamps: Stamps::new() }
    }

    /// Hands the slots that were lent back to the kernel. By `&mut self` no batch is alive.
    fn give_back(&mut self) {
        for slot in self.lent.drain(..) {
            self.buffers.provide(slot, &self.slots);
        }
        self.buffers.publish();
    }

    /// Whether the kernel has at least one slot to receive into.
    fn is_kernel_supplied(&self, arrived: usize) -> bool {
        arrived + self.lent.len() + usize::from(self.current.is_some()) < RECEIVE_SLOTS
    }

    fn unload<'a>(&'a mut self, now: Instant, outbox: &mut Outbox<Ring>, batch: &mut Batch<'a>) {
        let Self { slots, lent, current, stamps, .. } = self;
        stamps.refresh(now);
        loop {
            let waiting = current.take().or_else(|| next(slots, stamps, now, outbox, lent));
            let Some(mut message) = waiting else { return };
            // SAFETY: the kernel gave the slot up with its completion and gets it back by `give_back`, which needs `&mut
            // self` and so comes after `'a`.
            if !unsafe { message.unload(slots, batch, &mut outbox.load.tally) } {
                *current = Some(message);
                return;
            }
            lent.push(message.slot);
        }
    }
}

/// The next arrived message that can be read.
fn next(
    slots: &Slots,
    stamps: &Stamps,
    now: Instant,
    outbox: &mut Outbox<Ring>,
    lent: &mut Vec<u16>,
) -> Option<Message> {
    loop {
        let arrived = outbox.carrier.arrived.pop_front()?;
        if let Some(message) = read(slots, stamps, &arrived, now) {
            return Some(message);
        }
        // Not what a multishot receive writes: nothing of ours to read.
        outbox.load.tally.count(IoCounter::ReceiveFailed);
        lent.push(arrived.slot);
    }
}

fn read(slots: &Slots, stamps: &Stamps, arrived: &Arrived, now: Instant) -> Option<Message> {
    // SAFETY: the kernel gave the slot up with its completion, and no datagram of it was lent yet.
    let bytes = unsafe { slots.lend(arrived.slot, 0..SlotLayout::PAYLOAD) };
    let layout = SlotLayout::read(bytes)?;
    let len = arrived.len.checked_sub(SlotLayout::PAYLOAD)?;
    let incoming = control::read(layout.control);
    Some(Message {
        slot: arrived.slot,
        path: Path { local: arrived.local, remote: address::read(layout.name)? },
        arrival: stamps.arrival(incoming.stamp, now),
        start: SlotLayout::PAYLOAD,
        end: SlotLayout::PAYLOAD + len,
        segment: incoming.segment.unwrap_or(len),
        truncated: layout.truncated,
    })
}
