use proptest::prelude::*;
use rtcp_types::Compound;

use super::*;

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = [0xaa; 1500];
    let mut writer = Writer::new(&mut bytes);
    write(&mut writer);
    let len = writer.len();
    bytes[..len].to_vec()
}

#[test]
fn what_is_written_reads_back() {
    let info = SenderInfo { ntp: Ntp(0x0102_0304_0506_0708), timestamp: 9, packets: 10, octets: 11 };
    let report =
        Report { ssrc: 7, fraction_lost: 3, cumulative_lost: -2, highest_sequence: 70_000, ..Report::default() };
    let bytes = written(|w| {
        w.sender_report(1, &info);
        w.receiver_report(2, &[report]);
        w.canonical_name(1, "cname");
        w.picture_loss(1, 5);
        w.full_intra(1, 6, 4);
        w.goodbye(1);
    });
    let read: Vec<_> = packets(&bytes).unwrap().collect();
    assert_eq!(read[0], Packet::SenderReport { ssrc: 1, info, reports: Reports(&[]) });
    let Packet::ReceiverReport { ssrc: 2, reports } = read[1].clone() else { panic!("{read:?}") };
    assert_eq!(reports.collect::<Vec<_>>(), [report]);
    assert_eq!(read[2], Packet::Other);
    assert_eq!(read[3], Packet::PictureLoss { media: 5 });
    let Packet::FullIntra { requests } = read[4].clone() else { panic!("{read:?}") };
    assert_eq!(requests.collect::<Vec<_>>(), [(6, 4)]);
    assert_eq!(read[5], Packet::Goodbye { ssrc: Some(1) });
}

#[test]
fn an_independent_parser_reads_what_is_written() {
    let bytes = written(|w| {
        w.sender_report(1, &SenderInfo::default());
        w.canonical_name(1, "somebody@tidewire");
        w.nack(1, 2, &[1, 3, 40]);
    });
    let read: Vec<_> = Compound::parse(&bytes).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 3);
    let rtcp_types::Packet::TransportFeedback(feedback) = &read[2] else { panic!("{read:?}") };
    let nack = feedback.parse_fci::<rtcp_types::Nack<'_>>().unwrap();
    assert_eq!(nack.entries().collect::<Vec<_>>(), [1, 3, 40]);
}

#[test]
fn a_packet_without_room_is_left_out_whole() {
    let mut bytes = [0; 20];
    let mut writer = Writer::new(&mut bytes);
    writer.goodbye(1);
    writer.sender_report(1, &SenderInfo::default());
    writer.picture_loss(1, 2);
    assert_eq!(writer.len(), 20);
    assert_eq!(packets(&bytes).unwrap().count(), 2);
}

proptest! {
    #[test]
    fn nack_carries_every_sequence_once(start: u16, steps in prop::collection::vec(1u16..60, 0..80)) {
        let lost: Vec<u16> = steps.iter().scan(start, |at, step| { *at = at.wrapping_add(*step); Some(*at) }).collect();
        let bytes = written(|w| w.nack(1, 2, &lost));
        let Some(Packet::Nack { media: 2, lost: read }) = packets(&bytes).unwrap().next() else { panic!() };
        prop_assert_eq!(read.collect::<Vec<_>>(), lost);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packets) = packets(&bytes) {
            for packet in packets {
                match packet {
                    Packet::Nack { lost, .. } => { lost.count(); }
                    Packet::SenderReport { reports, .. } | Packet::ReceiverReport { reports, .. } => { reports.count(); }
                    Packet::FullIntra { requests } => { requests.count(); }
                    Packet::TransportWide(feedback) => {
                        let statuses: Vec<_> = feedback.statuses().collect();
                        prop_assert_eq!(statuses.len(), usize::from(feedback.status_count));
                    }
                    Packet::PictureLoss { .. } | Packet::Estimate { .. } | Packet::Goodbye { .. } | Packet::Other => {}
                    Packet::Times { answers, .. } => assert!(answers.count() < bytes.len()),
                }
            }
        }
    }
}

/// A transport-wide feedback around `body`, padded as RFC 3550 6.4.1 has it.
fn transport_wide(body: &[u8]) -> Vec<u8> {
    let len = (12 + body.len() + 1).next_multiple_of(4);
    let mut bytes = vec![0x80 | 0x20 | 15, 205, 0, (len / 4 - 1) as u8, 0, 0, 0, 1, 0, 0, 0, 2];
    bytes.extend(body);
    bytes.resize(len, 0);
    bytes[len - 1] = (len - 12 - body.len()) as u8;
    bytes
}

fn feedback_of(bytes: &[u8]) -> Option<TransportFeedback<'_>> {
    match packets(bytes).unwrap().next() {
        Some(Packet::TransportWide(feedback)) => Some(feedback),
        _ => None,
    }
}

#[test]
fn transport_wide_feedback_of_every_kind_of_chunk_reads_as_the_draft_has_it() {
    // From sequence 5, 1 + 14 + 7 + 2 statuses, of the last chunk two; reference time -1.
    let head = [0, 5, 0, 24, 0xff, 0xff, 0xff, 9];
    let run = 0x2001_u16;
    let of_one_bit = 0x8000_u16 | 0b10_0000_0000_0001;
    let of_two_bits = 0xc000_u16 | 0b00_01_10_00_00_00_01;
    let partly_used = 0xc000_u16 | 0b10_00_11_11_11_11_11;
    let chunks = [run, of_one_bit, of_two_bits, partly_used].map(u16::to_be_bytes).concat();
    let deltas = [[7, 8, 9, 10].as_slice(), &(-3_i16).to_be_bytes(), &[255], &300_i16.to_be_bytes()].concat();
    let bytes = transport_wide(&[head.as_slice(), &chunks, &deltas].concat());
    let feedback = feedback_of(&bytes).unwrap();
    assert_eq!((feedback.base_sequence, feedback.reference_time_64ms, feedback.number), (5, -1, 9));
    assert_eq!((feedback.received(), feedback.lost()), (7, 17));
    let arrived: Vec<_> = feedback.statuses().filter_map(|(at, delta)| Some((at, delta?))).collect();
    assert_eq!(arrived, [(5, 7), (6, 8), (19, 9), (21, 10), (22, -3), (26, 255), (27, 300)]);
    assert_eq!(feedback.statuses().last(), Some((28, None)));
}

#[test]
fn transport_wide_feedback_that_promises_more_than_it_has_is_not_read() {
    let body = |count: u16, rest: &[u8]| [&[0, 0][..], &count.to_be_bytes(), &[0, 0, 0, 0], rest].concat();
    assert!(feedback_of(&transport_wide(&body(2, &[0x20, 2, 1, 1]))).is_some());
    for (what, lacking) in [
        ("a delta that is not there", body(2, &[0x20, 2, 1])),
        ("padding taken for a delta", body(3, &[0x20, 3, 1, 1])),
        ("a chunk that is not there", body(8, &[0x00, 4])),
        ("runs of nothing", body(1, &[0; 2].map(|_: u8| 0))),
        ("a reserved symbol", body(1, &[0x60, 1, 1, 1])),
        ("no status at all", body(0, &[0x20, 2, 1, 1])),
    ] {
        assert_eq!(feedback_of(&transport_wide(&lacking)), None, "{what}");
    }
    assert_eq!(feedback_of(&[0xaf, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 200]), None, "more padding than packet");
}

#[test]
fn a_few_bytes_can_state_the_longest_feedback_and_not_one_status_more() {
    let runs = [0x1f, 0xff].repeat(9);
    let bytes = transport_wide(&[&[0xff, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], &runs].concat());
    let feedback = feedback_of(&bytes).unwrap();
    assert_eq!((feedback.received(), feedback.lost()), (0, 65_535));
    assert_eq!(feedback.statuses().count(), 65_535);
    assert_eq!(feedback.statuses().nth(2), Some((0, None)), "sequence numbers wrap");
}

#[test]
fn an_estimate_is_its_mantissa_shifted_and_nonsense_is_none() {
    let estimate = |exponent: u32, mantissa: u32| {
        let word = 1 << 24 | exponent << 18 | mantissa;
        let mut bytes = vec![0x80 | 15, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend(b"REMB");
        bytes.extend(word.to_be_bytes());
        bytes.extend([0, 0, 0, 7]);
        match packets(&bytes).unwrap().next() {
            Some(Packet::Estimate { bits_per_second }) => Some(bits_per_second),
            _ => None,
        }
    };
    assert_eq!(estimate(3, 200_000), Some(1_600_000));
    assert_eq!(estimate(63, 0), Some(0));
    assert_eq!(estimate(63, 2), None);
    let other = [0x80 | 15, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'N', b'O', b'N', b'E', 0, 0, 0, 0];
    assert_eq!(packets(&other).unwrap().next(), Some(Packet::Other));
}

/// Deltas as they come: none, small, large, negative.
fn any_status() -> impl Strategy<Value = Option<i16>> {
    prop_oneof![3 => Just(None), 5 => (0_i16..256).prop_map(Some), 1 => any::<i16>().prop_map(Some)]
}

proptest! {
    #[test]
    fn an_independent_writers_transport_feedback_reads_back(
        base: u16,
        reference in 0_u32..1 << 23,
        runs in prop::collection::vec((any_status(), 1_usize..40), 1..20),
    ) {
        use rtcp_types::{RtcpPacketWriterExt, TransportFeedback as Theirs, Twcc, TwccPacketStatus};
        let statuses: Vec<_> = runs.iter().flat_map(|(status, len)| vec![*status; *len]).collect();
        let theirs: Vec<_> = statuses
            .iter()
            .map(|status| status.map_or(TwccPacketStatus::NotReceived, |delta| TwccPacketStatus::Received { delta }))
            .collect();
        let fci = Twcc::builder(base, reference, 3, &theirs, None);
        let mut bytes = [0; 4096];
        let len = Theirs::builder_owned(fci).sender_ssrc(1).media_ssrc(2).write_into(&mut bytes).unwrap();
        let feedback = feedback_of(&bytes[..len]).unwrap();
        prop_assert_eq!(feedback.reference_time_64ms, reference.cast_signed());
        prop_assert_eq!(usize::from(feedback.received()), statuses.iter().flatten().count());
        let read: Vec<_> = feedback.statuses().collect();
        let expected: Vec<_> = (0..).map(|at| base.wrapping_add(at)).zip(statuses).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_body_reads_as_an_independent_reader_has_it_or_not_at_all(body in prop::collection::vec(any::<u8>(), 8..80)) {
        use rtcp_types::{FciParser, Twcc, TwccPacketStatus};
        // Few statuses, else random bytes are hardly ever enough.
        let mut body = body;
        body[2] = 0;
        let theirs: Result<Vec<_>, _> = Twcc::parse(&body).unwrap().packets().collect();
        let theirs = theirs.ok().filter(|statuses| statuses.len() == usize::from(body[3]) && body[3] > 0);
        let bytes = transport_wide(&body);
        let ours = feedback_of(&bytes).map(|feedback| feedback.statuses().collect::<Vec<_>>());
        let theirs = theirs.map(|statuses| {
            let plain = |status| match status {
                TwccPacketStatus::Received { delta } => Some(delta),
                TwccPacketStatus::NotReceived => None,
            };
            statuses.into_iter().map(|(at, status)| (at, plain(status))).collect::<Vec<_>>()
        });
        prop_assert_eq!(ours, theirs);
    }
}
