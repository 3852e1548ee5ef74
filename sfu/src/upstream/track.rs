//! One media section of a publisher: its formats, its current stream and the ring that keeps its last packets.

use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::gaps::{Arrival, Gaps};
use tidewire_core::id::Mid;
use tidewire_core::limits::{AUDIO_RING, VIDEO_RING};
use tidewire_core::negotiate::{Extensions, Format, Media};
use tidewire_core::rebuild;
use tidewire_core::ring::{Meta, RetransmissionRing};
use tidewire_core::rtcp::{Report, SenderInfo, Writer};
use tidewire_core::rtp::Header;
use tidewire_core::time::Instant;

use super::key_frames::KeyFrames;
use super::reception::Reception;
use super::sources::Role;
use super::{FramePart, original_sequence};

/// Reports go out once a second: often enough for a sender that knows its path by nothing else.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A stream silent for this long may be succeeded by another SSRC of the same section.
const SUCCESSION_SILENCE: Duration = Duration::from_millis(500);

/// A publisher's sender report, and when it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderReport {
    pub(crate) info: SenderInfo,
    pub(crate) arrival: Instant,
}

/// A packet that was put into its track's ring.
pub(super) struct Taken {
    pub(super) sequence: u64,
    pub(super) arrival: Arrival,
    pub(super) timestamp: u32,
    pub(super) part: FramePart,
}

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) kind: Kind,
    pub(crate) mid: Mid,
    pub(crate) formats: Vec<Format>,
    pub(crate) extensions: Extensions,
    /// Counts the streams this track has carried: viewers start over with each.
    pub(crate) epoch: u32,
    pub(crate) ring: RetransmissionRing,
    /// Up to here packets have been in a round: whoever lacks an older one may have had it again already, as it was.
    pub(crate) levelled_up_to: u64,
    /// The packet with which it was heard again, after some that no viewer was sent: with it their numbers go on as if there had
    /// been none. 0 while there was no such break.
    pub(crate) resumed_at: u64,
    pub(crate) key_frames: KeyFrames,
    pub(crate) report: Option<SenderReport>,
    primary: Option<u32>,
    /// The timestamp of the last key frame, by which its other packets are known.
    key_frame_at: Option<u32>,
    last_arrival: Instant,
    gaps: Gaps,
    reception: Reception,
}

impl Track {
    pub(super) fn new(media: &Media) -> Self {
        Self {
            kind: media.kind,
            mid: media.mid,
            formats: media.formats.clone(),
            extensions: media.extensions.clone(),
            epoch: 0,
            ring: new_ring(media.kind),
            levelled_up_to: 0,
            resumed_at: 0,
            key_frames: KeyFrames::default(),
            report: None,
            primary: media.sources.first().map(|source| source.primary),
            key_frame_at: None,
            last_arrival: Instant::ORIGIN,
            gaps: Gaps::default(),
            reception: Reception::default(),
        }
    }

    pub(super) fn role_of(&self, payload_type: u8) -> Option<Role> {
        self.formats.iter().find_map(|format| {
            if format.payload_type == payload_type {
                Some(Role::Primary)
            } else {
                (format.rtx == Some(payload_type)).then_some(Role::Repair)
            }
        })
    }

    /// Lets `ssrc` be the track's stream, unless another one is speaking.
    pub(super) fn turn_to(&mut self, now: Instant, ssrc: u32) -> bool {
        if self.primary.is_some_and(|primary| primary != ssrc) {
            if now.since(self.last_arrival) < SUCCESSION_SILENCE {
                return false;
            }
            self.epoch += 1;
            self.ring = new_ring(self.kind);
            self.levelled_up_to = 0;
            self.resumed_at = 0;
            self.gaps = Gaps::default();
            self.reception = Reception::default();
            self.report = None;
            self.key_frame_at = None;
        }
        self.primary = Some(ssrc);
        true
    }

    pub(super) fn take_primary(
        &mut self,
        now: Instant,
        header: &Header,
        index: u64,
        packet: &[u8],
    ) -> Result<Taken, Discard> {
        if self.primary != Some(header.ssrc) && !self.turn_to(now, header.ssrc) {
            return Err(Discard::UnknownSsrc);
        }
        let format = self.formats.iter().position(|format| format.payload_type == header.payload_type);
        let format = format.ok_or(Discard::UnknownPayloadType)?;
        let payload = header.payload(packet)?;
        self.last_arrival = now;
        self.reception.record(now, index, header.timestamp, self.formats[format].spec.clock_rate);
        self.store(now, format, index, header, packet, payload)
    }

    pub(super) fn take_repair(&mut self, now: Instant, header: &Header, packet: &[u8]) -> Result<Taken, Discard> {
        let format = self.formats.iter().position(|format| format.rtx == Some(header.payload_type));
        let format = format.ok_or(Discard::UnknownPayloadType)?;
        let highest = self.gaps.highest().ok_or(Discard::RtxUseless)?;
        let (sequence, payload) = original_sequence(header.payload(packet)?, highest)?;
        if !self.gaps.lacks(sequence) {
            return Err(Discard::RtxUseless);
        }
        self.store(now, format, sequence, header, packet, payload)
    }

    pub(super) fn reception_report(&mut self, now: Instant) -> Option<Report> {
        let last = self.report.map(|report| (report.info.ntp.middle(), report.arrival));
        self.reception.report(now, self.primary?, last)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.gaps.deadline(), self.key_frames.deadline()].into_iter().flatten().min()
    }

    pub(super) fn write_feedback(&mut self, now: Instant, sender: u32, writer: &mut Writer<'_>, tally: &mut Tally) {
        let Some(media) = self.primary else { return };
        let lost = self.gaps.due(now);
        // Without NACK negotiated the list is still worked off, so that what is lost is counted as such.
        if !lost.is_empty() && self.formats.iter().any(|format| format.feedback.nack) {
            writer.nack(sender, media, &lost);
            tally.add(Counter::NacksSent, lost.len() as u64);
        }
        if let Some(sequence) = self.key_frames.ask(now) {
            tally.count(Counter::KeyFrameRequestsSent);
            if self.formats.iter().any(|format| format.feedback.pli) {
                writer.picture_loss(sender, media);
            } else {
                writer.full_intra(sender, media, sequence);
            }
        }
    }

    /// Puts a packet into the ring if it was not there before.
    fn store(
        &mut self,
        now: Instant,
        format: usize,
        sequence: u64,
        header: &Header,
        packet: &[u8],
        payload: &[u8],
    ) -> Result<Taken, Discard> {
        let arrival = self.gaps.record(now, sequence);
        match arrival {
            Arrival::New | Arrival::Jumped | Arrival::Filled => {}
            Arrival::Duplicate => return Err(Discard::Duplicate),
            Arrival::TooOld => return Err(Discard::TooOld),
        }
        let format = &self.formats[format];
        let key_frame = format.spec.codec.inspect(payload).key_frame;
        let meta =
            Meta { timestamp: header.timestamp, payload_type: format.payload_type, marker: header.marker, key_frame };
        let block = rebuild::collect(header, packet, &self.extensions);
        if !self.ring.insert(sequence, meta, &block, payload) {
            return Err(Discard::TooLarge);
        }
        if key_frame {
            self.key_frames.arrived();
            self.key_frame_at = Some(header.timestamp);
        }
        Ok(Taken { sequence, arrival, timestamp: header.timestamp, part: self.part_of(header.timestamp, key_frame) })
    }

    fn part_of(&self, timestamp: u32, starts_key_frame: bool) -> FramePart {
        match (starts_key_frame, self.key_frame_at == Some(timestamp)) {
            (true, _) => FramePart::KeyFrameStart,
            (false, true) => FramePart::KeyFrame,
            (false, false) => FramePart::Dependent,
        }
    }
}

fn new_ring(kind: Kind) -> RetransmissionRing {
    let (packets, bytes) = match kind {
        Kind::Audio => AUDIO_RING,
        Kind::Video => VIDEO_RING,
    };
    RetransmissionRing::new(packets, bytes)
}
