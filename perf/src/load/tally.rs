//! The arithmetic of loss: what was sent to a viewer is what it read, what its filter dropped, and what was lost.
//!
//! The kernel counts drops of a filter and drops of a full queue in one number, and that number is read only while nothing
//! is on its way. Two facts tell them apart. Only sampled packets get into the queue, so an overrun costs a sampled packet;
//! and the kernel's count of overruns (of the whole machine, so a server's own are taken off) knows no filters. When that
//! count stood still, every drop was the filter's.

use serde::Serialize;

/// What happened to the packets that were meant for viewers, from one quiet moment to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Packets sent by publishers, once for each viewer who was there.
    pub expected: u64,
    /// Distinct packets that viewers read.
    pub read: u64,
    /// Packets that the kernel dropped at viewers' sockets.
    pub dropped: u64,
    /// Packets that the filters should have kept and that nobody read.
    pub sampled_missing: u64,
    /// Packets that found the queue of one of our sockets full.
    pub overrun: u64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.read += other.read;
        self.dropped += other.dropped;
        self.sampled_missing += other.sampled_missing;
        self.overrun += other.overrun;
    }

    /// Holds overruns that may be ours against what is missing: one that cost no sample was another's. Without filters
    /// nothing is missing as a sample, and every drop is an overrun already.
    pub fn with_overruns(self, perhaps_ours: u64) -> Self {
        Self { overrun: self.overrun + self.sampled_missing.min(perhaps_ours), ..self }
    }

    /// Packets that reached a viewer's socket.
    pub fn arrived(&self) -> u64 {
        self.read + self.dropped
    }

    /// Packets that the server did not deliver.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.arrived())
    }

    /// Packets that came though nobody had sent them, or twice.
    pub fn surplus(&self) -> u64 {
        self.arrived().saturating_sub(self.expected)
    }

    pub fn loss(&self) -> f64 {
        self.lost() as f64 / self.expected.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Tally = Tally { expected: 6400, read: 100, dropped: 6300, sampled_missing: 0, overrun: 0 };

    #[test]
    fn what_is_read_or_filtered_is_not_lost() {
        let tally = WHOLE.with_overruns(0);
        assert_eq!((tally.lost(), tally.surplus(), tally.overrun), (0, 0, 0));
    }

    #[test]
    fn what_the_server_loses_is_lost_sampled_or_not() {
        let tally = Tally { read: 98, dropped: 6202, sampled_missing: 2, ..WHOLE }.with_overruns(0);
        assert_eq!((tally.lost(), tally.overrun), (100, 0));
        assert!((tally.loss() - 100.0 / 6400.0).abs() < 1e-9);
    }

    #[test]
    fn an_overrun_of_ours_is_told_apart_from_a_loss() {
        // Three sampled packets found the queue full: the kernel counts them as drops, so they are no loss of the server.
        let tally = Tally { read: 97, dropped: 6303, sampled_missing: 3, ..WHOLE }.with_overruns(3);
        assert_eq!((tally.lost(), tally.overrun), (0, 3));
    }

    #[test]
    fn an_overrun_elsewhere_on_the_machine_is_not_ours() {
        assert_eq!(WHOLE.with_overruns(1000).overrun, 0);
    }

    #[test]
    fn what_comes_twice_is_a_surplus() {
        assert_eq!(Tally { dropped: 6310, ..WHOLE }.surplus(), 10);
    }
}
