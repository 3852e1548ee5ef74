//! Where a viewer is served, as far as the egress has set something aside for that path.
//!
//! Follows the path that the viewer selects, but not faster than once in a while: what is set aside costs the kernel's time,
//! and a client may change its path with each of its checks. Meanwhile it is served like everybody else. Invariant: what was
//! set aside is given back, and before anything else is.

use std::time::Duration;

use tidewire_core::machine::{Egress, Path};
use tidewire_core::time::Instant;

/// Between two paths of one viewer for which something is set aside.
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Devotion {
    path: Option<Path>,
    /// When another may be.
    next: Instant,
}

impl Devotion {
    /// Goes to the path by which the viewer is served now, if any.
    pub(crate) fn follow<E: Egress>(&mut self, now: Instant, served: Option<Path>, egress: &mut E) {
        if self.path == served {
            return;
        }
        if let Some(path) = self.path.take() {
            egress.release(&path);
        }
        if let Some(path) = served.filter(|_| self.next <= now) {
            egress.devote(&path);
            (self.path, self.next) = (Some(path), now + INTERVAL);
        }
    }
}
