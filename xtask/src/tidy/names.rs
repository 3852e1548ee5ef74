//! The names that ARCHITECTURE.md gives must be those of the code: every `Type::function`, every `path/of/a/file.rs`.
//!
//! What stands in backquotes and looks like a path of Rust is looked up, segment by segment, among the definitions of
//! the tree; what looks like a file is looked up on disk. A rename that forgets the page is found here.

use std::collections::BTreeSet;

use super::source::Source;
use super::{File, Finding};

pub(crate) fn check(
    page: &File,
    definitions: &BTreeSet<String>,
    exists: &dyn Fn(&str) -> bool,
    findings: &mut Vec<Finding>,
) {
    if page.path != "ARCHITECTURE.md" {
        return;
    }
    for (index, line) in page.text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            if let Some(missing) = missing(name, definitions, exists) {
                findings.push(Finding::new(&page.path, index + 1, format!("`{name}`: there is no {missing}")));
            }
        }
    }
}

/// The part of a name that the tree does not have.
fn missing<'a>(name: &'a str, definitions: &BTreeSet<String>, exists: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_:/.-".contains(c);
    let name = name.trim_end_matches("()");
    if !name.chars().all(is_name) {
        return None;
    }
    if name.contains("::") {
        let known = |part: &&str| definitions.contains(*part) || exists(part);
        return name.split("::").find(|part| !known(part));
    }
    let is_file = name.contains('/') && !name.starts_with('/') && !name.contains("://");
    (is_file && !exists(name)).then_some(name)
}

/// Every name that the sources define.
pub(crate) fn definitions(sources: &[Source<'_>]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources {
        let mut words = source.code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            if DEFINING.contains(&word) {
                names.extend(words.next().map(String::from));
            }
        }
        names.extend(variants(&source.code));
    }
    names
}

/// Names that a line starts with and a comma, a brace or a value ends: the variants of enums.
fn variants(code: &str) -> impl Iterator<Item = String> {
    let names = code.lines().map(|line| line.trim_start().split([',', ' ', '(', '{']).next().unwrap_or(""));
    let is_variant = |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase());
    names.filter(is_variant).map(String::from)
}

const DEFINING: &[&str] = &["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "union", "macro_rules"];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let code = File {
            path: "net/src/shard.rs".into(),
            text: "pub struct Shard;\nimpl Shard { pub fn turn() {} }\nenum Turn {\n    Idle,\n}\n".into(),
        };
        let page = File { path: "ARCHITECTURE.md".into(), text: text.into() };
        let mut findings = Vec::new();
        check(&page, &definitions(&[Source::read(&code)]), &|path| path == "net", &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn names_that_the_code_does_not_have_are_found() {
        assert!(found("`net`: `Shard::turn` gives `Turn::Idle`; `net::Shard::turn()`, `a => b`, `/whip/x`").is_empty());
        assert_eq!(found("`Shard::rotate`"), ["`Shard::rotate`: there is no rotate"]);
        assert_eq!(found("`net/src/gone.rs`"), ["`net/src/gone.rs`: there is no net/src/gone.rs"]);
    }
}
