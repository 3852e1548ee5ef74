//! A socket filter that lets a viewer cost nothing: the kernel drops what nobody will look at, and counts it.
//!
//! Kept are STUN, DTLS and RTCP, and of RTP the packets whose sequence number has one residue modulo [`SAMPLE`]. All else is
//! dropped as it arrives, in the sender's time on loopback, and shows in the socket's drop counter. A classic BPF program
//! (kernel documentation, networking/filter): it sees a datagram from its UDP header on.

use std::net::UdpSocket;

use anyhow::Result;
use socket2::{SockFilter, SockRef};

/// One RTP packet in so many is kept.
pub(super) const SAMPLE: u16 = 64;

/// Which packets a viewer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampling {
    residue: u16,
}

impl Sampling {
    /// Viewers keep different packets, so that together they look at all.
    pub(super) fn of_viewer(number: usize) -> Self {
        Self { residue: (number % usize::from(SAMPLE)) as u16 }
    }

    /// Whether the packet with this sequence number is kept.
    pub(super) fn keeps(self, sequence: u16) -> bool {
        sequence % SAMPLE == self.residue
    }

    /// From here on the kernel drops the rest. What is queued already stays.
    pub(super) fn attach(self, socket: &UdpSocket) -> Result<()> {
        Ok(SockRef::from(socket).attach_filter(&self.program())?)
    }

    fn program(self) -> [SockFilter; 10] {
        const KEEP: u32 = 0xffff;
        [
            // RFC 7983: below 128 it is STUN, DTLS, or nothing that we know, which the viewer shall see.
            SockFilter::new(LOAD_BYTE, 0, 0, PAYLOAD),
            SockFilter::new(JUMP_GREATER_EQUAL, 0, 6, 128),
            // RFC 5761 4: RTCP.
            SockFilter::new(LOAD_BYTE, 0, 0, PAYLOAD + 1),
            SockFilter::new(JUMP_GREATER_EQUAL, 0, 1, 192),
            SockFilter::new(JUMP_GREATER_EQUAL, 0, 3, 224),
            SockFilter::new(LOAD_HALF, 0, 0, PAYLOAD + 2),
            SockFilter::new(AND, 0, 0, SAMPLE as u32 - 1),
            SockFilter::new(JUMP_EQUAL, 0, 1, u32::from(self.residue)),
            SockFilter::new(RETURN, 0, 0, KEEP),
            SockFilter::new(RETURN, 0, 0, 0),
        ]
    }
}

/// Bytes of the UDP header, which the filter sees in front.
const PAYLOAD: u32 = 8;

// linux/bpf_common.h: class, size and mode, or operation and source, of each instruction used.
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage;

    /// Sends the datagrams to a socket with the filter; returns what it could read, and how many the kernel dropped.
    fn through(sampling: Sampling, datagrams: &[Vec<u8>]) -> (Vec<Vec<u8>>, u64) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        sampling.attach(&receiver).unwrap();
        let (sender, address) = (UdpSocket::bind("127.0.0.1:0").unwrap(), receiver.local_addr().unwrap());
        let mut kept = Vec::new();
        let mut buffer = [0; 2048];
        for datagram in datagrams {
            sender.send_to(datagram, address).unwrap();
            while let Ok(len) = receiver.recv(&mut buffer) {
                kept.push(buffer[..len].to_vec());
            }
        }
        (kept, usage::udp_drops(&[address].into()).unwrap()[&address])
    }

    fn rtp(kind: u8, sequence: u16) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        [[0x90, kind, high, low].as_slice(), &[0; 1196]].concat()
    }

    #[test]
    fn one_packet_in_so_many_is_kept_and_the_kernel_counts_the_others() {
        let datagrams: Vec<Vec<u8>> = (0..640_u16).map(|sequence| rtp(96, sequence.wrapping_sub(320))).collect();
        for number in [0, 5, 63, 64 + 7] {
            let sampling = Sampling::of_viewer(number);
            let (kept, dropped) = through(sampling, &datagrams);
            let sequences: Vec<u16> = kept.iter().map(|bytes| u16::from_be_bytes([bytes[2], bytes[3]])).collect();
            assert!(sequences.iter().all(|sequence| sampling.keeps(*sequence)));
            assert_eq!((sequences.len(), dropped), (10, 630));
        }
    }

    #[test]
    fn what_keeps_a_call_alive_is_never_dropped() {
        let sampling = Sampling::of_viewer(9);
        // STUN, DTLS, a first byte of no protocol, and RTCP of the lowest and highest type.
        let kept = [vec![0, 1, 0, 1], vec![22, 254, 253, 1], vec![100, 0, 0, 1], rtp(192, 1), rtp(223, 1)];
        assert_eq!(through(sampling, &kept), (kept.to_vec(), 0));
        // RTP with and without its marker.
        assert_eq!(through(sampling, &[rtp(191, 1), rtp(224, 1), rtp(96, 1)]), (Vec::new(), 3));
    }

    #[test]
    fn a_datagram_too_short_to_be_told_apart_is_dropped() {
        assert_eq!(through(Sampling::of_viewer(0), &[vec![], vec![0x80], vec![0x80, 96]]).1, 3);
    }
}
