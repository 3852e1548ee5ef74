//! The calls of any Linux: epoll_wait, recvmmsg, sendmmsg.
//!
//! One call sends all messages of one socket that follow each other: everything where nobody has a socket of his own.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::carrier::{Arrival, Carrier, RECEIVE_SLOTS, SLOT_LEN, address_of};
use crate::memory::Memory;
use crate::outgoing::{EMPTY_NAME, NAME_LEN, Outgoing, lone};

pub(crate) struct Mmsg {
    epoll: OwnedFd,
    /// By number; the first one listens.
    sockets: Vec<RawFd>,
    slots: Rc<Memory>,
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in]>,
    spin: Duration,
    /// Whether the last look left nothing behind.
    drained: bool,
}

impl Mmsg {
    pub(crate) fn new(listener: &UdpSocket, spin: Duration) -> io::Result<Self> {
        let slots = Rc::new(Memory::new(RECEIVE_SLOTS * SLOT_LEN));
        let vector = |slot| libc::iovec { iov_base: slots.address(slot * SLOT_LEN).cast(), iov_len: SLOT_LEN };
        let mut mmsg = Self {
            epoll: watch(listener.as_raw_fd())?,
            sockets: vec![listener.as_raw_fd()],
            // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
            headers: vec![unsafe { std::mem::zeroed() }; RECEIVE_SLOTS].into_boxed_slice(),
            vectors: (0..RECEIVE_SLOTS).map(vector).collect(),
            names: vec![EMPTY_NAME; RECEIVE_SLOTS].into_boxed_slice(),
            slots,
            spin,
            drained: true,
        };
        for (slot, header) in mmsg.headers.iter_mut().enumerate() {
            header.msg_hdr.msg_iov = &raw mut mmsg.vectors[slot];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut mmsg.names[slot]).cast();
            header.msg_hdr.msg_namelen = NAME_LEN;
        }
        Ok(mmsg)
    }

    fn spin(&mut self, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        let deadline = Instant::now() + self.spin;
        while arrivals.is_empty() && Instant::now() < deadline {
            self.receive(arrivals)?;
        }
        Ok(())
    }

    fn sleep(&self) -> io::Result<()> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), &raw mut event, 1, -1) };
        unless(count < 0, io::ErrorKind::Interrupted)
    }

    fn receive(&mut self, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        let (headers, no_timeout) = (self.headers.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: as many headers as stated, linked to arrays of ours; no slot is lent, since arrivals were given up.
        let count = unsafe {
            libc::recvmmsg(self.sockets[0], headers, RECEIVE_SLOTS as u32, libc::MSG_DONTWAIT as _, no_timeout)
        };
        unless(count < 0, io::ErrorKind::WouldBlock)?;
        let count = usize::try_from(count).unwrap_or(0);
        self.drained = count < RECEIVE_SLOTS;
        for (slot, header) in self.headers.iter_mut().enumerate().take(count) {
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            let len = if whole { header.msg_len as usize } else { 0 };
            arrivals.push(Arrival { source: address_of(&self.names[slot]), start: slot * SLOT_LEN, len });
            header.msg_hdr.msg_namelen = NAME_LEN;
        }
        Ok(())
    }
}

impl Carrier for Mmsg {
    fn slots(&self) -> Rc<Memory> {
        Rc::clone(&self.slots)
    }

    fn adopt(&mut self, number: u32, socket: RawFd) -> io::Result<()> {
        debug_assert_eq!(number as usize, self.sockets.len());
        self.sockets.push(socket);
        Ok(())
    }

    fn exchange(&mut self, outgoing: &mut Outgoing, arrivals: &mut Vec<Arrival>) -> io::Result<()> {
        self.send(outgoing)?;
        arrivals.clear();
        if self.drained && !self.spin.is_zero() {
            self.spin(arrivals)?;
        }
        if arrivals.is_empty() {
            if self.drained {
                self.sleep()?;
            }
            self.receive(arrivals)?;
        }
        Ok(())
    }

    fn send(&mut self, outgoing: &mut Outgoing) -> io::Result<()> {
        let mut start = 0;
        while let Some(&number) = outgoing.sockets().get(start) {
            let run = outgoing.sockets()[start..].iter().take_while(|&&other| other == number).count();
            let socket = self.sockets[number as usize];
            let messages = &mut outgoing.messages()[start..start + run];
            let refused =
                if let [message] = messages { send_one(socket, message) } else { send_many(socket, messages) };
            outgoing.refused += refused;
            start += run;
        }
        outgoing.clear();
        Ok(())
    }
}

/// Sends one message by the cheapest call that can; says how many were refused.
fn send_one(socket: RawFd, message: &libc::mmsghdr) -> u64 {
    let message = &message.msg_hdr;
    let sent = match lone(message).filter(|_| message.msg_name.is_null()) {
        // SAFETY: readable bytes of the stated length.
        Some(bytes) => unsafe { libc::send(socket, bytes.iov_base, bytes.iov_len, libc::MSG_DONTWAIT) },
        // SAFETY: a header that is linked to arrays of ours, which nothing changes during the call.
        None => unsafe { libc::sendmsg(socket, message, libc::MSG_DONTWAIT) },
    };
    u64::from(sent < 0)
}

/// Sends messages, passing over those that the kernel refuses; says how many those were.
fn send_many(socket: RawFd, mut messages: &mut [libc::mmsghdr]) -> u64 {
    let mut refused = 0;
    while !messages.is_empty() {
        // SAFETY: headers that are linked to arrays of ours, which nothing else changes during the call.
        let sent =
            unsafe { libc::sendmmsg(socket, messages.as_mut_ptr(), messages.len() as u32, libc::MSG_DONTWAIT as _) };
        let sent = usize::try_from(sent).unwrap_or(0);
        // It stops at the first that it refuses.
        let passed = (sent + 1).min(messages.len());
        refused += (passed - sent) as u64;
        messages = &mut messages[passed..];
    }
    refused
}

/// An epoll that reports a socket once each time something comes: what it reports is read to its end.
fn watch(socket: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointers.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    unless(epoll < 0, io::ErrorKind::Interrupted)?;
    // SAFETY: just opened, and nobody else owns it.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
    // SAFETY: a valid event, which the kernel only reads.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket, &raw mut event) };
    unless(result < 0, io::ErrorKind::Interrupted)?;
    Ok(epoll)
}

/// The error of the last call if it failed, unless it is of the kind that is none.
fn unless(failed: bool, harmless: io::ErrorKind) -> io::Result<()> {
    let error = failed.then(io::Error::last_os_error).filter(|error| error.kind() != harmless);
    error.map_or(Ok(()), Err)
}
