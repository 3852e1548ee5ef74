//! What waits in a session to be forwarded, and what is dropped of it when the shard cannot keep up.
//!
//! A shard that has more to send than time drops in this order, and counts each packet under its own reason:
//!
//! 1. repairs, which are refused before anything that waits here is touched (see the table's feedback);
//! 2. video that does not belong to a key frame, oldest first, and whole frames of it wherever it can be seen where a
//!    frame begins;
//! 3. sender reports;
//! 4. key frames;
//! 5. audio.
//!
//! Invariant: no viewer is left with video that it cannot decode. Where one frame of a track is dropped, every packet up
//! to its next key frame goes with it, since each frame builds on the one before; that key frame is asked for at once,
//! and with it the viewers start over as with another stream, so that the gap is closed in their sequence numbers and
//! nobody asks for what was dropped.

use arrayvec::ArrayVec;
use tidewire_core::codec::Kind;
use tidewire_core::count::{Discard, Tally};
use tidewire_core::limits::{ROUND_LEN_MAX, WAIT_MAX};
use tidewire_core::time::Instant;

use crate::fanout::Item;
use crate::table::slots::Slots;
use crate::upstream::{Accepted, FramePart, Upstream};

/// An upstream and the index of a track of it.
type TrackId = (u32, u8);

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    entries: Vec<Entry>,
    /// Tracks whose newest packets were dropped, until a key frame comes. At most one for each track.
    gaps: Vec<Gap>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    item: Item,
    since: Instant,
    /// Whether something was dropped right before it: the beginning of a key frame with which viewers start over.
    starts_over: bool,
}

#[derive(Debug)]
struct Gap {
    track: TrackId,
    /// Of the last packet that was dropped: what follows under the same one is the rest of a frame with a hole.
    timestamp: u32,
}

/// What an item is worth, in the order in which it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Dependent,
    Report,
    KeyFrame,
    Audio,
}

impl Rank {
    const ALL: [Self; 4] = [Self::Dependent, Self::Report, Self::KeyFrame, Self::Audio];

    const fn of(item: &Item) -> Self {
        match item {
            Item::Report { .. } => Self::Report,
            Item::Packet { accepted: Accepted { kind: Kind::Audio, .. }, .. } => Self::Audio,
            Item::Packet { accepted, .. } => match accepted.part {
                FramePart::Dependent => Self::Dependent,
                FramePart::KeyFrameStart | FramePart::KeyFrame => Self::KeyFrame,
            },
        }
    }

    const fn reason(self) -> Discard {
        match self {
            Self::Dependent => Discard::OverloadVideo,
            Self::Report => Discard::OverloadReport,
            Self::KeyFrame => Discard::OverloadKeyFrame,
            Self::Audio => Discard::OverloadAudio,
        }
    }
}

impl Waiting {
    /// Lets an item wait, and drops what has to be dropped for it; `under_way` is what viewers are being sent at present.
    /// Returns the track whose key frame is needed, if one is.
    pub(crate) fn push<'a>(
        &mut self,
        now: Instant,
        item: Item,
        under_way: impl IntoIterator<Item = &'a Item>,
        tally: &mut Tally,
    ) -> Option<TrackId> {
        let mut starts_over = false;
        if let Some((track, accepted)) = video(&item)
            && let Some(at) = self.gaps.iter().position(|gap| gap.track == track)
        {
            if !mends(accepted, self.gaps[at].timestamp) {
                self.gaps[at].timestamp = accepted.timestamp;
                tally.discard(Rank::of(&item).reason());
                return Some(track);
            }
            self.gaps.swap_remove(at);
            starts_over = true;
        }
        self.entries.push(Entry { item, since: now, starts_over });
        let victim = self.victim(now, under_way)?;
        self.shed(victim, tally)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Since when the oldest item waits.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.entries.first().map(|entry| entry.since)
    }

    /// Whether nothing was dropped lately: no track lacks packets, and with none do viewers have to start over.
    pub(crate) fn is_whole(&self) -> bool {
        self.gaps.is_empty() && !self.entries.iter().any(|entry| entry.starts_over)
    }

    /// Moves audio into `round`.
    pub(crate) fn take_audio(&mut self, round: &mut Vec<Item>) {
        round.extend(self.entries.extract_if(.., |entry| entry.item.is_audio()).map(|entry| entry.item));
    }

    /// Moves everything but audio into `round`.
    pub(crate) fn take_rest(&mut self, round: &mut Vec<Item>, upstreams: &mut Slots<Upstream>, tally: &mut Tally) {
        self.start_over(upstreams, tally);
        round.extend(self.entries.extract_if(.., |entry| !entry.item.is_audio()).map(|entry| entry.item));
    }

    /// An upstream is gone, and its gaps with it.
    pub(crate) fn forget(&mut self, upstream: u32) {
        self.gaps.retain(|gap| gap.track.0 != upstream);
    }

    /// What goes next, if anything has to. Age alone costs no more than video that can be done without.
    fn victim<'a>(&self, now: Instant, under_way: impl IntoIterator<Item = &'a Item>) -> Option<usize> {
        let is_stale = self.since().is_some_and(|since| now.since(since) > WAIT_MAX);
        let ranks: &[Rank] = if self.entries.len() > ROUND_LEN_MAX {
            &Rank::ALL
        } else if is_stale {
            &[Rank::Dependent]
        } else {
            return None;
        };
        let begun = begun(under_way);
        ranks.iter().find_map(|rank| self.oldest(*rank, &begun))
    }

    /// The oldest item of this rank: the first of a frame that no viewer has seen anything of, if there is one.
    fn oldest(&self, rank: Rank, begun: &[(TrackId, u32)]) -> Option<usize> {
        let mut ranked = self.entries.iter().enumerate().filter(|(_, entry)| Rank::of(&entry.item) == rank);
        let (first, _) = ranked.clone().next()?;
        let is_begun = |item| video(item).is_some_and(|(track, of)| begun.contains(&(track, of.timestamp)));
        Some(ranked.find(|(_, entry)| !is_begun(&entry.item)).map_or(first, |(at, _)| at))
    }

    fn shed(&mut self, victim: usize, tally: &mut Tally) -> Option<TrackId> {
        let item = self.entries.get(victim)?.item;
        match video(&item) {
            Some((track, accepted)) => self.cut(track, victim, accepted.timestamp, tally),
            None => {
                self.entries.remove(victim);
                tally.discard(Rank::of(&item).reason());
                None
            }
        }
    }

    /// Drops what waits of a track, from this place to its next key frame. Returns the track if none is there.
    fn cut(&mut self, track: TrackId, from: usize, mut timestamp: u32, tally: &mut Tally) -> Option<TrackId> {
        let (mut place, mut mended) = (0, false);
        self.entries.retain_mut(|entry| {
            place += 1;
            let Some((_, accepted)) = video(&entry.item).filter(|(of, _)| *of == track) else { return true };
            if place <= from || mended {
                return true;
            }
            mended = mends(accepted, timestamp);
            entry.starts_over |= mended;
            if !mended {
                timestamp = accepted.timestamp;
                tally.discard(Rank::of(&entry.item).reason());
            }
            mended
        });
        if mended {
            return None;
        }
        self.gaps.retain(|gap| gap.track != track);
        self.gaps.push(Gap { track, timestamp });
        Some(track)
    }

    /// Lets the viewers of a track start over with a key frame that is about to go out after a gap. What waits of the
    /// track from before its last gap has no place in the new numbers.
    fn start_over(&mut self, upstreams: &mut Slots<Upstream>, tally: &mut Tally) {
        while let Some(at) = self.entries.iter().rposition(|entry| entry.starts_over) {
            self.entries[at].starts_over = false;
            if let Some((track, accepted)) = video(&self.entries[at].item)
                && let Some(next) = next_epoch(upstreams, track, accepted.epoch)
            {
                self.renumber(track, at, (accepted.epoch, next), tally);
            }
        }
    }

    /// Brings a track's packets from this place on into its new epoch, and drops those before it.
    fn renumber(&mut self, track: TrackId, from: usize, (old, new): (u32, u32), tally: &mut Tally) {
        let mut place = 0;
        self.entries.retain_mut(|entry| {
            place += 1;
            let rank = Rank::of(&entry.item);
            let Item::Packet { upstream, accepted } = &mut entry.item else { return true };
            if (*upstream, accepted.track) != track || accepted.epoch != old {
                return true;
            }
            if place <= from {
                tally.discard(rank.reason());
                return false;
            }
            accepted.epoch = new;
            true
        });
    }
}

/// Ends a track's epoch as another stream of it would, unless one did so already; gives the new one.
fn next_epoch(upstreams: &mut Slots<Upstream>, (upstream, track): TrackId, present: u32) -> Option<u32> {
    let track = upstreams.at_mut(upstream)?.tracks.get_mut(usize::from(track))?;
    if track.epoch != present {
        return None;
    }
    track.epoch += 1;
    Some(track.epoch)
}

/// Whether a gap ends with this packet; a part of the very frame that has a hole does not end it.
fn mends(accepted: &Accepted, dropped_timestamp: u32) -> bool {
    accepted.part == FramePart::KeyFrameStart && accepted.timestamp != dropped_timestamp
}

fn video(item: &Item) -> Option<(TrackId, &Accepted)> {
    match item {
        Item::Packet { upstream, accepted } if accepted.kind == Kind::Video => {
            Some(((*upstream, accepted.track), accepted))
        }
        Item::Packet { .. } | Item::Report { .. } => None,
    }
}

/// The last frame of each track of which viewers are being sent a part. Beyond these few tracks a frame may be cut in two.
fn begun<'a>(under_way: impl IntoIterator<Item = &'a Item>) -> ArrayVec<(TrackId, u32), 16> {
    let mut begun = ArrayVec::<(TrackId, u32), 16>::new();
    for (track, accepted) in under_way.into_iter().filter_map(video) {
        if let Some((_, timestamp)) = begun.iter_mut().find(|(known, _)| *known == track) {
            *timestamp = accepted.timestamp;
        } else if !begun.is_full() {
            begun.push((track, accepted.timestamp));
        }
    }
    begun
}

#[cfg(test)]
mod tests;
