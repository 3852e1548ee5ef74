//! The replay windows of one connection, by SSRC.
//!
//! Found by walking a dense list of SSRCs, most of the time not even that: the last one found is asked first. No hash,
//! so a client that chooses its SSRCs cannot make them collide. `start` makes a window; `window` promises room for it.

use super::replay::Window;
use super::transform::PacketId;
use crate::count::Discard;

#[derive(Debug, Default)]
pub(super) struct Streams<const WORDS: usize, const STREAMS_MAX: usize> {
    /// Parallel to `windows`, apart from them so that the walk stays in a few cache lines.
    ssrcs: Vec<u32>,
    windows: Vec<Window<WORDS>>,
    /// Where the last packet's stream lies, if there is one.
    recent: usize,
}

impl<const WORDS: usize, const STREAMS_MAX: usize> Streams<WORDS, STREAMS_MAX> {
    /// The window of an SSRC; none if it is new and there is room for it.
    pub(super) fn window(&mut self, ssrc: u32) -> Result<Option<&mut Window<WORDS>>, Discard> {
        if self.ssrcs.get(self.recent) != Some(&ssrc) {
            match self.ssrcs.iter().position(|&known| known == ssrc) {
                Some(place) => self.recent = place,
                None if self.ssrcs.len() < STREAMS_MAX => return Ok(None),
                None => return Err(Discard::TooManySsrcs),
            }
        }
        Ok(self.windows.get_mut(self.recent))
    }

    /// Makes the window of a new stream from its first authentic packet.
    pub(super) fn start(&mut self, first: PacketId) {
        self.recent = self.ssrcs.len();
        self.ssrcs.push(first.ssrc);
        self.windows.push(Window::starting_at(first.index));
    }

    pub(super) fn forget(&mut self, ssrc: u32) {
        if let Some(place) = self.ssrcs.iter().position(|&known| known == ssrc) {
            self.ssrcs.swap_remove(place);
            self.windows.swap_remove(place);
        }
    }
}
