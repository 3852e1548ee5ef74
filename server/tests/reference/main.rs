//! The reference pages say what the registries in the code say: one test a page, which fails when the page lags.
//!
//! `cargo xtask reference` runs these tests in the mode that writes the pages instead.

mod tokens;
mod wire;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use tidewire_core::count::{Counter, Discard};
use tidewire_gateway::Figures;
use tidewire_gateway::link::switchboard::Overview;
use tidewire_gateway::problem::Code;
use tidewire_net::count::{IoCounter, ShardGauge};

#[test]
fn counters_page_lists_every_counter_and_discard() {
    let mut page = String::from(COUNTERS_HEAD);
    page += "## Counters\n\n| name | meaning |\n| --- | --- |\n";
    for counter in Counter::ALL {
        row(&mut page, &[&code(counter.name()), counter.help().trim()]);
    }
    page += "\n## Discards\n\n| reason | meaning |\n| --- | --- |\n";
    for discard in Discard::ALL {
        row(&mut page, &[&code(discard.name()), discard.help().trim()]);
    }
    page += "\n## Between a shard and the kernel\n\n| name | meaning |\n| --- | --- |\n";
    for counter in IoCounter::ALL {
        row(&mut page, &[&code(counter.name()), counter.help().trim()]);
    }
    page += GAUGES_HEAD;
    for gauge in ShardGauge::ALL {
        row(&mut page, &[&code(gauge.name()), gauge.help().trim()]);
    }
    page += GATEWAY_HEAD;
    for (name, help, _) in Overview::default().named() {
        row(&mut page, &[&code(name), help]);
    }
    let figures = Figures::default();
    for (name, help, _) in figures.present() {
        row(&mut page, &[&code(name), help]);
    }
    page += "\n## Counters of a gateway\n\nEach as `tidewire_<name>_total`.\n\n| name | meaning |\n| --- | --- |\n";
    for (name, help, _) in figures.counted() {
        row(&mut page, &[&code(name), help]);
    }
    settle("counters.md", &page);
}

#[test]
fn errors_page_lists_every_code() {
    let mut page = String::from(ERRORS_HEAD);
    page += "| code | status | meaning | try again after |\n| --- | --- | --- | --- |\n";
    for refusal in Code::ALL {
        let again = refusal.retry_after_s().map_or(String::new(), |seconds| format!("{seconds} s"));
        // Other pages lead to the line of one code.
        let name = format!("<a id=\"{0}\"></a>`{0}`", refusal.wire());
        row(&mut page, &[&name, &refusal.status().to_string(), refusal.meaning(), &again]);
    }
    settle("errors.md", &page);
}

#[test]
fn settings_page_lists_every_setting() {
    let program = Command::new(env!("CARGO_BIN_EXE_tidewire")).args(["settings", "--markdown"]).output();
    let page = program.expect("the program starts").stdout;
    settle("settings.md", &String::from_utf8(page).expect("the page is text"));
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

fn row(page: &mut String, cells: &[&str]) {
    let line = cells.iter().map(|cell| cell.trim()).collect::<Vec<_>>().join(" | ");
    writeln!(page, "| {line} |").expect("a String takes every line");
}

/// Compares the page with the one in the tree, or writes it there.
fn settle(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if std::env::var_os("TIDEWIRE_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, page).expect("the reference pages can be written");
    }
    let standing = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(standing, page, "docs/reference/{name} lags behind the code: run `cargo xtask reference`");
}

const COUNTERS_HEAD: &str = "\
# Counters and discards

Written by `cargo xtask reference` from the registries in `core/src/count.rs` and `net/src/count.rs`; do not edit.

`/metrics` carries each counter as `tidewire_<name>_total{shard=\"<number>\"}`, and each discard as
`tidewire_discards_total{shard=\"<number>\",reason=\"<reason>\"}`. Every datagram and every packet that goes no further is counted under exactly one reason.

";

const GAUGES_HEAD: &str = "
## Gauges

Each as `tidewire_<name>{shard=\"<number>\"}`. They fall again; asking for them does not change them.

| name | meaning |
| --- | --- |
";

const GATEWAY_HEAD: &str = "
## Gauges of a gateway

Each as `tidewire_<name>`, of `tidewire gateway` and of everything in one process.

| name | meaning |
| --- | --- |
";

const ERRORS_HEAD: &str = "\
# Error codes

Written by `cargo xtask reference` from the registry in `gateway/src/problem.rs`; do not edit.

A refused request is answered with `application/problem+json` (RFC 9457): its `code` is one of these and stays what it is, its `detail` is for a person and
may change. Where a code can pass by itself, the response carries `Retry-After`.

";
