//! Media towards the server: one publisher's tracks, from authenticated packets to entries in their rings.
//!
//! `accept` takes a decrypted packet and says what it became: which track, which extended sequence number. A packet is
//! accepted once, whether it came by itself or as a retransmission (RFC 4588). A section has a track, or with simulcast one
//! for each encoding. The upstream also says what its publisher must hear: losses, key frame wishes, reception reports; and
//! gathers what viewers want of it. It knows no viewers.

mod section;
mod sources;
mod track;
mod meter;
mod announced;
mod account;
mod key_frames;
mod reception;
mod demand;

use std::num::NonZeroU32;
use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::codec::{Kind, Target};
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::gaps::Arrival;
use tidewire_core::id::Label;
use tidewire_core::limits::ENCODINGS_MAX;
use tidewire_core::message::quality::EncodingDemand;
use tidewire_core::negotiate::Media;
use tidewire_core::rtcp::{Answers, Packet, Writer};
use tidewire_core::rtp::{self, Header};
use tidewire_core::time::{Instant, Ntp};

pub(crate) use self::demand::{Demand, NO_LIMIT};
pub(crate) use self::section::Section;
use self::sources::{Origin, Role, Sources};
use self::track::Taken;
pub(crate) use self::track::{Flow, SenderReport, TOP, Track};
use crate::command::{PublicationId, SessionId};
use crate::table::slots::Presence;
use crate::timers::Armed;

/// A track of an upstream, by the upstream's slot and the track's index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TrackKey(NonZeroU32);

impl TrackKey {
    /// `upstream` is below `CONNECTIONS_MAX`, so the key is never zero and never wraps.
    #[inline]
    pub(crate) const fn new(upstream: u32, track: u8) -> Self {
        Self(NonZeroU32::MIN.saturating_add(upstream << 8 | track as u32))
    }

    pub(crate) const fn upstream(self) -> u32 {
        (self.0.get() - 1) >> 8
    }

    pub(crate) const fn track(self) -> u8 {
        (self.0.get() - 1) as u8
    }

    /// The track's bit among 64, which it may share with others: enough to see that nothing is of interest.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        1 << ((self.upstream() * 2 + self.track() as u32) % u64::BITS)
    }
}

/// A packet that is in its track's ring and waits to be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) track: u8,
    /// Which of the track's successive streams it belongs to.
    pub(crate) epoch: u32,
    pub(crate) sequence: u64,
    pub(crate) kind: Kind,
    pub(crate) timestamp: u32,
    pub(crate) part: FramePart,
}

/// What a packet is to those that decode it. Says nothing about audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FramePart {
    /// The first packet of a key frame: with it, decoding can begin.
    KeyFrameStart,
    /// Another packet of the same frame.
    KeyFrame,
    /// Of a frame that builds on those before it.
    Dependent,
}

/// See the module's description. What every packet needs lies in front.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Upstream {
    presence: Presence,
    pub(crate) session: SessionId,
    pub(crate) sections: Vec<Section>,
    /// Those of the first section, those of the second, and so on.
    pub(crate) tracks: Vec<Track>,
    pub(crate) armed: Armed,
    /// Whether viewers have something new to choose from.
    changed: bool,
    /// The SSRC under which this server sends feedback.
    ssrc: u32,
    next_report: Instant,
    sources: Sources,
    pub(crate) publication: PublicationId,
    pub(crate) demand: Demand,
    /// The publisher's round trip, as it said last how long it held a reference time.
    pub(crate) round_trip: Option<Duration>,
    pub(crate) review: Review,
}

/// The look at who wants what.
#[derive(Debug, Default)]
pub(crate) struct Review {
    /// The next step.
    pub(crate) armed: Armed,
    /// How many viewers were asked.
    pub(crate) cursor: usize,
    /// How often one was begun anew since the last that was due.
    pub(crate) anew: u8,
}

impl Review {
    /// Whether one may begin before its time: not as often as a publisher may want that changes something with each packet.
    pub(crate) fn begin_anew(&mut self) -> bool {
        if self.anew == REVIEWS_ANEW_MAX {
            return false;
        }
        self.anew += 1;
        self.cursor = 0;
        true
    }
}

/// Between two that are due: twice for each encoding of a camera and a screen, which comes, and then says its size.
const REVIEWS_ANEW_MAX: u8 = 16;

impl Upstream {
    pub(crate) fn new(
        now: Instant,
        session: SessionId,
        publication: PublicationId,
        media: &[Media],
        ssrc: u32,
    ) -> Self {
        let mut upstream = Self {
            session,
            publication,
            presence: Presence::Here,
            sections: Vec::with_capacity(media.len()),
            tracks: Vec::with_capacity(media.len()),
            sources: Sources::default(),
            demand: Demand::new(0),
            changed: false,
            ssrc,
            next_report: now + track::REPORT_INTERVAL,
            round_trip: None,
            armed: None,
            review: Review::default(),
        };
        media.iter().for_each(|media| upstream.add(media));
        upstream.demand = Demand::new(upstream.tracks.len());
        upstream
    }

    /// Adds a section with its tracks. One that would bring more than a key can name is left out; there is none such among 128
    /// sections unless half of them are simulcast.
    fn add(&mut self, media: &Media) {
        let (at, first) = (self.sections.len() as u8, self.tracks.len() as u8);
        if self.tracks.len() + media.rids.len().max(1) > usize::from(u8::MAX) {
            return;
        }
        if media.rids.is_empty() {
            self.sources.announce(first, &media.sources);
            let primary = media.sources.first().map(|source| source.primary);
            self.tracks.push(Track::lone(at, media.kind, primary));
        }
        let encodings = media.rids.iter().enumerate().map(|(nth, rid)| Track::encoding(at, *rid, nth));
        self.tracks.extend(encodings);
        self.sections.push(Section::new(media, first));
    }

    pub(crate) fn track(&self, key: TrackKey) -> Option<&Track> {
        self.tracks.get(usize::from(key.track()))
    }

    /// A section's tracks, each with its index among all.
    pub(crate) fn tracks_of(&self, section: &Section) -> ArrayVec<(u8, &Track), ENCODINGS_MAX> {
        let indexed = (0..=u8::MAX).zip(&self.tracks).skip(section.tracks().start);
        indexed.take(section.tracks().len().min(ENCODINGS_MAX)).collect()
    }

    /// Whether there is anything to choose in a section: encodings, or targets of one.
    pub(crate) fn is_layered(&self, section: &Section) -> bool {
        let tracks = self.tracks.get(section.tracks()).unwrap_or_default();
        tracks.len() > 1 || tracks.iter().any(|track| track.targets().len() > 1)
    }

    /// Whether there is anything to choose in any section.
    pub(crate) fn has_layers(&self) -> bool {
        self.sections.iter().any(|section| self.is_layered(section))
    }

    /// Whether viewers have had something new to choose from since this was asked last.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed) && self.has_layers()
    }

    /// Has the lowest encoding of each video wanted that nobody wants. It costs little, and without it whoever comes would wait
    /// until the publisher has heard of it and its encoder has begun anew, a second or more.
    pub(crate) fn keep_lowest(&mut self) {
        let Self { sections, tracks, demand, .. } = self;
        let unwanted = |section: &&Section| section.kind == Kind::Video && !demand.is_any_wanted(section.tracks());
        let lowest: ArrayVec<u8, SECTIONS_KEPT_MAX> = sections
            .iter()
            .filter(unwanted)
            .filter_map(|section| lowest(section, tracks))
            .take(SECTIONS_KEPT_MAX)
            .collect();
        for track in lowest {
            demand.want(track, Target { spatial: 0, temporal: NO_LIMIT.temporal });
        }
    }

    /// The encodings of all videos as their publisher is to send them, if it has to be told.
    pub(crate) fn tell_demand(&mut self, now: Instant) -> Option<Vec<EncodingDemand>> {
        let shares = self.demand.tell(now)?;
        let videos = self.tracks.iter().zip(shares).filter(|(track, _)| track.kind == Kind::Video);
        Some(videos.map(|(track, share)| encoding_demand(track, *share)).collect())
    }

    /// Takes a decrypted packet. `index` is its SRTP index, the extended sequence number of its own stream.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        header: &Header,
        index: u64,
        packet: &[u8],
        tally: &mut Tally,
    ) -> Result<Accepted, Discard> {
        let origin = match self.sources.of(header.ssrc) {
            Some(origin) => origin,
            None => self.learn(now, header, packet)?,
        };
        let track = self.tracks.get_mut(usize::from(origin.track)).ok_or(Discard::UnknownSsrc)?;
        let section = self.sections.get(usize::from(track.section)).ok_or(Discard::UnknownSsrc)?;
        let taken = match origin.role {
            Role::Primary => track.take_primary(now, section, header, index, packet)?,
            Role::Repair => track.take_repair(now, section, header, packet)?,
        };
        tally.count(match origin.role {
            Role::Primary => Counter::RtpAccepted,
            Role::Repair => Counter::RtxAccepted,
        });
        if taken.arrival == Arrival::Jumped && track.kind == Kind::Video {
            track.key_frames.want(now);
        }
        let Taken { sequence, timestamp, part, .. } = taken;
        let accepted =
            Accepted { track: origin.track, epoch: track.epoch, sequence, kind: track.kind, timestamp, part };
        self.changed |= taken.changed;
        let siblings = section.tracks();
        if taken.starts_frame && siblings.len() > 1 {
            self.miss_siblings(now, usize::from(origin.track), siblings);
        }
        if taken.starts_frame && taken.arrival != Arrival::Filled {
            self.hear_allocation(now, origin.track, header, packet, tally);
        }
        Ok(accepted)
    }

    /// A frame of one encoding has begun: those that have fallen silent meanwhile are found here, and nowhere else.
    fn miss_siblings(&mut self, now: Instant, speaks: usize, siblings: std::ops::Range<usize>) {
        for (_, track) in
            self.tracks.iter_mut().enumerate().take(siblings.end).skip(siblings.start).filter(|(at, _)| *at != speaks)
        {
            self.changed |= track.miss(now);
        }
    }

    /// Reads what the publisher reports; returns the track whose sender report is new.
    pub(crate) fn read_rtcp(&mut self, packet: &Packet<'_>, now: Instant) -> Option<u8> {
        if let Packet::Times { answers, .. } = packet {
            self.round_trip = self.round_trip_of(now, answers.clone()).or(self.round_trip);
        }
        let Packet::SenderReport { ssrc, info, .. } = packet else { return None };
        let origin = self.sources.of(*ssrc).filter(|origin| origin.role == Role::Primary)?;
        let track = self.tracks.get_mut(usize::from(origin.track))?;
        track.report = Some(SenderReport { info: *info, arrival: now });
        Some(origin.track)
    }

    fn round_trip_of(&self, now: Instant, answers: Answers<'_>) -> Option<Duration> {
        let mut to_us = answers.filter(|held| held.ssrc == self.ssrc);
        let round_trip = to_us.find_map(|held| held.round_trip(Ntp::of(now)))?;
        Some(Duration::from_micros((u64::from(round_trip) * 1_000_000) >> 16))
    }

    /// A viewer of `track` cannot go on without a key frame.
    pub(crate) fn want_key_frame(&mut self, now: Instant, track: u8) {
        if let Some(track) = self.tracks.get_mut(usize::from(track)).filter(|track| track.kind == Kind::Video) {
            track.key_frames.want(now);
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        let of_tracks = self.tracks.iter().filter_map(Track::deadline).min();
        of_tracks.map_or(self.next_report, |soonest| soonest.min(self.next_report))
    }

    /// Writes everything that is due towards the publisher; nothing is written when nothing is.
    pub(crate) fn write_feedback(&mut self, now: Instant, writer: &mut Writer<'_>, cname: &str, tally: &mut Tally) {
        let reports_due = now >= self.next_report;
        let feedback_due = self.tracks.iter().any(|track| track.deadline().is_some_and(|at| at <= now));
        if !reports_due && !feedback_due {
            return;
        }
        // RFC 3550 6.1: a compound datagram begins with a report, even an empty one.
        let mut reports = ArrayVec::<_, 31>::new();
        if reports_due {
            self.next_report = now + track::REPORT_INTERVAL;
            reports.extend(self.tracks.iter_mut().filter_map(|track| track.reception_report(now)).take(31));
        }
        writer.receiver_report(self.ssrc, &reports);
        writer.canonical_name(self.ssrc, cname);
        if reports_due {
            writer.reference_time(self.ssrc, Ntp::of(now));
        }
        for track in &mut self.tracks {
            if let Some(section) = self.sections.get(usize::from(track.section)) {
                track.write_feedback(now, section, self.ssrc, writer, tally);
            }
        }
    }

    /// Finds out what an unannounced SSRC is: by its MID (RFC 8843 9.2), else by a payload type of one section alone; and
    /// among several encodings by its RID.
    fn learn(&mut self, now: Instant, header: &Header, packet: &[u8]) -> Result<Origin, Discard> {
        let named = self.sections.iter().find(|section| section.is_named_by(header, packet));
        let section =
            named.or_else(|| self.section_by_payload_type(header.payload_type)).ok_or(Discard::UnknownSsrc)?;
        let role = section.role_of(header.payload_type).ok_or(Discard::UnknownPayloadType)?;
        let at = section.track_of(role, header, packet).ok_or(Discard::UnknownSsrc)?;
        let track = self.tracks.get_mut(at).ok_or(Discard::UnknownSsrc)?;
        if self.sources.is_full() {
            return Err(Discard::TooManySsrcs);
        }
        // However often an encoding is named: while it speaks, nobody takes its place.
        if role == Role::Primary && !track.turn_to(now, header.ssrc) {
            return Err(Discard::UnknownSsrc);
        }
        let origin = Origin { track: at as u8, role };
        self.sources.add(header.ssrc, origin)?;
        Ok(origin)
    }

    fn section_by_payload_type(&self, payload_type: u8) -> Option<&Section> {
        let mut speaking = self.sections.iter().filter(|section| section.role_of(payload_type).is_some());
        speaking.next().filter(|_| speaking.next().is_none())
    }
}

/// Videos of one publisher whose lowest encoding is kept: a camera and a few screens.
const SECTIONS_KEPT_MAX: usize = 4;

/// The track with the smallest pictures; as long as sizes are not known, the first.
fn lowest(section: &Section, tracks: &[Track]) -> Option<u8> {
    let area = |at: &usize| tracks.get(*at)?.size().map(|(width, height)| u32::from(width) * u32::from(height));
    section.tracks().min_by_key(|at| area(at).unwrap_or(u32::MAX)).map(|at| at as u8)
}

/// A track as its publisher is to send it.
fn encoding_demand(track: &Track, share: Option<Target>) -> EncodingDemand {
    let limit = |layer: u8| (layer != u8::MAX).then_some(layer);
    EncodingDemand {
        encoding: track.rid.and_then(|rid| Label::new(&rid).ok()),
        active: share.is_some(),
        spatial: share.and_then(|layers| limit(layers.spatial)),
        temporal: share.and_then(|layers| limit(layers.temporal)),
    }
}

/// The original sequence number in front of a retransmitted payload (RFC 4588 4).
fn original_sequence(payload: &[u8], highest: u64) -> Result<(u64, &[u8]), Discard> {
    let (osn, rest) = payload.split_first_chunk::<2>().ok_or(Discard::RtxUseless)?;
    Ok((rtp::extend_sequence(highest, u16::from_be_bytes(*osn)), rest))
}
