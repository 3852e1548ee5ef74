//! A viewer's number that stepped by more than one, across fillers: which step was right, by what its publisher sent.
//!
//! A packet that was missing when those behind it went out keeps its number. If it comes late, and is not for this viewer, padding
//! goes out under its sequence number; but what its descriptor would have counted is a hole. How large that may be follows
//! from which pictures were filled.

use std::collections::BTreeSet;
use std::time::Duration;

use super::truth::Truth;
use crate::time::Instant;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Pictures,
    /// Of the lowest temporal layer.
    LowestPictures,
    /// Of each spatial layer.
    Frames,
}

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Of the frame before.
    pub(super) last: Truth,
    pub(super) counted: Counted,
    /// Whether what is left out is closed over.
    pub(super) closes: bool,
    pub(super) step: u16,
    /// When the pictures were sent of which packets were filled, once for each packet.
    pub(super) filled: Vec<Instant>,
}

impl Gap {
    /// Whether the step is the one that it had to be, by all that the publisher sent for the first time.
    pub fn is_right(&self, log: &[Truth]) -> bool {
        let sent = log.iter().filter(|sent| sent.stream == self.last.stream && self.filled.contains(&sent.sent));
        let (last, pictures) = (&self.last, sent.clone().filter(|sent| sent.picture > self.last.picture));
        match (self.closes, self.counted) {
            (true, _) => self.step == 1 + self.whole_pictures(pictures, log),
            // All up to the highest one that was missing are counted.
            (false, Counted::Pictures) => {
                let highest = pictures.map(|sent| sent.picture).max().unwrap_or(last.picture);
                u32::from(self.step) == 1 + highest - last.picture
            }
            (false, Counted::LowestPictures) => {
                let highest = pictures.map(|sent| sent.picture).max().unwrap_or(last.picture);
                let is_passed = |one: &&Truth| {
                    one.stream == last.stream
                        && (last.picture + 1..=highest).contains(&one.picture)
                        && one.temporal == 0
                };
                let passed: BTreeSet<_> = log.iter().filter(is_passed).map(|one| one.picture).collect();
                usize::from(self.step) == 1 + passed.len()
            }
            // Which of a picture's frames were missing is not to be seen from fillers.
            (false, Counted::Frames) => {
                let highest = sent.map(|sent| sent.frame).max().unwrap_or(last.frame).max(last.frame);
                (1..=1 + highest - last.frame).contains(&u32::from(self.step))
            }
        }
    }

    /// The pictures of which nothing was there in time. Where any packet was, the picture was left out, and closed over.
    fn whole_pictures<'a>(&self, filled: impl Iterator<Item = &'a Truth>, log: &[Truth]) -> u16 {
        let starts = filled.filter(|sent| sent.at == 0 && sent.spatial == 0);
        let is_whole = |start: &&Truth| {
            let of_it = log.iter().filter(|sent| (sent.stream, sent.picture) == (start.stream, start.picture));
            self.filled.iter().filter(|at| **at == start.sent).count() == of_it.count()
        };
        starts.filter(is_whole).count() as u16
    }
}

/// Of a video's clock.
pub(super) fn ticks(count: u32) -> Duration {
    Duration::from_nanos(u64::from(count) * 1_000_000_000 / 90_000)
}
