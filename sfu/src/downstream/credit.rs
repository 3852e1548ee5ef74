//! What a viewer may have repaired: half of what it was sent, and a start.
//!
//! A byte of NACK can ask for hundreds of bytes; with this bound no viewer draws more than one and a half times its
//! stream (RFC 4588 does not bound it, every server must).

/// Bytes that may be saved up: a key frame of a 2.5 Mb/s stream, lost whole.
const CREDIT_MAX: usize = 128 * 1024;

/// Bytes a viewer starts with: it may lose most of its first key frame.
const CREDIT_START: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Credit(usize);

impl Default for Credit {
    fn default() -> Self {
        Self(CREDIT_START)
    }
}

impl Credit {
    #[inline]
    pub(super) fn earn(&mut self, sent: usize) {
        self.0 = (self.0 + sent / 2).min(CREDIT_MAX);
    }

    /// Pays for a repair, if there is enough.
    pub(super) fn spend(&mut self, len: usize) -> bool {
        let Some(rest) = self.0.checked_sub(len) else { return false };
        self.0 = rest;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet's payload, and the packets of a frame and of a key frame at 2.5 Mb/s.
    const LEN: usize = 1_100;
    const FRAME: usize = 9;
    const KEY_FRAME: usize = 90;

    #[test]
    fn a_twentieth_lost_with_key_frames_each_two_seconds_never_runs_dry() {
        let mut credit = Credit::default();
        for frame in 0..3_000_usize {
            let packets = if frame % 60 == 0 { KEY_FRAME } else { FRAME };
            (0..packets).for_each(|_| credit.earn(LEN));
            // Every twentieth is asked for, and of these one in ten again.
            let lost = packets.div_ceil(20);
            assert!((0..lost + lost.div_ceil(10)).all(|_| credit.spend(LEN)), "dry at frame {frame}");
        }
    }

    #[test]
    fn a_key_frame_that_is_lost_whole_is_repaired_whole_and_a_storm_is_not() {
        let mut credit = Credit::default();
        (0..60 * FRAME).for_each(|_| credit.earn(LEN));
        assert!((0..KEY_FRAME).all(|_| credit.spend(LEN)));
        let more = (0..1_000).filter(|_| credit.spend(LEN)).count();
        assert!(KEY_FRAME + more <= CREDIT_MAX / LEN);
    }
}
