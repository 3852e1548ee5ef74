//! What each packet needs of the stream that it leaves by, in one cache line.
//!
//! Which track is heard and up to which target, which other track is waited for, and by how much numbers are shifted: the
//! present leg of the stream's trail, in the form in which a packet asks for it. Packets go in, outgoing numbers come out.
//! Invariant: the next leg starts beyond all numbers that were used or are kept. It knows no codecs and seals nothing.

use std::num::NonZeroU8;

use tidewire_core::rebuild::Fields;
use tidewire_core::ring::Stored;
use tidewire_core::time::Instant;

use super::trail::Leg;
use crate::upstream::{TOP, TrackKey};

#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Course {
    pub(super) heard: Option<TrackKey>,
    /// The track that is turned to with its next key frame; the one that is heard goes on until then.
    pub(super) awaited: Option<TrackKey>,
    pub(super) epoch: u32,
    pub(super) ssrc: u32,
    pub(super) timestamp_offset: u32,
    pub(super) last_timestamp: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
    /// From incoming to outgoing sequence numbers, wrapping.
    shift: u64,
    /// The outgoing number of the incoming packet after all that were seen: the first that is neither used nor kept.
    pub(super) next: u64,
    pub(super) last_at: Instant,
    /// Of the packet before.
    pub(super) format: Mapped,
    pub(super) stage: Stage,
    /// The target that the viewer has, and the one that it is to have.
    pub(super) target: u8,
    pub(super) wished: u8,
    /// The spatial layer whose frames end the viewer's pictures.
    pub(super) spatial: u8,
    /// Whether a packet in order needs nothing but new numbers in its header.
    pub(super) is_plain: bool,
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
    /// What was sent was of another track, or before a pause: a start has to join on to it.
    Between,
    Running,
}

impl Course {
    pub(super) fn new(ssrc: u32, next: u64) -> Self {
        Self {
            heard: None,
            awaited: None,
            epoch: 0,
            ssrc,
            timestamp_offset: 0,
            last_timestamp: 0,
            packets: 0,
            octets: 0,
            shift: 0,
            next,
            last_at: Instant::ORIGIN,
            format: Mapped::default(),
            stage: Stage::New,
            target: TOP,
            wished: TOP,
            spatial: 0,
            is_plain: true,
        }
    }

    /// From now on hears this stream of this track, or nothing.
    pub(super) fn turn_to(&mut self, heard: Option<TrackKey>, epoch: u32) {
        (self.heard, self.awaited, self.epoch) = (heard, None, epoch);
        if self.stage == Stage::Running {
            self.stage = Stage::Between;
        }
    }

    /// Whether the stream has to do with this track.
    #[inline]
    pub(super) fn follows(&self, key: TrackKey) -> bool {
        self.heard == Some(key) || self.awaited == Some(key)
    }

    /// Whether the packet is the next one of what the one before it was part of, and nothing else is to be done about it.
    #[inline]
    pub(super) fn is_under_way(&self, key: TrackKey, epoch: u32, packet: &Stored<'_>) -> bool {
        self.heard == Some(key)
            && self.stage == Stage::Running
            && self.epoch == epoch
            && self.format.from == packet.meta.payload_type
            && self.is_plain
            && self.wished == self.target
            && packet.meta.reach.part_of.has(self.target)
            && self.outgoing(packet.sequence) == self.next
    }

    /// The packet after all that were seen.
    pub(super) const fn expected(&self) -> u64 {
        self.next.wrapping_sub(self.shift)
    }

    /// Whether others that come after this packet were seen before it.
    #[inline]
    pub(super) const fn is_late(&self, incoming: u64) -> bool {
        self.outgoing(incoming).wrapping_sub(self.next).cast_signed() < 0
    }

    /// The number of an incoming packet of the present leg, if it is not late.
    #[inline]
    pub(super) const fn outgoing(&self, incoming: u64) -> u64 {
        incoming.wrapping_add(self.shift)
    }

    /// Goes by these numbers from now on.
    pub(super) fn set_out(&mut self, leg: &Leg) {
        self.shift = leg.to.wrapping_sub(leg.from);
        self.timestamp_offset = leg.timestamp_offset;
        (self.target, self.spatial) = (leg.target, leg.last_spatial());
    }

    /// The header of a packet of the present leg under this number.
    #[inline]
    pub(super) fn fields(&self, packet: &Stored<'_>, outgoing: u64) -> Fields {
        fields(packet, outgoing, self.ssrc, self.timestamp_offset, self.spatial, self.format)
    }

    /// A packet in order was sent.
    #[inline]
    pub(super) fn note(&mut self, outgoing: u64, timestamp: u32, packet: &Stored<'_>, now: Instant) {
        self.next = outgoing + 1;
        self.last_at = now;
        self.last_timestamp = timestamp;
        self.count(packet.payload.len());
    }

    /// Packets are missing before one of this time that was left out: they may still come, and be of nearly that time.
    pub(super) fn keep_time(&mut self, incoming: u32, now: Instant) {
        self.last_at = now;
        self.last_timestamp = incoming.wrapping_add(self.timestamp_offset);
    }

    #[inline]
    pub(super) fn count(&mut self, payload_len: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
    }

    /// The timestamp with which another source goes on: as much later as time has passed.
    pub(super) fn by_arrival(&self, now: Instant, clock_rate: u32) -> u32 {
        let ticks = now.since(self.last_at).as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        self.last_timestamp.wrapping_add(ticks as u32)
    }

    /// This timestamp, or the one after the last that was sent: it never stands still nor goes back.
    pub(super) const fn later(&self, timestamp: u32) -> u32 {
        let ahead = timestamp.wrapping_sub(self.last_timestamp).cast_signed();
        if ahead > 0 { timestamp } else { self.last_timestamp.wrapping_add(1) }
    }
}

/// The header of a packet: the same for the same packet on the same leg.
#[inline]
pub(super) fn fields(
    packet: &Stored<'_>,
    outgoing: u64,
    ssrc: u32,
    timestamp_offset: u32,
    spatial: u8,
    format: Mapped,
) -> Fields {
    let meta = &packet.meta;
    Fields {
        // With layers above left out, another frame is the last of the viewer's picture than of the publisher's.
        marker: meta.marker | (meta.frame_end & (meta.reach.spatial == spatial)),
        payload_type: format.to,
        sequence: outgoing as u16,
        timestamp: meta.timestamp.wrapping_add(timestamp_offset),
        ssrc,
        padded: packet.is_padded(),
    }
}
