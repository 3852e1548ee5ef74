//! The names that ARCHITECTURE.md gives must be those of the code: every `Type::function`, every `path/of/a/file.rs`.
//!
//! What stands in backquotes and looks like a path of Rust is looked up among the definitions of the tree, the last
//! name in a file that knows the one before it; what looks like a file is looked up on disk. A rename that forgets the
//! page is found here.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::{File, Finding};

/// What each Rust file defines, and every word in it.
pub(crate) struct Names<'a> {
    files: Vec<Words<'a>>,
    /// By name, the files that define it.
    definitions: BTreeMap<&'a str, BTreeSet<usize>>,
}

type Words<'a> = BTreeSet<&'a str>;

impl<'a> Names<'a> {
    pub(crate) fn read(sources: &'a [Source<'_>]) -> Self {
        let files = sources.iter().map(|source| words(&source.code).collect()).collect();
        let mut definitions = BTreeMap::<_, BTreeSet<_>>::new();
        for (index, source) in sources.iter().enumerate() {
            for name in defined(&source.code) {
                definitions.entry(name).or_default().insert(index);
            }
        }
        Self { files, definitions }
    }

    fn has(&self, name: &str) -> bool {
        self.definitions.contains_key(name)
    }

    /// Whether some file defines `name` and knows `owner`.
    fn has_in(&self, owner: &str, name: &str) -> bool {
        let files = self.definitions.get(name).into_iter().flatten();
        files.filter_map(|index| self.files.get(*index)).any(|words| words.contains(owner))
    }
}

pub(crate) fn check(page: &File, names: &Names<'_>, exists: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
    if page.path != "ARCHITECTURE.md" {
        return;
    }
    for (index, line) in page.text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            if let Some(missing) = missing(name, names, exists) {
                findings.push(Finding::new(&page.path, index + 1, format!("`{name}`: there is no {missing}")));
            }
        }
    }
}

/// The part of a name that the tree does not have.
fn missing<'a>(name: &'a str, names: &Names<'_>, exists: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_:/.-".contains(c);
    let name = name.trim_end_matches("()");
    if !name.chars().all(is_name) {
        return None;
    }
    if name.contains("::") {
        return missing_segment(name, names, exists);
    }
    let is_file = name.contains('/') && !name.starts_with('/') && !name.contains("://");
    let is_missing = if is_file { !exists(name) } else { is_type(name) && !names.has(name) };
    is_missing.then_some(name)
}

fn missing_segment<'a>(name: &'a str, names: &Names<'_>, exists: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let mut owner: Option<&str> = None;
    for segment in name.split("::") {
        let known = match owner {
            // The first may be a package: a directory of the tree.
            None => names.has(segment) || exists(segment),
            Some(owner) if is_type(owner) => names.has_in(owner, segment),
            Some(_) => names.has(segment),
        };
        if !known {
            return Some(segment);
        }
        owner = Some(segment);
    }
    None
}

fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.contains(|c: char| c.is_ascii_lowercase())
}

/// Every name that the code defines: items, and the variants of enums.
fn defined(code: &str) -> impl Iterator<Item = &str> {
    let items = words(code).zip(words(code).skip(1)).filter(|(word, _)| DEFINING.contains(word)).map(|(_, name)| name);
    items.chain(variants(code))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Names that a line starts with and a comma, a brace or a value ends.
fn variants(code: &str) -> impl Iterator<Item = &str> {
    let names = code.lines().map(|line| line.trim_start().split([',', ' ', '(', '{']).next().unwrap_or(""));
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
}

const DEFINING: &[&str] = &["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "union", "macro_rules"];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let shard = "pub struct Shard;\nimpl Shard { pub fn turn() {} }\nenum Turn {\n    Idle,\n}\nmod driver;\n";
        let other = "pub fn rotate() {}\n";
        let files = [("net/src/shard.rs", shard), ("net/src/wheel.rs", other)]
            .map(|(path, text)| File { path: path.into(), text: text.into() });
        let sources: Vec<Source<'_>> = files.iter().map(Source::read).collect();
        let page = File { path: "ARCHITECTURE.md".into(), text: text.into() };
        let mut findings = Vec::new();
        check(&page, &Names::read(&sources), &|path| path == "net", &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn names_of_the_code_pass_and_other_quotes_are_left_alone() {
        assert!(found("`net`: `Shard::turn` gives `Turn::Idle`; `net::Shard::turn()`, `driver::rotate`").is_empty());
        assert!(found("`a => b`, `/whip/x`, `cargo xtask run`, `Shard`, `CI`").is_empty());
    }

    #[test]
    fn names_that_the_code_does_not_have_are_found() {
        assert_eq!(found("`Shard::stop`"), ["`Shard::stop`: there is no stop"]);
        assert_eq!(found("`Wheel`"), ["`Wheel`: there is no Wheel"]);
        assert_eq!(found("`net/src/gone.rs`"), ["`net/src/gone.rs`: there is no net/src/gone.rs"]);
    }

    #[test]
    fn a_function_that_belongs_to_another_type_is_found() {
        assert_eq!(found("`Shard::rotate`"), ["`Shard::rotate`: there is no rotate"]);
    }
}
