//! A virtual publisher of layered video: simulcast encodings, or one stream with layers in it.
//!
//! As browsers do, it tells its encodings apart by MID and RID until a report has named the SSRC (RFC 8852 3), repairs by
//! RTX, gives each encoding a timestamp offset of its own, and makes a key frame of an encoding when that one is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::encoder::{Encoder, Encoding, Packet as Encoded};
use super::truth::Truth;
use crate::id::{Mid, Rid};
use crate::message::quality::EncodingDemand;
use crate::negotiate::{Extension, Extensions};
use crate::random::Seeded;
use crate::rebuild::{BLOCK_LEN_MAX, Fields, Form, HEADER_LEN_MAX};
use crate::rtcp::{self, Packet, SenderInfo, Writer};
use crate::rtp;
use crate::sim::peer::Peer;
use crate::time::{Instant, Ntp};

/// Twenty pictures a second.
const INTERVAL: Duration = Duration::from_millis(50);

/// Between two packets of a picture: nobody sends them all at once.
const PACE: Duration = Duration::from_millis(1);

/// One stream on the wire.
#[derive(Clone, Debug)]
pub struct Wire {
    pub ssrc: u32,
    pub payload_type: u8,
    /// SSRC and payload type of retransmissions.
    pub rtx: Option<(u32, u8)>,
    /// Where there are several encodings.
    pub rid: Option<Rid>,
    pub encoding: Encoding,
}

#[derive(Debug)]
struct Sender {
    wire: Wire,
    encoder: Encoder,
    /// Whether a report has named the SSRC.
    known: bool,
    active: bool,
    key_frame: bool,
    timestamp_offset: u32,
    next_rtx: u64,
    /// Packets of the last picture, and when each goes.
    paced: VecDeque<(Instant, Fields, Encoded)>,
    sent: BTreeMap<u64, (Fields, Encoded)>,
    count: u32,
    /// When key frames were asked for.
    requests: Vec<Instant>,
    /// The number of the last full intra request.
    heard: Option<u8>,
}

/// See the module's description.
pub struct LayeredPublisher {
    pub peer: Peer,
    mid: Mid,
    extensions: Extensions,
    senders: Vec<Sender>,
    next_picture: Instant,
    next_report: Instant,
    /// Everything that was sent for the first time.
    pub log: Vec<Truth>,
    /// Says nothing after this.
    pub until: Instant,
}

impl LayeredPublisher {
    pub fn new(peer: Peer, mid: Mid, extensions: Extensions, wires: Vec<Wire>, seed: u64, until: Instant) -> Self {
        let mut random = Seeded::new(seed);
        let senders =
            wires.into_iter().enumerate().map(|(index, wire)| Sender::new(wire, index, &mut random)).collect();
        let (next_picture, next_report) = (Instant::ORIGIN, Instant::ORIGIN);
        Self { peer, mid, extensions, senders, next_picture, next_report, log: Vec::new(), until }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        if !self.peer.is_connected() || now > self.until {
            return;
        }
        if self.next_picture <= now {
            self.next_picture = now + INTERVAL;
            for sender in self.senders.iter_mut().filter(|sender| sender.active) {
                sender.encode(now);
            }
        }
        for sender in &mut self.senders {
            sender.send_paced(now, (&self.mid, &self.extensions), &mut self.peer, &mut self.log);
        }
        if self.next_report <= now {
            self.next_report = now + Duration::from_secs(1);
            let sending = self.senders.iter().filter(|sender| sender.active);
            sending.for_each(|sender| sender.send_report(now, &mut self.peer));
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let paced = self.senders.iter().filter_map(|sender| sender.paced.front()).map(|(at, ..)| *at).min();
        let next = self.next_picture.min(self.next_report).min(paced.unwrap_or(self.next_report));
        let media = Some(next).filter(|at| self.peer.is_connected() && *at <= self.until);
        [media, self.peer.deadline()].into_iter().flatten().min()
    }

    pub fn handle_rtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packets) = rtcp::packets(datagram) else { return };
        for packet in packets {
            match packet {
                Packet::Nack { media, lost } => {
                    let (mid, extensions, peer) = (&self.mid, &self.extensions, &mut self.peer);
                    if let Some(sender) = self.senders.iter_mut().find(|sender| sender.wire.ssrc == media) {
                        lost.for_each(|sequence| sender.repair(sequence, (mid, extensions), peer));
                    }
                }
                Packet::PictureLoss { media } => self.want_key_frame(now, media),
                Packet::FullIntra { requests } => {
                    requests.for_each(|(media, sequence)| self.hear_request(now, media, sequence));
                }
                Packet::ReceiverReport { reports, .. } => {
                    for report in reports {
                        self.senders
                            .iter_mut()
                            .filter(|sender| sender.wire.ssrc == report.ssrc)
                            .for_each(|sender| sender.known = true);
                    }
                }
                Packet::SenderReport { .. }
                | Packet::TransportWide(_)
                | Packet::Times { .. }
                | Packet::Estimate { .. }
                | Packet::Goodbye { .. }
                | Packet::Other => {}
            }
        }
    }

    /// Stops sending an encoding, or sends it again, from a key frame on.
    pub fn turn(&mut self, encoding: usize, active: bool) {
        if let Some(sender) = self.senders.get_mut(encoding) {
            sender.key_frame |= active && !sender.active;
            sender.active = active;
        }
    }

    /// Sends what is wanted and nothing else.
    pub fn obey(&mut self, demands: &[EncodingDemand]) {
        for demand in demands {
            let named = |sender: &Sender| {
                sender.wire.rid.as_ref().map(Rid::as_str) == demand.encoding.as_ref().map(|own| own.as_str())
            };
            if let Some(encoding) = self.senders.iter().position(named) {
                self.turn(encoding, demand.active);
            }
        }
    }

    /// When key frames of each encoding were asked for.
    pub fn requests(&self) -> impl Iterator<Item = &[Instant]> {
        self.senders.iter().map(|sender| sender.requests.as_slice())
    }

    /// RFC 5104 4.3.1.1: what comes under the same number is the same request.
    fn hear_request(&mut self, now: Instant, media: u32, sequence: u8) {
        let named = |sender: &&mut Sender| sender.wire.ssrc == media;
        let Some(sender) = self.senders.iter_mut().find(named) else { return };
        if sender.heard.replace(sequence) != Some(sequence) {
            self.want_key_frame(now, media);
        }
    }

    /// What is said in two ways at one moment is one wish.
    fn want_key_frame(&mut self, now: Instant, media: u32) {
        let named = |sender: &&mut Sender| sender.wire.ssrc == media;
        if let Some(sender) = self.senders.iter_mut().find(named).filter(|one| one.requests.last() != Some(&now)) {
            sender.requests.push(now);
            sender.key_frame = true;
        }
    }
}

impl Sender {
    fn new(wire: Wire, index: usize, random: &mut Seeded) -> Self {
        Self {
            encoder: Encoder::new(wire.encoding.clone(), index as u8, wire.ssrc, random),
            wire,
            known: false,
            active: true,
            key_frame: true,
            timestamp_offset: random.next_u32(),
            next_rtx: random.below(1 << 15),
            paced: VecDeque::new(),
            sent: BTreeMap::new(),
            count: 0,
            requests: Vec::new(),
            heard: None,
        }
    }

    fn encode(&mut self, now: Instant) {
        let key = std::mem::take(&mut self.key_frame);
        let mut at = now;
        for packet in self.encoder.encode(now, key) {
            let fields = Fields {
                marker: packet.marker,
                payload_type: self.wire.payload_type,
                sequence: packet.truth.number as u16,
                timestamp: self.timestamp(now),
                ssrc: self.wire.ssrc,
                padded: false,
            };
            self.paced.push_back((at, fields, packet));
            at += PACE;
        }
    }

    fn send_paced(&mut self, now: Instant, own: (&Mid, &Extensions), peer: &mut Peer, log: &mut Vec<Truth>) {
        while self.paced.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, fields, packet)) = self.paced.pop_front() else { return };
            let number = packet.truth.number;
            self.send(number, &fields, own, (&packet, &packet.payload), peer);
            log.push(packet.truth.clone());
            self.sent.insert(number, (fields, packet));
            self.count += 1;
        }
    }

    fn repair(&mut self, sequence: u16, own: (&Mid, &Extensions), peer: &mut Peer) {
        let highest = self.sent.last_key_value().map_or(0, |(number, _)| *number);
        let Some((fields, packet)) = self.sent.get(&rtp::extend_sequence(highest, sequence)) else { return };
        let Some((ssrc, payload_type)) = self.wire.rtx else {
            self.send(packet.truth.number, fields, own, (packet, &packet.payload), peer);
            return;
        };
        let body = [&fields.sequence.to_be_bytes(), packet.payload.as_slice()].concat();
        let fields = Fields { ssrc, payload_type, sequence: self.next_rtx as u16, ..*fields };
        self.send(self.next_rtx, &fields, own, (packet, &body), peer);
        self.next_rtx += 1;
    }

    fn send(
        &self,
        index: u64,
        fields: &Fields,
        (mid, extensions): (&Mid, &Extensions),
        (packet, payload): (&Encoded, &[u8]),
        peer: &mut Peer,
    ) {
        // Of repairs nobody reports, so they say for ever whose they are.
        let repair = fields.ssrc != self.wire.ssrc;
        let named = repair || !self.known;
        let rid = self.wire.rid.filter(|_| named);
        let elements = [
            (if repair { Extension::RepairedRid } else { Extension::Rid }, rid.as_ref().map(|rid| rid.as_bytes())),
            (Extension::DependencyDescriptor, packet.descriptor.as_deref()),
        ];
        let mut block = Vec::with_capacity(BLOCK_LEN_MAX);
        for (extension, data) in elements.into_iter().filter_map(|(extension, data)| Some((extension, data?))) {
            block.extend([extension as u8, data.len() as u8]);
            block.extend(data);
        }
        let form = Form::new(extensions, if named { mid } else { &NOBODY });
        let mut header = [0; HEADER_LEN_MAX];
        if let Some(len) = form.write(fields, &block, &mut header) {
            peer.send_rtp(index, len, &[&header[..len], payload].concat());
        }
    }

    fn send_report(&self, now: Instant, peer: &mut Peer) {
        let ntp = Ntp((u128::from(now.nanos()) * (1 << 32) / 1_000_000_000) as u64);
        let info = SenderInfo { ntp, timestamp: self.timestamp(now), packets: self.count, octets: 0 };
        let mut bytes = [0; 128];
        let mut writer = Writer::new(&mut bytes);
        writer.sender_report(self.wire.ssrc, &info);
        writer.canonical_name(self.wire.ssrc, "publisher");
        let len = writer.len();
        peer.send_rtcp(&bytes[..len]);
    }

    fn timestamp(&self, now: Instant) -> u32 {
        let ticks = (u128::from(now.nanos()) * 90_000 / 1_000_000_000) as u32;
        ticks.wrapping_add(self.timestamp_offset)
    }
}

/// No MID.
static NOBODY: Mid = Mid::new_const();
