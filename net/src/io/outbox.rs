//! The egress half of a packet I/O: trains, the sockets they leave by, and the way the kernel is handed them.
//!
//! The way (`Carrier`) is all that differs between the I/Os. What the kernel refuses is settled here for all: a refused
//! train goes out one by one and its path takes no trains from then on (this once, datagrams of the same flush may overtake
//! it); a full send buffer loses the datagrams, counted, since media that waits is media too late.

use std::io;

use tidewire_core::machine::{Egress, Path};
use tidewire_core::trains::{Train, Trains};

use crate::count::{IoCounter, IoTally};
use crate::headers::{Headers, send_lone};
use crate::socket::Sockets;

/// Hands all trains to the kernel; on return it holds no pointer to them.
pub(crate) trait Carrier {
    fn carry(&mut self, load: &mut Load);

    /// Media goes to this path from now on.
    fn devote(&mut self, _path: &Path, _load: &mut Load) {}

    /// The path is one like any other again.
    fn release(&mut self, _path: &Path) {}
}

/// Sealed datagrams, and what is needed to send them.
pub(crate) struct Load {
    pub(crate) trains: Trains,
    pub(crate) headers: Headers,
    pub(crate) sockets: Sockets,
    pub(crate) tally: IoTally,
    /// Trains that were counted already.
    counted: usize,
}

/// An egress over any carrier.
pub(crate) struct Outbox<C> {
    pub(crate) carrier: C,
    pub(crate) load: Load,
}

impl<C: Carrier> Outbox<C> {
    pub(crate) fn new(carrier: C, sockets: Sockets, segments_max: usize) -> Self {
        let (trains, headers) = (Trains::new(segments_max), Headers::new());
        Self { carrier, load: Load { trains, headers, sockets, tally: IoTally::default(), counted: 0 } }
    }

    /// Hands over everything that was committed.
    pub(crate) fn send(&mut self) {
        if !self.load.trains.is_empty() {
            self.load.count();
            self.carrier.carry(&mut self.load);
            self.load.clear();
        }
    }
}

impl<C: Carrier> Egress for Outbox<C> {
    fn reserve(&mut self, path: &Path, len: usize) -> Option<&mut [u8]> {
        if !self.load.trains.has_room_for(len) {
            self.load.tally.count(IoCounter::EarlyFlushes);
            self.send();
        }
        self.load.trains.reserve(path, len)
    }

    fn commit(&mut self, len: usize) {
        self.load.trains.commit(len);
    }

    fn devote(&mut self, path: &Path) {
        self.carrier.devote(path, &mut self.load);
    }

    fn release(&mut self, path: &Path) {
        self.carrier.release(path);
    }

    #[inline]
    fn expect<T>(&self, soon: &T) {
        prefetch(std::ptr::from_ref(soon).cast());
    }

    #[inline]
    fn expect_behind<T>(&self, soon: &T, len: usize) {
        let words = std::ptr::from_ref(soon).cast::<usize>();
        for word in 0..size_of::<T>() / size_of::<usize>() {
            // SAFETY: the word lies in what is borrowed.
            let address = unsafe { word_at(words.add(word)) };
            if address.addr() >= FIRST_PAGE_LEN {
                (0..len).step_by(CACHE_LINE).for_each(|offset| prefetch(address.wrapping_add(offset)));
            }
        }
    }
}

impl Load {
    /// Counts what was committed since the last time, as handed to the kernel.
    pub(crate) fn count(&mut self) {
        for train in self.trains.iter().skip(self.counted) {
            self.tally.count(IoCounter::MessagesOut);
            self.tally.add(IoCounter::DatagramsOut, train.segments);
            self.tally.add(IoCounter::BytesOut, train.len);
        }
        self.counted = self.trains.iter().len();
    }

    /// Forgets the trains: the kernel has taken them.
    pub(crate) fn clear(&mut self) {
        self.trains.clear();
        self.counted = 0;
    }

    /// Settles a train that the kernel did not take.
    pub(crate) fn refused(&mut self, index: usize, error: &io::Error) {
        let Some(&train) = self.trains.get(index) else { return };
        match error.raw_os_error() {
            // A path whose MTU is below a segment, or a device or policy that cannot segment.
            Some(libc::EMSGSIZE | libc::EIO | libc::EINVAL) if train.segments > 1 => self.send_singly(&train),
            _ => self.lost(error, train.segments),
        }
    }

    fn send_singly(&mut self, train: &Train) {
        self.tally.count(IoCounter::TrainsRefused);
        self.trains.send_singly(train.path);
        let Some(socket) = self.sockets.descriptor(train.path.local) else { return };
        for datagram in self.trains.datagrams(train) {
            if let Err(error) = send_lone(socket, &train.path.remote, datagram) {
                count_lost(&mut self.tally, &error, 1);
            }
        }
    }

    fn lost(&mut self, error: &io::Error, datagrams: usize) {
        count_lost(&mut self.tally, error, datagrams);
    }
}

/// Has the cache line at `address` fetched, without waiting for it.
#[inline]
fn prefetch(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see and never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _: *const i8 = address;
}

/// A word of a value, which may be padding and then is anything, as an address that nobody reads.
///
/// # Safety
/// The word must lie in memory that may be read.
#[inline]
unsafe fn word_at(word: *const usize) -> *const i8 {
    #[cfg(target_arch = "x86_64")]
    {
        let address;
        // SAFETY: by the caller's promise. In assembly, since the language knows no reading of padding.
        unsafe {
            std::arch::asm!("mov {}, [{}]", out(reg) address, in(reg) word, options(nostack, readonly, preserves_flags));
        }
        address
    }
    #[cfg(not(target_arch = "x86_64"))]
    word.cast()
}

/// Bytes that are fetched at once.
const CACHE_LINE: usize = 64;

/// Nothing lies here: a word below is a small number, and a search for its page would end in nothing each time.
const FIRST_PAGE_LEN: usize = 4096;

fn count_lost(tally: &mut IoTally, error: &io::Error, datagrams: usize) {
    let full = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS));
    tally.add(if full { IoCounter::SendBufferFull } else { IoCounter::SendFailed }, datagrams);
}
