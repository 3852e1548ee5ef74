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
