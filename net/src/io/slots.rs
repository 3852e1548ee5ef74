//! Receive slots: memory that the kernel fills and a machine decrypts in place.
//!
//! A slot belongs either to the kernel or to us; whoever calls `lend` promises that it is ours. A message in a slot is
//! unloaded into batches datagram by datagram, since the kernel may have put several of one sender into one (UDP_GRO).
//! Slots lie an odd number of cache lines apart: at 64 kB their first lines would all fall into the same cache sets.

use std::cell::UnsafeCell;
use std::ops::Range;

use tidewire_core::limits::{DATAGRAM_LEN_MAX, RECEIVE_SLOTS};
use tidewire_core::machine::{Batch, Datagram, Path};
use tidewire_core::time::Instant;

use crate::count::{IoCounter, IoTally};

/// Bytes of a slot: the largest message, and before it what io_uring says about it.
pub(crate) const SLOT_LEN: usize = 65_536 + 128;

/// Distance of two slots: the slot and as much as makes it an odd number of cache lines.
const STRIDE: usize = SLOT_LEN + CACHE_LINE * (1 - SLOT_LEN / CACHE_LINE % 2);
const CACHE_LINE: usize = 64;

/// All receive slots of a shard.
pub(crate) struct Slots {
    memory: Box<[UnsafeCell<u8>]>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        let memory = vec![0_u8; STRIDE * RECEIVE_SLOTS].into_boxed_slice();
        // SAFETY: `UnsafeCell<u8>` has the layout of `u8`, so the box keeps its shape.
        let memory = unsafe { Box::from_raw(Box::into_raw(memory) as *mut [UnsafeCell<u8>]) };
        Self { memory }
    }

    /// Where a slot begins; `slot` counts from 0 to `RECEIVE_SLOTS`.
    pub(crate) fn address(&self, slot: u16) -> *mut u8 {
        self.memory[usize::from(slot) * STRIDE].get()
    }

    /// Bytes `range` of a slot, cut off where the slot ends.
    ///
    /// # Safety
    /// The kernel must not own the slot, and no other reference into `range` may be alive as long as this one.
    #[expect(clippy::mut_from_ref, reason = "slots are lent one by one; the caller promises that no two overlap")]
    pub(crate) unsafe fn lend(&self, slot: u16, range: Range<usize>) -> &mut [u8] {
        let end = range.end.min(SLOT_LEN);
        let start = range.start.min(end);
        // SAFETY: the range lies inside the slot, which lies inside `memory`; that nobody else looks is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.address(slot).add(start), end - start) }
    }
}

/// A received message that waits in a slot, or what is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) slot: u16,
    pub(crate) path: Path,
    pub(crate) arrival: Instant,
    /// The bytes of the slot that were not unloaded yet.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Bytes of each datagram but the last.
    pub(crate) segment: usize,
    /// Whether the kernel had more than the slot could hold: the last datagram is damaged.
    pub(crate) truncated: bool,
}

impl Message {
    /// Moves datagrams into `batch` until the message is empty (`true`) or the batch is full (`false`).
    ///
    /// # Safety
    /// The message's slot must be ours, and stay ours during `'a`.
    pub(crate) unsafe fn unload<'a>(&mut self, slots: &'a Slots, batch: &mut Batch<'a>, tally: &mut IoTally) -> bool {
        loop {
            if batch.is_full() {
                return false;
            }
            let end = self.end.min(self.start.saturating_add(self.segment.max(1)));
            let last = end == self.end;
            if end - self.start > DATAGRAM_LEN_MAX || (last && self.truncated) {
                tally.count(IoCounter::OversizedIn);
            } else {
                tally.count(IoCounter::DatagramsIn);
                tally.add(IoCounter::BytesIn, end - self.start);
                // SAFETY: the slot is ours by the caller's promise, and `start` only moves forward, so no byte is lent twice.
                let bytes = unsafe { slots.lend(self.slot, self.start..end) };
                let pushed = batch.push(Datagram { path: self.path, arrival: self.arrival, bytes });
                debug_assert!(pushed.is_ok(), "a batch that is not full takes a datagram");
            }
            self.start = end;
            if last {
                return true;
            }
        }
    }
}

const _: () = assert!(RECEIVE_SLOTS.is_power_of_two() && RECEIVE_SLOTS <= 1 << 15 && STRIDE / CACHE_LINE % 2 == 1);

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_core::limits::BATCH_LEN_MAX;

    fn message(len: usize, segment: usize) -> Message {
        let path = Path { local: 0, remote: "127.0.0.1:1".parse().unwrap() };
        Message { slot: 3, path, arrival: Instant::ORIGIN, start: 100, end: 100 + len, segment, truncated: false }
    }

    fn unload(mut message: Message) -> (Vec<usize>, IoTally) {
        let (slots, mut tally, mut lens) = (Slots::new(), IoTally::default(), Vec::new());
        loop {
            let mut batch = Batch::new();
            // SAFETY: no kernel knows these slots, and each batch is gone before the next.
            let empty = unsafe { message.unload(&slots, &mut batch, &mut tally) };
            lens.extend(batch.iter_mut().map(|datagram| datagram.bytes.len()));
            if empty {
                return (lens, tally);
            }
        }
    }

    #[test]
    fn message_is_cut_into_its_datagrams() {
        assert_eq!(unload(message(2500, 1000)).0, [1000, 1000, 500]);
        assert_eq!(unload(message(2000, 1000)).0, [1000, 1000]);
        assert_eq!(unload(message(700, 700)).0, [700]);
        assert_eq!(unload(message(0, 0)).0, [0]);
    }

    #[test]
    fn message_larger_than_a_batch_is_unloaded_in_several() {
        assert_eq!(unload(message(BATCH_LEN_MAX * 2 * 10, 10)).0, [10; BATCH_LEN_MAX * 2]);
    }

    #[test]
    fn oversized_and_damaged_datagrams_are_counted_not_lent() {
        let (lens, tally) = unload(message(DATAGRAM_LEN_MAX + 1, DATAGRAM_LEN_MAX + 1));
        assert_eq!((lens.len(), tally.of(IoCounter::OversizedIn)), (0, 1));
        let (lens, tally) = unload(Message { truncated: true, ..message(250, 100) });
        assert_eq!((lens, tally.of(IoCounter::OversizedIn)), (vec![100, 100], 1));
    }
}
