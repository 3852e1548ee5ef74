//! Who runs first where threads share a core: media before everything else.
//!
//! Shards have cores of their own where there are enough. Where not, a thousand handshakes at once must not hold a packet
//! up: a shard asks for short slices, with which the kernel (since Linux 6.12) lets it in at once when it wakes, and the
//! threads that do other work step back. None of it takes a privilege, and a kernel that refuses leaves things as they are.

/// For the calling thread, which forwards media.
pub(crate) fn media() {
    tighten_timers();
    shorten_slices();
}

/// For the calling thread, whose work can wait for media. Threads that it starts inherit this. Where the whole program was
/// started under a real-time policy, that remains for media alone.
pub fn control() {
    // SAFETY: an all-zero `sched_param` is the only one of the ordinary policy, and the kernel only reads it; 0 is the
    // calling thread.
    unsafe {
        let ordinary: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary);
        libc::setpriority(libc::PRIO_PROCESS, 0, CONTROL_NICE);
    }
}

/// Lets this thread's timers fire within a microsecond of their time instead of 50.
fn tighten_timers() {
    // SAFETY: the call takes no pointers; a kernel that refuses leaves timers as they are.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64, 0_u64, 0_u64, 0_u64) };
}

/// Asks for the shortest time slices; a thread that was given a real-time policy has better than that and keeps it.
fn shorten_slices() {
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: all-zero bytes are a valid `sched_attr`, and the kernel reads and writes no more than the stated size.
    unsafe {
        let mut attributes: libc::sched_attr = std::mem::zeroed();
        attributes.size = size;
        let got = libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0);
        if got == 0 && attributes.sched_policy == libc::SCHED_OTHER as u32 {
            attributes.sched_runtime = SLICE_NS;
            libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
        }
    }
}

/// The least that the kernel grants.
const SLICE_NS: u64 = 100_000;

/// A tenth of the weight of a thread that has not stepped back.
const CONTROL_NICE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn nice() -> i32 {
        // SAFETY: the call takes no pointers; 0 is the calling thread.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
    }

    #[test]
    fn control_steps_back_and_its_threads_with_it_and_media_does_not() {
        let niceness = std::thread::spawn(|| {
            media();
            let before = nice();
            control();
            (before, nice(), std::thread::spawn(nice).join().unwrap())
        });
        let (media, control, child) = niceness.join().unwrap();
        assert_eq!((media, control, child), (nice(), CONTROL_NICE, CONTROL_NICE));
    }
}
