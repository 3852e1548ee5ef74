//! `cargo xtask run`: from a bare machine to a running server.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::packages;
use crate::workspace::{cargo, complete, program, spelled};

/// Installs the build tools that are missing, builds the server, and becomes it.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    packages::install(packages::BUILD)?;
    let mut build = cargo();
    build.args(["build", "--release", "--package", "tidewire-server"]);
    println!("Building: {}", spelled(&build));
    complete(&mut build)?;
    let server = program("tidewire");
    // The server takes this process's place, so signals and the exit code are its own.
    let error = Command::new(&server).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", server.display()))
}
