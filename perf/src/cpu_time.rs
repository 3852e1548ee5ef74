//! How long a process has been on a core, by the clock that the kernel reads at each switch of threads.
//!
//! The scheduler's own account (`/proc/PID/task/TID/schedstat`, and what /proc/PID/stat makes of it) errs where something in real
//! time interrupts: a thread that is inside a call into the kernel is off its core when that call ends, but its time ends when the
//! other one woke, and the other is charged the rest (the kernel does not read the clock again for such a switch:
//! `rq_clock_skip_update`, kernel/sched/core.c). Beside a watch for standstills, which wakes a thousand times a second, a program
//! that sends by long calls seemed to take up to a fifth less than it did, and one with short calls a fiftieth. Performance events of
//! software (`perf_event_open(2)`, `PERF_COUNT_SW_TASK_CLOCK`) have a clock of their own. It runs on while the hypervisor has taken a
//! core away, which the scheduler leaves out.

use std::io;

use anyhow::{Result, bail};
use nix::libc;
use perf_event::events::Software;
use perf_event::{Builder, Counter};

use crate::usage;

/// What a process takes from now on: the threads that it has, and those that they start.
pub struct CpuTime(Account);

enum Account {
    /// One for each thread, with those that it has started since.
    Switches(Vec<Counter>),
    /// Of the process with this number, as the scheduler has it. Threads that end take their time along.
    Scheduler(u32),
    /// There is no process that is known.
    Nobody,
}

impl CpuTime {
    /// Where performance events are not to be had, what the scheduler says must do, and is said to.
    pub fn of(pid: Option<u32>) -> Result<Self> {
        let Some(pid) = pid else { return Ok(Self(Account::Nobody)) };
        Ok(Self(match counters(pid) {
            Ok(counters) if counters.is_empty() => bail!("process {pid} has ended"),
            Ok(counters) => Account::Switches(counters),
            Err(why) => {
                eprintln!(
                    "no performance events ({why}): CPU time is what the scheduler says, which in real time is too little"
                );
                Account::Scheduler(pid)
            }
        }))
    }

    /// In nanoseconds, since a moment that stays the same.
    pub fn so_far_ns(&mut self) -> Result<u64> {
        match &mut self.0 {
            Account::Switches(counters) => Ok(counters.iter_mut().map(Counter::read).sum::<io::Result<u64>>()?),
            Account::Scheduler(pid) => usage::scheduled_ns(*pid),
            Account::Nobody => Ok(0),
        }
    }
}

/// For the threads that there are now. They pass it on to those that they start.
fn counters(pid: u32) -> io::Result<Vec<Counter>> {
    let mut counters = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let Some(thread) = task?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match counter(thread) {
            Ok(counter) => counters.push(counter),
            Err(gone) if gone.raw_os_error() == Some(libc::ESRCH) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(counters)
}

fn counter(thread: i32) -> io::Result<Counter> {
    // What the kernel does for the thread is in this clock anyway; to ask for that would take a privilege.
    let mut counter = Builder::new(Software::TASK_CLOCK).observe_pid(thread).any_cpu().inherit(true).build()?;
    counter.enable()?;
    Ok(counter)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Waits for the end of its input, and then has a child count.
    const COUNTING: &str = "read go; (i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done); :";

    #[test]
    fn what_a_program_computes_takes_time_and_so_does_what_it_started_and_is_gone() {
        let mut shell = Command::new("sh").args(["-c", COUNTING]).stdin(Stdio::piped()).spawn().unwrap();
        let mut cpu = CpuTime::of(Some(shell.id())).unwrap();
        let before = cpu.so_far_ns().unwrap();
        drop(shell.stdin.take());
        assert!(shell.wait().unwrap().success());
        match &cpu.0 {
            // What the child counted: its parent's part is below a millisecond.
            Account::Switches(_) => assert!(cpu.so_far_ns().unwrap() - before > 10_000_000),
            // A machine without performance events: the scheduler knows nothing of who is gone.
            Account::Scheduler(_) | Account::Nobody => assert!(cpu.so_far_ns().is_err()),
        }
    }

    #[test]
    fn nobody_takes_nothing() {
        assert_eq!(CpuTime::of(None).unwrap().so_far_ns().unwrap(), 0);
    }
}
