//! A virtual publisher: packets on a schedule, each with content that a viewer can check, repaired on request.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::Peer;
use crate::codec::Codec;
use crate::id::Mid;
use crate::negotiate::Extensions;
use crate::random::Seeded;
use crate::rebuild::{Fields, Form, HEADER_LEN_MAX};
use crate::rtcp::{self, Packet, SenderInfo, Writer};
use crate::time::{Instant, Ntp};

/// What a packet's payload says of itself: written by the publisher, checked by every viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    pub stream: u32,
    pub number: u64,
    pub sent: Instant,
}

impl Content {
    const LEN: usize = 20;

    /// A payload of `len` bytes behind two that say what it is to a decoder, its rest filled from the content itself.
    pub fn write(&self, len: usize, codec: Codec, frame_start: bool, key_frame: bool) -> Vec<u8> {
        let mut payload = match codec {
            // RFC 6184 5.6: a slice, of an IDR picture or of another; a key frame leads with a parameter set.
            Codec::H264 => {
                let unit = if key_frame && frame_start {
                    0x67
                } else if key_frame {
                    0x65
                } else {
                    0x61
                };
                vec![unit, u8::from(frame_start) << 7]
            }
            // RFC 7741 4.2; for audio the two bytes mean nothing.
            _ => vec![if frame_start { 0x10 } else { 0 }, u8::from(!key_frame)],
        };
        payload.extend(self.stream.to_be_bytes());
        payload.extend(self.number.to_be_bytes());
        payload.extend(self.sent.nanos().to_be_bytes());
        let mut filling = self.filling();
        payload.resize_with(len.max(2 + Self::LEN), || filling.next_u64() as u8);
        payload
    }

    /// Reads a payload; `None` when any byte is not as it was written.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let body = payload.get(2..)?;
        let word = |at: usize| Some(u64::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let stream = u32::from_be_bytes(*body.first_chunk()?);
        let content = Self { stream, number: word(4)?, sent: Instant::from_nanos(word(12)?) };
        let mut filling = content.filling();
        body.get(Self::LEN..)?.iter().all(|byte| *byte == filling.next_u64() as u8).then_some(content)
    }

    const fn filling(&self) -> Seeded {
        Seeded::new(self.number ^ (self.stream as u64) << 32)
    }
}

/// One stream of a publisher.
#[derive(Clone, Debug)]
pub struct Stream {
    pub codec: Codec,
    pub ssrc: u32,
    pub payload_type: u8,
    /// SSRC and payload type of retransmissions, where negotiated.
    pub rtx: Option<(u32, u8)>,
    pub clock_rate: u32,
    pub interval: Duration,
    /// Packets of a frame, and bytes of each; up to two more, since encoders do not fill packets to the last byte.
    pub packets: usize,
    pub len: usize,
}

#[derive(Debug)]
struct State {
    stream: Stream,
    next_frame: Instant,
    next_sequence: u64,
    next_rtx: u64,
    key_frame: bool,
    /// The number of the last full intra request.
    heard: Option<u8>,
    sent: BTreeMap<u64, (Fields, Vec<u8>)>,
    count: u32,
}

/// See the module's description.
pub struct Publisher {
    pub peer: Peer,
    streams: Vec<State>,
    next_report: Instant,
    /// Everything that was sent for the first time.
    pub log: Vec<Content>,
    pub key_frame_requests: u64,
    /// Says nothing after this.
    pub until: Instant,
}

impl Publisher {
    pub fn new(peer: Peer, streams: Vec<Stream>, seed: u64, until: Instant) -> Self {
        let mut random = Seeded::new(seed);
        let state = |stream| State {
            stream,
            next_frame: Instant::ORIGIN,
            next_sequence: random.below(1 << 15),
            next_rtx: random.below(1 << 15),
            key_frame: true,
            heard: None,
            sent: BTreeMap::new(),
            count: 0,
        };
        let streams = streams.into_iter().map(state).collect();
        Self { peer, streams, next_report: Instant::ORIGIN, log: Vec::new(), key_frame_requests: 0, until }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        if !self.peer.is_connected() || now > self.until {
            return;
        }
        for state in &mut self.streams {
            if state.next_frame <= now {
                state.next_frame = now + state.stream.interval;
                state.send_frame(now, &mut self.peer, &mut self.log);
            }
        }
        if self.next_report <= now {
            self.next_report = now + Duration::from_secs(1);
            for state in &self.streams {
                state.send_report(now, &mut self.peer);
            }
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let frames = self.streams.iter().map(|state| state.next_frame).chain([self.next_report]).min();
        let media = frames.filter(|at| self.peer.is_connected() && *at <= self.until);
        [media, self.peer.deadline()].into_iter().flatten().min()
    }

    pub fn handle_rtcp(&mut self, datagram: &[u8]) {
        let Ok(packets) = rtcp::packets(datagram) else { return };
        let mut wanted = Vec::new();
        for packet in packets {
            match packet {
                Packet::Nack { media, lost } => {
                    if let Some(state) = self.streams.iter_mut().find(|state| state.stream.ssrc == media) {
                        lost.for_each(|sequence| state.repair(sequence, &mut self.peer));
                    }
                }
                Packet::PictureLoss { media } => wanted.push(media),
                Packet::FullIntra { requests } => {
                    wanted.extend(requests.filter(|request| self.is_new(*request)).map(|(media, _)| media));
                }
                Packet::SenderReport { .. }
                | Packet::ReceiverReport { .. }
                | Packet::TransportWide(_)
                | Packet::Estimate { .. }
                | Packet::Times { .. }
                | Packet::Goodbye { .. }
                | Packet::Other => {}
            }
        }
        // What is said in two ways is one wish.
        wanted.dedup();
        wanted.into_iter().for_each(|media| self.want_key_frame(media));
    }

    /// RFC 5104 4.3.1.1: what comes under the same number is the same request.
    fn is_new(&mut self, (media, sequence): (u32, u8)) -> bool {
        let state = self.streams.iter_mut().find(|state| state.stream.ssrc == media);
        state.is_some_and(|state| state.heard.replace(sequence) != Some(sequence))
    }

    fn want_key_frame(&mut self, media: u32) {
        self.key_frame_requests += 1;
        for state in self.streams.iter_mut().filter(|state| state.stream.ssrc == media) {
            state.key_frame = true;
        }
    }
}

impl State {
    fn send_frame(&mut self, now: Instant, peer: &mut Peer, log: &mut Vec<Content>) {
        let key_frame = std::mem::take(&mut self.key_frame);
        let packets = self.stream.packets * if key_frame { 4 } else { 1 };
        for at in 0..packets {
            let content = Content { stream: self.stream.ssrc, number: self.next_sequence, sent: now };
            let len = self.stream.len + (self.next_sequence % 3) as usize;
            let payload = content.write(len, self.stream.codec, at == 0, key_frame);
            let fields = Fields {
                marker: at + 1 == packets,
                payload_type: self.stream.payload_type,
                sequence: self.next_sequence as u16,
                timestamp: self.timestamp(now),
                ssrc: self.stream.ssrc,
                padded: false,
            };
            send(peer, self.next_sequence, &fields, &payload);
            log.push(content);
            self.sent.insert(self.next_sequence, (fields, payload));
            self.next_sequence += 1;
            self.count += 1;
        }
    }

    fn repair(&mut self, sequence: u16, peer: &mut Peer) {
        let extended = crate::rtp::extend_sequence(self.next_sequence, sequence);
        let Some((fields, payload)) = self.sent.get(&extended) else { return };
        let Some((ssrc, payload_type)) = self.stream.rtx else {
            send(peer, extended, fields, payload);
            return;
        };
        let body = [&fields.sequence.to_be_bytes(), payload.as_slice()].concat();
        let fields = Fields { ssrc, payload_type, sequence: self.next_rtx as u16, ..*fields };
        send(peer, self.next_rtx, &fields, &body);
        self.next_rtx += 1;
    }

    fn send_report(&self, now: Instant, peer: &mut Peer) {
        let ntp = Ntp((u128::from(now.nanos()) * (1 << 32) / 1_000_000_000) as u64);
        let info = SenderInfo { ntp, timestamp: self.timestamp(now), packets: self.count, octets: 0 };
        let mut bytes = [0; 128];
        let mut writer = Writer::new(&mut bytes);
        writer.sender_report(self.stream.ssrc, &info);
        writer.canonical_name(self.stream.ssrc, "publisher");
        let len = writer.len();
        peer.send_rtcp(&bytes[..len]);
    }

    fn timestamp(&self, now: Instant) -> u32 {
        (u128::from(now.nanos()) * u128::from(self.stream.clock_rate) / 1_000_000_000) as u32
    }
}

fn send(peer: &mut Peer, index: u64, fields: &Fields, payload: &[u8]) {
    let mut packet = [0; HEADER_LEN_MAX];
    let Some(len) = Form::new(&Extensions::default(), &Mid::new()).write(fields, &[], &mut packet) else { return };
    peer.send_rtp(index, len, &[&packet[..len], payload].concat());
}
