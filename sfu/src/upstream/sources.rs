//! Which track an SSRC belongs to, and whether it carries media or repairs.
//!
//! A small table searched from the front: a publisher has a handful of SSRCs. It grows only by authenticated packets
//! and only up to its bound.

use arrayvec::ArrayVec;
use tidewire_core::count::Discard;
use tidewire_core::limits::SSRCS_PER_CONNECTION_MAX;
use tidewire_core::negotiate::Media;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    /// Retransmissions (RFC 4588).
    Repair,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) track: u8,
    pub(super) role: Role,
}

#[derive(Debug, Default)]
pub(super) struct Sources {
    known: ArrayVec<(u32, Origin), SSRCS_PER_CONNECTION_MAX>,
}

impl Sources {
    /// The SSRCs that the offer named, as far as there is room.
    pub(super) fn announced(media: &[Media]) -> Self {
        let mut sources = Self::default();
        for (track, media) in (0..=u8::MAX).zip(media) {
            for source in &media.sources {
                let repair = source.rtx.map(|ssrc| (ssrc, Role::Repair));
                for (ssrc, role) in [(source.primary, Role::Primary)].into_iter().chain(repair) {
                    if sources.known.try_push((ssrc, Origin { track, role })).is_err() {
                        return sources;
                    }
                }
            }
        }
        sources
    }

    pub(super) fn of(&self, ssrc: u32) -> Option<Origin> {
        self.known.iter().find(|(known, _)| *known == ssrc).map(|(_, origin)| *origin)
    }

    pub(super) fn add(&mut self, ssrc: u32, origin: Origin) -> Result<(), Discard> {
        self.known.try_push((ssrc, origin)).map_err(|_| Discard::TooManySsrcs)
    }
}
