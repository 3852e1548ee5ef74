//! The command line of `tidewire-load`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use tidewire_perf::client::Profile;
use tidewire_perf::floor::Floor;
use tidewire_perf::load::{Bounds, Feedback, Kind, Pacing, Receivers, Running, Schedule, Setup, Shape, Target, Video};
use tidewire_perf::machine::{self, Policy};
use tidewire_perf::talk::Talk;

/// Measures WebRTC media servers with an independent client.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Viewers of the one publisher; several numbers are measured one after another.
    #[arg(long, value_delimiter = ',', default_value = "100")]
    pub(crate) viewers: Vec<usize>,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Several targets in turns, with one publisher: what runs without a subcommand.
    Compare {
        #[arg(long, value_delimiter = ',', default_value = "100")]
        viewers: Vec<usize>,
        #[command(flatten)]
        load: Load,
    },
    /// One publisher, many viewers.
    #[command(visible_alias = "fanout")]
    Broadcast {
        #[arg(long, value_delimiter = ',', default_value = "100")]
        viewers: Vec<usize>,
        #[command(flatten)]
        load: Load,
    },
    /// Many rooms, each with its publishers and viewers.
    Rooms {
        #[arg(long, default_value_t = 10)]
        rooms: usize,
        /// Of each room.
        #[arg(long, default_value_t = 1)]
        publishers: usize,
        /// Calls that watch each publisher.
        #[arg(long, default_value_t = 10)]
        viewers: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Everybody publishes and watches everybody else.
    Meeting {
        #[arg(long, default_value_t = 1)]
        rooms: usize,
        #[arg(long, default_value_t = 10)]
        people: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Some watch, then very many join at once.
    Storm {
        #[arg(long, default_value_t = 100)]
        viewers: usize,
        #[arg(long, default_value_t = 1000)]
        newcomers: usize,
        #[command(flatten)]
        load: Load,
    },
    /// What viewers, streams and publishers cost a server in memory.
    Memory {
        #[arg(long, value_delimiter = ',', default_value = "1000,2000")]
        viewers: Vec<usize>,
        #[command(flatten)]
        load: Load,
    },
    /// Joins and leaves for minutes, and whether memory stays.
    Churn {
        #[arg(long, default_value_t = 100)]
        viewers: usize,
        #[arg(long, default_value_t = 10)]
        a_second: u32,
        #[arg(long, default_value_t = 5.0)]
        minutes: f64,
        #[command(flatten)]
        load: Load,
    },
    /// What connections cost that do nothing.
    Idle {
        #[arg(long, default_value_t = 100)]
        viewers: usize,
        #[arg(long, default_value_t = 1000)]
        connections: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Clients of one channel that talk over the gateway's WebSocket.
    Talk {
        #[arg(long, default_value_t = 1000)]
        clients: usize,
        /// Clients among them that never read.
        #[arg(long, default_value_t = 0)]
        deaf: usize,
        /// Messages to the whole channel, each second.
        #[arg(long, default_value_t = 1.0)]
        a_second: f64,
        #[command(flatten)]
        load: Load,
    },
    /// Draws what the lines of earlier runs tell, as SVG.
    Plot {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where the drawings go.
        #[arg(long, default_value = "plots")]
        out: PathBuf,
    },
}

#[derive(Args, Clone)]
pub(crate) struct Load {
    /// What is measured in turns: uring, epoll, floor; arguments for the program behind colons (`uring:--spin-us=50`), another
    /// build of the server behind an @ (`uring@PATH`). By default uring and epoll, and the floor if it is built.
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
    /// How often each target has its turn.
    #[arg(long, default_value_t = 5)]
    alternations: usize,
    /// Length of one window.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Bits a second of each publisher's video.
    #[arg(long, default_value_t = 1_500_000)]
    bitrate: u64,
    /// Bytes of an RTP packet of video, header included.
    #[arg(long, default_value_t = 1200)]
    packet_len: usize,
    #[arg(long, value_enum, default_value_t = Pacing::Libwebrtc)]
    pacing: Pacing,
    /// Packets sent at once, as often as the bit rate allows; implies `--pacing burst`.
    #[arg(long)]
    burst: Option<u64>,
    /// Packets of a frame differ by a byte, the longer ones last, as where a browser splits it.
    #[arg(long)]
    uneven: bool,
    /// Each publisher sends Opus as well, 50 packets a second.
    #[arg(long)]
    audio: bool,
    /// aes-256-gcm, aes-128-gcm or aes-cm-sha1.
    #[arg(long, default_value = "aes-128-gcm", value_parser = profile)]
    profile: Profile,
    /// Whether viewers let the kernel drop and count what they do not look at, or read everything.
    #[arg(long, value_enum, default_value_t = Receivers::Filter)]
    receivers: Receivers,
    #[arg(long, value_enum, default_value_t = Feedback::Browser)]
    feedback: Feedback,
    /// Viewers that read and check every byte of every packet, of each target.
    #[arg(long, default_value_t = 2)]
    witnesses: usize,
    /// Where publishers' phases come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Joins under way at one time.
    #[arg(long, default_value_t = 16)]
    joiners: usize,
    /// The core that servers are pinned to; by default the first.
    #[arg(long)]
    server_core: Option<usize>,
    /// The core that the tool is pinned to; by default the last.
    #[arg(long)]
    tool_core: Option<usize>,
    /// Servers and, while it measures, the tool go before everything else of the machine (SCHED_FIFO; needs the privilege).
    #[arg(long)]
    realtime: bool,
    /// Tell figures though others used the machine or the publishers were late.
    #[arg(long)]
    allow_noise: bool,
    /// No figures when the publishers' own lateness (p99) is beyond this.
    #[arg(long, default_value_t = 200)]
    lateness_us: u64,
    /// A server's turn that takes longer is a failure.
    #[arg(long, default_value_t = 50)]
    stall_ms: u64,
    /// A server that runs already, as `http://host:port`, as one more target.
    #[arg(long, requires = "token")]
    base: Option<String>,
    /// A token for `--channel` on that server (and for `channel-1`, ... where there are several rooms).
    #[arg(long)]
    token: Option<String>,
    #[arg(long, default_value = "load")]
    channel: String,
    /// The address of this machine that that server is called from.
    #[arg(long, default_value = "127.0.0.1")]
    local_ip: IpAddr,
    /// That server's process id, so that its CPU time can be read.
    #[arg(long)]
    pid: Option<u32>,
}

impl Load {
    /// Moves this thread to the tool's core, where it comes first.
    pub(crate) fn take_core(&self) -> Result<()> {
        if let Some(core) = self.tool_core.or(machine::last_core()?) {
            machine::pin(core)?;
        }
        machine::take_precedence();
        Ok(())
    }

    /// A channel that talks, on the server's core.
    pub(crate) fn talk(&self, clients: usize, deaf: usize, a_second: f64) -> Result<Talk> {
        ensure!(a_second > 0.0, "nobody says anything");
        let server_core = self.server_core.or(machine::last_core()?.is_some().then_some(0));
        Ok(Talk { clients, deaf, a_second, length: Duration::from_secs_f64(self.seconds), server_core })
    }

    pub(crate) fn setup(&self, shape: Shape) -> Result<Setup> {
        ensure!(shape.sources() > 0, "somebody must publish");
        ensure!(self.burst != Some(0), "a burst of nothing");
        let pacing = if self.burst.is_some() { Pacing::Burst } else { self.pacing };
        let burst = self.burst.unwrap_or(1);
        let several = machine::last_core()?.is_some();
        Ok(Setup {
            shape,
            video: Video {
                bits_per_second: self.bitrate,
                packet_len: self.packet_len,
                pacing,
                burst,
                uneven: self.uneven,
            },
            audio: self.audio,
            profile: self.profile,
            receivers: self.receivers,
            feedback: self.feedback,
            witnesses: self.witnesses,
            seed: self.seed,
            joiners: self.joiners.max(1),
            server_core: self.server_core.or(several.then_some(0)),
            policy: if self.realtime { Policy::RealTime } else { Policy::Ordinary },
        })
    }

    pub(crate) fn targets(&self) -> Result<Vec<Target>> {
        let mut targets: Vec<Target> = self.targets.iter().map(|target| target.parse()).collect::<Result<_>>()?;
        if let (Some(base), Some(token)) = (&self.base, &self.token) {
            let (base, token, channel) = (base.clone(), token.clone(), self.channel.clone());
            let running = Running { base, token, channel, local_ip: self.local_ip, pid: self.pid };
            targets.push(Target { label: "running".to_owned(), kind: Kind::Running(running) });
        }
        if targets.is_empty() {
            let floor = Floor::default_binary().is_file().then_some("floor");
            targets = ["uring", "epoll"].into_iter().chain(floor).map(str::parse).collect::<Result<_>>()?;
        }
        let uses_floor = targets.iter().any(Target::is_floor);
        if uses_floor && self.profile != Profile::AeadAes128Gcm {
            bail!("the floor knows aes-128-gcm alone");
        }
        Ok(targets)
    }

    pub(crate) fn schedule(&self) -> Schedule {
        Schedule {
            warm_up: Duration::from_secs_f64(self.warm_up),
            window: Duration::from_secs_f64(self.seconds),
            alternations: self.alternations,
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            lateness_max: Duration::from_micros(self.lateness_us),
            stall_max: Duration::from_millis(self.stall_ms),
            allow_noise: self.allow_noise,
        }
    }
}

fn profile(name: &str) -> Result<Profile, String> {
    let known = || Profile::ALL.map(Profile::name).join(", ");
    Profile::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| format!("one of {}", known()))
}
