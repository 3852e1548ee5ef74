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
                    Packet::PictureLoss { .. } | Packet::Goodbye { .. } | Packet::Other => {}
                }
            }
        }
    }
}
