//! `cargo xtask bench`: the benches, the counts of instructions, and the load of one publisher and many viewers.

use std::process::ExitCode;

use anyhow::Result;

use crate::instructions;
use crate::packages;
use crate::workspace::{cargo, complete, program};

/// Runs every bench, or those whose name contains the argument; `forward` runs the load instead, `instructions` counts.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    packages::install(packages::BUILD)?;
    match arguments.split_first() {
        Some((name, rest)) if name == "forward" => forward(rest)?,
        Some((name, rest)) if name == "instructions" => instructions::bench(rest)?,
        _ => complete(cargo().args(["bench", "--package", "tidewire-bench", "--benches", "--"]).args(arguments))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One publisher and many viewers against a server of their own, by the independent client.
fn forward(arguments: &[String]) -> Result<()> {
    complete(cargo().args(["build", "--release", "--package", "tidewire-server"]))?;
    complete(cargo().args(["build", "--release", "--package", "tidewire-perf"]))?;
    let mut load = std::process::Command::new(program("tidewire-load"));
    complete(load.args(arguments).env("TIDEWIRE_BIN", program("tidewire")))
}
