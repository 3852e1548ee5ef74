//! What each packet needs of the stream that it leaves by, in one cache line.
//!
//! Which track is heard and since when, and by how much its numbers are shifted. Packets go in, outgoing numbers come
//! out. Invariant: as long as the track stays, an outgoing sequence number is a function of the incoming one; the next
//! track starts beyond all that were used. It knows no codecs and seals nothing.

use std::num::NonZeroU8;

use tidewire_core::count::Discard;
use tidewire_core::rebuild::Fields;
use tidewire_core::ring::Stored;
use tidewire_core::rtp;
use tidewire_core::time::Instant;

use super::stream::Numbered;
use crate::upstream::TrackKey;

#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Course {
    pub(super) heard: Option<TrackKey>,
    pub(super) epoch: u32,
    pub(super) ssrc: u32,
    pub(super) timestamp_offset: u32,
    /// The first incoming sequence number that is forwarded.
    first: u64,
    /// From incoming to outgoing sequence numbers, wrapping.
    shift: u64,
    /// The first outgoing sequence number that was never used.
    next: u64,
    last_at: Instant,
    last_timestamp: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
    /// Of the packet before.
    pub(super) format: Mapped,
    pub(super) stage: Stage,
}

const _: () = assert!(size_of::<Course>() == 64, "a course is one cache line");

/// A payload type of the publisher, and what it becomes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mapped {
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) rtx: Option<NonZeroU8>,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was ever sent.
    New,
    /// What was sent was of another track: a start has to join on to it.
    Between,
    Running,
}

impl Course {
    pub(super) fn new(ssrc: u32, next: u64) -> Self {
        Self {
            heard: None,
            epoch: 0,
            ssrc,
            timestamp_offset: 0,
            first: 0,
            shift: 0,
            next,
            last_at: Instant::ORIGIN,
            last_timestamp: 0,
            packets: 0,
            octets: 0,
            format: Mapped::default(),
            stage: Stage::New,
        }
    }

    /// From now on hears this stream of this track, or nothing.
    pub(super) fn turn_to(&mut self, heard: Option<TrackKey>, epoch: u32) {
        (self.heard, self.epoch) = (heard, epoch);
        if self.stage == Stage::Running {
            self.stage = Stage::Between;
        }
    }

    /// Whether the packet goes on with what the one before it was part of.
    #[inline]
    pub(super) fn is_under_way(&self, epoch: u32, packet: &Stored<'_>) -> bool {
        self.stage == Stage::Running && self.epoch == epoch && self.format.from == packet.meta.payload_type
    }

    /// Starts with this packet. `clock_rate` is that of the packet sent last.
    pub(super) fn start(&mut self, packet: &Stored<'_>, now: Instant, clock_rate: u32) {
        self.timestamp_offset = match self.stage {
            Stage::New => 0,
            Stage::Between | Stage::Running => self.continued(now, clock_rate).wrapping_sub(packet.meta.timestamp),
        };
        self.first = packet.sequence;
        self.shift = self.next.wrapping_sub(packet.sequence);
        self.stage = Stage::Running;
    }

    /// Whether something before the packet was sent to no viewer, and this viewer's numbers do not know it yet.
    #[inline]
    pub(super) const fn is_broken(&self, resumed_at: u64, packet: &Stored<'_>) -> bool {
        self.first < resumed_at && packet.sequence >= resumed_at
    }

    /// Goes on with this packet as with the next one, so that nobody asks for what lies before it. Timestamps stay as they are: to
    /// the viewer it was a silence.
    #[cold]
    pub(super) fn close_over(&mut self, packet: &Stored<'_>) {
        self.first = packet.sequence;
        self.shift = self.next.wrapping_sub(packet.sequence);
    }

    /// The numbers of a packet of the present track.
    #[inline]
    pub(super) fn number(&self, packet: &Stored<'_>, format: Mapped) -> Result<Numbered, Discard> {
        if packet.sequence < self.first || self.stage != Stage::Running {
            return Err(Discard::BeforeStart);
        }
        let sequence = packet.sequence.wrapping_add(self.shift);
        let fields = Fields {
            marker: packet.meta.marker,
            payload_type: format.to,
            sequence: sequence as u16,
            timestamp: packet.meta.timestamp.wrapping_add(self.timestamp_offset),
            ssrc: self.ssrc,
            padded: packet.is_padded(),
        };
        Ok(Numbered { sequence, fields, rtx_payload_type: format.rtx.map(NonZeroU8::get) })
    }

    /// The packet was sent.
    #[inline]
    pub(super) fn note(&mut self, numbered: &Numbered, packet: &Stored<'_>, now: Instant) {
        self.next = self.next.max(numbered.sequence + 1);
        self.last_at = now;
        self.last_timestamp = numbered.fields.timestamp;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
    }

    /// The incoming sequence number behind an outgoing one of the present track.
    pub(super) fn incoming(&self, outgoing: u16) -> Option<u64> {
        let newest = self.next.checked_sub(1).filter(|_| self.stage == Stage::Running)?;
        let sequence = rtp::extend_sequence(newest, outgoing);
        let incoming = sequence.wrapping_sub(self.shift);
        (sequence <= newest && sequence >= self.first.wrapping_add(self.shift)).then_some(incoming)
    }

    /// The timestamp with which another source goes on: as much later as time has passed, by one tick at least.
    fn continued(&self, now: Instant, clock_rate: u32) -> u32 {
        let ticks = now.since(self.last_at).as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        self.last_timestamp.wrapping_add((ticks as u32).max(1))
    }
}
