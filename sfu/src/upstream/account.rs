//! What a publisher's streams have brought since their connection began, as statistics tell it.

use tidewire_core::id::Label;

use super::Upstream;
use super::track::Track;
use crate::statistics::{Account, Entry};

/// Counts of a track that only grow, whatever streams it carries one after the other.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) repaired: u64,
    pub(super) key_frame_requests: u64,
    /// Of streams that were succeeded: packets that there were, those that did not arrive at once, and those given up.
    pub(super) expected: u64,
    pub(super) missed: u64,
    pub(super) lost: u64,
}

impl Upstream {
    /// Every track that has brought anything, with its counts.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let tracks = (0..).zip(&self.tracks).filter(|(_, track)| track.traffic.packets > 0);
        tracks.filter_map(|(key, track)| {
            let section = self.sections.get(usize::from(track.section))?;
            let clock_rate = section.formats.first()?.spec.clock_rate;
            Some(Entry {
                key,
                mid: section.mid,
                kind: track.kind,
                encoding: track.rid.and_then(|rid| Label::new(&rid).ok()),
                account: track.account(clock_rate),
            })
        })
    }
}

impl Track {
    fn account(&self, clock_rate: u32) -> Account {
        let traffic = &self.traffic;
        let (expected, missed) = self.reception.counts();
        Account {
            packets: traffic.packets,
            bytes: traffic.bytes,
            expected: traffic.expected + expected,
            missed: traffic.missed + missed,
            lost: traffic.lost + self.gaps.lost(),
            repaired: traffic.repaired,
            key_frame_requests: traffic.key_frame_requests,
            jitter_ms: self.reception.jitter_ms(clock_rate),
        }
    }

    /// Its stream is succeeded by another, and its counts are kept.
    pub(super) fn close_account(&mut self) {
        let (expected, missed) = self.reception.counts();
        self.traffic.expected += expected;
        self.traffic.missed += missed;
        self.traffic.lost += self.gaps.lost();
    }
}
