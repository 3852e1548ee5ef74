//! Prints what the last run of the benches measured: median, spread, and how often its group's floor goes into it.
//!
//! In: the estimates that criterion leaves in `target/criterion` (or the directory given). Out: a Markdown table, the
//! shape in which docs/performance.md shows it. It measures nothing itself.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).map_or_else(|| PathBuf::from("target/criterion"), PathBuf::from);
    let mut groups = BTreeMap::<String, Vec<Measured>>::new();
    collect(&directory, &mut groups)?;
    ensure!(!groups.is_empty(), "no estimates under {}: run `cargo bench -p tidewire-bench`", directory.display());
    println!("| group | what | median ns | spread | of the floor |\n| --- | --- | ---: | ---: | ---: |");
    for (group, mut all) in groups {
        let floor = all.iter().find(|one| one.is_floor()).map(|floor| floor.median);
        all.sort_by(|a, b| b.is_floor().cmp(&a.is_floor()).then(a.median.total_cmp(&b.median)));
        for one in all {
            println!("{}", one.row(&group, floor));
        }
    }
    Ok(())
}

/// One benchmark's last result, in nanoseconds.
struct Measured {
    name: String,
    median: f64,
    /// Median absolute deviation.
    deviation: f64,
}

impl Measured {
    fn is_floor(&self) -> bool {
        self.name == "floor"
    }

    fn row(&self, group: &str, floor: Option<f64>) -> String {
        let Self { name, median, deviation } = self;
        let ratio = floor.map_or_else(String::new, |floor| format!("{:.2}", median / floor));
        format!("| {group} | {name} | {median:.1} | ±{:.1} % | {ratio} |", 100.0 * deviation / median)
    }
}

/// Walks the directory for results; those of earlier runs (`base`) are left alone.
fn collect(directory: &Path, groups: &mut BTreeMap<String, Vec<Measured>>) -> Result<()> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.ends_with("new") {
            let id: Id = read(&path.join("benchmark.json"))?;
            let estimates: Estimates = read(&path.join("estimates.json"))?;
            groups.entry(id.group_id).or_default().push(Measured {
                name: [id.function_id, id.value_str].into_iter().flatten().collect::<Vec<_>>().join(" "),
                median: estimates.median.point_estimate,
                deviation: estimates.median_abs_dev.point_estimate,
            });
        } else if path.is_dir() {
            collect(&path, groups)?;
        }
    }
    Ok(())
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

#[derive(Deserialize)]
struct Id {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
    median_abs_dev: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}
