//! The command line: flags made from the registry of settings, and the subcommands.
//!
//! Gives back what to do; does nothing itself. Help and usage errors are clap's, with its exit codes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use tidewire_core::id::ChannelName;

use crate::settings::{Role, Setting, SettingsError, Shape, Sources, TABLE};

/// What the program was started for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Be a gateway, a media server, or both.
    Be(Role, Sources),
    /// Print one token.
    Token { sources: Sources, channel: ChannelName, lifetime: Duration },
    /// Print the settings that are in force.
    ShowSettings(Sources),
    /// Print the reference page.
    SettingsPage,
}

/// Reads the command line. Fails as clap does (help among it), or on a settings file that cannot be read.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Task, Failure> {
    let matches = command().try_get_matches_from(arguments)?;
    match matches.subcommand() {
        Some(("token", matches)) => token(matches),
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
    let channel = Arg::new("channel").long("channel").value_name("NAME").required(true);
    let lifetime = Arg::new("lifetime-s").long("lifetime-s").value_name("SECONDS");
    Command::new("token")
        .about("Prints a token that may publish and watch in one channel, and nothing else")
        .arg(channel.help("The channel").value_parser(ChannelName::new as fn(&str) -> _))
        .arg(
            lifetime
                .help("How long the token is good [default: 86400, a day]")
                .value_parser(clap::value_parser!(u64).range(1..)),
        )
        .args(Setting::of("secret").map(flag))
        .arg(config())
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

fn token(matches: &ArgMatches) -> Result<Task, Failure> {
    let absent = || command().error(clap::error::ErrorKind::MissingRequiredArgument, "--channel NAME is missing");
    let channel = matches.get_one::<ChannelName>("channel").cloned().ok_or_else(absent)?;
    let lifetime = matches.get_one::<u64>("lifetime-s").copied().unwrap_or(TOKEN_LIFETIME_S);
    Ok(Task::Token { sources: sources(matches)?, channel, lifetime: Duration::from_secs(lifetime) })
}

const TOKEN_LIFETIME_S: u64 = 24 * 60 * 60;
