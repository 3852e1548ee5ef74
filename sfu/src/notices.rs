//! Events that tell how things stand: of each kind and connection only the latest counts.
//!
//! They wait beside those that must not be lost, never more than a bounded number. Where there is no room, what is told again
//! soon goes first (statistics), then the oldest. Whoever would tell of layers asks for room before, and tells later if there
//! is none.

use std::collections::VecDeque;

use crate::command::Event;

/// Notices that wait until the shard hands them over, which it does after each call into the table.
const NOTICES_MAX: usize = 256;

/// So many of them may be of layers: the other half is everybody else's.
const LAYERS_MAX: usize = NOTICES_MAX / 2;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Notices(VecDeque<Event>);

impl Notices {
    /// Lets an event wait, in place of one that says the same of an earlier moment.
    pub(crate) fn push(&mut self, event: Event) {
        if !matches!(event, Event::Switched { .. })
            && let Some(earlier) = self.0.iter_mut().find(|earlier| tells_the_same(earlier, &event))
        {
            *earlier = event;
            return;
        }
        if self.0.len() == NOTICES_MAX {
            let statistics = self.0.iter().position(|waiting| matches!(waiting, Event::Statistics { .. }));
            self.0.remove(statistics.unwrap_or(0));
        }
        self.0.push_back(event);
    }

    /// Whether another layer may be told of.
    pub(crate) fn has_room_for_layers(&self) -> bool {
        self.0.len() < LAYERS_MAX
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

/// A viewer is told of its layers a few times a second at most, so it has no two waiting and they are not compared.
fn tells_the_same(one: &Event, other: &Event) -> bool {
    match (one, other) {
        (Event::Demand { connection, .. }, Event::Demand { connection: other, .. })
        | (Event::Statistics { connection, .. }, Event::Statistics { connection: other, .. }) => connection == other,
        (Event::Speakers { session, .. }, Event::Speakers { session: other, .. }) => session == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidewire_core::id::ConnectionId;

    use super::*;
    use crate::statistics::{self, Path};

    fn demand(slot: u32, encodings: usize) -> Event {
        let one = tidewire_core::message::quality::EncodingDemand {
            encoding: None,
            active: true,
            spatial: None,
            temporal: None,
        };
        Event::Demand { connection: ConnectionId { slot, generation: 0 }, encodings: vec![one; encodings] }
    }

    #[test]
    fn the_latest_of_each_wins_and_the_oldest_goes_when_there_is_no_room() {
        let mut notices = Notices::default();
        notices.push(demand(0, 1));
        notices.push(demand(1, 1));
        notices.push(demand(0, 2));
        assert_eq!(notices.pop(), Some(demand(0, 2)));
        (2..=NOTICES_MAX as u32 + 1).for_each(|slot| notices.push(demand(slot, 1)));
        assert_eq!(notices.pop(), Some(demand(2, 1)), "that of 1 had no room any more");
        assert_eq!(std::iter::from_fn(|| notices.pop()).count(), NOTICES_MAX - 1);
    }

    #[test]
    fn statistics_go_before_others_and_layers_wait_while_half_is_taken() {
        let mut notices = Notices::default();
        (1..=LAYERS_MAX as u32).for_each(|slot| {
            assert!(notices.has_room_for_layers());
            notices.push(demand(slot, 1));
        });
        assert!(!notices.has_room_for_layers());
        let connection = ConnectionId { slot: 0, generation: 0 };
        let statistics = Box::new(statistics::between(&[], &[], Duration::from_secs(1), Path::default()));
        notices.push(Event::Statistics { connection, statistics });
        (1001..=1000 + NOTICES_MAX as u32 - LAYERS_MAX as u32).for_each(|slot| notices.push(demand(slot, 1)));
        let left: Vec<Event> = std::iter::from_fn(|| notices.pop()).collect();
        assert_eq!((left.len(), &left[0]), (NOTICES_MAX, &demand(1, 1)));
        assert!(left.iter().all(|one| matches!(one, Event::Demand { .. })));
    }
}
