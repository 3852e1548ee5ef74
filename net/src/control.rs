//! Control messages of UDP sockets: the segment size of a train going out, the stamp and the segment size of what came in.
//!
//! Written and read as plain bytes; a control message that is cut off or unknown is passed over.

use std::time::Duration;

/// Bytes of a control message's header.
const HEADER_LEN: usize = size_of::<libc::cmsghdr>();

/// Room for a stamp (`timespec`) and a segment size (`int`), with a little to spare.
pub(crate) const INCOMING_LEN: usize = 64;

/// Bytes of an outgoing `UDP_SEGMENT` control message.
pub(crate) const SEGMENT_LEN: usize = HEADER_LEN + size_of::<usize>();

/// The `UDP_SEGMENT` control message of one train.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Segment([u8; SEGMENT_LEN]);

impl Segment {
    pub(crate) fn new(size: u16) -> Self {
        let mut bytes = [0; SEGMENT_LEN];
        bytes[..8].copy_from_slice(&(HEADER_LEN + size_of::<u16>()).to_ne_bytes());
        bytes[8..12].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        bytes[12..16].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        bytes[16..18].copy_from_slice(&size.to_ne_bytes());
        Self(bytes)
    }
}

/// What the kernel says about a received message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// Wall-clock time at which the message came in.
    pub(crate) stamp: Option<Duration>,
    /// Size of each datagram in it, the last excepted, when the kernel put several into one.
    pub(crate) segment: Option<usize>,
}

/// Reads the control messages of a received message.
pub(crate) fn read(mut bytes: &[u8]) -> Incoming {
    let mut incoming = Incoming::default();
    while let Some((level, kind, data, rest)) = next(bytes) {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) => incoming.stamp = timespec(data),
            (libc::SOL_UDP, libc::UDP_GRO) => incoming.segment = segment(data),
            (_, _) => {}
        }
        bytes = rest;
    }
    incoming
}

fn next(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(*bytes.first_chunk()?);
    let level = i32::from_ne_bytes(*bytes.get(8..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*bytes.get(12..)?.first_chunk()?);
    let data = bytes.get(HEADER_LEN..len)?;
    let rest = bytes.get(len.next_multiple_of(size_of::<usize>())..).unwrap_or(&[]);
    Some((level, kind, data, rest))
}

fn timespec(data: &[u8]) -> Option<Duration> {
    let seconds = i64::from_ne_bytes(*data.first_chunk()?);
    let nanos = i64::from_ne_bytes(*data.get(8..)?.first_chunk()?);
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?))
}

fn segment(data: &[u8]) -> Option<usize> {
    let size = i32::from_ne_bytes(*data.first_chunk()?);
    usize::try_from(size).ok().filter(|&size| size > 0)
}

const _: () = assert!(HEADER_LEN == 16 && size_of::<libc::timespec>() == 16, "only 64-bit Linux is spoken here");

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER_LEN + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn stamp_and_segment_size_are_read() {
        let mut bytes =
            message(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &[3_i64.to_ne_bytes(), 7_i64.to_ne_bytes()].concat());
        bytes.extend(message(libc::SOL_IP, 1, &[1]));
        bytes.extend(message(libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes()));
        assert_eq!(read(&bytes), Incoming { stamp: Some(Duration::new(3, 7)), segment: Some(1200) });
    }

    #[test]
    fn damaged_control_messages_are_passed_over() {
        let whole =
            message(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &[3_i64.to_ne_bytes(), 7_i64.to_ne_bytes()].concat());
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), Incoming::default());
        }
        assert_eq!(read(&[0; 32]), Incoming::default());
        assert_eq!(read(&message(libc::SOL_UDP, libc::UDP_GRO, &(-1_i32).to_ne_bytes())), Incoming::default());
    }
}
