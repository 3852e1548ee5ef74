//! io_uring: one call a wake-up, which sends what the last one left and waits for what comes.
//!
//! A multishot RECVMSG fills a ring of provided slots; sends are tried at once and never wait (MSG_DONTWAIT), so when a
//! call returns the kernel holds no pointer to a message. Only what went wrong makes a completion. The ring belongs to the thread
//! that made it (SINGLE_ISSUER, DEFER_TASKRUN); all sockets are registered.

use std::cell::UnsafeCell;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use io_uring::types::{BufRingEntry, Fixed};
use io_uring::{EnterFlags, IoUring, SubmissionQueue, cqueue, opcode, squeue};

use crate::arguments::Way;
use crate::carrier::{Arrival, Carrier, RECEIVE_SLOTS, SLOT_LEN, address_of};
use crate::memory::Memory;
use crate::outgoing::{EMPTY_NAME, MESSAGES_MAX, NAME_LEN, Outgoing, lone};

/// Fields in this order: the kernel lets go of the memory when the ring is closed.
pub(crate) struct Uring {
    ring: IoUring,
    provided: Provided,
    slots: Rc<Memory>,
    /// What a multishot receive is told about the layout of slots.
    layout: Box<libc::msghdr>,
    receives: bool,
    spin: Duration,
}

impl Uring {
    /// To be called on the thread that will drive it.
    pub(crate) fn new(listener: &UdpSocket, way: &Way) -> io::Result<Self> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let submitter = ring.submitter();
        submitter.register_files_sparse(if way.connected { CONNECTED_MAX } else { 1 })?;
        submitter.register_files_update(0, &[listener.as_raw_fd()])?;
        let slots = Rc::new(Memory::new(RECEIVE_SLOTS * SLOT_LEN));
        let mut provided = Provided::new();
        (0..RECEIVE_SLOTS).for_each(|slot| provided.add(slot, &slots));
        provided.publish();
        provided.register(&ring)?;
        // SAFETY: all-zero bytes are a valid `msghdr`: null pointers and zero lengths.
        let mut layout: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        layout.msg_namelen = NAME_LEN;
        Ok(Self { ring, provided, slots, layout, receives: false, spin: way.spin() })
    }

    fn give_back(&mut self, arrivals: &mut Vec<Arrival>) {
        for arrival in arrivals.drain(..) {
            self.provided.add(arrival.start / SLOT_LEN, &self.slots);
        }
        self.provided.publish();
    }

    fn push_receive(&mut self) {
        if !self.receives {
            let receive = opcode::RecvMsgMulti::new(Fixed(0), &raw const *self.layout, GROUP);
            push(&mut self.ring.submission(), &receive.build().user_data(RECEIVE));
            self.receives = true;
        }
    }

    /// Queues all messages: a lone datagram as SEND, which is cheaper, a train as SENDMSG.
    fn push_messages(&mut self, outgoing: &mut Outgoing) {
        let mut queue = self.ring.submission();
        for index in 0..outgoing.sockets().len() {
            let socket = Fixed(outgoing.sockets()[index]);
            let message = &outgoing.messages()[index].msg_hdr;
            let flags = libc::MSG_DONTWAIT;
            let entry = match lone(message) {
                Some(bytes) => opcode::Send::new(socket, bytes.iov_base.cast(), bytes.iov_len as u32)
                    .dest_addr(message.msg_name.cast())
                    .dest_addr_len(message.msg_namelen)
                    .flags(flags)
                    .build(),
                None => opcode::SendMsg::new(socket, message).flags(flags as u32).build(),
            };
            push(&mut queue, &entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND));
        }
    }

    /// Enters the kernel until it has taken everything that was queued; the first time it may wait for a completion.
    fn hand_over(&mut self, flags: EnterFlags, mut want: u32) -> io::Result<()> {
        for _ in 0..TRIES {
            self.enter(flags, want)?;
            if self.ring.submission().is_empty() {
                return Ok(());
            }
            want = 0;
        }
        Err(io::Error::other("io_uring takes no submissions"))
    }

    fn enter(&mut self, flags: EnterFlags, want: u32) -> io::Result<()> {
        let queued = self.ring.submission().len() as u32;
        // SAFETY: no argument goes along.
        let entered = unsafe { self.ring.submitter().enter::<()>(queued, want, flags.bits(), None) };
        match entered.map_err(|error| (error.raw_os_error(), error)) {
            // Interrupted, or to be tried again after the completions have been taken.
            Ok(_) | Err((Some(libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }

    /// Waits by looking whether the kernel has work for us. True if it has.
    fn spin(&mut self) -> bool {
        let deadline = Instant::now() + self.spin;
        while Instant::now() < deadline {
            if self.ring.submission().taskrun() || !self.ring.completion().is_empty() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Takes all completions, until the kernel has no more.
    fn drain(&mut self, outgoing: &mut Outgoing, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        loop {
            for completion in self.ring.completion() {
                if completion.user_data() == SEND {
                    outgoing.refused += 1;
                    continue;
                }
                self.receives = cqueue::more(completion.flags());
                if let Some(slot) = cqueue::buffer_select(completion.flags()) {
                    arrivals.push(arrival(&self.slots, slot.into(), completion.result()));
                }
            }
            if arrivals.len() == RECEIVE_SLOTS || !self.ring.submission().taskrun() {
                return Ok(());
            }
            self.enter(EnterFlags::GETEVENTS, 0)?;
        }
    }
}

impl Carrier for Uring {
    fn slots(&self) -> Rc<Memory> {
        Rc::clone(&self.slots)
    }

    fn adopt(&mut self, number: u32, socket: RawFd) -> io::Result<()> {
        self.ring.submitter().register_files_update(number, &[socket]).map(drop)
    }

    fn exchange(&mut self, outgoing: &mut Outgoing, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        self.give_back(arrivals);
        self.push_receive();
        self.push_messages(outgoing);
        if self.spin.is_zero() {
            self.hand_over(EnterFlags::GETEVENTS, 1)?;
        } else {
            self.hand_over(EnterFlags::GETEVENTS, 0)?;
            let want = u32::from(!self.spin());
            self.enter(EnterFlags::GETEVENTS, want)?;
        }
        outgoing.clear();
        self.drain(outgoing, arrivals)
    }

    fn send(&mut self, outgoing: &mut Outgoing) -> io::Result<()> {
        self.push_messages(outgoing);
        // Without GETEVENTS: what arrives meanwhile waits for the next wake-up, whose slots it will find free.
        self.hand_over(EnterFlags::empty(), 0)?;
        outgoing.clear();
        Ok(())
    }
}

fn push(queue: &mut SubmissionQueue<'_>, entry: &squeue::Entry) {
    // SAFETY: the receive points to `layout`, sends to messages that stay until `hand_over` has seen the kernel take them.
    let pushed = unsafe { queue.push(entry) };
    debug_assert!(pushed.is_ok(), "the queue has room for all messages and a receive");
}

/// Reads what the kernel wrote into a slot: `struct io_uring_recvmsg_out`, the sender's name, the datagram.
fn arrival(slots: &Memory, slot: usize, filled: i32) -> Arrival {
    let start = slot * SLOT_LEN;
    // SAFETY: the kernel has given the slot up, it begins at a cache line, and any bytes are valid numbers.
    let (header, name) = unsafe {
        let header = slots.address(start).cast::<[u32; 4]>();
        (*header, *header.add(1).cast::<libc::sockaddr_in>())
    };
    let [_name_len, _control_len, _payload_len, flags] = header;
    let len = usize::try_from(filled).unwrap_or(0).saturating_sub(PREFIX_LEN);
    let whole = flags & libc::MSG_TRUNC as u32 == 0;
    Arrival { source: address_of(&name), start: start + PREFIX_LEN, len: if whole { len } else { 0 } }
}

/// The ring by which slots go to the kernel (io_uring_register_buf_ring(3)); it has an entry for each, so it cannot overflow.
struct Provided {
    entries: Box<Entries>,
    tail: u16,
}

/// The kernel wants them to begin on a page.
#[repr(C, align(4096))]
struct Entries(UnsafeCell<[BufRingEntry; RECEIVE_SLOTS]>);

impl Provided {
    fn new() -> Self {
        // SAFETY: all-zero bytes are valid entries.
        Self { entries: Box::new(unsafe { std::mem::zeroed() }), tail: 0 }
    }

    fn register(&self, ring: &IoUring) -> io::Result<()> {
        let address = self.entries.0.get() as u64;
        // SAFETY: the entries stay where they are and are freed after the ring is closed (field order of `Uring`).
        unsafe { ring.submitter().register_buf_ring_with_flags(address, RECEIVE_SLOTS as u16, GROUP, 0) }
    }

    /// Writes a slot behind the others; the kernel sees it after `publish`.
    fn add(&mut self, slot: usize, slots: &Memory) {
        let index = usize::from(self.tail) % RECEIVE_SLOTS;
        // SAFETY: `index` lies inside the ring, and the kernel does not read entries behind the tail. The setters leave the
        // bytes alone that are the tail in the first entry.
        let entry = unsafe { &mut *self.entries.0.get().cast::<BufRingEntry>().add(index) };
        entry.set_addr(slots.address(slot * SLOT_LEN) as u64);
        entry.set_len(SLOT_LEN as u32);
        entry.set_bid(slot as u16);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry, is aligned, and is only accessed as an atomic.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.0.get().cast()).cast::<AtomicU16>() };
        // The kernel must see the entries before it sees the tail.
        tail.store(self.tail, Ordering::Release);
    }
}

/// What stands before a datagram in its slot.
const PREFIX_LEN: usize = size_of::<[u32; 4]>() + size_of_val(&EMPTY_NAME);

const GROUP: u16 = 0;
const RECEIVE: u64 = 0;
const SEND: u64 = 1;

/// Every message and the receive at once.
const SUBMISSIONS: u32 = (MESSAGES_MAX + 1).next_power_of_two() as u32;

/// Every send refused, and the slots four times over.
const COMPLETIONS: u32 = (SUBMISSIONS as usize + 4 * RECEIVE_SLOTS).next_power_of_two() as u32;

/// Registered sockets; the kernel allows no more than the process may have open.
const CONNECTED_MAX: u32 = 4096;

/// The kernel takes everything at the first but for want of memory.
const TRIES: usize = 1000;
