//! One outgoing RTP stream: its SSRC towards the viewer, and how the publisher's numbers become its own.
//!
//! What every packet needs lies in front, in the `Course`; what is asked for seldom lies behind it. A stream hears one
//! track at a time, from a packet at which a decoder can begin, and of it what is part of its target. Where it leaves packets
//! out, or turns, it keeps a `Trail`, and its numbers go on by one whatever it hears.

use std::num::NonZeroU8;
use std::time::Duration;

use tidewire_core::codec::{Codec, Kind, Targets};
use tidewire_core::count::Discard;
use tidewire_core::machine::Egress;
use tidewire_core::message::quality::LayerReason;
use tidewire_core::negotiate::{Format, Media};
use tidewire_core::random::Seeded;
use tidewire_core::rebuild::Form;
use tidewire_core::ring::Stored;
use tidewire_core::rtcp::{Report, SenderInfo};
use tidewire_core::rtp;
use tidewire_core::time::{Instant, Ntp};

use super::account::Reported;
use super::choice::{Aim, Choice};
use super::course::{Course, Mapped, Stage};
use super::layer::Told;
use super::recent::Recent;
use super::red::Redundancy;
use super::seal::Numbered;
use super::trail::{Leg, Trail};
use super::{Forwarded, Offered, Way};
use crate::command::{Carried, PublicationId};
use crate::upstream::{Section, SenderReport, TrackKey};

/// First sequence numbers stay below this, so that no early loss makes a receiver guess the rollover wrong (RFC 3711 3.3.1).
const FIRST_SEQUENCE_MAX: u64 = 1 << 15;

/// Formats of a track that a viewer can be sent.
const FORMATS_MAPPED_MAX: usize = 16;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stream {
    pub(super) course: Course,
    pub(super) form: Form,
    pub(super) kind: Kind,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) feedback: Reported,
    /// Next sequence number of the retransmission stream, extended.
    pub(super) rtx_next: u64,
    /// The present leg; none before the first packet of a publisher.
    pub(super) leg: Option<Leg>,
    /// Kept by streams that leave something out, and by those that have several encodings to turn to.
    pub(super) trail: Option<Box<Trail>>,
    /// What of the publisher's is sent here: its upstream and section.
    source: Option<Source>,
    pub(super) choice: Choice,
    /// Targets of the track that is heard by which the stream may climb to the one it is to have.
    pub(super) steps: Targets,
    /// The section's formats that this viewer takes.
    formats: Vec<Playable>,
    /// Of the packet sent last.
    pub(super) clock_rate: u32,
    reported: Option<(u32, Instant)>,
    /// The last sender report of the track that is heard, in this stream's timestamps.
    pub(super) clock: Option<(Ntp, u32)>,
    pub(super) told: Told,
    pub(super) carried: Carried,
    pub(super) recent: Recent,
}

/// An upstream and the index of a section of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) upstream: u32,
    pub(super) section: u8,
}

/// A format of the publisher that this viewer takes.
#[derive(Clone, Copy, Debug)]
struct Playable {
    mapped: Mapped,
    pub(super) clock_rate: u32,
    codec: Codec,
    redundancy: Redundancy,
}

/// A packet that was sent: how long it is, and what came of it beside.
pub(super) struct Sent {
    pub(super) len: usize,
    pub(super) how: Forwarded,
}

/// What became of a packet that was looked at twice.
enum Cared {
    Sent(Sent),
    /// It goes like any other now.
    Plain(Forwarded),
}

impl Stream {
    /// `None` for a section without an SSRC: such a one sends nothing.
    pub(super) fn new(carried: Carried, random: &mut Seeded) -> Option<Self> {
        let media = &carried.media;
        let source = media.sources.first()?;
        Some(Self {
            course: Course::new(source.primary, random.below(FIRST_SEQUENCE_MAX)),
            form: form(media, source.rtx),
            kind: media.kind,
            rtx_ssrc: source.rtx,
            feedback: Reported::default(),
            rtx_next: random.below(FIRST_SEQUENCE_MAX),
            leg: None,
            trail: None,
            source: None,
            choice: Choice { aim: None, reason: LayerReason::NotSent, wanted: None },
            steps: Targets::NONE,
            formats: Vec::new(),
            clock_rate: 0,
            reported: None,
            clock: None,
            told: Told::default(),
            carried,
            recent: Recent::default(),
        })
    }

    /// From now on sends what comes in this section; which of its tracks, a choice will say.
    pub(super) fn bind(&mut self, source: Source, section: &Section) {
        let mapped = section.formats.iter().filter_map(|from| {
            let to = self.carried.media.format_for(&from.spec)?;
            let rtx = to.rtx.and_then(NonZeroU8::new);
            let mapped = Mapped { from: from.payload_type, to: to.payload_type, rtx };
            let redundancy = Redundancy::between(&from.spec, &to.spec);
            Some(Playable { mapped, clock_rate: to.spec.clock_rate, codec: to.spec.codec, redundancy })
        });
        self.formats = mapped.take(FORMATS_MAPPED_MAX).collect();
        self.unbind();
        self.source = Some(source);
        if section.tracks().len() > 1 {
            self.trail.get_or_insert_default();
        }
    }

    /// Nobody publishes this any longer. What went before cannot be asked for: the ring is gone, and its slot may be another's.
    pub(super) fn unbind(&mut self) {
        (self.source, self.leg, self.clock) = (None, None, None);
        if let Some(trail) = &mut self.trail {
            trail.forget();
        }
        self.course.turn_to(None, 0);
    }

    /// Has fetched what sending begins with.
    #[inline]
    pub(crate) fn expect<E: Egress>(&self, egress: &E) {
        egress.expect(&self.course);
        egress.expect(&self.form);
        egress.expect(&self.trail);
    }

    /// What that leads to, once it is there.
    #[inline]
    pub(crate) fn expect_last<E: Egress>(&self, egress: &E) {
        if let Some(trail) = &self.trail {
            egress.expect(&**trail);
        }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.course.ssrc
    }

    pub(crate) fn publication(&self) -> PublicationId {
        self.carried.publication
    }

    pub(super) fn source(&self) -> Option<Source> {
        self.source
    }

    /// The track that is heard: one of whoever publishes at present.
    pub(super) fn heard(&self) -> Option<TrackKey> {
        self.course.heard
    }

    /// The tracks whose packets are looked at: the one that is heard and the one that is awaited.
    pub(super) fn followed(&self) -> impl Iterator<Item = TrackKey> + use<> {
        [self.course.heard, self.course.awaited].into_iter().flatten()
    }

    /// The track and target that the viewer has at present; none while it has nothing.
    pub(super) fn had(&self) -> Option<Aim> {
        let leg = self.leg.filter(|_| self.course.stage == Stage::Running && self.course.heard.is_some())?;
        Some(Aim { track: leg.track, target: leg.target, spatial: leg.spatial })
    }

    /// Whether the viewer has what was chosen for it.
    pub(super) fn has_its_choice(&self) -> bool {
        self.course.awaited.is_none() && self.course.wished == self.course.target
    }

    /// The tracks whose key frames are waited for, if any are.
    pub(super) fn starving(&self) -> impl Iterator<Item = TrackKey> + use<> {
        let waits = self.kind == Kind::Video && self.course.stage != Stage::Running;
        [self.heard().filter(|_| waits), self.course.awaited].into_iter().flatten()
    }

    /// Seals a packet for the viewer. An ordinary one costs no more than a few comparisons beside that.
    #[inline]
    pub(super) fn forward<E: Egress>(&mut self, offered: &Offered<'_>, way: &mut Way<'_, E>) -> Result<Sent, Discard> {
        let packet = &offered.stored;
        let mut how = Forwarded::Sent;
        if !self.course.is_under_way(offered.key, offered.epoch, packet) {
            match self.forward_with_care(offered, way)? {
                Cared::Sent(sent) => return Ok(sent),
                Cared::Plain(begun) => how = begun,
            }
        }
        let outgoing = self.course.outgoing(packet.sequence);
        let fields = self.course.fields(packet, outgoing);
        let len = self.seal_whole(outgoing, &fields, packet, way)?;
        self.course.note(outgoing, fields.timestamp, packet, way.now);
        Ok(Sent { len, how })
    }

    /// The same for a packet with which something begins or changes, before which others are missing, that is late, or that does
    /// not go as it is.
    fn forward_with_care<E: Egress>(&mut self, offered: &Offered<'_>, way: &mut Way<'_, E>) -> Result<Cared, Discard> {
        let packet = &offered.stored;
        let playable = self.playable(packet.meta.payload_type)?;
        let started = self.enter(offered, way.now)?;
        (self.course.format, self.clock_rate) = (playable.mapped, playable.clock_rate);
        self.course.is_plain = self.trail.is_none() && playable.redundancy.is_kept();
        if self.course.is_under_way(offered.key, offered.epoch, packet) {
            return Ok(Cared::Plain(if started { Forwarded::Started } else { Forwarded::Sent }));
        }
        if self.course.is_late(packet.sequence) {
            return self.forward_late(offered, way).map(Cared::Sent);
        }
        self.close_over_silence(offered);
        let turned = self.turn(packet);
        let is_stuck = self.is_stuck();
        if !packet.meta.reach.part_of.has(self.course.target) {
            self.leave_out(packet, way.now);
            return Err(if is_stuck { Discard::AwaitingKeyFrame } else { Discard::LayerDropped });
        }
        let leg = self.leg.ok_or(Discard::BeforeStart)?;
        let outgoing = self.course.outgoing(packet.sequence);
        let numbered = self.numbered(&leg, packet, outgoing, playable);
        let len = self.seal(&numbered, packet, way)?;
        self.course.note(outgoing, numbered.fields.timestamp, packet, way.now);
        if let Some(trail) = &mut self.trail {
            trail.note(&packet.meta, leg.shift);
        }
        let how = match (started, turned, is_stuck) {
            (true, ..) => Forwarded::Started,
            (_, true, _) => Forwarded::Turned,
            (.., true) => Forwarded::Stuck,
            _ => Forwarded::Sent,
        };
        Ok(Cared::Sent(Sent { len, how }))
    }

    /// A packet behind others goes under the number that was kept for it. If it is not for this viewer, padding goes in its
    /// place (RFC 3550 5.1), so that nobody waits for it.
    fn forward_late<E: Egress>(&mut self, offered: &Offered<'_>, way: &mut Way<'_, E>) -> Result<Sent, Discard> {
        let packet = &offered.stored;
        let found = self.outgoing(offered.key.track(), offered.epoch, packet.sequence);
        let (leg, outgoing) = found.ok_or(Discard::BeforeStart)?;
        let numbered = self.number(&leg, packet, outgoing)?;
        let len = self.seal(&numbered, packet, way)?;
        self.course.count(packet.payload.len());
        Ok(Sent { len, how: if numbered.is_filler { Forwarded::Filled } else { Forwarded::Sent } })
    }

    /// This stream's numbers for a packet on one of its legs.
    pub(super) fn number(&self, leg: &Leg, packet: &Stored<'_>, outgoing: u64) -> Result<Numbered, Discard> {
        Ok(self.numbered(leg, packet, outgoing, self.playable(packet.meta.payload_type)?))
    }

    fn numbered(&self, leg: &Leg, packet: &Stored<'_>, outgoing: u64, playable: Playable) -> Numbered {
        Numbered::new(leg, packet, outgoing, (self.ssrc(), playable.mapped, playable.codec, playable.redundancy))
    }

    /// The leg of a number that was used, with the number and the incoming one.
    pub(super) fn trace(&self, outgoing: u16) -> Option<(Leg, u64, u64)> {
        let present = self.leg.as_ref()?;
        let newest = self.course.next.checked_sub(1)?;
        let outgoing = Some(rtp::extend_sequence(newest, outgoing)).filter(|outgoing| *outgoing <= newest)?;
        let (leg, incoming) = match &self.trail {
            Some(trail) => trail.incoming(present, outgoing)?,
            None => (*present, present.from + outgoing.checked_sub(present.to)?),
        };
        Some((leg, outgoing, incoming))
    }

    /// The publisher's report in this stream's numbers. Its NTP time stays, since that clock is what audio and video share.
    pub(super) fn translate(&mut self, now: Instant, report: &SenderReport) -> Option<SenderInfo> {
        if self.course.stage != Stage::Running {
            return None;
        }
        let ntp = report.info.ntp;
        self.reported = Some((ntp.middle(), now));
        let timestamp = report.info.timestamp.wrapping_add(self.course.timestamp_offset);
        self.clock = Some((Ntp(ntp.0), timestamp));
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

    fn outgoing(&self, track: u8, epoch: u32, incoming: u64) -> Option<(Leg, u64)> {
        let present = self.leg.as_ref()?;
        match &self.trail {
            Some(trail) => trail.outgoing(present, track, epoch, incoming),
            None => {
                let is_on_it = present.is_of(track, epoch) && present.from <= incoming;
                is_on_it.then(|| (*present, self.course.outgoing(incoming)))
            }
        }
    }

    fn playable(&self, payload_type: u8) -> Result<Playable, Discard> {
        let playable = self.formats.iter().find(|one| one.mapped.from == payload_type);
        playable.copied().ok_or(Discard::CodecNotNegotiated)
    }
}

/// How a stream's packets are dressed. They are numbered on the transport only if each of them is repaired as RTX: the same
/// packet again would need the same number, for which another packet has been sent since.
fn form(media: &Media, rtx_ssrc: Option<u32>) -> Form {
    let has_rtx = |format: &Format| format.rtx.and_then(NonZeroU8::new).is_some();
    let is_reported = media.formats.iter().any(|format| format.feedback.transport_cc);
    if is_reported && rtx_ssrc.is_some() && media.formats.iter().all(has_rtx) {
        Form::numbered(&media.extensions, &media.mid)
    } else {
        Form::new(&media.extensions, &media.mid)
    }
}
