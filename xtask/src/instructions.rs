//! The ratchet of instructions: what the pure machine takes of its own may become less, never more.
//!
//! The instruction benches run under valgrind, which counts instead of measuring: two runs differ by nothing that a
//! neighbour does. `xtask/instructions.txt` holds a line for each count, and what it was counted with, since another
//! compiler makes other code. `cargo xtask bench instructions --bless` writes it anew; a change that needs that says in
//! its commit why the instructions are worth it. Both tools are installed when they are missing.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::packages::{self, Need};
use crate::workspace::{cargo, complete, root, spelled, target};

/// What a comparison with the ratchet came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// These counts and those of the ratchet are not of one kind.
    Incomparable(String),
    /// So many counts are within their lines; the others are named.
    Compared { kept: u64, faults: Vec<String> },
}

/// `cargo xtask bench instructions`: counts, shows, and compares or blesses.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let blessing = match arguments {
        [] => false,
        [word] if word == "--bless" => true,
        _ => bail!("`cargo xtask bench instructions` takes no argument but `--bless`"),
    };
    let counts = count()?;
    println!("   own    all  instructions");
    counts.iter().for_each(|count| println!("{count}"));
    if blessing {
        return bless(&counts);
    }
    match compare(&counts)? {
        Verdict::Incomparable(why) => println!("not compared: {why}"),
        Verdict::Compared { faults, .. } if faults.is_empty() => {}
        Verdict::Compared { faults, .. } => bail!("{}", faults.join("\n")),
    }
    Ok(())
}

/// Compares with the ratchet; counts only if that can be.
pub(crate) fn check() -> Result<Verdict> {
    match incomparable(&Ratchet::read()?)? {
        Some(why) => Ok(Verdict::Incomparable(why)),
        None => compare(&count()?),
    }
}

/// One line: the machine's own instructions, those with the ciphers, and what they are taken for.
#[derive(Debug)]
struct Count {
    own: u64,
    all: u64,
    name: String,
}

impl Count {
    fn parse(line: &str) -> Option<Self> {
        let (own, rest) = line.trim_start().split_once(' ')?;
        let (all, name) = rest.trim_start().split_once(' ')?;
        Some(Self { own: own.parse().ok()?, all: all.parse().ok()?, name: name.trim().to_owned() })
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} {:>6}  {}", self.own, self.all, self.name)
    }
}

/// What the counts may be.
struct Ratchet {
    setting: String,
    counts: Vec<Count>,
}

impl Ratchet {
    fn read() -> Result<Self> {
        let text = std::fs::read_to_string(ratchet_path()).context(RATCHET)?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let setting = text.lines().find_map(|line| line.strip_prefix(SETTING)).unwrap_or("").to_owned();
        Self { setting, counts: text.lines().filter_map(Count::parse).collect() }
    }

    fn judge(&self, counts: &[Count]) -> Verdict {
        let (mut kept, mut faults) = (0, Vec::new());
        for count in counts {
            match self.objection(count) {
                None => kept += 1,
                Some(fault) => faults.push(fault),
            }
        }
        let gone = self.counts.iter().filter(|line| counts.iter().all(|count| count.name != line.name));
        faults.extend(gone.map(|line| format!("{}: nothing counts it any more; {HOW_TO_BLESS}", line.name)));
        Verdict::Compared { kept, faults }
    }

    fn objection(&self, count: &Count) -> Option<String> {
        let Count { own, name, .. } = count;
        let Some(most) = self.counts.iter().find(|line| line.name == *name).map(|line| line.own) else {
            return Some(format!("{name}: {own} instructions, and no line in {RATCHET}; {HOW_TO_BLESS}"));
        };
        if own * 100 > most * (100 + TOLERANCE_PERCENT) {
            return Some(format!("{name}: {own} instructions, where {most} were enough; {HOW_TO_BLESS}"));
        }
        if own * 100 < most * (100 - TOLERANCE_PERCENT) {
            println!("  {name}: {own} instructions instead of {most}; `{BLESS}` keeps it so");
        }
        None
    }
}

fn compare(counts: &[Count]) -> Result<Verdict> {
    let ratchet = Ratchet::read()?;
    Ok(match incomparable(&ratchet)? {
        Some(why) => Verdict::Incomparable(why),
        None => ratchet.judge(counts),
    })
}

/// Why counts of this machine and those of the ratchet do not compare, if they do not.
fn incomparable(ratchet: &Ratchet) -> Result<Option<String>> {
    let (ours, theirs) = (setting()?, &ratchet.setting);
    Ok((ours != *theirs).then(|| format!("this is {ours}; {RATCHET} was counted with {theirs}")))
}

fn bless(counts: &[Count]) -> Result<()> {
    let lines: String = counts.iter().map(|count| format!("{count}\n")).collect();
    std::fs::write(ratchet_path(), format!("{HEADER}{SETTING}{}\n{lines}", setting()?)).context(RATCHET)
}

/// The compiler, and the processor that valgrind shows: the same everywhere, but that it has AVX2 only where ours has.
fn setting() -> Result<String> {
    let output = Command::new("rustc").arg("--version").current_dir(root()).output().context("cannot start rustc")?;
    let rustc = String::from_utf8(output.stdout)?;
    Ok(format!("{}, {}{}", rustc.trim(), std::env::consts::ARCH, if has_avx2() { " with AVX2" } else { "" }))
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// Runs the benches under valgrind and reads what they came to.
fn count() -> Result<Vec<Count>> {
    packages::install(VALGRIND)?;
    let said = target().join("instructions.json");
    let mut bench = cargo();
    bench.args(["bench", "--package", "tidewire-bench", "--bench", "instructions", "--", "--output-format=json"]);
    bench.env("PATH", path_with(&runner()?)?);
    std::fs::write(&said, output_of(&mut bench)?)?;
    let mut read = cargo();
    read.args(["run", "--release", "--package", "tidewire-bench", "--bin", "counts", "--"]).arg(&said);
    let counts: Vec<Count> = output_of(&mut read)?.lines().filter_map(Count::parse).collect();
    ensure!(!counts.is_empty(), "{} printed no counts", spelled(&read));
    Ok(counts)
}

/// What a command prints. What it says besides is shown only if it fails.
fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("{} ended with {}", spelled(command), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The directory of gungraun's runner, which has to be of the library's version; built there when it is missing.
fn runner() -> Result<PathBuf> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    let version = locked_version(&lock, "gungraun").context("gungraun is not in Cargo.lock")?;
    let home = target().join("tools").join(format!("gungraun-runner-{version}"));
    let directory = home.join("bin");
    if !directory.join("gungraun-runner").exists() {
        println!("gungraun-runner {version} is missing, which runs the instruction benches under valgrind;");
        println!("building it into {}: a minute or two, once", shown(&home));
        // It only starts valgrind, so an optimised one, for twice the wait, would count no faster.
        let install = ["install", "--quiet", "--debug", "--locked", "gungraun-runner", "--version"];
        let mut install_runner = cargo();
        install_runner.args(install).arg(format!("={version}")).arg("--root").arg(&home);
        complete(install_runner.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    }
    Ok(directory)
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split_once('"').map(|(version, _)| version)
}

fn path_with(directory: &Path) -> Result<OsString> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&paths));
    Ok(std::env::join_paths(all)?)
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn ratchet_path() -> PathBuf {
    root().join(RATCHET)
}

const RATCHET: &str = "xtask/instructions.txt";
const BLESS: &str = "cargo xtask bench instructions --bless";
const HOW_TO_BLESS: &str = "if that is meant: `cargo xtask bench instructions --bless`";

/// By how much a count may exceed its line: unrelated code moves the compiler's choices by as much.
const TOLERANCE_PERCENT: u64 = 2;

const HEADER: &str = "\
# Instructions of the pure machine's own, those with its ciphers, and for what. The own may shrink, not grow by more than
# 2 %. Written by `cargo xtask bench instructions --bless`; docs/performance.md says what is in them.
";
const SETTING: &str = "# Counted with ";

const VALGRIND: &[Need] = &[Need::new("valgrind", &["valgrind"], "counts the instructions of the machine")];

#[cfg(test)]
mod tests {
    use super::*;

    const RATCHET_TEXT: &str =
        "# Some header\n# Counted with rustc 1, x86_64\n   100    400  forward, each\n  2000  16000  check\n";

    fn judged(lines: &str) -> (u64, Vec<String>) {
        let counts: Vec<Count> = lines.lines().filter_map(Count::parse).collect();
        match Ratchet::parse(RATCHET_TEXT).judge(&counts) {
            Verdict::Compared { kept, faults } => (kept, faults),
            Verdict::Incomparable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn ratchet_is_read_with_its_setting() {
        let ratchet = Ratchet::parse(RATCHET_TEXT);
        assert_eq!(ratchet.setting, "rustc 1, x86_64");
        let lines: Vec<String> = ratchet.counts.iter().map(Count::to_string).collect();
        assert_eq!(lines, ["   100    400  forward, each", "  2000  16000  check"]);
    }

    #[test]
    fn two_percent_more_are_kept_and_three_are_not() {
        assert_eq!(judged("102 900 forward, each\n1000 1 check"), (2, Vec::new()));
        let (kept, faults) = judged("103 400 forward, each\n2040 16000 check");
        assert_eq!(kept, 1);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("forward, each: 103 instructions, where 100 were enough; "), "{faults:?}");
        assert!(faults[0].contains(BLESS), "{faults:?}");
    }

    #[test]
    fn new_and_vanished_counts_are_faults() {
        let (kept, faults) = judged("100 400 forward, each\n5 5 newcomer");
        assert_eq!((kept, faults.len()), (1, 2));
        assert!(faults[0].starts_with("newcomer: 5 instructions, and no line"), "{faults:?}");
        assert!(faults[1].starts_with("check: nothing counts it"), "{faults:?}");
    }

    #[test]
    fn version_is_that_of_the_very_package() {
        let lock = "[[package]]\nname = \"gungraun-macros\"\nversion = \"0.10.0\"\n\n[[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        assert_eq!(locked_version(lock, "gungraun"), Some("0.20.0"));
        assert_eq!(locked_version(lock, "valgrind"), None);
    }
}
