//! What the code of a package may not touch: clocks, threads, sockets, runtimes, `unsafe`.
//!
//! The inner floors are driven by tests, simulators and fuzzers as much as by the network; that only works while
//! nothing in them reaches out by itself. Tests are free to.

use super::Finding;
use super::source::Source;

pub(crate) fn check(source: &Source<'_>, findings: &mut Vec<Finding>) {
    if source.is_test() {
        return;
    }
    let package = source.package();
    let mut forbid = |words: &[&str], why: &str| {
        for word in words {
            let lines = source.lines_with(word);
            findings.extend(
                lines.into_iter().map(|line| Finding::new(source.path, line, format!("`{}`: {why}", word.trim()))),
            );
        }
    };
    if PURE.contains(&package) {
        forbid(OUTSIDE_WORLD, "core, sfu and mcu read no clock, start nothing, open nothing and draw no randomness");
    }
    if !TOKIO_ALLOWED.contains(&package) {
        forbid(&["tokio::"], "tokio lives only in gateway, sip, server and perf");
    }
    if package != "net" {
        forbid(&["glommio::", "io_uring::"], "only net knows the runtime of the shards and the rings");
        let why = "unsafe code lives only in net and in the codec edges of mcu";
        if !UNSAFE_ALLOWED.iter().any(|place| source.path.starts_with(place)) {
            forbid(&["unsafe "], why);
        }
    }
    if package != "xtask" {
        forbid(&["let _ ="], "a result is used, or its loss is given a name and a reason");
    }
}

/// The packages in which every step is decided by its arguments.
const PURE: &[&str] = &["core", "sfu", "mcu"];

const OUTSIDE_WORLD: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::time::Instant",
    "std::thread",
    "thread::spawn",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::fs",
    "std::env",
    "rand::",
    "getrandom",
    "SystemRandom",
    "async fn",
    "async move",
    "async {",
];

const TOKIO_ALLOWED: &[&str] = &["gateway", "sip", "server", "perf"];

/// Beyond net: what touches the kernel by hand, each with its reason.
const UNSAFE_ALLOWED: &[&str] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::File;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.into(), text: text.into() };
        let mut findings = Vec::new();
        check(&Source::read(&file), &mut findings);
        findings
            .into_iter()
            .map(|finding| finding.what.split(':').next().unwrap_or("").to_owned() + &finding.line.to_string())
            .collect()
    }

    #[test]
    fn clock_thread_socket_and_runtime_in_a_pure_package_are_found() {
        let samples = [
            "let t = std::time::Instant::now();",
            "let t = SystemTime::now();",
            "std::thread::spawn(f);",
            "use std::net::UdpSocket;",
            "rand::rng();",
            "async fn a() {}",
            "use glommio::x;",
            "use io_uring::x;",
            "use tokio::x;",
            "unsafe { x() }",
        ];
        for sample in samples {
            assert!(!found("sfu/src/a.rs", sample).is_empty(), "{sample}");
        }
        assert!(found("sfu/src/a.rs", "use tidewire_core::time::Instant; use std::net::SocketAddr;").is_empty());
    }

    #[test]
    fn tests_and_comments_of_a_pure_package_are_free() {
        assert!(found("core/tests/it/main.rs", "std::thread::spawn(f);").is_empty());
        assert!(found("core/src/a.rs", "// std::thread is not used\n").is_empty());
    }

    #[test]
    fn each_floor_keeps_its_own_runtime() {
        assert!(found("net/src/a.rs", "use glommio::x; unsafe { x() }").is_empty());
        assert_eq!(found("net/src/a.rs", "use tokio::x;"), ["`tokio1"]);
        assert!(found("gateway/src/a.rs", "use tokio::x;").is_empty());
        assert_eq!(found("gateway/src/a.rs", "\nlet _ = send();"), ["`let _ =`2"]);
    }
}
