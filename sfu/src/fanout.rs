//! Second phase: what was accepted goes to everybody who hears it, viewer by viewer.
//!
//! A round is a list of packets and a cursor over the viewers; it can stop after any viewer and go on later, so that a
//! key frame to a thousand viewers never holds up receiving. All packets of a round for one viewer follow each other,
//! audio first, so that the egress can send them as one train. While a round is under way, audio that arrives gets a
//! round of its own and overtakes.

use arrayvec::ArrayVec;
use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::limits::ROUND_LEN_MAX;
use tidewire_core::machine::{Egress, Progress};
use tidewire_core::ring::Stored;
use tidewire_core::time::Instant;

use crate::connection::{Connection, Role};
use crate::downstream::{Downstream, Forwarded, Way};
use crate::table::slots::Slots;
use crate::upstream::{Accepted, SenderReport, Upstream};

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
    const fn is_audio(&self) -> bool {
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
    pending: Vec<Item>,
    main: Round,
    audio: Round,
}

#[derive(Debug, Default)]
struct Round {
    items: Vec<Item>,
    /// Index of the next viewer.
    cursor: usize,
}

impl FanOut {
    /// Queues an item; gives it back when a whole round is waiting already.
    pub(crate) fn push(&mut self, item: Item) -> Result<(), Discard> {
        if self.pending.len() >= ROUND_LEN_MAX {
            return Err(Discard::Overrun);
        }
        self.pending.push(item);
        Ok(())
    }

    /// Goes on until everything is sent or the budget is used up.
    pub(crate) fn run<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        loop {
            self.load();
            if self.audio.run(viewers, floor) == Progress::More || self.main.run(viewers, floor) == Progress::More {
                return Progress::More;
            }
            if self.pending.is_empty() {
                return Progress::Done;
            }
        }
    }

    /// The viewer at this index is gone and those behind it moved up by one.
    pub(crate) fn viewer_removed(&mut self, at: usize) {
        for round in [&mut self.main, &mut self.audio] {
            if at < round.cursor {
                round.cursor -= 1;
            }
        }
    }

    /// Moves what waits into rounds.
    fn load(&mut self) {
        if self.main.items.is_empty() {
            self.main.items.extend(self.pending.iter().filter(|item| item.is_audio()));
            self.main.items.extend(self.pending.iter().filter(|item| !item.is_audio()));
            self.pending.clear();
        } else if self.audio.items.is_empty() && self.pending.iter().any(Item::is_audio) {
            self.audio.items.extend(self.pending.iter().filter(|item| item.is_audio()));
            self.pending.retain(|item| !item.is_audio());
        }
    }
}

impl Round {
    fn run<E: Egress>(&mut self, viewers: &[u32], floor: &mut Floor<'_, E>) -> Progress {
        if self.items.is_empty() {
            return Progress::Done;
        }
        let mut starved = ArrayVec::<(u32, u8), 8>::new();
        {
            let Floor { now, connections, upstreams, egress, tally, budget } = floor;
            let views = resolve(&self.items, upstreams, tally);
            while let Some(slot) = viewers.get(self.cursor) {
                if **budget == 0 {
                    break;
                }
                self.cursor += 1;
                let connection = connections.at_mut(*slot);
                let Some((mut way, role)) = connection.and_then(|one| one.way(*now, &mut **egress)) else {
                    continue;
                };
                let Role::Downstream(downstream) = role else { continue };
                let sealed = serve(downstream, &views, &mut way, tally, &mut starved);
                **budget = budget.saturating_sub(sealed);
            }
        }
        for (upstream, track) in starved {
            if let Some(upstream) = floor.upstreams.at_mut(upstream) {
                upstream.want_key_frame(floor.now, track);
            }
        }
        if self.cursor < viewers.len() {
            return Progress::More;
        }
        self.items.clear();
        self.cursor = 0;
        Progress::Done
    }
}

/// An item with the bytes and numbers it stands for, looked up once for all viewers of a slice.
enum View<'a> {
    Packet { upstream: u32, accepted: Accepted, stored: Stored<'a>, report: Option<&'a SenderReport> },
    Report { upstream: u32, track: u8, report: &'a SenderReport },
}

fn resolve<'a>(items: &[Item], upstreams: &'a Slots<Upstream>, tally: &mut Tally) -> ArrayVec<View<'a>, ROUND_LEN_MAX> {
    let track = |upstream: u32, track: u8| upstreams.at(upstream)?.tracks.get(usize::from(track));
    let mut views = ArrayVec::new();
    for item in items.iter().take(ROUND_LEN_MAX) {
        let view = match *item {
            Item::Packet { upstream, accepted } => track(upstream, accepted.track).and_then(|track| {
                let stored = track.ring.get(accepted.sequence).filter(|_| track.epoch == accepted.epoch)?;
                Some(View::Packet { upstream, accepted, stored, report: track.report.as_ref() })
            }),
            Item::Report { upstream, track: at } => {
                let report = track(upstream, at).and_then(|track| track.report.as_ref());
                report.map(|report| View::Report { upstream, track: at, report })
            }
        };
        match view {
            Some(view) => views.push(view),
            None => tally.discard(Discard::Overrun),
        }
    }
    views
}

/// Serves one viewer; returns how many packets were sealed.
fn serve<E: Egress>(
    downstream: &mut Downstream,
    views: &[View<'_>],
    way: &mut Way<'_, E>,
    tally: &mut Tally,
    starved: &mut ArrayVec<(u32, u8), 8>,
) -> usize {
    let mut sealed = 0;
    for view in views {
        match view {
            View::Packet { upstream, accepted, stored, report } => {
                let from = (*upstream, accepted.track, accepted.epoch);
                match downstream.forward(from, stored, way) {
                    Ok(Forwarded::NotMine) => continue,
                    Ok(Forwarded::Sent) => {}
                    Ok(Forwarded::Started) => {
                        if report.is_some_and(|report| downstream.report(*upstream, accepted.track, report, way)) {
                            tally.count(Counter::RtcpSent);
                        }
                    }
                    Err(reason) => {
                        tally.discard(reason);
                        let track = (from.0, from.1);
                        // Beyond the array's few, the next packet of the track brings the wish up again.
                        if reason == Discard::AwaitingKeyFrame && !starved.is_full() && !starved.contains(&track) {
                            starved.push(track);
                        }
                        continue;
                    }
                }
                tally.count(Counter::Forwarded);
                sealed += 1;
            }
            View::Report { upstream, track, report } => {
                if downstream.report(*upstream, *track, report, way) {
                    tally.count(Counter::RtcpSent);
                    sealed += 1;
                }
            }
        }
    }
    sealed
}
