//! A target with everybody in their seats, to be measured window by window.
//!
//! Joins happen while media flows, as they do in life. Then the publishers fall silent until nothing is on its way, the
//! account is opened, and a window may come: publishers start, warm up, are measured, fall silent again. So loss is exact
//! over all that was sent between two silences; delay and CPU time are those of the window alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use super::feedback::Reporter;
use super::filter::Sampling;
use super::joining::{Crowd, join_all, reschedule};
use super::reactor::{Patience, Reactor, histogram};
use super::setup::{Receivers, Seat, Setup};
use super::source::Source;
use super::tally::Tally;
use super::target::{Live, Target};
use super::viewer::{Attention, Viewer};
use super::window::{Edge, Window};
use crate::client::{Call, Publisher};
use crate::cpu_time::CpuTime;
use crate::machine::{self, Policy};
use crate::standstill::Watch;
use crate::usage::{self, Usage};

pub struct Rig {
    pub(super) target: Target,
    pub(super) setup: Setup,
    pub(super) live: Live,
    pub(super) reactor: Reactor,
    pub(super) joins: Joins,
    /// What viewers who join from now on are.
    pub(super) newcomers: Newcomers,
    /// Viewers who were given a number so far.
    pub(super) numbered: usize,
    /// When the account was opened: the machine's overruns, and drops at sockets that are not our viewers'.
    overruns_before: u64,
    others_drops_before: u64,
}

/// What a viewer who joins is for the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newcomers {
    /// Their delays are recorded, and they must succeed.
    Watchers,
    /// Their delays are their own; those who fail are counted.
    Crowd,
}

/// What joins took, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Joins {
    pub http: Histogram<u64>,
    pub ice: Histogram<u64>,
    pub dtls: Histogram<u64>,
    /// From the first request to the first packet of media, and to the start of the first key frame.
    pub first_packet: Histogram<u64>,
    pub first_key: Histogram<u64>,
    /// Joins that failed, where that was allowed.
    pub failed: u64,
    /// What each viewer added to the server's resident memory.
    pub server_bytes_per_viewer: u64,
}

impl Rig {
    /// Starts the target and takes every seat.
    pub fn open(target: &Target, setup: &Setup) -> Result<Self> {
        let mut rig = Self::with_publishers(target, setup)?;
        rig.fill()?;
        Ok(rig)
    }

    /// Everybody takes a seat while media flows; then it stops.
    pub(super) fn fill(&mut self) -> Result<()> {
        self.reactor.resume()?;
        let before = self.usage()?;
        let seats = self.setup.watching_seats();
        self.seat_quietly(&seats)?;
        self.wait_until_known()?;
        let grown = self.usage()?.resident_bytes.saturating_sub(before.resident_bytes);
        self.joins.server_bytes_per_viewer = grown / (seats.len() as u64).max(1);
        self.reactor.pause();
        self.rest(QUIET)?;
        self.note_first_packets(|_| true);
        Ok(())
    }

    /// Forgets how those joined who are there already.
    pub(super) fn forget_joins(&mut self) -> Result<()> {
        self.joins = Joins { server_bytes_per_viewer: self.joins.server_bytes_per_viewer, ..Joins::none()? };
        Ok(())
    }

    /// Starts the target; its publishers join and are silent.
    pub(super) fn with_publishers(target: &Target, setup: &Setup) -> Result<Self> {
        Self::over(Live::start(target, setup)?, target, setup)
    }

    /// The same over a target that is up already.
    pub(super) fn over(live: Live, target: &Target, setup: &Setup) -> Result<Self> {
        if let (Policy::RealTime, Some(pid)) = (setup.policy, live.pid()) {
            machine::schedule_process(Policy::RealTime, pid)?;
        }
        let reactor = Reactor::new(match setup.receivers {
            Receivers::Filter => ROTATION_OF_SAMPLERS,
            Receivers::Read => ROTATION_OF_READERS,
        })?;
        let joins = Joins::none()?;
        let (target, setup) = (target.clone(), setup.clone());
        let (numbered, overruns_before, others_drops_before, newcomers) = (0, 0, 0, Newcomers::Watchers);
        let mut rig =
            Self { target, setup, live, reactor, joins, newcomers, numbered, overruns_before, others_drops_before };
        rig.add_publishers(&rig.setup.clone())?;
        Ok(rig)
    }

    /// Lets the publishers of a setup join whom there are not yet, by their number.
    pub(super) fn add_publishers(&mut self, setup: &Setup) -> Result<()> {
        let present = self.reactor.sources.len();
        for seat in setup.publishing_seats().into_iter().skip(present) {
            let mut publisher = Publisher::new(self.live.enter(&seat)?, &seat.offer)?;
            publisher.shift_reports(spread_phase(seat.source));
            self.reactor.add_source(Source::new(publisher, setup.plans(seat.source))?)?;
        }
        Ok(())
    }

    /// Takes these seats while the reactor goes on.
    pub(super) fn seat_viewers(&mut self, seats: &[Seat], crowd: Crowd<'_>) -> Result<()> {
        self.reactor.set_patience(Patience::Sleep);
        let Self { live, reactor, setup, joins, numbered, newcomers, .. } = self;
        join_all(live, seats, crowd, reactor, |reactor, number, call| {
            let call = match call {
                Err(_) if *newcomers == Newcomers::Crowd => {
                    joins.failed += 1;
                    return Ok(());
                }
                call => call?,
            };
            joins.note(&call);
            let mut viewer = viewer(setup, reactor, *numbered, &seats[number], call);
            viewer.is_measured = *newcomers == Newcomers::Watchers;
            *numbered += 1;
            reactor.add_viewer(viewer)
        })
    }

    /// The same, as many at a time as the setup says.
    pub(super) fn seat_quietly(&mut self, seats: &[Seat]) -> Result<()> {
        let joiners = self.setup.joiners;
        self.seat_viewers(seats, Crowd { joiners, begin: &mut |_| Ok(()) })
    }

    /// Opens the account, if nothing is on its way.
    pub(super) fn open_account(&mut self) -> Result<()> {
        let own = self.addresses()?;
        let drops = usage::udp_drops(&own)?;
        self.overruns_before = usage::udp_overruns()?;
        self.others_drops_before = drops_elsewhere(&drops, &own);
        let Reactor { viewers, sources, .. } = &mut self.reactor;
        for viewer in viewers {
            let dropped = drops.get(&viewer.address()?).copied();
            viewer.open_account(sources[viewer.source].sent(), dropped.unwrap_or_default());
        }
        Ok(())
    }

    /// What became of all that was sent since. The publishers must be silent.
    pub(super) fn tally(&self, whose: impl Fn(&Viewer) -> bool) -> Result<Tally> {
        let own = self.addresses()?;
        let drops = usage::udp_drops(&own)?;
        let mut tally = Tally::default();
        for viewer in self.reactor.viewers.iter().filter(|viewer| whose(viewer)) {
            let dropped = drops.get(&viewer.address()?).copied();
            tally.add(viewer.tally(self.reactor.sources[viewer.source].sent(), dropped.unwrap_or_default()));
        }
        // A server's socket has no filter: what is dropped there is an overrun, and none of ours.
        let elsewhere = drops_elsewhere(&drops, &own).saturating_sub(self.others_drops_before);
        let overruns = usage::udp_overruns()?.saturating_sub(self.overruns_before);
        Ok(tally.with_overruns(overruns.saturating_sub(elsewhere)))
    }

    /// Where the kernel counts our viewers' drops.
    fn addresses(&self) -> Result<HashSet<SocketAddr>> {
        self.reactor.viewers.iter().map(Viewer::address).collect()
    }

    /// Waits until everything has arrived, or nothing more does, and closes the account.
    pub(super) fn settle(&mut self, whose: impl Fn(&Viewer) -> bool) -> Result<Tally> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            self.rest(QUIET)?;
            let tally = self.tally(&whose)?;
            if tally.lost() == 0 || Instant::now() > deadline {
                return Ok(tally);
            }
        }
    }

    /// Warm-up, window, silence. `aside` keeps whoever else is connected alive.
    pub fn measure(
        &mut self,
        warm_up: Duration,
        length: Duration,
        aside: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Window> {
        self.open_account()?;
        let forwarded = self.live.metrics().sum("tidewire_rtp_forwarded");
        self.reactor.set_patience(Patience::Spin);
        let (pid, watch) = (self.live.pid(), self.watch()?);
        let mut cpu = CpuTime::of(pid)?;
        reschedule(self.setup.policy, self.setup.policy)?;
        self.reactor.resume()?;
        self.reactor.run_until(Instant::now() + warm_up, aside)?;
        // The longest turn is told since it was last asked for.
        self.live.metrics();
        let before = Edge::now(pid, &mut cpu)?;
        self.reactor.open_window();
        self.reactor.run_until(Instant::now() + length, aside)?;
        self.reactor.close_window();
        let after = Edge::now(pid, &mut cpu)?;
        let idle = self.reactor.idle;
        let stall_ns = self.live.metrics().max("tidewire_turn_nanoseconds_max");
        self.reactor.pause();
        let standstills = watch.map(Watch::end).transpose()?;
        reschedule(self.setup.policy, Policy::Ordinary)?;
        let tally = self.settle(|_| true)?;
        let forwarded = self.live.metrics().sum("tidewire_rtp_forwarded") - forwarded;
        let mut window = Window::between(self, &before, &after, idle, tally);
        (window.stall_ns, window.forwarded_by_server) = (stall_ns, forwarded as u64);
        window.calm = standstills.map(|found| self.reactor.delays.calm(&found));
        Ok(window)
    }

    /// A watch over the cores of server and tool, for a run in real time.
    pub(super) fn watch(&self) -> Result<Option<Watch>> {
        if self.setup.policy != Policy::RealTime {
            return Ok(None);
        }
        let cores: BTreeSet<usize> = self.setup.server_core.into_iter().chain(machine::own_core()?).collect();
        Ok(Some(Watch::begin(cores)))
    }

    /// Everybody leaves in good order if the target stays; else it ends with this.
    pub fn close(self) -> Result<()> {
        if self.live.outlives_us() {
            for viewer in self.reactor.viewers {
                viewer.call.leave()?;
            }
            for source in self.reactor.sources {
                source.publisher.leave()?;
            }
        }
        Ok(())
    }

    /// Keeps the calls alive for this long, sending nothing.
    pub(super) fn rest(&mut self, length: Duration) -> Result<()> {
        self.reactor.run_until(Instant::now() + length, &mut || Ok(()))
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        self.live.pid().map_or(Ok(Usage::default()), Usage::of)
    }

    /// Goes on until every viewer has heard every stream.
    fn wait_until_known(&mut self) -> Result<()> {
        let deadline = Instant::now() + KNOWN_MAX;
        while !self.reactor.viewers.iter().all(Viewer::is_settled) {
            ensure!(Instant::now() < deadline, "{}: some viewer heard nothing for {KNOWN_MAX:?}", self.target.label);
            self.rest(QUIET)?;
        }
        Ok(())
    }

    /// Notes when these viewers heard something first.
    pub(super) fn note_first_packets(&mut self, of: impl Fn(&Viewer) -> bool) {
        for viewer in self.reactor.viewers.iter().filter(|viewer| of(viewer)) {
            let since = |at: u64| at.saturating_sub(viewer.call.started_ns);
            viewer.first_ns.into_iter().for_each(|at| self.joins.first_packet.saturating_record(since(at)));
            viewer.first_key_ns.into_iter().for_each(|at| self.joins.first_key.saturating_record(since(at)));
        }
    }
}

impl Joins {
    fn none() -> Result<Self> {
        Ok(Self {
            http: histogram()?,
            ice: histogram()?,
            dtls: histogram()?,
            first_packet: histogram()?,
            first_key: histogram()?,
            failed: 0,
            server_bytes_per_viewer: 0,
        })
    }

    fn note(&mut self, call: &Call) {
        let times = call.join_times;
        self.http.saturating_record(times.http.as_nanos() as u64);
        self.ice.saturating_record(times.ice.as_nanos() as u64);
        self.dtls.saturating_record(times.dtls.as_nanos() as u64);
    }
}

/// Drops at all sockets of the machine but our viewers'.
fn drops_elsewhere(drops: &HashMap<SocketAddr, u64>, own: &HashSet<SocketAddr>) -> u64 {
    drops.iter().filter(|(address, _)| !own.contains(address)).map(|(_, drops)| drops).sum()
}

fn viewer(setup: &Setup, reactor: &Reactor, number: usize, seat: &Seat, call: Call) -> Viewer {
    let attention = match setup.receivers {
        _ if number < setup.witnesses => Attention::Witness,
        Receivers::Filter => Attention::Sampler(Sampling::of_viewer(number)),
        Receivers::Read => Attention::Counter,
    };
    let reporter = Reporter::new(setup.feedback, Instant::now(), spread_phase(number));
    Viewer::new(call, seat.source, &reactor.sources[seat.source], attention, reporter)
}

/// A phase, from 0 to 1, for each number, so that any number of them is spread evenly: by the golden ratio.
fn spread_phase(number: usize) -> f64 {
    number as f64 * 0.618_033_988_75 % 1.0
}

/// How long nothing must come until nothing is on its way.
const QUIET: Duration = Duration::from_millis(60);
/// A server that queues for longer than this has lost the packets as far as a viewer can tell.
const SETTLE_MAX: Duration = Duration::from_secs(2);
const KNOWN_MAX: Duration = Duration::from_secs(15);
/// Readers are visited often, or what they have not read yet grows out of the processor's caches.
const ROTATION_OF_READERS: Duration = Duration::from_millis(10);
const ROTATION_OF_SAMPLERS: Duration = Duration::from_millis(50);
