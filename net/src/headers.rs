//! The headers with which the kernel is handed trains: a name, a vector and, for more than one datagram, their length.
//!
//! Arrays claimed once, whose pointers to each other never change. What is written for a train is good as long as the
//! train: until the next commit or clear. Sends nothing itself.

use std::net::SocketAddr;

use tidewire_core::limits::TRAINS_MAX;
use tidewire_core::trains::{Train, Trains};

use crate::address::Name;
use crate::control::{SEGMENT_LEN, Segment};

/// `sendmmsg` headers whose pointers into the arrays beside them never change.
pub(crate) struct Headers {
    messages: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Segment]>,
}

impl Headers {
    pub(crate) fn new() -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
            messages: vec![unsafe { std::mem::zeroed() }; TRAINS_MAX].into_boxed_slice(),
            vectors: vec![vector; TRAINS_MAX].into_boxed_slice(),
            names: vec![Name::EMPTY; TRAINS_MAX].into_boxed_slice(),
            controls: vec![Segment::new(0); TRAINS_MAX].into_boxed_slice(),
        }
    }

    /// Headers for the trains from `start` to `end`.
    pub(crate) fn of(&mut self, trains: &Trains, start: usize, end: usize) -> &mut [libc::mmsghdr] {
        let end = end.min(trains.iter().len());
        let start = start.min(end);
        for (index, train) in trains.iter().enumerate().take(end).skip(start) {
            self.write(index, train, trains.bytes(train));
        }
        &mut self.messages[start..end]
    }

    /// The kernel only reads what a message to be sent points to.
    fn write(&mut self, index: usize, train: &Train, bytes: &[u8]) {
        let (message, vector) = (&mut self.messages[index].msg_hdr, &mut self.vectors[index]);
        vector.iov_base = bytes.as_ptr().cast_mut().cast();
        vector.iov_len = bytes.len();
        message.msg_iov = vector;
        message.msg_iovlen = 1;
        message.msg_namelen = self.names[index].write(&train.path.remote) as libc::socklen_t;
        message.msg_name = self.names[index].0.as_mut_ptr().cast();
        if train.segments > 1 {
            self.controls[index] = Segment::new(u16::try_from(train.segment).unwrap_or(u16::MAX));
            message.msg_control = (&raw mut self.controls[index]).cast();
            message.msg_controllen = SEGMENT_LEN;
        } else {
            message.msg_control = std::ptr::null_mut();
            message.msg_controllen = 0;
        }
    }
}

/// For a socket that is connected: a name would have the kernel look up the way as for any other.
pub(crate) fn leave_name_out(header: &mut libc::mmsghdr) {
    header.msg_hdr.msg_name = std::ptr::null_mut();
    header.msg_hdr.msg_namelen = 0;
}

/// Sends one datagram by itself, for a train that the kernel refused.
pub(crate) fn send_lone(socket: std::os::fd::RawFd, remote: &SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = Name::EMPTY;
    let len = name.write(remote) as libc::socklen_t;
    // SAFETY: readable bytes and a name of the stated lengths.
    let sent = unsafe {
        libc::sendto(socket, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT, name.0.as_ptr().cast(), len)
    };
    if sent < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
