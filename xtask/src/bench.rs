//! `cargo xtask bench`: the benches, the counts of instructions, the load of publishers and viewers, and the floor under it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::instructions;
use crate::packages::{self, Need};
use crate::workspace::{cargo, complete, program};

/// Runs every bench, or those whose name contains the argument; `forward` runs the load instead, `floor` the floor, and
/// `instructions` counts.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    packages::install(packages::BUILD)?;
    match arguments.split_first() {
        Some((name, rest)) if name == "forward" => forward(rest)?,
        Some((name, rest)) if name == "floor" => floor(rest)?,
        Some((name, rest)) if name == "instructions" => instructions::bench(rest)?,
        _ => complete(cargo().args(["bench", "--package", "tidewire-bench", "--benches", "--"]).args(arguments))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One publisher and many viewers against a server of their own, and against the floor, by the independent client.
fn forward(arguments: &[String]) -> Result<()> {
    complete(cargo().args(["build", "--release", "--package", "tidewire-server"]))?;
    complete(cargo().args(["build", "--release", "--package", "tidewire-perf"]))?;
    let mut load = Command::new(program("tidewire-load"));
    load.args(arguments).env("TIDEWIRE_BIN", program("tidewire")).env("TIDEWIRE_FLOOR", build_floor()?);
    complete(&mut load)
}

/// What forwarding costs at best on this machine, to loopback and to a device that sends nothing, by turns.
fn floor(arguments: &[String]) -> Result<()> {
    packages::install(FLOOR)?;
    complete(Command::new(build_floor()?).args(["table", "--sink", "both"]).args(arguments))
}

/// The program `floor`: an example of `net`, since only there may `unsafe` stand.
fn build_floor() -> Result<PathBuf> {
    complete(cargo().args(["build", "--release", "--package", "tidewire-net", "--example", "floor"]))?;
    Ok(program("examples").join("floor"))
}

/// What the floor needs beyond `packages::BUILD`.
const FLOOR: &[Need] = &[Need::new("iproute2", &["ip"], "makes the network device that the floor sends into")];
