//! A shard on a plain thread, which sleeps in its packet I/O. Works wherever threads do.

use std::time::Duration;

use tidewire_core::machine::Machine;

use super::{Next, Pace};
use crate::clock;
use crate::io::PacketIo;
use crate::shard::Shard;

/// Turns the shard until it is stopped.
pub(crate) fn drive<M: Machine, Io: PacketIo>(shard: &mut Shard<M, Io>, spin: Duration) {
    let mut pace = Pace::new(spin);
    loop {
        let now = clock::now();
        let turn = shard.turn(now);
        match pace.next(shard, turn, now) {
            Next::Turn => {}
            Next::Sleep => sleep(shard),
            Next::End => break,
        }
    }
    shard.io().collect();
    shard.settle(clock::now());
}

fn sleep<M: Machine, Io: PacketIo>(shard: &mut Shard<M, Io>) {
    let now = clock::now();
    shard.settle(now);
    let pause = shard.pause(now);
    shard.io().wait(pause);
}

/// Pins the calling thread to a core.
pub(crate) fn pin(core: usize) -> std::io::Result<()> {
    if core >= libc::CPU_SETSIZE as usize {
        return Err(std::io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: all-zero bytes are an empty set, `core` is below the set's size, and the kernel only reads the set.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
