//! Makes the packets of a round equally long where a few bytes are missing, so that they leave as one train.
//!
//! The kernel takes datagrams of one size as one message (UDP_SEGMENT), the last alone may be shorter; and packets of one
//! frame differ by a byte or two, since encoders do not count to the end. So video packets that follow each other get RTP
//! padding (RFC 3550 5.1) up to the longest of their run: within the encryption, once for all viewers, in the ring, and so
//! the same when a packet is sent again. Bounds: [`PADDING_LEN_MAX`] bytes a packet, and 3 % of it. Never audio, whose
//! packets are small and whose sizes may tell what is said either way.

use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Tally};
use tidewire_core::rebuild;
use tidewire_core::ring::PADDING_LEN_MAX;

use crate::fanout::Item;
use crate::table::slots::Slots;
use crate::upstream::{Accepted, Upstream};

/// Levels what a round is about to send. To be called before its first packet is sealed.
pub(crate) fn level(items: &[Item], upstreams: &mut Slots<Upstream>, tally: &mut Tally) {
    let mut rest = items;
    while let Some(run) = Run::at(rest, upstreams) {
        run.pad(rest, upstreams, tally);
        rest = &rest[run.items..];
    }
}

/// Items that will make one train.
#[derive(Clone, Copy, Debug)]
struct Run {
    items: usize,
    /// Bytes of the longest packet, by [`len_of`].
    longest: usize,
    /// Packets that have to be as long as the longest: all, or all but a shorter last one.
    level: usize,
}

impl Run {
    /// The run with which `items` begin; `None` when there are none.
    fn at(items: &[Item], upstreams: &Slots<Upstream>) -> Option<Self> {
        let Some(first) = len_of(items.first()?, upstreams) else {
            return Some(Self { items: 1, longest: 0, level: 0 });
        };
        let (mut shortest, mut longest, mut count) = (first, first, 1);
        for item in &items[1..] {
            let Some(len) = len_of(item, upstreams).filter(|_| is_same_track(&items[0], item)) else { break };
            if len.max(longest) - len.min(shortest) > padding_max(len.max(longest)) {
                // A shorter packet may end the train as it is, and then all before it have to be level.
                let ends = len < shortest;
                return Some(Self {
                    items: count + usize::from(ends),
                    longest,
                    level: if ends { count } else { count - 1 },
                });
            }
            (shortest, longest, count) = (shortest.min(len), longest.max(len), count + 1);
        }
        Some(Self { items: count, longest, level: count - 1 })
    }

    /// Pads what has to be level. A last packet that is the longest needs those before it to be as long as itself.
    fn pad(&self, items: &[Item], upstreams: &mut Slots<Upstream>, tally: &mut Tally) {
        for item in &items[..self.level] {
            let (Some(len), Some((upstream, accepted))) = (len_of(item, upstreams), video(item)) else { continue };
            let missing = self.longest - len;
            let track = upstreams.at_mut(upstream).and_then(|one| one.tracks.get_mut(usize::from(accepted.track)));
            if let Some(track) = track.filter(|_| missing > 0) {
                track.ring.pad(accepted.sequence, missing as u8);
                tally.add(Counter::PaddingBytes, missing as u64);
            }
        }
    }
}

/// Bytes of a packet that differ from packet to packet: payload and extensions. `None` for what is never levelled.
fn len_of(item: &Item, upstreams: &Slots<Upstream>) -> Option<usize> {
    let (upstream, accepted) = video(item)?;
    let track = upstreams.at(upstream)?.tracks.get(usize::from(accepted.track))?;
    let stored = track.ring.get(accepted.sequence).filter(|stored| !stored.payload.is_empty())?;
    Some(stored.body.len() + rebuild::extensions_len(stored.extensions))
}

fn video(item: &Item) -> Option<(u32, &Accepted)> {
    match item {
        Item::Packet { upstream, accepted } if accepted.kind == Kind::Video => Some((*upstream, accepted)),
        Item::Packet { .. } | Item::Report { .. } => None,
    }
}

fn is_same_track(one: &Item, other: &Item) -> bool {
    let track = |item| video(item).map(|(upstream, accepted)| (upstream, accepted.track, accepted.epoch));
    track(one) == track(other)
}

const fn padding_max(len: usize) -> usize {
    let share = len * 3 / 100;
    if share < PADDING_LEN_MAX { share } else { PADDING_LEN_MAX }
}
