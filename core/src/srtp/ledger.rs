//! Debug builds only: which contents went under which index, so that a nonce sealed twice is noticed.
//!
//! A packet may be sealed again if it is bit-identical (a repair without RTX); anything else under the same nonce gives
//! the key stream away. The memory is bounded and forgets: an entry is overwritten by the next that falls on its place.

use std::cell::RefCell;

use super::transform::PacketId;

/// A few seconds of one connection's packets.
const ENTRIES: usize = 4096;

pub(super) struct Ledger {
    entries: RefCell<Box<[Option<Entry>]>>,
}

#[derive(Clone, Copy)]
struct Entry {
    id: PacketId,
    content: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { entries: RefCell::new(vec![None; ENTRIES].into_boxed_slice()) }
    }
}

impl Ledger {
    /// Panics if other content was sealed under the same index.
    pub(super) fn enter(&self, id: PacketId, header: &[u8], payload: &[u8]) {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(header);
        hasher.update(payload);
        let entry = Entry { id, content: hasher.finalize() };
        let place = (id.index ^ u64::from(id.ssrc).wrapping_mul(0x9e37_79b9)) as usize % ENTRIES;
        let earlier = self.entries.borrow_mut()[place].replace(entry);
        if let Some(earlier) = earlier.filter(|earlier| earlier.id == id) {
            assert_eq!(earlier.content, entry.content, "{id:?} sealed twice with different content");
        }
    }
}
