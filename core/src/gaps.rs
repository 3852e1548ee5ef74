//! The register of what an incoming stream has brought and what it still owes.
//!
//! Owns a window over the last [`WINDOW`] sequence numbers and the list of missing ones, each with the time at which it
//! is asked for next (RFC 4585 6.2.1). In go sequence numbers and the time, out come NACKs. The one invariant: a
//! sequence number is reported `New` or `Filled` at most once, whatever arrives by whichever way; forwarding leans on
//! that, since a packet that is accepted twice could be sealed twice. It does not store packets.

use std::time::Duration;

use arrayvec::ArrayVec;

use crate::time::Instant;

/// Sequence numbers that are remembered; about 4 s of video at 2.5 Mb/s.
pub const WINDOW: u64 = 1024;

/// Missing packets that are pursued at once. A larger hole is no loss to repair but an outage to recover from.
pub const MISSING_MAX: usize = 256;

/// Packets asked for in one message: with masks this fits a datagram in the worst case.
pub const NACK_LEN_MAX: usize = 64;

/// How long a packet may merely be out of order before it is asked for.
const REORDER_WAIT: Duration = Duration::from_millis(10);

/// Asking more often than this cannot be answered in time by anybody.
const RETRY_MIN: Duration = Duration::from_millis(20);

/// The first guess at the time from asking to having.
const REPAIR_TIME_GUESS: Duration = Duration::from_millis(60);

/// After this many requests, or this long, a packet is given up.
const TRIES_MAX: u8 = 12;
const AGE_MAX: Duration = Duration::from_secs(1);

/// What the arrival of a sequence number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Beyond everything seen so far.
    New,
    /// Beyond everything, across a hole too large to mend.
    Jumped,
    /// Fills a place that was empty.
    Filled,
    /// Was here before.
    Duplicate,
    /// Before the window: whether it was here is not known any more.
    TooOld,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u64,
    since: Instant,
    /// When it was asked for last; meaningless before the first try.
    asked: Instant,
    next: Instant,
    tries: u8,
}

/// See the module's description.
#[derive(Debug)]
pub struct Gaps {
    highest: Option<u64>,
    /// The start of the stream, as far as it has shown itself: nothing before it is missed.
    lowest: u64,
    received: [u64; WINDOW as usize / 64],
    /// In ascending order of sequence.
    missing: ArrayVec<Missing, MISSING_MAX>,
    /// Smoothed time from the first request to the repair.
    repair_time: Duration,
    lost: u64,
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            highest: None,
            lowest: 0,
            received: [0; WINDOW as usize / 64],
            missing: ArrayVec::new(),
            repair_time: REPAIR_TIME_GUESS,
            lost: 0,
        }
    }
}

impl Gaps {
    /// Notes an extended sequence number.
    pub fn record(&mut self, now: Instant, sequence: u64) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            self.lowest = sequence;
            self.mark(sequence);
            return Arrival::New;
        };
        if sequence > highest {
            self.advance(now, highest, sequence)
        } else if highest - sequence >= WINDOW {
            Arrival::TooOld
        } else if self.is_marked(sequence) {
            Arrival::Duplicate
        } else {
            self.mark(sequence);
            if sequence < self.lowest {
                self.begin_earlier(now, sequence);
            } else {
                self.fill(now, sequence);
            }
            Arrival::Filled
        }
    }

    /// A packet came that is of no use yet: it counts as missing, and is asked for again like the others.
    pub fn refuse(&mut self, now: Instant, sequence: u64) {
        match self.highest {
            Some(highest) if sequence <= highest => return,
            Some(highest) => drop(self.advance(now, highest, sequence)),
            None => (self.highest, self.lowest) = (Some(sequence), sequence),
        }
        self.unmark(sequence);
        self.pursue(now, sequence);
    }

    /// Whether this sequence number lies in the window and is not here yet.
    pub fn lacks(&self, sequence: u64) -> bool {
        self.highest
            .is_some_and(|highest| sequence > highest || highest - sequence < WINDOW && !self.is_marked(sequence))
    }

    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Packets given up for good.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Collects what is to be asked for now, in ascending order, and plans the next request for each.
    pub fn due(&mut self, now: Instant) -> ArrayVec<u16, NACK_LEN_MAX> {
        let before = self.missing.len();
        self.missing.retain(|one| one.tries < TRIES_MAX && now.since(one.since) < AGE_MAX);
        self.lost += (before - self.missing.len()) as u64;
        let retry = RETRY_MIN.max(self.repair_time + self.repair_time / 4);
        let mut due = ArrayVec::new();
        for one in self.missing.iter_mut().filter(|one| one.next <= now) {
            if due.try_push(one.sequence as u16).is_err() {
                break;
            }
            one.tries += 1;
            one.asked = now;
            one.next = now + retry;
        }
        due
    }

    /// When `due` has something to say next.
    pub fn deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|one| one.next).min()
    }

    fn advance(&mut self, now: Instant, highest: u64, sequence: u64) -> Arrival {
        self.highest = Some(sequence);
        let hole = sequence - highest - 1;
        let jumped = hole > MISSING_MAX as u64;
        if jumped {
            self.lost += self.missing.len() as u64 + hole;
            self.missing.clear();
        }
        // Places of a hole wider than the window are written over within the last window's length of it.
        for absent in (highest + 1).max(sequence.saturating_sub(WINDOW))..sequence {
            self.unmark(absent);
            if !jumped {
                self.pursue(now, absent);
            }
        }
        self.mark(sequence);
        if jumped { Arrival::Jumped } else { Arrival::New }
    }

    /// Puts a packet on the list; the oldest gives way when the list is full.
    fn pursue(&mut self, now: Instant, sequence: u64) {
        if self.missing.is_full() {
            self.missing.remove(0);
            self.lost += 1;
        }
        self.missing.push(Missing { sequence, since: now, asked: now, next: now + REORDER_WAIT, tries: 0 });
    }

    /// The stream began before what came first of it: what lies between is missing after all.
    fn begin_earlier(&mut self, now: Instant, sequence: u64) {
        let hole = sequence + 1..self.lowest;
        let room = self.missing.remaining_capacity();
        self.lost += (hole.end - hole.start).saturating_sub(room as u64);
        for (at, absent) in hole.take(room).enumerate() {
            let entry = Missing { sequence: absent, since: now, asked: now, next: now + REORDER_WAIT, tries: 0 };
            self.missing.insert(at, entry);
        }
        self.lowest = sequence;
    }

    fn fill(&mut self, now: Instant, sequence: u64) {
        let Ok(at) = self.missing.binary_search_by_key(&sequence, |one| one.sequence) else { return };
        let one = self.missing.remove(at);
        // Only a packet that was asked for once tells which request it answers.
        if one.tries == 1 {
            self.repair_time = (self.repair_time * 3 + now.since(one.asked)) / 4;
        }
    }

    fn mark(&mut self, sequence: u64) {
        let (word, bit) = Self::place(sequence);
        self.received[word] |= bit;
    }

    fn unmark(&mut self, sequence: u64) {
        let (word, bit) = Self::place(sequence);
        self.received[word] &= !bit;
    }

    fn is_marked(&self, sequence: u64) -> bool {
        let (word, bit) = Self::place(sequence);
        self.received[word] & bit != 0
    }

    const fn place(sequence: u64) -> (usize, u64) {
        let at = sequence % WINDOW;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn what_is_refused_is_missing_until_it_comes_again() {
        let mut gaps = Gaps::default();
        gaps.refuse(at(0), 5);
        gaps.refuse(at(0), 8);
        assert_eq!(gaps.record(at(1), 7), Arrival::Filled);
        assert_eq!(gaps.due(at(20)).as_slice(), [5, 6, 8]);
        assert_eq!([5, 6, 8].map(|sequence| gaps.record(at(30), sequence)), [Arrival::Filled; 3]);
        gaps.refuse(at(40), 7);
        assert_eq!((gaps.record(at(40), 7), gaps.due(at(60)).len()), (Arrival::Duplicate, 0));
    }

    #[test]
    fn late_packet_fills_gap_and_cancels_nack() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.record(at(0), 10), Arrival::New);
        assert_eq!(gaps.record(at(1), 13), Arrival::New);
        assert_eq!(gaps.record(at(2), 11), Arrival::Filled);
        assert_eq!(gaps.record(at(2), 11), Arrival::Duplicate);
        assert_eq!(gaps.due(at(11)).as_slice(), [12]);
        assert_eq!(gaps.record(at(12), 12), Arrival::Filled);
        assert_eq!(gaps.deadline(), None);
    }

    #[test]
    fn what_lies_between_a_late_start_and_the_first_arrival_is_missing() {
        let mut gaps = Gaps::default();
        gaps.record(at(0), 10);
        gaps.record(at(0), 12);
        assert_eq!(gaps.record(at(1), 7), Arrival::Filled);
        assert_eq!(gaps.due(at(20)).as_slice(), [8, 9, 11]);
        assert_eq!(gaps.record(at(21), 8), Arrival::Filled);
        assert_eq!(gaps.record(at(21), 5), Arrival::Filled);
        assert_eq!(gaps.due(at(500)).as_slice(), [6, 9, 11]);
    }

    #[test]
    fn a_packet_is_asked_for_again_and_given_up_in_the_end() {
        let mut gaps = Gaps::default();
        gaps.record(at(0), 0);
        gaps.record(at(0), 2);
        let mut asked = 0;
        while let Some(next) = gaps.deadline() {
            asked += gaps.due(next).len();
        }
        assert!((5..=12).contains(&asked), "{asked}");
        assert_eq!(gaps.lost(), 1);
    }

    #[test]
    fn a_large_hole_is_not_pursued() {
        let mut gaps = Gaps::default();
        gaps.record(at(0), 0);
        assert_eq!(gaps.record(at(0), 5_000), Arrival::Jumped);
        assert_eq!(gaps.deadline(), None);
        assert_eq!(gaps.record(at(0), 3_000), Arrival::TooOld);
    }

    /// A hop of 60 ms there and back that loses a twentieth either way: packets every 5 ms, each lost one asked for and sent
    /// again. Returns how late each that was lost came, in milliseconds; a second for those that never did.
    fn repaired_over_a_bad_hop(seed: u64) -> Vec<u64> {
        let mut random = crate::random::Seeded::new(seed);
        let mut lost = move || random.below(20) == 0;
        let mut gaps = Gaps::default();
        // By their arrival, in milliseconds: packets at the receiver, requests at the sender.
        let (mut packets, mut requests) = (Vec::new(), Vec::new());
        let mut late = std::collections::BTreeMap::new();
        for now in 0..61_000_u64 {
            if now % 5 == 0 && now < 60_000 {
                if lost() {
                    late.insert(now / 5, 1_000);
                } else {
                    packets.push((now + 30, now / 5));
                }
            }
            for (_, sequence) in requests.extract_if(.., |(at, _)| *at == now) {
                if !lost() {
                    packets.push((now + 30, sequence));
                }
            }
            for (_, sequence) in packets.extract_if(.., |(at, _)| *at == now) {
                if gaps.record(at(now), sequence) == Arrival::Filled {
                    late.insert(sequence, now - sequence * 5);
                }
            }
            if gaps.deadline().is_some_and(|due| due <= at(now)) {
                let due = gaps.due(at(now));
                if !lost() {
                    requests.extend(due.into_iter().map(|sequence| (now + 30, u64::from(sequence))));
                }
            }
        }
        late.into_values().collect()
    }

    #[test]
    fn at_sixty_milliseconds_and_a_twentieth_lost_either_way_hardly_anything_is_missing_after_four_hundred() {
        for seed in 0..8 {
            let late = repaired_over_a_bad_hop(seed);
            assert!(late.len() > 400, "seed {seed}: {} of 12,000 were lost", late.len());
            // 400 ms over two hops, each of which may fail twice and still be in time: at most 4 in 100,000 are not.
            let missing = late.iter().filter(|late| **late > 280).count();
            assert!(missing <= 2, "seed {seed}: {missing} of 12,000 came later than 280 ms");
            let at_first = late.iter().filter(|late| **late <= 120).count();
            assert!(at_first * 100 > late.len() * 85, "seed {seed}: {at_first} of {} by the first request", late.len());
        }
    }

    proptest! {
        #[test]
        fn a_sequence_is_accepted_at_most_once(steps in prop::collection::vec(0u64..3_000, 1..400)) {
            let mut gaps = Gaps::default();
            let mut accepted = std::collections::HashSet::new();
            for step in steps {
                let lacked = gaps.highest().is_none() || gaps.lacks(step);
                let arrival = gaps.record(at(0), step);
                let taken = matches!(arrival, Arrival::New | Arrival::Jumped | Arrival::Filled);
                prop_assert_eq!(taken, lacked);
                if taken {
                    prop_assert!(accepted.insert(step), "{} twice", step);
                }
            }
        }
    }
}
