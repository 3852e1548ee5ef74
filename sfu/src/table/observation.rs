//! Connections that are observed: once a second each is looked at, and told of.

use std::time::Duration;

use tidewire_core::id::ConnectionId;
use tidewire_core::time::Instant;

use super::SessionTable;
use crate::command::Event;
use crate::connection::Role;
use crate::statistics::{self, Entry, Path};
use crate::timers::{Armed, Reason, Timer};

/// How long a connection is observed at most before that is asked for again: whoever forgets to end it costs a minute.
const OBSERVED_S_MAX: u16 = 60;

const SECOND: Duration = Duration::from_secs(1);

/// One connection's observation: until when, and what was seen last.
#[derive(Debug)]
pub(super) struct Observation {
    until: Instant,
    seen_at: Instant,
    seen: Vec<Entry>,
    armed: Armed,
}

impl SessionTable {
    /// Tells of a connection each second from now on. There is one observation of each: another goes on with it, and one of
    /// no seconds ends it.
    pub(super) fn observe(&mut self, now: Instant, id: ConnectionId, seconds: u16) {
        if self.connection(id).is_none() {
            return;
        }
        let until = now + SECOND * seconds.min(OBSERVED_S_MAX).into();
        if let Some(observation) = self.observations.at_mut(id.slot) {
            observation.until = until;
            return;
        }
        if seconds > 0 {
            let seen = self.entries(id.slot);
            self.observations.put(id.slot, Box::new(Observation { until, seen_at: now, seen, armed: None }));
            self.arm_observation(id, now + SECOND);
        }
    }

    pub(super) fn observation_timeout(&mut self, now: Instant, at: Instant, id: ConnectionId) {
        if self.connection(id).is_none() || self.observations.at(id.slot).is_none_or(|one| one.armed != Some(at)) {
            return;
        }
        let Some(mut observation) = self.observations.take(id.slot) else { return };
        if observation.until < at {
            return;
        }
        let seen = self.entries(id.slot);
        let time = now.since(observation.seen_at);
        let statistics = statistics::between(&observation.seen, &seen, time, self.path_of(now, id.slot));
        self.notices.push(Event::Statistics { connection: id, statistics: Box::new(statistics) });
        if observation.until > at {
            (observation.seen, observation.seen_at, observation.armed) = (seen, now, None);
            self.observations.put(id.slot, observation);
            self.arm_observation(id, now + SECOND);
        }
    }

    fn arm_observation(&mut self, connection: ConnectionId, at: Instant) {
        if let Some(observation) = self.observations.at_mut(connection.slot) {
            self.lenient.arm(Timer { connection, reason: Reason::Observation }, at, &mut observation.armed);
        }
    }

    /// The counts of a connection's streams as they stand.
    fn entries(&self, slot: u32) -> Vec<Entry> {
        match self.connections.at(slot).map(|connection| &connection.role) {
            Some(Role::Upstream) => self.upstreams.at(slot).map(|upstream| upstream.entries().collect()),
            Some(Role::Downstream(downstream)) => Some(downstream.entries().collect()),
            None => None,
        }
        .unwrap_or_default()
    }

    fn path_of(&self, now: Instant, slot: u32) -> Path {
        let Some(delivery) = self.deliveries.at(slot) else {
            let round_trip = self.upstreams.at(slot).and_then(|upstream| upstream.round_trip);
            return Path { round_trip, estimate_bps: None };
        };
        let estimate = &delivery.estimate;
        Path { round_trip: estimate.round_trip(), estimate_bps: estimate.available_bps(now) }
    }
}
