//! Which track an SSRC belongs to, and whether it carries media or repairs.
//!
//! A small table searched from the front: a publisher has a handful of SSRCs. It grows only by authenticated packets
//! and only up to its bound. What an SSRC is stays as it was first found out, whatever its later packets say.

use arrayvec::ArrayVec;
use tidewire_core::count::Discard;
use tidewire_core::limits::SSRCS_PER_CONNECTION_MAX;
use tidewire_core::negotiate::Source;

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
    /// Takes the SSRCs that the offer named for a track, as far as there is room.
    pub(super) fn announce(&mut self, track: u8, sources: &[Source]) {
        for source in sources {
            let repair = source.rtx.map(|ssrc| (ssrc, Role::Repair));
            for (ssrc, role) in [(source.primary, Role::Primary)].into_iter().chain(repair) {
                if self.add(ssrc, Origin { track, role }).is_err() {
                    return;
                }
            }
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.known.is_full()
    }

    pub(super) fn of(&self, ssrc: u32) -> Option<Origin> {
        self.known.iter().find(|(known, _)| *known == ssrc).map(|(_, origin)| *origin)
    }

    pub(super) fn add(&mut self, ssrc: u32, origin: Origin) -> Result<(), Discard> {
        self.known.try_push((ssrc, origin)).map_err(|_| Discard::TooManySsrcs)
    }
}
