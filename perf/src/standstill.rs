//! Times in which a core ran nothing of ours, not even what goes before everything else.
//!
//! A kernel that is busy for somebody else and cannot be interrupted, or a hypervisor with other guests, stops a core for
//! milliseconds, on some machines once a second, and /proc/stat says nothing of it. No program can be faster than that, so a
//! tail has to be told with and without. A `Watch` is a thread on each core, in real time and before what else is in real
//! time, that sleeps a millisecond at a time and notes when it woke late. What it cannot tell: whether the kernel was busy
//! for the program that is measured. So it says how much it found, to be compared among targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::clock;
use crate::machine::{self, Policy};

/// From when until when a core stood still, by the wall clock in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standstill {
    pub from_ns: u64,
    pub until_ns: u64,
}

/// Looks for standstills until its end.
pub struct Watch {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Vec<Standstill>>>>,
}

impl Watch {
    /// Needs the privilege of real time; without it `end` fails.
    pub fn begin(cores: impl IntoIterator<Item = usize>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let start = |core| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || watch(core, &over))
        };
        Self { threads: cores.into_iter().map(start).collect(), over }
    }

    /// What was found on all cores, in order.
    pub fn end(mut self) -> Result<Vec<Standstill>> {
        self.over.store(true, Ordering::Relaxed);
        let mut found = Vec::new();
        for thread in self.threads.drain(..) {
            found.extend(thread.join().map_err(|_| anyhow!("a watch over standstills panicked"))??);
        }
        found.sort();
        Ok(found)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Standstill {
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.until_ns.saturating_sub(self.from_ns))
    }

    /// Whether what was under way in this time may have been held up: what met the standstill, or the queue behind it.
    pub fn disturbs(&self, from_ns: u64, until_ns: u64) -> bool {
        let aftermath_ns = self.until_ns.saturating_sub(self.from_ns) * AFTERMATH;
        until_ns >= self.from_ns && from_ns <= self.until_ns + aftermath_ns
    }
}

fn watch(core: usize, over: &AtomicBool) -> Result<Vec<Standstill>> {
    machine::pin(core)?;
    machine::sleep_precisely()?;
    machine::schedule_this_thread(Policy::Foremost)?;
    let mut found = Vec::new();
    let (mut awake, mut awake_ns) = (Instant::now(), clock::unix_ns());
    while !over.load(Ordering::Relaxed) && found.len() < FOUND_MAX {
        std::thread::sleep(PERIOD);
        let (now, now_ns) = (Instant::now(), clock::unix_ns());
        if now - awake > PERIOD + LATE_MAX {
            found.push(Standstill { from_ns: awake_ns, until_ns: now_ns });
        }
        (awake, awake_ns) = (now, now_ns);
    }
    Ok(found)
}

/// How long the watch sleeps: seldom enough to take less than a hundredth of a core.
const PERIOD: Duration = Duration::from_millis(1);
/// What a call into the kernel may take, a program's own ones with it.
const LATE_MAX: Duration = Duration::from_millis(1);
/// A core that is four fifths busy needs four times as long to work off what came meanwhile.
const AFTERMATH: u64 = 4;
/// Of one core: a machine that stands still so often is not one to measure on.
const FOUND_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_disturbs_what_it_meets_and_what_queues_behind_it() {
        let standstill = Standstill { from_ns: 1000, until_ns: 1100 };
        assert!(!standstill.disturbs(900, 999));
        assert!(standstill.disturbs(900, 1000));
        assert!(standstill.disturbs(1050, 2000));
        assert!(standstill.disturbs(1500, 1501));
        assert!(!standstill.disturbs(1501, 9000));
    }
}
