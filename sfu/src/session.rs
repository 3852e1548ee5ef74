//! A channel's live media on this shard: who publishes, who watches, who speaks, and what waits to be forwarded.
//!
//! It knows the connections of every publication, those without keys too, so that a publisher who comes or goes reaches
//! them without a look at anybody else's. Who is served in a fan-out is another list: across publications, and only
//! those whose keys are in.

use hashbrown::HashMap;
use tidewire_core::hashing::Folding;
use tidewire_core::machine::{Egress, Progress};

use crate::command::PublicationId;
use crate::fanout::FanOut;
use crate::roll::Roll;
use crate::round::Floor;
use crate::speakers::Speakers;

#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Connection slots of viewers whose keys are in, in the order in which they are served.
    viewers: Roll,
    /// Looked up by id, never walked. One without publisher and watchers is not kept.
    publications: HashMap<PublicationId, Publication, Folding>,
    pub(crate) fan_out: FanOut,
    pub(crate) speakers: Speakers,
    /// Whether the session stands in the table's list of those with something to forward.
    pub(crate) queued: bool,
}

/// One media id: its publisher's connection slot, if it has one at present, and those of everybody who watches it.
#[derive(Debug, Default)]
struct Publication {
    publisher: Option<u32>,
    watchers: Roll,
}

/// Bytes of a publication and its id, whoever publishes or watches it.
pub(crate) const PUBLICATION_LEN: usize = size_of::<(PublicationId, Publication)>();

impl Session {
    pub(crate) fn publisher(&self, publication: PublicationId) -> Option<u32> {
        self.publications.get(&publication)?.publisher
    }

    /// Everybody who watches the publication, whether its keys are in or not.
    pub(crate) fn watchers(&self, publication: PublicationId) -> &[u32] {
        self.publications.get(&publication).map_or(&[], |known| known.watchers.slots())
    }

    pub(crate) fn viewers(&self) -> &[u32] {
        self.viewers.slots()
    }

    pub(crate) fn publish(&mut self, publication: PublicationId, slot: u32) {
        self.publications.entry(publication).or_default().publisher = Some(slot);
    }

    /// The publisher is gone, unless it was replaced already. Returns whether it was the present one.
    pub(crate) fn unpublish(&mut self, publication: PublicationId, slot: u32) {
        if let Some(known) = self.publications.get_mut(&publication) {
            known.publisher.take_if(|publisher| *publisher == slot);
        }
        self.forget_if_empty(publication);
    }

    /// A connection watches the publication from now on.
    pub(crate) fn watch(&mut self, publication: PublicationId, slot: u32) {
        self.publications.entry(publication).or_default().watchers.add(slot);
    }

    /// The keys of a watcher are in: it is served from now on.
    pub(crate) fn add_viewer(&mut self, slot: u32) {
        self.viewers.add(slot);
    }

    /// A connection does not watch the publication any longer.
    pub(crate) fn unwatch(&mut self, publication: PublicationId, slot: u32) {
        if let Some(known) = self.publications.get_mut(&publication) {
            known.watchers.strike(slot);
        }
        self.forget_if_empty(publication);
    }

    /// A viewer is served no longer. A fan-out that is under way is not disturbed.
    pub(crate) fn remove_viewer(&mut self, slot: u32) {
        self.viewers.remove(slot, self.fan_out.cursors());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.viewers.is_empty() && self.publications.is_empty()
    }

    /// Goes on with the fan-out until it is done or the budget is used up.
    pub(crate) fn forward<E: Egress>(&mut self, floor: &mut Floor<'_, E>) -> Progress {
        self.fan_out.run(self.viewers.slots(), floor)
    }

    fn forget_if_empty(&mut self, publication: PublicationId) {
        let empty = |known: &Publication| known.publisher.is_none() && known.watchers.is_empty();
        if self.publications.get(&publication).is_some_and(empty) {
            self.publications.remove(&publication);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEA: PublicationId = PublicationId(1);
    const SKY: PublicationId = PublicationId(2);

    #[test]
    fn each_publication_knows_its_own_watchers_and_a_session_without_any_is_empty() {
        let mut session = Session::default();
        session.publish(SEA, 7);
        session.watch(SEA, 8);
        session.watch(SKY, 9);
        session.add_viewer(8);
        assert_eq!((session.watchers(SEA), session.watchers(SKY), session.viewers()), (&[8][..], &[9][..], &[8][..]));
        session.unwatch(SEA, 8);
        session.remove_viewer(8);
        session.unwatch(SKY, 9);
        assert!(session.viewers().is_empty() && !session.is_empty(), "somebody publishes");
        session.unpublish(SEA, 7);
        assert!(session.is_empty());
    }

    #[test]
    fn a_publisher_that_was_replaced_takes_nothing_with_it() {
        let mut session = Session::default();
        session.publish(SEA, 7);
        session.publish(SEA, 8);
        session.unpublish(SEA, 7);
        assert_eq!(session.publisher(SEA), Some(8));
        session.unpublish(SEA, 8);
        assert_eq!(session.publisher(SEA), None);
    }
}
