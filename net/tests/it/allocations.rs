//! A loaded shard allocates nothing: counted by thread, over the whole loop from the kernel to the kernel.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::echo::{Command, Event};
use crate::packets::echo_all;
use crate::rig::{COMBINATIONS, Rig};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator; counting touches a thread-local number only, which needs no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(memory, layout, len) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

pub(crate) fn of_this_thread() -> u64 {
    ALLOCATIONS.get()
}

fn report(rig: &Rig) -> u64 {
    rig.command(Command::Report);
    loop {
        if let Event::Report { allocations, .. } = rig.event() {
            return allocations;
        }
    }
}

#[test]
fn loaded_shard_allocates_nothing_of_its_own() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let client = rig.client();
        echo_all(&rig, &client, 500, 1);
        let before = (report(&rig), report(&rig));
        // What the test's own report costs, by the second of two with nothing between.
        let own = before.1 - before.0;
        echo_all(&rig, &client, 5_000, 2);
        let allocations = report(&rig) - before.1 - own;
        if combination.company {
            // glommio allocates for each of its sleeps; the shard itself does not for any packet.
            println!("{}: {allocations} allocations of the runtime over 5,000 packets", rig.name);
        } else {
            assert_eq!(allocations, 0, "{}", rig.name);
        }
        rig.stop();
    }
}
