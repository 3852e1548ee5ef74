//! Prints how many instructions the machine takes of its own: what the instruction benches counted, less the ciphers.
//!
//! In: the lines of JSON that gungraun says about `benches/instructions.rs`, in the file given. Out: a line for each row
//! of `ROWS`: instructions of its own, all instructions, and what they were taken for. It counts nothing itself.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tidewire_bench::FLOOR_REPEATS;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("which file? `cargo xtask bench instructions` writes one")?;
    let counts = Counts::read(Path::new(&path))?;
    for row in ROWS {
        let (own, all) = counts.of(row)?;
        println!("{own:>6.0} {all:>6.0}  {}", row.name);
    }
    counts.ensure_idle_costs_nothing()
}

/// One line of the output.
struct Row {
    name: &'static str,
    bench: &'static str,
    /// What its instructions are divided by.
    units: u32,
    /// What of the ciphers is in it, and how often.
    floors: &'static [(u32, &'static str)],
}

const fn row(name: &'static str, bench: &'static str, units: u32, floors: &'static [(u32, &'static str)]) -> Row {
    Row { name, bench, units, floors }
}

const ROWS: &[Row] = &[
    row("handle, a packet of 8", "handle p8", 8, &[(8, "open rtp")]),
    row("handle, a packet of 8, 1000 idle connections", "handle p8_idle", 8, &[(8, "open rtp")]),
    row("handle, a packet alone", "handle p1", 1, &[(1, "open rtp")]),
    row("forward, 8 packets to 100 viewers, each", "forward p8_to_100", 800, &[(800, "seal rtp")]),
    row("forward, 8 to 100, 1000 idle connections, each", "forward p8_to_100_idle", 800, &[(800, "seal rtp")]),
    row("forward, 1 packet to 100 viewers, each", "forward p1_to_100", 100, &[(100, "seal rtp")]),
    row("forward, 1 packet to 10 viewers, each", "forward p1_to_10", 10, &[(10, "seal rtp")]),
    row("forward, a key frame that 100 viewers start with, each", "forward start", 100, &[(100, "seal rtp")]),
    row("tell 100 viewers which layer they get, each", "tell layers", 100, &[]),
    row("flush, 8 packets to 10 viewers, each", "flush p8_to_10", 80, &[]),
    row("hear a receiver report", "hear report", 1, &[(1, "open report")]),
    row("hear transport-wide feedback on 20 packets", "hear feedback", 1, &[(1, "open feedback")]),
    row("hear a NACK and repair", "hear nack", 1, &[(1, "open nack"), (1, "seal repair")]),
    row("hear a consent check and answer", "hear consent", 1, &[(1, "hmac consent")]),
];

/// Instructions by bench.
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let counts = text.lines().map(|line| serde_json::from_str::<Counted>(line)?.entry());
        Ok(Self(counts.collect::<Result<_>>()?))
    }

    /// A row's own instructions a unit, and all of them.
    fn of(&self, row: &Row) -> Result<(f64, f64)> {
        let all = self.bench(row.bench)?;
        let mut own = all;
        for (times, floor) in row.floors {
            own -= f64::from(*times) * self.bench(floor)? / f64::from(FLOOR_REPEATS);
        }
        ensure!(own > 0.0, "{} takes less than its floor: is a floor of another size?", row.name);
        Ok((own / f64::from(row.units), all / f64::from(row.units)))
    }

    /// A connection that nothing comes from or goes to must not be felt: at most 3 % more for each forwarded packet.
    fn ensure_idle_costs_nothing(&self) -> Result<()> {
        for (with, without) in [("handle p8_idle", "handle p8"), ("forward p8_to_100_idle", "forward p8_to_100")] {
            let ratio = self.bench(with)? / self.bench(without)?;
            ensure!(ratio < 1.03, "`{with}` takes {ratio:.2} times the instructions of `{without}`");
        }
        Ok(())
    }

    fn bench(&self, name: &str) -> Result<f64> {
        let count = self.0.get(name).with_context(|| format!("nothing was counted for `{name}`"))?;
        Ok(*count as f64)
    }
}

/// What gungraun says about one bench (version 7 of its summaries).
#[derive(Deserialize)]
struct Counted {
    function_name: String,
    id: String,
    profiles: Vec<ToolProfile>,
}

impl Counted {
    fn entry(self) -> Result<(String, u64)> {
        let name = format!("{} {}", self.function_name, self.id);
        let profile = self.profiles.first().with_context(|| format!("no tool ran `{name}`"))?;
        Ok((name, profile.data.total.metrics.instructions.values.new))
    }
}

#[derive(Deserialize)]
struct ToolProfile {
    data: ToolData,
}

#[derive(Deserialize)]
struct ToolData {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(rename = "Ir")]
    instructions: Metric,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    new: u64,
}
