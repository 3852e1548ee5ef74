//! What holds for every text file: no tabs, no blanks at line ends, no word that means "unfinished", no path of one
//! machine, no link that leads nowhere; and a header on every Rust module.

use super::source::Source;
use super::{File, Finding};

pub(crate) fn check(file: &File, findings: &mut Vec<Finding>) {
    if file.path.ends_with(".lock") || file.path.ends_with("package-lock.json") {
        check_lock(file, findings);
        return;
    }
    for (index, line) in file.text.split_terminator('\n').enumerate() {
        check_line(&file.path, index + 1, line, findings);
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(&file.path, 0, "does not end with a line end"));
    }
}

fn check_line(path: &str, number: usize, line: &str, findings: &mut Vec<Finding>) {
    let mut find = |what: String| findings.push(Finding::new(path, number, what));
    if line.contains('\t') {
        find("a tab".into());
    }
    if line.ends_with([' ', '\r']) {
        find("a blank at the end of the line".into());
    }
    for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
        find(format!("`{word}`: what is missing belongs into an issue"));
    }
    for start in MACHINE_PATHS.iter().filter(|start| line.contains(**start)) {
        find(format!("`{start}`: a path of one machine"));
    }
    let is_script = path.ends_with(".mjs") || path.ends_with(".js");
    for word in SWITCHED_OFF.iter().filter(|word| is_script && line.contains(**word)) {
        find(format!("`{word}`: a test that is switched off"));
    }
}

/// Lock files name packages and hashes; where they are fetched from is the affair of the machine.
fn check_lock(file: &File, findings: &mut Vec<Finding>) {
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim();
        let npm = line.starts_with("\"resolved\"");
        let cargo = line.starts_with("source = ") && line != CRATES_IO;
        if npm || cargo {
            findings.push(Finding::new(&file.path, index + 1, "names the host of a registry"));
        }
    }
}

/// Every module says what it is, before anything else; the `tests.rs` beside a module needs no second introduction.
pub(crate) fn check_header(source: &Source<'_>, findings: &mut Vec<Finding>) {
    if source.path.ends_with("/tests.rs") {
        return;
    }
    let first = source.text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//! ")) {
        findings.push(Finding::new(source.path, 1, "has no `//!` header: what it owns, what goes in and comes out"));
    }
}

/// Links of a Markdown page that lead into the tree must lead somewhere.
pub(crate) fn check_links(file: &File, exists: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    if !file.path.ends_with(".md") {
        return;
    }
    let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    for (index, line) in file.text.lines().enumerate() {
        for target in link_targets(line) {
            if !exists(&joined(directory, target)) {
                findings.push(Finding::new(&file.path, index + 1, format!("the link to {target} leads nowhere")));
            }
        }
    }
}

/// The files that a line links to; links out of the tree and within the page are left out.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let sources = line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let files = targets.chain(sources).map(|target| target.split('#').next().unwrap_or(""));
    files.filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

/// A path relative to a directory, with `..` resolved.
fn joined(directory: &str, target: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

// Written in two halves, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimpl", "emented!("),
    concat!("#[ign", "ore"),
];
const SWITCHED_OFF: &[&str] = &[concat!(".on", "ly("), concat!(".sk", "ip(")];
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/fa", "rm/")];
const CRATES_IO: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let file = File { path: path.into(), text: text.into() };
        let mut findings = Vec::new();
        check(&file, &mut findings);
        check_links(&file, &|path| path == "docs/a.md", &mut findings);
        findings.len()
    }

    #[test]
    fn each_kind_of_bad_line_is_found() {
        let words = UNFINISHED.iter().chain(MACHINE_PATHS).map(|word| format!("x {word} y\n"));
        let blanks = ["\tx\n", "x \n", "x\r\n", "x"].map(String::from);
        for bad in words.chain(blanks) {
            assert_eq!(found("core/src/a.rs", &bad), 1, "{bad:?}");
        }
        assert_eq!(found("core/src/a.rs", "iter.skip(1)\n"), 0);
        assert_eq!(found("e2e/a.mjs", &format!("test{}'x')\n", SWITCHED_OFF.concat())), 2);
    }

    #[test]
    fn registry_hosts_in_lock_files_are_found() {
        assert_eq!(found("e2e/package-lock.json", "\t\"resolved\": \"https://mirror/x.tgz\",\n"), 1);
        assert_eq!(found("Cargo.lock", "source = \"registry+https://mirror/index\"\n"), 1);
        assert_eq!(found("Cargo.lock", &format!("{CRATES_IO}\n")), 0);
    }

    #[test]
    fn dead_links_are_found() {
        assert_eq!(found("docs/b.md", "[a](a.md) [a](./a.md#x) [b](#y) [c](https://x/)\n"), 0);
        assert_eq!(found("docs/b.md", "[a](../a.md) and <img src=\"images/a.svg\">\n"), 2);
        assert_eq!(found("docs/deep/b.md", "[a](../a.md)\n"), 0);
    }

    #[test]
    fn module_without_header_is_found() {
        for (text, count) in [("use x;\n//! Late.\n", 1), ("//! Owns x.\n", 0), ("", 1)] {
            let file = File { path: "core/src/a.rs".into(), text: text.into() };
            let mut findings = Vec::new();
            check_header(&Source::read(&file), &mut findings);
            assert_eq!(findings.len(), count, "{text}");
        }
    }
}
