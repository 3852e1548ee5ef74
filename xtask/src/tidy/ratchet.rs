//! The ratchet: long files and long functions may become shorter, never longer, and no new ones may come.
//!
//! `xtask/ratchet.txt` holds what is over the measure today. `cargo xtask tidy --bless` writes it anew; a change that
//! needs that says in its commit why the length is right.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Finding;
use super::source::Source;
use crate::workspace::root;

/// What is over the measure, by `path` or `path::function`, in lines.
pub(crate) type Lengths = BTreeMap<String, usize>;

/// The lengths that are allowed today.
pub(crate) fn read() -> Result<Lengths> {
    let text = std::fs::read_to_string(path()).context("xtask/ratchet.txt")?;
    Ok(parse(&text))
}

/// Writes what is over the measure now as what is allowed from now on.
pub(crate) fn bless(sources: &[Source<'_>]) -> Result<()> {
    let lines = measure(sources).into_iter().map(|(name, (_, lines))| format!("{lines} {name}\n"));
    std::fs::write(path(), HEADER.to_owned() + &lines.collect::<String>()).context("xtask/ratchet.txt")
}

pub(crate) fn check(sources: &[Source<'_>], allowed: &Lengths, findings: &mut Vec<Finding>) {
    for (name, (line, lines)) in measure(sources) {
        let path = name.split("::").next().unwrap_or(&name);
        match allowed.get(&name) {
            Some(most) if lines <= *most => {}
            Some(most) => findings.push(Finding::new(path, line, format!("{name} grew from {most} to {lines} lines"))),
            None => findings.push(Finding::new(path, line, format!("{name} has {lines} lines ({MEASURES})"))),
        }
    }
}

/// Every file and function over its measure: the line it starts on, and its length.
fn measure(sources: &[Source<'_>]) -> BTreeMap<String, (usize, usize)> {
    let mut lengths = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            lengths.insert(source.path.to_owned(), (0, lines));
        }
        for function in source.functions().into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
            // Functions of one name in one file share an entry: the longest counts.
            let entry = lengths.entry(format!("{}::{}", source.path, function.name)).or_insert((0, 0));
            if function.lines > entry.1 {
                *entry = (function.line, function.lines);
            }
        }
    }
    lengths
}

/// One line on how long the functions of the house are.
pub(crate) fn summary(sources: &[Source<'_>]) -> String {
    let judged = sources.iter().filter(|source| !source.is_test());
    let mut lengths: Vec<usize> = judged.flat_map(|source| source.functions()).map(|function| function.lines).collect();
    lengths.sort_unstable();
    let at = |percent: usize| lengths.get(lengths.len() * percent / 100).copied().unwrap_or(0);
    format!("{} functions, median {} lines, nine of ten up to {}", lengths.len(), at(50), at(90))
}

fn parse(text: &str) -> Lengths {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(lines, name)| Some((name.to_owned(), lines.parse().ok()?)))
        .collect()
}

fn path() -> PathBuf {
    root().join("xtask/ratchet.txt")
}

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 50;
const MEASURES: &str = "files: 400, functions: 50";
const HEADER: &str =
    "# Lines of what is over the measure: may shrink, not grow. Written by `cargo xtask tidy --bless`.\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::File;

    fn found(allowed: &str, text: &str) -> Vec<String> {
        let file = File { path: "core/src/a.rs".into(), text: text.into() };
        let mut findings = Vec::new();
        check(&[Source::read(&file)], &parse(allowed), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn summary_tells_the_middle_and_the_tail() {
        let file = File { path: "core/src/a.rs".into(), text: format!("{}{}", function(3), function(9)) };
        assert_eq!(summary(&[Source::read(&file)]), "2 functions, median 9 lines, nine of ten up to 9");
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "x();\n".repeat(lines - 2))
    }

    #[test]
    fn new_long_function_and_new_long_file_are_found() {
        assert!(found("", &function(50)).is_empty());
        assert_eq!(found("", &function(51)).len(), 1);
        assert_eq!(found("", &"\n".repeat(401)).len(), 1);
    }

    #[test]
    fn what_is_allowed_may_shrink_but_not_grow() {
        let allowed = "# old\n60 core/src/a.rs::long\n";
        assert!(found(allowed, &function(55)).is_empty());
        assert_eq!(found(allowed, &function(61)), ["core/src/a.rs::long grew from 60 to 61 lines"]);
    }
}
