//! One outgoing RTP stream: its SSRC towards the viewer, and how the publisher's numbers become its own.
//!
//! What every packet needs lies in front, in the `Course`; what is asked for seldom lies behind it. A stream hears one
//! track at a time, from a packet at which a decoder can begin; between two tracks it keeps its numbers.

use std::num::NonZeroU8;
use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::count::Discard;
use tidewire_core::machine::Egress;
use tidewire_core::random::Seeded;
use tidewire_core::rebuild::{Fields, Form, HEADER_LEN_MAX};
use tidewire_core::ring::Stored;
use tidewire_core::rtcp::{Report, SenderInfo};
use tidewire_core::time::{Instant, Ntp};

use super::Way;
use super::course::{Course, Mapped, Stage};
use super::recent::Recent;
use crate::command::{Carried, PublicationId};
use crate::upstream::{SenderReport, Track, TrackKey};

/// First sequence numbers stay below this, so that no early loss makes a receiver guess the rollover wrong (RFC 3711 3.3.1).
const FIRST_SEQUENCE_MAX: u64 = 1 << 15;

/// Formats of a track that a viewer can be sent.
const FORMATS_MAPPED_MAX: usize = 16;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stream {
    pub(super) course: Course,
    form: Form,
    pub(super) kind: Kind,
    pub(super) rtx_ssrc: Option<u32>,
    /// Next sequence number of the retransmission stream, extended.
    pub(super) rtx_next: u64,
    /// The track's formats that this viewer takes, with their clock rates.
    formats: Vec<(Mapped, u32)>,
    /// Of the packet sent last.
    clock_rate: u32,
    reported: Option<(u32, Instant)>,
    pub(super) carried: Carried,
    pub(super) recent: Recent,
}

/// A packet under this stream's numbers.
pub(super) struct Numbered {
    pub(super) sequence: u64,
    pub(super) fields: Fields,
    pub(super) rtx_payload_type: Option<u8>,
}

/// A packet that was sent: how long it is, and whether it was the first of its track.
pub(super) struct Sent {
    pub(super) len: usize,
    pub(super) started: bool,
}

impl Stream {
    /// `None` for a section without an SSRC: such a one sends nothing.
    pub(super) fn new(carried: Carried, random: &mut Seeded) -> Option<Self> {
        let media = &carried.media;
        let source = media.sources.first()?;
        Some(Self {
            course: Course::new(source.primary, random.below(FIRST_SEQUENCE_MAX)),
            form: Form::new(&media.extensions, &media.mid),
            kind: media.kind,
            rtx_ssrc: source.rtx,
            rtx_next: random.below(FIRST_SEQUENCE_MAX),
            formats: Vec::new(),
            clock_rate: 0,
            reported: None,
            carried,
            recent: Recent::default(),
        })
    }

    pub(super) fn bind(&mut self, key: TrackKey, track: &Track) {
        let mapped = track.formats.iter().filter_map(|from| {
            let to = self.carried.media.format_for(&from.spec)?;
            let rtx = to.rtx.and_then(NonZeroU8::new);
            Some((Mapped { from: from.payload_type, to: to.payload_type, rtx }, to.spec.clock_rate))
        });
        self.formats = mapped.take(FORMATS_MAPPED_MAX).collect();
        self.course.turn_to(Some(key), track.epoch);
    }

    #[inline]
    pub(super) fn expect<E: Egress>(&self, egress: &E) {
        egress.expect(&self.course);
        egress.expect(&self.form);
    }

    pub(super) fn unbind(&mut self) {
        self.course.turn_to(None, 0);
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.course.ssrc
    }

    pub(crate) fn publication(&self) -> PublicationId {
        self.carried.publication
    }

    /// The track that is heard: one of whoever publishes at present.
    pub(super) fn heard(&self) -> Option<TrackKey> {
        self.course.heard
    }

    /// The track whose key frame is waited for, if this stream waits.
    pub(super) fn starving(&self) -> Option<TrackKey> {
        let waits = self.kind == Kind::Video && self.course.stage != Stage::Running;
        self.heard().filter(|_| waits)
    }

    /// Seals a packet for the viewer. Only the first packet of a track, and of a codec, costs more than a few comparisons.
    #[inline]
    pub(super) fn forward<E: Egress>(
        &mut self,
        epoch: u32,
        resumed_at: u64,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<Sent, Discard> {
        if self.course.is_broken(resumed_at, packet) {
            self.course.close_over(packet);
        }
        let started = !self.course.is_under_way(epoch, packet) && self.begin(epoch, packet, way.now)?;
        let numbered = self.course.number(packet, self.course.format)?;
        let len = self.seal(&numbered, packet, way)?;
        self.course.note(&numbered, packet, way.now);
        Ok(Sent { len, started })
    }

    /// This stream's numbers for a packet that it has forwarded.
    pub(super) fn number(&self, packet: &Stored<'_>) -> Result<Numbered, Discard> {
        let (format, _) = self.mapped(packet.meta.payload_type)?;
        self.course.number(packet, format)
    }

    /// Seals a packet under its first numbers: the same bytes each time, as long as it hears the same track.
    #[inline]
    pub(super) fn seal<E: Egress>(
        &self,
        numbered: &Numbered,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<usize, Discard> {
        let tail_len = packet.body.len() + way.outbound.rtp_overhead();
        let out = way.egress.reserve(&way.path, HEADER_LEN_MAX + tail_len).ok_or(Discard::EgressFull)?;
        let header_len = self.write_header(&numbered.fields, packet, out)?;
        let out = out.get_mut(..header_len + tail_len).ok_or(Discard::TooLarge)?;
        let len = way.outbound.seal_rtp(numbered.sequence, header_len, packet.body, out)?;
        way.egress.commit(len);
        Ok(len)
    }

    /// Writes a packet's header with this viewer's extension ids; returns its length.
    #[inline]
    pub(super) fn write_header(&self, fields: &Fields, packet: &Stored<'_>, out: &mut [u8]) -> Result<usize, Discard> {
        self.form.write(fields, packet.extensions, out).ok_or(Discard::TooLarge)
    }

    /// The incoming sequence number behind an outgoing one of the present track.
    pub(super) fn incoming(&self, outgoing: u16) -> Option<u64> {
        self.course.incoming(outgoing)
    }

    /// The publisher's report in this stream's numbers. Its NTP time stays, since that clock is what audio and video share.
    pub(super) fn translate(&mut self, now: Instant, report: &SenderReport) -> Option<SenderInfo> {
        if self.course.stage != Stage::Running {
            return None;
        }
        let ntp = report.info.ntp;
        self.reported = Some((ntp.middle(), now));
        let timestamp = report.info.timestamp.wrapping_add(self.course.timestamp_offset);
        Some(SenderInfo { ntp: Ntp(ntp.0), timestamp, packets: self.course.packets, octets: self.course.octets })
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

    /// Takes up a packet's codec, and its track if that has not begun: video at a key frame, audio at once. Says whether
    /// the track began with it.
    #[cold]
    fn begin(&mut self, epoch: u32, packet: &Stored<'_>, now: Instant) -> Result<bool, Discard> {
        self.course.heard.ok_or(Discard::BeforeStart)?;
        if self.course.epoch != epoch {
            self.course.turn_to(self.course.heard, epoch);
        }
        let (format, clock_rate) = self.mapped(packet.meta.payload_type)?;
        let starts = self.course.stage != Stage::Running;
        if starts {
            if self.kind == Kind::Video && !packet.meta.key_frame {
                return Err(Discard::AwaitingKeyFrame);
            }
            self.course.start(packet, now, self.clock_rate);
        }
        self.course.format = format;
        self.clock_rate = clock_rate;
        Ok(starts)
    }

    fn mapped(&self, payload_type: u8) -> Result<(Mapped, u32), Discard> {
        let mapped = self.formats.iter().find(|(mapped, _)| mapped.from == payload_type);
        mapped.copied().ok_or(Discard::CodecNotNegotiated)
    }
}
