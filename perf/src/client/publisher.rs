//! A publisher on a call: frames of the recognisable pattern, packet by packet, at times that the caller plans.
//!
//! It answers NACKs (by RTX where the answer agreed to it, else bit-identical), makes the next frame a key frame when it is
//! asked to, and sends sender reports. It does not pace: when a packet goes is the caller's plan, and the plan is in the packet.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::answer::Media;
use super::call::{Arrival, Call};
use super::media::Codec;
use super::offer::Offer;
use super::pattern::{self, Position, STAMP_LEN, Stamp};
use super::rtcp::{self, Item};
use super::rtp::Header;
use crate::clock;

/// One stream that is being sent.
pub struct Track {
    pub codec: Codec,
    pub ssrc: u32,
    /// Packets sent so far: the index of the next one.
    pub sent: u64,
    pub key_frame_requests: u64,
    pub nacked: u64,
    payload_type: u8,
    /// Payload type, SSRC and next sequence number of retransmissions, where they were agreed.
    rtx: Option<(u8, u32, u16)>,
    mid: Option<(u8, String)>,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    octets: u32,
    key_frame_due: bool,
    history: VecDeque<(u16, Vec<u8>)>,
}

pub struct Publisher {
    pub call: Call,
    pub tracks: Vec<Track>,
    /// Datagrams that did not decrypt or were of no known protocol.
    pub garbage: u64,
    next_report: Instant,
}

impl Publisher {
    /// Takes over a call that was joined with `offer`.
    pub fn new(call: Call, offer: &Offer) -> Result<Self> {
        let tracks = offer
            .sections
            .iter()
            .zip(&call.answer.media)
            .filter(|(_, media)| media.port != 0)
            .map(|(section, media)| Track::agreed(section.ssrc, section.rtx_ssrc, &section.codecs, media))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { call, tracks, garbage: 0, next_report: Instant::now() })
    }

    /// Reports at this phase of their interval, from 0 to 1: publishers that come together do not report together in life.
    pub fn shift_reports(&mut self, phase: f64) {
        self.next_report = Instant::now() + REPORT_INTERVAL.mul_f64(phase);
    }

    /// Whether the next frame of this track has to be a key frame: at the start, and when one was asked for.
    pub fn key_frame_due(&self, track: usize) -> bool {
        self.tracks[track].key_frame_due
    }

    /// Sends a whole frame at once: `packets` packets of `packet_len` bytes each (RTP header included).
    pub fn send_frame(&mut self, track: usize, packets: usize, packet_len: usize, planned_ns: u64) -> Result<()> {
        let key = self.key_frame_due(track);
        for place in 0..packets {
            let position = Position { key, start: place == 0, end: place + 1 == packets };
            self.send_packet(track, position, packet_len, planned_ns)?;
        }
        Ok(())
    }

    /// Sends one packet. A packet that ends a frame advances the media clock by a thirtieth (video) or fiftieth of a second.
    pub fn send_packet(&mut self, track: usize, position: Position, packet_len: usize, planned_ns: u64) -> Result<()> {
        let track = &mut self.tracks[track];
        let packet = track.next_packet(position, packet_len, planned_ns);
        self.call.send_rtp(&packet)
    }

    /// Makes a packet that is sent later, by [`Call::send_sealed`]. Nothing else of this track may be sent before it.
    pub fn seal_packet(
        &mut self,
        track: usize,
        position: Position,
        packet_len: usize,
        planned_ns: u64,
    ) -> Result<Vec<u8>> {
        let packet = self.tracks[track].next_packet(position, packet_len, planned_ns);
        self.call.seal_rtp(&packet)
    }

    /// Makes a packet and loses it on the way: only a NACK brings it to anybody.
    pub fn lose_packet(&mut self, track: usize, position: Position, packet_len: usize, planned_ns: u64) {
        self.tracks[track].next_packet(position, packet_len, planned_ns);
    }

    /// Handles everything that has arrived and whatever is due.
    pub fn serve(&mut self, now: Instant) -> Result<()> {
        while let Some(arrival) = self.call.receive(now)? {
            match arrival {
                Arrival::Rtcp(compound) => self.handle_rtcp(&compound)?,
                Arrival::Rtp(_) | Arrival::Garbage => self.garbage += 1,
                Arrival::Transport => {}
            }
        }
        self.tick(now)
    }

    /// Handles one datagram that the caller read.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<()> {
        match self.call.handle(now, datagram) {
            Arrival::Rtcp(compound) => self.handle_rtcp(&compound)?,
            Arrival::Rtp(_) | Arrival::Garbage => self.garbage += 1,
            Arrival::Transport => {}
        }
        Ok(())
    }

    /// Consent and reports.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        self.call.tick(now)?;
        if now < self.next_report {
            return Ok(());
        }
        while self.next_report <= now {
            self.next_report += REPORT_INTERVAL;
        }
        let ntp = clock::ntp(clock::unix_ns());
        for track in self.tracks.iter().filter(|track| track.sent > 0) {
            let report = rtcp::write_sender_report(
                track.ssrc,
                ntp,
                track.timestamp,
                track.sent as u32,
                track.octets,
                &self.call.cname,
            );
            self.call.send_rtcp(&report)?;
        }
        Ok(())
    }

    /// BYE for every track, close_notify, DELETE.
    pub fn leave(mut self) -> Result<u16> {
        for track in &self.tracks {
            self.call.send_rtcp(
                &[rtcp::write_receiver_report(track.ssrc, &[], &self.call.cname), rtcp::write_bye(track.ssrc)].concat(),
            )?;
        }
        self.call.leave()
    }

    fn handle_rtcp(&mut self, compound: &[u8]) -> Result<()> {
        for item in rtcp::parse(compound) {
            match item {
                Item::KeyFrameRequest { media } => {
                    for track in self.tracks.iter_mut().filter(|track| track.ssrc == media) {
                        track.key_frame_requests += 1;
                        track.key_frame_due = true;
                    }
                }
                Item::Nack { media, missing } => self.send_again(media, &missing)?,
                Item::SenderReport { .. } | Item::ReceiverReport { .. } | Item::Cname { .. } | Item::Bye { .. } => {}
                Item::TransportFeedback | Item::Bitrate => {}
            }
        }
        Ok(())
    }

    fn send_again(&mut self, media: u32, missing: &[u16]) -> Result<()> {
        let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == media) else {
            return Ok(());
        };
        for sequence in missing {
            track.nacked += 1;
            if let Some(packet) = track.repair(*sequence) {
                self.call.send_rtp(&packet)?;
            }
        }
        Ok(())
    }
}

impl AsFd for Publisher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.call.as_fd()
    }
}

impl Track {
    fn agreed(ssrc: u32, rtx_ssrc: u32, codecs: &[Codec], media: &Media) -> Result<Self> {
        let agreed = |codec: &&Codec| media.formats.iter().any(|format| is_format(media, *format, **codec));
        let codec = *codecs.iter().find(agreed).context("no offered codec in the answer")?;
        let payload_type =
            *media.formats.iter().find(|format| is_format(media, **format, codec)).context("no payload type")?;
        let rtx = media.apts.iter().find(|(_, apt)| **apt == payload_type).map(|(rtx, _)| (*rtx, rtx_ssrc, 1));
        Ok(Self {
            codec,
            ssrc,
            sent: 0,
            key_frame_requests: 0,
            nacked: 0,
            payload_type,
            rtx,
            mid: media.extensions.get(MID_URI).map(|id| (*id, media.mid.clone())),
            // RFC 3711 3.3.1: below 2^15, so that a receiver cannot miss the first roll-over.
            sequence: (ssrc as u16) & 0x7fff,
            timestamp: ssrc.wrapping_mul(2_654_435_761),
            picture: 0,
            octets: 0,
            key_frame_due: codec.is_video(),
            history: VecDeque::with_capacity(HISTORY_MAX),
        })
    }

    fn next_packet(&mut self, position: Position, packet_len: usize, planned_ns: u64) -> Vec<u8> {
        let header = Header {
            marker: self.marks(position),
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            mid: self.mid.as_ref().map(|(id, mid)| (*id, mid.as_str())),
        };
        let payload = self.payload(position, packet_len.saturating_sub(header.len()), planned_ns);
        let packet = header.write(&payload);
        self.remember(&packet);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        if position.end {
            self.end_frame(position);
        }
        packet
    }

    /// The marker ends a picture; for audio it would mean the start of a talk spurt (RFC 3551 4.1), of which there is none.
    fn marks(&self, position: Position) -> bool {
        self.codec.is_video() && position.end
    }

    fn payload(&self, position: Position, wanted_len: usize, planned_ns: u64) -> Vec<u8> {
        let prefix_len = self.codec.prefix(position, self.picture, 0).len();
        let len = wanted_len.max(prefix_len + STAMP_LEN);
        let mut payload = self.codec.prefix(position, self.picture, len - prefix_len);
        payload.resize(len, 0);
        let stamp = Stamp {
            stream: self.ssrc,
            index: self.sent,
            planned_ns,
            timestamp: self.timestamp,
            position,
            marker: self.marks(position),
            prefix_len: prefix_len as u16,
            picture_at: self.codec.picture_at(),
        };
        pattern::fill(&mut payload, &stamp);
        payload
    }

    fn end_frame(&mut self, position: Position) {
        let frames_per_second = if self.codec.is_video() { 30 } else { 50 };
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_rate() / frames_per_second);
        self.picture = (self.picture + 1) & 0x7fff;
        if position.key {
            self.key_frame_due = false;
        }
    }

    fn remember(&mut self, packet: &[u8]) {
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((self.sequence, packet.to_vec()));
    }

    /// The packet itself, or its RTX form (RFC 4588 4).
    fn repair(&mut self, sequence: u16) -> Option<Vec<u8>> {
        let (_, packet) = self.history.iter().find(|(held, _)| *held == sequence)?;
        let Some((payload_type, ssrc, next)) = &mut self.rtx else {
            return Some(packet.clone());
        };
        let original = super::rtp::Packet::parse(packet)?;
        let header = Header {
            marker: original.marker(),
            payload_type: *payload_type,
            sequence: *next,
            timestamp: original.timestamp(),
            ssrc: *ssrc,
            mid: self.mid.as_ref().map(|(id, mid)| (*id, mid.as_str())),
        };
        *next = next.wrapping_add(1);
        Some(header.write(&[sequence.to_be_bytes().as_slice(), original.payload()].concat()))
    }
}

/// Encoding names are case-insensitive (RFC 8866 6.6).
pub(crate) fn is_format(media: &Media, format: u8, codec: Codec) -> bool {
    let rtpmap = media.rtpmaps.get(&format).map(String::as_str);
    rtpmap.map_or(codec.static_payload_type() == Some(format), |name| {
        name.eq_ignore_ascii_case(codec.rtpmap()) || name.eq_ignore_ascii_case(&format!("{}/1", codec.rtpmap()))
    })
}

pub(crate) const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// Packets that can be sent again: four seconds of 2 Mb/s.
const HISTORY_MAX: usize = 1024;

const REPORT_INTERVAL: Duration = Duration::from_secs(1);
