//! What is fuzzed: each target is a function of bytes that ends in a panic when something is wrong.
//!
//! The targets of `fuzz_targets/` call these functions, and so does the ordinary test `core/tests/corpora.rs`, which includes
//! this file and feeds them every file of `corpus/`; so a corpus cannot rot, and a finding stays a test. Bytes come in as they
//! would from the wire; what is asserted beyond "no panic" stands beside each target.

use std::hint::black_box;
use std::net::SocketAddr;

use tidewire_core::codec::allocation::Allocation;
use tidewire_core::codec::{Codec, Layering, Packet, Shift, TARGETS_MAX, red, renumber};
use tidewire_core::demux;
use tidewire_core::handshake::Fingerprint;
use tidewire_core::id::Mid;
use tidewire_core::negotiate::{
    Agreement, Cname, Credentials, Fragment, Local, Offer, OwnSection, Sends, Source, Wanted, answer_downstream,
    answer_upstream, read_answer,
};
use tidewire_core::rtcp;
use tidewire_core::rtp::Header;
use tidewire_core::stun;

/// A target and its name, which is that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 12] = [
    ("vp8", vp8),
    ("vp9", vp9),
    ("h264", h264),
    ("h265", h265),
    ("av1", av1),
    ("dependency", dependency),
    ("allocation", allocation),
    ("red", red),
    ("sdp", sdp),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("stun", stun),
];

/// A stream of VP8.
pub fn vp8(data: &[u8]) {
    stream(Codec::Vp8, data);
}

/// A stream of VP9.
pub fn vp9(data: &[u8]) {
    stream(Codec::Vp9, data);
}

/// A stream of H.264.
pub fn h264(data: &[u8]) {
    stream(Codec::H264, data);
}

/// A stream of H.265.
pub fn h265(data: &[u8]) {
    stream(Codec::H265, data);
}

/// A stream of AV1.
pub fn av1(data: &[u8]) {
    stream(Codec::Av1, data);
}

/// A stream of dependency descriptors, which are all that is there.
pub fn dependency(data: &[u8]) {
    let mut layering = Layering::new(Codec::Av1);
    let mut mirrored = Layering::new(Codec::Av1);
    for (sequence, descriptor) in pieces(data) {
        look(&mut layering, &mut mirrored, sequence, &[], Some(descriptor));
    }
}

/// A video layers allocation.
pub fn allocation(data: &[u8]) {
    let Some(allocation) = Allocation::read(data) else { return };
    assert!(allocation.layers.iter().all(|layer| !layer.rates_kbps.is_empty()));
}

/// A payload of redundant audio: its blocks lie one behind the other, and other payload types change nothing else.
pub fn red(data: &[u8]) {
    let Some(blocks) = red::Blocks::read(data) else {
        assert_eq!(red::primary(data), None);
        return;
    };
    let (count, bytes) = blocks.fold((0, 0), |(count, bytes), block| (count + 1, bytes + block.data.len()));
    assert_eq!(4 * count - 3 + bytes, data.len());
    let mut changed = data.to_vec();
    assert!(red::retype(&mut changed, |payload_type| payload_type ^ 1));
    assert!(red::retype(&mut changed, |payload_type| payload_type ^ 1));
    assert_eq!(changed, data);
}

/// A client's offer or answer, or the fragment of a trickle: what is agreed upon is written, and what is written can be read.
pub fn sdp(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    black_box(Fragment::parse(text).ok());
    black_box(read_answer(text, &own_sections()).ok());
    let Ok(offer) = Offer::parse(text) else { return };
    let Ok(credentials) = Credentials::new("t1de", "w1rew1rew1rew1rew1rew1re") else { return };
    let candidates = [SocketAddr::from(([127, 0, 0, 1], 7000))];
    let fingerprint = Fingerprint([7; 32]);
    let local = Local { credentials: &credentials, fingerprint: &fingerprint, candidates: &candidates, session_id: 42 };
    let Ok((agreement, answer)) = answer_upstream(&offer, &local) else { return };
    Offer::parse(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    watch(&offer, &local, &agreement);
}

/// The same client as a viewer of what it could publish.
fn watch(offer: &Offer, local: &Local<'_>, agreement: &Agreement) {
    let wanted = agreement.media.iter().filter_map(|media| {
        let format = media.formats.first()?;
        Some(Wanted { kind: media.kind, spec: &format.spec })
    });
    let wanted: Vec<_> = wanted.collect();
    let mut ssrc = 0;
    let mut draw = || {
        ssrc += 1;
        ssrc
    };
    black_box(answer_downstream(offer, local, &wanted, "somebody", &mut draw).ok());
}

fn own_sections() -> Vec<OwnSection> {
    let section = |at: u32, kind| {
        let source = Source { primary: 10 * at + 1, rtx: Some(10 * at + 2) };
        let sends = Cname::from("somebody").map_or(Sends::Nothing, |cname| Sends::Stream { source, cname });
        Mid::from(&at.to_string()).map(|mid| OwnSection { mid, kind, sends }).ok()
    };
    let kinds = [tidewire_core::codec::Kind::Audio, tidewire_core::codec::Kind::Video];
    (0..).zip(kinds).filter_map(|(at, kind)| section(at, kind)).collect()
}

/// An RTP packet.
pub fn rtp(data: &[u8]) {
    black_box(demux::classify(data).ok());
    let Ok(header) = Header::parse(data) else { return };
    let extensions: usize = header.extensions(data).map(|(_, element)| element.len()).sum();
    assert!(extensions <= header.len && header.len <= data.len());
    let Ok(payload) = header.payload(data) else { return };
    assert!(header.len + payload.len() <= data.len());
}

/// A decrypted RTCP datagram, every list in it walked to its end.
pub fn rtcp(data: &[u8]) {
    let Ok(packets) = rtcp::packets(data) else { return };
    for packet in packets {
        match packet {
            rtcp::Packet::SenderReport { reports, .. } | rtcp::Packet::ReceiverReport { reports, .. } => {
                assert!(reports.count() <= 31);
            }
            rtcp::Packet::Nack { lost, .. } => assert!(lost.count() <= 17 * data.len()),
            rtcp::Packet::FullIntra { requests } => assert!(requests.count() <= data.len()),
            rtcp::Packet::Times { answers, .. } => assert!(answers.count() <= data.len()),
            rtcp::Packet::TransportWide(feedback) => {
                let (received, lost) = (feedback.received(), feedback.lost());
                assert_eq!(feedback.statuses().count(), usize::from(received) + usize::from(lost));
            }
            rtcp::Packet::PictureLoss { .. }
            | rtcp::Packet::Estimate { .. }
            | rtcp::Packet::Goodbye { .. }
            | rtcp::Packet::Other => {}
        }
    }
}

/// A STUN message.
pub fn stun(data: &[u8]) {
    if let Ok(binding) = stun::Binding::parse(data) {
        black_box(binding.verify(b"w1rew1rew1rew1rew1rew1re").ok());
    }
    if let Ok(response) = stun::Response::parse(data) {
        black_box(response.verify(b"w1rew1rew1rew1rew1rew1re").ok());
    }
}

/// Packets of one stream, each with or without a dependency descriptor.
fn stream(codec: Codec, data: &[u8]) {
    let mut layering = Layering::new(codec);
    let mut mirrored = Layering::new(codec);
    let mut pieces = pieces(data);
    while let Some((sequence, payload)) = pieces.next() {
        // Every seventh packet has one, so that most bytes are payload.
        let descriptor =
            if sequence.is_multiple_of(7) { pieces.next().map(|(_, descriptor)| descriptor) } else { None };
        look(&mut layering, &mut mirrored, sequence, payload, descriptor);
    }
}

/// Looks at a packet, and at its twin with shifted numbers: sets are consistent, and the twins differ in their numbers alone.
fn look(layering: &mut Layering, mirrored: &mut Layering, sequence: u64, payload: &[u8], descriptor: Option<&[u8]>) {
    let marker = sequence.is_multiple_of(2);
    let seen = layering.inspect(&Packet { sequence, marker, payload, descriptor });
    assert!(seen.frame_start || !seen.key_frame);
    assert_eq!(seen.reach.entry_to.0 & !seen.reach.part_of.0, 0);
    assert_eq!(seen.reach.part_of.0 & !seen.reach.decodable_in.0, 0);
    assert!((1..=TARGETS_MAX).contains(&layering.targets().len()));
    black_box((layering.active(), layering.size(seen.reach.spatial)));

    let by = Shift { picture: 0x1234, tl0: 0x56, frame: 0x789a };
    let (mut payload, mut descriptor) = (payload.to_vec(), descriptor.map(<[u8]>::to_vec));
    renumber(layering.codec(), &mut payload, descriptor.as_deref_mut(), by);
    let packet = Packet { sequence, marker, payload: &payload, descriptor: descriptor.as_deref() };
    let twin = mirrored.inspect(&packet);
    assert_eq!(twin.reach, seen.reach);
    assert_eq!(twin.numbers.frame, seen.numbers.frame.map(|frame| frame.wrapping_add(by.frame)));
    assert_eq!(twin.numbers.tl0, seen.numbers.tl0.map(|tl0| tl0.wrapping_add(by.tl0)));
    assert_eq!((twin.key_frame, twin.size), (seen.key_frame, seen.size));
}

/// Cuts bytes into pieces with sequence numbers: a step of -8 to 7 and a length of up to 15 in one byte, 15 with a byte of
/// length behind it; the last piece takes what is there.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut sequence = 1_u64 << 20;
    std::iter::from_fn(move || {
        let (&head, rest) = data.split_first()?;
        sequence = sequence.wrapping_add_signed(i64::from(head as i8 >> 4));
        let (len, rest) = match usize::from(head & 0x0f) {
            15 => rest.split_first().map(|(&len, rest)| (usize::from(len), rest))?,
            len => (len, rest),
        };
        let (piece, rest) = rest.split_at(len.min(rest.len()));
        data = rest;
        Some((sequence, piece))
    })
}
