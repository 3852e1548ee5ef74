//! The SSRCs of one connection: never zero, and none of them twice in the connection's life, however often streams change.
//!
//! They are a walk with an odd step through all 32-bit numbers, which comes back to its start only after the last of them. The
//! start and the step are random, so two connections have nothing in common (RFC 3550 8.1); nobody needs them to be secret.

use tidewire_core::codec::Kind;
use tidewire_core::negotiate::Source;

#[derive(Debug)]
pub(super) struct Ssrcs {
    next: u32,
    step: u32,
}

impl Ssrcs {
    pub(super) fn new(random: u64) -> Self {
        Self { next: (random >> 32) as u32, step: random as u32 | 1 }
    }

    /// For a new stream; video has retransmissions in a stream of their own.
    pub(super) fn source(&mut self, kind: Kind) -> Source {
        Source { primary: self.draw(), rtx: (kind == Kind::Video).then(|| self.draw()) }
    }

    pub(super) fn draw(&mut self) -> u32 {
        let ssrc = self.next;
        self.next = self.next.wrapping_add(self.step);
        if ssrc == 0 { self.draw() } else { ssrc }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_ssrc_comes_twice_and_none_is_zero() {
        for random in [0, 1, 0xffff_fff0_0000_0001, u64::MAX, 0x1234_5678_9abc_def0] {
            let mut ssrcs = Ssrcs::new(random);
            let drawn: BTreeSet<u32> = (0..100_000).map(|_| ssrcs.draw()).collect();
            assert!(drawn.len() == 100_000 && !drawn.contains(&0), "{random:x}");
        }
    }
}
