//! Which packets of a stream have been here (RFC 3711 3.3.2), and where a 16-bit sequence number stands (3.3.1).
//!
//! A window remembers the highest index and one bit for each of the last `WORDS * 64` or so before it. The bits lie in
//! a ring of words that is cleared a word at a time as the window moves (RFC 6479), so nothing is ever shifted; the
//! word being filled is only partly valid, hence one word less of memory than there is room for.

use crate::count::Discard;

/// For RTP 960 packets, a second of video at 9 Mb/s: what is repeated without RTX comes under its old index.
pub(super) const RTP_WORDS: usize = 16;

/// For RTCP 192 packets of one sender, several seconds of the busiest feedback.
pub(super) const RTCP_WORDS: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Window<const WORDS: usize> {
    highest: u64,
    seen: [u64; WORDS],
}

impl<const WORDS: usize> Window<WORDS> {
    /// Indices up to this far behind the highest are remembered.
    pub(super) const LEN: u64 = (WORDS as u64 - 1) * 64;

    /// The window of a stream whose first authenticated packet has this index.
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.accept(index);
        window
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet of this index may be authenticated at all.
    pub(super) fn check(&self, index: u64) -> Result<(), Discard> {
        if index > self.highest {
            return Ok(());
        }
        if self.highest - index >= Self::LEN {
            return Err(Discard::TooOld);
        }
        match self.seen[Self::word(index)] & bit(index) {
            0 => Ok(()),
            _ => Err(Discard::Replayed),
        }
    }

    /// Remembers a packet that `check` let pass and that authenticated.
    pub(super) fn accept(&mut self, index: u64) {
        if index > self.highest {
            self.clear_up_to(index);
            self.highest = index;
        }
        self.seen[Self::word(index)] |= bit(index);
    }

    /// Clears the words that the window enters on its way to `index`.
    fn clear_up_to(&mut self, index: u64) {
        let entered = index / 64 - self.highest / 64;
        for step in 1..=entered.min(WORDS as u64) {
            self.seen[Self::word(self.highest + 64 * step)] = 0;
        }
    }

    fn word(index: u64) -> usize {
        (index / 64 % WORDS as u64) as usize
    }
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

/// The index of a sequence number, given the highest index so far (RFC 3711 3.3.1 and appendix A).
///
/// Before the first wrap the appendix would guess a rollover counter of -1 for what seems to be older than the very
/// beginning; there is no such packet, so the counter is then taken to be 0.
pub(super) fn estimate_index(highest: u64, sequence: u16) -> u64 {
    let (roc, last) = (highest >> 16, highest as u16);
    let roc = if last < 0x8000 && sequence.saturating_sub(last) > 0x8000 {
        roc.saturating_sub(1)
    } else if last >= 0x8000 && last - 0x8000 > sequence {
        roc + 1
    } else {
        roc
    };
    roc << 16 | u64::from(sequence)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    type RtpWindow = Window<RTP_WORDS>;
    type RtcpWindow = Window<RTCP_WORDS>;

    #[test]
    fn rollover_counter_is_guessed_as_the_appendix_says() {
        let at = |roc: u64, sequence: u64| roc << 16 | sequence;
        assert_eq!(estimate_index(at(3, 100), 101), at(3, 101));
        assert_eq!(estimate_index(at(3, 100), 65_500), at(2, 65_500));
        assert_eq!(estimate_index(at(3, 65_500), 100), at(4, 100));
        assert_eq!(estimate_index(at(3, 65_500), 40_000), at(3, 40_000));
        // The ties, where the comparison is strict.
        assert_eq!(estimate_index(at(3, 0), 0x8000), at(3, 0x8000));
        assert_eq!(estimate_index(at(3, 0), 0x8001), at(2, 0x8001));
        assert_eq!(estimate_index(at(3, 0x8000), 0), at(3, 0));
        assert_eq!(estimate_index(at(3, 0x8001), 0), at(4, 0));
    }

    #[test]
    fn nothing_is_older_than_the_first_rollover() {
        assert_eq!(estimate_index(2, 65_535), 65_535);
        assert_eq!(estimate_index(0, 0x8001), 0x8001);
    }

    #[test]
    fn a_jump_past_the_whole_window_forgets_everything() {
        let mut window = RtpWindow::starting_at(10);
        window.accept(1_000_000);
        assert_eq!(window.check(10), Err(Discard::TooOld));
        for behind in 1..RtpWindow::LEN {
            assert_eq!(window.check(1_000_000 - behind), Ok(()));
        }
        assert_eq!(window.check(1_000_000 - RtpWindow::LEN), Err(Discard::TooOld));
    }

    proptest! {
        #[test]
        fn window_agrees_with_a_set(steps in proptest::collection::vec(-300i64..300, 1..400)) {
            let mut window = RtcpWindow::starting_at(1_000);
            let (mut set, mut cursor) = (BTreeSet::from([1_000u64]), 1_000i64);
            for step in steps {
                cursor = (cursor + step).max(0);
                let (index, highest) = (cursor as u64, *set.last().unwrap());
                let expected = if index + RtcpWindow::LEN <= highest {
                    Err(Discard::TooOld)
                } else if set.contains(&index) {
                    Err(Discard::Replayed)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.accept(index);
                    set.insert(index);
                }
            }
        }
    }
}
