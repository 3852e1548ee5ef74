//! `cargo xtask tidy`: what a machine can see of the manners of the code.
//!
//! Each check is a plain function from files to findings, tested on bad samples, so that none can pass by seeing
//! nothing. What is judged: purity of the inner floors, who imports whom, headers, growth, words, links.

mod source;
mod imports;
mod purity;
mod text;
mod names;
mod ratchet;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace::root;
use source::Source;

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// Counted from one; zero where the whole file is meant.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.path, self.what);
        }
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

pub(crate) fn tidy(arguments: &[String]) -> Result<ExitCode> {
    match arguments {
        [] => {}
        [flag] if flag == "--bless" => ratchet::bless(&rust(&read_tree(root())?))?,
        _ => bail!("`cargo xtask tidy` takes `--bless` or nothing"),
    }
    let findings = findings()?;
    findings.iter().for_each(|finding| println!("{finding}"));
    let files = read_tree(root())?;
    println!("tidy: {} findings; {}", findings.len(), ratchet::summary(&rust(&files)));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is wrong in the workspace.
pub(crate) fn findings() -> Result<Vec<Finding>> {
    let files = read_tree(root())?;
    let sources = rust(&files);
    let names = names::Names::read(&sources);
    let exists = |path: &str| root().join(path).exists();
    let mut findings = Vec::new();
    for file in &files {
        text::check(file, &mut findings);
        text::check_links(file, &exists, &mut findings);
        names::check(file, &names, &exists, &mut findings);
        if file.path.ends_with("Cargo.toml") {
            imports::check(file, &mut findings);
        }
    }
    for source in &sources {
        text::check_header(source, &mut findings);
        purity::check(source, &mut findings);
    }
    ratchet::check(&sources, &ratchet::read()?, &mut findings);
    Ok(findings)
}

fn rust(files: &[File]) -> Vec<Source<'_>> {
    files.iter().filter(|file| file.path.ends_with(".rs")).map(Source::read).collect()
}

/// A text file of the workspace; its path is relative to the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file of the workspace, in order of path.
fn read_tree(top: &Path) -> Result<Vec<File>> {
    let mut waiting = vec![top.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.extend((!is_foreign(&path)).then_some(path));
            } else if is_text(&path) {
                files.push(read_file(top, &path)?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_file(top: &Path, path: &PathBuf) -> Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(File { path: path.strip_prefix(top)?.to_string_lossy().into_owned(), text })
}

/// Built, fetched or kept by tools: not ours to judge.
fn is_foreign(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| FOREIGN.iter().any(|foreign| name == *foreign))
}

fn is_text(path: &Path) -> bool {
    let named =
        |names: &[&str], part: Option<&std::ffi::OsStr>| part.is_some_and(|part| names.iter().any(|n| part == *n));
    named(TEXT_EXTENSIONS, path.extension()) || named(TEXT_NAMES, path.file_name())
}

const FOREIGN: &[&str] = &["target", "node_modules", ".git", "test-results"];
const TEXT_EXTENSIONS: &[&str] =
    &["rs", "toml", "lock", "md", "js", "mjs", "ts", "json", "html", "css", "svg", "sh", "yml", "txt"];
const TEXT_NAMES: &[&str] = &["run", "Dockerfile", ".gitignore"];
