//! Media towards the server: one publisher's tracks, from authenticated packets to entries in their rings.
//!
//! `accept` takes a decrypted packet and says what it became: which track, which extended sequence number. A packet is
//! accepted once, whether it came by itself or as a retransmission (RFC 4588). The upstream also says what its publisher
//! must hear: losses, key frame wishes, reception reports. It knows no viewers.

mod key_frames;
mod reception;
mod sources;
mod track;

use std::num::NonZeroU32;

use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::gaps::Arrival;
use tidewire_core::negotiate::{Extension, Media};
use tidewire_core::rtcp::{Packet, Writer};
use tidewire_core::rtp::{self, Header};
use tidewire_core::time::Instant;

use self::sources::{Origin, Role, Sources};
use self::track::Taken;
pub(crate) use self::track::{SenderReport, Track};
use crate::command::{PublicationId, SessionId};
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

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) session: SessionId,
    pub(crate) publication: PublicationId,
    pub(crate) tracks: Vec<Track>,
    sources: Sources,
    /// The SSRC under which this server sends feedback.
    ssrc: u32,
    next_report: Instant,
    pub(crate) armed: Armed,
}

impl Upstream {
    pub(crate) fn new(
        now: Instant,
        session: SessionId,
        publication: PublicationId,
        media: &[Media],
        ssrc: u32,
    ) -> Self {
        Self {
            session,
            publication,
            tracks: media.iter().map(Track::new).collect(),
            sources: Sources::announced(media),
            ssrc,
            next_report: now + track::REPORT_INTERVAL,
            armed: None,
        }
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
        let at = usize::from(origin.track);
        let track = self.tracks.get_mut(at).ok_or(Discard::UnknownSsrc)?;
        let taken = match origin.role {
            Role::Primary => track.take_primary(now, header, index, packet)?,
            Role::Repair => track.take_repair(now, header, packet)?,
        };
        tally.count(match origin.role {
            Role::Primary => Counter::RtpAccepted,
            Role::Repair => Counter::RtxAccepted,
        });
        if taken.arrival == Arrival::Jumped && track.kind == Kind::Video {
            track.key_frames.want(now);
        }
        let Taken { sequence, timestamp, part, .. } = taken;
        Ok(Accepted { track: origin.track, epoch: track.epoch, sequence, kind: track.kind, timestamp, part })
    }

    /// Reads what the publisher reports; returns the track whose sender report is new.
    pub(crate) fn read_rtcp(&mut self, packet: &Packet<'_>, now: Instant) -> Option<u8> {
        let Packet::SenderReport { ssrc, info, .. } = packet else { return None };
        let origin = self.sources.of(*ssrc).filter(|origin| origin.role == Role::Primary)?;
        let track = self.tracks.get_mut(usize::from(origin.track))?;
        track.report = Some(SenderReport { info: *info, arrival: now });
        Some(origin.track)
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
        let mut reports = arrayvec::ArrayVec::<_, 31>::new();
        if reports_due {
            self.next_report = now + track::REPORT_INTERVAL;
            reports.extend(self.tracks.iter_mut().filter_map(|track| track.reception_report(now)).take(31));
        }
        writer.receiver_report(self.ssrc, &reports);
        writer.canonical_name(self.ssrc, cname);
        for track in &mut self.tracks {
            track.write_feedback(now, self.ssrc, writer, tally);
        }
    }

    /// Finds out what an unannounced SSRC is: by its MID (RFC 8843 9.2), else by a payload type of one track alone.
    fn learn(&mut self, now: Instant, header: &Header, packet: &[u8]) -> Result<Origin, Discard> {
        let track = self.track_by_mid(header, packet).or_else(|| self.track_by_payload_type(header.payload_type));
        let at = track.ok_or(Discard::UnknownSsrc)?;
        let track = self.tracks.get_mut(at).ok_or(Discard::UnknownSsrc)?;
        let role = track.role_of(header.payload_type).ok_or(Discard::UnknownPayloadType)?;
        if role == Role::Primary && !track.turn_to(now, header.ssrc) {
            return Err(Discard::UnknownSsrc);
        }
        let origin = Origin { track: at as u8, role };
        self.sources.add(header.ssrc, origin)?;
        Ok(origin)
    }

    fn track_by_mid(&self, header: &Header, packet: &[u8]) -> Option<usize> {
        header.extensions(packet).find_map(|(id, data)| {
            let carries_mid = |track: &&Track| track.extensions.id(Extension::Mid) == Some(id);
            let named = |track: &Track| track.mid.as_bytes() == data;
            self.tracks.iter().find(carries_mid)?;
            self.tracks.iter().position(named)
        })
    }

    fn track_by_payload_type(&self, payload_type: u8) -> Option<usize> {
        let mut speaking = (0..self.tracks.len()).filter(|at| self.tracks[*at].role_of(payload_type).is_some());
        speaking.next().filter(|_| speaking.next().is_none())
    }
}

/// The original sequence number in front of a retransmitted payload (RFC 4588 4).
fn original_sequence(payload: &[u8], highest: u64) -> Result<(u64, &[u8]), Discard> {
    let (osn, rest) = payload.split_first_chunk::<2>().ok_or(Discard::RtxUseless)?;
    Ok((rtp::extend_sequence(highest, u16::from_be_bytes(*osn)), rest))
}
