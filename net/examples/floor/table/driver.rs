//! The publisher of a measurement: sends a burst, waits until it is forwarded and the forwarder sleeps again, sends the next.
//!
//! A burst leaves as one train, so that all of it has arrived when the forwarder wakes up. What a wake-up costs is in every figure.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidewire_core::srtp::Outbound;

use super::sink::local_address;
use crate::registration::{PROFILE, Role, master_key};
use crate::system;

pub(crate) struct Driver {
    socket: UdpSocket,
    outbound: Outbound,
    index: u64,
    train: Vec<u8>,
}

/// What driver and forwarder tell each other.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Packets that the forwarder has taken.
    pub(crate) taken: AtomicU64,
    /// Whether it must end, done or not.
    pub(crate) stop: AtomicBool,
}

impl Driver {
    pub(crate) fn new(own: Ipv4Addr) -> io::Result<Self> {
        let socket = UdpSocket::bind((own, 0))?;
        system::cut(&socket, DATAGRAM_LEN)?;
        let outbound = Outbound::new(PROFILE, &master_key(Role::Publisher, local_address(&socket)?));
        Ok(Self { socket, outbound, index: 0, train: Vec::new() })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddrV4> {
        local_address(&self.socket)
    }

    /// Sends `bursts` bursts, each when the one before is done with; `state` is that of the forwarding thread.
    pub(crate) fn drive(
        &mut self,
        forwarder: SocketAddr,
        progress: &Progress,
        state: &File,
        (bursts, burst): (u64, u64),
    ) -> io::Result<()> {
        for number in 0..bursts {
            await_sleep(progress, state, number * burst)?;
            self.send(forwarder, burst)?;
        }
        Ok(())
    }

    /// Has the forwarder look at `Progress::stop`, in case that it sleeps.
    pub(crate) fn stop(&self, forwarder: SocketAddr, progress: &Progress) -> io::Result<()> {
        progress.stop.store(true, Ordering::Release);
        self.socket.send_to(&[0], forwarder).map(drop)
    }

    fn send(&mut self, forwarder: SocketAddr, burst: u64) -> io::Result<()> {
        self.train.clear();
        for _ in 0..burst {
            self.seal();
        }
        self.socket.send_to(&self.train, forwarder).map(drop)
    }

    fn seal(&mut self) {
        let start = self.train.len();
        self.train.extend([0x80, 96]);
        self.train.extend((self.index as u16).to_be_bytes());
        self.train.extend([0, 0, 0, 1, 0, 0, 0, 2]);
        let header_len = self.train.len() - start;
        self.train.resize(start + DATAGRAM_LEN, 0x5a);
        let body_len = DATAGRAM_LEN - header_len - self.outbound.rtp_overhead();
        let packet = &mut self.train[start..];
        let sealed = self.outbound.seal_rtp_in_place(self.index, header_len, body_len, packet);
        debug_assert_eq!(sealed, Ok(DATAGRAM_LEN));
        self.index += 1;
    }
}

fn await_sleep(progress: &Progress, state: &File, taken: u64) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while progress.taken.load(Ordering::Acquire) < taken || !sleeps(state)? {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "packets got lost on their way to the forwarder"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// Whether a thread sleeps: the word behind its name in brackets, in its `stat` (proc_pid_stat(5)).
fn sleeps(state: &File) -> io::Result<bool> {
    let mut text = [0; 64];
    let len = state.read_at(&mut text, 0)?;
    let after_name = text[..len].iter().rposition(|&byte| byte == b')').unwrap_or(0);
    Ok(text.get(after_name + 2) == Some(&b'S'))
}

/// Bytes of every datagram, header and tag included.
const DATAGRAM_LEN: usize = 1200;

const LOOK_AGAIN: Duration = Duration::from_micros(20);
const PATIENCE: Duration = Duration::from_secs(5);
