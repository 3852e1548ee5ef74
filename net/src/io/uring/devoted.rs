//! The ring's registered files: the shard's own sockets, and behind them one for each viewer that is connected.
//!
//! A file that is registered needs no descriptor: a connected socket's is closed at once, and the socket goes when its place
//! is given up or the ring is closed. Viewers beyond the places that there are, and those for whom the kernel makes no such
//! socket, are served by the shard's own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;

use io_uring::Submitter;
use tidewire_core::hashing::Folding;
use tidewire_core::limits::SOCKETS_MAX;
use tidewire_core::machine::Path;

use crate::connected;
use crate::socket::Sockets;

pub(super) struct Devoted {
    /// Where the socket of a path lies.
    places: HashMap<Path, u32, Folding>,
    free: Vec<u32>,
    is_on: bool,
}

impl Devoted {
    /// Registers the shard's sockets, and behind them as many places as are wanted and the kernel allows.
    pub(super) fn register(submitter: &Submitter<'_>, sockets: &Sockets, wanted: usize) -> io::Result<Self> {
        let shared = sockets.len();
        let places = wanted.min(files_max().saturating_sub(shared));
        submitter.register_files_sparse((shared + places) as u32)?;
        let mut descriptors = [-1; SOCKETS_MAX];
        descriptors.iter_mut().zip(sockets.descriptors()).for_each(|(entry, socket)| *entry = socket);
        submitter.register_files_update(0, &descriptors[..shared])?;
        let free = (shared..shared + places).rev().map(|place| place as u32).collect();
        // Who may be sent to has shown who it is, but chose its address.
        let seed = RandomState::new().hash_one(shared);
        Ok(Self { places: HashMap::with_hasher(Folding::new(seed)), free, is_on: wanted > 0 })
    }

    /// Whether viewers are connected at all.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    #[inline]
    pub(super) fn place_of(&self, path: &Path) -> Option<u32> {
        self.places.get(path).copied()
    }

    /// Connects a socket to a path that has none.
    pub(super) fn add(&mut self, path: &Path, sockets: &Sockets, submitter: &Submitter<'_>) -> io::Result<()> {
        let own = sockets.addresses().get(usize::from(path.local)).ok_or(io::ErrorKind::InvalidInput)?;
        let place = *self.free.last().ok_or(io::ErrorKind::QuotaExceeded)?;
        let socket = connected::connect(*own, path.remote, place)?;
        submitter.register_files_update(place, &[socket.as_raw_fd()])?;
        self.free.pop();
        self.places.insert(*path, place);
        Ok(())
    }

    /// Closes the socket of a path, if it has one.
    pub(super) fn remove(&mut self, path: &Path, submitter: &Submitter<'_>) {
        let Some(place) = self.places.remove(path) else { return };
        // A place that the kernel did not clear is given to nobody.
        if submitter.register_files_update(place, &[-1]).is_ok() {
            self.free.push(place);
        }
    }
}

/// Files that may be registered: as many as the process may have descriptors.
fn files_max() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the structure it is given, or leaves it alone.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}
