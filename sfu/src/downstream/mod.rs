//! Media towards one viewer: its streams, each of a publication, and bound to a section of whoever publishes it at present.
//!
//! Packets come by reference from the publisher's ring; each is numbered for this viewer, sealed with its key straight
//! into the egress, and forgotten. Which of a section's tracks a stream hears, and up to which layer, is chosen by what the
//! viewer wishes. Feedback of the viewer comes in, and goes out as repairs or as the wish for a key frame. Invariant: an
//! outgoing sequence number is a function of the incoming one for as long as a leg of a stream's way lasts, and the next leg
//! starts beyond it, so that no nonce is ever used for two contents.

mod stream;
mod course;
mod trail;
mod seal;
mod choice;
mod turning;
mod layer;
mod others;
mod account;
mod credit;
mod recent;
mod red;
mod repair;
mod times;

use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::codec::{Kind, Target};
use tidewire_core::count::Discard;
use tidewire_core::limits::WANTS_MAX;
use tidewire_core::machine::{Egress, Path};
use tidewire_core::message::quality::{Layer, LayerReason, Wish};
use tidewire_core::random::Seeded;
use tidewire_core::rebuild::Form;
use tidewire_core::ring::Stored;
use tidewire_core::rtcp::{Report, Writer};
use tidewire_core::srtp::Outbound;
use tidewire_core::time::{Instant, Ntp};

use self::credit::Credit;
use self::others::Others;
use self::stream::Source;
pub(crate) use self::stream::Stream;
use self::times::Times;
pub(crate) use self::trail::BYTES as TRAIL_BYTES;
use crate::command::{Carried, PublicationId, SessionId, Tells};
use crate::departures::Departures;
use crate::upstream::{SenderReport, Track, TrackKey, Upstream};

/// Where a downstream's bytes go: whom they are sealed for, and by which way they leave.
pub(crate) struct Way<'a, E> {
    pub(crate) now: Instant,
    pub(crate) outbound: &'a mut Outbound,
    pub(crate) path: Path,
    pub(crate) egress: &'a mut E,
    /// Where packets are numbered and noted, if their viewer reports on its transport.
    pub(crate) departures: Option<&'a mut Departures>,
}

/// See the module's description.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Downstream {
    streams: Vec<Stream>,
    /// The bits of the tracks that are heard or awaited.
    ears: u64,
    credit: Credit,
    pub(crate) session: SessionId,
    /// As reports tell it, smoothed; none until the first has come.
    round_trip: Option<Duration>,
    others: Others,
    times: Times,
    tells: Tells,
}

/// What a viewer's round trip is taken for until its reports tell.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(50);

/// Streams that are looked at where they stand: all that a viewer of one publisher has.
const FRONT_LEN: usize = 2;

/// Streams that one datagram says goodbye for: with their names they take up to 64 bytes each.
const GOODBYES_MAX: usize = 16;

impl Downstream {
    pub(crate) fn new(session: SessionId, carried: Vec<Carried>, tells: Tells, random: &mut Seeded) -> Self {
        let mut downstream = Self {
            streams: Vec::with_capacity(carried.len()),
            ears: 0,
            credit: Credit::default(),
            session,
            round_trip: None,
            others: Others::default(),
            times: Times::default(),
            tells,
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

    /// Binds each stream of the publication to the upstream's section of its kind: the first to the first, the second to the
    /// second. A stream for which there is no section hears nothing; one that is bound already goes on undisturbed.
    pub(crate) fn attach(&mut self, publication: PublicationId, upstream: u32, media: &Upstream) {
        for kind in [Kind::Audio, Kind::Video] {
            let mut sections = (0..=u8::MAX).zip(&media.sections).filter(|(_, section)| section.kind == kind);
            let own = |stream: &&mut Stream| stream.kind == kind && stream.publication() == publication;
            for stream in self.streams.iter_mut().filter(own) {
                match sections.next().map(|(at, section)| (Source { upstream, section: at }, section)) {
                    Some((source, _)) if stream.source() == Some(source) => {}
                    Some((source, section)) => {
                        stream.bind(source, section);
                        stream.choose_from(media, section);
                    }
                    None => stream.unbind(),
                }
            }
        }
        self.listen();
    }

    /// Notes what the viewer would like of a publication's video.
    pub(crate) fn prefer(&mut self, publication: PublicationId, wish: &Wish) {
        let own = |stream: &&mut Stream| stream.kind == Kind::Video && stream.publication() == publication;
        for stream in self.streams.iter_mut().filter(own) {
            stream.carried.wish = wish.clone();
        }
    }

    /// Chooses anew among an upstream's tracks for every stream of its videos. Returns what is wanted of them.
    pub(crate) fn choose_anew(&mut self, upstream: u32, media: &Upstream) -> Wanted {
        let mut wanted = Wanted::default();
        for stream in self.streams.iter_mut().filter(|stream| stream.kind == Kind::Video) {
            let Some(source) = stream.source().filter(|source| source.upstream == upstream) else { continue };
            let Some(section) = media.sections.get(usize::from(source.section)) else { continue };
            // Also where there is nothing to choose from a viewer may want nothing.
            stream.choose_from(media, section);
            if media.is_layered(section) {
                stream.want(&mut wanted);
            }
        }
        self.listen();
        wanted
    }

    /// The upstreams of whose layers the viewer is told: those of its videos, each once, the first of them where there
    /// are more than can be told of.
    pub(crate) fn told_of(&self) -> ArrayVec<u32, UPSTREAMS_TOLD_MAX> {
        let mut upstreams = ArrayVec::new();
        if self.tells == Tells::Nothing {
            return upstreams;
        }
        for source in self.streams.iter().filter(|one| one.kind == Kind::Video).filter_map(Stream::source) {
            if !upstreams.contains(&source.upstream) && upstreams.try_push(source.upstream).is_err() {
                break;
            }
        }
        upstreams
    }

    /// What the viewer gets of an upstream's first video and why, if it is to be told.
    pub(crate) fn tell(
        &mut self,
        now: Instant,
        upstream: u32,
        media: &Upstream,
    ) -> Option<(PublicationId, Layer, LayerReason)> {
        let is_its = |one: &&mut Stream| one.source().is_some_and(|source| source.upstream == upstream);
        let stream = self.streams.iter_mut().filter(|one| one.kind == Kind::Video).find(is_its)?;
        let (layer, reason) = stream.tell(now, media)?;
        Some((stream.publication(), layer, reason))
    }

    /// The publisher is gone; the streams keep their numbers for the next one.
    pub(crate) fn detach(&mut self, publication: PublicationId, media: &Upstream) {
        for stream in self.streams.iter_mut().filter(|stream| stream.publication() == publication) {
            stream.hand_over(media);
            stream.unbind();
        }
        self.listen();
    }

    /// The streams that stand first; a viewer of one publisher has no others.
    #[inline]
    pub(crate) fn front(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().take(FRONT_LEN)
    }

    /// Whether any of the tracks with these bits may be one that is heard.
    #[inline]
    pub(crate) const fn may_hear(&self, bits: u64) -> bool {
        self.ears & bits != 0
    }

    /// The stream that hears or awaits this track, if any.
    #[inline]
    fn stream_of(&mut self, key: TrackKey) -> Option<&mut Stream> {
        let front = self.streams.iter().take(FRONT_LEN).position(|stream| stream.course.follows(key));
        let at = match front {
            Some(at) => at,
            None => self.others.position(key)?,
        };
        // The list is written anew after a stream has turned, and may be a packet behind it.
        self.streams.get_mut(at).filter(|stream| stream.course.follows(key))
    }

    /// Sends one packet on.
    #[inline]
    pub(crate) fn forward<E: Egress>(
        &mut self,
        offered: &Offered<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<Forwarded, Discard> {
        let Some(stream) = self.stream_of(offered.key) else { return Ok(Forwarded::NotMine) };
        let sent = stream.forward(offered, way)?;
        self.credit.earn(sent.len);
        if sent.how == Forwarded::Started {
            self.listen();
        }
        Ok(sent.how)
    }

    /// Tells the viewer how the track's timestamps relate to its publisher's clock. Returns whether anything was said.
    pub(crate) fn report<E: Egress>(&mut self, key: TrackKey, report: &SenderReport, way: &mut Way<'_, E>) -> bool {
        let Some(stream) = self.stream_of(key).filter(|stream| stream.heard() == Some(key)) else { return false };
        let Some(info) = stream.translate(way.now, report) else { return false };
        let (ssrc, cname, now) = (stream.ssrc(), stream.carried.cname, way.now);
        way.send_rtcp(|writer| {
            writer.sender_report(ssrc, &info);
            writer.canonical_name(ssrc, &cname);
            self.times.answer(now, ssrc, writer);
        })
    }

    /// Says goodbye for every stream.
    pub(crate) fn say_goodbye<E: Egress>(&self, way: &mut Way<'_, E>) {
        way.say_goodbye(&self.streams);
    }

    /// The tracks whose next key frame this viewer waits for.
    pub(crate) fn starving(&self) -> impl Iterator<Item = TrackKey> + '_ {
        self.streams.iter().flat_map(Stream::starving)
    }

    /// The track behind an outgoing SSRC, when the viewer misses something of it.
    pub(crate) fn track_behind(&self, ssrc: u32) -> Option<TrackKey> {
        self.streams.get(self.position(ssrc)?)?.heard()
    }

    /// The upstream from which an outgoing SSRC is fed.
    pub(crate) fn upstream_behind(&self, ssrc: u32) -> Option<u32> {
        self.streams.get(self.position(ssrc)?)?.source().map(|source| source.upstream)
    }

    /// Where the stream of an SSRC stands. A search: for what comes a few times a second.
    fn position(&self, ssrc: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ssrc() == ssrc)
    }

    /// Takes note of which tracks are heard and awaited, after any stream has come, gone or turned.
    fn listen(&mut self) {
        self.ears = self.streams.iter().flat_map(Stream::followed).fold(0, |ears, key| ears | key.bit());
        self.others.note(&self.streams);
    }

    /// Reads a viewer's reception report: the round trip follows from the sender report that it answers, and is returned then.
    pub(crate) fn read_report(&mut self, now: Instant, report: &Report) -> Option<Duration> {
        let at = self.position(report.ssrc)?;
        let stream = self.streams.get_mut(at)?;
        stream.note_report(report);
        let sample = stream.round_trip(now, report)?;
        self.round_trip = Some(self.round_trip.map_or(sample, |known| (known * 7 + sample) / 8));
        self.round_trip
    }

    /// Notes a viewer's own time, to be answered.
    pub(crate) fn note_time(&mut self, now: Instant, ssrc: u32, time: Ntp) {
        self.times.note(now, ssrc, time);
    }

    /// Whether any stream's packets are numbered on the transport.
    pub(crate) fn is_numbered(&self) -> bool {
        self.streams.iter().any(|stream| stream.form.is_numbered())
    }
}

/// Upstreams whose layers a viewer is told of at once when it turns: everybody's in a large meeting.
const UPSTREAMS_TOLD_MAX: usize = WANTS_MAX;

/// A packet as it is offered to every viewer.
pub(crate) struct Offered<'a> {
    pub(crate) key: TrackKey,
    /// Which of the track's streams it is from.
    pub(crate) epoch: u32,
    /// The packet with which the track was heard again, after some that no viewer was sent.
    pub(crate) resumed_at: u64,
    pub(crate) stored: Stored<'a>,
    /// For whoever starts with this packet.
    pub(crate) track: &'a Track,
}

/// What became of a packet that was offered to a downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The viewer does not hear this track.
    NotMine,
    Sent,
    /// Sent, and the first of its track: the viewer needs to be told about clocks.
    Started,
    /// Sent, and from it on the viewer has another target of the same track.
    Turned,
    /// Sent; but the viewer cannot turn to the target that it is to have before a key frame comes.
    Stuck,
    /// Padding was sent in its place.
    Filled,
}

/// What a viewer wants of an upstream: tracks, each up to these layers. Of each video what is chosen for it, what it would have
/// if that were sent, and what it has until then.
pub(crate) type Wanted = ArrayVec<(u8, Target), WANTED_MAX>;

/// Videos of one publisher in one downstream: a camera and a few screens. What more there are is not wanted by name, and sent as
/// long as anybody wants it.
const WANTED_MAX: usize = 12;

impl<E: Egress> Way<'_, E> {
    /// Hands over a sealed packet, and notes that it left if it has a number on the transport.
    #[inline]
    fn commit(&mut self, form: &Form, len: usize) {
        self.egress.commit(len);
        if let Some(departures) = self.departures.as_deref_mut().filter(|_| form.is_numbered()) {
            departures.note(self.now, len);
        }
    }

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
