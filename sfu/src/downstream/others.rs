//! Which stream hears a track, for viewers of many publishers: found by halving a sorted list, not by a look at every stream.
//!
//! The streams in front are looked at where they stand, so a viewer of one publisher has an empty list here and pays nothing
//! for it. It is written anew when a publisher comes or goes, never for a packet.

use super::FRONT_LEN;
use super::stream::Stream;
use crate::upstream::TrackKey;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Sorted by track; a track is heard or awaited by one stream at most.
    heard: Vec<(TrackKey, u8)>,
}

impl Others {
    /// The position of the stream that hears the track, unless it stands in front.
    #[inline]
    pub(super) fn position(&self, key: TrackKey) -> Option<usize> {
        let at = self.heard.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        self.heard.get(at).map(|(_, position)| usize::from(*position))
    }

    pub(super) fn note(&mut self, streams: &[Stream]) {
        self.heard.clear();
        if streams.len() <= FRONT_LEN {
            return;
        }
        // A downstream has at most `MEDIA_SECTIONS_MAX` streams, which a byte counts.
        let behind = (0..=u8::MAX).zip(streams).skip(FRONT_LEN);
        self.heard.extend(behind.flat_map(|(position, stream)| stream.followed().map(move |key| (key, position))));
        self.heard.sort_unstable();
    }
}
