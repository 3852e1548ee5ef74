//! Waking a thread that sleeps in the kernel.
//!
//! A `Waker` is an eventfd with a flag before it. Whoever leaves work somewhere calls `wake` afterwards; whoever sleeps
//! calls `clear` when it is up and looks for work after that. In this order nothing is ever missed, and a thread that is
//! awake with its flag still set costs its wakers one atomic swap and no system call.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A handle that ends another thread's sleep; clones wake the same thread.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    eventfd: OwnedFd,
    /// Set from `wake` to `clear`: the eventfd is readable or about to be.
    woken: AtomicBool,
}

impl Waker {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else owns it.
        let eventfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { shared: Arc::new(Shared { eventfd, woken: AtomicBool::new(false) }) })
    }

    /// Ends the sleep, or the next one when the thread is awake. Never blocks.
    pub fn wake(&self) {
        if self.shared.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight readable bytes. The write cannot fail: `woken` keeps the counter at a few at most.
        let written = unsafe { libc::write(self.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        debug_assert_eq!(written, 8, "eventfd: {}", io::Error::last_os_error());
    }

    /// Whether `wake` was called since the last `clear`.
    pub fn is_woken(&self) -> bool {
        self.shared.woken.load(Ordering::Relaxed)
    }

    /// Arms the waker again. To be called before the queues are looked at, never after.
    pub fn clear(&self) {
        self.hush();
        self.shared.woken.store(false, Ordering::SeqCst);
    }

    /// Makes the eventfd unreadable and leaves the flag, for one who is up but did not look for work yet.
    pub(crate) fn hush(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: eight writable bytes; an empty counter answers EAGAIN, which is as good.
        let read = unsafe { libc::read(self.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        debug_assert!(read == 8 || io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock);
    }

    /// Sleeps until `wake` or for `timeout` at most (`None`: for ever), for threads that wait for nothing else.
    /// Does not clear; may return early.
    pub fn wait(&self, timeout: Option<Duration>) {
        let mut poll = libc::pollfd { fd: self.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = timeout.map(timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: one pollfd, a timespec that outlives the call or null, no signal mask. An interruption is an early return.
        unsafe { libc::ppoll(&raw mut poll, 1, timeout, std::ptr::null()) };
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.eventfd.as_raw_fd()
    }
}

/// A duration as the kernel takes it.
pub(crate) fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_before_the_wait_is_not_missed() {
        let waker = Waker::new().unwrap();
        waker.wake();
        waker.wake();
        assert!(waker.is_woken());
        waker.wait(None);
        waker.clear();
        assert!(!waker.is_woken());
    }

    #[test]
    fn wake_comes_from_another_thread() {
        let waker = Waker::new().unwrap();
        let other = waker.clone();
        let thread = std::thread::spawn(move || other.wake());
        while !waker.is_woken() {
            waker.wait(Some(Duration::from_secs(10)));
        }
        thread.join().unwrap();
    }
}
