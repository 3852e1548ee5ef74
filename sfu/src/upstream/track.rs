//! One stream of a publisher: a media section's only one, or one of its simulcast encodings; with the ring that keeps its last
//! packets.
//!
//! Packets go in, each once; out comes what it is to viewers. The track knows what it owes (losses, key frames), whether it is
//! sent at present, which decode targets it has, their rates and the size of its pictures. It knows no viewers, and what its
//! payload types mean it is told by its section.

mod feedback;
mod flow;
mod unread;

use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::codec::{Codec, Inspection, Kind, Layering, Packet, Reach, TARGETS_MAX, Target, Targets};
use tidewire_core::count::Discard;
use tidewire_core::gaps::{Arrival, Gaps};
use tidewire_core::id::Rid;
use tidewire_core::limits::{AUDIO_RING, FURTHER_RING, VIDEO_RING};
use tidewire_core::negotiate::{Extension, Format};
use tidewire_core::rebuild;
use tidewire_core::ring::{Meta, RetransmissionRing};
use tidewire_core::rtcp::SenderInfo;
use tidewire_core::rtp::Header;
use tidewire_core::time::Instant;

pub(crate) use self::flow::Flow;
use super::account::Traffic;
use super::announced::Announced;
use super::key_frames::KeyFrames;
use super::meter::Meter;
use super::reception::Reception;
use super::section::Section;
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
    pub(super) starts_frame: bool,
    /// Whether there is something new for viewers to choose from.
    pub(super) changed: bool,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) kind: Kind,
    /// The index of its section.
    pub(crate) section: u8,
    /// Its name among the section's encodings, where there are several.
    pub(crate) rid: Option<Rid>,
    /// Counts the streams this track has carried: viewers start over with each.
    pub(crate) epoch: u32,
    pub(crate) ring: RetransmissionRing,
    /// The last packet of the stream before the present one.
    pub(crate) predecessor: Option<Meta>,
    /// Up to here packets have been in a round: whoever lacks an older one may have had it again already, as it was.
    pub(crate) levelled_up_to: u64,
    /// The packet with which it was heard again, after some that no viewer was sent; 0 while there was no such break.
    pub(crate) resumed_at: u64,
    pub(crate) key_frames: KeyFrames,
    pub(crate) report: Option<SenderReport>,
    /// Packets and bytes of its ring, whose memory is claimed when the first packet comes.
    ring_len: (usize, usize),
    primary: Option<u32>,
    /// The timestamp of the last key frame, by which its other packets are known.
    key_frame_at: Option<u32>,
    /// When its first packet came, until it is known whether a key frame has to be asked for.
    beginning: Option<Instant>,
    last_arrival: Instant,
    pub(super) gaps: Gaps,
    pub(super) reception: Reception,
    pub(super) traffic: Traffic,
    layering: Option<Layering>,
    targets: ArrayVec<Target, TARGETS_MAX>,
    meter: Meter,
    active: Targets,
    size: Option<(u16, u16)>,
    flow: Flow,
    /// Since when packets are awaited that were announced.
    expected_since: Instant,
    /// Frames of siblings since its own last packet.
    frames_missed: u8,
    /// Packets in a row whose dependency descriptor could not be read.
    unread: u16,
    announced: Announced,
}

impl Track {
    /// A section's only stream.
    pub(super) fn lone(section: u8, kind: Kind, primary: Option<u32>) -> Self {
        let ring_len = match kind {
            Kind::Audio => AUDIO_RING,
            Kind::Video => VIDEO_RING,
        };
        let track = Self::new(section, kind, ring_len);
        Self { primary, ring: RetransmissionRing::new(ring_len.0, ring_len.1), ..track }
    }

    /// One of several encodings: its ring is made when its first packet comes, which may be never.
    pub(super) fn encoding(section: u8, rid: Rid, at: usize) -> Self {
        let ring_len = if at == 0 { VIDEO_RING } else { FURTHER_RING };
        Self { rid: Some(rid), ..Self::new(section, Kind::Video, ring_len) }
    }

    fn new(section: u8, kind: Kind, ring_len: (usize, usize)) -> Self {
        Self {
            kind,
            section,
            rid: None,
            epoch: 0,
            ring: RetransmissionRing::empty(),
            predecessor: None,
            levelled_up_to: 0,
            resumed_at: 0,
            key_frames: KeyFrames::default(),
            report: None,
            ring_len,
            primary: None,
            key_frame_at: None,
            beginning: None,
            last_arrival: Instant::ORIGIN,
            gaps: Gaps::default(),
            reception: Reception::default(),
            traffic: Traffic::default(),
            layering: None,
            targets: ArrayVec::from_iter([Target::default()]),
            meter: Meter::default(),
            active: Targets::ALL,
            size: None,
            flow: Flow::Silent,
            expected_since: Instant::ORIGIN,
            frames_missed: 0,
            unread: 0,
            announced: Announced::default(),
        }
    }

    /// The decode targets that there are, one at least, in no order that could be relied on.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Bits per second of each target, as announced where nothing was measured yet; 0 where neither is known.
    pub(crate) fn rates_bps(&self) -> &[u32] {
        &self.meter.rates_bps()[..self.targets.len()]
    }

    /// The size of its largest pictures in pixels, as they said it last; before the first, as it is announced.
    pub(crate) fn size(&self) -> Option<(u16, u16)> {
        self.size.or_else(|| self.announced.size())
    }

    /// That of a spatial layer's pictures, where it is known.
    pub(crate) fn size_at(&self, spatial: u8) -> Option<(u16, u16)> {
        let announced = || self.announced.size_at(spatial).filter(|_| self.size.is_none());
        self.layering.as_ref().and_then(|layering| layering.size(spatial)).or_else(announced)
    }

    /// Lets `ssrc` be the track's stream, unless another one is speaking.
    pub(super) fn turn_to(&mut self, now: Instant, ssrc: u32) -> bool {
        if self.primary.is_some_and(|primary| primary != ssrc) {
            if now.since(self.last_arrival) < SUCCESSION_SILENCE {
                return false;
            }
            self.epoch += 1;
            self.close_account();
            let last = self.gaps.highest().and_then(|last| self.ring.get(last));
            self.predecessor = last.map(|last| last.meta);
            self.ring = RetransmissionRing::empty();
            self.levelled_up_to = 0;
            self.resumed_at = 0;
            self.gaps = Gaps::default();
            self.reception = Reception::default();
            self.report = None;
            self.key_frame_at = None;
            self.layering = None;
        }
        if self.primary != Some(ssrc) {
            self.beginning = Some(now).filter(|_| self.rid.is_some());
        }
        self.primary = Some(ssrc);
        true
    }

    pub(super) fn take_primary(
        &mut self,
        now: Instant,
        section: &Section,
        header: &Header,
        index: u64,
        packet: &[u8],
    ) -> Result<Taken, Discard> {
        if self.primary != Some(header.ssrc) && !self.turn_to(now, header.ssrc) {
            return Err(Discard::UnknownSsrc);
        }
        let format = section.formats.iter().find(|format| format.payload_type == header.payload_type);
        let format = format.ok_or(Discard::UnknownPayloadType)?;
        let payload = header.payload(packet)?;
        self.last_arrival = now;
        self.frames_missed = 0;
        self.traffic.packets += 1;
        self.traffic.bytes += payload.len() as u64;
        self.reception.record(now, index, header.timestamp, format.spec.clock_rate);
        self.ask_for_beginning(now);
        let taken = self.store(now, section, format, index, header, packet, payload)?;
        let returned = self.arrive(now);
        Ok(Taken { changed: taken.changed || returned, ..taken })
    }

    pub(super) fn take_repair(
        &mut self,
        now: Instant,
        section: &Section,
        header: &Header,
        packet: &[u8],
    ) -> Result<Taken, Discard> {
        let format = section.formats.iter().find(|format| format.rtx == Some(header.payload_type));
        let format = format.ok_or(Discard::UnknownPayloadType)?;
        let highest = self.gaps.highest().ok_or(Discard::RtxUseless)?;
        let (sequence, payload) = original_sequence(header.payload(packet)?, highest)?;
        if !self.gaps.lacks(sequence) {
            return Err(Discard::RtxUseless);
        }
        let taken = self.store(now, section, format, sequence, header, packet, payload)?;
        self.traffic.repaired += 1;
        Ok(taken)
    }

    /// Puts a packet into the ring if it was not there before.
    #[expect(clippy::too_many_arguments, reason = "a packet in its parts, as primary and repair have it")]
    fn store(
        &mut self,
        now: Instant,
        section: &Section,
        format: &Format,
        sequence: u64,
        header: &Header,
        packet: &[u8],
        payload: &[u8],
    ) -> Result<Taken, Discard> {
        let block = rebuild::collect(header, packet, &section.extensions);
        let descriptor = rebuild::element(&block, Extension::DependencyDescriptor);
        self.turn_to_codec(format.spec.codec);
        if self.awaits_structure(section, sequence, descriptor) {
            self.gaps.refuse(now, sequence);
            return Err(Discard::StructureMissing);
        }
        let arrival = self.gaps.record(now, sequence);
        match arrival {
            Arrival::New | Arrival::Jumped | Arrival::Filled => {}
            Arrival::Duplicate => return Err(Discard::Duplicate),
            Arrival::TooOld => return Err(Discard::TooOld),
        }
        let looked_at = Packet { sequence, marker: header.marker, payload, descriptor };
        let seen = self.layering.as_mut().map(|layering| layering.inspect(&looked_at)).unwrap_or_default();
        let changed = self.note_layers(now, &seen);
        let reach = self.open_upwards(seen.reach);
        self.meter.record(now, payload.len(), reach.part_of, self.targets.len());
        let meta = meta(header, format, &seen, reach);
        if self.ring.is_empty() {
            self.ring = RetransmissionRing::new(self.ring_len.0, self.ring_len.1);
        }
        if !self.ring.insert(sequence, meta, &block, payload) {
            return Err(Discard::TooLarge);
        }
        if seen.key_frame {
            self.key_frames.arrived();
            self.key_frame_at = Some(header.timestamp);
        }
        let part = self.part_of(header.timestamp, seen.key_frame);
        Ok(Taken { sequence, arrival, timestamp: header.timestamp, part, starts_frame: seen.frame_start, changed })
    }

    /// A publisher that takes up another codec begins with another machine.
    fn turn_to_codec(&mut self, codec: Codec) {
        if self.layering.as_ref().is_none_or(|layering| layering.codec() != codec) {
            self.layering = Some(Layering::new(codec));
        }
    }

    /// Takes note of sizes and targets. Returns whether there is something new to choose from.
    fn note_layers(&mut self, now: Instant, seen: &Inspection) -> bool {
        let Some(layering) = &self.layering else { return false };
        // The first packet of a layer that there is may be any packet of its frame: others come late.
        if !seen.frame_start && layering.targets().len() == self.targets.len() {
            return false;
        }
        let (known, active) = (layering.targets(), layering.active());
        let highest = known.iter().map(|target| target.spatial).max().unwrap_or(0);
        let size = seen.size.or_else(|| layering.size(highest)).or(self.size);
        let is_back = self.announced.is_contradicted(now, seen.reach.spatial);
        if known == &self.targets[..] && size == self.size && active == self.active {
            return is_back;
        }
        self.targets = known.iter().copied().take(TARGETS_MAX).collect();
        (self.size, self.active) = (size, active);
        self.expect_rates();
        true
    }

    /// Sets in which the highest target is have all bits that stand for none, so that a viewer of [`TOP`] has the highest,
    /// whichever that is.
    fn open_upwards(&self, reach: Reach) -> Reach {
        let Some(highest) = self.highest() else { return reach };
        let known = u32::MAX >> (TARGETS_MAX - self.targets.len());
        let open = |set: Targets| Targets(set.0 & known | if set.has(highest) { !known } else { 0 });
        Reach {
            part_of: open(reach.part_of),
            entry_to: open(reach.entry_to),
            decodable_in: open(reach.decodable_in),
            ..reach
        }
    }

    /// The index of the highest target.
    pub(crate) fn highest(&self) -> Option<u8> {
        (0..=u8::MAX).zip(&self.targets).max_by_key(|(_, target)| **target).map(|(at, _)| at)
    }

    fn part_of(&self, timestamp: u32, starts_key_frame: bool) -> FramePart {
        match (starts_key_frame, self.key_frame_at == Some(timestamp)) {
            (true, _) => FramePart::KeyFrameStart,
            (false, true) => FramePart::KeyFrame,
            (false, false) => FramePart::Dependent,
        }
    }
}

/// The target of whoever gets all that there is, also when there come to be more.
pub(crate) const TOP: u8 = TARGETS_MAX as u8 - 1;

const fn meta(header: &Header, format: &Format, seen: &Inspection, reach: Reach) -> Meta {
    Meta {
        timestamp: header.timestamp,
        payload_type: format.payload_type,
        marker: header.marker,
        key_frame: seen.key_frame,
        frame_start: seen.frame_start,
        frame_end: seen.frame_end,
        numbers: seen.numbers,
        reach,
    }
}

#[cfg(test)]
mod tests;
