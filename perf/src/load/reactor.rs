//! The one thread of a load run: sends what the plan has due, and between two moments of the plan does everything else.
//!
//! It is punctual rather than thrifty: it sleeps towards the next planned time and spins over the last stretch, and nothing
//! it does beside the plan takes longer than a few tens of microseconds. Viewers are visited in turn, evenly over a
//! rotation: a visit reads what has arrived, renews consent and sends feedback that is due. Nobody waits on a viewer's
//! socket: on loopback the server's core would pay for each wake-up, which over a network it does not. Nothing is lost by
//! reading late, since each datagram has the kernel's receive timestamp (SO_TIMESTAMPNS).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use nix::sys::socket::{setsockopt, sockopt};

use super::delays::Delays;
use super::inbox::Inbox;
use super::source::Source;
use super::viewer::Viewer;
use crate::clock;

pub(super) struct Reactor {
    pub(super) sources: Vec<Source>,
    pub(super) viewers: Vec<Viewer>,
    /// What is due when, from the start of the plans: source and lane.
    queue: BinaryHeap<Reverse<(Duration, usize, usize)>>,
    /// The start of the plans, while they are followed.
    started: Option<Instant>,
    rotation: Rotation,
    patience: Patience,
    inbox: Inbox,
    /// Kernel receive time minus planned time.
    pub(super) delays: Delays,
    /// Actual minus planned send time.
    pub(super) lateness: Histogram<u64>,
    /// Time with nothing to do, slept or spun.
    pub(super) idle: Duration,
    /// Where making packets ready goes on.
    next_lane: usize,
}

/// How the reactor waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Sleeps as long as it may: others of this thread's core have work to do.
    Sleep,
    /// Spins over the last stretch before a planned time.
    Spin,
}

/// Who is visited next: first the sources, then the viewers, again and again.
struct Rotation {
    started: Instant,
    interval: Duration,
    visited: usize,
}

impl Reactor {
    /// Everybody is visited once in this time.
    pub(super) fn new(interval: Duration) -> Result<Self> {
        Ok(Self {
            sources: Vec::new(),
            viewers: Vec::new(),
            queue: BinaryHeap::new(),
            started: None,
            rotation: Rotation { started: Instant::now(), interval, visited: 0 },
            patience: Patience::Sleep,
            inbox: Inbox::default(),
            delays: Delays::new()?,
            lateness: histogram()?,
            idle: Duration::ZERO,
            next_lane: 0,
        })
    }

    pub(super) fn add_source(&mut self, mut source: Source) -> Result<()> {
        let number = self.sources.len();
        for lane in 0..source.lanes.len() {
            self.queue.push(Reverse((source.next_at(lane)?, number, lane)));
        }
        self.sources.push(source);
        Ok(())
    }

    pub(super) fn add_viewer(&mut self, mut viewer: Viewer) -> Result<()> {
        setsockopt(viewer.call.socket(), sockopt::ReceiveTimestampns, &true)?;
        let (now, now_ns) = (Instant::now(), clock::unix_ns());
        for datagram in viewer.call.take_early() {
            viewer.accept(now, &datagram, now_ns);
        }
        self.sources[viewer.source].audience += 1;
        self.viewers.push(viewer);
        Ok(())
    }

    /// Takes a viewer out, for it to leave.
    pub(super) fn remove_viewer(&mut self, place: usize) -> Viewer {
        let viewer = self.viewers.swap_remove(place);
        self.sources[viewer.source].audience -= 1;
        viewer
    }

    /// Follows the plans, from where they stopped, until `pause`.
    pub(super) fn resume(&mut self) -> Result<()> {
        let Reverse((earliest, _, _)) = *self.queue.peek().context("nothing to send")?;
        let start = Instant::now() + LEAD;
        self.started = Some(start.checked_sub(earliest).unwrap_or(start));
        Ok(())
    }

    pub(super) fn pause(&mut self) {
        self.started = None;
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// From here on packets are measured, until `close_window`.
    pub(super) fn open_window(&mut self) {
        self.sources.iter_mut().for_each(Source::open_window);
        self.delays.reset();
        self.lateness.reset();
        self.idle = Duration::ZERO;
    }

    pub(super) fn close_window(&mut self) {
        self.sources.iter_mut().for_each(Source::close_window);
    }

    /// Works until `deadline`. While nothing is due, `aside` is called now and then; it must be brief.
    pub(super) fn run_until(&mut self, deadline: Instant, aside: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let mut next_aside = Instant::now();
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Ok(());
            }
            if self.send_due(now)? {
                continue;
            }
            let next_send = self.next_send().unwrap_or(deadline);
            if next_send.saturating_duration_since(now) > BRIEF && (self.make_ready()? || self.visit_due(now)?) {
                continue;
            }
            if next_send.saturating_duration_since(now) > BRIEF && now >= next_aside {
                aside()?;
                next_aside = now + ASIDE_INTERVAL;
                continue;
            }
            self.wait(now, next_send.min(deadline));
        }
    }

    /// One brief step for a reactor that is not running: one visit, so that its calls stay alive.
    pub(super) fn keep_alive(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.rotation.is_due(now, self.sources.len() + self.viewers.len()) {
            self.visit_next(now)?;
        }
        Ok(())
    }

    /// Sends what is due; returns whether anything was.
    fn send_due(&mut self, now: Instant) -> Result<bool> {
        let (Some(started), Some(Reverse((at, source, lane)))) = (self.started, self.queue.peek().copied()) else {
            return Ok(false);
        };
        let planned = started + at;
        if planned > now {
            return Ok(false);
        }
        let late_ns = (now - planned).as_nanos() as u64;
        self.sources[source].send(lane, clock::unix_ns().saturating_sub(late_ns))?;
        self.lateness.saturating_record(late_ns);
        self.queue.pop();
        self.queue.push(Reverse((self.sources[source].next_at(lane)?, source, lane)));
        Ok(true)
    }

    fn next_send(&self) -> Option<Instant> {
        let Reverse((at, _, _)) = self.queue.peek()?;
        self.started.map(|started| started + *at)
    }

    /// Seals one packet ahead of its time, if any lane lacks one.
    fn make_ready(&mut self) -> Result<bool> {
        for _ in 0..self.sources.len() {
            self.next_lane = (self.next_lane + 1) % self.sources.len();
            let source = &mut self.sources[self.next_lane];
            for lane in 0..source.lanes.len() {
                if source.make_more_ready(lane)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn visit_due(&mut self, now: Instant) -> Result<bool> {
        let is_due = self.rotation.is_due(now, self.sources.len() + self.viewers.len());
        if is_due {
            self.visit_next(now)?;
        }
        Ok(is_due)
    }

    /// Visits whoever is next. One that has more to read is visited again before the next one.
    fn visit_next(&mut self, now: Instant) -> Result<()> {
        let place = self.rotation.visited;
        if place < self.sources.len() {
            self.sources[place].publisher.serve(now)?;
        } else if self.read_viewer(now, place - self.sources.len())? == DATAGRAMS_A_SLICE {
            return Ok(());
        }
        self.rotation.visited += 1;
        Ok(())
    }

    /// Reads one slice and returns how many datagrams it had.
    fn read_viewer(&mut self, now: Instant, place: usize) -> Result<usize> {
        let viewer = &mut self.viewers[place];
        let source = &self.sources[viewer.source];
        for read in 0..DATAGRAMS_A_SLICE {
            let Some((datagram, received_ns)) = self.inbox.receive(viewer.call.socket())? else {
                viewer.settle_down()?;
                viewer.tick(now, source)?;
                return Ok(read);
            };
            let Some(packet) = viewer.accept(now, datagram, received_ns) else { continue };
            if let Some(planned_ns) = source.lanes[packet.lane].planned_ns.get(packet.index as usize) {
                let delay_ns = received_ns.saturating_sub(*planned_ns);
                viewer.note_delay(delay_ns);
                if viewer.is_measured && source.lanes[packet.lane].window.contains(&packet.index) {
                    self.delays.record(*planned_ns, delay_ns);
                }
            }
        }
        Ok(DATAGRAMS_A_SLICE)
    }

    /// Nothing is due before `next`, but visits.
    fn wait(&mut self, now: Instant, next: Instant) {
        let visit = self.rotation.next(self.sources.len() + self.viewers.len()).max(now + VISITS_GATHERED);
        let margin = match self.patience {
            Patience::Sleep => Duration::ZERO,
            Patience::Spin => SPIN,
        };
        let wake = visit.min(next.checked_sub(margin).unwrap_or(now));
        let sleep = wake.saturating_duration_since(now);
        if sleep > Duration::from_micros(20) {
            std::thread::sleep(sleep);
        } else {
            (0..SPINS).for_each(|_| std::hint::spin_loop());
        }
        self.idle += now.elapsed();
    }
}

impl Rotation {
    /// Whether the next visit is due; begins the next round when its time has come.
    fn is_due(&mut self, now: Instant, guests: usize) -> bool {
        if self.visited >= guests {
            if now < self.started + self.interval {
                return false;
            }
            (self.started, self.visited) = (now, 0);
        }
        guests > 0 && now >= self.next(guests)
    }

    fn next(&self, guests: usize) -> Instant {
        let share = self.visited.min(guests) as f64 / guests.max(1) as f64;
        self.started + self.interval.mul_f64(share)
    }
}

/// Nanoseconds up to a minute, three digits.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// Time between the order to send and the first packet.
const LEAD: Duration = Duration::from_millis(1);
/// What is begun within this time of a planned packet could make it late.
const BRIEF: Duration = Duration::from_micros(50);
/// The stretch that is spun over: a core that sleeps may take as long to wake up.
const SPIN: Duration = Duration::from_micros(200);
const SPINS: usize = 16;
/// Visits may be late by this much, so that not each of them ends a sleep.
const VISITS_GATHERED: Duration = Duration::from_micros(500);
const ASIDE_INTERVAL: Duration = Duration::from_micros(200);
const DATAGRAMS_A_SLICE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_visits_everybody_once_and_evenly() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut rotation = Rotation { started: start, interval: Duration::from_millis(100), visited: 0 };
        assert!(rotation.is_due(at(0), 4));
        rotation.visited = 1;
        assert!(!rotation.is_due(at(24), 4) && rotation.is_due(at(25), 4));
        rotation.visited = 4;
        assert!(!rotation.is_due(at(99), 4) && rotation.is_due(at(100), 4));
        assert_eq!(rotation.visited, 0);
        assert!(!rotation.is_due(at(300), 0));
    }
}
