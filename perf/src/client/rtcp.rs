//! RTCP as a client speaks it: reports, BYE and the feedback that asks for packets and key frames again.
//!
//! In goes a decrypted compound packet, out come the items that matter; what is unknown is passed over. RFC 3550 6,
//! RFC 4585 6, RFC 5104 4.3.1.

/// One thing that a compound packet said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    SenderReport {
        ssrc: u32,
        ntp: u64,
        timestamp: u32,
        packets: u32,
    },
    ReceiverReport {
        blocks: usize,
    },
    Cname {
        ssrc: u32,
        cname: String,
    },
    Bye {
        ssrc: u32,
    },
    /// Sequence numbers asked for again.
    Nack {
        media: u32,
        missing: Vec<u16>,
    },
    /// A key frame is asked for, by PLI or FIR.
    KeyFrameRequest {
        media: u32,
    },
    TransportFeedback,
    Bitrate,
}

/// Everything that a compound packet said, as far as its lengths can be believed.
pub fn parse(mut bytes: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    while let Some((count, kind, body, rest)) = split_packet(bytes) {
        read_packet(count, kind, body, &mut items);
        bytes = rest;
    }
    items
}

fn split_packet(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let header = bytes.get(..4)?;
    if header[0] >> 6 != 2 {
        return None;
    }
    let len = 4 * usize::from(u16::from_be_bytes([header[2], header[3]]));
    let body = bytes.get(4..4 + len)?;
    Some((header[0] & 0x1f, header[1], body, &bytes[4 + len..]))
}

fn read_packet(count: u8, kind: u8, body: &[u8], items: &mut Vec<Item>) {
    match (kind, count) {
        (200, _) => items.extend(sender_report(body)),
        (201, _) => items.push(Item::ReceiverReport { blocks: body.len().saturating_sub(4) / 24 }),
        (202, _) => items.extend(cname(body)),
        (203, _) => items.extend((0..usize::from(count)).filter_map(|i| Some(Item::Bye { ssrc: word(body, 4 * i)? }))),
        (205, 1) => items.extend(nack(body)),
        (205, 15) => items.push(Item::TransportFeedback),
        (206, 1) => items.extend(word(body, 4).map(|media| Item::KeyFrameRequest { media })),
        (206, 4) => items.extend(word(body, 8).map(|media| Item::KeyFrameRequest { media })),
        (206, 15) => items.push(Item::Bitrate),
        _ => {}
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn sender_report(body: &[u8]) -> Option<Item> {
    let ntp = u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?);
    Some(Item::SenderReport { ssrc: word(body, 0)?, ntp, timestamp: word(body, 12)?, packets: word(body, 16)? })
}

fn cname(body: &[u8]) -> Option<Item> {
    let (&kind, &len) = (body.get(4)?, body.get(5)?);
    let text = body.get(6..6 + usize::from(len))?;
    (kind == 1).then_some(Item::Cname { ssrc: word(body, 0)?, cname: String::from_utf8_lossy(text).into_owned() })
}

fn nack(body: &[u8]) -> Option<Item> {
    let missing = body
        .get(8..)?
        .chunks_exact(4)
        .flat_map(|pair| {
            let first = u16::from_be_bytes([pair[0], pair[1]]);
            let mask = u16::from_be_bytes([pair[2], pair[3]]);
            std::iter::once(first)
                .chain((0..16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1)))
        })
        .collect();
    Some(Item::Nack { media: word(body, 4)?, missing })
}

/// One reception report block (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    pub ssrc: u32,
    pub lost: u32,
    pub highest: u32,
    /// The middle of the last sender report's NTP time, and how long ago it came, in 65,536ths of a second; zero without one.
    pub last_report: u32,
    pub since_report: u32,
}

/// A compound packet: SR, then SDES with the CNAME.
pub fn write_sender_report(ssrc: u32, ntp: u64, timestamp: u32, packets: u32, octets: u32, cname: &str) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    for field in [ssrc, (ntp >> 32) as u32, ntp as u32, timestamp, packets, octets] {
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    write_cname(&mut bytes, ssrc, cname);
    bytes
}

/// A compound packet: RR, then SDES with the CNAME.
pub fn write_receiver_report(sender: u32, receptions: &[Reception], cname: &str) -> Vec<u8> {
    let mut bytes = vec![0x80 | receptions.len() as u8, 201, 0, (1 + 6 * receptions.len()) as u8];
    bytes.extend_from_slice(&sender.to_be_bytes());
    for reception in receptions {
        for field in [
            reception.ssrc,
            reception.lost & 0x00ff_ffff,
            reception.highest,
            0,
            reception.last_report,
            reception.since_report,
        ] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
    }
    write_cname(&mut bytes, sender, cname);
    bytes
}

fn write_cname(bytes: &mut Vec<u8>, ssrc: u32, cname: &str) {
    // RFC 3550 6.5: the list of items ends with a zero and is padded to a word.
    let body_len = (4 + 2 + cname.len() + 1).next_multiple_of(4);
    let start = bytes.len();
    bytes.extend_from_slice(&[0x81, 202, 0, (body_len / 4) as u8]);
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(&[1, cname.len() as u8]);
    bytes.extend_from_slice(cname.as_bytes());
    bytes.resize(start + 4 + body_len, 0);
}

pub fn write_bye(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x81, 203, 0, 1];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes
}

/// Picture loss indication (RFC 4585 6.3.1).
pub fn write_pli(sender: u32, media: u32) -> Vec<u8> {
    let mut bytes = vec![0x81, 206, 0, 2];
    bytes.extend_from_slice(&sender.to_be_bytes());
    bytes.extend_from_slice(&media.to_be_bytes());
    bytes
}

/// Generic NACK (RFC 4585 6.2.1), one entry for each missing packet.
pub fn write_nack(sender: u32, media: u32, missing: &[u16]) -> Vec<u8> {
    let mut bytes = vec![0x81, 205, 0, (2 + missing.len()) as u8];
    bytes.extend_from_slice(&sender.to_be_bytes());
    bytes.extend_from_slice(&media.to_be_bytes());
    for sequence in missing {
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_packet_tells_all_its_items() {
        let mut bytes = write_sender_report(1, 0x0102_0304_0506_0708, 9, 10, 11, "me");
        bytes.extend(write_pli(1, 2));
        bytes.extend(write_nack(1, 2, &[7, 65_535]));
        bytes.extend(write_bye(1));
        assert_eq!(
            parse(&bytes),
            vec![
                Item::SenderReport { ssrc: 1, ntp: 0x0102_0304_0506_0708, timestamp: 9, packets: 10 },
                Item::Cname { ssrc: 1, cname: "me".into() },
                Item::KeyFrameRequest { media: 2 },
                Item::Nack { media: 2, missing: vec![7, 65_535] },
                Item::Bye { ssrc: 1 },
            ]
        );
    }

    #[test]
    fn a_nack_mask_names_the_packets_that_follow() {
        let bytes = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0x80, 0x01];
        assert_eq!(parse(&bytes), vec![Item::Nack { media: 2, missing: vec![65_535, 0, 15] }]);
    }

    #[test]
    fn a_length_that_lies_ends_the_reading() {
        assert!(parse(&[0x81, 206, 0, 9, 1, 2, 3, 4]).is_empty());
        assert!(parse(&[]).is_empty());
    }
}
