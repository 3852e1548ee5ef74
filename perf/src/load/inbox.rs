//! Reading a socket together with the kernel's receive timestamp.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use anyhow::Result;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;

use crate::clock;

/// The memory of one read: each takes the place of the one before.
pub struct Inbox {
    buffer: Box<[u8; 2048]>,
    control: Vec<u8>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { buffer: Box::new([0; 2048]), control: cmsg_space!(TimeSpec) }
    }
}

impl Inbox {
    /// One datagram and the wall-clock time at which the kernel took it in; `None` when there is none.
    pub fn receive(&mut self, socket: &UdpSocket) -> Result<Option<(&[u8], u64)>> {
        let mut slices = [IoSliceMut::new(&mut self.buffer[..])];
        let (len, stamp) =
            match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut self.control), MsgFlags::MSG_DONTWAIT) {
                Ok(message) => (message.bytes, message.cmsgs()?.find_map(|control| stamp_ns(&control))),
                Err(Errno::EAGAIN | Errno::ECONNREFUSED | Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        Ok(Some((&self.buffer[..len], stamp.unwrap_or_else(clock::unix_ns))))
    }
}

fn stamp_ns(control: &ControlMessageOwned) -> Option<u64> {
    match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64),
        _ => None,
    }
}
