//! Who gets which layer: viewers' wishes, what there is to choose from, and what publishers are told is wanted.
//!
//! A *review* asks everybody who watches an upstream with layers. It goes on in steps of a bounded number of viewers, begins
//! anew when there is something new to choose from (an encoding that comes, goes, or changes its size), and comes again after a
//! while, since rates move. An upstream without layers is never reviewed. Nothing here is done for a packet.

use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::id::ConnectionId;
use tidewire_core::machine::Egress;
use tidewire_core::message::quality::Wish;
use tidewire_core::time::Instant;

use super::SessionTable;
use crate::command::{Event, PublicationId};
use crate::connection::Role;
use crate::timers::{Reason, Timer};

/// Between two reviews: half of what a rate is measured over.
const REVIEW_EVERY: Duration = Duration::from_millis(500);

/// Viewers asked in one step: about 50 us.
const REVIEWED_MAX: usize = 64;

impl SessionTable {
    /// Takes a viewer's wishes, and turns it to what they come to.
    pub(super) fn prefer<E: Egress>(
        &mut self,
        now: Instant,
        id: ConnectionId,
        wishes: &[(PublicationId, Wish)],
        egress: &mut E,
    ) {
        let Some(connection) = self.connection(id) else { return };
        let Role::Downstream(downstream) = &mut connection.role else { return };
        let session = downstream.session;
        for (publication, wish) in wishes {
            downstream.prefer(*publication, wish);
        }
        for (publication, _) in wishes {
            let publisher = self.sessions.at(session.0).and_then(|session| session.publisher(*publication));
            if let Some(publisher) = publisher {
                self.ask_viewer(now, publisher, id.slot);
                self.tell_layers(now, id.slot);
            }
        }
        if self.connection(id).is_some_and(|connection| connection.protection.is_some()) {
            self.want_starving(now, id.slot, egress);
        }
    }

    /// Begins a review at once, since there is something new; a publisher with too much that is new waits for the next.
    pub(super) fn review_anew(&mut self, now: Instant, slot: u32) {
        let Some(upstream) = self.upstreams.at_mut(slot) else { return };
        if upstream.review.begin_anew() {
            self.review(now, slot);
        }
    }

    pub(super) fn review_timeout(&mut self, now: Instant, at: Instant, id: ConnectionId) {
        if self.connection(id).is_none() {
            return;
        }
        let Some(upstream) = self.upstreams.at_mut(id.slot).filter(|one| one.review.armed == Some(at)) else { return };
        upstream.review.armed = None;
        if upstream.review.cursor == 0 {
            upstream.review.anew = 0;
        }
        self.review(now, id.slot);
    }

    /// Asks one viewer what it wants of an upstream, and has it turn to that.
    pub(super) fn ask_viewer(&mut self, now: Instant, slot: u32, viewer: u32) {
        let Some(upstream) = self.upstreams.at_mut(slot) else { return };
        let Some(Role::Downstream(downstream)) = self.connections.at_mut(viewer).map(|one| &mut one.role) else {
            return;
        };
        for (track, layers) in downstream.choose_anew(slot, upstream) {
            upstream.demand.want(track, layers);
        }
        for key in downstream.starving().filter(|key| key.upstream() == slot) {
            upstream.want_key_frame(now, key.track());
        }
        self.tell_demand(now, slot);
        self.arm_feedback(slot);
    }

    /// Tells a viewer which layers it gets, where that is another or for another reason. What there is no room for is as untold
    /// as before, and comes with the next look.
    pub(super) fn tell_layers(&mut self, now: Instant, viewer: u32) {
        let Some(connection) = self.connections.at_mut(viewer) else { return };
        let Role::Downstream(downstream) = &mut connection.role else { return };
        for publisher in downstream.told_of() {
            let Some(upstream) = self.upstreams.at(publisher).filter(|_| self.notices.has_room_for_layers()) else {
                continue;
            };
            if let Some((publication, layer, reason)) = downstream.tell(now, publisher, upstream) {
                self.notices.push(Event::Switched { connection: connection.id, publication, layer, reason });
            }
        }
    }

    /// One step of a review; the next is due in the next turn if there are more viewers, else after a while.
    fn review(&mut self, now: Instant, slot: u32) {
        let Some(upstream) = self.upstreams.at(slot).filter(|upstream| upstream.has_layers()) else { return };
        let (session, publication, from) = (upstream.session, upstream.publication, upstream.review.cursor);
        let Some(known) = self.sessions.at(session.0).filter(|known| known.publisher(publication) == Some(slot)) else {
            return;
        };
        // Who comes or goes meanwhile may be passed over once: it is asked when it comes, and in the next review.
        let watchers = known.watchers(publication);
        let step: ArrayVec<u32, REVIEWED_MAX> = watchers.iter().copied().skip(from).take(REVIEWED_MAX).collect();
        let is_last = from + step.len() >= watchers.len();
        for viewer in &step {
            self.ask_viewer(now, slot, *viewer);
            self.tell_layers(now, *viewer);
        }
        if is_last {
            self.end_review(now, slot);
        } else if let Some(upstream) = self.upstreams.at_mut(slot) {
            upstream.review.cursor = from + step.len();
        }
        self.arm_review(slot, if is_last { now + REVIEW_EVERY } else { now });
    }

    fn end_review(&mut self, now: Instant, slot: u32) {
        let Some(upstream) = self.upstreams.at_mut(slot) else { return };
        upstream.review.cursor = 0;
        upstream.keep_lowest();
        upstream.demand.end_pass(now);
        self.tell_demand(now, slot);
    }

    fn tell_demand(&mut self, now: Instant, slot: u32) {
        let (Some(upstream), Some(connection)) = (self.upstreams.at_mut(slot), self.connections.at(slot)) else {
            return;
        };
        // Before the keys are in there is nobody to act on it.
        if connection.protection.is_none() || !upstream.has_layers() {
            return;
        }
        if let Some(encodings) = upstream.tell_demand(now) {
            self.notices.push(Event::Demand { connection: connection.id, encodings });
        }
    }

    fn arm_review(&mut self, slot: u32, at: Instant) {
        let (Some(upstream), Some(connection)) = (self.upstreams.at_mut(slot), self.connections.at(slot)) else {
            return;
        };
        let timer = Timer { connection: connection.id, reason: Reason::Review };
        self.timers.arm(timer, at, &mut upstream.review.armed);
    }
}
