//! The packet I/O of any Linux: epoll, recvmmsg, sendmmsg.
//!
//! A socket that epoll reports is read with one call for all slots until it is empty; trains leave with one call a run of
//! one socket. Nothing is in flight between calls, so the slots and the arena are always ours.

mod inbox;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use tidewire_core::limits::SOCKETS_MAX;
use tidewire_core::machine::Batch;
use tidewire_core::time::Instant;

use self::inbox::{Drained, Inbox};
use super::PacketIo;
use super::outbox::{Carrier, Load, Outbox};
use crate::count::{IoCounter, IoTally};
use crate::socket::Sockets;
use crate::wake::{Waker, timespec};

pub(crate) struct Epoll {
    epoll: OwnedFd,
    inbox: Inbox,
    outbox: Outbox<SendMmsg>,
    /// Sockets that may hold something, by bit.
    ready: u64,
    /// Whether the kernel knows `epoll_pwait2`, whose timeout counts nanoseconds.
    precise: bool,
}

impl Epoll {
    /// `segments_max` datagrams make a train at most; with `gro` the kernel may hand over trains.
    pub(crate) fn new(sockets: Sockets, waker: &Waker, segments_max: usize, gro: bool) -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        for (index, socket) in sockets.descriptors().enumerate() {
            watch(&epoll, socket, index as u64)?;
        }
        watch(&epoll, waker.as_raw_fd(), WAKER)?;
        if gro {
            sockets.receive_trains()?;
        }
        Ok(Self {
            epoll,
            inbox: Inbox::new(),
            outbox: Outbox::new(SendMmsg, sockets, segments_max),
            ready: 0,
            precise: true,
        })
    }

    fn poll(&mut self, timeout: Option<Duration>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; SOCKETS_MAX + 1];
        let count = self.epoll_wait(&mut events, timeout);
        for event in events.iter().take(count) {
            if event.u64 != WAKER {
                self.ready |= 1 << event.u64;
            }
        }
    }

    /// Waits for events and counts them. An interruption is no event.
    fn epoll_wait(&mut self, events: &mut [libc::epoll_event], timeout: Option<Duration>) -> usize {
        let max = events.len() as i32;
        if self.precise {
            let timeout = timeout.map(timespec);
            let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            let no_mask = std::ptr::null::<libc::sigset_t>();
            // SAFETY: as many writable events as `max` says, a timespec that outlives the call or null, no signal mask.
            let count = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    max,
                    timeout,
                    no_mask,
                    0_usize,
                )
            };
            if count >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS) {
                return usize::try_from(count).unwrap_or(0);
            }
            self.precise = false;
        }
        // Rounded up: a turn before the deadline would find nothing to do and ask again.
        let timeout =
            timeout.map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: as many writable events as `max` says.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), max, timeout) };
        usize::try_from(count).unwrap_or(0)
    }
}

impl PacketIo for Epoll {
    type Egress = Outbox<SendMmsg>;

    fn addresses(&self) -> &[SocketAddr] {
        self.outbox.load.sockets.addresses()
    }

    fn collect(&mut self) {
        if self.ready == 0 && self.inbox.is_empty() {
            self.poll(Some(Duration::ZERO));
        }
    }

    fn receive<'a>(&'a mut self, now: Instant, batch: &mut Batch<'a>) -> &'a mut Self::Egress {
        while self.inbox.is_empty() && self.ready != 0 {
            let local = self.ready.trailing_zeros() as u8;
            if self.inbox.read(local, now, &mut self.outbox.load) == Drained::Yes {
                self.ready &= !(1 << local);
            }
        }
        self.inbox.unload(batch, &mut self.outbox.load.tally);
        &mut self.outbox
    }

    fn egress(&mut self) -> &mut Self::Egress {
        &mut self.outbox
    }

    fn flush(&mut self) {
        self.outbox.send();
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        if self.ready == 0 && self.inbox.is_empty() {
            self.poll(timeout);
        }
    }

    fn doze(&mut self) -> Option<RawFd> {
        self.collect();
        (self.ready == 0 && self.inbox.is_empty()).then(|| self.epoll.as_raw_fd())
    }

    fn rouse(&mut self) {}

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

/// The waker's mark among the events; sockets have their index.
const WAKER: u64 = u64::MAX;

fn watch(epoll: &OwnedFd, fd: RawFd, mark: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: mark };
    // SAFETY: a valid event, which the kernel only reads.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends by `sendmmsg`, one call for each run of trains that leave by one socket.
pub(crate) struct SendMmsg;

impl Carrier for SendMmsg {
    fn carry(&mut self, load: &mut Load) {
        let mut start = 0;
        while let Some(first) = load.trains.get(start) {
            let local = first.path.local;
            let run = load.trains.iter().skip(start).take_while(|train| train.path.local == local).count();
            if let Some(socket) = load.sockets.descriptor(local) {
                send_run(socket, start, start + run, load);
            }
            start += run;
        }
    }
}

/// Sends the trains from `start` to `end`, passing over those that the kernel refuses.
fn send_run(socket: RawFd, mut start: usize, end: usize, load: &mut Load) {
    while start < end {
        let headers = load.headers.of(&load.trains, start, end);
        // SAFETY: headers that point into their own arrays and into the trains, which nothing changes during the call.
        let sent =
            unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), headers.len() as u32, libc::MSG_DONTWAIT as _) };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => start += sent,
            _ => {
                load.refused(start, &io::Error::last_os_error());
                start += 1;
            }
        }
    }
}
