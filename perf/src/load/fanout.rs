//! One publisher, many viewers: what a forwarded packet costs the server and how long it takes.
//!
//! All calls are joined by real handshakes before the first packet. After a warm-up comes the window; only packets planned
//! in it count. Then the tool waits until nothing more arrives, and asks the kernel what it dropped.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;

use super::plan::{Pacing, Plan};
use super::reactor::{Reactor, histogram};
use super::report::{Joins, Report};
use super::viewer::{Attention, Viewer};
use super::yardstick;
use crate::client::offer::Retransmission;
use crate::client::{Client, Codec, Direction, Offer, Profile, Publisher};
use crate::machine::{self, Machine};
use crate::server::{Io, Metrics, Server, Usage};

/// What is run.
#[derive(Clone, Debug)]
pub struct Fanout {
    pub viewers: usize,
    pub seconds: u64,
    pub warm_up_s: u64,
    pub bits_per_second: u64,
    /// RTP header included, SRTP's tag not.
    pub packet_len: usize,
    pub pacing: Pacing,
    pub profile: Profile,
    /// Viewers that decrypt and check every packet.
    pub witnesses: usize,
    pub tool_core: Option<usize>,
}

/// Where it is run.
#[derive(Clone, Debug)]
pub enum Target {
    /// A server of our own, with these additional arguments.
    Start { binary: PathBuf, io: Io, core: Option<usize>, arguments: Vec<String> },
    /// A server that runs already. Its process id lets us see what it uses.
    Running { base: String, token: String, pid: Option<u32>, channel: String },
}

/// Runs the scenario and ends everything it started.
pub fn run(fanout: &Fanout, target: &Target) -> Result<Report> {
    if let Some(core) = fanout.tool_core {
        machine::pin(core)?;
    }
    match target {
        Target::Start { binary, io, core, arguments } => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let server = Server::start(binary, *io, *core, &arguments)?;
            let place = Place {
                label: io.name().to_owned(),
                base: server.base(),
                token: server.token(CHANNEL)?,
                channel: CHANNEL.to_owned(),
                pid: Some(server.pid()),
                core: *core,
            };
            let report = measure(fanout, &place)?;
            server.stop()?;
            Ok(report)
        }
        Target::Running { base, token, pid, channel } => {
            let place = Place {
                label: "running".to_owned(),
                base: base.clone(),
                token: token.clone(),
                channel: channel.clone(),
                pid: *pid,
                core: None,
            };
            measure(fanout, &place)
        }
    }
}

/// A server that can be called.
struct Place {
    label: String,
    base: String,
    token: String,
    channel: String,
    pid: Option<u32>,
    /// The core that the server has, where we gave it one.
    core: Option<usize>,
}

impl Place {
    fn usage(&self) -> Result<Usage> {
        self.pid.map_or(Ok(Usage::default()), Usage::of)
    }

    /// Servers other than Tidewire have no such counters; they are measured all the same.
    fn forwarded(&self) -> f64 {
        let endpoint = crate::client::http::Endpoint::new(&self.base, "");
        endpoint.get("/metrics").map_or(0.0, |reply| Metrics::parse(&reply.body).sum("tidewire_rtp_forwarded"))
    }
}

fn measure(fanout: &Fanout, place: &Place) -> Result<Report> {
    let client = Client::new(&place.base, &place.token, fanout.profile)?;
    let offer = Offer::of(Direction::Send, &[Codec::Vp8], Retransmission::InPlace, 1000);
    let publisher = Publisher::new(client.join(&place.channel, &offer).context("the publisher's join")?, &offer)?;
    let mut reactor = Reactor::new(publisher)?;
    let joins = join_viewers(fanout, &client, place, &mut reactor)?;
    let window = send(fanout, place, &mut reactor)?;
    let report = report(fanout, place, &reactor, &window, joins)?;
    leave(reactor)?;
    Ok(report)
}

/// What was used within the window.
struct Window {
    wall: Duration,
    /// From the first packet to the last, warm-up included.
    forwarded: f64,
    server: Usage,
    server_cpu: Duration,
    tool_cpu: Duration,
    /// Of all other processes on all cores.
    others_cpu: Duration,
    stolen: Duration,
    /// The mean of before and after.
    yardstick: Duration,
}

/// Warm-up, window, and the wait for what is still on its way.
fn send(fanout: &Fanout, place: &Place, reactor: &mut Reactor) -> Result<Window> {
    let forwarded_before = place.forwarded();
    let yardstick_before = yardstick::measure(place.core, fanout.viewers, fanout.packet_len)?;
    reactor.start_sending(Plan::new(fanout.bits_per_second, fanout.packet_len, fanout.pacing), fanout.packet_len)?;
    reactor.run_until(Instant::now() + Duration::from_secs(fanout.warm_up_s))?;
    let (server, tool, machine) = (place.usage()?, own_usage()?, Machine::so_far()?);
    let started = Instant::now();
    reactor.open_window();
    reactor.run_until(started + Duration::from_secs(fanout.seconds))?;
    reactor.close_window();
    let wall = started.elapsed();
    let (server_after, tool_after, machine_after) = (place.usage()?, own_usage()?, Machine::so_far()?);
    reactor.stop_sending();
    settle(reactor)?;
    let server_cpu = server_after.cpu.saturating_sub(server.cpu);
    let tool_cpu = tool_after.cpu.saturating_sub(tool.cpu);
    Ok(Window {
        wall,
        forwarded: place.forwarded() - forwarded_before,
        server: server_after,
        server_cpu,
        tool_cpu,
        others_cpu: machine_after.busy.saturating_sub(machine.busy).saturating_sub(server_cpu + tool_cpu),
        stolen: machine_after.stolen.saturating_sub(machine.stolen),
        yardstick: (yardstick_before + yardstick::measure(place.core, fanout.viewers, fanout.packet_len)?) / 2,
    })
}

fn report(fanout: &Fanout, place: &Place, reactor: &Reactor, window: &Window, joins: Joins) -> Result<Report> {
    let viewers = &reactor.viewers;
    let range = reactor.window();
    let drops = machine::udp_drops()?;
    let dropped = |viewer: &Viewer| {
        let own = viewer.call.socket().local_addr().ok()?;
        drops.get(&own.port()).copied()
    };
    let sum = |of: &dyn Fn(&Viewer) -> u64| viewers.iter().map(of).sum();
    Ok(Report {
        label: place.label.clone(),
        profile: fanout.profile.name(),
        pacing: fanout.pacing.name(),
        viewers: viewers.len() as u64,
        seconds: window.wall.as_secs_f64(),
        bits_per_second: fanout.bits_per_second,
        packet_len: fanout.packet_len as u64,
        sent: range.end - range.start,
        received: sum(&|viewer| viewer.received(range.clone())),
        sent_in_all: reactor.planned_ns.len() as u64,
        forwarded_by_server: window.forwarded as u64,
        opened: sum(&Viewer::opened),
        duplicates: sum(&Viewer::duplicates),
        corrupt: sum(&|viewer| viewer.faults.corrupt),
        misplaced: sum(&|viewer| viewer.faults.misplaced),
        garbage: sum(&|viewer| viewer.faults.garbage),
        dropped_by_our_kernel: viewers.iter().filter_map(dropped).sum(),
        server_cpu_s: window.server_cpu.as_secs_f64(),
        server_resident_bytes: window.server.resident_bytes,
        server_bytes_a_viewer: joins.server_bytes / (viewers.len() as u64).max(1),
        tool_cpu_s: window.tool_cpu.as_secs_f64(),
        others_cpu_s: window.others_cpu.as_secs_f64(),
        stolen_s: window.stolen.as_secs_f64(),
        yardstick_us: window.yardstick.as_secs_f64() * 1e6,
        delays: reactor.delays.clone(),
        lateness: reactor.lateness.clone(),
        joins,
    })
}

fn join_viewers(fanout: &Fanout, client: &Client, place: &Place, reactor: &mut Reactor) -> Result<Joins> {
    let offer = Offer::of(Direction::Receive, &[Codec::Vp8], Retransmission::InPlace, 0);
    let (mut http, mut ice, mut dtls): (Histogram<u64>, Histogram<u64>, Histogram<u64>) =
        (histogram()?, histogram()?, histogram()?);
    let before = place.usage()?;
    for number in 0..fanout.viewers {
        let call = client.join(&place.channel, &offer).with_context(|| format!("the join of viewer {number}"))?;
        http.saturating_record(call.join_times.http.as_nanos() as u64);
        ice.saturating_record(call.join_times.ice.as_nanos() as u64);
        dtls.saturating_record(call.join_times.dtls.as_nanos() as u64);
        let attention = if number < fanout.witnesses { Attention::Witness } else { Attention::Counter };
        // Reports are spread over their second, as those of strangers would be.
        let first_report = Instant::now() + Duration::from_secs(1).mul_f64(number as f64 / fanout.viewers as f64);
        reactor.add(Viewer::new(call, attention, first_report))?;
        reactor.turn(Instant::now())?;
    }
    Ok(Joins { http, ice, dtls, server_bytes: place.usage()?.resident_bytes.saturating_sub(before.resident_bytes) })
}

/// Goes on until everything has arrived, or nothing more does.
fn settle(reactor: &mut Reactor) -> Result<()> {
    let window = reactor.window();
    let wanted = window.end - window.start;
    let deadline = Instant::now() + SETTLE_MAX;
    while Instant::now() < deadline && reactor.viewers.iter().any(|viewer| viewer.received(window.clone()) < wanted) {
        reactor.run_until(Instant::now() + Duration::from_millis(50))?;
    }
    Ok(())
}

fn leave(reactor: Reactor) -> Result<()> {
    for viewer in reactor.viewers {
        viewer.call.leave()?;
    }
    reactor.publisher.leave()?;
    Ok(())
}

fn own_usage() -> Result<Usage> {
    Usage::of(std::process::id())
}

const CHANNEL: &str = "load";

/// A server that queues for longer than this has lost the packets as far as a viewer can tell.
const SETTLE_MAX: Duration = Duration::from_secs(2);
