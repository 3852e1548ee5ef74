//! Channels with anybody in them: where each one's session is, what is published, and by whom.

use std::collections::BTreeMap;

use tidewire_core::codec::Kind;
use tidewire_core::id::{ChannelKey, ConnectionKey, MediaId};
use tidewire_core::negotiate::{Agreement, Cname, Spec};

use crate::command::{PublicationId, SessionId};

/// A channel exists while it has connections, and is pinned to one shard for that time.
#[derive(Debug, Default)]
pub(super) struct Channels {
    channels: BTreeMap<ChannelKey, Channel>,
    free_sessions: Vec<SessionId>,
    next_session: u32,
    next_publication: u32,
}

#[derive(Debug)]
struct Channel {
    shard: usize,
    session: SessionId,
    publications: BTreeMap<MediaId, Publication>,
}

/// A media id with a publisher, with viewers, or with both.
#[derive(Debug)]
struct Publication {
    id: PublicationId,
    publisher: Option<ConnectionKey>,
    viewers: usize,
    /// Kind and first format of each of the publisher's media.
    media: Vec<(Kind, Spec)>,
    cname: Cname,
}

/// What a viewer needs to know of what it wants to watch.
pub(super) struct Published {
    pub(super) session: SessionId,
    pub(super) publication: PublicationId,
    pub(super) media: Vec<(Kind, Spec)>,
    pub(super) cname: Cname,
}

/// Where a publisher found its place.
pub(super) struct Place {
    pub(super) session: SessionId,
    pub(super) publication: PublicationId,
    pub(super) replaced: Option<ConnectionKey>,
}

impl Channels {
    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn shard_of(&self, channel: &ChannelKey) -> Option<usize> {
        self.channels.get(channel).map(|channel| channel.shard)
    }

    /// Notes a publisher; `cname` is used unless the publication has viewers who know it by another.
    pub(super) fn publish(
        &mut self,
        channel: &ChannelKey,
        media_id: &MediaId,
        shard: usize,
        publisher: ConnectionKey,
        agreement: &Agreement,
        cname: Cname,
    ) -> Place {
        let Self { channels, free_sessions, next_session, next_publication } = self;
        let channel = channels.entry(channel.clone()).or_insert_with(|| {
            let session = free_sessions.pop().unwrap_or_else(|| SessionId(next(next_session)));
            Channel { shard, session, publications: BTreeMap::new() }
        });
        let publication = channel.publications.entry(media_id.clone()).or_insert_with(|| Publication {
            id: PublicationId(next(next_publication)),
            publisher: None,
            viewers: 0,
            media: Vec::new(),
            cname,
        });
        let first = |media: &tidewire_core::negotiate::Media| Some((media.kind, media.formats.first()?.spec.clone()));
        publication.media = agreement.media.iter().filter_map(first).collect();
        let replaced = publication.publisher.replace(publisher);
        Place { session: channel.session, publication: publication.id, replaced }
    }

    /// What is published under a media id right now.
    pub(super) fn published(&self, channel: &ChannelKey, media_id: &MediaId) -> Option<Published> {
        let channel = self.channels.get(channel)?;
        let publication = channel.publications.get(media_id).filter(|publication| publication.publisher.is_some())?;
        Some(Published {
            session: channel.session,
            publication: publication.id,
            media: publication.media.clone(),
            cname: publication.cname,
        })
    }

    /// Notes a viewer of what is published.
    pub(super) fn watch(&mut self, channel: &ChannelKey, media_id: &MediaId) {
        let channel = self.channels.get_mut(channel);
        if let Some(publication) = channel.and_then(|channel| channel.publications.get_mut(media_id)) {
            publication.viewers += 1;
        }
    }

    /// A connection is gone: the publisher if it is the present one, nobody if it is a replaced one, else a viewer.
    pub(super) fn leave(&mut self, name: &ChannelKey, media_id: &MediaId, who: ConnectionKey, publishes: bool) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        if let Some(publication) = channel.publications.get_mut(media_id) {
            if !publishes {
                publication.viewers = publication.viewers.saturating_sub(1);
            } else if publication.publisher == Some(who) {
                publication.publisher = None;
            }
            if publication.publisher.is_none() && publication.viewers == 0 {
                channel.publications.remove(media_id);
            }
        }
        if channel.publications.is_empty() {
            self.free_sessions.push(channel.session);
            self.channels.remove(name);
        }
    }
}

fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter = counter.wrapping_add(1);
    number
}
