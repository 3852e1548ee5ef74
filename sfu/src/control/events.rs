//! What shards tell, as the gateway is told it: under the names that it knows, and only what still has one.

use tidewire_core::id::ShardId;
use tidewire_core::message::{self, CloseReason};

use super::Control;
use crate::command::{Event, PublicationId};

impl Control {
    /// A shard is gone, and with it its connections; no other is opened there. Gives what the gateway is told of them.
    pub fn shard_ended(&mut self, shard: ShardId) -> Vec<message::Event> {
        let Some(slots) = self.shards.iter_mut().find(|slots| slots.plan.shard == shard) else { return Vec::new() };
        slots.has_ended = true;
        let closed = |connection| Event::Closed { connection, reason: CloseReason::Shutdown };
        slots.held().into_iter().filter_map(|connection| self.handle_event(shard, closed(connection))).collect()
    }

    /// A shard's event, as the gateway is told it.
    pub fn handle_event(&mut self, shard: ShardId, event: Event) -> Option<message::Event> {
        let at = self.shards.iter().position(|slots| slots.plan.shard == shard)?;
        match event {
            Event::Connected { connection } => {
                let connection = self.shards[at].owner(connection)?;
                Some(message::Event::Connected { connection })
            }
            Event::Closed { connection: id, reason } => {
                let connection = self.shards[at].release(id)?;
                self.forget(connection);
                Some(message::Event::Closed { connection, reason })
            }
            Event::Demand { connection, encodings } => {
                let connection = self.shards[at].owner(connection)?;
                Some(message::Event::Demand { connection, encodings })
            }
            Event::Switched { connection, publication, layer, reason } => {
                let connection = self.shards[at].owner(connection)?;
                let channel = &self.connections.get(&connection)?.channel;
                let media_id = self.channels.media_id_of(channel, publication)?.clone();
                Some(message::Event::Layer { connection, media_id, layer, reason })
            }
            Event::Speakers { session, speakers } => {
                let channel = self.channels.channel_of(at, session)?;
                let named = |publication: &PublicationId| self.channels.media_id_of(channel, *publication).cloned();
                let speakers = speakers.iter().filter_map(named).collect();
                Some(message::Event::Speakers { channel: channel.clone(), speakers })
            }
            Event::Statistics { connection, statistics } => {
                let connection = self.shards[at].owner(connection)?;
                Some(message::Event::Statistics { connection, statistics: *statistics })
            }
        }
    }
}
