//! The yardstick of a run: what the simplest forwarder there could be would take for the same work, here and now.
//!
//! Virtual cores change their speed by half within minutes, and with it every figure in microseconds. So before and after
//! each window a bare loop does what the server has to do at least: every 5 ms it wakes up, and for each viewer seals two packets
//! under that viewer's key and sends each by one `sendto` to that viewer's socket. No RTP, no tables, no batching. A
//! server's cost per packet divided by this loop's stays comparable between machines, and between hours of one.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::{ClockId, clock_gettime};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::client::wait;
use crate::machine;

/// CPU time per packet on `core`, with as many viewers. The receivers' reading is not included.
pub(super) fn measure(core: Option<usize>, viewers: usize, packet_len: usize) -> Result<Duration> {
    match core {
        Some(core) => machine::with_affinity(core, || on_this_core(viewers, packet_len))?,
        None => on_this_core(viewers, packet_len),
    }
}

/// A destination with its key.
struct Sink {
    key: LessSafeKey,
    socket: UdpSocket,
    address: SocketAddr,
}

impl Sink {
    fn new(number: usize) -> Result<Self> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes).ok().context("a key of the right length")?);
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { key, socket, address })
    }

    fn send(&self, sender: &UdpSocket, number: u64, packet: &mut Vec<u8>, len: usize) -> Result<()> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        packet.clear();
        packet.resize(len, 0);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), packet).ok().context("sealing")?;
        sender.send_to(packet, self.address)?;
        Ok(())
    }
}

fn on_this_core(viewers: usize, packet_len: usize) -> Result<Duration> {
    let sinks = (0..viewers.max(1)).map(Sink::new).collect::<Result<Vec<_>>>()?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    let mut packet = Vec::with_capacity(packet_len + AES_128_GCM.tag_len());
    let mut used = Duration::ZERO;
    for round in 0..ROUNDS {
        wait::readable([], PAUSE)?;
        let before = thread_time()?;
        for number in 0..PACKETS_A_ROUND {
            for sink in &sinks {
                sink.send(&sender, round * PACKETS_A_ROUND + number, &mut packet, packet_len)?;
            }
        }
        used += thread_time()?.saturating_sub(before);
        for sink in &sinks {
            while sink.socket.recv(&mut packet).is_ok() {}
        }
    }
    Ok(used.div_f64((ROUNDS * PACKETS_A_ROUND) as f64 * sinks.len() as f64))
}

fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

const ROUNDS: u64 = 60;
/// What libwebrtc's pacing holds ready at 1.5 Mb/s, and how often.
const PACKETS_A_ROUND: u64 = 2;
const PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_and_sending_takes_some_time() {
        assert!(measure(None, 10, 1200).unwrap() > Duration::ZERO);
    }
}
