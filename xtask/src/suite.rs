//! One run of one test program: its output, its counts, its end.
//!
//! A suite that passes takes one line; one that fails shows everything it said. Counts are read from the closing lines
//! of Rust's test harness and of node's test runner.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What became of one suite.
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) ended_well: bool,
}

/// What is shown while a suite runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Every line as it comes.
    Everything,
    /// Nothing, unless the suite fails.
    Failures,
}

/// Runs a suite and reads its counts; a suite that does not end within `SUITE_TIME_MAX` is ended and has failed.
pub(crate) fn run(name: &str, command: &mut Command, show: Show) -> Result<Outcome> {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let lines = lines_of(&mut child);
    let (said, in_time) = listen(&lines, started, show);
    if !in_time {
        println!("  {name}: still running after {} s, ended", SUITE_TIME_MAX.as_secs());
        child.kill().with_context(|| format!("cannot end {name}"))?;
    }
    let ended_well = child.wait()?.success() && in_time;
    let counts = said.iter().fold(Counts::default(), |mut sum, line| {
        read_counts(line, &mut sum);
        sum
    });
    if !ended_well && show == Show::Failures {
        said.iter().for_each(|line| println!("{line}"));
    }
    print_line(name, counts, ended_well, started.elapsed());
    Ok(Outcome { counts, ended_well })
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        read_in_background(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read_in_background(stderr, sender);
    }
    lines
}

fn read_in_background(source: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}

/// Everything that was said until both ends closed, and whether that came before the deadline.
fn listen(lines: &Receiver<String>, started: Instant, show: Show) -> (Vec<String>, bool) {
    let mut said = Vec::new();
    loop {
        let left = SUITE_TIME_MAX.saturating_sub(started.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => {
                if show == Show::Everything {
                    println!("    {line}");
                }
                said.push(line);
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return (said, true),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return (said, false),
        }
    }
}

fn print_line(name: &str, counts: Counts, ended_well: bool, took: Duration) {
    let verdict = if ended_well { "ok" } else { "FAILED" };
    println!(
        "  {name:<44} {verdict:<6} {:>5} passed {:>3} failed {:>7.1} s",
        counts.passed,
        counts.failed,
        took.as_secs_f32()
    );
}

/// Adds what one line of output says about counts, if it is a closing line.
fn read_counts(line: &str, sum: &mut Counts) {
    if line.starts_with("test result: ") {
        // test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s
        sum.passed += number_before(line, " passed");
        sum.failed += number_before(line, " failed");
        sum.skipped += number_before(line, " ignored");
    }
    // ℹ pass 12
    let Some((key, number)) = line.strip_prefix("ℹ ").and_then(|rest| rest.split_once(' ')) else {
        return;
    };
    let number = number.trim().parse().unwrap_or(0);
    match key {
        "pass" => sum.passed += number,
        "fail" | "cancelled" => sum.failed += number,
        "skipped" | "todo" => sum.skipped += number,
        _ => {}
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let before = line.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The longest that one test program may take.
const SUITE_TIME_MAX: Duration = Duration::from_secs(20 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &[&str]) -> Counts {
        let mut sum = Counts::default();
        lines.iter().for_each(|line| read_counts(line, &mut sum));
        sum
    }

    #[test]
    fn counts_of_rusts_harness_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s";
        assert_eq!(counts(&["running 16 tests", line]), Counts { passed: 12, failed: 3, skipped: 1 });
    }

    #[test]
    fn counts_of_nodes_runner_are_read() {
        let lines = ["✔ a viewer leaves (12ms)", "ℹ tests 9", "ℹ pass 7", "ℹ fail 1", "ℹ cancelled 1", "ℹ skipped 0"];
        assert_eq!(counts(&lines), Counts { passed: 7, failed: 2, skipped: 0 });
    }

    #[test]
    fn a_suite_that_ends_badly_has_failed() {
        let outcome = run("bad", Command::new("sh").args(["-c", "echo said; exit 3"]), Show::Failures).unwrap();
        assert!(!outcome.ended_well);
        assert_eq!(outcome.counts, Counts::default());
    }
}
