//! The call's socket and what its datagrams are: demultiplexing by the first bytes, a wide receive buffer, errors that are none.
//!
//! RFC 7983 as updated by RFC 9443; RFC 5761 4 for RTCP.

use std::net::UdpSocket;

use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};

/// What a datagram speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

impl Protocol {
    pub(super) fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            _ => Self::Unknown,
        }
    }
}

/// Room for what arrives while this process is not given a core: what is lost here would be laid at the server's door.
pub fn widen(socket: &UdpSocket) -> Result<()> {
    // Beyond the system's maximum only with privileges; without them that maximum has to do.
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_LEN).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER_LEN)?;
    }
    Ok(())
}

/// Reads one datagram; `None` when there is none.
pub(super) fn receive_one(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Option<usize>> {
    loop {
        match socket.recv(buffer) {
            Ok(len) => return Ok(Some(len)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
            // An ICMP error for an earlier datagram: the server's port is gone, which the caller sees by silence.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends one datagram; an ICMP error for an earlier one is not this one's failure.
pub(super) fn send(socket: &UdpSocket, datagram: &[u8]) -> Result<()> {
    match socket.send(datagram) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error.into()),
    }
}

const RECEIVE_BUFFER_LEN: usize = 4 << 20;
