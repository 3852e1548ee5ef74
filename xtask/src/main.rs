//! The project's own commands: `cargo xtask run | test | tidy | bench | fuzz | reference`.
//!
//! Each command does its own set-up: what a machine lacks is named with its reason, then installed. Nothing here is
//! linked into the server; it stays small, so that it is built in seconds before the first command can speak.

#![allow(clippy::print_stdout)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod run;
mod test;
mod bench;
mod instructions;
mod fuzz;
mod tidy;
mod reference;
mod packages;
mod node;
mod suite;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<ExitCode> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("which command?\n{USAGE}");
    };
    match name.as_str() {
        "run" => run::run(rest),
        "test" => test::test(rest),
        "tidy" => tidy::tidy(rest),
        "bench" => bench::bench(rest),
        "fuzz" => fuzz::fuzz(rest),
        "reference" => reference::reference(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command `{other}`\n{USAGE}"),
    }
}

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [ARGUMENTS]      install the build tools that are missing, build, start the server with ARGUMENTS
  test                 install the test tools that are missing, run every check and every test
  tidy [--bless]       what a machine can see of the manners of the code; --bless rewrites the ratchet
  bench [NAME]         the benches; `bench forward [SCENARIO]` runs the load against a server and the floor in turns,
                       `bench floor` measures that floor in every way of forwarding,
                       `bench instructions [--bless]` counts under valgrind and compares with the ratchet
  fuzz [SECONDS] [TARGET...] [--learn]
                       every fuzz target, ten minutes each, or those that are named; --learn takes what reaches further
                       into the committed corpora
  reference            writes the generated pages of docs/reference from the registries in the code";
