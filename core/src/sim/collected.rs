//! Egress that keeps what is sent, for whoever wants to look at it.

use crate::machine::{Egress, Path};

/// Datagrams in the order in which they were committed.
#[derive(Debug, Default)]
pub struct Collected {
    pub datagrams: Vec<(Path, Vec<u8>)>,
    reserved: Option<(Path, Vec<u8>)>,
}

impl Egress for Collected {
    fn reserve(&mut self, path: &Path, len: usize) -> Option<&mut [u8]> {
        let (_, bytes) = self.reserved.insert((*path, vec![0xee; len]));
        Some(bytes)
    }

    fn commit(&mut self, len: usize) {
        if let Some((path, mut bytes)) = self.reserved.take() {
            assert!(len <= bytes.len(), "more was committed than reserved");
            bytes.truncate(len);
            self.datagrams.push((path, bytes));
        }
    }
}
