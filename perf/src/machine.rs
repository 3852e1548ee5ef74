//! What a run needs of the machine: which core runs what, how busy a process was, and whether the kernel dropped anything.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Runs `start` with this thread on one core. Processes and threads that it starts stay there; this thread comes back.
pub fn with_affinity<T>(core: usize, start: impl FnOnce() -> T) -> Result<T> {
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread)?;
    pin(core)?;
    let started = start();
    sched_setaffinity(this_thread, &before)?;
    Ok(started)
}

/// Keeps this thread, and those it starts from now on, on one core.
pub fn pin(core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only)?)
}

/// The highest core of the machine, if there is more than one.
pub fn last_core() -> Result<Option<usize>> {
    let online = usize::try_from(sysconf(SysconfVar::_NPROCESSORS_ONLN)?.unwrap_or(1))?;
    Ok((online > 1).then_some(online - 1))
}

/// Datagrams that the kernel dropped at each UDP socket's queue, by local port.
pub fn udp_drops() -> Result<HashMap<u16, u64>> {
    let drops = |line: &str| -> Option<(u16, u64)> {
        let port = line.split_whitespace().nth(1)?.rsplit_once(':')?.1;
        Some((u16::from_str_radix(port, 16).ok()?, line.split_whitespace().last()?.parse().ok()?))
    };
    Ok(std::fs::read_to_string("/proc/net/udp")?.lines().skip(1).filter_map(drops).collect())
}

/// What all cores together have done since the machine started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Anything but idling, steal not included.
    pub busy: Duration,
    /// Time that the hypervisor gave to others while a core of ours wanted to run.
    pub stolen: Duration,
}

impl Machine {
    pub fn so_far() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let fields =
            stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("an unreadable /proc/stat")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in user already.
        let ticks: Vec<u64> = fields.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
            anyhow::bail!("a short /proc/stat")
        };
        Ok(Self { busy: tick_time(user + nice + system + irq + softirq)?, stolen: tick_time(steal)? })
    }
}

/// The kernel's unit of CPU time.
pub fn tick_time(ticks: u64) -> Result<Duration> {
    let a_second = sysconf(SysconfVar::CLK_TCK)?.context("no tick rate")?;
    Ok(Duration::from_nanos(ticks * 1_000_000_000 / u64::try_from(a_second)?))
}
