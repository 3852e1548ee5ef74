//! `tidewire`: one program, whose subcommand picks the role.
//!
//! Joins the rooms: settings, the gateway, the media server with its shards, health and metrics. Decides nothing about
//! media. Standard output has what was asked for, standard error the log; an exit code other than 0 has its reason on
//! the last line of standard error.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod cores;
mod settings;
mod addresses;
mod applications;
mod roles;
mod media;
mod link;
mod http;
mod tls;
mod health;
mod metrics;
mod overload;
mod report;
mod logs;
mod output;
mod shutdown;
mod token;
mod doctor;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Failure, Task};

fn main() -> ExitCode {
    tidewire_net::prepare_process();
    // Before anything makes a TLS configuration. Nothing else can have installed one.
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(installed.is_ok());
    let task = match cli::parse(std::env::args_os()) {
        Ok(task) => task,
        Err(Failure::Usage(usage)) => usage.exit(),
        Err(Failure::Settings(error)) => return failed(&error.into()),
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Be(role, sources) => roles::run(role, &sources),
        Task::Token { sources, order } => order.print(&sources),
        Task::Doctor { sources, form } => doctor::run(&sources, form),
        Task::ShowSettings(sources) => Ok(output::print(&settings::in_force(&sources))?),
        Task::SettingsPage => Ok(output::print(&settings::markdown())?),
    }
}

#[allow(clippy::print_stderr, reason = "logging may not have begun")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("tidewire: {error:#}");
    ExitCode::FAILURE
}
