//! What a run needs of the machine: which core runs what, how precisely a thread sleeps, and how busy all cores are.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl::set_timerslack;
use nix::unistd::{Pid, SysconfVar, gettid, sysconf};
use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit};

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

/// The core that this thread is kept on, if it is one.
pub fn own_core() -> Result<Option<usize>> {
    let cores = sched_getaffinity(Pid::from_raw(0))?;
    let mut own = (0..CpuSet::count()).filter(|core| cores.is_set(*core).unwrap_or_default());
    Ok(own.next().filter(|_| own.next().is_none()))
}

/// The highest core of the machine, if there is more than one.
pub fn last_core() -> Result<Option<usize>> {
    let online = usize::try_from(sysconf(SysconfVar::_NPROCESSORS_ONLN)?.unwrap_or(1))?;
    Ok((online > 1).then_some(online - 1))
}

/// Sleeps of this thread end when they should, not up to 50 us later, and not beside it: the kernel gathers timers otherwise.
pub fn sleep_precisely() -> Result<()> {
    Ok(set_timerslack(1)?)
}

/// This thread goes before others of its core. Without the privilege it stays as it is, which its lateness will show.
pub fn take_precedence() {
    setpriority_process(None, -20).unwrap_or_default();
}

/// This thread goes before most others, but not before those that [`take_precedence`].
pub fn take_some_precedence() {
    setpriority_process(None, -10).unwrap_or_default();
}

/// This thread is as any other: what took precedence goes first.
pub fn yield_precedence() {
    setpriority_process(None, 0).unwrap_or_default();
}

/// Whether a thread is scheduled in real time, before everything that is not, or as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// In real time, and before what else is.
    Foremost,
    RealTime,
    Ordinary,
}

/// Changes how this thread is scheduled.
pub fn schedule_this_thread(policy: Policy) -> Result<()> {
    schedule(policy, gettid())
}

/// Changes how the threads of a process are scheduled; those they start later inherit it. Threads that have stepped back by
/// themselves stay where they are: in real time beside those that they gave way to, they would not be interrupted for them.
pub fn schedule_process(policy: Policy, pid: u32) -> Result<()> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let id = Pid::from_raw(task.file_name().to_string_lossy().parse()?);
        // A thread that is gone meanwhile needs no other schedule.
        if !has_stepped_back(id)
            && let Err(why) = schedule(policy, id)
            && task.path().exists()
        {
            return Err(why);
        }
    }
    Ok(())
}

fn has_stepped_back(id: Pid) -> bool {
    getpriority_process(rustix::process::Pid::from_raw(id.as_raw())).is_ok_and(|nice| nice > 0)
}

/// By util-linux's program: the system call has no safe form here.
fn schedule(policy: Policy, id: Pid) -> Result<()> {
    let (option, priority) = match policy {
        Policy::Foremost => ("--fifo", "20"),
        Policy::RealTime => ("--fifo", "10"),
        Policy::Ordinary => ("--other", "0"),
    };
    let mut chrt = Command::new("chrt");
    let status = chrt.arg(option).args(["--pid", priority, &id.to_string()]).status().context("chrt")?;
    ensure!(status.success(), "chrt ended with {status}");
    Ok(())
}

/// As many open files as this process may have: a call takes two.
pub fn raise_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_stepped_back_is_told_from_one_that_has_not() {
        let (before, after) = std::thread::spawn(|| {
            let before = has_stepped_back(gettid());
            setpriority_process(None, 10).unwrap();
            (before, has_stepped_back(gettid()))
        })
        .join()
        .unwrap();
        assert_eq!((before, after), (has_stepped_back(gettid()), true));
    }
}
