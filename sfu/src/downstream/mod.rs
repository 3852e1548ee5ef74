//! Media towards one viewer: its streams, each bound to a track of whoever publishes at present.
//!
//! Packets come by reference from the publisher's ring; each is numbered for this viewer, sealed with its key straight
//! into the egress, and forgotten. Feedback of the viewer comes in, and goes out as repairs or as the wish for a key
//! frame. Invariant: an outgoing sequence number is a function of the incoming one for as long as a binding lasts, and
//! the next binding starts beyond it, so that no nonce is ever used for two contents.

mod stream;
mod course;
mod credit;
mod recent;
mod repair;

use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::count::Discard;
use tidewire_core::machine::{Egress, Path};
use tidewire_core::negotiate::{Agreement, Cname};
use tidewire_core::random::Seeded;
use tidewire_core::ring::Stored;
use tidewire_core::rtcp::{Report, Writer};
use tidewire_core::srtp::Outbound;
use tidewire_core::time::Instant;

use self::credit::Credit;
pub(crate) use self::stream::Stream;
use crate::command::{PublicationId, SessionId};
use crate::upstream::{SenderReport, TrackKey, Upstream};

/// Where a downstream's bytes go: whom they are sealed for, and by which way they leave.
pub(crate) struct Way<'a, E> {
    pub(crate) now: Instant,
    pub(crate) outbound: &'a mut Outbound,
    pub(crate) path: Path,
    pub(crate) egress: &'a mut E,
}

/// See the module's description.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Downstream {
    streams: Vec<Stream>,
    /// The bits of the tracks that are heard.
    ears: u64,
    credit: Credit,
    pub(crate) session: SessionId,
    pub(crate) publication: PublicationId,
    pub(crate) cname: Cname,
    round_trip: Duration,
}

/// The first guess at a viewer's round trip, until its reports tell.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(50);

impl Downstream {
    pub(crate) fn new(
        session: SessionId,
        publication: PublicationId,
        cname: Cname,
        agreement: &Agreement,
        random: &mut Seeded,
    ) -> Self {
        let streams = agreement.media.iter().filter_map(|media| Stream::new(media, random)).collect();
        Self { streams, ears: 0, credit: Credit::default(), session, publication, cname, round_trip: ROUND_TRIP_GUESS }
    }

    /// Binds each stream to the upstream's track of its kind: the first to the first, the second to the second.
    pub(crate) fn attach(&mut self, upstream: u32, media: &Upstream) {
        for kind in [Kind::Audio, Kind::Video] {
            let tracks = media.tracks.iter().enumerate().filter(|(_, track)| track.kind == kind);
            let streams = self.streams.iter_mut().filter(|stream| stream.kind == kind);
            for (stream, (at, track)) in streams.zip(tracks) {
                stream.bind(TrackKey::new(upstream, at as u8), track);
            }
        }
        self.ears = self.streams.iter().filter_map(|stream| stream.course.heard).fold(0, |ears, key| ears | key.bit());
    }

    /// Has the streams fetched that stand first; a viewer of one publisher has no others.
    #[inline]
    pub(crate) fn expect<E: Egress>(&self, egress: &E) {
        for stream in self.streams.iter().take(2) {
            stream.expect(egress);
        }
    }

    /// Whether any of the tracks with these bits may be one that is heard.
    #[inline]
    pub(crate) const fn may_hear(&self, bits: u64) -> bool {
        self.ears & bits != 0
    }

    /// The publisher is gone; the streams keep their numbers for the next one.
    pub(crate) fn detach(&mut self) {
        self.ears = 0;
        for stream in &mut self.streams {
            stream.unbind();
        }
    }

    /// The stream that hears this track, if any.
    #[inline]
    pub(crate) fn stream_of(&mut self, key: TrackKey) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.course.heard == Some(key))
    }

    /// Sends one packet on; `epoch` says which of the track's streams it is from.
    #[inline]
    pub(crate) fn forward<E: Egress>(
        &mut self,
        key: TrackKey,
        epoch: u32,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<Forwarded, Discard> {
        let Some(stream) = self.stream_of(key) else { return Ok(Forwarded::NotMine) };
        let sent = stream.forward(epoch, packet, way)?;
        self.credit.earn(sent.len);
        Ok(if sent.started { Forwarded::Started } else { Forwarded::Sent })
    }

    /// Tells the viewer how the track's timestamps relate to its publisher's clock. Returns whether anything was said.
    pub(crate) fn report<E: Egress>(&mut self, key: TrackKey, report: &SenderReport, way: &mut Way<'_, E>) -> bool {
        let cname = self.cname;
        let Some(stream) = self.stream_of(key) else { return false };
        let Some(info) = stream.translate(way.now, report) else { return false };
        let ssrc = stream.ssrc();
        way.send_rtcp(|writer| {
            writer.sender_report(ssrc, &info);
            writer.canonical_name(ssrc, &cname);
        })
    }

    /// Says goodbye for every stream (RFC 3550 6.6).
    pub(crate) fn say_goodbye<E: Egress>(&self, way: &mut Way<'_, E>) {
        way.send_rtcp(|writer| {
            for stream in &self.streams {
                writer.receiver_report(stream.ssrc(), &[]);
                writer.canonical_name(stream.ssrc(), &self.cname);
                writer.goodbye(stream.ssrc());
            }
        });
    }

    /// The tracks whose next key frame this viewer waits for.
    pub(crate) fn starving(&self) -> impl Iterator<Item = u8> + '_ {
        self.streams.iter().filter_map(Stream::starving)
    }

    /// The track behind an outgoing SSRC, when the viewer asks for a key frame of it.
    pub(crate) fn track_behind(&self, ssrc: u32) -> Option<u8> {
        self.streams.iter().find(|stream| stream.ssrc() == ssrc).and_then(Stream::track)
    }

    /// Reads a viewer's reception report: the round trip follows from the sender report that it answers.
    pub(crate) fn read_report(&mut self, now: Instant, report: &Report) {
        let stream = self.streams.iter().find(|stream| stream.ssrc() == report.ssrc);
        if let Some(sample) = stream.and_then(|stream| stream.round_trip(now, report)) {
            self.round_trip = (self.round_trip * 7 + sample) / 8;
        }
    }
}

/// What became of a packet that was offered to a downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The viewer does not watch this track.
    NotMine,
    Sent,
    /// Sent, and the first of its binding: the viewer needs to be told about clocks.
    Started,
}

impl<E: Egress> Way<'_, E> {
    /// Seals one RTCP datagram; returns whether it went out.
    pub(crate) fn send_rtcp(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> bool {
        let overhead = self.outbound.rtcp_overhead();
        let Some(out) = self.egress.reserve(&self.path, tidewire_core::limits::RTCP_LEN_MAX) else { return false };
        let room = out.len().saturating_sub(overhead);
        let mut writer = Writer::new(&mut out[..room]);
        write(&mut writer);
        let len = writer.len();
        if len == 0 {
            return false;
        }
        match self.outbound.seal_rtcp(len, out) {
            Ok(sealed) => {
                self.egress.commit(sealed);
                true
            }
            Err(_) => false,
        }
    }
}
