//! Waiting for a condition, and for sockets: the only two ways in which this crate lets time pass.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Blocks until one of the descriptors is readable or `limit` has passed.
pub fn readable<'a>(descriptors: impl IntoIterator<Item = BorrowedFd<'a>>, limit: Duration) -> Result<()> {
    let mut descriptors: Vec<PollFd<'_>> =
        descriptors.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut descriptors, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One descriptor readable, or `limit` passed.
pub fn one_readable(descriptor: &impl AsFd, limit: Duration) -> Result<()> {
    readable([descriptor.as_fd()], limit)
}

/// Whether reading would give something at once.
pub fn is_readable(descriptor: &impl AsFd) -> Result<bool> {
    let mut descriptors = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut descriptors, PollTimeout::ZERO)? > 0)
}

/// Asks every few milliseconds until `condition` gives a value; after `limit` it is an error that names `what`.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {limit:?} for {what}");
        }
        readable([], Duration::from_millis(5))?;
    }
}
