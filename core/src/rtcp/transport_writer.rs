//! Transport-wide feedback, written: which packets of a transport arrived here, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1).
//!
//! In go arrivals in the order of their transport sequence numbers, on any clock in units of 250 us that wraps at 2^32: the
//! 24-bit reference time, in units of 64 ms, then wraps with it. Out comes one RTCP packet of at most [`FEEDBACK_LEN_MAX`]
//! bytes. Invariant: what is written is what `TransportFeedback` reads. Which packets are told of, and how often, is the
//! caller's.

use arrayvec::ArrayVec;

use super::{TRANSPORT_FEEDBACK, TRANSPORT_WIDE, Writer, write_words};

/// Statuses of one feedback: 100 ms of 40 Mb/s, and what fits a datagram in the worst case.
pub const STATUSES_MAX: usize = 448;

/// Bytes of a feedback in which every packet came, each far from the one before.
pub const FEEDBACK_LEN_MAX: usize = HEAD_LEN + 2 * STATUSES_MAX.div_ceil(7) + 2 * STATUSES_MAX;

/// Common header, two SSRCs, and the head of the feedback.
const HEAD_LEN: usize = 20;

/// Statuses of the two vector chunks (3.1.4): of one bit each, and of two.
const ONE_BIT_LEN: usize = 14;
const TWO_BIT_LEN: usize = 7;

/// What one feedback tells.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    pub sender: u32,
    /// An SSRC of the stream's sender; libwebrtc passes over feedback that names none of its own.
    pub media: u32,
    /// Counts the feedback packets of a transport.
    pub number: u8,
    /// The transport sequence number of the first status.
    pub base_sequence: u16,
    /// Of each packet its arrival, or that it has not arrived.
    pub arrivals_250us: &'a [Option<u32>],
}

impl Writer<'_> {
    /// Writes a feedback, and returns how many of the statuses it tells of: those before an arrival that is more than eight
    /// seconds away from the one before, and at most [`STATUSES_MAX`]. None if nothing has arrived, or if it does not fit.
    pub fn transport_feedback(&mut self, telling: &Telling<'_>) -> usize {
        let Some(first) = telling.arrivals_250us.iter().flatten().next() else { return 0 };
        let reference_64ms = first >> 8;
        let steps = steps(telling.arrivals_250us, reference_64ms << 8);
        let chunks = Chunks(&steps);
        let deltas_len: usize = steps.iter().map(|step| usize::from(symbol(*step))).sum();
        let chunks_len = 2 * chunks.clone().count();
        let len = HEAD_LEN + chunks_len + deltas_len;
        let Some(out) = self.begin(TRANSPORT_WIDE, TRANSPORT_FEEDBACK, len.next_multiple_of(4)) else { return 0 };
        let told = u32::from(telling.base_sequence) << 16 | steps.len() as u32;
        let head = [telling.sender, telling.media, told, reference_64ms << 8 | u32::from(telling.number)];
        write_words(&mut out[4..HEAD_LEN], &head);
        for (slot, chunk) in out[HEAD_LEN..].chunks_exact_mut(2).zip(chunks) {
            slot.copy_from_slice(&chunk.to_be_bytes());
        }
        write_steps(&steps, &mut out[HEAD_LEN + chunks_len..]);
        pad(out, len);
        steps.len()
    }
}

/// The time since the arrival before, of each packet that arrived; ends before one that no delta can express.
fn steps(arrivals_250us: &[Option<u32>], reference_250us: u32) -> ArrayVec<Option<i16>, STATUSES_MAX> {
    let mut steps = ArrayVec::new();
    let mut before = reference_250us;
    for arrival in arrivals_250us.iter().take(STATUSES_MAX) {
        let step = arrival.map(|arrival| i16::try_from(arrival.wrapping_sub(before).cast_signed()));
        let Ok(step) = step.transpose() else { break };
        before = arrival.unwrap_or(before);
        steps.push(step);
    }
    steps
}

/// The status symbol (3.1.1), which is also how many bytes its delta takes.
const fn symbol(step: Option<i16>) -> u16 {
    match step {
        None => 0,
        Some(0..=255) => 1,
        Some(_) => 2,
    }
}

/// Folds statuses into chunks: each takes as many as it can.
#[derive(Clone)]
struct Chunks<'a>(&'a [Option<i16>]);

impl Iterator for Chunks<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let first = symbol(*self.0.first()?);
        let run = self.0.iter().take_while(|step| symbol(**step) == first).count();
        let short = self.0.iter().take(ONE_BIT_LEN).all(|step| symbol(*step) < 2);
        let (chunk, len) = if run == self.0.len() || run >= if short { ONE_BIT_LEN } else { TWO_BIT_LEN } {
            (first << 13 | run as u16, run)
        } else if short {
            (0x8000 | self.vector(ONE_BIT_LEN, 1), ONE_BIT_LEN)
        } else {
            (0xc000 | self.vector(TWO_BIT_LEN, 2), TWO_BIT_LEN)
        };
        self.0 = self.0.get(len..).unwrap_or(&[]);
        Some(chunk)
    }
}

impl Chunks<'_> {
    /// The next `len` symbols, the first in the highest of 14 bits; those beyond the end are zero.
    fn vector(&self, len: usize, bits: usize) -> u16 {
        let symbols = self.0.iter().take(len).enumerate();
        symbols.fold(0, |vector, (at, step)| vector | symbol(*step) << (14 - bits * (at + 1)))
    }
}

fn write_steps(steps: &[Option<i16>], mut out: &mut [u8]) {
    for step in steps.iter().flatten() {
        let [high, low] = step.to_be_bytes();
        let bytes: &[u8] = if high == 0 { &[low] } else { &[high, low] };
        let Some((slot, rest)) = out.split_at_mut_checked(bytes.len()) else { return };
        slot.copy_from_slice(bytes);
        out = rest;
    }
}

/// RFC 3550 6.4.1: the last byte of the padding counts it.
fn pad(packet: &mut [u8], len: usize) {
    let padding = packet.len() - len;
    packet[len..].fill(0);
    if padding > 0 {
        packet[0] |= 0x20;
        packet[len + padding - 1] = padding as u8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtcp_types::prelude::RtcpPacketParser as _;
    use rtcp_types::{Twcc, TwccPacketStatus};

    use super::super::{Packet, TransportFeedback, packets};
    use super::*;

    const BASE: u16 = 65_500;

    /// What is written, and how many statuses it tells of.
    fn written(arrivals_250us: &[Option<u32>]) -> (Vec<u8>, usize) {
        let mut bytes = vec![0xaa; FEEDBACK_LEN_MAX];
        let mut writer = Writer::new(&mut bytes);
        let told =
            writer.transport_feedback(&Telling { sender: 1, media: 2, number: 9, base_sequence: BASE, arrivals_250us });
        let len = writer.len();
        bytes.truncate(len);
        (bytes, told)
    }

    fn parsed(bytes: &[u8]) -> TransportFeedback<'_> {
        match packets(bytes).unwrap().next() {
            Some(Packet::TransportWide(feedback)) => feedback,
            other => panic!("{other:?}"),
        }
    }

    /// Arrivals as the reader gives them back, modulo 2^32.
    fn read(feedback: &TransportFeedback<'_>) -> Vec<Option<u32>> {
        let mut at = (feedback.reference_time_64ms << 8).cast_unsigned();
        let mut arrival = |step: i16| {
            at = at.wrapping_add_signed(step.into());
            at
        };
        feedback.statuses().map(|(_, step)| step.map(&mut arrival)).collect()
    }

    /// The same by another implementation's reader.
    fn read_by_rtcp_types(bytes: &[u8]) -> Vec<Option<u32>> {
        let feedback = rtcp_types::TransportFeedback::parse(bytes).unwrap();
        let twcc = feedback.parse_fci::<Twcc<'_>>().unwrap();
        assert_eq!((twcc.base_sequence_number(), twcc.feedback_packet_count()), (BASE, 9));
        let mut at = twcc.reference_time() << 8;
        let mut arrival = |status| match status {
            TwccPacketStatus::NotReceived => None,
            TwccPacketStatus::Received { delta } => {
                at = at.wrapping_add_signed(delta.into());
                Some(at)
            }
        };
        twcc.packets().map(|packet| arrival(packet.unwrap().1)).collect()
    }

    #[test]
    fn an_even_stream_is_one_run() {
        let (bytes, told) = written(&[Some(258), Some(260), Some(280)]);
        let expected =
            [0xaf, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xdc, 0, 3, 0, 0, 1, 9, 0x20, 3, 2, 2, 20, 0, 0, 3];
        assert_eq!((bytes.as_slice(), told), (&expected[..], 3));
    }

    #[test]
    fn the_worst_case_fits_what_is_declared() {
        // Large steps, and now and then a small one, so that there is no run.
        let far: Vec<_> = (0..1000_u32).map(|at| Some(at * 300 - at / 7 * 200)).collect();
        let (bytes, told) = written(&far);
        assert_eq!(told, STATUSES_MAX);
        assert!((FEEDBACK_LEN_MAX - STATUSES_MAX / 7..=FEEDBACK_LEN_MAX).contains(&bytes.len()), "{}", bytes.len());
        assert!(parsed(&bytes).statuses().all(|(_, step)| step.is_some()));
    }

    #[test]
    fn an_arrival_too_far_from_the_one_before_is_left_to_the_next_feedback() {
        let (bytes, told) = written(&[Some(0), None, Some(40_000)]);
        assert_eq!((told, read(&parsed(&bytes))), (2, vec![Some(0), None]));
        assert_eq!(written(&[None, None]), (Vec::new(), 0));
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut bytes = [0; 20];
        let mut writer = Writer::new(&mut bytes);
        let telling = Telling { sender: 1, media: 2, number: 0, base_sequence: 0, arrivals_250us: &[Some(0)] };
        assert_eq!((writer.transport_feedback(&telling), writer.len()), (0, 0));
    }

    /// Steps from one arrival to the next, with losses between: a smooth stream, one with jitter, and long pauses.
    fn any_step() -> impl Strategy<Value = Option<i32>> {
        prop_oneof![
            6 => (0..20).prop_map(Some),
            2 => (-300..600).prop_map(Some),
            1 => (-32_768..32_768).prop_map(Some),
            3 => Just(None),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_here_and_elsewhere(
            start in any::<u32>(),
            steps in prop::collection::vec(any_step(), 0..STATUSES_MAX),
        ) {
            let mut at = start;
            let mut arrival = |step| {
                at = at.wrapping_add_signed(step);
                at
            };
            let arrivals: Vec<_> = [Some(start)].into_iter().chain(steps.iter().map(|step| step.map(&mut arrival))).collect();
            let (bytes, told) = written(&arrivals);
            prop_assert_eq!(told, arrivals.len().min(STATUSES_MAX));
            let feedback = parsed(&bytes);
            prop_assert_eq!((feedback.base_sequence, feedback.number), (BASE, 9));
            prop_assert!(feedback.statuses().map(|(sequence, _)| sequence).eq((0..told as u16).map(|at| BASE.wrapping_add(at))));
            prop_assert_eq!(read(&feedback), &arrivals[..told]);
            prop_assert_eq!(read_by_rtcp_types(&bytes), &arrivals[..told]);
        }
    }
}
