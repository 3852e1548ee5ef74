//! A channel's live media on this shard: who publishes, who hears, and what waits to be forwarded.

use crate::command::PublicationId;
use crate::fanout::FanOut;

#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Connection slots of viewers whose keys are in, in the order in which they are served.
    pub(crate) viewers: Vec<u32>,
    /// The publisher's connection slot of each media id that has one.
    publishers: Vec<(PublicationId, u32)>,
    pub(crate) fan_out: FanOut,
    /// Whether the session stands in the table's list of those with something to forward.
    pub(crate) queued: bool,
}

impl Session {
    pub(crate) fn publisher(&self, publication: PublicationId) -> Option<u32> {
        self.publishers.iter().find(|(known, _)| *known == publication).map(|(_, slot)| *slot)
    }

    pub(crate) fn publish(&mut self, publication: PublicationId, slot: u32) {
        self.publishers.retain(|(known, _)| *known != publication);
        self.publishers.push((publication, slot));
    }

    /// The publisher is gone, unless it was replaced already. Returns whether it was the present one.
    pub(crate) fn unpublish(&mut self, slot: u32) -> bool {
        let before = self.publishers.len();
        self.publishers.retain(|(_, publisher)| *publisher != slot);
        self.publishers.len() < before
    }

    pub(crate) fn add_viewer(&mut self, slot: u32) {
        if !self.viewers.contains(&slot) {
            self.viewers.push(slot);
        }
    }

    /// Takes a viewer out without disturbing a fan-out that is under way.
    pub(crate) fn remove_viewer(&mut self, slot: u32) {
        if let Some(at) = self.viewers.iter().position(|viewer| *viewer == slot) {
            self.viewers.remove(at);
            self.fan_out.viewer_removed(at);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.viewers.is_empty() && self.publishers.is_empty()
    }
}
