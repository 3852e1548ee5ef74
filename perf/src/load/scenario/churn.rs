//! Joins and leaves, for minutes: a server that keeps something of everybody who was there grows without end.
//!
//! Memory counts as flat when its median over the last quarter is at most 2 % above that over the second. Every second
//! leaver says goodbye to the gateway; the others hang up by DTLS alone, as a page that is closed does.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::{Outcome, Run};
use crate::load::report::Table;
use crate::load::rig::Rig;
use crate::load::spread::Spread;
use crate::load::target::Target;

/// Resident bytes over time, from the start of the churn.
type Curve = Vec<(Duration, u64)>;

/// So many joins and leaves a second against each target, one after another.
pub fn churn(run: &mut Run<'_>, a_second: u32, length: Duration) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut ends = Vec::new();
    // Nobody leaves the floor: it has no signalling.
    for target in run.targets.clone().into_iter().filter(|target| !target.is_floor()) {
        let curve = one(run, &target, a_second, length)?;
        let growth = growth(&curve);
        run.tell("churned", &target, json!({ "aSecond": a_second, "seconds": length.as_secs_f64(), "growth": growth }));
        outcome.fail(
            &target,
            growth.filter(|growth| *growth > GROWTH_MAX).map(|by| format!("grew by {:.1} %", 100.0 * by)),
        );
        ends.push((target.label.clone(), curve, growth));
    }
    outcome.table = table(&ends);
    Ok(outcome)
}

fn one(run: &mut Run<'_>, target: &Target, a_second: u32, length: Duration) -> Result<Curve> {
    let mut rig = Rig::open(target, &run.setup)?;
    rig.reactor.resume()?;
    let started = Instant::now();
    let interval = Duration::from_secs(1) / a_second.max(1);
    let (mut curve, mut next_sample) = (Curve::new(), started);
    let mut changes = 0;
    while started.elapsed() < length {
        change_one(&mut rig, changes)?;
        changes += 1;
        if Instant::now() >= next_sample {
            next_sample += SAMPLE_INTERVAL;
            let sample = (started.elapsed(), rig.usage()?.resident_bytes);
            let (seconds, viewers) = (sample.0.as_secs_f64(), rig.reactor.viewers.len());
            run.tell("churn", target, json!({ "seconds": seconds, "residentBytes": sample.1, "viewers": viewers }));
            curve.push(sample);
            if curve.len() % SAMPLES_A_PROGRESS == 0 {
                let mib = sample.1 as f64 / f64::from(1 << 20);
                eprintln!("{}: {seconds:.0} s, {changes} joins and leaves, {mib:.1} MiB", target.label);
            }
        }
        let due = started + interval * changes;
        rig.reactor.run_until(due, &mut || Ok(()))?;
    }
    rig.close()?;
    Ok(curve)
}

/// One comes, one goes.
fn change_one(rig: &mut Rig, number: u32) -> Result<()> {
    let seat = rig.setup.watching_seat(rig.numbered);
    rig.seat_quietly(&[seat])?;
    // A prime walks over all places, so that old and new ones go.
    let place = number as usize * 7919 % rig.reactor.viewers.len();
    let leaver = rig.reactor.remove_viewer(place);
    match number % 2 {
        0 => leaver.call.leave().map(drop),
        _ => leaver.call.hang_up(),
    }
}

/// How far the last quarter's median lies above the second quarter's.
fn growth(curve: &[(Duration, u64)]) -> Option<f64> {
    let quarter = curve.len() / 4;
    let median = |part: &[(Duration, u64)]| Spread::of(part.iter().map(|(_, bytes)| *bytes as f64));
    let (early, late) = (median(curve.get(quarter..2 * quarter)?)?, median(curve.get(3 * quarter..)?)?);
    Some(late.median / early.median - 1.0)
}

fn table(ends: &[(String, Curve, Option<f64>)]) -> String {
    let heads: Vec<String> = ends.iter().map(|(target, ..)| target.clone()).collect();
    let mut table = Table::new(&heads);
    let mib = |bytes: Option<&(Duration, u64)>| bytes.map_or(0.0, |(_, bytes)| *bytes as f64 / f64::from(1 << 20));
    table.row("resident at first, MiB", ends.iter().map(|(_, curve, _)| format!("{:.1}", mib(curve.first()))));
    table.row("resident at last, MiB", ends.iter().map(|(_, curve, _)| format!("{:.1}", mib(curve.last()))));
    let growth = |growth: &Option<f64>| growth.map_or_else(|| "-".to_owned(), |by| format!("{:+.2}", 100.0 * by));
    table.row("last quarter over second, %", ends.iter().map(|(.., by)| growth(by)));
    table.text()
}

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const SAMPLES_A_PROGRESS: usize = 10;
const GROWTH_MAX: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(bytes: impl IntoIterator<Item = u64>) -> Curve {
        bytes.into_iter().enumerate().map(|(second, bytes)| (Duration::from_secs(second as u64), bytes)).collect()
    }

    #[test]
    fn warming_up_is_no_growth_and_a_leak_is() {
        let warm = curve((0..25).map(|second| 40 + second).chain(std::iter::repeat_n(65, 75)));
        assert!(growth(&warm).unwrap().abs() < 1e-9);
        assert!(growth(&curve(1000..1100)).unwrap() > GROWTH_MAX);
    }

    #[test]
    fn too_few_samples_tell_nothing() {
        assert_eq!(growth(&curve([1, 2])), None);
    }
}
