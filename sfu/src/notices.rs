//! Events that tell how things stand: of each kind and connection only the latest counts.
//!
//! They wait beside those that must not be lost. Whoever takes them too slowly finds the newest, never more than a bounded
//! number, and the oldest goes first where there is no room; what matters is told again.

use std::collections::VecDeque;

use crate::command::Event;

/// Notices that wait: a slice of a fan-out tells 64 viewers at most, and a look at an upstream as many again, before the shard
/// hands over what there is.
const NOTICES_MAX: usize = 256;

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
            self.0.pop_front();
        }
        self.0.push_back(event);
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
    use tidewire_core::id::ConnectionId;

    use super::*;

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
}
