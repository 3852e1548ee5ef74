//! The ring of provided buffers: how receive slots go to the kernel (io_uring_register_buf_ring(3)).
//!
//! A page of entries shared with the kernel: we write entries and then the tail, it takes entries from the front in order.
//! There are as many entries as slots, so the ring cannot overflow.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use tidewire_core::limits::RECEIVE_SLOTS;

use super::Ring;
use crate::io::slots::{SLOT_LEN, Slots};

pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    tail: u16,
}

impl BufferRing {
    /// The group by which receives name this ring.
    pub(super) const GROUP: u16 = 0;

    pub(super) fn new() -> Self {
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        let Some(entries) = NonNull::new(memory.cast()) else { handle_alloc_error(LAYOUT) };
        Self { entries, tail: 0 }
    }

    pub(super) fn register(&self, ring: &Ring) -> io::Result<()> {
        // SAFETY: the entries stay where they are and are freed after the ring is closed (field order of `Uring`).
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                self.entries.as_ptr() as u64,
                RECEIVE_SLOTS as u16,
                Self::GROUP,
                0,
            )
        }
    }

    /// Writes a slot behind the others; the kernel sees it after `publish`.
    pub(super) fn provide(&mut self, slot: u16, slots: &Slots) {
        let index = usize::from(self.tail) % RECEIVE_SLOTS;
        // SAFETY: `index` lies inside the ring, and the kernel does not read entries behind the tail. The setters leave the
        // bytes alone that are the tail in the first entry.
        let entry = unsafe { &mut *self.entries.as_ptr().add(index) };
        entry.set_addr(slots.address(slot) as u64);
        entry.set_len(SLOT_LEN as u32);
        entry.set_bid(slot);
        self.tail = self.tail.wrapping_add(1);
    }

    pub(super) fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry, is aligned, and is only accessed as an atomic from here on.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        // The kernel must see the entries before it sees the tail.
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout.
        unsafe { dealloc(self.entries.as_ptr().cast(), LAYOUT) };
    }
}

/// The kernel wants the ring to begin on a page.
const LAYOUT: Layout = match Layout::from_size_align(RECEIVE_SLOTS * size_of::<BufRingEntry>(), 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a page is a power of two"),
};
