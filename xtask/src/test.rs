//! `cargo xtask test`: every check and every test, in one optimised build.
//!
//! All stages run, whatever happened in those before them, save that nothing can be tested without a build. What has
//! failed is listed at the end, before a last line with the counts; a check without tests of its own counts as one.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::instructions::{self, Verdict};
use crate::node::Node;
use crate::packages;
use crate::suite::{self, Counts, Show};
use crate::tidy;
use crate::workspace::{cargo, complete, program, root, spelled, succeeds};

pub(crate) fn test(arguments: &[String]) -> Result<ExitCode> {
    if let Some(argument) = arguments.first() {
        bail!("`cargo xtask test` takes no argument, but was given `{argument}`");
    }
    let started = Instant::now();
    let mut run = Run::default();
    run.stage("tools", Run::tools);
    run.stage("tidy", Run::tidy);
    run.stage("format", Run::format);
    run.stage("clippy", Run::clippy);
    run.stage("build", Run::build);
    run.stage("unit and integration tests", |run| run.rust_suites(Kind::Test));
    run.stage("documentation tests", Run::doc_tests);
    run.stage("benches, once each", |run| run.rust_suites(Kind::Bench));
    run.stage("instructions", Run::instructions);
    run.stage("independent clients", |run| run.rust_suites(Kind::Interop));
    run.stage("SDK", |run| run.node_suite("SDK", "sdk", "sdk/test", Show::Failures));
    run.stage("browsers", |run| run.node_suite("browsers", "e2e", "e2e", Show::Everything));
    Ok(run.close(started))
}

/// What one run of the command has seen so far.
#[derive(Default)]
struct Run {
    stage: usize,
    counts: Counts,
    faults: Vec<String>,
    suites: Vec<Suite>,
}

/// A test program that cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct Suite {
    kind: Kind,
    name: String,
    program: PathBuf,
    /// The directory of its package, where cargo would run it.
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Test,
    Bench,
    /// Tests that drive the server's program from outside.
    Interop,
}

impl Run {
    fn stage(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<()>) {
        self.stage += 1;
        let started = Instant::now();
        println!("[{}/{STAGES}] {name}", self.stage);
        if let Err(error) = body(self) {
            println!("  FAILED: {error:#}");
            self.fault(format!("{name}: {error:#}"));
        }
        println!("[{}/{STAGES}] {name}: {:.1} s", self.stage, started.elapsed().as_secs_f32());
    }

    fn fault(&mut self, fault: String) {
        self.counts.failed += 1;
        self.faults.push(fault);
    }

    fn skip(&mut self, why: &str) {
        println!("  skipped: {why}");
        self.counts.skipped += 1;
    }

    fn tools(&mut self) -> Result<()> {
        packages::install(packages::BUILD)?;
        packages::install(packages::TEST)
    }

    fn tidy(&mut self) -> Result<()> {
        let findings = tidy::findings()?;
        findings.iter().for_each(|finding| println!("  {finding}"));
        if !findings.is_empty() {
            bail!("{} findings", findings.len());
        }
        self.counts.passed += 1;
        Ok(())
    }

    fn format(&mut self) -> Result<()> {
        if !succeeds(cargo().args(["fmt", "--version"])) {
            self.skip("this toolchain has no rustfmt");
            return Ok(());
        }
        self.check(cargo().args(["fmt", "--all", "--check"]))
    }

    fn clippy(&mut self) -> Result<()> {
        if !succeeds(cargo().args(["clippy", "--version"])) {
            self.skip("this toolchain has no clippy");
            return Ok(());
        }
        let clippy = ["clippy", "--quiet", "--release"];
        // The instruction benches need a runner, so they are no part of all targets.
        for targets in
            [&["--workspace", "--all-targets"][..], &["--package", "tidewire-bench", "--bench", "instructions"]]
        {
            complete(cargo().args(clippy).args(targets).args(["--", "--deny", "warnings"]))?;
        }
        self.counts.passed += 1;
        Ok(())
    }

    fn check(&mut self, command: &mut Command) -> Result<()> {
        complete(command)?;
        self.counts.passed += 1;
        Ok(())
    }

    /// Builds every test first and the server last, as `cargo xtask run` builds it, so that what is tested is what runs.
    fn build(&mut self) -> Result<()> {
        // Without a kind of target cargo builds examples as the programs they are, which the browser tests start.
        self.build_tests(&[])?;
        self.build_tests(&["--benches"])?;
        self.suites.sort_by(|a, b| a.name.cmp(&b.name));
        complete(cargo().args(["build", "--release", "--package", "tidewire-server"]))?;
        self.counts.passed += 1;
        Ok(())
    }

    /// Builds tests and notes those that were not there yet.
    fn build_tests(&mut self, targets: &[&str]) -> Result<()> {
        let mut build = cargo();
        build.args(["test", "--release", "--workspace", "--no-run"]).args(targets);
        build.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
        let output = build.output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("{} ended with {}", spelled(&build), output.status);
        }
        for suite in std::str::from_utf8(&output.stdout)?.lines().filter_map(suite_of) {
            if !self.suites.contains(&suite) {
                self.suites.push(suite);
            }
        }
        Ok(())
    }

    fn rust_suites(&mut self, kind: Kind) -> Result<()> {
        let (suites, others) = std::mem::take(&mut self.suites).into_iter().partition(|suite| suite.kind == kind);
        self.suites = others;
        let suites: Vec<Suite> = suites;
        if suites.is_empty() {
            self.skip("nothing was built");
        }
        for suite in suites {
            let mut command = Command::new(&suite.program);
            command.current_dir(&suite.directory).env("CARGO_MANIFEST_DIR", &suite.directory);
            if kind == Kind::Bench {
                command.arg("--test");
            }
            self.suite(&suite.name, &mut command, Show::Failures)?;
        }
        Ok(())
    }

    fn instructions(&mut self) -> Result<()> {
        match instructions::check()? {
            Verdict::Incomparable(why) => self.skip(&why),
            Verdict::Compared { kept, faults } => {
                self.counts.passed += kept;
                for fault in faults {
                    println!("  FAILED: {fault}");
                    self.fault(fault);
                }
            }
        }
        Ok(())
    }

    fn doc_tests(&mut self) -> Result<()> {
        self.suite(
            "documentation",
            cargo().args(["test", "--release", "--workspace", "--doc", "--quiet"]),
            Show::Failures,
        )
    }

    /// The test files in `tests`, with the packages that `package` locks.
    fn node_suite(&mut self, name: &str, package: &str, tests: &str, show: Show) -> Result<()> {
        let directory = root().join(package);
        let files = test_files(&root().join(tests))?;
        if files.is_empty() {
            self.skip("there are no tests");
            return Ok(());
        }
        let node = Node::obtain()?;
        complete(node.npm().args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))?;
        let mut command = node.command();
        command.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]).args(files).current_dir(&directory);
        self.suite(name, &mut command, show)
    }

    fn suite(&mut self, name: &str, command: &mut Command, show: Show) -> Result<()> {
        command.env("TIDEWIRE_BIN", program("tidewire")).env("RUST_BACKTRACE", "1");
        let outcome = suite::run(name, command, show)?;
        self.counts.add(outcome.counts);
        if !outcome.ended_well {
            self.faults.push(name.to_owned());
            // It ended badly without a failed test: a crash, or no time left.
            if outcome.counts.failed == 0 {
                self.counts.failed += 1;
            }
        }
        Ok(())
    }

    fn close(self, started: Instant) -> ExitCode {
        let Counts { passed, failed, skipped } = self.counts;
        println!("All stages took {} s.", started.elapsed().as_secs());
        self.faults.iter().for_each(|fault| println!("FAILED: {fault}"));
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if self.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Reads one of cargo's messages: a test program that it built, or something else.
fn suite_of(message: &str) -> Option<Suite> {
    if !message.starts_with(r#"{"reason":"compiler-artifact""#) {
        return None;
    }
    // The target says whether it has tests, its profile whether this build of it runs them.
    let (_, profile) = message.split_once(r#""profile":{"#)?;
    if !profile.split('}').next()?.contains(r#""test":true"#) {
        return None;
    }
    let program = PathBuf::from(text_field(message, "executable")?);
    let directory = Path::new(text_field(message, "manifest_path")?).parent()?.to_owned();
    let package = directory.file_name()?.to_string_lossy().into_owned();
    let target = message.split_once(r#""target":"#)?.1;
    let kind = match (target.contains(r#""kind":["bench"]"#), target.contains(r#""kind":["test"]"#)) {
        (true, _) => Kind::Bench,
        (_, true) if package == "perf" => Kind::Interop,
        _ => Kind::Test,
    };
    Some(Suite { kind, name: format!("{package}: {}", text_field(target, "name")?), program, directory })
}

/// The text of a field of a JSON object that cargo wrote; paths with escaped characters are not expected.
fn text_field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

/// The tests that node runs, in order of name.
fn test_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

const STAGES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, package: &str, test: bool, executable: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"x","manifest_path":"/src/{package}/Cargo.toml","target":{{"kind":["{kind}"],"crate_types":["bin"],"name":"it","src_path":"/src/x.rs","test":true}},"profile":{{"opt_level":"3","test":{test}}},"features":[],"filenames":[],"executable":{executable},"fresh":true}}"#
        )
    }

    #[test]
    fn test_program_is_read_from_cargos_message() {
        let suite = suite_of(&message("test", "core", true, r#""/t/it-1""#)).unwrap();
        assert_eq!((suite.kind, suite.name.as_str()), (Kind::Test, "core: it"));
        assert_eq!((suite.program, suite.directory), ("/t/it-1".into(), "/src/core".into()));
    }

    #[test]
    fn bench_and_interop_are_told_apart() {
        assert_eq!(suite_of(&message("bench", "bench", true, r#""/t/b""#)).unwrap().kind, Kind::Bench);
        assert_eq!(suite_of(&message("test", "perf", true, r#""/t/b""#)).unwrap().kind, Kind::Interop);
        assert_eq!(suite_of(&message("lib", "perf", true, r#""/t/b""#)).unwrap().kind, Kind::Test);
    }

    #[test]
    fn plain_program_and_library_are_no_suites() {
        assert_eq!(suite_of(&message("bin", "server", false, r#""/t/b""#)), None);
        assert_eq!(suite_of(&message("lib", "core", false, "null")), None);
        assert_eq!(suite_of(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
