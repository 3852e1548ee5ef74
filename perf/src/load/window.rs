//! The figures of one window, and whether they may be told at all.
//!
//! Ratios are computed here and nowhere else. A figure that could not be taken (no process id, so no CPU time) is zero.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::delays::Calm;
use super::report::Points;
use super::rig::{Joins, Rig};
use super::tally::Tally;
use super::viewer::Viewer;
use crate::cpu_time::CpuTime;
use crate::machine::Machine;
use crate::usage::Usage;

/// What was found in one window against one target.
#[derive(Clone, Debug)]
pub struct Window {
    pub target: String,
    pub publishers: u64,
    /// Calls that watch.
    pub viewers: u64,
    pub seconds: f64,
    /// Packets meant for viewers that were planned within the window.
    pub meant: u64,
    /// All packets from the silence before to the silence behind, warm-up included.
    pub tally: Tally,
    pub faults: Faults,
    /// Packets that viewers decrypted and checked byte for byte, since they joined.
    pub opened: u64,
    pub feedback_sent: u64,
    /// The server's own count for the same time as the tally; zero where it has none.
    pub forwarded_by_server: u64,
    pub server_cpu_ns: u64,
    pub server_resident_bytes: u64,
    /// Time that the tool was at work, of the time that there was.
    pub tool_busy: f64,
    /// As the scheduler has it: what it charges a watch over standstills of other programs' time stands here.
    pub tool_cpu_s: f64,
    /// CPU time of all other processes of the machine within the window.
    pub others_cpu_s: f64,
    /// Time that the hypervisor gave to others.
    pub stolen_s: f64,
    /// The longest turn of the server's shards, where it tells.
    pub stall_ns: Option<f64>,
    /// Kernel receive time minus planned send time, in nanoseconds.
    pub delays: Histogram<u64>,
    /// The same of the packets that met no standstill of the machine, where somebody watched for those.
    pub calm: Option<Calm>,
    /// Actual minus planned send time, in nanoseconds.
    pub lateness: Histogram<u64>,
    pub joins: Joins,
}

/// What no packet should ever show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    pub duplicates: u64,
    pub corrupt: u64,
    pub misplaced: u64,
    pub unreadable: u64,
}

/// What had been used at one edge of a window.
pub(super) struct Edge {
    at: Instant,
    server: Usage,
    server_cpu_ns: u64,
    tool: Usage,
    machine: Machine,
}

/// When the tool's word is not good enough.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The 99th percentile of the publishers' own lateness.
    pub lateness_max: Duration,
    /// A server that does nothing else for longer than this in one turn has failed.
    pub stall_max: Duration,
    /// Others may use the machine: their part of the tail is accepted.
    pub allow_noise: bool,
}

impl Edge {
    pub(super) fn now(server: Option<u32>, server_cpu: &mut CpuTime) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            server: server.map_or(Ok(Usage::default()), Usage::of)?,
            server_cpu_ns: server_cpu.so_far_ns()?,
            tool: Usage::own()?,
            machine: Machine::so_far()?,
        })
    }
}

impl Window {
    pub(super) fn between(rig: &Rig, before: &Edge, after: &Edge, idle: Duration, tally: Tally) -> Self {
        let seconds = (after.at - before.at).as_secs_f64();
        let reactor = &rig.reactor;
        // Ticks on both sides of the difference: their rounding is the same.
        let [server, tool] = [(&before.server, &after.server), (&before.tool, &after.tool)]
            .map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        let busy = after.machine.busy.saturating_sub(before.machine.busy);
        let sum = |of: &dyn Fn(&Viewer) -> u64| reactor.viewers.iter().map(of).sum::<u64>();
        Self {
            target: rig.target.label.clone(),
            publishers: reactor.sources.len() as u64,
            viewers: reactor.viewers.len() as u64,
            seconds,
            meant: reactor.sources.iter().map(|source| source.measured() * source.audience).sum(),
            tally,
            faults: Faults {
                duplicates: sum(&Viewer::duplicates),
                corrupt: sum(&|viewer| viewer.faults.corrupt),
                misplaced: sum(&|viewer| viewer.faults.misplaced),
                unreadable: sum(&|viewer| viewer.faults.garbage),
            },
            opened: sum(&|viewer| viewer.opened),
            feedback_sent: sum(&|viewer| viewer.reporter.sent),
            forwarded_by_server: 0,
            server_cpu_ns: after.server_cpu_ns.saturating_sub(before.server_cpu_ns),
            server_resident_bytes: after.server.resident_bytes,
            tool_busy: 1.0 - idle.as_secs_f64() / seconds,
            tool_cpu_s: tool.as_secs_f64(),
            others_cpu_s: busy.saturating_sub(server + tool).as_secs_f64(),
            stolen_s: after.machine.stolen.saturating_sub(before.machine.stolen).as_secs_f64(),
            stall_ns: None,
            delays: reactor.delays.all().clone(),
            calm: None,
            lateness: reactor.lateness.clone(),
            joins: rig.joins.clone(),
        }
    }

    /// Packets of the window that reached viewers, by the loss of the whole time between two silences.
    pub fn delivered(&self) -> f64 {
        self.meant as f64 * (1.0 - self.tally.loss())
    }

    pub fn packets_per_second(&self) -> f64 {
        self.delivered() / self.seconds
    }

    /// Server CPU time for each packet that reached a viewer, in nanoseconds.
    pub fn cpu_ns_per_packet(&self) -> f64 {
        self.server_cpu_ns as f64 / self.delivered().max(1.0)
    }

    /// Of one core.
    pub fn server_share(&self) -> f64 {
        self.server_cpu_ns as f64 / 1e9 / self.seconds
    }

    /// Of one core, the hypervisor's other guests included.
    pub fn others_share(&self) -> f64 {
        (self.others_cpu_s + self.stolen_s) / self.seconds
    }

    /// The delays of the packets that met no standstill; not numbers where nobody watched.
    pub fn calm_delays(&self) -> Points {
        let told = self.calm.as_ref().filter(|calm| calm.delays.len() >= CALM_SAMPLES_MIN);
        told.map_or(Points::UNKNOWN, |calm| Points::of(&calm.delays))
    }

    /// Of the packets whose delay is known, those that a standstill may have held up; not a number where nobody watched.
    pub fn disturbed_share(&self) -> f64 {
        self.calm.as_ref().map_or(f64::NAN, |calm| 1.0 - calm.delays.len() as f64 / self.delays.len().max(1) as f64)
    }

    /// How long cores stood still, all together; not a number where nobody watched.
    pub fn stood_ms_a_second(&self) -> f64 {
        self.calm.as_ref().map_or(f64::NAN, |calm| calm.stood_ns as f64 / 1e6 / self.seconds)
    }

    /// An overloaded server queues before it loses, so both are asked.
    pub fn is_clean(&self) -> bool {
        self.tally.loss() <= LOSS_MAX && self.delays.value_at_quantile(0.99) <= DELAY_NS_MAX && self.is_faultless()
    }

    pub fn is_faultless(&self) -> bool {
        self.faults == Faults::default() && self.tally.surplus() == 0
    }

    /// Why these figures would be the tool's and not the server's: without an empty list there are no figures.
    pub fn refusals(&self, bounds: &Bounds) -> Vec<String> {
        let mut why = Vec::new();
        if self.tool_busy > BUSY_MAX {
            why.push(format!("the tool was busy {:.0} % of the time", 100.0 * self.tool_busy));
        }
        if self.tally.overrun > 0 {
            why.push(format!("{} packets found a queue of the tool's sockets full", self.tally.overrun));
        }
        let late = Duration::from_nanos(self.lateness.value_at_quantile(0.99));
        if late > bounds.lateness_max && !bounds.allow_noise {
            why.push(format!("the publishers were {late:?} late (p99)"));
        }
        if self.others_share() > OTHERS_MAX && !bounds.allow_noise {
            why.push(format!("others used {:.0} % of a core", 100.0 * self.others_share()));
        }
        why
    }

    /// What the server did wrong.
    pub fn failures(&self, bounds: &Bounds) -> Vec<String> {
        let mut why = Vec::new();
        let stalled = self.stall_ns.map_or(Duration::ZERO, |ns| Duration::from_nanos(ns as u64));
        if stalled > bounds.stall_max {
            why.push(format!("the server did not turn for {stalled:?}"));
        }
        if !self.is_faultless() {
            why.push(format!("{:?}, {} packets too many", self.faults, self.tally.surplus()));
        }
        why
    }
}

/// With fewer, a 99th percentile is a packet or two.
const CALM_SAMPLES_MIN: u64 = 500;
/// A core that is busier than this has waited for something.
const BUSY_MAX: f64 = 0.85;
/// Other work beyond this share of a core shows in percentiles of a millisecond.
const OTHERS_MAX: f64 = 0.1;
const LOSS_MAX: f64 = 0.001;
const DELAY_NS_MAX: u64 = 200_000_000;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::load::reactor::histogram;

    pub(in crate::load) fn window() -> Window {
        let mut lateness = histogram().unwrap();
        lateness.record_n(20_000, 1000).unwrap();
        let mut delays = histogram().unwrap();
        delays.record_n(500_000, 1000).unwrap();
        let [http, ice, dtls, first_packet, first_key] = [(); 5].map(|()| histogram().unwrap());
        Window {
            target: "uring".to_owned(),
            publishers: 1,
            viewers: 100,
            seconds: 5.0,
            meant: 78_000,
            tally: Tally { expected: 93_600, read: 3_000, dropped: 90_600, ..Tally::default() },
            faults: Faults::default(),
            opened: 3_000,
            feedback_sent: 0,
            forwarded_by_server: 93_600,
            server_cpu_ns: 156_000_000,
            server_resident_bytes: 1 << 24,
            tool_busy: 0.3,
            tool_cpu_s: 2.0,
            others_cpu_s: 0.1,
            stolen_s: 0.0,
            stall_ns: None,
            delays,
            calm: None,
            lateness,
            joins: Joins { http, ice, dtls, first_packet, first_key, failed: 0, server_bytes_per_viewer: 0 },
        }
    }

    const BOUNDS: Bounds =
        Bounds { lateness_max: Duration::from_micros(200), stall_max: Duration::from_millis(50), allow_noise: false };

    #[test]
    fn cpu_time_is_told_per_packet_that_arrived() {
        assert!((window().cpu_ns_per_packet() - 2000.0).abs() < 1e-6);
        let half = Window { tally: Tally { read: 0, dropped: 46_800, ..window().tally }, ..window() };
        assert!((half.cpu_ns_per_packet() - 4000.0).abs() < 1e-6 && !half.is_clean());
    }

    #[test]
    fn a_good_window_is_told() {
        assert!(window().refusals(&BOUNDS).is_empty() && window().failures(&BOUNDS).is_empty() && window().is_clean());
    }

    #[test]
    fn a_busy_or_overrun_tool_refuses_whatever_is_allowed() {
        let noisy = Bounds { allow_noise: true, ..BOUNDS };
        assert_eq!(Window { tool_busy: 0.9, ..window() }.refusals(&noisy).len(), 1);
        let tally = Tally { overrun: 1, ..window().tally };
        assert_eq!(Window { tally, ..window() }.refusals(&noisy).len(), 1);
    }

    #[test]
    fn lateness_and_others_refuse_unless_noise_is_allowed() {
        let mut late = Window { others_cpu_s: 0.6, ..window() };
        late.lateness.record_n(3_000_000, 100).unwrap();
        assert_eq!(late.refusals(&BOUNDS).len(), 2);
        assert!(late.refusals(&Bounds { allow_noise: true, ..BOUNDS }).is_empty());
        assert_eq!(Window { stolen_s: 0.6, ..window() }.refusals(&BOUNDS).len(), 1);
    }

    #[test]
    fn a_stall_or_a_fault_is_the_servers_failure() {
        assert_eq!(Window { stall_ns: Some(6e7), ..window() }.failures(&BOUNDS).len(), 1);
        assert!(Window { stall_ns: Some(4e7), ..window() }.failures(&BOUNDS).is_empty());
        let faults = Faults { duplicates: 1, ..Faults::default() };
        assert_eq!(Window { faults, ..window() }.failures(&BOUNDS).len(), 1);
    }
}
