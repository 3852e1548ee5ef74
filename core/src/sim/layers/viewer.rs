//! A virtual viewer that decodes: it asks again for what is missing, and for a key frame when its decoder is stuck.

use std::collections::BTreeMap;
use std::time::Duration;

use super::decoder::{Arrived, Decoder};
use crate::codec::Codec;
use crate::gaps::{Arrival, Gaps};
use crate::rtcp::{Report, Writer};
use crate::rtp::{self, Header};
use crate::sim::peer::{Heard, Peer};
use crate::time::Instant;

/// One video that it watches.
#[derive(Debug)]
struct Watched {
    rtx: Option<u32>,
    gaps: Gaps,
    decoder: Decoder,
}

/// See the module's description.
pub struct DecodingViewer {
    pub peer: Peer,
    streams: BTreeMap<u32, Watched>,
    /// The id of the dependency descriptor.
    descriptor: Option<u8>,
    next_report: Instant,
    /// Repairs that brought nothing new.
    pub useless: u64,
    /// Packets that were asked for, and key frames.
    pub asked: u64,
    pub key_frames_asked: u64,
}

impl DecodingViewer {
    /// `streams` are SSRCs of videos in this codec, each with that of its retransmissions.
    pub fn new(peer: Peer, streams: &[(u32, Option<u32>)], codec: Codec, descriptor: Option<u8>) -> Self {
        let watched = |rtx| Watched { rtx, gaps: Gaps::default(), decoder: Decoder::new(codec) };
        Self {
            peer,
            streams: streams.iter().map(|(ssrc, rtx)| (*ssrc, watched(*rtx))).collect(),
            descriptor,
            next_report: Instant::ORIGIN,
            useless: 0,
            asked: 0,
            key_frames_asked: 0,
        }
    }

    pub fn handle(&mut self, now: Instant, bytes: &mut [u8]) {
        if let Heard::Rtp(header, index, packet) = self.peer.handle(bytes) {
            self.hear(now, &header, index, &packet);
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        if !self.peer.is_connected() {
            return;
        }
        let mut bytes = [0; 1200];
        let mut writer = Writer::new(&mut bytes);
        writer.receiver_report(1, &[]);
        for (ssrc, watched) in &mut self.streams {
            let lost = watched.gaps.due(now);
            self.asked += lost.len() as u64;
            if !lost.is_empty() {
                writer.nack(1, *ssrc, &lost);
            }
            if watched.decoder.is_stuck(now) {
                self.key_frames_asked += 1;
                writer.picture_loss(1, *ssrc);
            }
        }
        if self.next_report <= now {
            self.next_report = now + Duration::from_secs(1);
            let reports: Vec<_> = self.streams.iter().map(|(ssrc, watched)| watched.report(*ssrc)).collect();
            writer.receiver_report(1, &reports);
        }
        let len = writer.len();
        if len > 8 {
            self.peer.send_rtcp(&bytes[..len]);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let of = |watched: &Watched| [watched.gaps.deadline(), watched.decoder.deadline()].into_iter().flatten().min();
        let media = self.streams.values().filter_map(of).chain([self.next_report]).min();
        [media.filter(|_| self.peer.is_connected()), self.peer.deadline()].into_iter().flatten().min()
    }

    /// Its videos, by SSRC.
    pub fn decoders(&self) -> impl Iterator<Item = (u32, &Decoder)> {
        self.streams.iter().map(|(ssrc, watched)| (*ssrc, &watched.decoder))
    }

    fn hear(&mut self, now: Instant, header: &Header, index: u64, packet: &[u8]) {
        let Ok(payload) = header.payload(packet) else { return };
        let repaired = self.streams.iter().find(|(_, watched)| watched.rtx == Some(header.ssrc)).map(|(ssrc, _)| *ssrc);
        let Some(watched) = self.streams.get_mut(&repaired.unwrap_or(header.ssrc)) else { return };
        let (number, payload) = match (repaired, payload.split_first_chunk::<2>()) {
            (None, _) => (index, payload),
            (Some(_), Some((osn, rest))) => {
                (rtp::extend_sequence(watched.gaps.highest().unwrap_or(0), u16::from_be_bytes(*osn)), rest)
            }
            // RFC 4588 4: nothing but padding, to measure the path with.
            (Some(_), None) => return,
        };
        match watched.gaps.record(now, number) {
            Arrival::New | Arrival::Jumped | Arrival::Filled => {
                let descriptor = header.extensions(packet).find(|(id, _)| Some(*id) == self.descriptor);
                let arrived = Arrived {
                    timestamp: header.timestamp,
                    marker: header.marker,
                    payload: payload.to_vec(),
                    descriptor: descriptor.map(|(_, data)| data.to_vec()),
                };
                watched.decoder.handle(now, number, arrived);
            }
            Arrival::Duplicate | Arrival::TooOld => self.useless += 1,
        }
    }
}

impl Watched {
    fn report(&self, ssrc: u32) -> Report {
        Report { ssrc, highest_sequence: self.gaps.highest().unwrap_or(0) as u32, ..Report::default() }
    }
}
