//! Transport-wide congestion control feedback, written: which packets arrived, and when.
//!
//! RTPFB with FMT 15 (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1). In go arrival times in the order of their
//! transport sequence numbers; out comes a packet that a browser might have sent. Status vector chunks of two-bit symbols
//! are used throughout, and a run length chunk where all statuses are one small step: that is what libwebrtc writes mostly.

/// The extension that numbers packets across streams, as SDP names it.
pub const URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Most statuses that one packet of ours carries: 100 ms of 50 Mb/s.
pub const STATUSES_MAX: usize = 512;

/// What a feedback packet is about.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    pub sender: u32,
    pub media: u32,
    /// The transport sequence number of the first status.
    pub base: u16,
    /// Counts feedback packets, modulo 256.
    pub number: u8,
    /// A status each: when it arrived, by any clock in nanoseconds that never runs backwards, or that it did not.
    pub arrivals: &'a [Option<u64>],
}

/// Appends the packet. Beyond [`STATUSES_MAX`] statuses are left out; without any, nothing is written.
pub fn write(feedback: &Feedback<'_>, out: &mut Vec<u8>) {
    let arrivals = &feedback.arrivals[..feedback.arrivals.len().min(STATUSES_MAX)];
    let Some(first_ns) = arrivals.iter().flatten().next() else {
        return;
    };
    let reference = first_ns / REFERENCE_NS;
    let deltas = deltas(arrivals, reference * REFERENCE_NS);
    let start = out.len();
    out.extend_from_slice(&[0x80 | FORMAT, RTPFB, 0, 0]);
    out.extend_from_slice(&feedback.sender.to_be_bytes());
    out.extend_from_slice(&feedback.media.to_be_bytes());
    out.extend_from_slice(&feedback.base.to_be_bytes());
    out.extend_from_slice(&(arrivals.len() as u16).to_be_bytes());
    out.extend_from_slice(&((reference as u32) << 8 | u32::from(feedback.number)).to_be_bytes());
    write_chunks(&deltas, out);
    write_deltas(&deltas, out);
    pad(start, out);
}

/// The step from the arrival before, in quarters of a millisecond; what did not arrive has none.
fn deltas(arrivals: &[Option<u64>], reference_ns: u64) -> Vec<Option<i16>> {
    let mut before = 0;
    let mut step = |arrival_ns: u64| {
        // Steps are taken between rounded times, so that rounding does not add up.
        let at = ((arrival_ns as i64 - reference_ns as i64) / DELTA_NS as i64).max(0);
        let step = (at - before).clamp(i64::from(i16::MIN), i64::from(i16::MAX));
        before += step;
        step as i16
    };
    arrivals.iter().map(|arrival| arrival.map(&mut step)).collect()
}

fn write_chunks(deltas: &[Option<i16>], out: &mut Vec<u8>) {
    if deltas.iter().all(|delta| symbol(*delta) == SMALL) {
        // 3.1.3: T = 0, two bits of symbol, thirteen of length.
        out.extend_from_slice(&(SMALL << 13 | deltas.len() as u16).to_be_bytes());
        return;
    }
    for seven in deltas.chunks(7) {
        // 3.1.4: T = 1, S = 1, seven symbols of two bits.
        let symbols = seven.iter().enumerate().map(|(place, delta)| symbol(*delta) << (12 - 2 * place));
        out.extend_from_slice(&(0xc000 | symbols.fold(0, |chunk, symbol| chunk | symbol)).to_be_bytes());
    }
}

fn symbol(delta: Option<i16>) -> u16 {
    match delta {
        None => ABSENT,
        Some(0..=255) => SMALL,
        Some(_) => LARGE,
    }
}

fn write_deltas(deltas: &[Option<i16>], out: &mut Vec<u8>) {
    for delta in deltas.iter().flatten() {
        match u8::try_from(*delta) {
            Ok(small) => out.push(small),
            Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
        }
    }
}

/// RFC 3550 6.4.1: whole words, the last byte counts the padding, and the P bit says so.
fn pad(start: usize, out: &mut Vec<u8>) {
    let missing = (out.len() - start).next_multiple_of(4) - (out.len() - start);
    if missing > 0 {
        out.resize(out.len() + missing - 1, 0);
        out.push(missing as u8);
        out[start] |= 0x20;
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

const RTPFB: u8 = 205;
const FORMAT: u8 = 15;
/// 3.1: the reference time counts in steps of 64 ms.
const REFERENCE_NS: u64 = 64_000_000;
/// 3.1.5: deltas count in steps of 250 us.
const DELTA_NS: u64 = 250_000;
const ABSENT: u16 = 0;
const SMALL: u16 = 1;
const LARGE: u16 = 2;

#[cfg(test)]
mod tests {
    use rtcp_types::prelude::RtcpPacketParser as _;
    use rtcp_types::{TransportFeedback, Twcc, TwccPacketStatus};

    use super::*;

    fn written(arrivals: &[Option<u64>]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&Feedback { sender: 1, media: 2, base: 65_534, number: 7, arrivals }, &mut out);
        out
    }

    #[test]
    fn an_even_stream_is_one_run() {
        // Reference time 1 (64 ms); arrivals at 64.5, 65 and 70 ms.
        let bytes = written(&[Some(64_500_000), Some(65_000_000), Some(70_000_000)]);
        let expected =
            [0xaf, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0, 3, 0, 0, 1, 7, 0x20, 3, 2, 2, 20, 0, 0, 3];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn losses_and_large_steps_are_told_in_vectors() {
        let bytes = written(&[Some(64_000_000), None, Some(164_000_000), Some(163_000_000)]);
        // Symbols 1, 0, 2, 2; deltas 0, 400, -4.
        assert_eq!(bytes[20..22], (0xc000_u16 | 1 << 12 | 2 << 8 | 2 << 6).to_be_bytes());
        assert_eq!(bytes[22..27], [0, 1, 144, 255, 252]);
        assert_eq!((bytes[0], bytes.len() % 4, bytes[bytes.len() - 1]), (0xaf, 0, 1));
    }

    /// Arrivals as another implementation reads them, in nanoseconds.
    fn read_by_rtcp_types(bytes: &[u8]) -> Vec<Option<u64>> {
        let feedback = TransportFeedback::parse(bytes).unwrap();
        let twcc = feedback.parse_fci::<Twcc<'_>>().unwrap();
        assert_eq!((twcc.base_sequence_number(), twcc.feedback_packet_count()), (65_534, 7));
        let mut at = i64::from(twcc.reference_time()) * REFERENCE_NS as i64;
        let mut arrival = |status| match status {
            TwccPacketStatus::NotReceived => None,
            TwccPacketStatus::Received { delta } => {
                at += i64::from(delta) * DELTA_NS as i64;
                Some(at as u64)
            }
        };
        twcc.packets().map(|packet| arrival(packet.unwrap().1)).collect()
    }

    #[test]
    fn another_implementation_reads_what_was_written() {
        // A few hundred packets with holes, jitter, pauses and steps back, at any alignment of chunks and padding.
        for len in 1..120_u64 {
            let arrivals: Vec<Option<u64>> = (0..len)
                .map(|place| {
                    let noise = (place + len).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                    let pause = if place > 60 { 90_000_000 } else { 0 };
                    (noise % 11 != 0 || place == 0)
                        .then_some(640_000_000 + place * 2_000_000 + noise % 5_000_000 + pause)
                })
                .collect();
            let read = read_by_rtcp_types(&written(&arrivals));
            assert_eq!(read.len(), arrivals.len());
            for (read, written) in read.iter().zip(&arrivals) {
                assert_eq!(read.map(|at| at / DELTA_NS), written.map(|at| at / DELTA_NS), "of {len}");
            }
        }
    }

    #[test]
    fn rounding_does_not_add_up() {
        let arrivals: Vec<Option<u64>> = (0..400).map(|place| Some(64_000_000 + place * 333_333)).collect();
        let sum: u32 = deltas(&arrivals, 64_000_000).iter().flatten().map(|delta| *delta as u32).sum();
        assert_eq!(sum, 399 * 333_333 / 250_000);
    }

    #[test]
    fn nothing_heard_means_nothing_said_and_there_is_a_bound() {
        assert!(written(&[None, None]).is_empty());
        let many = written(&vec![Some(64_000_000); 3 * STATUSES_MAX]);
        assert_eq!(many[14..16], (STATUSES_MAX as u16).to_be_bytes());
    }
}
