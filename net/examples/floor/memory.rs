//! Memory that the kernel knows by address while we lend parts of it: receive slots, and the arena of sealed packets.

use std::cell::UnsafeCell;

pub(crate) struct Memory {
    bytes: Box<[UnsafeCell<u8>]>,
}

impl Memory {
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0_u8; len].into_boxed_slice();
        // SAFETY: `UnsafeCell<u8>` has the layout of `u8`, so the box keeps its shape.
        Self { bytes: unsafe { Box::from_raw(Box::into_raw(bytes) as *mut [UnsafeCell<u8>]) } }
    }

    pub(crate) fn address(&self, at: usize) -> *mut u8 {
        self.bytes[at..].as_ptr().cast_mut().cast()
    }

    /// Lends `len` bytes from `at` on; panics where they are not ours.
    ///
    /// # Safety
    /// The kernel must not write to them, and no other reference to them may be alive as long as this one.
    #[expect(clippy::mut_from_ref, reason = "parts are lent one by one; the caller promises that no two overlap")]
    pub(crate) unsafe fn lend(&self, at: usize, len: usize) -> &mut [u8] {
        let cells = &self.bytes[at..][..len];
        // SAFETY: cells allow being written through a shared reference; that nobody else looks is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(cells.as_ptr().cast_mut().cast(), cells.len()) }
    }
}
