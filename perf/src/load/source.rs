//! A publisher on its plan: what it sends is sealed ahead of time, so that sending is one call into the kernel.
//!
//! A lane is one stream: its plan, the packets that are ready, and when each packet that went was planned. Only what the
//! next moment of the plan holds is made ready, or a key frame that is asked for would come late.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::plan::{Plan, Planned};
use crate::client::Publisher;

pub(super) struct Source {
    pub(super) publisher: Publisher,
    pub(super) lanes: Vec<Lane>,
    /// Viewers who watch it.
    pub(super) audience: u64,
}

/// One stream of a publisher.
pub(super) struct Lane {
    plan: Plan,
    ready: VecDeque<Ready>,
    /// Whether the frame that is being made ready is a key frame.
    key: bool,
    /// Planned send times of all that went, by index and by the wall clock: what delay is counted from.
    pub(super) planned_ns: Vec<u64>,
    /// Packets with an index in this range are measured.
    pub(super) window: Range<u64>,
}

struct Ready {
    planned: Planned,
    datagram: Vec<u8>,
}

impl Source {
    /// The publisher's tracks on these plans, in the same order.
    pub(super) fn new(publisher: Publisher, plans: Vec<Plan>) -> Result<Self> {
        anyhow::ensure!(publisher.tracks.len() == plans.len(), "{} tracks were agreed on", publisher.tracks.len());
        let lane = |plan| Lane { plan, ready: VecDeque::new(), key: false, planned_ns: Vec::new(), window: 0..0 };
        Ok(Self { publisher, lanes: plans.into_iter().map(lane).collect(), audience: 0 })
    }

    /// When the next packet of a lane is to go, from the start of its plan.
    pub(super) fn next_at(&mut self, lane: usize) -> Result<Duration> {
        self.make_ready(lane)?;
        Ok(self.lanes[lane].ready.front().context("an empty plan")?.planned.at)
    }

    /// Sends the next packet of a lane, which was planned for this time.
    pub(super) fn send(&mut self, lane: usize, planned_ns: u64) -> Result<()> {
        self.make_ready(lane)?;
        let lane = &mut self.lanes[lane];
        let Ready { datagram, .. } = lane.ready.pop_front().context("an empty plan")?;
        lane.planned_ns.push(planned_ns);
        self.publisher.call.send_sealed(&datagram)
    }

    /// Seals what the lane's next moment holds, one packet a call. Returns whether there was anything to do.
    pub(super) fn make_more_ready(&mut self, lane: usize) -> Result<bool> {
        let ready = &self.lanes[lane].ready;
        let at = |ready: Option<&Ready>| ready.map(|ready| ready.planned.at);
        let has_all = ready.len() >= READY_MAX || ready.len() > 1 && at(ready.front()) != at(ready.back());
        if !has_all {
            self.seal_next(lane)?;
        }
        Ok(!has_all)
    }

    /// Packets that went, by lane.
    pub(super) fn sent(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().map(|lane| lane.planned_ns.len() as u64)
    }

    pub(super) fn open_window(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.window = lane.planned_ns.len() as u64..u64::MAX);
    }

    pub(super) fn close_window(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.window.end = lane.planned_ns.len() as u64);
    }

    /// Packets of the window.
    pub(super) fn measured(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.window.end.saturating_sub(lane.window.start)).sum()
    }

    fn make_ready(&mut self, lane: usize) -> Result<()> {
        if self.lanes[lane].ready.is_empty() { self.seal_next(lane) } else { Ok(()) }
    }

    fn seal_next(&mut self, place: usize) -> Result<()> {
        let lane = &mut self.lanes[place];
        let planned = lane.plan.next_packet();
        if planned.start {
            lane.key = self.publisher.key_frame_due(place);
        }
        // The moment itself is known only when the packet goes; delay is counted by its index.
        let datagram = self.publisher.seal_packet(place, planned.position(lane.key), planned.len, 0)?;
        lane.ready.push_back(Ready { planned, datagram });
        Ok(())
    }
}

/// More than any burst holds.
const READY_MAX: usize = 64;
