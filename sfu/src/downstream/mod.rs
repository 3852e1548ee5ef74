//! Media towards one viewer: its streams, each of a publication, and bound to a track of whoever publishes it at present.
//!
//! Packets come by reference from the publisher's ring; each is numbered for this viewer, sealed with its key straight
//! into the egress, and forgotten. Feedback of the viewer comes in, and goes out as repairs or as the wish for a key
//! frame. Invariant: an outgoing sequence number is a function of the incoming one for as long as a binding lasts, and
//! the next binding starts beyond it, so that no nonce is ever used for two contents.

mod stream;
mod course;
mod others;
mod credit;
mod recent;
mod repair;

use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::count::Discard;
use tidewire_core::machine::{Egress, Path};
use tidewire_core::random::Seeded;
use tidewire_core::ring::Stored;
use tidewire_core::rtcp::{Report, Writer};
use tidewire_core::srtp::Outbound;
use tidewire_core::time::Instant;

use self::credit::Credit;
use self::others::Others;
pub(crate) use self::stream::Stream;
use crate::command::{Carried, PublicationId, SessionId};
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
    round_trip: Duration,
    others: Others,
}

/// The first guess at a viewer's round trip, until its reports tell.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(50);

/// Streams that are looked at where they stand: all that a viewer of one publisher has.
const FRONT_LEN: usize = 2;

/// Streams that one datagram says goodbye for: with their names they take up to 64 bytes each.
const GOODBYES_MAX: usize = 16;

impl Downstream {
    pub(crate) fn new(session: SessionId, carried: Vec<Carried>, random: &mut Seeded) -> Self {
        let mut downstream = Self {
            streams: Vec::with_capacity(carried.len()),
            ears: 0,
            credit: Credit::default(),
            session,
            round_trip: ROUND_TRIP_GUESS,
            others: Others::default(),
        };
        downstream.begin(carried, random);
        downstream
    }

    /// Adds streams, which hear nobody yet. One whose SSRC is here already is not added.
    pub(crate) fn begin(&mut self, carried: Vec<Carried>, random: &mut Seeded) {
        for stream in carried.into_iter().filter_map(|carried| Stream::new(carried, random)) {
            let known = self.position(stream.ssrc()).is_some();
            debug_assert!(!known, "control draws each SSRC once");
            if !known {
                self.streams.push(stream);
            }
        }
    }

    /// Takes these streams out, whatever their order; the others go on as they are. Returns those that were here.
    pub(crate) fn end(&mut self, ssrcs: &[u32]) -> Vec<Stream> {
        let (ended, kept) = std::mem::take(&mut self.streams).into_iter().partition(|one| ssrcs.contains(&one.ssrc()));
        self.streams = kept;
        self.listen();
        ended
    }

    /// The publications that are watched, each as often as there are streams of it.
    pub(crate) fn publications(&self) -> impl Iterator<Item = PublicationId> + '_ {
        self.streams.iter().map(Stream::publication)
    }

    pub(crate) fn watches(&self, publication: PublicationId) -> bool {
        self.publications().any(|one| one == publication)
    }

    /// Binds each stream of the publication to the upstream's track of its kind: the first to the first, the second to the
    /// second. A stream for which there is no track hears nothing; one that hears its track already goes on undisturbed.
    pub(crate) fn attach(&mut self, publication: PublicationId, upstream: u32, media: &Upstream) {
        for kind in [Kind::Audio, Kind::Video] {
            let mut tracks = media.tracks.iter().enumerate().filter(|(_, track)| track.kind == kind);
            let own = |stream: &&mut Stream| stream.kind == kind && stream.publication() == publication;
            for stream in self.streams.iter_mut().filter(own) {
                match tracks.next().map(|(at, track)| (TrackKey::new(upstream, at as u8), track)) {
                    Some((key, _)) if stream.heard() == Some(key) => {}
                    Some((key, track)) => stream.bind(key, track),
                    None => stream.unbind(),
                }
            }
        }
        self.listen();
    }

    /// The publisher is gone; the streams keep their numbers for the next one.
    pub(crate) fn detach(&mut self, publication: PublicationId) {
        for stream in self.streams.iter_mut().filter(|stream| stream.publication() == publication) {
            stream.unbind();
        }
        self.listen();
    }

    /// Has the streams fetched that stand first; a viewer of one publisher has no others.
    #[inline]
    pub(crate) fn expect<E: Egress>(&self, egress: &E) {
        for stream in self.streams.iter().take(FRONT_LEN) {
            stream.expect(egress);
        }
    }

    /// Whether any of the tracks with these bits may be one that is heard.
    #[inline]
    pub(crate) const fn may_hear(&self, bits: u64) -> bool {
        self.ears & bits != 0
    }

    /// The stream that hears this track, if any.
    #[inline]
    fn stream_of(&mut self, key: TrackKey) -> Option<&mut Stream> {
        let front = self.streams.iter().take(FRONT_LEN).position(|stream| stream.course.heard == Some(key));
        let at = match front {
            Some(at) => at,
            None => self.others.position(key)?,
        };
        self.streams.get_mut(at)
    }

    /// Sends one packet on; `epoch` says which of the track's streams it is from, `resumed_at` with which packet of it the track
    /// was last heard again.
    #[inline]
    pub(crate) fn forward<E: Egress>(
        &mut self,
        key: TrackKey,
        epoch: u32,
        resumed_at: u64,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<Forwarded, Discard> {
        let Some(stream) = self.stream_of(key) else { return Ok(Forwarded::NotMine) };
        let sent = stream.forward(epoch, resumed_at, packet, way)?;
        self.credit.earn(sent.len);
        Ok(if sent.started { Forwarded::Started } else { Forwarded::Sent })
    }

    /// Tells the viewer how the track's timestamps relate to its publisher's clock. Returns whether anything was said.
    pub(crate) fn report<E: Egress>(&mut self, key: TrackKey, report: &SenderReport, way: &mut Way<'_, E>) -> bool {
        let Some(stream) = self.stream_of(key) else { return false };
        let Some(info) = stream.translate(way.now, report) else { return false };
        let (ssrc, cname) = (stream.ssrc(), &stream.carried.cname);
        way.send_rtcp(|writer| {
            writer.sender_report(ssrc, &info);
            writer.canonical_name(ssrc, cname);
        })
    }

    /// Says goodbye for every stream.
    pub(crate) fn say_goodbye<E: Egress>(&self, way: &mut Way<'_, E>) {
        way.say_goodbye(&self.streams);
    }

    /// The tracks whose next key frame this viewer waits for.
    pub(crate) fn starving(&self) -> impl Iterator<Item = TrackKey> + '_ {
        self.streams.iter().filter_map(Stream::starving)
    }

    /// The track behind an outgoing SSRC, when the viewer misses something of it.
    pub(crate) fn track_behind(&self, ssrc: u32) -> Option<TrackKey> {
        self.streams.get(self.position(ssrc)?)?.heard()
    }

    /// Where the stream of an SSRC stands. A search: for what comes a few times a second.
    fn position(&self, ssrc: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ssrc() == ssrc)
    }

    /// Takes note of which tracks are heard, after any stream has come, gone or turned.
    fn listen(&mut self) {
        self.ears = self.streams.iter().filter_map(Stream::heard).fold(0, |ears, key| ears | key.bit());
        self.others.note(&self.streams);
    }

    /// Reads a viewer's reception report: the round trip follows from the sender report that it answers.
    pub(crate) fn read_report(&mut self, now: Instant, report: &Report) {
        let stream = self.position(report.ssrc).and_then(|at| self.streams.get(at));
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
    /// Says goodbye for these streams (RFC 3550 6.6).
    pub(crate) fn say_goodbye(&mut self, streams: &[Stream]) {
        for some in streams.chunks(GOODBYES_MAX) {
            self.send_rtcp(|writer| {
                for stream in some {
                    writer.receiver_report(stream.ssrc(), &[]);
                    writer.canonical_name(stream.ssrc(), &stream.carried.cname);
                    writer.goodbye(stream.ssrc());
                }
            });
        }
    }

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
