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

/// Viewers who are to be told of their layer: as many as some slices serve. Beyond these, the next look at what is wanted tells them.
pub(crate) type Turned = ArrayVec<u32, 128>;

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
        (0..STEPS).for_each(|step| expect(viewers, self.cursor + step, tracks, connections, *egress));
        while let Some(slot) = viewers.get(self.cursor).filter(|_| **budget > 0) {
            expect(viewers, self.cursor + STEPS, tracks, connections, *egress);
            self.cursor += 1;
            let Some(connection) = connections.at_mut(*slot).filter(|one| one.may_hear(tracks)) else { continue };
            let Some((mut way, Role::Downstream(downstream))) = connection.way(*now, &mut **egress) else { continue };
            let mut service =
                Service { downstream, way: &mut way, tally, starved: &mut starved, sealed: 0, turned: false };
            service.serve(&views);
            **budget = budget.saturating_sub(service.sealed);
            if service.turned && !turned.is_full() {
                turned.push(*slot);
            }
        }
        starved
    }
}

/// Has the state of viewers fetched before their turn comes, while others' packets are sealed. Each step tells where the next
/// one's memory is, and reads what was fetched a viewer's turn ago; `newest` is the one who takes the first.
#[inline]
fn expect<E: Egress>(viewers: &[u32], newest: usize, tracks: u64, connections: &Slots<Connection>, egress: &E) {
    let connection = |before: usize| connections.at(*viewers.get(newest.checked_sub(before)?)?);
    if let Some(place) = viewers.get(newest).and_then(|slot| connections.place_of(*slot)) {
        egress.expect(place);
    }
    if let Some(connection) = connection(1) {
        connection.expect(egress);
    }
    // From here on it is known who will be passed over.
    if let Some(connection) = connection(2).filter(|one| one.may_hear(tracks)) {
        connection.expect_more(egress);
    }
    if let Some(connection) = connection(STEPS).filter(|one| one.may_hear(tracks)) {
        connection.expect_last(egress);
    }
}

/// Steps of `expect` before a viewer's turn.
const STEPS: usize = 3;

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
            Some(View::Packet(Offered { key, epoch, resumed_at, stored, track }))
        }
        Item::Report { upstream, track } => {
            let key = TrackKey::new(upstream, track);
            Some(View::Report { track: key, report: found(key)?.report.as_ref()? })
        }
    }
}

/// One viewer's turn in a round.
struct Service<'a, 'w, E> {
    downstream: &'a mut Downstream,
    way: &'a mut Way<'w, E>,
    tally: &'a mut Tally,
    starved: &'a mut Starved,
    /// Packets that were sealed.
    sealed: usize,
    /// Whether it gets another track or layer since.
    turned: bool,
}

impl<E: Egress> Service<'_, '_, E> {
    #[inline]
    fn serve(&mut self, views: &[View<'_>]) {
        for view in views {
            match view {
                View::Packet(packet) => self.offer(packet),
                View::Report { track, report } => self.sealed += usize::from(self.tell(*track, report)),
            }
        }
    }

    #[inline]
    fn offer(&mut self, packet: &Offered<'_>) {
        match self.downstream.forward(packet, self.way) {
            Ok(Forwarded::NotMine) => return,
            Ok(Forwarded::Sent) => self.tally.count(Counter::Forwarded),
            Ok(how) => self.follow_up(how, packet),
            Err(reason) => {
                self.tally.discard(reason);
                if reason == Discard::AwaitingKeyFrame {
                    self.starve(packet.key);
                }
                return;
            }
        }
        self.sealed += 1;
    }

    /// Does what a packet that was more than sent leaves to be done.
    fn follow_up(&mut self, how: Forwarded, packet: &Offered<'_>) {
        match how {
            Forwarded::NotMine | Forwarded::Sent => {}
            Forwarded::Filled => return self.tally.count(Counter::Fillers),
            Forwarded::Stuck => self.starve(packet.key),
            Forwarded::Turned => {
                self.turned = true;
                self.tally.count(Counter::Switches);
            }
            Forwarded::Started => {
                self.turned = true;
                self.tally.count(Counter::Switches);
                if let Some(report) = &packet.track.report {
                    self.tell(packet.key, report);
                }
            }
        }
        self.tally.count(Counter::Forwarded);
    }

    fn starve(&mut self, track: TrackKey) {
        if !self.starved.is_full() && !self.starved.contains(&track) {
            self.starved.push(track);
        }
    }

    /// Tells the viewer of a track's clock; returns whether anything was sent.
    fn tell(&mut self, track: TrackKey, report: &SenderReport) -> bool {
        let sent = self.downstream.report(track, report, self.way);
        if sent {
            self.tally.count(Counter::RtcpSent);
        }
        sent
    }
}
