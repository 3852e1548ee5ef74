//! Who may import whom, read from the manifests of the workspace.
//!
//! The rooms stand side by side on `core` and never open into each other; `server` joins them. A new arrow is a change
//! of the architecture: it is made here and in ARCHITECTURE.md, with its reason.

use super::{File, Finding};

pub(crate) fn check(manifest: &File, findings: &mut Vec<Finding>) {
    let Some((package, "Cargo.toml")) = manifest.path.rsplit_once('/') else {
        check_pins(manifest, findings);
        return;
    };
    for dependency in dependencies(&manifest.text) {
        if let Some(why) = objection(package, &dependency) {
            findings.push(Finding::new(&manifest.path, dependency.line, why));
        }
    }
}

#[derive(Debug)]
struct Dependency<'a> {
    name: &'a str,
    /// Only tests and benches see it.
    for_tests: bool,
    line: usize,
}

fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut section = "";
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section.ends_with("dependencies") && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(0);
            let name = line.get(..end).unwrap_or("").trim_matches('"');
            let for_tests = section.ends_with("dev-dependencies");
            found.extend((!name.is_empty()).then_some(Dependency { name, for_tests, line: index + 1 }));
        }
    }
    found
}

fn objection(package: &str, dependency: &Dependency<'_>) -> Option<String> {
    let Some(ours) = dependency.name.strip_prefix("tidewire-") else {
        return foreign_objection(package, dependency);
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == package) else {
        return Some(format!("{package} has no place in the house yet: give it one in xtask/src/tidy/imports.rs"));
    };
    let for_tests = TEST_ARROWS.contains(&(package, ours));
    let may = allowed.contains(&ours) || (dependency.for_tests && (ours == package || for_tests));
    (!may).then(|| format!("{package} may not import {ours}"))
}

fn foreign_objection(package: &str, dependency: &Dependency<'_>) -> Option<String> {
    if dependency.for_tests {
        return None;
    }
    let (_, homes) = HOMES.iter().find(|(name, _)| *name == dependency.name)?;
    (!homes.contains(&package)).then(|| format!("{} lives only in {}", dependency.name, homes.join(", ")))
}

/// Crates whose interface breaks within a minor series are pinned exactly.
fn check_pins(manifest: &File, findings: &mut Vec<Finding>) {
    if manifest.path != "Cargo.toml" {
        return;
    }
    for (index, line) in manifest.text.lines().enumerate() {
        let pinned = PINNED.iter().any(|name| line.starts_with(&format!("{name} =")));
        if pinned && !line.contains("\"=") {
            findings.push(Finding::new(
                &manifest.path,
                index + 1,
                "is pinned with `=`, since its interface breaks often",
            ));
        }
    }
}

/// From each package, to those it may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("net", &["core"]),
    ("sfu", &["core"]),
    ("mcu", &["core"]),
    ("recording", &["core"]),
    ("gateway", &["core"]),
    ("sip", &["core"]),
    ("server", &["core", "net", "sfu", "mcu", "recording", "gateway", "sip"]),
    ("bench", &["core", "net", "sfu", "mcu"]),
    ("fuzz", &["core", "net", "sfu", "mcu"]),
    ("perf", &["core"]),
    ("xtask", &[]),
];

/// Arrows that tests alone may use.
const TEST_ARROWS: &[(&str, &str)] = &[];

/// Crates that may be known only to some packages.
const HOMES: &[(&str, &[&str])] = &[
    ("tokio", &["gateway", "sip", "server", "perf"]),
    ("axum", &["gateway", "server"]),
    ("glommio", &["net"]),
    ("io-uring", &["net"]),
    ("dimpl", &["net"]),
    ("libc", &["net", "server", "perf"]),
    ("socket2", &["net", "perf"]),
    ("rand", &[]),
    ("webrtc-dtls", &["perf"]),
    ("webrtc-srtp", &["perf"]),
    ("str0m", &["perf"]),
];

const PINNED: &[&str] = &["dimpl", "glommio", "rsipstack"];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&File { path: path.into(), text: text.into() }, &mut findings);
        findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn rooms_that_open_into_each_other_are_found() {
        let manifest = "[dependencies]\ntidewire-core.workspace = true\ntidewire-sfu = { path = \"../sfu\" }\n";
        assert_eq!(found("net/Cargo.toml", manifest), ["3: net may not import sfu"]);
    }

    #[test]
    fn core_imports_no_package_of_the_house() {
        assert_eq!(
            found("core/Cargo.toml", "[dependencies]\ntidewire-net.workspace = true"),
            ["2: core may not import net"]
        );
    }

    #[test]
    fn a_package_may_import_itself_for_its_tests() {
        let manifest = "[dev-dependencies]\ntidewire-sfu = { workspace = true, features = [\"sim\"] }\n";
        assert!(found("sfu/Cargo.toml", manifest).is_empty());
    }

    #[test]
    fn runtime_outside_of_its_home_is_found_except_for_tests() {
        assert_eq!(found("sfu/Cargo.toml", "[dependencies]\ntokio = \"1\"").len(), 1);
        assert_eq!(found("core/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nlibc.workspace = true").len(), 1);
        assert!(found("sfu/Cargo.toml", "[dev-dependencies]\ntokio = \"1\"").is_empty());
    }

    #[test]
    fn a_new_package_needs_a_place_and_a_loose_pin_is_found() {
        assert_eq!(found("attic/Cargo.toml", "[dependencies]\ntidewire-core.workspace = true").len(), 1);
        assert_eq!(found("Cargo.toml", "[workspace.dependencies]\nglommio = \"0.9\"").len(), 1);
    }
}
