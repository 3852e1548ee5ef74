//! `tidewire-load`: runs a load scenario against servers and tells what it found.
//!
//! Arguments in; a table and progress on the terminal, and lines of JSON on standard output. Without a subcommand it
//! compares the packet I/Os with one publisher and a hundred viewers.

#![allow(clippy::print_stdout, reason = "a program that prints what it found")]

mod arguments;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser as _;
use tidewire_perf::load::{Outcome, Run, Shape, churn, compare, idle, memory, storm};
use tidewire_perf::machine;
use tidewire_perf::plot::draw;
use tidewire_perf::server::Server;
use tidewire_perf::talk::Talk;

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
        Command::Storm { viewers, newcomers, load } => {
            scenario(Shape::broadcast(viewers), &load, |run| storm(run, newcomers))
        }
        Command::Memory { viewers, load } => scenario(Shape::broadcast(0), &load, |run| memory(run, &viewers)),
        Command::Churn { viewers, a_second, minutes, load } => {
            let length = Duration::from_secs_f64(60.0 * minutes);
            scenario(Shape::broadcast(viewers), &load, |run| churn(run, a_second, length))
        }
        Command::Talk { clients, deaf, a_second, load } => talk(&load, load.talk(clients, deaf, a_second)?),
        Command::Plot { files, out } => plot(&files, &out),
        Command::Idle { viewers, connections, load } => {
            scenario(Shape::broadcast(viewers), &load, |run| idle(run, connections))
        }
    }
}

fn talk(load: &Load, talk: Talk) -> Result<ExitCode> {
    load.take_core()?;
    let talked = tidewire_perf::talk::talk(&Server::default_binary(), talk)?;
    println!("{}", talked.line());
    eprint!("{}", talked.table());
    let failures = talked.failures();
    failures.iter().for_each(|failure| eprintln!("failed: {failure}"));
    Ok(ExitCode::from(if failures.is_empty() { 0 } else { FAILED }))
}

/// Says what was written.
fn plot(files: &[PathBuf], out: &Path) -> Result<ExitCode> {
    for path in draw(files, out)? {
        eprintln!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn scenario(shape: Shape, load: &Load, play: impl FnOnce(&mut Run<'_>) -> Result<Outcome>) -> Result<ExitCode> {
    load.take_core()?;
    let (setup, targets) = (load.setup(shape)?, load.targets()?);
    let tell = &mut |line: &str| println!("{line}");
    let mut run = Run { setup, targets, schedule: load.schedule(), bounds: load.bounds(), tell };
    let outcome = play(&mut run)?;
    eprint!("{}", outcome.table);
    outcome.refusals.iter().for_each(|refusal| eprintln!("refused: {refusal}"));
    Ok(ExitCode::from(verdict(!outcome.is_untold, &outcome.failures)))
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
        codes.push(verdict(comparison.is_told(), &comparison.failures));
    }
    Ok(codes.into_iter().max().map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// The exit code: figures that could not be told go before what failed.
fn verdict(is_told: bool, failures: &[String]) -> u8 {
    failures.iter().for_each(|failure| eprintln!("failed: {failure}"));
    match (is_told, failures.is_empty()) {
        (true, true) => 0,
        (true, false) => FAILED,
        (false, _) => REFUSED,
    }
}

const FAILED: u8 = 1;
/// The tool itself, or others on the machine, were in the way.
const REFUSED: u8 = 3;
