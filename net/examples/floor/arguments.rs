//! What the command line says.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The ideal forwarder, against which a server's figures are held.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure what a forwarded packet costs, in every way of forwarding it.
    Table(Table),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) way: Way,
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, default_value_t = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))]
    pub(crate) listen: SocketAddrV4,
    /// The core to run on.
    #[arg(long)]
    pub(crate) core: Option<usize>,
}

/// One way of forwarding.
#[derive(Clone, Copy, Debug, Args, PartialEq, Eq)]
pub(crate) struct Way {
    /// How to talk to the kernel.
    #[arg(long, value_enum, default_value_t = Io::Uring)]
    pub(crate) io: Io,
    /// Send to each viewer from a socket connected to it, not from the one that listens.
    #[arg(long)]
    pub(crate) connected: bool,
    /// The most datagrams in one message (UDP_SEGMENT); 1 sends each by itself.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub(crate) segments: u16,
    /// Microseconds to look for more before going to sleep.
    #[arg(long, default_value_t = 0)]
    pub(crate) spin_us: u64,
}

impl Way {
    pub(crate) fn spin(&self) -> Duration {
        Duration::from_micros(self.spin_us)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Io {
    /// epoll_wait, recvmmsg, sendmmsg.
    Mmsg,
    /// One io_uring_enter a wake-up.
    Uring,
}

#[derive(Debug, Args)]
pub(crate) struct Table {
    /// Where packets go: receivers on loopback that drop them, a null device with segmentation in hardware, or both by turns.
    #[arg(long, value_enum, default_value_t = Sinks::Lo, overrides_with = "sink")]
    pub(crate) sink: Sinks,
    /// The core that forwards.
    #[arg(long, default_value_t = 0)]
    pub(crate) core: usize,
    /// The core that sends to it.
    #[arg(long, default_value_t = 1)]
    pub(crate) driver_core: usize,
    /// How often each configuration has its turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Packets to forward in one turn.
    #[arg(long, default_value_t = 16_000)]
    pub(crate) packets: usize,
    #[arg(long, value_delimiter = ',', default_value = "10,100", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) viewers: Vec<u16>,
    /// Packets that a wake-up holds.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) bursts: Vec<u16>,
    /// Print one line of JSON for each configuration instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sinks {
    Lo,
    Ifb,
    Both,
}
