//! RTCP (RFC 3550 6): a checked walk over a compound datagram, and writers for what the server itself sends.
//!
//! Reading borrows and never panics; writing appends to a [`Writer`] over lent bytes. Neither allocates, since feedback
//! arrives at packet rates. Only the formats that a forwarder acts on are named; everything else is `Other`.
//! Transport-wide feedback and extended reports have files of their own.

mod extended;
mod transport;
mod transport_writer;

use self::extended::EXTENDED_REPORT;
pub use self::extended::{Answers, Held};
pub use self::transport::{Statuses, TransportFeedback};
pub use self::transport_writer::{FEEDBACK_LEN_MAX, STATUSES_MAX, Telling};
use crate::count::Discard;
use crate::time::Ntp;

/// RTCP packet types (RFC 3550 12.1, RFC 4585 6.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// Feedback message types (RFC 4585 6.2.1, 6.3.1, 6.4; RFC 5104 4.3.1; draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1).
const NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA: u8 = 4;
const APPLICATION: u8 = 15;

/// The name under which application feedback carries a bandwidth estimate (draft-alvestrand-rmcat-remb-03 2.2).
const ESTIMATE: &[u8] = b"REMB";

/// One packet of a compound datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    SenderReport {
        ssrc: u32,
        info: SenderInfo,
        reports: Reports<'a>,
    },
    ReceiverReport {
        ssrc: u32,
        reports: Reports<'a>,
    },
    /// Packets of `media` that the other end misses (RFC 4585 6.2.1).
    Nack {
        media: u32,
        lost: Lost<'a>,
    },
    /// The decoder of `media` needs a key frame (RFC 4585 6.3.1).
    PictureLoss {
        media: u32,
    },
    /// The streams that are asked for a key frame (RFC 5104 4.3.1).
    FullIntra {
        requests: FullIntraRequests<'a>,
    },
    /// What arrived of everything that was sent over the transport.
    TransportWide(TransportFeedback<'a>),
    /// What the receiver believes it can receive in all (draft-alvestrand-rmcat-remb-03 2.2).
    Estimate {
        bits_per_second: u64,
    },
    Goodbye {
        ssrc: Option<u32>,
    },
    /// The other end's own time (RFC 3611 4.4), and how long it has held times that it was told (RFC 3611 4.5).
    Times {
        ssrc: u32,
        reference: Option<Ntp>,
        answers: Answers<'a>,
    },
    /// A packet that is not acted on.
    Other,
}

/// The sender's part of a sender report (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    pub ntp: Ntp,
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// A reception report block (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// 24-bit signed count of packets lost since the beginning.
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    /// Interarrival jitter, in timestamp units.
    pub jitter: u32,
    /// Middle of the NTP time of the last sender report; zero if there was none.
    pub last_report: u32,
    /// Delay since that report, in 1/65536 s.
    pub delay: u32,
}

/// Iterates over report blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports<'a>(&'a [u8]);

impl Iterator for Reports<'_> {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        let (block, rest) = self.0.split_first_chunk::<24>()?;
        self.0 = rest;
        let lost = i32::from_be_bytes([block[5], block[6], block[7], 0]) >> 8;
        Some(Report {
            ssrc: word(block, 0)?,
            fraction_lost: block[4],
            cumulative_lost: lost,
            highest_sequence: word(block, 8)?,
            jitter: word(block, 12)?,
            last_report: word(block, 16)?,
            delay: word(block, 20)?,
        })
    }
}

/// Iterates over the sequence numbers of a NACK, its bit masks unfolded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost<'a> {
    rest: &'a [u8],
    next: u16,
    mask: u32,
}

impl Iterator for Lost<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.mask == 0 {
            let (pair, rest) = self.rest.split_first_chunk::<4>()?;
            self.rest = rest;
            self.next = u16::from_be_bytes([pair[0], pair[1]]);
            // Bit 0 stands for the packet itself, bit i for the i-th after it.
            self.mask = 1 | u32::from(u16::from_be_bytes([pair[2], pair[3]])) << 1;
        }
        let skip = self.mask.trailing_zeros();
        let sequence = self.next.wrapping_add(skip as u16);
        self.mask &= self.mask - 1;
        Some(sequence)
    }
}

/// Iterates over (SSRC, command sequence number) of a full intra request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullIntraRequests<'a>(&'a [u8]);

impl Iterator for FullIntraRequests<'_> {
    type Item = (u32, u8);

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some((word(entry, 0)?, entry[4]))
    }
}

/// Walks a decrypted compound datagram. The lengths are checked first, so that a datagram is read whole or not at all.
pub fn packets(datagram: &[u8]) -> Result<Packets<'_>, Discard> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let (_, after) = split(rest).ok_or(Discard::RtcpMalformed)?;
        rest = after;
    }
    if datagram.is_empty() { Err(Discard::Truncated) } else { Ok(Packets(datagram)) }
}

/// Iterates over the packets of a datagram that `packets` has checked.
#[derive(Clone, Debug)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (packet, rest) = split(self.0)?;
        self.0 = rest;
        // A body too short for its type is as good as a packet that is not known.
        Some(read(packet).unwrap_or(Packet::Other))
    }
}

/// Splits off the first packet: `length` counts 32-bit words less one (RFC 3550 6.4.1).
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = bytes.first_chunk::<4>()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let len = 4 * (1 + usize::from(u16::from_be_bytes([head[2], head[3]])));
    bytes.split_at_checked(len)
}

fn read(packet: &[u8]) -> Option<Packet<'_>> {
    let count = packet.first()? & 0x1f;
    match *packet.get(1)? {
        SENDER_REPORT => Some(Packet::SenderReport {
            ssrc: word(packet, 4)?,
            info: SenderInfo {
                ntp: Ntp(u64::from(word(packet, 8)?) << 32 | u64::from(word(packet, 12)?)),
                timestamp: word(packet, 16)?,
                packets: word(packet, 20)?,
                octets: word(packet, 24)?,
            },
            reports: Reports(packet.get(28..28 + 24 * usize::from(count))?),
        }),
        RECEIVER_REPORT => Some(Packet::ReceiverReport {
            ssrc: word(packet, 4)?,
            reports: Reports(packet.get(8..8 + 24 * usize::from(count))?),
        }),
        TRANSPORT_FEEDBACK if count == NACK => {
            Some(Packet::Nack { media: word(packet, 8)?, lost: Lost { rest: packet.get(12..)?, next: 0, mask: 0 } })
        }
        TRANSPORT_FEEDBACK if count == TRANSPORT_WIDE => {
            Some(Packet::TransportWide(TransportFeedback::read(unpadded(packet)?.get(12..)?)?))
        }
        PAYLOAD_FEEDBACK if count == PICTURE_LOSS => Some(Packet::PictureLoss { media: word(packet, 8)? }),
        PAYLOAD_FEEDBACK if count == FULL_INTRA => {
            Some(Packet::FullIntra { requests: FullIntraRequests(packet.get(12..)?) })
        }
        PAYLOAD_FEEDBACK if count == APPLICATION && packet.get(12..16)? == ESTIMATE => {
            Some(Packet::Estimate { bits_per_second: estimate(word(packet, 16)?)? })
        }
        EXTENDED_REPORT => extended::read(packet),
        GOODBYE => Some(Packet::Goodbye { ssrc: word(packet, 4) }),
        _ => Some(Packet::Other),
    }
}

/// RFC 3550 6.4.1: with the padding bit set, the last byte counts what is padding, itself included.
fn unpadded(packet: &[u8]) -> Option<&[u8]> {
    let padding = if packet.first()? & 0x20 == 0 { 0 } else { *packet.last()? };
    packet.get(..packet.len().checked_sub(padding.into())?)
}

/// A count of SSRCs, which are not looked at, then 6 bits of exponent and 18 of mantissa. What does not fit is nonsense.
fn estimate(word: u32) -> Option<u64> {
    let (exponent, mantissa) = (word >> 18 & 0x3f, word & 0x3_ffff);
    u64::try_from(u128::from(mantissa) << exponent).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}

/// Appends RTCP packets to lent bytes. A packet that does not fit is left out whole.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn sender_report(&mut self, ssrc: u32, info: &SenderInfo) {
        let [high, low] = [(info.ntp.0 >> 32) as u32, info.ntp.0 as u32];
        self.words(0, SENDER_REPORT, &[ssrc, high, low, info.timestamp, info.packets, info.octets]);
    }

    /// A receiver report with at most 31 blocks (RFC 3550 6.4.2); further ones are left out.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[Report]) {
        let reports = &reports[..reports.len().min(31)];
        let len = 8 + 24 * reports.len();
        let Some(out) = self.begin(reports.len() as u8, RECEIVER_REPORT, len) else { return };
        out[4..8].copy_from_slice(&ssrc.to_be_bytes());
        for (block, report) in out[8..].chunks_exact_mut(24).zip(reports) {
            let lost = report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
            let fields = [
                report.ssrc,
                u32::from(report.fraction_lost) << 24 | lost,
                report.highest_sequence,
                report.jitter,
                report.last_report,
                report.delay,
            ];
            write_words(block, &fields);
        }
    }

    /// A source description with the canonical name alone (RFC 3550 6.5); every compound datagram carries one.
    pub fn canonical_name(&mut self, ssrc: u32, name: &str) {
        let name = &name.as_bytes()[..name.len().min(255)];
        // The item list ends with at least one zero byte and is padded to a word.
        let len = 8 + (2 + name.len() + 1).next_multiple_of(4);
        let Some(out) = self.begin(1, SOURCE_DESCRIPTION, len) else { return };
        out[4..8].copy_from_slice(&ssrc.to_be_bytes());
        out[8] = 1;
        out[9] = name.len() as u8;
        out[10..10 + name.len()].copy_from_slice(name);
        out[10 + name.len()..].fill(0);
    }

    pub fn goodbye(&mut self, ssrc: u32) {
        self.words(1, GOODBYE, &[ssrc]);
    }

    pub fn picture_loss(&mut self, sender: u32, media: u32) {
        self.words(PICTURE_LOSS, PAYLOAD_FEEDBACK, &[sender, media]);
    }

    /// RFC 5104 4.3.1.1: `sequence` grows with every new request and stays for a repeated one.
    pub fn full_intra(&mut self, sender: u32, media: u32, sequence: u8) {
        self.words(FULL_INTRA, PAYLOAD_FEEDBACK, &[sender, 0, media, u32::from(sequence) << 24]);
    }

    /// Asks for packets again. `lost` is in ascending order (modulo 2^16); neighbours share a mask.
    pub fn nack(&mut self, sender: u32, media: u32, lost: &[u16]) {
        let pairs = NackPairs(lost);
        let len = 12 + 4 * pairs.clone().count();
        let Some(out) = self.begin(NACK, TRANSPORT_FEEDBACK, len) else { return };
        write_words(&mut out[4..12], &[sender, media]);
        for (slot, (first, mask)) in out[12..].chunks_exact_mut(4).zip(pairs) {
            slot.copy_from_slice(&(u32::from(first) << 16 | u32::from(mask)).to_be_bytes());
        }
    }

    fn words(&mut self, count: u8, packet_type: u8, fields: &[u32]) {
        if let Some(out) = self.begin(count, packet_type, 4 + 4 * fields.len()) {
            write_words(&mut out[4..], fields);
        }
    }

    /// Claims `len` bytes (a multiple of four) and writes the common header.
    fn begin(&mut self, count: u8, packet_type: u8, len: usize) -> Option<&mut [u8]> {
        let end = self.len.checked_add(len)?;
        let out = self.bytes.get_mut(self.len..end)?;
        self.len = end;
        let words = (len / 4 - 1) as u16;
        out[0] = 0x80 | count;
        out[1] = packet_type;
        out[2..4].copy_from_slice(&words.to_be_bytes());
        Some(out)
    }
}

fn write_words(out: &mut [u8], fields: &[u32]) {
    for (slot, field) in out.chunks_exact_mut(4).zip(fields) {
        slot.copy_from_slice(&field.to_be_bytes());
    }
}

/// Folds ascending sequence numbers into (first, mask of the sixteen after it).
#[derive(Clone)]
struct NackPairs<'a>(&'a [u16]);

impl Iterator for NackPairs<'_> {
    type Item = (u16, u16);

    fn next(&mut self) -> Option<(u16, u16)> {
        let (&first, mut rest) = self.0.split_first()?;
        let mut mask = 0;
        while let Some((&sequence, after)) = rest.split_first() {
            let distance = sequence.wrapping_sub(first);
            if !(1..=16).contains(&distance) {
                break;
            }
            mask |= 1 << (distance - 1);
            rest = after;
        }
        self.0 = rest;
        Some((first, mask))
    }
}

#[cfg(test)]
mod tests;
