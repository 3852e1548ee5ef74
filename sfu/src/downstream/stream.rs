//! One outgoing RTP stream: its SSRC towards the viewer, and how the publisher's numbers become its own.

use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::codec::Kind;
use tidewire_core::count::Discard;
use tidewire_core::machine::Egress;
use tidewire_core::negotiate::Media;
use tidewire_core::random::Seeded;
use tidewire_core::rebuild::{self, Fields, HEADER_LEN_MAX};
use tidewire_core::ring::Stored;
use tidewire_core::rtcp::{Report, SenderInfo};
use tidewire_core::time::{Instant, Ntp};

use super::Way;
use super::recent::Recent;
use crate::upstream::{SenderReport, Track};

/// First sequence numbers stay below this, so that no early loss makes a receiver guess the rollover wrong (RFC 3711 3.3.1).
const FIRST_SEQUENCE_MAX: u64 = 1 << 15;

/// Formats of a track that a viewer can be sent.
const FORMATS_MAPPED_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) kind: Kind,
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) recent: Recent,
    /// Next sequence number of the retransmission stream, extended.
    pub(super) rtx_next: u64,
    media: Media,
    binding: Option<Binding>,
    /// The first extended sequence number that was never used.
    next: u64,
    last: Option<LastSent>,
    packets: u32,
    octets: u32,
    reported: Option<(u32, Instant)>,
}

/// What a stream hears at present.
#[derive(Debug)]
struct Binding {
    upstream: u32,
    track: u8,
    epoch: u32,
    formats: ArrayVec<Mapped, FORMATS_MAPPED_MAX>,
    start: Option<Start>,
}

/// A payload type of the publisher, and what it becomes.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    from: u8,
    to: u8,
    rtx: Option<u8>,
    clock_rate: u32,
}

/// From where on, and by how much, numbers are shifted.
#[derive(Clone, Copy, Debug)]
struct Start {
    incoming: u64,
    outgoing: u64,
    timestamp_offset: u32,
}

#[derive(Clone, Copy, Debug)]
struct LastSent {
    timestamp: u32,
    at: Instant,
    clock_rate: u32,
}

/// A packet under this stream's numbers.
pub(super) struct Numbered {
    pub(super) sequence: u64,
    pub(super) fields: Fields,
    pub(super) rtx_payload_type: Option<u8>,
}

impl Stream {
    /// `None` for a section without an SSRC: such a one sends nothing.
    pub(super) fn new(media: &Media, random: &mut Seeded) -> Option<Self> {
        let source = media.sources.first()?;
        Some(Self {
            kind: media.kind,
            ssrc: source.primary,
            rtx_ssrc: source.rtx,
            recent: Recent::default(),
            rtx_next: random.below(FIRST_SEQUENCE_MAX),
            media: media.clone(),
            binding: None,
            next: random.below(FIRST_SEQUENCE_MAX),
            last: None,
            packets: 0,
            octets: 0,
            reported: None,
        })
    }

    pub(super) fn bind(&mut self, upstream: u32, track: u8, media: &Track) {
        let mapped = media.formats.iter().filter_map(|from| {
            let to = self.media.format_for(&from.spec)?;
            Some(Mapped { from: from.payload_type, to: to.payload_type, rtx: to.rtx, clock_rate: to.spec.clock_rate })
        });
        let formats = mapped.take(FORMATS_MAPPED_MAX).collect();
        self.binding = Some(Binding { upstream, track, epoch: media.epoch, formats, start: None });
    }

    pub(super) fn unbind(&mut self) {
        self.binding = None;
    }

    pub(super) fn hears(&self, upstream: u32, track: u8) -> bool {
        self.binding.as_ref().is_some_and(|binding| binding.upstream == upstream && binding.track == track)
    }

    pub(super) fn track(&self) -> Option<u8> {
        self.binding.as_ref().map(|binding| binding.track)
    }

    /// The track whose key frame is waited for, if this stream waits.
    pub(super) fn starving(&self) -> Option<u8> {
        let binding = self.binding.as_ref()?;
        (self.kind == Kind::Video && binding.start.is_none()).then_some(binding.track)
    }

    /// Seals a packet for the viewer; returns its length and whether it was the first of its binding.
    pub(super) fn forward<E: Egress>(
        &mut self,
        epoch: u32,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<(usize, bool), Discard> {
        let started = self.start(epoch, packet, way.now)?;
        let numbered = self.number(packet)?;
        let len = self.seal(&numbered, packet, way)?;
        self.next = self.next.max(numbered.sequence + 1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        Ok((len, started))
    }

    /// This stream's numbers for a packet of its binding.
    pub(super) fn number(&self, packet: &Stored<'_>) -> Result<Numbered, Discard> {
        let (mapped, start) = self.mapped(packet)?;
        let beyond = packet.sequence.checked_sub(start.incoming).ok_or(Discard::BeforeStart)?;
        let sequence = start.outgoing + beyond;
        let fields = Fields {
            marker: packet.meta.marker,
            payload_type: mapped.to,
            sequence: sequence as u16,
            timestamp: packet.meta.timestamp.wrapping_add(start.timestamp_offset),
            ssrc: self.ssrc,
            padded: packet.payload.is_empty(),
        };
        Ok(Numbered { sequence, fields, rtx_payload_type: mapped.rtx })
    }

    /// Seals a packet under its first numbers: the same bytes each time, as long as the binding lasts.
    pub(super) fn seal<E: Egress>(
        &self,
        numbered: &Numbered,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<usize, Discard> {
        // A packet that was padding alone keeps its place in the sequence as one byte of padding (RFC 3550 5.1).
        let payload: &[u8] = if numbered.fields.padded { &[1] } else { packet.payload };
        let overhead = way.outbound.rtp_overhead();
        let room = HEADER_LEN_MAX + payload.len() + overhead;
        let out = way.egress.reserve(&way.path, room).ok_or(Discard::EgressFull)?;
        let header_len = self.write_header(&numbered.fields, packet, out)?;
        let out = out.get_mut(..header_len + payload.len() + overhead).ok_or(Discard::TooLarge)?;
        let len = way.outbound.seal_rtp(numbered.sequence, header_len, payload, out)?;
        way.egress.commit(len);
        Ok(len)
    }

    /// Writes a packet's header with this viewer's extension ids; returns its length.
    pub(super) fn write_header(&self, fields: &Fields, packet: &Stored<'_>, out: &mut [u8]) -> Result<usize, Discard> {
        rebuild::write(fields, packet.extensions, &self.media.extensions, &self.media.mid, out).ok_or(Discard::TooLarge)
    }

    /// The incoming sequence number behind an outgoing one of the present binding.
    pub(super) fn incoming(&self, outgoing: u16) -> Option<u64> {
        let start = self.binding.as_ref()?.start?;
        let newest = self.next.checked_sub(1)?;
        let sequence = tidewire_core::rtp::extend_sequence(newest, outgoing);
        let beyond = sequence.checked_sub(start.outgoing)?;
        (sequence <= newest).then_some(start.incoming + beyond)
    }

    /// The publisher's report in this stream's numbers. Its NTP time stays, since that clock is what audio and video share.
    pub(super) fn translate(&mut self, now: Instant, report: &SenderReport) -> Option<SenderInfo> {
        let start = self.binding.as_ref()?.start?;
        let ntp = report.info.ntp;
        self.reported = Some((ntp.middle(), now));
        let timestamp = report.info.timestamp.wrapping_add(start.timestamp_offset);
        Some(SenderInfo { ntp: Ntp(ntp.0), timestamp, packets: self.packets, octets: self.octets })
    }

    /// RFC 3550 6.4.1: the round trip is what passed since the report, less what the viewer held it for.
    pub(super) fn round_trip(&self, now: Instant, report: &Report) -> Option<Duration> {
        let (middle, sent) = self.reported?;
        if report.last_report != middle {
            return None;
        }
        let held = Duration::from_nanos((u64::from(report.delay) * 1_000_000_000) >> 16);
        now.since(sent).checked_sub(held)
    }

    fn mapped(&self, packet: &Stored<'_>) -> Result<(Mapped, Start), Discard> {
        let binding = self.binding.as_ref().ok_or(Discard::BeforeStart)?;
        let start = binding.start.ok_or(Discard::AwaitingKeyFrame)?;
        Ok((binding.mapped(packet.meta.payload_type)?, start))
    }

    /// Starts the binding if it has not: video at a key frame, audio at once. Says whether it did.
    fn start(&mut self, epoch: u32, packet: &Stored<'_>, now: Instant) -> Result<bool, Discard> {
        let binding = self.binding.as_mut().ok_or(Discard::BeforeStart)?;
        if binding.epoch != epoch {
            binding.epoch = epoch;
            binding.start = None;
        }
        let mapped = binding.mapped(packet.meta.payload_type)?;
        let starts = binding.start.is_none();
        if starts {
            if self.kind == Kind::Video && !packet.meta.key_frame {
                return Err(Discard::AwaitingKeyFrame);
            }
            let timestamp_offset = self.last.map_or(0, |last| last.continued(now).wrapping_sub(packet.meta.timestamp));
            binding.start = Some(Start { incoming: packet.sequence, outgoing: self.next, timestamp_offset });
        }
        let offset = binding.start.map_or(0, |start| start.timestamp_offset);
        let timestamp = packet.meta.timestamp.wrapping_add(offset);
        self.last = Some(LastSent { timestamp, at: now, clock_rate: mapped.clock_rate });
        Ok(starts)
    }
}

impl Binding {
    fn mapped(&self, payload_type: u8) -> Result<Mapped, Discard> {
        let mapped = self.formats.iter().find(|mapped| mapped.from == payload_type);
        mapped.copied().ok_or(Discard::CodecNotNegotiated)
    }
}

impl LastSent {
    /// The timestamp with which another source goes on: as much later as time has passed, by one tick at least.
    fn continued(&self, now: Instant) -> u32 {
        let ticks = now.since(self.at).as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        self.timestamp.wrapping_add((ticks as u32).max(1))
    }
}
