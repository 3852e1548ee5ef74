//! The command line: flags made from the registry of settings, and the subcommands.
//!
//! Gives back what to do; does nothing itself. Help and usage errors are clap's, with its exit codes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::settings::{Role, Setting, SettingsError, Shape, Sources, TABLE};
use crate::token::{self, Order};

/// What the program was started for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Be a gateway, a media server, or both.
    Be(Role, Sources),
    /// Print one token.
    Token { sources: Sources, order: Box<Order> },
    /// Print the settings that are in force.
    ShowSettings(Sources),
    /// Print the reference page.
    SettingsPage,
}

/// Reads the command line. Fails as clap does (help among it), or on a settings file that cannot be read.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Task, Failure> {
    let matches = command().try_get_matches_from(arguments)?;
    match matches.subcommand() {
        Some(("token", matches)) => {
            Ok(Task::Token { order: Box::new(Order::of(matches)?), sources: sources(matches)? })
        }
        Some(("settings", matches)) if matches.get_flag("markdown") => Ok(Task::SettingsPage),
        Some(("settings", matches)) => Ok(Task::ShowSettings(sources(matches)?)),
        Some(("gateway", matches)) => Ok(Task::Be(Role::Gateway, sources(matches)?)),
        Some(("media", matches)) => Ok(Task::Be(Role::Media, sources(matches)?)),
        _ => Ok(Task::Be(Role::Everything, sources(&matches)?)),
    }
}

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Usage(#[from] clap::Error),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

fn command() -> Command {
    Command::new("tidewire")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An open media server. Without a subcommand it is everything at once: gateway and media server.")
        .args_conflicts_with_subcommands(true)
        .args(Setting::of_role(Role::Everything).map(flag))
        .arg(config())
        .subcommand(
            role_command("gateway", Role::Gateway).about("Is a gateway alone: signalling, pages, WHIP and WHEP"),
        )
        .subcommand(role_command("media", Role::Media).about("Is a media server alone, for a gateway elsewhere"))
        .subcommand(token_command())
        .subcommand(settings_command())
}

fn role_command(name: &'static str, role: Role) -> Command {
    Command::new(name).args(Setting::of_role(role).map(flag)).arg(config())
}

fn token_command() -> Command {
    token::command().args(Setting::of("secret").map(flag)).arg(config())
}

fn settings_command() -> Command {
    let markdown = Arg::new("markdown").long("markdown").action(ArgAction::SetTrue);
    Command::new("settings")
        .about("Shows the settings in force and where each comes from")
        .args(TABLE.iter().map(flag))
        .arg(config())
        .arg(markdown.help("Prints the reference page of all settings instead"))
}

fn flag(setting: &'static Setting) -> Arg {
    let action = if setting.shape == Shape::List { ArgAction::Append } else { ArgAction::Set };
    let help = format!("{} [default: {}] [env: {}]", setting.help, setting.default, setting.variable());
    Arg::new(setting.key).long(setting.key).value_name(setting.value).action(action).help(help)
}

fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("A file with settings [default: tidewire.toml, if there is one] [env: TIDEWIRE_CONFIG]")
}

fn sources(matches: &ArgMatches) -> Result<Sources, SettingsError> {
    let variable = |name: &str| std::env::var(name).ok();
    let flags = TABLE.iter().filter_map(|setting| {
        // Each command knows only some of them.
        let values = matches.try_get_many::<String>(setting.key).ok().flatten()?;
        Some((setting.key, values.cloned().collect()))
    });
    let file = matches.get_one::<PathBuf>("config").cloned();
    let file = file.or_else(|| variable("TIDEWIRE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
    Sources::new(flags, variable).with_file(file.as_deref())
}
