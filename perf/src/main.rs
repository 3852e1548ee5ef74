//! `tidewire-load`: runs a load scenario against servers and tells what it found.
//!
//! Arguments in; a table and progress on the terminal, and lines of JSON on standard output. Without a subcommand it
//! compares the packet I/Os with one publisher and a hundred viewers.

#![allow(clippy::print_stdout, reason = "a program that prints what it found")]

mod arguments;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use tidewire_perf::load::{Comparison, Shape, compare};
use tidewire_perf::machine;

use arguments::{Arguments, Command, Load};

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let command = arguments.command.unwrap_or(Command::Compare { viewers: arguments.viewers, load: arguments.load });
    machine::raise_open_files()?;
    machine::sleep_precisely()?;
    run(command)
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Compare { viewers, load } | Command::Broadcast { viewers, load } => {
            let shapes = viewers.iter().map(|viewers| Shape::broadcast(*viewers));
            compare_all("broadcast", shapes, &load)
        }
        Command::Rooms { rooms, publishers, viewers, load } => {
            compare_all("rooms", [Shape { rooms, publishers, viewers }], &load)
        }
        Command::Meeting { rooms, people, load } => compare_all("meeting", [Shape::meeting(rooms, people)], &load),
    }
}

/// A comparison for each shape.
fn compare_all(scenario: &str, shapes: impl IntoIterator<Item = Shape>, load: &Load) -> Result<ExitCode> {
    load.take_core()?;
    let mut codes = Vec::new();
    for shape in shapes {
        let setup = load.setup(shape)?;
        let tell = &mut |line: &str| println!("{line}");
        let comparison = compare(scenario, &setup, &load.targets()?, load.schedule(), &load.bounds(), tell)?;
        comparison.summary_lines().iter().for_each(|line| println!("{line}"));
        eprint!("{}", comparison.table());
        codes.push(verdict(&comparison));
    }
    Ok(codes.into_iter().max().map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// The exit code: what failed goes before what could not be told.
fn verdict(comparison: &Comparison) -> u8 {
    comparison.failures.iter().for_each(|failure| eprintln!("failed: {failure}"));
    match (comparison.is_told(), comparison.failures.is_empty()) {
        (true, true) => 0,
        (true, false) => FAILED,
        (false, _) => REFUSED,
    }
}

const FAILED: u8 = 1;
/// The tool itself, or others on the machine, were in the way.
const REFUSED: u8 = 3;
