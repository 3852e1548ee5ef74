//! Second phase: what was accepted goes to everybody who hears it, viewer by viewer.
//!
//! A round is a list of packets and a cursor over the viewers; it can stop after any viewer and go on later, so that a
//! key frame to a thousand viewers never holds up receiving. All packets of a round for one viewer follow each other,
//! audio first, so that the egress can send them as one train. Audio has a round of its own, which goes first, while
//! another is under way or when not everything can go out in one slice. What comes while a round is under way goes to
//! those whom it has passed, and joins it where it stands: so nobody's delay grows with the viewers that come behind, and
//! those get both in one train. What waits for a round, and what is dropped when rounds take too
//! long, is `waiting`'s.

use arrayvec::ArrayVec;
use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::limits::{BEHIND_AFTER, FOLLOW_WITHIN, ROUND_LEN_MAX};
use tidewire_core::machine::{Egress, Progress};
use tidewire_core::ring::Stored;
use tidewire_core::time::Instant;

use crate::connection::{Connection, Role};
use crate::downstream::{Downstream, Forwarded, Way};
use crate::level::level;
use crate::table::slots::Slots;
use crate::upstream::{Accepted, SenderReport, TrackKey, Upstream};
use crate::waiting::Waiting;

/// Something that every viewer of a track gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    Packet {
        upstream: u32,
        accepted: Accepted,
    },
    /// The publisher's latest sender report.
    Report {
        upstream: u32,
        track: u8,
    },
}

impl Item {
    pub(crate) const fn is_audio(&self) -> bool {
        matches!(self, Self::Packet { accepted: Accepted { kind: Kind::Audio, .. }, .. })
    }
}

/// What a fan-out works on: the table's parts, lent for one slice.
pub(crate) struct Floor<'a, E> {
    pub(crate) now: Instant,
    pub(crate) connections: &'a mut Slots<Connection>,
    pub(crate) upstreams: &'a mut Slots<Upstream>,
    pub(crate) egress: &'a mut E,
    pub(crate) tally: &'a mut Tally,
    /// Packets that may still be sealed in this slice.
    pub(crate) budget: &'a mut usize,
}

/// A session's packets on their way out.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    waiting: Waiting,
    main: Round,
    /// What came since, on its way to those whom the main round has passed.
    after: Round,
    audio: Round,
}

#[derive(Debug, Default)]
struct Round {
    items: Vec<Item>,
    begun: Instant,
    /// Index of the next viewer.
    cursor: usize,
}

impl FanOut {
    /// Queues an item, for which others may have to go. Returns the track whose key frame is needed since.
    pub(crate) fn push(&mut self, now: Instant, item: Item, tally: &mut Tally) -> Option<(u32, u8)> {
        let under_way = if self.after.items.is_empty() { &self.main.items } else { &self.after.items };
        self.waiting.push(now, item, under_way, tally)
    }

    /// Whether anything has waited for so long that the shard must be called behind.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        self.waiting.since().is_some_and(|since| now.since(since) > BEHIND_AFTER)
    }

    /// An upstream is gone.
    pub(crate) fn forget(&mut self, upstream: u32) {
        self.waiting.forget(upstream);
    }

    /// Goes on until everything is sent or the budget is used up.
    pub(crate) fn run<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        loop {
            self.load(viewers.len(), floor);
            if self.audio.run(viewers, floor) == Progress::More {
                return Progress::More;
            }
            self.follow(viewers, floor);
            if self.main.run(viewers, floor) == Progress::More {
                return Progress::More;
            }
            std::mem::swap(&mut self.main, &mut self.after);
            if self.main.items.is_empty() && self.waiting.is_empty() {
                return Progress::Done;
            }
        }
    }

    /// Where the rounds stand in the list of viewers, for whoever takes somebody out of it.
    pub(crate) fn cursors(&mut self) -> [&mut usize; 3] {
        [&mut self.main.cursor, &mut self.after.cursor, &mut self.audio.cursor]
    }

    /// Moves what waits into rounds. Audio goes along with the rest only where all of it goes out in this slice: else
    /// the last viewer's would wait for the first one's video, and be overtaken by audio that comes meanwhile.
    fn load<E>(&mut self, viewers: usize, floor: &mut Floor<'_, E>) {
        let is_idle = self.main.items.is_empty();
        // A viewer who starts is told of two clocks besides.
        let fits = viewers.saturating_mul(self.waiting.len() + 2) <= *floor.budget;
        if is_idle && fits && self.audio.items.is_empty() {
            self.waiting.take_audio(&mut self.main.items);
        } else if self.audio.items.is_empty() {
            self.waiting.take_audio(&mut self.audio.items);
        }
        if is_idle {
            self.waiting.take_rest(&mut self.main.items, floor.upstreams, floor.tally);
            self.main.begun = floor.now;
        } else if self.may_follow(floor.now) {
            self.waiting.take_rest(&mut self.after.items, floor.upstreams, floor.tally);
            self.after.begun = floor.now;
        }
    }

    /// Whether what waits may go to those whom the main round has passed: where the shard keeps up. Where it does not, rounds
    /// that gather more have longer trains, and that is what it needs.
    fn may_follow(&self, now: Instant) -> bool {
        let fits = self.main.items.len() + self.waiting.len() <= ROUND_LEN_MAX;
        let keeps_up = self.waiting.is_whole() && self.waiting.since().is_some_and(|at| now.since(at) < FOLLOW_WITHIN);
        fits && keeps_up && self.after.items.is_empty() && now.since(self.main.begun) < FOLLOW_WITHIN
    }

    /// Serves those whom the main round has passed with what came since. It joins that round when all of them have it, and
    /// takes its place when that is done first. Until then they share the budget, the main round with the smaller part: those
    /// behind wait anyway, and get longer trains. But they do not wait for ever.
    fn follow<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) {
        if self.after.items.is_empty() || floor.now.since(self.main.begun) >= FOLLOW_WITHIN {
            return;
        }
        let mains = *floor.budget / MAIN_SHARE;
        *floor.budget -= mains;
        let progress = self.after.serve(&viewers[..self.main.cursor.min(viewers.len())], floor);
        *floor.budget += mains;
        if progress == Progress::Done {
            self.main.items.append(&mut self.after.items);
            self.after.cursor = 0;
        }
    }
}

impl Round {
    /// Goes on until everybody has everything, and then is empty, or the budget is used up.
    fn run<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        let progress = self.serve(viewers, floor);
        if progress == Progress::Done {
            self.items.clear();
            self.cursor = 0;
        }
        progress
    }

    fn serve<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        if self.items.is_empty() {
            return Progress::Done;
        }
        if self.cursor == 0 {
            level(&self.items, floor.upstreams, floor.tally);
        }
        for track in self.pass(viewers, floor) {
            if let Some(upstream) = floor.upstreams.at_mut(track.upstream()) {
                upstream.want_key_frame(floor.now, track.track());
            }
        }
        if self.cursor < viewers.len() { Progress::More } else { Progress::Done }
    }

    /// Serves viewers from the cursor on while the budget lasts; returns the tracks whose key frame somebody waits for.
    fn pass<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Starved {
        let Floor { now, connections, upstreams, egress, tally, budget } = floor;
        let mut starved = Starved::new();
        let mut views = Views::new();
        let tracks = resolve(&self.items, upstreams, tally, &mut views);
        while let Some(slot) = viewers.get(self.cursor).filter(|_| **budget > 0) {
            self.cursor += 1;
            expect(&viewers[self.cursor..], connections, *egress);
            let Some(connection) = connections.at_mut(*slot).filter(|one| one.may_hear(tracks)) else { continue };
            let Some((mut way, Role::Downstream(downstream))) = connection.way(*now, &mut **egress) else { continue };
            let sealed = serve(downstream, &views, &mut way, tally, &mut starved);
            **budget = budget.saturating_sub(sealed);
        }
        starved
    }
}

/// Has the state of the viewers who come next fetched while this one's packets are sealed, in three steps, since each tells
/// where the next one's is: what is to be read in a step was fetched by the one before it.
#[inline]
fn expect<E: Egress>(next: &[u32], connections: &Slots<Connection>, egress: &E) {
    let connection = |ahead: usize| connections.at(*next.get(ahead)?);
    if let Some(place) = next.get(2).and_then(|slot| connections.place_of(*slot)) {
        egress.expect(place);
    }
    if let Some(connection) = connection(1) {
        connection.expect(egress);
    }
    if let Some(Role::Downstream(downstream)) = connection(0).map(|one| &one.role) {
        downstream.expect(egress);
    }
}

/// The part of a slice that a round keeps while what came since goes to those whom it has passed.
const MAIN_SHARE: usize = 4;

/// Tracks whose key frame somebody waits for. Beyond these few, the next packet tells again.
type Starved = ArrayVec<TrackKey, 8>;

/// A round's items, looked up.
type Views<'a> = ArrayVec<View<'a>, ROUND_LEN_MAX>;

/// An item with the bytes and numbers it stands for, looked up once for all viewers of a slice.
enum View<'a> {
    Packet(PacketView<'a>),
    Report { track: TrackKey, report: &'a SenderReport },
}

impl View<'_> {
    const fn track(&self) -> TrackKey {
        match self {
            Self::Packet(packet) => packet.track,
            Self::Report { track, .. } => *track,
        }
    }
}

struct PacketView<'a> {
    track: TrackKey,
    epoch: u32,
    stored: Stored<'a>,
    /// The track's last sender report, for whoever starts with this packet.
    report: Option<&'a SenderReport>,
}

/// Looks up every item, and returns the bits of their tracks. `views` is lent, since it is too large to be handed back.
fn resolve<'a>(items: &[Item], upstreams: &'a Slots<Upstream>, tally: &mut Tally, views: &mut Views<'a>) -> u64 {
    let mut tracks = 0;
    for item in items.iter().take(ROUND_LEN_MAX) {
        match view(item, upstreams) {
            Some(view) => {
                tracks |= view.track().bit();
                views.push(view);
            }
            None => tally.discard(Discard::Overrun),
        }
    }
    tracks
}

/// What an item stands for, if it is still there.
fn view<'a>(item: &Item, upstreams: &'a Slots<Upstream>) -> Option<View<'a>> {
    let found = |key: TrackKey| upstreams.at(key.upstream())?.tracks.get(usize::from(key.track()));
    match *item {
        Item::Packet { upstream, accepted } => {
            let key = TrackKey::new(upstream, accepted.track);
            let track = found(key).filter(|track| track.epoch == accepted.epoch)?;
            let stored = track.ring.get(accepted.sequence)?;
            Some(View::Packet(PacketView { track: key, epoch: track.epoch, stored, report: track.report.as_ref() }))
        }
        Item::Report { upstream, track } => {
            let key = TrackKey::new(upstream, track);
            Some(View::Report { track: key, report: found(key)?.report.as_ref()? })
        }
    }
}

/// Serves one viewer; returns how many packets were sealed.
fn serve<E: Egress>(
    downstream: &mut Downstream,
    views: &[View<'_>],
    way: &mut Way<'_, E>,
    tally: &mut Tally,
    starved: &mut Starved,
) -> usize {
    let mut sealed = 0;
    for view in views {
        sealed += usize::from(match view {
            View::Packet(packet) => packet.forward(downstream, way, tally, starved),
            View::Report { track, report } => tell(downstream, *track, report, way, tally),
        });
    }
    sealed
}

impl PacketView<'_> {
    /// Offers the packet to a viewer; returns whether it was sent.
    fn forward<E: Egress>(
        &self,
        downstream: &mut Downstream,
        way: &mut Way<'_, E>,
        tally: &mut Tally,
        starved: &mut Starved,
    ) -> bool {
        match downstream.forward(self.track, self.epoch, &self.stored, way) {
            Ok(Forwarded::NotMine) => return false,
            Ok(Forwarded::Sent) => {}
            Ok(Forwarded::Started) => {
                if let Some(report) = self.report {
                    tell(downstream, self.track, report, way, tally);
                }
            }
            Err(reason) => {
                tally.discard(reason);
                if reason == Discard::AwaitingKeyFrame && !starved.is_full() && !starved.contains(&self.track) {
                    starved.push(self.track);
                }
                return false;
            }
        }
        tally.count(Counter::Forwarded);
        true
    }
}

/// Tells a viewer of a track's clock; returns whether anything was sent.
fn tell<E: Egress>(
    downstream: &mut Downstream,
    track: TrackKey,
    report: &SenderReport,
    way: &mut Way<'_, E>,
    tally: &mut Tally,
) -> bool {
    let sent = downstream.report(track, report, way);
    if sent {
        tally.count(Counter::RtcpSent);
    }
    sent
}
