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
    /// Downstreams that are here whatever they carry: those that the server offers.
    guests: usize,
}

/// A media id with a publisher, with viewers, or with both.
#[derive(Debug)]
struct Publication {
    id: PublicationId,
    publisher: Option<ConnectionKey>,
    /// Each section of a downstream that the server offers counts, and each downstream that its client offered.
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

/// A publication as whoever watches it knows it, be there a publisher or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    pub(super) publication: PublicationId,
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
        let mut next_publication = self.next_publication;
        let channel = self.open(channel, shard);
        let publication = channel.publication(media_id, &mut next_publication, || cname);
        let first = |media: &tidewire_core::negotiate::Media| Some((media.kind, media.formats.first()?.spec.clone()));
        publication.media = agreement.media.iter().filter_map(first).collect();
        let (replaced, publication) = (publication.publisher.replace(publisher), publication.id);
        let session = channel.session;
        self.next_publication = next_publication;
        Place { session, publication, replaced }
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

    /// Notes a viewer of a media id in a channel that is open, whether it is published or not; `cname` is drawn when it is
    /// new.
    pub(super) fn watch(
        &mut self,
        channel: &ChannelKey,
        media_id: &MediaId,
        cname: impl FnOnce() -> Cname,
    ) -> Option<Watched> {
        let Self { channels, next_publication, .. } = self;
        let publication = channels.get_mut(channel)?.publication(media_id, next_publication, cname);
        publication.viewers += 1;
        Some(Watched { publication: publication.id, cname: publication.cname })
    }

    /// A viewer of a media id is gone.
    pub(super) fn unwatch(&mut self, channel: &ChannelKey, media_id: &MediaId) {
        self.change(channel, media_id, |publication| publication.viewers = publication.viewers.saturating_sub(1));
    }

    /// A publisher is gone. One who was replaced before takes nothing with it.
    pub(super) fn unpublish(&mut self, channel: &ChannelKey, media_id: &MediaId, who: ConnectionKey) {
        self.change(channel, media_id, |publication| {
            publication.publisher.take_if(|publisher| *publisher == who);
        });
    }

    /// Notes a downstream that is in the channel whatever it carries.
    pub(super) fn enter(&mut self, name: &ChannelKey, shard: usize) -> SessionId {
        let channel = self.open(name, shard);
        channel.guests += 1;
        channel.session
    }

    /// Such a downstream is gone.
    pub(super) fn exit(&mut self, name: &ChannelKey) {
        if let Some(channel) = self.channels.get_mut(name) {
            channel.guests = channel.guests.saturating_sub(1);
        }
        self.forget_if_empty(name);
    }

    /// The channel whose live media is this session on this shard. A search: for what happens a few times a second.
    pub(super) fn channel_of(&self, shard: usize, session: SessionId) -> Option<&ChannelKey> {
        self.channels
            .iter()
            .find(|(_, channel)| channel.shard == shard && channel.session == session)
            .map(|(key, _)| key)
    }

    /// The media id of a publication.
    pub(super) fn media_id_of(&self, channel: &ChannelKey, publication: PublicationId) -> Option<&MediaId> {
        let mut known = self.channels.get(channel)?.publications.iter();
        known.find(|(_, known)| known.id == publication).map(|(media_id, _)| media_id)
    }

    fn open(&mut self, name: &ChannelKey, shard: usize) -> &mut Channel {
        let Self { channels, free_sessions, next_session, .. } = self;
        channels.entry(name.clone()).or_insert_with(|| {
            let session = free_sessions.pop().unwrap_or_else(|| SessionId(next(next_session)));
            Channel { shard, session, publications: BTreeMap::new(), guests: 0 }
        })
    }

    /// Changes a publication, and forgets it, and its channel, when nobody is left in it.
    fn change(&mut self, name: &ChannelKey, media_id: &MediaId, change: impl FnOnce(&mut Publication)) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        if let Some(publication) = channel.publications.get_mut(media_id) {
            change(publication);
            if publication.publisher.is_none() && publication.viewers == 0 {
                channel.publications.remove(media_id);
            }
        }
        self.forget_if_empty(name);
    }

    fn forget_if_empty(&mut self, name: &ChannelKey) {
        let empty = |channel: &&Channel| channel.publications.is_empty() && channel.guests == 0;
        if let Some(channel) = self.channels.get(name).filter(empty) {
            self.free_sessions.push(channel.session);
            self.channels.remove(name);
        }
    }
}

impl Channel {
    fn publication(
        &mut self,
        media_id: &MediaId,
        next_publication: &mut u32,
        cname: impl FnOnce() -> Cname,
    ) -> &mut Publication {
        self.publications.entry(media_id.clone()).or_insert_with(|| Publication {
            id: PublicationId(next(next_publication)),
            publisher: None,
            viewers: 0,
            media: Vec::new(),
            cname: cname(),
        })
    }
}

fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter = counter.wrapping_add(1);
    number
}
