//! The drivers that turn a shard, each a thread that sleeps in its own way when there is nothing to do.

pub(crate) mod executor;
pub(crate) mod plain;

use std::time::Duration;

use tidewire_core::machine::Machine;
use tidewire_core::time::Instant;

use crate::clock;
use crate::io::PacketIo;
use crate::shard::{Shard, Turn};

/// What the driver does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Turn,
    Sleep,
    End,
}

/// Decides after each turn: turn again, spin a while, sleep, or end. The same for every driver.
struct Pace {
    spin: Duration,
    /// When something was last done.
    worked: Instant,
    /// When the shard was seen to be stopping.
    stopping: Option<Instant>,
}

impl Pace {
    fn new(spin: Duration) -> Self {
        tighten_timers();
        Self { spin, worked: clock::now(), stopping: None }
    }

    fn next<M: Machine, Io: PacketIo>(&mut self, shard: &Shard<M, Io>, turn: Turn, now: Instant) -> Next {
        if turn != Turn::Idle {
            self.worked = now;
        }
        if shard.is_stopping() {
            let since = *self.stopping.get_or_insert(now);
            let late = now.since(since) > STOPPING_MAX;
            return if turn == Turn::Idle || late { Next::End } else { Next::Turn };
        }
        match turn {
            Turn::More => Next::Turn,
            // Zero must not spin even once.
            Turn::Done | Turn::Idle if !self.spin.is_zero() && now.since(self.worked) < self.spin => Next::Turn,
            Turn::Done | Turn::Idle => Next::Sleep,
        }
    }
}

/// Lets this thread's timers fire within a microsecond of their time instead of 50.
fn tighten_timers() {
    // SAFETY: the call takes no pointers; a kernel that refuses leaves timers as they are.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64, 0_u64, 0_u64, 0_u64) };
}

/// How long a stopping shard goes on as long as there is something to do.
const STOPPING_MAX: Duration = Duration::from_millis(300);
