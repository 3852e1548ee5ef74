//! Times in which a core ran nothing of ours, not even what goes before everything else.
//!
//! A kernel that is busy for somebody else and cannot be interrupted, or a hypervisor with other guests, stops a core for
//! milliseconds, on some machines once a second, and /proc/stat says nothing of it. No program can be faster than that, so a
//! tail has to be told with and without. A `Watch` is a thread on each core, in real time and before what else is in real
//! time, that sleeps a millisecond at a time and notes when it woke late. What it cannot tell: whether the kernel was busy
//! for the program that is measured, or holds back all that is in real time since that program took too much of it. So it
//! says how much it found, to be compared among targets. It finds all that last two milliseconds, and some shorter ones.

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

    /// Whether what was begun at this time may have been held up: by the standstill, or by the queue behind it. Asks for nothing
    /// else, its delay least of all: what is slow must not be left out the more easily for that.
    pub fn disturbs(&self, begun_ns: u64) -> bool {
        let aftermath_ns = self.until_ns.saturating_sub(self.from_ns) * AFTERMATH;
        (self.from_ns.saturating_sub(UNDER_WAY_NS)..=self.until_ns + aftermath_ns).contains(&begun_ns)
    }
}

fn watch(core: usize, over: &AtomicBool) -> Result<Vec<Standstill>> {
    machine::pin(core)?;
    machine::sleep_precisely()?;
    machine::schedule_this_thread(Policy::Foremost)?;
    let mut found = Vec::new();
    let mut awake = Instant::now();
    while !over.load(Ordering::Relaxed) && found.len() < FOUND_MAX {
        std::thread::sleep(PERIOD);
        let (now, now_ns) = (Instant::now(), clock::unix_ns());
        let late = now.saturating_duration_since(awake + PERIOD);
        if late > LATE_MAX {
            found.push(Standstill { from_ns: now_ns - late.as_nanos() as u64, until_ns: now_ns });
        }
        awake = now;
    }
    Ok(found)
}

/// How long the watch sleeps: seldom enough to take less than a hundredth of a core.
const PERIOD: Duration = Duration::from_millis(1);
/// What a call into the kernel may take, a program's own ones with it.
const LATE_MAX: Duration = Duration::from_millis(1);
/// What was begun so long before a standstill may still be on its way.
const UNDER_WAY_NS: u64 = 2_000_000;
/// A core that is four fifths busy needs four times as long to work off what came meanwhile.
const AFTERMATH: u64 = 4;
/// Of one core: a machine that stands still so often is not one to measure on.
const FOUND_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_disturbs_what_it_meets_and_what_queues_behind_it() {
        let standstill = Standstill { from_ns: 10_000_000, until_ns: 11_000_000 };
        assert!(!standstill.disturbs(7_999_999));
        assert!(standstill.disturbs(8_000_000));
        assert!(standstill.disturbs(15_000_000));
        assert!(!standstill.disturbs(15_000_001));
    }
}
