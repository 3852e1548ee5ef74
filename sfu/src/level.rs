//! Makes the packets of a round equally long where a few bytes are missing, so that they leave as one train.
//!
//! The kernel takes datagrams of one size as one message (UDP_SEGMENT), the last alone may be shorter; and packets of one
//! frame differ by a byte or two, since encoders do not count to the end. So video packets that follow each other get RTP
//! padding (RFC 3550 5.1) up to the longest of their run: within the encryption, once for all viewers, in the ring, and so
//! the same when a packet is sent again. One that comes late, behind packets that went out before, stays as it is: somebody
//! may have asked for it and had it meanwhile, and no number may seal two contents. Bounds: [`PADDING_LEN_MAX`] bytes a
//! packet, and 3 % of it. Never audio, whose packets come one by one.

use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Tally};
use tidewire_core::rebuild;
use tidewire_core::ring::PADDING_LEN_MAX;

use crate::fanout::Item;
use crate::table::slots::Slots;
use crate::upstream::{Accepted, Track, Upstream};

/// Levels what a round is about to send. To be called before its first packet is sealed.
pub(crate) fn level(items: &[Item], upstreams: &mut Slots<Upstream>, tally: &mut Tally) {
    let mut rest = items;
    while let Some(run) = Run::at(rest, upstreams) {
        run.pad(rest, upstreams, tally);
        rest = &rest[run.items..];
    }
    for (upstream, accepted) in items.iter().filter_map(video) {
        if let Some(track) = track_of(upstream, accepted, upstreams) {
            track.levelled_up_to = track.levelled_up_to.max(accepted.sequence + 1);
        }
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
            let track =
                track_of(upstream, accepted, upstreams).filter(|track| accepted.sequence >= track.levelled_up_to);
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
    let track = Some(track).filter(|track| track.epoch == accepted.epoch)?;
    let stored = track.ring.get(accepted.sequence).filter(|stored| !stored.payload.is_empty())?;
    Some(stored.body.len() + rebuild::extensions_len(stored.extensions))
}

fn track_of<'a>(upstream: u32, accepted: &Accepted, upstreams: &'a mut Slots<Upstream>) -> Option<&'a mut Track> {
    let track = upstreams.at_mut(upstream)?.tracks.get_mut(usize::from(accepted.track));
    track.filter(|track| track.epoch == accepted.epoch)
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

#[cfg(test)]
mod tests {
    use tidewire_core::codec::Codec;
    use tidewire_core::id::Mid;
    use tidewire_core::negotiate::{Extensions, Feedback, Format, Media, Spec};
    use tidewire_core::ring::Meta;
    use tidewire_core::time::Instant;

    use super::*;
    use crate::command::{PublicationId, SessionId};
    use crate::upstream::FramePart;

    /// An upstream whose video track holds packets of these lengths, and a round of them.
    fn round(lens: &[usize]) -> (Slots<Upstream>, Vec<Item>) {
        let spec = Spec { codec: Codec::Vp8, clock_rate: 90_000, channels: 1, parameters: String::new() };
        let media = Media {
            mid: Mid::from("0").unwrap(),
            kind: Kind::Video,
            formats: vec![Format { payload_type: 96, spec, rtx: None, feedback: Feedback::default() }],
            extensions: Extensions::default(),
            sources: Vec::new(),
            rids: Vec::new(),
        };
        let mut upstream = Upstream::new(Instant::ORIGIN, SessionId(0), PublicationId(0), &[media], 1);
        for (sequence, len) in lens.iter().enumerate() {
            upstream.tracks[0].ring.insert(sequence as u64, Meta::default(), &[], &vec![7; *len]);
        }
        let mut upstreams = Slots::default();
        upstreams.put(0, upstream);
        (upstreams, (0..lens.len() as u64).map(packet).collect())
    }

    fn packet(sequence: u64) -> Item {
        let part = FramePart::Dependent;
        let accepted = Accepted { track: 0, epoch: 0, sequence, kind: Kind::Video, timestamp: 0, part };
        Item::Packet { upstream: 0, accepted }
    }

    fn lens(upstreams: &Slots<Upstream>) -> Vec<usize> {
        let ring = &upstreams.at(0).unwrap().tracks[0].ring;
        (0..).map_while(|sequence| ring.get(sequence)).map(|stored| stored.body.len()).collect()
    }

    fn levelled(before: &[usize]) -> Vec<usize> {
        let (mut upstreams, items) = round(before);
        level(&items, &mut upstreams, &mut Tally::default());
        lens(&upstreams)
    }

    #[test]
    fn neighbours_become_as_long_as_the_longest_and_the_last_may_be_shorter() {
        assert_eq!(levelled(&[1000, 999, 998, 1000]), [1000; 4]);
        assert_eq!(levelled(&[999, 1000, 998]), [1000, 1000, 998]);
        assert_eq!(levelled(&[999, 1000, 400, 401]), [1000, 1000, 400, 401]);
        assert_eq!(levelled(&[400, 1000, 999, 1000]), [400, 1000, 1000, 1000]);
    }

    #[test]
    fn nobody_gets_more_padding_than_three_in_a_hundred_or_sixteen_bytes() {
        assert_eq!(levelled(&[984, 1000]), [1000, 1000]);
        assert_eq!(levelled(&[983, 1000]), [983, 1000]);
        assert_eq!(levelled(&[97, 100]), [100, 100]);
        assert_eq!(levelled(&[96, 100]), [96, 100]);
    }

    #[test]
    fn a_packet_that_comes_late_stays_as_it_came() {
        let (mut upstreams, items) = round(&[1000, 990, 1000, 1000]);
        level(&[items[0], items[2], items[3]], &mut upstreams, &mut Tally::default());
        level(&[items[1], items[2]], &mut upstreams, &mut Tally::default());
        assert_eq!(lens(&upstreams), [1000, 990, 1000, 1000], "somebody may have had it again already");
    }
}
