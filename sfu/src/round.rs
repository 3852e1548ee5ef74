//! One round of a fan-out: a list of packets, and a cursor over the viewers.
//!
//! It can stop after any viewer and go on later. A round looks its packets up once a slice and then goes viewer by viewer:
//! each is offered all of them before the next viewer's turn comes, and what the next ones will need is fetched meanwhile.
//! Which packets make a round, and in which order rounds go, is the fan-out's.

use arrayvec::ArrayVec;
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::limits::{ROUND_LEN_MAX, ROUND_LEN_USUAL};
use tidewire_core::machine::{Egress, Progress};
use tidewire_core::time::Instant;

use crate::connection::{Connection, Role};
use crate::downstream::{Downstream, Forwarded, Offered, Way};
use crate::fanout::Item;
use crate::level::level;
use crate::table::slots::Slots;
use crate::upstream::{SenderReport, Track, TrackKey, Upstream};

/// What a fan-out works on: the table's parts, lent for one slice.
pub(crate) struct Floor<'a, E> {
    pub(crate) now: Instant,
    pub(crate) connections: &'a mut Slots<Connection>,
    pub(crate) upstreams: &'a mut Slots<Upstream>,
    pub(crate) egress: &'a mut E,
    pub(crate) tally: &'a mut Tally,
    /// Packets that may still be sealed in this slice.
    pub(crate) budget: &'a mut usize,
    /// Viewers who get another track or layer since.
    pub(crate) turned: &'a mut Turned,
}

/// Viewers who are to be told of their layer. Beyond these few, the next look at what is wanted tells them.
pub(crate) type Turned = ArrayVec<u32, 64>;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) items: Vec<Item>,
    pub(crate) begun: Instant,
    /// Index of the next viewer.
    pub(crate) cursor: usize,
}

impl Default for Round {
    /// An empty round with the memory that it will need: the first packet to come while another round is under way may come
    /// after hours.
    fn default() -> Self {
        Self { items: Vec::with_capacity(ROUND_LEN_USUAL), begun: Instant::ORIGIN, cursor: 0 }
    }
}

impl Round {
    /// Goes on until everybody has everything, and then is empty, or the budget is used up.
    pub(crate) fn run<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        let progress = self.serve(viewers, floor);
        if progress == Progress::Done {
            self.items.clear();
            self.cursor = 0;
        }
        progress
    }

    /// The same, but keeps what everybody has.
    pub(crate) fn serve<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
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
        let Floor { now, connections, upstreams, egress, tally, budget, turned } = floor;
        let mut starved = Starved::new();
        let mut views = Views::new();
        let tracks = resolve(&self.items, upstreams, tally, &mut views);
        while let Some(slot) = viewers.get(self.cursor).filter(|_| **budget > 0) {
            self.cursor += 1;
            expect(&viewers[self.cursor..], connections, *egress);
            let Some(connection) = connections.at_mut(*slot).filter(|one| one.may_hear(tracks)) else { continue };
            let Some((mut way, Role::Downstream(downstream))) = connection.way(*now, &mut **egress) else { continue };
            let served = serve(downstream, &views, &mut way, tally, &mut starved);
            **budget = budget.saturating_sub(served.sealed);
            if served.has_turned && !turned.is_full() {
                turned.push(*slot);
            }
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

/// Tracks whose key frame somebody waits for. Beyond these few, the next packet tells again.
type Starved = ArrayVec<TrackKey, 8>;

/// A round's items, looked up.
type Views<'a> = ArrayVec<View<'a>, ROUND_LEN_MAX>;

/// An item with the bytes and numbers it stands for, looked up once for all viewers of a slice.
enum View<'a> {
    Packet(Offered<'a>),
    Report { track: TrackKey, report: &'a SenderReport },
}

impl View<'_> {
    const fn track(&self) -> TrackKey {
        match self {
            Self::Packet(packet) => packet.key,
            Self::Report { track, .. } => *track,
        }
    }
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
            let Track { epoch, resumed_at, .. } = *track;
            Some(View::Packet(Offered { key, epoch, resumed_at, stored, report: track.report.as_ref() }))
        }
        Item::Report { upstream, track } => {
            let key = TrackKey::new(upstream, track);
            Some(View::Report { track: key, report: found(key)?.report.as_ref()? })
        }
    }
}

/// What serving one viewer came to.
#[derive(Default)]
struct Served {
    /// Packets that were sealed.
    sealed: usize,
    has_turned: bool,
}

fn serve<E: Egress>(
    downstream: &mut Downstream,
    views: &[View<'_>],
    way: &mut Way<'_, E>,
    tally: &mut Tally,
    starved: &mut Starved,
) -> Served {
    let mut served = Served::default();
    for view in views {
        match view {
            View::Packet(packet) => offer(packet, downstream, way, tally, starved, &mut served),
            View::Report { track, report } => {
                served.sealed += usize::from(tell(downstream, *track, report, way, tally));
            }
        }
    }
    served
}

/// Offers a packet to a viewer.
fn offer<E: Egress>(
    packet: &Offered<'_>,
    downstream: &mut Downstream,
    way: &mut Way<'_, E>,
    tally: &mut Tally,
    starved: &mut Starved,
    served: &mut Served,
) {
    match downstream.forward(packet, way) {
        Ok(Forwarded::NotMine) => return,
        Ok(Forwarded::Sent) => tally.count(Counter::Forwarded),
        Ok(how) => follow_up(how, packet, downstream, way, tally, starved, served),
        Err(reason) => {
            tally.discard(reason);
            if reason == Discard::AwaitingKeyFrame {
                starve(starved, packet.key);
            }
            return;
        }
    }
    served.sealed += 1;
}

/// Does what a packet that was more than sent leaves to be done.
fn follow_up<E: Egress>(
    how: Forwarded,
    packet: &Offered<'_>,
    downstream: &mut Downstream,
    way: &mut Way<'_, E>,
    tally: &mut Tally,
    starved: &mut Starved,
    served: &mut Served,
) {
    match how {
        Forwarded::NotMine | Forwarded::Sent => {}
        Forwarded::Filled => return tally.count(Counter::Fillers),
        Forwarded::Stuck => starve(starved, packet.key),
        Forwarded::Turned => {
            served.has_turned = true;
            tally.count(Counter::Switches);
        }
        Forwarded::Started => {
            served.has_turned = true;
            tally.count(Counter::Switches);
            if let Some(report) = packet.report {
                tell(downstream, packet.key, report, way, tally);
            }
        }
    }
    tally.count(Counter::Forwarded);
}

fn starve(starved: &mut Starved, track: TrackKey) {
    if !starved.is_full() && !starved.contains(&track) {
        starved.push(track);
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
