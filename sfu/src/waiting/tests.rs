use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A publisher's packets as they come, and what becomes of them.
#[derive(Default)]
struct Bench {
    waiting: Waiting,
    tally: Tally,
    now: Instant,
    next: BTreeMap<TrackId, u64>,
    pushed: u64,
}

/// Number of the only audio track; video tracks are below it.
const AUDIO: u8 = 9;

impl Bench {
    fn packet(&mut self, track: u8, timestamp: u32, part: FramePart) -> Item {
        let next = self.next.entry((0, track)).or_default();
        *next += 1;
        let kind = if track == AUDIO { Kind::Audio } else { Kind::Video };
        let accepted = Accepted { track, epoch: 0, sequence: *next, kind, timestamp, part };
        Item::Packet { upstream: 0, accepted }
    }

    fn push(&mut self, item: Item, under_way: &[Item]) -> Option<TrackId> {
        self.pushed += 1;
        self.waiting.push(self.now, item, under_way, &mut self.tally)
    }

    /// A frame of this many packets; returns whether a key frame was asked for.
    fn frame(&mut self, track: u8, timestamp: u32, packets: usize, is_key: bool) -> bool {
        let parts = if is_key { [FramePart::KeyFrameStart, FramePart::KeyFrame] } else { [FramePart::Dependent; 2] };
        let mut asked = false;
        for at in 0..packets {
            let packet = self.packet(track, timestamp, parts[at.min(1)]);
            asked |= self.push(packet, &[]).is_some();
        }
        asked
    }

    fn audio(&mut self, packets: usize) {
        for _ in 0..packets {
            let packet = self.packet(AUDIO, 0, FramePart::Dependent);
            self.push(packet, &[]);
        }
    }

    fn report(&mut self) {
        self.push(Item::Report { upstream: 0, track: AUDIO }, &[]);
    }

    fn take(&mut self) -> Vec<Item> {
        let mut round = Vec::new();
        self.waiting.take_audio(&mut round);
        self.waiting.take_rest(&mut round, &mut Slots::default(), &mut self.tally);
        round
    }

    /// Dropped so far: dependent video, reports, key frames, audio.
    fn dropped(&self) -> [u64; 4] {
        Rank::ALL.map(|rank| self.tally.discarded(rank.reason()))
    }
}

/// The timestamps of a round's video, each once.
fn frames(round: &[Item]) -> Vec<u32> {
    let mut timestamps: Vec<_> = round.iter().filter_map(video).map(|(_, accepted)| accepted.timestamp).collect();
    timestamps.dedup();
    timestamps
}

#[test]
fn audio_leaves_before_everything_that_came_earlier() {
    let mut bench = Bench::default();
    bench.frame(0, 1, 2, true);
    bench.report();
    bench.audio(2);
    let round = bench.take();
    assert_eq!(round.iter().map(Rank::of).collect::<Vec<_>>(), {
        use Rank::{Audio, KeyFrame, Report};
        [Audio, Audio, KeyFrame, KeyFrame, Report]
    });
    assert!(bench.waiting.is_empty());
}

#[test]
fn what_is_dropped_is_dropped_in_the_stated_order() {
    let mut bench = Bench::default();
    bench.frame(0, 1, 4, true);
    bench.frame(0, 2, 3, false);
    bench.report();
    bench.report();
    bench.audio(ROUND_LEN_MAX - 9);
    assert_eq!(bench.dropped(), [0; 4]);
    bench.audio(3);
    assert_eq!(bench.dropped(), [3, 0, 0, 0], "one packet too many, and its whole frame goes");
    bench.audio(2);
    assert_eq!(bench.dropped(), [3, 2, 0, 0]);
    bench.audio(4);
    assert_eq!(bench.dropped(), [3, 2, 4, 0], "a key frame goes whole");
    bench.audio(2);
    assert_eq!(bench.dropped(), [3, 2, 4, 2]);
    let round = bench.take();
    assert!(round.len() == ROUND_LEN_MAX && round.iter().all(Item::is_audio));
}

#[test]
fn a_track_that_lost_a_frame_is_silent_until_its_key_frame() {
    let mut bench = Bench::default();
    bench.frame(0, 1, 3, true);
    bench.audio(ROUND_LEN_MAX - 3);
    assert!(bench.frame(0, 2, 1, false), "its key frame is needed");
    bench.take();
    assert!(bench.frame(0, 3, 2, false), "though there is room now");
    assert!(!bench.frame(1, 3, 2, false), "other tracks go on");
    assert!(!bench.frame(0, 4, 2, true));
    assert!(!bench.frame(0, 5, 1, false));
    assert_eq!(frames(&bench.take()), [3, 4, 5]);
    assert_eq!(bench.dropped(), [3, 0, 0, 0]);
}

#[test]
fn a_key_frame_that_waits_already_ends_the_gap() {
    let mut bench = Bench::default();
    bench.frame(0, 1, 2, false);
    bench.frame(0, 2, 3, true);
    bench.frame(0, 3, 2, false);
    bench.audio(ROUND_LEN_MAX - 7);
    assert!(!bench.frame(1, 9, 1, true), "nothing is asked for");
    assert_eq!(frames(&bench.take()), [2, 3, 9]);
    assert_eq!(bench.dropped(), [2, 0, 0, 0]);
}

#[test]
fn the_rest_of_a_frame_that_is_under_way_is_kept_while_others_can_go() {
    let mut bench = Bench::default();
    let under_way = [bench.packet(0, 1, FramePart::Dependent)];
    bench.frame(0, 1, 2, false);
    bench.frame(0, 2, 2, false);
    bench.audio(ROUND_LEN_MAX - 4);
    let packet = bench.packet(AUDIO, 0, FramePart::Dependent);
    assert_eq!(bench.push(packet, &under_way), Some((0, 0)));
    assert_eq!(frames(&bench.take()), [1]);
    assert_eq!(bench.dropped(), [2, 0, 0, 0]);
}

#[test]
fn what_waits_too_long_costs_video_and_nothing_else() {
    let mut bench = Bench::default();
    bench.frame(0, 1, 3, true);
    bench.report();
    bench.frame(0, 2, 3, false);
    bench.now += WAIT_MAX * 2;
    bench.audio(1);
    assert_eq!(bench.dropped(), [3, 0, 0, 0]);
    bench.now += WAIT_MAX * 2;
    bench.audio(1);
    assert_eq!(bench.dropped(), [3, 0, 0, 0]);
}

#[test]
fn a_key_frame_with_a_hole_mends_nothing() {
    let mut bench = Bench::default();
    bench.frame(0, 1, 3, false);
    bench.audio(ROUND_LEN_MAX - 2);
    assert!(bench.frame(0, 5, 1, false));
    // Its first packet comes last, after others of it were dropped.
    for part in [FramePart::Dependent, FramePart::KeyFrameStart] {
        let packet = bench.packet(0, 6, part);
        assert_eq!(bench.push(packet, &[]), Some((0, 0)));
    }
    bench.waiting.forget(0);
    assert!(!bench.frame(0, 7, 1, false), "a new publisher starts with nothing owed");
}

/// A step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Frame { track: u8, packets: usize, is_key: bool },
    Audio(usize),
    Report,
    Time(u64),
    Take,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..3, 1_usize..40, prop::bool::weighted(0.2))
            .prop_map(|(track, packets, is_key)| Step::Frame { track, packets, is_key }),
        4 => (1_usize..60).prop_map(Step::Audio),
        1 => Just(Step::Report),
        1 => (0_u64..300).prop_map(Step::Time),
        1 => Just(Step::Take),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_is_bounded_accounted_for_and_decodable(steps in prop::collection::vec(any_step(), 1..150)) {
        let (mut bench, mut round, mut sent) = (Bench::default(), Vec::new(), 0);
        let mut last = BTreeMap::<TrackId, u64>::new();
        for (timestamp, step) in (0..).zip(steps.into_iter().chain([Step::Take])) {
            match step {
                Step::Frame { track, packets, is_key } => {
                    let start = if is_key { FramePart::KeyFrameStart } else { FramePart::Dependent };
                    let rest = if is_key { FramePart::KeyFrame } else { FramePart::Dependent };
                    for at in 0..packets {
                        let packet = bench.packet(track, timestamp, if at == 0 { start } else { rest });
                        bench.push(packet, &round);
                    }
                }
                Step::Audio(packets) => bench.audio(packets),
                Step::Report => bench.report(),
                Step::Time(millis) => bench.now += std::time::Duration::from_millis(millis),
                Step::Take => {
                    round = bench.take();
                    sent += round.len() as u64;
                    for (track, accepted) in round.iter().filter_map(video) {
                        let before = last.insert(track, accepted.sequence);
                        let follows = before.unwrap_or(0) + 1 == accepted.sequence;
                        prop_assert!(follows || accepted.part == FramePart::KeyFrameStart, "{:?} after a gap", accepted);
                    }
                }
            }
            prop_assert!(bench.waiting.entries.len() <= ROUND_LEN_MAX);
            prop_assert!(bench.waiting.gaps.len() <= 3);
        }
        prop_assert_eq!(sent + bench.dropped().iter().sum::<u64>(), bench.pushed);
    }
}
