//! When which packet was last repaired: a viewer gets each packet again at most once a round trip.

use std::time::Duration;

use tidewire_core::time::Instant;

/// When which packet was last repaired.
#[derive(Debug, Default)]
pub(super) struct Recent {
    places: [Option<(u16, Instant)>; RECENT_LEN],
}

impl Recent {
    /// Notes a repair; `false` if the same packet was repaired less than `interval` ago.
    pub(super) fn admit(&mut self, now: Instant, sequence: u16, interval: Duration) -> bool {
        let place = &mut self.places[usize::from(sequence) % RECENT_LEN];
        if place.is_some_and(|(last, at)| last == sequence && now.since(at) < interval) {
            return false;
        }
        *place = Some((sequence, now));
        true
    }
}

/// Repairs whose time is remembered; two that share a place only make a repair come again sooner.
const RECENT_LEN: usize = 32;
