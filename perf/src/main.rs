//! `tidewire-load`: runs a load scenario against a server and prints what it found.
//!
//! Arguments in, a table (on the terminal) and one JSON line per run out. Without a subcommand it compares the packet I/Os.

#![allow(clippy::print_stdout, reason = "a program that prints what it found")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tidewire_perf::client::Profile;
use tidewire_perf::load::{Fanout, Pacing, Report, Target, report, run};
use tidewire_perf::machine;
use tidewire_perf::server::{Io, Server};

/// Measures a WebRTC media server with an independent client.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: Load,
}

#[derive(Subcommand)]
enum Command {
    /// One publisher, many viewers, one packet I/O.
    Fanout {
        #[command(flatten)]
        load: Load,
        /// The packet I/O that the server is started with.
        #[arg(long, value_enum, default_value_t = Io::Uring)]
        io: Io,
        /// A server that runs already, as `http://host:port`; nothing is started then.
        #[arg(long, requires = "token")]
        base: Option<String>,
        /// A token for `--channel` on that server.
        #[arg(long)]
        token: Option<String>,
        #[arg(long, default_value = "load")]
        channel: String,
        /// That server's process id, so that its CPU time can be read.
        #[arg(long)]
        pid: Option<u32>,
    },
    /// The same over every packet I/O, side by side.
    Compare {
        #[command(flatten)]
        load: Load,
    },
}

#[derive(Args, Clone)]
struct Load {
    #[arg(long, default_value_t = 100)]
    viewers: usize,
    /// Length of the measured window.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Bits a second of the publisher.
    #[arg(long, default_value_t = 1_500_000)]
    bitrate: u64,
    /// Bytes of an RTP packet, header included.
    #[arg(long, default_value_t = 1200)]
    packet_len: usize,
    #[arg(long, value_enum, default_value_t = Pacing::Libwebrtc)]
    pacing: Pacing,
    /// aes-256-gcm, aes-128-gcm or aes-cm-sha1.
    #[arg(long, default_value = "aes-128-gcm", value_parser = profile)]
    profile: Profile,
    /// Viewers that check every byte of every packet; the others check one packet in 64.
    #[arg(long, default_value_t = 2)]
    witnesses: usize,
    /// The core that the server is pinned to; by default the first.
    #[arg(long)]
    server_core: Option<usize>,
    /// The core that the tool is pinned to; by default the last.
    #[arg(long)]
    tool_core: Option<usize>,
    /// The server's program; by default `$TIDEWIRE_BIN`, or the one beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// One more argument for the server; may be repeated.
    #[arg(long = "server-argument", allow_hyphen_values = true)]
    server_arguments: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let reports = match arguments.command {
        Some(Command::Fanout { load, base: Some(base), token: Some(token), channel, pid, .. }) => {
            vec![run(&load.fanout()?, &Target::Running { base, token, pid, channel })?]
        }
        Some(Command::Fanout { load, io, .. }) => vec![load.against(io)?],
        Some(Command::Compare { load }) => load.compare()?,
        None => arguments.load.compare()?,
    };
    reports.iter().for_each(|report| println!("{}", report.json()));
    eprint!("{}", report::table(&reports));
    Ok(if reports.iter().all(Report::is_faultless) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Load {
    fn compare(&self) -> Result<Vec<Report>> {
        Io::ALL.iter().map(|io| self.against(*io)).collect()
    }

    fn against(&self, io: Io) -> Result<Report> {
        let fanout = self.fanout()?;
        let target = Target::Start {
            binary: self.binary.clone().unwrap_or_else(Server::default_binary),
            io,
            core: Some(self.server_core.unwrap_or_default()),
            arguments: self.server_arguments.clone(),
        };
        run(&fanout, &target)
    }

    fn fanout(&self) -> Result<Fanout> {
        Ok(Fanout {
            viewers: self.viewers,
            seconds: self.seconds,
            warm_up_s: self.warm_up,
            bits_per_second: self.bitrate,
            packet_len: self.packet_len,
            pacing: self.pacing,
            profile: self.profile,
            witnesses: self.witnesses.min(self.viewers),
            tool_core: self.tool_core.or(machine::last_core()?),
        })
    }
}

fn profile(name: &str) -> Result<Profile, String> {
    let known = || Profile::ALL.map(Profile::name).join(", ");
    Profile::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| format!("one of {}", known()))
}
