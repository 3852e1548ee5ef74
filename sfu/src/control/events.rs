//! What shards tell, as the gateway is told it: under the names that it knows, and only what still has one.

use tidewire_core::id::ShardId;
use tidewire_core::message;

use super::Control;
use crate::command::{Event, PublicationId};

impl Control {
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
