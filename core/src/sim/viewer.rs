//! A virtual viewer: it asks again for what is missing, asks for a key frame to start, and logs what it got and when.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::{Heard, Peer};
use super::publisher::Content;
use crate::gaps::{Arrival, Gaps};
use crate::rtcp::{self, Held, Packet, Report, Writer};
use crate::rtp::{self, Header};
use crate::time::{Instant, Ntp};

/// A packet's content as it reached the application, for the first and only time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub content: Content,
    /// The viewer's own stream that brought it.
    pub ssrc: u32,
    /// Extended sequence number in the viewer's own stream.
    pub sequence: u64,
    pub timestamp: u32,
    pub at: Instant,
    /// Bytes of the datagram that brought it.
    pub len: usize,
}

#[derive(Debug, Default)]
struct Stream {
    gaps: Gaps,
    rtx: Option<u32>,
    report: Option<(u32, Instant)>,
    clock: Option<(Ntp, u32)>,
}

/// See the module's description.
pub struct Viewer {
    pub peer: Peer,
    streams: BTreeMap<u32, Stream>,
    next_report: Instant,
    pub log: Vec<Delivery>,
    /// Repairs that brought nothing new.
    pub useless: u64,
    /// Payloads with a byte that is not the publisher's.
    pub damaged: u64,
    pub goodbyes: u64,
    /// What was said of reference times that this viewer told.
    pub answers: Vec<Held>,
    /// SSRCs of streams that are expected no longer.
    ended: Vec<u32>,
}

impl Viewer {
    /// `streams` are the primary SSRCs of the answer, each with that of its retransmissions.
    pub fn new(peer: Peer, streams: &[(u32, Option<u32>)]) -> Self {
        let streams = streams.iter().map(|(ssrc, rtx)| (*ssrc, Stream { rtx: *rtx, ..Stream::default() })).collect();
        Self {
            peer,
            streams,
            next_report: Instant::ORIGIN,
            log: Vec::new(),
            useless: 0,
            damaged: 0,
            goodbyes: 0,
            answers: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// From now on expects these streams; those that it knows go on.
    pub fn follow(&mut self, streams: &[(u32, Option<u32>)]) {
        let stays = |known: u32| streams.iter().any(|(ssrc, _)| *ssrc == known);
        for (ssrc, stream) in self.streams.iter().filter(|(ssrc, _)| !stays(**ssrc)) {
            self.ended.extend([Some(*ssrc), stream.rtx].into_iter().flatten());
        }
        self.streams.retain(|ssrc, _| stays(*ssrc));
        // Each time all of them: packets that were on their way have come since.
        self.ended.iter().for_each(|ssrc| self.peer.forget(*ssrc));
        for (ssrc, rtx) in streams {
            self.streams.entry(*ssrc).or_insert_with(|| Stream { rtx: *rtx, ..Stream::default() });
        }
    }

    pub fn handle(&mut self, now: Instant, bytes: &mut [u8]) {
        let len = bytes.len();
        match self.peer.handle(bytes) {
            Heard::Rtp(header, index, packet) => {
                if let Ok(payload) = header.payload(&packet) {
                    self.hear_rtp((now, len), &header, index, payload);
                }
            }
            Heard::Rtcp(datagram) => self.hear_rtcp(now, &datagram),
            Heard::Nothing => {}
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
        for (ssrc, stream) in &mut self.streams {
            let lost = stream.gaps.due(now);
            if !lost.is_empty() {
                writer.nack(1, *ssrc, &lost);
            }
        }
        if self.next_report <= now {
            self.next_report = now + Duration::from_secs(1);
            let reports: Vec<_> = self.streams.iter().map(|(ssrc, stream)| stream.report(*ssrc, now)).collect();
            writer.receiver_report(1, &reports);
        }
        let len = writer.len();
        if len > 8 {
            self.peer.send_rtcp(&bytes[..len]);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let media = self.streams.values().filter_map(|stream| stream.gaps.deadline()).chain([self.next_report]).min();
        [media.filter(|_| self.peer.is_connected()), self.peer.deadline()].into_iter().flatten().min()
    }

    /// The SSRCs of its streams, retransmissions left out.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        self.streams.keys().copied()
    }

    /// The last sender report of each stream that had one: SSRC, NTP time, timestamp, and the clock rate that the
    /// simulated publisher's streams of this kind have (those with retransmissions are video).
    pub fn clocks(&self) -> impl Iterator<Item = (u32, Ntp, u32, u32)> + '_ {
        self.streams.iter().filter_map(|(ssrc, stream)| {
            let (ntp, timestamp) = stream.clock?;
            Some((*ssrc, ntp, timestamp, if stream.rtx.is_some() { 90_000 } else { 48_000 }))
        })
    }

    fn hear_rtp(&mut self, (now, len): (Instant, usize), header: &Header, index: u64, payload: &[u8]) {
        let repaired = self.streams.iter().find(|(_, stream)| stream.rtx == Some(header.ssrc)).map(|(ssrc, _)| *ssrc);
        let ssrc = repaired.unwrap_or(header.ssrc);
        let Some(stream) = self.streams.get_mut(&ssrc) else { return };
        let (sequence, payload) = match (repaired, payload.split_first_chunk::<2>()) {
            (None, _) => (index, payload),
            (Some(_), Some((osn, rest))) => {
                let highest = stream.gaps.highest().unwrap_or(0);
                (rtp::extend_sequence(highest, u16::from_be_bytes(*osn)), rest)
            }
            (Some(_), None) => return,
        };
        match stream.gaps.record(now, sequence) {
            Arrival::New | Arrival::Jumped | Arrival::Filled => match Content::read(payload) {
                Some(content) => {
                    self.log.push(Delivery { content, ssrc, sequence, timestamp: header.timestamp, at: now, len })
                }
                None => self.damaged += 1,
            },
            Arrival::Duplicate | Arrival::TooOld => self.useless += 1,
        }
    }

    fn hear_rtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packets) = rtcp::packets(datagram) else { return };
        for packet in packets {
            match packet {
                Packet::SenderReport { ssrc, info, .. } => {
                    if let Some(stream) = self.streams.get_mut(&ssrc) {
                        stream.report = Some((info.ntp.middle(), now));
                        stream.clock = Some((info.ntp, info.timestamp));
                    }
                }
                Packet::Goodbye { .. } => self.goodbyes += 1,
                Packet::Times { answers, .. } => self.answers.extend(answers),
                Packet::ReceiverReport { .. }
                | Packet::Nack { .. }
                | Packet::PictureLoss { .. }
                | Packet::FullIntra { .. }
                | Packet::TransportWide(_)
                | Packet::Estimate { .. }
                | Packet::Other => {}
            }
        }
    }
}

impl Stream {
    fn report(&self, ssrc: u32, now: Instant) -> Report {
        let (last_report, delay) =
            self.report.map_or((0, 0), |(middle, at)| (middle, ((now.since(at).as_micros() << 16) / 1_000_000) as u32));
        Report {
            ssrc,
            highest_sequence: self.gaps.highest().unwrap_or(0) as u32,
            last_report,
            delay,
            ..Report::default()
        }
    }
}
