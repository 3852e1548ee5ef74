//! `tidewire doctor`: what this machine and these settings allow, what is missing, what that costs, and the one command
//! that mends it.
//!
//! Each check is two halves: a look at the machine, which changes nothing and starts nothing that lasts, and a pure
//! judgement of what was seen, which is a [`Finding`]. In the order in which they matter to somebody who starts anew:
//! can it be reached, is it safe, how fast is it.

mod clock;
mod cores;
mod finding;
mod limits;
mod packets;
mod reach;
mod seen;
mod table;
mod trust;

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, ensure};

pub(crate) use table::Form;

use crate::settings::{Role, Settings, Sources};
use crate::{output, report};
use finding::{Finding, Grade};

/// Looks at everything and prints what was found. Fails when something is broken.
pub(crate) fn run(sources: &Sources, form: Form) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Nothing is started, so the secret of a start without one is nobody's.
    let settings = Settings::read(Role::Everything, sources, cores, [0; 32])?;
    let findings = examine(&settings, cores)?;
    let broken = findings.iter().filter(|finding| finding.grade == Grade::Broken).count();
    output::print(&table::shown(form, &report::kernel(), &findings))?;
    ensure!(broken == 0, "{broken} of {} checks found something broken", findings.len());
    Ok(())
}

/// A group of checks, under the name by which progress is told.
type Check = (&'static str, fn(&Settings, usize) -> Vec<Finding>);

const CHECKS: &[Check] = &[
    ("ports", |settings, _| reach::ports(settings)),
    ("addresses", |settings, _| reach::addresses(settings)),
    ("certificate", |settings, _| trust::tls(settings)),
    ("secrets", |settings, _| trust::secrets(settings)),
    ("clock", |_, _| clock::check()),
    ("kernel", |_, _| packets::kernel()),
    ("packet I/O", |settings, _| packets::io(settings)),
    ("limits", |_, _| limits::check()),
    ("cores", cores::check),
];

fn examine(settings: &Settings, cores: usize) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (number, (name, check)) in CHECKS.iter().enumerate() {
        tell(&format!("\r\u{1b}[K  {} of {}: {name}", number + 1, CHECKS.len()))?;
        findings.extend(check(settings, cores));
    }
    tell("\r\u{1b}[K")?;
    Ok(findings)
}

/// Progress, for somebody who is looking.
fn tell(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    if !out.is_terminal() || !io::stdout().is_terminal() {
        return Ok(());
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}
