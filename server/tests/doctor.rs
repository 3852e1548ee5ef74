//! `tidewire doctor` run for real, on this machine: it looks, says what it saw, and ends as it should.

use std::collections::HashSet;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

/// Good wherever tests run, as far as settings can make it so.
const GOOD: &[&str] = &["--udp-port", "0", "--shards", "1", "--secret", "a secret of thirty-two bytes, no less"];

#[test]
fn every_check_has_a_finding_in_both_forms() {
    let output = doctor("127.0.0.1:0", &["--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("with --json it prints JSON and nothing else");
    let checks = document["checks"].as_array().expect("the findings are a list");
    let names: HashSet<_> = checks.iter().filter_map(|check| check["check"].as_str()).collect();
    for name in [
        "HTTP port",
        "media ports",
        "addresses",
        "certificate",
        "secret",
        "kernel",
        "cipher",
        "io_uring",
        "trains",
        "receive buffer",
        "send buffer",
        "locked memory",
        "open files",
        "cores",
        "scheduling",
    ] {
        assert!(names.contains(name), "{name} is missing: {names:?}");
    }
    for check in checks.iter().filter(|check| check["grade"] != "ok") {
        assert!(check["costs"].is_string() && check["mend"].is_string(), "{check}");
    }
    let plain = String::from_utf8(doctor("127.0.0.1:0", &[]).stdout).expect("a table is text");
    assert!(names.iter().all(|name| plain.contains(name)), "{plain}");
    assert!(!plain.contains('\u{1b}'), "no colour where no terminal is");
}

#[test]
fn what_is_broken_is_told_with_its_mend_and_the_exit_code() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("a listener has an address").to_string();
    // Tests of the program run beside this one, so the port may count as that of another Tidewire; the secret cannot.
    let output = doctor(&address, &["--secret", "hunter2"]);
    let (table, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains(&format!("{address} taken")) && table.contains("openssl rand"), "{table}");
    assert!(said.contains("checks found something broken") && !table.contains("hunter2"), "{said}");
}

#[test]
fn settings_that_cannot_be_used_are_told_as_at_a_start() {
    let output = doctor("nowhere", &[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("listen (the flag --listen)"));
}

/// A flag that is given twice is an error, so what is given replaces what is good.
fn doctor(listen: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIDEWIRE_")) {
        command.env_remove(name);
    }
    let good = GOOD.chunks(2).filter(|pair| !arguments.contains(&pair[0])).flatten();
    command.args(["doctor", "--listen", listen]).args(good).args(arguments).output().expect("the program starts")
}
