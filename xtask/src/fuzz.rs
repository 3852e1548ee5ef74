//! `cargo xtask fuzz`: every fuzz target for a while, one after the other.
//!
//! The targets stand in `fuzz/`, a workspace of its own. Each starts from its committed corpus; what it learns goes to the build
//! directory, a finding to `fuzz/artifacts/`, named at the end. No sanitizer is linked: there is no `unsafe` in what is fuzzed, and
//! checks of arithmetic and assertions are on. `--learn` afterwards takes what reaches further into the committed corpora.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::workspace::{cargo, complete, on_path, root, target};

/// Seconds that each target runs, unless told otherwise.
const SECONDS: u32 = 600;

/// Bytes of an input: a few packets, or a session description of a browser.
const LEN_MAX: u32 = 8192;

/// Bytes of an input that is committed: two or three packets; text needs more. Whole session descriptions are in `SESSIONS`.
const COMMITTED_LEN_MAX: u32 = 160;
const COMMITTED_TEXT_LEN_MAX: u32 = 1024;

/// What browsers and others offer and answer, which the target `sdp` starts from as well.
const SESSIONS: &str = "../core/src/negotiate/fixtures";

pub(crate) fn fuzz(arguments: &[String]) -> Result<ExitCode> {
    let learning = arguments.iter().any(|word| word == "--learn");
    let words: Vec<&String> = arguments.iter().filter(|word| *word != "--learn").collect();
    let (seconds, names) = match words.split_first().map(|(first, rest)| (first.parse(), rest)) {
        Some((Ok(seconds), rest)) => (seconds, rest.to_vec()),
        Some((Err(_), _)) => (SECONDS, words),
        None => (SECONDS, Vec::new()),
    };
    install()?;
    let targets = targets(&names)?;
    complete(tool("build").args(SWITCHES))?;
    let failed: Vec<&String> = targets.iter().filter(|name| run(name, seconds).is_err()).collect();
    if !failed.is_empty() {
        bail!("findings in {failed:?}: the inputs lie in fuzz/artifacts");
    }
    if learning {
        targets.iter().try_for_each(|name| learn(name))?;
    }
    println!("fuzz: {} targets, {seconds} s each, no finding", targets.len());
    Ok(ExitCode::SUCCESS)
}

fn install() -> Result<()> {
    packages::install(packages::BUILD)?;
    if on_path("cargo-fuzz") {
        return Ok(());
    }
    println!("This machine lacks cargo-fuzz, which builds and starts the targets.");
    complete(cargo().args(["install", "--locked", "cargo-fuzz"]))
}

/// All targets, or those that are named, by the files that are theirs.
fn targets(names: &[&String]) -> Result<Vec<String>> {
    let directory = root().join("fuzz/fuzz_targets");
    let files = std::fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut all = Vec::new();
    for file in files {
        all.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`; there are {all:?}");
    }
    all.retain(|name| names.is_empty() || names.contains(&name));
    Ok(all)
}

fn run(name: &str, seconds: u32) -> Result<()> {
    println!("fuzz: {name}, {seconds} s");
    let learned = learned(name);
    std::fs::create_dir_all(&learned)?;
    let limits =
        [format!("-max_total_time={seconds}"), format!("-max_len={LEN_MAX}"), "-print_final_stats=1".to_owned()];
    let sessions = (name == "sdp").then_some(SESSIONS);
    complete(
        tool("run").args(SWITCHES).arg(name).arg(learned).arg(committed(name)).args(sessions).arg("--").args(limits),
    )
}

/// Merges what was learned into the committed corpus, as far as it reaches further.
fn learn(name: &str) -> Result<()> {
    let len_max = if name == "sdp" { COMMITTED_TEXT_LEN_MAX } else { COMMITTED_LEN_MAX };
    let merge = ["-set_cover_merge=1".to_owned(), format!("-max_len={len_max}")];
    complete(tool("run").args(SWITCHES).arg(name).arg(committed(name)).arg(learned(name)).arg("--").args(merge))
}

fn committed(name: &str) -> PathBuf {
    Path::new("corpus").join(name)
}

fn learned(name: &str) -> PathBuf {
    target().join("fuzz").join(name)
}

/// `cargo fuzz` in the fuzzers' own workspace.
fn tool(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.current_dir(root().join("fuzz")).args(["fuzz", command]);
    cargo
}

const SWITCHES: [&str; 2] = ["--sanitizer=none", "--debug-assertions"];
