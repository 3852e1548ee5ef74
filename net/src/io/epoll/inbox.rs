//! The receiving half of the epoll I/O: slots, the headers with which `recvmmsg` fills them, and the messages that wait there.
//!
//! A socket is read only when no message waits, so every read begins with the slots used last, which are in the cache.

use std::io;

use tidewire_core::limits::RECEIVE_SLOTS;
use tidewire_core::machine::{Batch, Path};
use tidewire_core::time::Instant;

use crate::address::{self, NAME_LEN, Name};
use crate::clock::Stamps;
use crate::control;
use crate::count::{IoCounter, IoTally};
use crate::io::outbox::Load;
use crate::io::slots::{Message, SLOT_LEN, Slots};

/// Whether a socket had nothing more when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drained {
    Yes,
    Maybe,
}

/// The receiving half: slots, the headers with which the kernel fills them, and the messages that wait in them.
pub(super) struct Inbox {
    slots: Slots,
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    messages: Vec<Message>,
    /// The first message that was not unloaded to its end.
    next: usize,
    /// Headers that the kernel wrote to since they were prepared.
    used: usize,
    stamps: Stamps,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; control::INCOMING_LEN]);

impl Inbox {
    pub(super) fn new() -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let mut inbox = Self {
            slots: Slots::new(),
            // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
            headers: vec![unsafe { std::mem::zeroed() }; RECEIVE_SLOTS].into_boxed_slice(),
            vectors: vec![vector; RECEIVE_SLOTS].into_boxed_slice(),
            names: vec![Name::EMPTY; RECEIVE_SLOTS].into_boxed_slice(),
            controls: vec![Control([0; control::INCOMING_LEN]); RECEIVE_SLOTS].into_boxed_slice(),
            messages: Vec::with_capacity(RECEIVE_SLOTS),
            next: 0,
            used: 0,
            stamps: Stamps::new(),
        };
        inbox.connect();
        inbox
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next >= self.messages.len()
    }

    /// Reads as many messages of a socket as there are slots. Only while no message waits.
    pub(super) fn read(&mut self, local: u8, now: Instant, load: &mut Load) -> Drained {
        self.stamps.refresh(now);
        self.messages.clear();
        self.next = 0;
        let Some(socket) = load.sockets.descriptor(local) else { return Drained::Yes };
        self.prepare();
        // SAFETY: every header points into arrays of ours, with their lengths; no slot is lent, since no message waits and
        // `&mut self` says that no batch is alive.
        let count = unsafe {
            libc::recvmmsg(
                socket,
                self.headers.as_mut_ptr(),
                RECEIVE_SLOTS as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return self.failed(&mut load.tally);
        };
        load.tally.add(IoCounter::MessagesIn, count);
        self.used = count.min(RECEIVE_SLOTS);
        (0..self.used).for_each(|slot| self.admit(slot, local, now));
        if count < RECEIVE_SLOTS { Drained::Yes } else { Drained::Maybe }
    }

    fn failed(&self, tally: &mut IoTally) -> Drained {
        let kind = io::Error::last_os_error().kind();
        if kind != io::ErrorKind::WouldBlock {
            tally.count(IoCounter::ReceiveFailed);
        }
        // epoll reports the socket again if there is more to it.
        Drained::Yes
    }

    /// Points every header at its slot, its name and its control messages; boxed arrays do not move.
    fn connect(&mut self) {
        for (slot, header) in self.headers.iter_mut().enumerate() {
            self.vectors[slot] = libc::iovec { iov_base: self.slots.address(slot as u16).cast(), iov_len: SLOT_LEN };
            let header = &mut header.msg_hdr;
            header.msg_name = self.names[slot].0.as_mut_ptr().cast();
            header.msg_iov = &raw mut self.vectors[slot];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[slot].0.as_mut_ptr().cast();
        }
        self.used = RECEIVE_SLOTS;
    }

    /// Gives the kernel back the room for names and control messages where it wrote how much it took.
    fn prepare(&mut self) {
        for header in self.headers.iter_mut().take(self.used) {
            header.msg_hdr.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_hdr.msg_controllen = control::INCOMING_LEN;
        }
        self.used = 0;
    }

    fn admit(&mut self, slot: usize, local: u8, now: Instant) {
        let header = &self.headers[slot];
        let name_len = NAME_LEN.min(header.msg_hdr.msg_namelen as usize);
        let control_len = control::INCOMING_LEN.min(header.msg_hdr.msg_controllen);
        // An internet socket has no other senders.
        let Some(remote) = address::read(&self.names[slot].0[..name_len]) else { return };
        let incoming = control::read(&self.controls[slot].0[..control_len]);
        let len = header.msg_len as usize;
        self.messages.push(Message {
            slot: slot as u16,
            path: Path { local, remote },
            arrival: self.stamps.arrival(incoming.stamp, now),
            start: 0,
            end: len,
            segment: incoming.segment.unwrap_or(len),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        });
    }

    pub(super) fn unload<'a>(&'a mut self, batch: &mut Batch<'a>, tally: &mut IoTally) {
        while let Some(message) = self.messages.get_mut(self.next) {
            // SAFETY: the kernel owns no slot outside of `read`, which waits until all messages are unloaded and, by
            // `&'a mut self`, until the batch is gone.
            if !unsafe { message.unload(&self.slots, batch, tally) } {
                break;
            }
            self.next += 1;
        }
    }
}
