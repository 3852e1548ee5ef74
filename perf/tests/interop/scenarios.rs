//! The longer scenarios, very short: that they run to their end and find nothing wrong. No figure is asserted.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tidewire_perf::load::{Bounds, Outcome, Receivers, Run, Schedule, Shape, churn, idle, storm};

use crate::fanout::setup;

/// Plays a scenario against one server with five watchers; returns its outcome and the lines that it told.
fn play(target: &str, scenario: impl FnOnce(&mut Run<'_>) -> Result<Outcome>) -> Result<(Outcome, Vec<Value>)> {
    let mut lines = Vec::new();
    let mut run = Run {
        setup: setup(Shape::broadcast(5), Receivers::Filter),
        targets: vec![target.parse()?],
        schedule: Schedule { warm_up: Duration::ZERO, window: Duration::from_millis(500), alternations: 1 },
        // Tests share the machine with each other: nobody asks for punctuality here, nor may a slow machine fail.
        bounds: Bounds { lateness_max: Duration::MAX / 100, stall_max: Duration::MAX, allow_noise: true },
        tell: &mut |line| lines.extend(serde_json::from_str::<Value>(line)),
    };
    let outcome = scenario(&mut run)?;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    Ok((outcome, lines))
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["kind"] == kind)
}

#[test]
fn after_a_storm_everybody_has_a_key_frame_and_nobody_lost_anything() -> Result<()> {
    let (outcome, lines) = play("uring", |run| storm(run, 30))?;
    assert!(outcome.table.contains("all have key frames"));
    for line in of_kind(&lines, "storm").filter(|line| line.get("refused").is_none()) {
        assert!(line["allHaveKeyFramesMs"].is_number() && line["failedJoins"] == 0, "{line}");
        assert_eq!((&line["during"]["loss"], &line["newcomersLost"]), (&0.0.into(), &0.into()));
    }
    Ok(())
}

#[test]
fn a_churn_goes_on_to_its_end() -> Result<()> {
    let (_, lines) = play("epoll", |run| churn(run, 20, Duration::from_secs(2)))?;
    assert!(of_kind(&lines, "churn").count() >= 2 && of_kind(&lines, "churned").count() == 1);
    assert!(of_kind(&lines, "churn").all(|line| line["viewers"] == 5));
    Ok(())
}

#[test]
fn idle_connections_stand_beside_a_broadcast() -> Result<()> {
    let (_, lines) = play("uring", |run| idle(run, 20))?;
    assert_eq!((of_kind(&lines, "window").count(), of_kind(&lines, "idle").count()), (2, 1));
    Ok(())
}
