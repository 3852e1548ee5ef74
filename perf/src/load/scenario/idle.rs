//! What connections cost that do nothing: a server's CPU time with very many of them, and whether they slow down others.
//!
//! Idle connections watch a channel whose publisher is silent, and keep their consent fresh. Two servers of the same kind
//! stand side by side, one with idle connections and one without, and a broadcast over each is measured in turns.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::{Outcome, Run};
use crate::client::{Direction, Publisher};
use crate::cpu_time::CpuTime;
use crate::load::compare::measure_one;
use crate::load::feedback::{Feedback, Reporter};
use crate::load::joining::{Crowd, join_all};
use crate::load::reactor::Reactor;
use crate::load::report::{Table, window_line};
use crate::load::rig::Rig;
use crate::load::setup::{Setup, Shape};
use crate::load::source::Source;
use crate::load::spread::Spread;
use crate::load::target::{Live, Target};
use crate::load::viewer::{Attention, Viewer};
use crate::load::window::Window;

/// What was found of one target.
struct Found {
    target: String,
    /// CPU time of the server with idle connections and without, nobody sending, of a core.
    idle_shares: [f64; 2],
    with: Option<Spread>,
    without: Option<Spread>,
    /// With over without, of each turn.
    ratio: Option<Spread>,
    /// The same when what the idle connections cost alone is taken off: what is left, they cost the others.
    rest_ratio: Option<Spread>,
}

/// So many idle connections against each target that can have them.
pub fn idle(run: &mut Run<'_>, connections: usize) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut all = Vec::new();
    for target in run.targets.clone().iter().filter(|target| !target.is_floor()) {
        let found = one(run, target, connections, &mut outcome)?;
        run.tell("idle", target, found.figures(connections));
        all.push(found);
    }
    outcome.table = table(&all);
    Ok(outcome)
}

fn one(run: &mut Run<'_>, target: &Target, connections: usize, outcome: &mut Outcome) -> Result<Found> {
    let wide = Setup { shape: Shape { rooms: 2, ..run.setup.shape }, ..run.setup.clone() };
    let live = Live::start(target, &wide)?;
    let mut crowd = crowd(&live, &wide, connections)?;
    eprintln!("{}: {connections} are idle", target.label);
    let pid = live.pid();
    let with_idle = Target { label: format!("{} with {connections} idle", target.label), ..target.clone() };
    let mut rigs = [Rig::over(live, &with_idle, &run.setup)?, Rig::with_publishers(target, &run.setup)?];
    let idle_shares = [
        share(pid, run.schedule.window, || crowd.run_until(Instant::now() + STEP, &mut || Ok(())))?,
        share(rigs[1].live.pid(), run.schedule.window, || rigs[1].rest(STEP))?,
    ];
    rigs.iter_mut().try_for_each(Rig::fill)?;
    let mut turns: Vec<[Option<Window>; 2]> = Vec::new();
    for turn in 0..run.schedule.alternations {
        let mut pair = [None, None];
        for (place, told) in pair.iter_mut().enumerate() {
            let window = measure_one(&mut rigs, place, run.schedule, &mut || crowd.keep_alive())?;
            (run.tell)(&window_line("idle", turn, &run.setup, &window, &run.bounds));
            let refusals = window.refusals(&run.bounds);
            outcome.fail(target, window.failures(&run.bounds));
            eprintln!("turn {} of {}: {:.0} ns a packet", turn + 1, window.target, window.cpu_ns_per_packet());
            *told = refusals.is_empty().then_some(window);
            outcome.refuse(target, refusals);
        }
        turns.push(pair);
    }
    rigs.into_iter().try_for_each(Rig::close)?;
    outcome.judge(&turns.iter().map(|[with, without]| with.as_ref().zip(without.as_ref())).collect::<Vec<_>>());
    Ok(Found::of(target, idle_shares, &turns))
}

/// Connections in the second room, whose publisher is silent.
fn crowd(live: &Live, wide: &Setup, connections: usize) -> Result<Reactor> {
    let mut crowd = Reactor::new(ROTATION)?;
    let source = wide.shape.publishers;
    let seat = wide.seat(Direction::Send, source);
    let publisher = Publisher::new(live.enter(&seat)?, &seat.offer)?;
    crowd.add_source(Source::new(publisher, wide.plans(source))?)?;
    let seats = vec![wide.seat(Direction::Receive, source); connections];
    let joiners = Crowd { joiners: wide.joiners, begin: &mut |_| Ok(()) };
    join_all(live, &seats, joiners, &mut crowd, |crowd, _, call| {
        let reporter = Reporter::new(Feedback::None, Instant::now(), 0.0);
        let viewer = Viewer::new(call?, 0, &crowd.sources[0], Attention::Counter, reporter);
        crowd.add_viewer(viewer)
    })?;
    Ok(crowd)
}

/// The server's share of a core while only `step` goes on.
fn share(pid: Option<u32>, length: Duration, mut step: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut cpu = CpuTime::of(pid)?;
    let (started, before) = (Instant::now(), cpu.so_far_ns()?);
    while started.elapsed() < length {
        step()?;
    }
    Ok(cpu.so_far_ns()?.saturating_sub(before) as f64 / started.elapsed().as_nanos() as f64)
}

impl Found {
    fn of(target: &Target, idle_shares: [f64; 2], turns: &[[Option<Window>; 2]]) -> Self {
        let costs = |place: usize| {
            Spread::of(turns.iter().filter_map(|pair| pair[place].as_ref()).map(Window::cpu_ns_per_packet))
        };
        let ratio = |own_share: f64| {
            Spread::of(turns.iter().filter_map(|pair| {
                let [Some(with), Some(without)] = pair else { return None };
                let of_the_others = 1.0 - own_share / with.server_share();
                Some(of_the_others * with.cpu_ns_per_packet() / without.cpu_ns_per_packet())
            }))
        };
        Self {
            target: target.label.clone(),
            idle_shares,
            with: costs(0),
            without: costs(1),
            ratio: ratio(0.0),
            rest_ratio: ratio(idle_shares[0]),
        }
    }

    fn figures(&self, connections: usize) -> serde_json::Value {
        json!({
            "connections": connections, "idleShare": self.idle_shares[0], "emptyShare": self.idle_shares[1],
            "cpuNsPerPacketWith": self.with, "cpuNsPerPacketWithout": self.without, "ratio": self.ratio, "ratioWithoutTheirOwn": self.rest_ratio,
        })
    }
}

fn table(all: &[Found]) -> String {
    let heads: Vec<String> = all.iter().map(|found| found.target.clone()).collect();
    let mut table = Table::new(&heads);
    let spread = |spread: &Option<Spread>, digits| spread.map_or_else(|| "-".to_owned(), |spread| spread.text(digits));
    table.row(
        "idle connections alone, % of a core",
        all.iter().map(|found| format!("{:.2}", 100.0 * found.idle_shares[0])),
    );
    table.row("without any, % of a core", all.iter().map(|found| format!("{:.2}", 100.0 * found.idle_shares[1])));
    table.row("CPU a packet with them, ns", all.iter().map(|found| spread(&found.with, 0)));
    table.row("CPU a packet without, ns", all.iter().map(|found| spread(&found.without, 0)));
    table.row("with over without", all.iter().map(|found| spread(&found.ratio, 3)));
    table.row("the same without their own cost", all.iter().map(|found| spread(&found.rest_ratio, 3)));
    table.text()
}

const STEP: Duration = Duration::from_millis(10);
/// Idle connections are visited rarely: consent is due every 2.5 s.
const ROTATION: Duration = Duration::from_millis(500);
