//! What is told of a window: a line of JSON for programs, and cells of a table for people.

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use super::delays::Calm;
use super::rig::Joins;
use super::setup::Setup;
use super::window::{Bounds, Window};

/// Points of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Points {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Points {
    pub const UNKNOWN: Self = Self { p50: f64::NAN, p90: f64::NAN, p99: f64::NAN, p999: f64::NAN, max: f64::NAN };

    pub fn of(histogram: &Histogram<u64>) -> Self {
        let us = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        let max = if histogram.is_empty() { 0.0 } else { histogram.max() as f64 / 1e3 };
        Self { p50: us(0.5), p90: us(0.9), p99: us(0.99), p999: us(0.999), max }
    }
}

/// One line of JSON for a window: its figures, or why there are none.
pub fn window_line(scenario: &str, turn: usize, setup: &Setup, window: &Window, bounds: &Bounds) -> String {
    let mut line = json!({
        "kind": "window", "scenario": scenario, "target": window.target, "turn": turn,
        "rooms": setup.shape.rooms, "publishers": window.publishers, "viewers": window.viewers,
        "bitsPerSecond": setup.video.bits_per_second, "packetLen": setup.video.packet_len, "pacing": setup.video.pacing.name(),
        "burst": setup.video.burst, "uneven": setup.video.uneven, "audio": setup.audio, "profile": setup.profile.name(),
        "receivers": setup.receivers.name(), "feedback": setup.feedback.name(), "seed": setup.seed,
    });
    let refusals = window.refusals(bounds);
    let figures = if refusals.is_empty() { figures(window, bounds) } else { json!({ "refused": refusals }) };
    merge(&mut line, figures);
    line.to_string()
}

/// Puts the fields of one object into another.
pub(super) fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn figures(window: &Window, bounds: &Bounds) -> Value {
    let tally = &window.tally;
    json!({
        "seconds": window.seconds, "delivered": window.delivered(), "packetsPerSecond": window.packets_per_second(),
        "cpuNsPerPacket": window.cpu_ns_per_packet(), "serverShare": window.server_share(),
        "serverResidentBytes": window.server_resident_bytes,
        "tally": tally, "lost": tally.lost(), "surplus": tally.surplus(), "loss": tally.loss(),
        "faults": window.faults, "opened": window.opened, "feedbackSent": window.feedback_sent,
        "forwardedByServer": window.forwarded_by_server,
        "delaySamples": window.delays.len(), "delayUs": Points::of(&window.delays), "delayCurveUs": curve(&window.delays), "latenessUs": Points::of(&window.lateness),
        "calm": window.calm.as_ref().map(calm),
        "joins": joins(&window.joins), "stallMs": window.stall_ns.map(|ns| ns / 1e6),
        "toolBusy": window.tool_busy, "toolShare": window.tool_cpu_s / window.seconds, "othersShare": window.others_share(),
        "stolenShare": window.stolen_s / window.seconds, "clean": window.is_clean(), "failures": window.failures(bounds),
    })
}

pub(super) fn calm(calm: &Calm) -> Value {
    json!({
        "delaySamples": calm.delays.len(), "delayUs": Points::of(&calm.delays),
        "standstills": calm.standstills, "stoodMs": calm.stood_ns as f64 / 1e6,
    })
}

pub(super) fn joins(joins: &Joins) -> Value {
    json!({
        "httpUs": Points::of(&joins.http), "iceUs": Points::of(&joins.ice), "dtlsUs": Points::of(&joins.dtls),
        "firstPacketUs": Points::of(&joins.first_packet), "firstKeyFrameUs": Points::of(&joins.first_key),
        "serverBytesPerViewer": joins.server_bytes_per_viewer,
    })
}

/// A distribution for drawing: pairs of a quantile and a value in microseconds, denser towards the tail.
pub(super) fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let recorded = histogram.iter_quantiles(5);
    recorded.map(|step| (step.quantile_iterated_to(), step.value_iterated_to() as f64 / 1e3)).collect()
}

/// A table: a row's name, then one cell for each column.
pub(super) struct Table {
    text: String,
    width: usize,
}

impl Table {
    /// The heads of the columns decide how wide they are.
    pub(super) fn new(heads: &[String]) -> Self {
        let width = heads.iter().map(|head| head.len() + 2).max().unwrap_or_default().max(24);
        let mut table = Self { text: String::new(), width };
        table.row("", heads.iter().cloned());
        table
    }

    pub(super) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let width = self.width;
        let cells: String = cells.into_iter().map(|cell| format!("{cell:>width$}")).collect();
        self.text.push_str(&format!("{name:<34}{cells}\n"));
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::setup::{Shape, tests::setup};
    use crate::load::window::tests::window;

    const BOUNDS: Bounds =
        Bounds { lateness_max: Duration::from_micros(200), stall_max: Duration::from_millis(50), allow_noise: false };

    #[test]
    fn a_line_has_the_figures() {
        let line = window_line("broadcast", 2, &setup(Shape::broadcast(100)), &window(), &BOUNDS);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((value["turn"].as_u64(), value["target"].as_str()), (Some(2), Some("uring")));
        assert!((value["cpuNsPerPacket"].as_f64().unwrap() - 2000.0).abs() < 1.0);
        assert!((value["delayUs"]["p99"].as_f64().unwrap() - 500.0).abs() < 1.0);
    }

    #[test]
    fn a_refused_window_has_reasons_and_no_figures() {
        let window = Window { tool_busy: 0.99, ..window() };
        let line = window_line("broadcast", 0, &setup(Shape::broadcast(100)), &window, &BOUNDS);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(value.get("cpuNsPerPacket").is_none() && value.get("delayUs").is_none());
        assert_eq!(value["refused"].as_array().map(Vec::len), Some(1));
    }
}
