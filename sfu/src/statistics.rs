//! How a connection fared in the last second: counts of its streams, seen twice, and the two scores.
//!
//! In go the counts of each stream since its connection began, at the beginning of a second and at its end; out comes what
//! clients are told. The scores are plain formulas over loss, round trip and jitter, as docs/guide/statistics.md has them: what
//! a person would call good, not a model of hearing or seeing. Reads no clock.

use std::time::Duration;

use tidewire_core::codec::Kind;
use tidewire_core::id::{Label, Mid};
use tidewire_core::message::quality::{Score, Statistics, StreamStatistics};

/// A stream's counts since its connection began: of an upstream, as it came; of a downstream, as it was sent and reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) packets: u64,
    /// Of payload.
    pub(crate) bytes: u64,
    /// Packets that there were, and those that did not arrive at once.
    pub(crate) expected: u64,
    pub(crate) missed: u64,
    /// Packets that never arrived, and those that were sent or asked for again.
    pub(crate) lost: u64,
    pub(crate) repaired: u64,
    pub(crate) key_frame_requests: u64,
    pub(crate) jitter_ms: u32,
}

/// A stream with its counts at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Tells it from the connection's others, as long as it lasts.
    pub(crate) key: u32,
    pub(crate) mid: Mid,
    pub(crate) kind: Kind,
    pub(crate) encoding: Option<Label>,
    pub(crate) account: Account,
}

/// What is known of a connection's path beside its streams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Path {
    pub(crate) round_trip: Option<Duration>,
    pub(crate) estimate_bps: Option<u64>,
}

/// What passed between two moments, `time` apart. A stream that was not there at the first began with nothing.
pub(crate) fn between(before: &[Entry], after: &[Entry], time: Duration, path: Path) -> Statistics {
    let passed: Vec<Account> = after.iter().map(|entry| entry.account.since(before_of(before, entry))).collect();
    let sum = |count: fn(&Account) -> u64| passed.iter().map(count).sum::<u64>();
    let expected = sum(|passed| passed.expected);
    let (missed, lost) = (sum(|passed| passed.missed), sum(|passed| passed.lost));
    // Of the stream that knows best: the packets of a frame come in a burst, which looks like jitter.
    let speaking = passed.iter().filter(|passed| passed.packets > 0);
    let jitter_ms = speaking.map(|passed| passed.jitter_ms).min().unwrap_or(0);
    Statistics {
        network_quality: network_quality(thousandths(missed, expected), path.round_trip, jitter_ms),
        media_quality: media_quality(thousandths(lost, expected)),
        round_trip_ms: path.round_trip.map(|time| time.as_millis() as u32),
        estimate_bps: path.estimate_bps,
        streams: after.iter().zip(&passed).map(|(entry, passed)| stream(entry, passed, time)).collect(),
    }
}

impl Account {
    /// Differences of what only grows; the jitter as it is.
    fn since(&self, before: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            expected: self.expected.saturating_sub(before.expected),
            missed: self.missed.saturating_sub(before.missed),
            lost: self.lost.saturating_sub(before.lost),
            repaired: self.repaired.saturating_sub(before.repaired),
            key_frame_requests: self.key_frame_requests.saturating_sub(before.key_frame_requests),
            jitter_ms: self.jitter_ms,
        }
    }
}

fn before_of(before: &[Entry], entry: &Entry) -> Account {
    before.iter().find(|before| before.key == entry.key).map(|before| before.account).unwrap_or_default()
}

fn stream(entry: &Entry, passed: &Account, time: Duration) -> StreamStatistics {
    let account = &entry.account;
    StreamStatistics {
        mid: entry.mid.to_string(),
        kind: entry.kind,
        encoding: entry.encoding.clone(),
        bitrate_bps: (u128::from(passed.bytes) * 8_000_000).checked_div(time.as_micros()).unwrap_or(0) as u64,
        packets: account.packets,
        bytes: account.bytes,
        lost: account.lost,
        repaired: account.repaired,
        loss_thousandths: thousandths(passed.missed, passed.expected),
        jitter_ms: account.jitter_ms,
        key_frame_requests: account.key_frame_requests,
    }
}

fn thousandths(part: u64, whole: u64) -> u16 {
    part.saturating_mul(1000).checked_div(whole).unwrap_or(0).min(1000) as u16
}

/// Three factors, each 1 where nobody notices anything and falling evenly from there: loss to 0 at a fifth of the packets, the
/// round trip from 100 ms to 0 at 1,100 ms, jitter from 30 ms to 0 at 230 ms.
fn network_quality(loss_thousandths: u16, round_trip: Option<Duration>, jitter_ms: u32) -> Score {
    let loss = 1000_u64.saturating_sub(5 * u64::from(loss_thousandths));
    let round_trip_ms = round_trip.map_or(0, |time| time.as_millis() as u64);
    let round_trip = 1000_u64.saturating_sub(round_trip_ms.saturating_sub(100));
    let jitter = 1000_u64.saturating_sub(5 * u64::from(jitter_ms.saturating_sub(30)));
    Score::from_thousandths((loss * round_trip * jitter / 1_000_000) as u16)
}

/// 1 where everything arrived, repairs included, and 0 where a tenth never did.
fn media_quality(lost_thousandths: u16) -> Score {
    Score::from_thousandths(1000_u16.saturating_sub(lost_thousandths.saturating_mul(10)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loss in thousandths, round trip and jitter in milliseconds, the score in thousandths.
    const NETWORK: [(u16, u64, u32, u16); 9] = [
        (0, 0, 0, 1000),
        (0, 100, 30, 1000),
        (20, 60, 5, 900),
        (50, 60, 5, 750),
        (200, 0, 0, 0),
        (0, 300, 0, 800),
        (0, 1_100, 0, 0),
        (0, 50, 130, 500),
        (50, 300, 80, 450),
    ];

    #[test]
    fn the_networks_score_falls_with_loss_round_trip_and_jitter() {
        for (loss, round_trip_ms, jitter_ms, expected) in NETWORK {
            let score = network_quality(loss, Some(Duration::from_millis(round_trip_ms)), jitter_ms);
            assert_eq!(score.thousandths(), expected, "{loss} {round_trip_ms} {jitter_ms}");
        }
        assert_eq!(network_quality(0, None, 0), Score::BEST, "what is not known is not held against it");
    }

    #[test]
    fn the_medias_score_falls_with_what_never_came() {
        let scores = [0, 1, 10, 50, 100, 1000].map(|lost| media_quality(lost).thousandths());
        assert_eq!(scores, [1000, 990, 900, 500, 0, 0]);
    }

    fn entry(key: u32, account: Account) -> Entry {
        Entry { key, mid: Mid::from("v").unwrap(), kind: Kind::Video, encoding: None, account }
    }

    #[test]
    fn a_second_is_told_of_by_what_passed_in_it_and_counts_go_on_from_the_beginning() {
        let old =
            Account { packets: 1_000, bytes: 1_000_000, expected: 1_000, missed: 500, lost: 9, ..Account::default() };
        let new = Account {
            packets: 1_200,
            bytes: 1_240_000,
            expected: 1_200,
            missed: 510,
            lost: 10,
            repaired: 7,
            jitter_ms: 4,
            ..old
        };
        let path = Path { round_trip: Some(Duration::from_millis(40)), estimate_bps: Some(2_000_000) };
        let told = between(&[entry(1, old)], &[entry(1, new)], Duration::from_secs(1), path);
        let stream = &told.streams[0];
        assert_eq!((stream.bitrate_bps, stream.packets, stream.loss_thousandths), (1_920_000, 1_200, 50));
        assert_eq!((told.network_quality.thousandths(), told.media_quality.thousandths()), (750, 950));
        assert_eq!((told.round_trip_ms, told.estimate_bps), (Some(40), Some(2_000_000)));
    }

    #[test]
    fn a_stream_that_began_meanwhile_is_told_of_and_silence_is_no_fault() {
        let begun = Account { packets: 10, bytes: 100, expected: 10, ..Account::default() };
        let told = between(&[entry(1, begun)], &[entry(2, begun)], Duration::from_secs(1), Path::default());
        assert_eq!((told.streams[0].bitrate_bps, told.network_quality), (800, Score::BEST));
        let silent = between(&[entry(1, begun)], &[entry(1, begun)], Duration::from_secs(1), Path::default());
        assert_eq!((silent.streams[0].bitrate_bps, silent.media_quality), (0, Score::BEST));
    }
}
