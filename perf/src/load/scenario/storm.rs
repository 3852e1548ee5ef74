//! A storm of joins: some watch, then very many join at once by real handshakes.
//!
//! Asked is what the watchers notice (loss, delay) until every newcomer has a key frame, and how long that takes. The joins
//! run on the tool's core; where they filled it, the time until all are in is the tool's as much as the server's, and the
//! line says so.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde_json::json;

use super::{KEY_FRAMES_MAX, Outcome, Run, nothing, while_joining};
use crate::clock;
use crate::cpu_time::CpuTime;
use crate::load::joining::{Crowd, reschedule};
use crate::load::reactor::Reactor;
use crate::load::report::{Points, Table, calm, curve, joins, merge};
use crate::load::rig::{Newcomers, Rig};
use crate::load::setup::Setup;
use crate::load::spread::Spread;
use crate::load::tally::Tally;
use crate::load::target::Target;
use crate::load::viewer::Viewer;
use crate::load::window::{Edge, Window};
use crate::machine::Policy;
use crate::standstill::Watch;

/// What one storm did.
struct Storm {
    before: Window,
    /// What the watchers noticed, and what the newcomers lost.
    during: Window,
    newcomers: Tally,
    /// What the watchers noticed until the last newcomer had keys, as long as most do not get media.
    joining: Histogram<u64>,
    /// From the first request to the last newcomer's keys, and to the last one's key frame.
    joined: Duration,
    all_have_key_frames: Option<Duration>,
}

/// The storms against one target, one a turn; those that were refused are `None`.
struct Storms {
    target: Target,
    turns: Vec<Option<Storm>>,
}

/// Storms against each target in turns.
pub fn storm(run: &mut Run<'_>, newcomers: usize) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut all: Vec<Storms> =
        run.targets.iter().map(|target| Storms { target: target.clone(), turns: Vec::new() }).collect();
    for turn in 0..run.schedule.alternations {
        for Storms { target, turns } in &mut all {
            let storm = one(run, target, newcomers)?;
            outcome.fail(target, storm.failures(run));
            let refusals = storm.refusals(run);
            let mut line = json!({ "turn": turn });
            merge(
                &mut line,
                if refusals.is_empty() { storm.figures(newcomers) } else { json!({ "refused": refusals }) },
            );
            run.tell("storm", target, line);
            eprintln!("turn {} of {}: {}", turn + 1, target.label, storm.digest());
            turns.push(refusals.is_empty().then_some(storm));
            outcome.refuse(target, refusals);
        }
    }
    all.iter().for_each(|storms| outcome.judge(&storms.turns));
    outcome.table = table(&all);
    Ok(outcome)
}

fn one(run: &Run<'_>, target: &Target, count: usize) -> Result<Storm> {
    // A storm is short: its tail needs every packet of every watcher.
    let watchers = run.setup.shape.watching();
    let mut rig = Rig::open(target, &Setup { witnesses: watchers, ..run.setup.clone() })?;
    eprintln!("{}: {watchers} watch", target.label);
    let before = rig.measure(run.schedule.warm_up, run.schedule.window, &mut nothing)?;
    rig.open_account()?;
    let forwarded = rig.live.metrics().sum("tidewire_rtp_forwarded");
    rig.newcomers = Newcomers::Crowd;
    rig.forget_joins()?;
    rig.reactor.resume()?;
    rig.reactor.run_until(Instant::now() + run.schedule.warm_up, &mut nothing)?;
    rig.live.metrics();
    let seats: Vec<_> = (watchers..watchers + count).map(|number| run.setup.watching_seat(number)).collect();
    let (pid, policy) = (rig.live.pid(), run.setup.policy);
    let mut cpu = CpuTime::of(pid)?;
    let mut begun = None;
    let watch = rig.watch()?;
    let begin = &mut |reactor: &mut Reactor| {
        // The threads are there already, and so do not inherit it.
        reschedule(policy, policy)?;
        reactor.run_until(Instant::now() + CALM, &mut nothing)?;
        begun = Some((Edge::now(pid, &mut cpu)?, Instant::now(), clock::unix_ns()));
        reactor.open_window();
        Ok(())
    };
    rig.seat_viewers(&seats, Crowd { joiners: count.min(JOINERS_MAX), begin })?;
    let (edge, started, started_ns) = begun.context("nobody joined")?;
    let joined = started.elapsed();
    eprintln!("{}: {count} have keys after {joined:.2?}", target.label);
    wait_for_key_frames(&mut rig)?;
    rig.reactor.close_window();
    let (after, idle) = (Edge::now(pid, &mut cpu)?, rig.reactor.idle);
    let stall_ns = rig.live.metrics().max("tidewire_turn_nanoseconds_max");
    rig.reactor.pause();
    let standstills = watch.map(Watch::end).transpose()?;
    reschedule(policy, Policy::Ordinary)?;
    let tally = rig.settle(|viewer| viewer.is_measured)?;
    // Only now has everything of the window been read.
    let joining = rig.reactor.delays.before(started_ns + joined.as_nanos() as u64);
    let calm = standstills.map(|found| rig.reactor.delays.calm(&found));
    let newcomers = rig.tally(|viewer| !viewer.is_measured)?;
    let forwarded = rig.live.metrics().sum("tidewire_rtp_forwarded") - forwarded;
    rig.note_first_packets(|viewer| !viewer.is_measured);
    let all_have_key_frames = last_key_frame_ns(&rig).map(|at| Duration::from_nanos(at.saturating_sub(started_ns)));
    let forwarded_by_server = forwarded as u64;
    let during = Window { stall_ns, forwarded_by_server, calm, ..Window::between(&rig, &edge, &after, idle, tally) };
    rig.close()?;
    Ok(Storm { before, during, newcomers, joining, joined, all_have_key_frames })
}

fn wait_for_key_frames(rig: &mut Rig) -> Result<()> {
    let deadline = Instant::now() + KEY_FRAMES_MAX;
    while last_key_frame_ns(rig).is_none() && Instant::now() < deadline {
        rig.rest(Duration::from_millis(20))?;
    }
    Ok(())
}

/// When the last viewer's first key frame came; `None` while one has none.
fn last_key_frame_ns(rig: &Rig) -> Option<u64> {
    let firsts = rig.reactor.viewers.iter().map(|viewer: &Viewer| viewer.first_key_ns);
    firsts.collect::<Option<Vec<u64>>>()?.into_iter().max()
}

impl Storm {
    fn failures(&self, run: &Run<'_>) -> Vec<String> {
        let mut failures = self.before.failures(&run.bounds);
        failures.extend(self.during.failures(&while_joining(&run.bounds)));
        failures.extend((self.during.joins.failed > 0).then(|| format!("{} joins failed", self.during.joins.failed)));
        failures
    }

    fn refusals(&self, run: &Run<'_>) -> Vec<String> {
        let mut refusals = self.before.refusals(&run.bounds);
        // The joins are the tool's own work: being busy with them is the point.
        let idle = Window { tool_busy: 0.0, ..self.during.clone() };
        refusals.extend(idle.refusals(&while_joining(&run.bounds)));
        refusals
    }

    /// One line for people.
    fn digest(&self) -> String {
        let [before, joining, during] =
            [&self.before.delays, &self.joining, &self.during.delays].map(|delays| Points::of(delays).p99);
        let late = Points::of(&self.during.lateness).p99;
        format!(
            "watchers' p99 {before:.0} us before, {joining:.0} until all have keys, {during:.0} until all have key frames; the publishers' own lateness {late:.0}"
        )
    }

    fn figures(&self, newcomers: usize) -> serde_json::Value {
        let during = &self.during;
        json!({
            "watchers": self.before.viewers, "newcomers": newcomers,
            "joinedMs": ms(self.joined), "allHaveKeyFramesMs": self.all_have_key_frames.map(ms),
            "before": { "delayUs": Points::of(&self.before.delays), "calm": self.before.calm.as_ref().map(calm), "loss": self.before.tally.loss() },
            "during": { "delayUs": Points::of(&during.delays), "calm": during.calm.as_ref().map(calm), "loss": during.tally.loss(), "latenessUs": Points::of(&during.lateness) },
            "joining": { "delayUs": Points::of(&self.joining) },
            "delayCurveBeforeUs": curve(&self.before.delays), "delayCurveUs": curve(&during.delays),
            "failedJoins": during.joins.failed, "watchersTally": during.tally, "newcomersTally": self.newcomers, "newcomersLost": self.newcomers.lost(),
            "forwardedByServer": during.forwarded_by_server, "joins": joins(&during.joins), "stallMs": during.stall_ns.map(|ns| ns / 1e6),
            "serverShare": during.server_share(), "toolShare": during.tool_cpu_s / during.seconds,
        })
    }
}

fn table(all: &[Storms]) -> String {
    let heads: Vec<String> = all.iter().map(|storms| storms.target.label.clone()).collect();
    let mut table = Table::new(&heads);
    let mut row = |name: &str, digits: usize, of: &dyn Fn(&Storm) -> f64| {
        let known = |storms: &Storms| {
            let values = storms.turns.iter().flatten().map(of);
            Spread::text_of(values.filter(|value| !value.is_nan()), digits)
        };
        table.row(name, all.iter().map(known));
    };
    let p99 = |window: &Window| Points::of(&window.delays).p99;
    row("all have keys after, ms", 0, &|storm| ms(storm.joined));
    // Never is never, also of several.
    row("all have key frames after, ms", 0, &|storm| storm.all_have_key_frames.map_or(f64::INFINITY, ms));
    row("join to first key frame p99, ms", 0, &|storm| Points::of(&storm.during.joins.first_key).p99 / 1e3);
    row("watchers' delay p50 before, us", 0, &|storm| Points::of(&storm.before.delays).p50);
    row("p50 until all have keys, us", 0, &|storm| Points::of(&storm.joining).p50);
    row("p50 until all have key frames, us", 0, &|storm| Points::of(&storm.during.delays).p50);
    row("watchers' delay p99 before, us", 0, &|storm| p99(&storm.before));
    row("p99 until all have keys, us", 0, &|storm| Points::of(&storm.joining).p99);
    row("the same over before", 2, &|storm| Points::of(&storm.joining).p99 / p99(&storm.before));
    row("p99 until all have key frames, us", 0, &|storm| p99(&storm.during));
    row("the same over before", 2, &|storm| p99(&storm.during) / p99(&storm.before));
    let undisturbed = |window: &Window| window.calm_delays().p99;
    row("undisturbed p99 before, us", 0, &|storm| undisturbed(&storm.before));
    row("undisturbed until key frames, us", 0, &|storm| undisturbed(&storm.during));
    row("the same over before", 2, &|storm| undisturbed(&storm.during) / undisturbed(&storm.before));
    row("cores stood still, ms a second", 1, &|storm| storm.during.stood_ms_a_second());
    row("own lateness p99 during, us", 0, &|storm| Points::of(&storm.during.lateness).p99);
    row("watchers' loss before, %", 4, &|storm| 100.0 * storm.before.tally.loss());
    row("watchers' loss during, %", 4, &|storm| 100.0 * storm.during.tally.loss());
    row("joins that failed", 0, &|storm| storm.during.joins.failed as f64);
    row("packets that newcomers lost", 0, &|storm| storm.newcomers.lost() as f64);
    row("server CPU during, % of a core", 0, &|storm| 100.0 * storm.during.server_share());
    row("tool CPU during, % of a core", 0, &|storm| 100.0 * storm.during.tool_cpu_s / storm.during.seconds);
    let told = |storms: &Storms| format!("{} of {}", storms.turns.iter().flatten().count(), storms.turns.len());
    table.row("storms told", all.iter().map(told));
    table.text()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What the threads of the joins cost when they begin is not the storm's.
const CALM: Duration = Duration::from_millis(100);
/// Handshakes under way at one time. With many more each takes so long that both ends repeat their flights again and again.
const JOINERS_MAX: usize = 128;
