//! The ring itself: what goes into the submission queue, and what comes out of the completion queue.
//!
//! Receives, the waker's poll and sends share it. Whatever ends a multishot request is counted and the request armed again
//! with the next call into the kernel.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Submitter, cqueue, opcode, squeue};
use tidewire_core::limits::{RECEIVE_SLOTS, SOCKETS_MAX, TRAINS_MAX};
use tidewire_core::machine::Path;

use super::buffers::BufferRing;
use super::devoted::Devoted;
use crate::address::NAME_LEN;
use crate::control;
use crate::count::{IoCounter, IoTally};
use crate::headers::leave_name_out;
use crate::io::outbox::{Carrier, Load};
use crate::socket::Sockets;
use crate::wake::Waker;

pub(crate) struct Ring {
    ring: IoUring,
    devoted: Devoted,
    /// What a multishot receive is told about the slot's layout.
    layout: Box<libc::msghdr>,
    /// Received messages that were not looked at yet; never more than there are slots.
    pub(super) arrived: VecDeque<Arrived>,
    /// Sockets without a receive, by bit.
    unarmed: u64,
    pub(super) waker: Waker,
    waker_armed: bool,
    /// Whether the kernel rings the waker for each completion, for a driver that sleeps elsewhere.
    rings_waker: bool,
}

/// A slot that the kernel filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) local: u8,
    pub(super) slot: u16,
    /// Bytes of the slot in use, the kernel's header included.
    pub(super) len: usize,
}

/// Whether a call into the kernel waits for something to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    Until(Option<Duration>),
}

impl Ring {
    pub(super) fn new(sockets: &Sockets, waker: &Waker, connected_max: usize) -> io::Result<Self> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let params = ring.params();
        if !(params.is_feature_nodrop() && params.is_feature_ext_arg() && params.is_feature_skip_cqe_on_success()) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "io_uring is too old here"));
        }
        let devoted = Devoted::register(&ring.submitter(), sockets, connected_max)?;
        Ok(Self {
            ring,
            devoted,
            layout: Box::new(SlotLayout::template()),
            arrived: VecDeque::with_capacity(RECEIVE_SLOTS),
            unarmed: u64::MAX >> (u64::BITS - sockets.len() as u32),
            waker: waker.clone(),
            waker_armed: false,
            rings_waker: false,
        })
    }

    pub(super) fn submitter(&self) -> Submitter<'_> {
        self.ring.submitter()
    }

    /// Queues whatever multishot request is missing.
    pub(super) fn arm(&mut self) {
        while self.unarmed != 0 {
            let local = self.unarmed.trailing_zeros();
            let receive = opcode::RecvMsgMulti::new(Fixed(local), &raw const *self.layout, BufferRing::GROUP);
            if !self.push(&receive.build().user_data(RECEIVE | u64::from(local))) {
                return;
            }
            self.unarmed &= self.unarmed - 1;
        }
    }

    /// Queues the poll by which the waker ends a sleep in this ring.
    pub(super) fn arm_waker(&mut self) {
        if !self.waker_armed {
            let poll = opcode::PollAdd::new(Fd(self.waker.as_raw_fd()), libc::POLLIN as u32).multi(true);
            self.waker_armed = self.push(&poll.build().user_data(WAKER));
        }
    }

    /// Whether a call into the kernel would find nothing new.
    pub(super) fn is_quiet(&mut self) -> bool {
        if self.unarmed != 0 {
            return false;
        }
        let submission = self.ring.submission();
        let nothing_queued = submission.is_empty() && !submission.taskrun() && !submission.cq_overflow();
        drop(submission);
        nothing_queued && self.ring.completion().is_empty()
    }

    /// Hands over all trains and collects every completion. On return the kernel holds no pointer to a train.
    pub(super) fn exchange(&mut self, load: &mut Load, patience: Patience) {
        self.push_trains(load);
        let mut patience = patience;
        for _ in 0..SUBMIT_TRIES {
            self.enter(patience, &mut load.tally);
            self.drain(load);
            if self.ring.submission().is_empty() {
                return;
            }
            // The kernel took a part only, for want of memory or of room for completions.
            patience = Patience::None;
        }
        panic!("io_uring takes no submissions");
    }

    fn push_trains(&mut self, load: &mut Load) {
        let headers = load.headers.of(&load.trains, 0, TRAINS_MAX);
        for (index, (train, header)) in load.trains.iter().zip(headers).enumerate() {
            let own = self.devoted.place_of(&train.path).inspect(|_| leave_name_out(header));
            let socket = Fixed(own.unwrap_or(train.path.local.into()));
            let send = opcode::SendMsg::new(socket, &raw const header.msg_hdr).flags(libc::MSG_DONTWAIT as u32);
            let entry = send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND | index as u64);
            self.push(&entry);
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: receives point to `layout` and to registered slots, polls to nothing, and sends to trains that stay until
        // `exchange` has seen the kernel take them.
        let pushed = unsafe { self.ring.submission().push(entry) };
        debug_assert!(pushed.is_ok(), "the submission queue has room for everything at once");
        pushed.is_ok()
    }

    fn enter(&mut self, patience: Patience, tally: &mut IoTally) {
        let queued = self.ring.submission().len() as u32;
        let entered = match patience {
            Patience::None => self.enter_with(queued, 0, EnterFlags::GETEVENTS, None),
            Patience::Until(None) => self.enter_with(queued, 1, EnterFlags::GETEVENTS, None),
            Patience::Until(Some(timeout)) => {
                let timeout = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timeout);
                self.enter_with(queued, 1, EnterFlags::GETEVENTS | EnterFlags::EXT_ARG, Some(&args))
            }
        };
        match entered.map_err(|error| error.raw_os_error()) {
            // Interrupted, timed out, or to be tried again after the completions have been taken.
            Ok(_) | Err(Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN)) => {}
            Err(_) => tally.count(IoCounter::ReceiveFailed),
        }
    }

    fn enter_with(
        &self,
        submit: u32,
        want: u32,
        flags: EnterFlags,
        args: Option<&SubmitArgs<'_, '_>>,
    ) -> io::Result<usize> {
        // SAFETY: `args` is the structure that EXT_ARG announces, and is absent without it.
        unsafe { self.ring.submitter().enter(submit, want, flags.bits(), args) }
    }

    /// Takes every completion that is there.
    fn drain(&mut self, load: &mut Load) {
        if self.ring.submission().cq_overflow() {
            load.tally.count(IoCounter::CompletionOverruns);
        }
        let Self { ring, arrived, unarmed, waker_armed, .. } = self;
        for completion in ring.completion() {
            let (kind, index) = (completion.user_data() & KIND, completion.user_data() & !KIND);
            match kind {
                RECEIVE => receive_completed(&completion, index as u8, arrived, unarmed, &mut load.tally),
                SEND => load.refused(index as usize, &io::Error::from_raw_os_error(-completion.result())),
                WAKER => *waker_armed = cqueue::more(completion.flags()),
                // What a removal has to say, its poll says as well.
                _ => {}
            }
        }
    }

    /// Lets the kernel ring the waker's own eventfd for each completion, and says which it is. `None` if it refuses, or not
    /// before the next call into the kernel.
    ///
    /// It must be the waker's own. A second eventfd, rung by the completion of a poll of the waker, would be rung from
    /// inside the waker's write; the kernel puts such a ring off, and on Linux 6.18 loses it. For the same reason a ring
    /// that rings the waker does not poll it.
    pub(super) fn listen(&mut self) -> Option<RawFd> {
        if self.waker_armed {
            self.push(&opcode::PollRemove::new(WAKER).build().user_data(REMOVAL));
            return None;
        }
        if !self.rings_waker {
            self.ring.submitter().register_eventfd(self.waker.as_raw_fd()).ok()?;
            self.rings_waker = true;
        }
        self.ring.completion().enable_eventfd();
        Some(self.waker.as_raw_fd())
    }

    pub(super) fn ignore(&mut self) {
        self.ring.completion().disable_eventfd();
        self.waker.hush();
    }
}

impl Carrier for Ring {
    fn carry(&mut self, load: &mut Load) {
        self.exchange(load, Patience::None);
    }

    /// What was committed to the path already, and not handed over yet, leaves by the new socket as well.
    fn devote(&mut self, path: &Path, load: &mut Load) {
        if self.devoted.is_on() {
            let added = self.devoted.add(path, &load.sockets, &self.ring.submitter());
            load.tally.count(if added.is_ok() { IoCounter::Connected } else { IoCounter::NotConnected });
        }
    }

    fn release(&mut self, path: &Path) {
        self.devoted.remove(path, &self.ring.submitter());
    }
}

fn receive_completed(
    completion: &cqueue::Entry,
    local: u8,
    arrived: &mut VecDeque<Arrived>,
    unarmed: &mut u64,
    tally: &mut IoTally,
) {
    let more = cqueue::more(completion.flags());
    if !more {
        *unarmed |= 1 << local;
    }
    let filled = usize::try_from(completion.result()).ok().zip(cqueue::buffer_select(completion.flags()));
    if let Some((len, slot)) = filled {
        tally.count(IoCounter::MessagesIn);
        arrived.push_back(Arrived { local, slot, len });
    }
    match (filled, more, -completion.result()) {
        (_, true, _) => {}
        (None, false, libc::ENOBUFS) => tally.count(IoCounter::SlotsExhausted),
        (Some(_), false, _) => tally.count(IoCounter::Rearmed),
        (None, false, _) => tally.count(IoCounter::ReceiveFailed),
    }
}

/// What the kernel writes before the payload of a multishot receive: its header, the sender's name, control messages.
pub(super) struct SlotLayout<'a> {
    pub(super) name: &'a [u8],
    pub(super) control: &'a [u8],
    pub(super) truncated: bool,
}

impl<'a> SlotLayout<'a> {
    /// `struct io_uring_recvmsg_out`: four 32-bit numbers.
    const HEADER: usize = 16;
    /// Room for a name, so that control messages are aligned.
    const NAME: usize = NAME_LEN.next_multiple_of(8);
    const CONTROL: usize = control::INCOMING_LEN;
    pub(super) const PAYLOAD: usize = Self::HEADER + Self::NAME + Self::CONTROL;

    fn template() -> libc::msghdr {
        // SAFETY: all-zero bytes are a valid `msghdr`: null pointers and zero lengths.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_namelen = Self::NAME as libc::socklen_t;
        header.msg_controllen = Self::CONTROL;
        header
    }

    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let word = |index: usize| Some(u32::from_ne_bytes(*bytes.get(index * 4..)?.first_chunk()?));
        let (name_len, control_len, flags) = (word(0)? as usize, word(1)? as usize, word(3)?);
        let rest = bytes.get(Self::HEADER..Self::PAYLOAD)?;
        let (name, control) = rest.split_at(Self::NAME);
        Some(Self {
            name: name.get(..name_len.min(Self::NAME))?,
            control: control.get(..control_len.min(Self::CONTROL))?,
            truncated: flags & libc::MSG_TRUNC as u32 != 0,
        })
    }
}

/// Marks in `user_data`; the lower half is the socket or the train.
const KIND: u64 = 0xff << 32;
const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const WAKER: u64 = 3 << 32;
const REMOVAL: u64 = 4 << 32;

/// Every train, every receive and the poll at once.
const SUBMISSIONS: u32 = (TRAINS_MAX + SOCKETS_MAX + 1).next_power_of_two() as u32;

/// Four times the slots, so that a burst never overruns it, and every send refused at once.
const COMPLETIONS: u32 = (4 * RECEIVE_SLOTS + SUBMISSIONS as usize).next_power_of_two() as u32;

/// Tries to hand over one flush; the kernel takes all of it at the first but for want of memory.
const SUBMIT_TRIES: usize = 1000;
