//! `tidewire token`: what is asked for on the command line, as claims; and the token printed, alone.
//!
//! Application servers make tokens by themselves; this is for a first try, for scripts and for tests.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use tidewire_core::id::{ApplicationId, ChannelName, Label};
use tidewire_gateway::token::{self, ChannelClaim, Claims};

use crate::output;
use crate::settings::{Settings, Sources};

/// A token that is to be made.
#[derive(Debug)]
pub(crate) struct Order {
    claims: Claims,
    lifetime: Duration,
}

/// The subcommand, but for the settings that it takes.
pub(crate) fn command() -> Command {
    let channel = value("channel", "NAME", "The channel; with --type register any number of them", ChannelName::new);
    let role = value("role", "ROLE", "What others may ask for when they choose whose media to receive", Label::new);
    Command::new("token")
        .about("Prints a token, and nothing else; by default one that may publish and watch in one channel")
        .arg(
            Arg::new("type")
                .long("type")
                .value_parser(["join", "register"])
                .default_value("join")
                .help("join opens one channel, and WHIP and WHEP there; register opens a client"),
        )
        .arg(channel.action(ArgAction::Append))
        .arg(value("application", "ID", "The application [default: default]", ApplicationId::new))
        .arg(value("user", "ID", "The user", Label::new))
        .arg(value("device", "ID", "The user's device", Label::new))
        .arg(value("client", "ID", "The client on the device", Label::new))
        .arg(role.action(ArgAction::Append))
        .arg(value("region", "NAME", "Where the client would like its media server", Label::new))
        .arg(flag("watch-only", "It may not send audio and video"))
        .arg(flag("can-kick", "It may end the stay of others in the channel"))
        .arg(flag("can-update", "It may let others do what their tokens did not"))
        .arg(flag("hidden", "It is not announced, and sends nothing"))
        .arg(
            Arg::new("lifetime-s")
                .long("lifetime-s")
                .value_name("SECONDS")
                .help("How long the token is good [default: 86400, a day]")
                .value_parser(clap::value_parser!(u64).range(1..)),
        )
}

impl Order {
    pub(crate) fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut claims = claims(matches)?;
        claims.application_id = one(matches, "application").unwrap_or_default();
        claims.user_id = one(matches, "user");
        claims.device_id = one(matches, "device");
        claims.client_id = one(matches, "client");
        claims.client_roles = all(matches, "role");
        claims.region = one(matches, "region");
        Ok(Self { claims, lifetime: Duration::from_secs(one(matches, "lifetime-s").unwrap_or(LIFETIME_S)) })
    }

    /// Signs it with its application's secret, and prints it.
    pub(crate) fn print(self, sources: &Sources) -> Result<()> {
        let secret = Settings::secret_of(sources, &self.claims.application_id)?;
        let now = SystemTime::UNIX_EPOCH.elapsed().context("the clock stands before 1970")?;
        let token = token::sign(&secret, &self.claims.lasting(self.lifetime, now.as_secs()));
        Ok(output::print(&format_args!("{token}\n"))?)
    }
}

fn claims(matches: &ArgMatches) -> Result<Claims, clap::Error> {
    let mut channels = all(matches, "channel").into_iter().map(|name| channel(matches, name));
    if one::<String>(matches, "type").as_deref() == Some("register") {
        return Ok(Claims::register(channels.collect()));
    }
    match (channels.next(), channels.next()) {
        (Some(channel), None) => Ok(Claims::join(channel)),
        (None, _) => Err(command().error(ErrorKind::MissingRequiredArgument, "--channel NAME is missing")),
        (Some(_), Some(_)) => {
            let why = "a token of type join opens one channel; --type register takes several";
            Err(command().error(ErrorKind::TooManyValues, why))
        }
    }
}

fn channel(matches: &ArgMatches, name: ChannelName) -> ChannelClaim {
    let mut claim = ChannelClaim::of(name);
    claim.disable_send_audio = matches.get_flag("watch-only");
    claim.disable_send_video = claim.disable_send_audio;
    claim.can_kick = matches.get_flag("can-kick");
    claim.can_update = matches.get_flag("can-update");
    claim.enable_hidden_observer_mode = matches.get_flag("hidden");
    claim
}

fn value<T, E>(name: &'static str, value: &'static str, help: &'static str, read: fn(&str) -> Result<T, E>) -> Arg
where
    T: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    Arg::new(name).long(name).value_name(value).help(help).value_parser(ValueParser::from(read))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.get_one(name).cloned()
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many(name).unwrap_or_default().cloned().collect()
}

const LIFETIME_S: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_claims() {
        let claims = claims_of(
            "--channel Sea --user alice --device d --client c --role host --role guest --region eu \
                                --application shop --watch-only --can-kick --can-update",
        );
        assert_eq!(claims.channels.len(), 1);
        let rights = claims.to_join().unwrap().rights();
        assert!(!rights.send_audio && !rights.send_video && rights.send_messages && rights.kick && rights.update);
        assert_eq!((claims.user_id.unwrap().as_str(), claims.client_roles.len()), ("alice", 2));
        assert_eq!((claims.application_id.as_str(), claims.region.unwrap().as_str()), ("shop", "eu"));
    }

    #[test]
    fn register_takes_any_number_of_channels_and_join_takes_one() {
        assert_eq!(claims_of("--type register").to_register().unwrap().len(), 0);
        let two = claims_of("--type register --channel a --channel b --hidden");
        assert!(two.to_register().unwrap().iter().all(|claim| claim.rights().hidden));
        for (line, kind) in
            [("", ErrorKind::MissingRequiredArgument), ("--channel a --channel b", ErrorKind::TooManyValues)]
        {
            assert_eq!(order(line).unwrap_err().kind(), kind, "{line}");
        }
        for line in [
            "--channel two/words",
            "--channel a --type event",
            "--channel a --user \u{7}",
            "--channel a --lifetime-s 0",
        ] {
            assert!(order(line).is_err(), "{line}");
        }
    }

    fn claims_of(line: &str) -> Claims {
        order(line).unwrap().claims
    }

    fn order(line: &str) -> Result<Order, clap::Error> {
        let words = ["token"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        Order::of(&command().try_get_matches_from(words)?)
    }
}
