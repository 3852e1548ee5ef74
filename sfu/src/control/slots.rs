//! The connection slots of one shard, and who has them.

use tidewire_core::id::{ConnectionId, ConnectionKey};
use tidewire_core::limits::CONNECTIONS_MAX;

use super::ShardPlan;

/// Slots are taken here and given back when the shard has closed the connection; each taking has a new generation.
#[derive(Debug)]
pub(super) struct ShardSlots {
    pub(super) plan: ShardPlan,
    places: Vec<Place>,
    free: Vec<u32>,
    /// The shard is gone.
    pub(super) has_ended: bool,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    owner: Option<ConnectionKey>,
}

impl ShardSlots {
    pub(super) fn new(plan: ShardPlan) -> Self {
        Self { plan, places: Vec::new(), free: Vec::new(), has_ended: false }
    }

    pub(super) fn take(&mut self, owner: ConnectionKey) -> Option<ConnectionId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.places.len() < CONNECTIONS_MAX => {
                self.places.push(Place { generation: 0, owner: None });
                self.places.len() as u32 - 1
            }
            None => return None,
        };
        let place = self.places.get_mut(slot as usize)?;
        place.generation = place.generation.wrapping_add(1);
        place.owner = Some(owner);
        Some(ConnectionId { slot, generation: place.generation })
    }

    pub(super) fn owner(&self, id: ConnectionId) -> Option<ConnectionKey> {
        self.places.get(id.slot as usize).filter(|place| place.generation == id.generation)?.owner
    }

    /// Gives a slot back; returns who had it. A slot that is not held under this generation is left alone.
    pub(super) fn release(&mut self, id: ConnectionId) -> Option<ConnectionKey> {
        let owner = self.owner(id)?;
        self.places.get_mut(id.slot as usize)?.owner = None;
        self.free.push(id.slot);
        Some(owner)
    }

    /// The connections that have a slot.
    pub(super) fn held(&self) -> Vec<ConnectionId> {
        let held = (0..).zip(&self.places).filter(|(_, place)| place.owner.is_some());
        held.map(|(slot, place)| ConnectionId { slot, generation: place.generation }).collect()
    }

    pub(super) fn taken(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
