//! Several targets in turns: A B C A B C, within one run.
//!
//! The machine's speed changes from minute to minute, so only what is measured side by side can be compared. All targets
//! stay up with their callers in their seats, and one at a time is measured. Each turn gives a ratio to the floor of the
//! same turn; medians and spreads are taken of ratios, not ratios of medians.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::report::{Points, Table, window_line};
use super::rig::Rig;
use super::setup::Setup;
use super::spread::{Spread, is_enough};
use super::target::Target;
use super::window::{Bounds, Window};

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub warm_up: Duration,
    pub window: Duration,
    pub alternations: usize,
}

/// All windows of a comparison: those that were refused are `None`.
pub struct Comparison {
    scenario: String,
    setup: Setup,
    targets: Vec<Target>,
    /// By target, then by turn.
    windows: Vec<Vec<Option<Window>>>,
    pub failures: Vec<String>,
}

/// Runs the comparison; each window's line goes to `tell` as soon as it is there.
pub fn compare(
    scenario: &str,
    setup: &Setup,
    targets: &[Target],
    schedule: Schedule,
    bounds: &Bounds,
    tell: &mut dyn FnMut(&str),
) -> Result<Comparison> {
    let mut rigs = Vec::new();
    for target in targets {
        let rig = Rig::open(target, setup)?;
        eprintln!(
            "{}: {} publishers and {} viewers are in",
            target.label,
            setup.shape.sources(),
            setup.shape.watching()
        );
        rigs.push(rig);
    }
    let mut comparison = Comparison {
        scenario: scenario.to_owned(),
        setup: setup.clone(),
        targets: targets.to_vec(),
        windows: vec![Vec::new(); targets.len()],
        failures: Vec::new(),
    };
    for turn in 0..schedule.alternations {
        for place in 0..rigs.len() {
            let window = measure_one(&mut rigs, place, schedule, &mut || Ok(()))?;
            tell(&window_line(scenario, turn, setup, &window, bounds));
            comparison.take(place, turn, window, bounds);
        }
    }
    rigs.into_iter().try_for_each(Rig::close)?;
    Ok(comparison)
}

/// A window against one target, while the callers of all others keep their calls alive, and whoever `aside` stands for.
pub(super) fn measure_one(
    rigs: &mut [Rig],
    place: usize,
    schedule: Schedule,
    aside: &mut dyn FnMut() -> Result<()>,
) -> Result<Window> {
    let (before, rest) = rigs.split_at_mut(place);
    let Some((rig, after)) = rest.split_first_mut() else {
        anyhow::bail!("no target number {place}");
    };
    let mut others: Vec<&mut Rig> = before.iter_mut().chain(after).collect();
    let mut next = 0;
    rig.measure(schedule.warm_up, schedule.window, &mut || {
        next = (next + 1) % (others.len() + 1);
        others.get_mut(next).map_or_else(&mut *aside, |other| other.reactor.keep_alive())
    })
}

impl Comparison {
    /// Whether at least half of each target's windows could be told.
    pub fn is_told(&self) -> bool {
        self.windows.iter().all(|windows| is_enough(windows.iter().flatten().count(), windows.len()))
    }

    /// The windows against one target that could be told.
    pub fn windows(&self, target: usize) -> impl Iterator<Item = &Window> {
        self.windows[target].iter().flatten()
    }

    /// One line of JSON for each target.
    pub fn summary_lines(&self) -> Vec<String> {
        let line = |(place, target): (usize, &Target)| {
            json!({
                "kind": "summary", "scenario": self.scenario, "target": target.label,
                "publishers": self.setup.shape.sources(), "viewers": self.setup.shape.watching(),
                "pacing": self.setup.video.pacing.name(), "burst": self.setup.video.burst, "uneven": self.setup.video.uneven, "audio": self.setup.audio,
                "turns": self.windows[place].len(), "cpuNsPerPacket": self.spread(place, Window::cpu_ns_per_packet),
                "ofFloor": self.of_floor(place, Window::cpu_ns_per_packet), "packetsPerSecond": self.spread(place, Window::packets_per_second),
                "delayP50Us": self.spread(place, |window| Points::of(&window.delays).p50),
                "delayP99Us": self.spread(place, |window| Points::of(&window.delays).p99),
                "calmDelayP99Us": self.spread(place, |window| window.calm_delays().p99),
                "loss": self.spread(place, |window| window.tally.loss()),
                "bytesPerViewer": self.spread(place, |window| window.joins.server_bytes_per_viewer as f64),
            })
            .to_string()
        };
        self.targets.iter().enumerate().map(line).collect()
    }

    /// Targets side by side, one column each.
    pub fn table(&self) -> String {
        let heads: Vec<String> = self.targets.iter().map(|target| target.label.clone()).collect();
        let mut table = Table::new(&heads);
        let mut row = |name: &str, digits: usize, of: &dyn Fn(&Window) -> f64| {
            let cell = |place| self.spread(place, of).map_or_else(|| "-".to_owned(), |spread| spread.text(digits));
            table.row(name, (0..self.targets.len()).map(cell));
        };
        row("packets to viewers a second", 0, &Window::packets_per_second);
        row("server CPU a packet, ns", 0, &Window::cpu_ns_per_packet);
        row("server CPU, % of a core", 1, &|window| 100.0 * window.server_share());
        row("loss, %", 4, &|window| 100.0 * window.tally.loss());
        row("delay p50, us", 0, &|window| Points::of(&window.delays).p50);
        row("delay p90, us", 0, &|window| Points::of(&window.delays).p90);
        row("delay p99, us", 0, &|window| Points::of(&window.delays).p99);
        row("delay p99.9, us", 0, &|window| Points::of(&window.delays).p999);
        row("delay max, us", 0, &|window| Points::of(&window.delays).max);
        row("undisturbed p99, us", 0, &|window| window.calm_delays().p99);
        row("undisturbed p99.9, us", 0, &|window| window.calm_delays().p999);
        row("packets left out of these, %", 1, &|window| 100.0 * window.disturbed_share());
        row("cores stood still, ms a second", 1, &Window::stood_ms_a_second);
        row("own lateness p50, us", 0, &|window| Points::of(&window.lateness).p50);
        row("own lateness p99, us", 0, &|window| Points::of(&window.lateness).p99);
        row("tool at work, %", 1, &|window| 100.0 * window.tool_busy);
        row("others' CPU, % of a core", 1, &|window| 100.0 * window.others_share());
        row("join to first packet p50, ms", 1, &|window| Points::of(&window.joins.first_packet).p50 / 1e3);
        row("join to first key frame p50, ms", 1, &|window| {
            // Where some joined between two key frames and were sent the rest, there is no such time.
            let has_all = window.joins.first_key.len() >= window.viewers;
            if has_all { Points::of(&window.joins.first_key).p50 / 1e3 } else { f64::NAN }
        });
        row("server memory a viewer, KiB", 1, &|window| window.joins.server_bytes_per_viewer as f64 / 1024.0);
        row("longest turn of the server, ms", 2, &|window| window.stall_ns.unwrap_or_default() / 1e6);
        let mut ratio = |name: &str, of: &dyn Fn(&Window) -> f64| {
            let cell = |place| self.of_floor(place, of).map_or_else(|| "-".to_owned(), |spread| spread.text(2));
            table.row(name, (0..self.targets.len()).map(cell));
        };
        ratio("server CPU, of the floor's", &Window::cpu_ns_per_packet);
        ratio("delay p50, of the floor's", &|window| Points::of(&window.delays).p50);
        ratio("delay p99, of the floor's", &|window| Points::of(&window.delays).p99);
        ratio("undisturbed p99, of the floor's", &|window| window.calm_delays().p99);
        let told = |windows: &Vec<Option<Window>>| format!("{} of {}", windows.iter().flatten().count(), windows.len());
        table.row("windows told", self.windows.iter().map(told));
        table.text()
    }

    /// A figure of this target as a multiple of the floor's in the same turn.
    pub fn of_floor(&self, target: usize, of: impl Fn(&Window) -> f64) -> Option<Spread> {
        let floor = self.targets.iter().position(Target::is_floor)?;
        let pairs = self.windows[target].iter().zip(&self.windows[floor]);
        let both = pairs.filter_map(|(own, floor)| Some((own.as_ref()?, floor.as_ref()?)));
        Spread::of(both.map(|(own, floor)| of(own) / of(floor)).filter(|ratio| ratio.is_finite()))
    }

    /// Of this figure over all windows against a target that have it.
    pub fn spread(&self, target: usize, of: impl Fn(&Window) -> f64) -> Option<Spread> {
        Spread::of(self.windows(target).map(of).filter(|value| value.is_finite()))
    }

    fn take(&mut self, place: usize, turn: usize, window: Window, bounds: &Bounds) {
        let label = format!("turn {} of {}", turn + 1, window.target);
        let refusals = window.refusals(bounds);
        self.failures.extend(window.failures(bounds).into_iter().map(|failure| format!("{label}: {failure}")));
        if refusals.is_empty() {
            let (cpu, delays) = (window.cpu_ns_per_packet(), Points::of(&window.delays));
            let (p50, p99, loss) = (delays.p50, delays.p99, 100.0 * window.tally.loss());
            eprintln!("{label}: {cpu:.0} ns a packet, delay p50 {p50:.0} us, p99 {p99:.0} us, {loss:.3} % lost");
            self.windows[place].push(Some(window));
        } else {
            eprintln!("{label}: refused: {}", refusals.join("; "));
            self.windows[place].push(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::setup::{Shape, tests::setup};
    use crate::load::window::tests::window;

    fn with_cpu(server_cpu_ns: u64) -> Option<Window> {
        Some(Window { server_cpu_ns, ..window() })
    }

    fn comparison() -> Comparison {
        Comparison {
            scenario: "broadcast".to_owned(),
            setup: setup(Shape::broadcast(100)),
            targets: ["uring", "floor"].map(|name| name.parse().unwrap()).to_vec(),
            // The machine halves its speed in the second turn, and the third of the server's windows is refused.
            windows: vec![vec![with_cpu(150), with_cpu(300), None], vec![with_cpu(100), with_cpu(200), with_cpu(100)]],
            failures: Vec::new(),
        }
    }

    #[test]
    fn ratios_are_taken_turn_by_turn() {
        let ratio = comparison().of_floor(0, Window::cpu_ns_per_packet).unwrap();
        assert!((ratio.median - 1.5).abs() < 1e-9 && (ratio.min - ratio.max).abs() < 1e-9 && ratio.count == 2);
    }

    #[test]
    fn half_of_the_windows_must_be_told() {
        let mut comparison = comparison();
        assert!(comparison.is_told());
        comparison.windows[0][1] = None;
        assert!(!comparison.is_told());
        assert!(comparison.table().contains("1 of 3"));
        assert_eq!(comparison.summary_lines().len(), 2);
    }
}
