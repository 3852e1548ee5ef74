//! Lines of JSON, read back and put in order for drawing. What is no line of ours is passed over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bars::Bar;
use super::chart::{Point, Series};
use crate::load::Spread;

pub(super) struct Records {
    lines: Vec<Value>,
}

/// Figures by series, in the order in which the series came; within one by an axis.
#[derive(Default)]
struct Grouped {
    order: Vec<String>,
    figures: BTreeMap<String, BTreeMap<u64, Vec<f64>>>,
}

impl Records {
    pub(super) fn parse(text: &str) -> Self {
        Self { lines: text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect() }
    }

    /// CPU time per packet of broadcasts, by target and viewers.
    pub(super) fn cost_over_viewers(&self) -> Vec<Series> {
        let mut grouped = Grouped::default();
        for line in self.told("window").filter(|line| line["scenario"] == "broadcast") {
            if let (Some(viewers), Some(cost)) = (line["viewers"].as_u64(), line["cpuNsPerPacket"].as_f64()) {
                grouped.add(&name(line), viewers, cost);
            }
        }
        grouped.series()
    }

    /// The ratio to the floor's, as the summaries tell it.
    pub(super) fn ratio_over_viewers(&self) -> Vec<Series> {
        let mut grouped = Grouped::default();
        for line in self.told("summary").filter(|line| line["scenario"] == "broadcast") {
            for end in ["median", "min", "max"] {
                if let (Some(viewers), Some(ratio)) = (line["viewers"].as_u64(), line["ofFloor"][end].as_f64()) {
                    grouped.add(&name(line), viewers, ratio);
                }
            }
        }
        grouped.series()
    }

    /// Percentile curves, for each scenario and audience.
    pub(super) fn delay_groups(&self) -> Vec<(String, Vec<Series>)> {
        let mut groups: BTreeMap<(String, u64), Vec<&Value>> = BTreeMap::new();
        for line in self.told("window").filter(|line| line["delayCurveUs"].is_array()) {
            let scenario = line["scenario"].as_str().unwrap_or("run").to_owned();
            groups.entry((scenario, line["viewers"].as_u64().unwrap_or_default())).or_default().push(line);
        }
        let mut drawn: Vec<(String, Vec<Series>)> = groups
            .into_iter()
            .map(|((scenario, viewers), lines)| (format!("{scenario}, {viewers} viewers"), curves(&lines)))
            .collect();
        let mut storms: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        self.told("storm").for_each(|line| storms.entry(name(line)).or_default().push(line));
        drawn.extend(storms.into_iter().map(|(target, turns)| {
            let both = [("before", "delayCurveBeforeUs"), ("during the storm", "delayCurveUs")];
            let points = |field| curve(&turns.iter().map(|turn| &turn[field]).collect::<Vec<_>>());
            let series = both.map(|(name, field)| Series { name: name.to_owned(), points: points(field) });
            (format!("storm of joins, {target}"), series.into())
        }));
        drawn
    }

    /// Resident size in MiB over seconds, by target.
    pub(super) fn memory_over_churn(&self) -> Vec<Series> {
        let mut series: Vec<Series> = Vec::new();
        for line in self.told("churn") {
            let (Some(x), Some(bytes)) = (line["seconds"].as_f64(), line["residentBytes"].as_f64()) else { continue };
            let point = Point { x, y: bytes / f64::from(1 << 20), spread: None };
            let name = name(line);
            match series.iter_mut().find(|series| series.name == name) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name, points: vec![point] }),
            }
        }
        series
    }

    /// The most packets a second that each target delivered in a clean window.
    pub(super) fn largest_clean(&self) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for line in self.told("window").filter(|line| line["clean"] == true) {
            let Some(value) = line["packetsPerSecond"].as_f64() else { continue };
            let note = format!("({} viewers)", line["viewers"]);
            let bar = Bar { name: name(line), value, note };
            match bars.iter_mut().find(|known| known.name == bar.name) {
                Some(known) if known.value >= bar.value => {}
                Some(known) => *known = bar,
                None => bars.push(bar),
            }
        }
        bars
    }

    /// Lines of a kind that have figures.
    fn told<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["kind"] == kind && line.get("refused").is_none())
    }
}

impl Grouped {
    fn add(&mut self, series: &str, at: u64, figure: f64) {
        if !self.order.iter().any(|known| known == series) {
            self.order.push(series.to_owned());
        }
        self.figures.entry(series.to_owned()).or_default().entry(at).or_default().push(figure);
    }

    fn series(&self) -> Vec<Series> {
        let point = |(at, figures): (&u64, &Vec<f64>)| {
            let spread = Spread::of(figures.iter().copied())?;
            Some(Point { x: *at as f64, y: spread.median, spread: Some((spread.min, spread.max)) })
        };
        let series = |name: &String| Series {
            name: name.clone(),
            points: self.figures.get(name).into_iter().flatten().filter_map(point).collect(),
        };
        self.order.iter().map(series).collect()
    }
}

/// One curve for each target, the median of its windows.
fn curves(lines: &[&Value]) -> Vec<Series> {
    let mut names: Vec<String> = Vec::new();
    for line in lines {
        let name = name(line);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let series = |wanted: String| {
        let own: Vec<&Value> =
            lines.iter().filter(|line| name(line) == wanted).map(|line| &line["delayCurveUs"]).collect();
        Series { points: curve(&own), name: wanted }
    };
    names.into_iter().map(series).collect()
}

/// At each of many quantiles the median of several curves, in milliseconds.
fn curve(recorded: &[&Value]) -> Vec<Point> {
    let steps: Vec<Vec<(f64, f64)>> = recorded.iter().filter_map(|curve| pairs(curve)).collect();
    let quantiles =
        (0..=NINES_MAX * STEPS_A_NINE).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(STEPS_A_NINE)));
    let point = |quantile: f64| {
        let spread = Spread::of(steps.iter().filter_map(|steps| value_at(steps, quantile)))?;
        Some(Point { x: quantile, y: spread.median / 1e3, spread: None })
    };
    quantiles.filter_map(point).collect()
}

fn pairs(curve: &Value) -> Option<Vec<(f64, f64)>> {
    curve.as_array()?.iter().map(|pair| Some((pair[0].as_f64()?, pair[1].as_f64()?))).collect()
}

/// The recorded value at a quantile. Beyond the last step but one there are too few packets to speak of.
fn value_at(steps: &[(f64, f64)], quantile: f64) -> Option<f64> {
    let spoken_of = steps.iter().map(|step| step.0).filter(|quantile| *quantile < 1.0).reduce(f64::max)?;
    if quantile > spoken_of {
        return None;
    }
    steps.iter().find(|step| step.0 >= quantile - 1e-12).map(|step| step.1)
}

fn name(line: &Value) -> String {
    line["target"].as_str().unwrap_or("?").to_owned()
}

const NINES_MAX: u32 = 5;
const STEPS_A_NINE: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_where_nothing_was_recorded() {
        let steps = [(0.0, 1.0), (0.5, 2.0), (0.99, 3.0), (1.0, 9.0)];
        assert_eq!(value_at(&steps, 0.4), Some(2.0));
        assert_eq!(value_at(&steps, 0.99), Some(3.0));
        assert_eq!(value_at(&steps, 0.999), None);
    }
}
