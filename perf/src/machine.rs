//! What a run needs of the machine: which core runs what, how busy a process was, and whether the kernel dropped anything.

use std::collections::HashMap;

use anyhow::Result;
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
