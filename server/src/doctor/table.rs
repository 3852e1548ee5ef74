//! How findings are shown: a table for people, in colour where a terminal is, or JSON for programs.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use serde_json::json;

use super::finding::{Finding, Grade};

/// How the findings are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Colour,
    Json,
}

impl Form {
    /// For people: in colour on a terminal that has not asked for none (<https://no-color.org>).
    pub(crate) fn for_people() -> Self {
        let asked_for_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if io::stdout().is_terminal() && !asked_for_none && !is_dumb { Self::Colour } else { Self::Plain }
    }
}

/// The whole output. `kernel` is its release.
pub(super) fn shown(form: Form, kernel: &str, findings: &[Finding]) -> String {
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let (good, could, broken) = (count(Grade::Ok), count(Grade::CouldBeBetter), count(Grade::Broken));
    if form == Form::Json {
        let document = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "kernel": kernel,
            "ok": good,
            "couldBeBetter": could,
            "broken": broken,
            "checks": findings,
        });
        return format!("{document:#}\n");
    }
    let mut text = format!("Tidewire {} on Linux {kernel}\n\n", env!("CARGO_PKG_VERSION"));
    findings.iter().for_each(|finding| text.push_str(&lines(form, finding)));
    text.push_str(&format!("\n{good} ok, {could} could be better, {broken} broken\n"));
    text
}

fn lines(form: Form, finding: &Finding) -> String {
    let (on, off) = match (form, finding.grade) {
        (Form::Colour, Grade::Ok) => ("\u{1b}[32m", "\u{1b}[0m"),
        (Form::Colour, Grade::CouldBeBetter) => ("\u{1b}[33m", "\u{1b}[0m"),
        (Form::Colour, Grade::Broken) => ("\u{1b}[1;31m", "\u{1b}[0m"),
        (Form::Plain | Form::Json, _) => ("", ""),
    };
    let mut text = format!("  {on}{:<15}{off}  {:<14}  {}\n", finding.grade.words(), finding.check, finding.fact);
    for (name, said) in [("costs", &finding.costs), ("mend", &finding.mend)] {
        if let Some(said) = said {
            // A String takes every line.
            writeln!(text, "  {:15}  {name:<14}  {said}", "").unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_line_for_what_is_well_and_three_for_what_is_not() {
        let expected = "Tidewire 0.1.0 on Linux 6.18\n\n  \
                        ok               kernel          Linux 6.18\n  \
                        broken           HTTP port       taken\n                   \
                        costs           the start fails\n                   \
                        mend            Choose another\n\n\
                        1 ok, 0 could be better, 1 broken\n";
        assert_eq!(shown(Form::Plain, "6.18", &findings()), expected);
        let coloured = shown(Form::Colour, "6.18", &findings());
        assert!(coloured.contains("\u{1b}[32mok ") && coloured.contains("\u{1b}[1;31mbroken "), "{coloured:?}");
    }

    #[test]
    fn json_has_the_same_facts() {
        let document: serde_json::Value = serde_json::from_str(&shown(Form::Json, "6.18", &findings())).unwrap();
        assert_eq!((&document["ok"], &document["broken"]), (&json!(1), &json!(1)));
        let broken = json!({"check": "HTTP port", "grade": "broken", "fact": "taken", "costs": "the start fails", "mend": "Choose another"});
        assert_eq!(document["checks"][1], broken);
        assert_eq!(document["checks"][0], json!({"check": "kernel", "grade": "ok", "fact": "Linux 6.18"}));
    }

    fn findings() -> [Finding; 2] {
        [
            Finding::ok("kernel", "Linux 6.18"),
            Finding::broken("HTTP port", "taken", "the start fails", "Choose another"),
        ]
    }
}
