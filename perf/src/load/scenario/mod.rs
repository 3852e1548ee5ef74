//! Scenarios that are more than windows in turns: a storm of joins, memory, churn, idle connections.
//!
//! Each tells its figures as lines of JSON while it runs, and ends with a table and a verdict.

mod storm;
mod memory;
mod churn;
mod idle;

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::compare::Schedule;
use super::report::merge;
use super::setup::Setup;
use super::spread::is_enough;
use super::target::Target;
use super::window::Bounds;

pub use churn::churn;
pub use idle::idle;
pub use memory::memory;
pub use storm::storm;

/// What every scenario is given.
pub struct Run<'a> {
    pub setup: Setup,
    pub targets: Vec<Target>,
    pub schedule: Schedule,
    pub bounds: Bounds,
    /// Where lines of JSON go.
    pub tell: &'a mut dyn FnMut(&str),
}

/// How a scenario ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For people.
    pub table: String,
    /// What the servers did wrong.
    pub failures: Vec<String>,
    /// Why figures were held back.
    pub refusals: Vec<String>,
    /// So many were held back that the others do not speak for all.
    pub is_untold: bool,
}

impl Run<'_> {
    /// A line of JSON: which scenario against whom, and the figures.
    fn tell(&mut self, kind: &str, target: &Target, figures: Value) {
        let mut line = serde_json::json!({ "kind": kind, "target": target.label });
        merge(&mut line, figures);
        (self.tell)(&line.to_string());
    }
}

impl Outcome {
    /// The turns of one target: whether enough of them could be told.
    fn judge<T>(&mut self, turns: &[Option<T>]) {
        self.is_untold |= !is_enough(turns.iter().flatten().count(), turns.len());
    }

    fn refuse(&mut self, target: &Target, why: Vec<String>) {
        self.refusals.extend(why.into_iter().map(|why| format!("{}: {why}", target.label)));
    }

    fn fail(&mut self, target: &Target, why: impl IntoIterator<Item = String>) {
        self.failures.extend(why.into_iter().map(|why| format!("{}: {why}", target.label)));
    }
}

/// Nothing beside the reactor wants attention.
fn nothing() -> Result<()> {
    Ok(())
}

/// A tool that joins many at once shares its core with the joins: its lateness is held to a wider bound.
fn while_joining(bounds: &Bounds) -> Bounds {
    Bounds { lateness_max: bounds.lateness_max * 20, ..*bounds }
}

/// How long everybody may take to see a first key frame.
const KEY_FRAMES_MAX: Duration = Duration::from_secs(30);
