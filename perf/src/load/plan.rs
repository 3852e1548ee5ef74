//! A stream's plan: at which moment each of its packets is to be sent, known before anything is sent.
//!
//! An open loop: the plan does not wait for the server, and delay counts from the planned time. Frames come thirty times a
//! second; how a frame's packets are spread is the pacing. Times are offsets from the start of the plan.

use std::time::Duration;

use crate::client::pattern::Position;

/// How the packets of one frame are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Pacing {
    /// As libwebrtc does: every 5 ms as much as 2.5 times the bit rate allows, so about two packets at a time.
    Libwebrtc,
    /// All at once.
    Frame,
    /// So many packets at once (`--burst`), as often as the bit rate allows: for comparisons of one burst size.
    Burst,
}

impl Pacing {
    pub fn name(self) -> &'static str {
        match self {
            Self::Libwebrtc => "libwebrtc",
            Self::Frame => "frame",
            Self::Burst => "burst",
        }
    }
}

/// What a publisher's video is like.
#[derive(Clone, Copy, Debug)]
pub struct Video {
    pub bits_per_second: u64,
    /// RTP header included, SRTP's tag not.
    pub packet_len: usize,
    pub pacing: Pacing,
    /// Packets of one burst; only bursts know it.
    pub burst: u64,
    /// Whether a frame's packets differ by a byte, as libwebrtc splits what cannot be split evenly: the last are the longer ones.
    pub uneven: bool,
}

impl Video {
    /// That of a packet with so many behind it in its frame; how many of them are longer differs from frame to frame.
    fn len(&self, frame: u64, total: u64, behind: u64) -> usize {
        let is_short = self.uneven && behind >= frame % total.max(1);
        self.packet_len - usize::from(is_short)
    }
}

/// One packet of the plan. Whether its frame is a key frame is only known when it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub at: Duration,
    pub start: bool,
    pub end: bool,
    /// RTP header included.
    pub len: usize,
}

impl Planned {
    pub fn position(&self, key: bool) -> Position {
        Position { key, start: self.start, end: self.end }
    }
}

/// An endless plan.
#[derive(Clone, Debug)]
pub enum Plan {
    Frames(Frames),
    Bursts(Bursts),
    Audio(Audio),
}

impl Plan {
    /// A publisher's video. `phase` shifts everything, so that publishers do not march in step.
    pub fn video(video: Video, phase: Duration) -> Self {
        match video.pacing {
            Pacing::Libwebrtc | Pacing::Frame => Self::Frames(Frames::new(video, phase)),
            Pacing::Burst => Self::Bursts(Bursts { video, phase, sent: 0 }),
        }
    }

    /// Opus without silence suppression.
    pub fn audio(phase: Duration) -> Self {
        Self::Audio(Audio { phase, sent: 0 })
    }

    /// What comes next: there is always something.
    pub fn next_packet(&mut self) -> Planned {
        match self {
            Self::Frames(frames) => frames.next_packet(),
            Self::Bursts(bursts) => bursts.next_packet(),
            Self::Audio(audio) => audio.next_packet(),
        }
    }
}

/// Thirty frames a second, paced or not.
#[derive(Clone, Debug)]
pub struct Frames {
    video: Video,
    phase: Duration,
    frame: u64,
    /// Bits that the bit rate has granted and no packet has used.
    credit: u64,
    /// What is left of the current frame.
    left: u64,
    total: u64,
    tick: Duration,
    budget: i64,
}

impl Frames {
    fn new(video: Video, phase: Duration) -> Self {
        Self { video, phase, frame: 0, credit: 0, left: 0, total: 0, tick: Duration::ZERO, budget: 0 }
    }

    fn next_packet(&mut self) -> Planned {
        if self.left == 0 {
            self.begin_frame();
        } else if self.video.pacing == Pacing::Libwebrtc && self.budget <= 0 {
            // libwebrtc's interval budget: a packet may overdraw it, and the next tick pays.
            self.tick += TICK;
            self.budget += self.tick_bytes();
        }
        let start = self.left == self.total;
        self.left -= 1;
        self.budget -= self.video.packet_len as i64;
        let len = self.video.len(self.frame, self.total, self.left);
        Planned { at: self.phase + self.tick, start, end: self.left == 0, len }
    }

    /// Begins the next frame that has at least one packet.
    fn begin_frame(&mut self) {
        let packet_bits = 8 * self.video.packet_len as u64;
        while self.left == 0 {
            self.credit += self.video.bits_per_second / FRAMES_PER_SECOND;
            self.left = self.credit / packet_bits;
            self.credit -= self.left * packet_bits;
            self.total = self.left;
            // A frame that came while the last one was still being sent waits its turn.
            self.tick = self.tick.max(Duration::from_nanos(self.frame * 1_000_000_000 / FRAMES_PER_SECOND));
            self.budget = self.tick_bytes();
            self.frame += 1;
        }
    }

    fn tick_bytes(&self) -> i64 {
        (self.video.bits_per_second / 8 * 5 / 2 / (1000 / TICK.as_millis() as u64)) as i64
    }
}

/// So many packets at once, at even intervals. Each burst is a frame.
#[derive(Clone, Debug)]
pub struct Bursts {
    video: Video,
    phase: Duration,
    sent: u64,
}

impl Bursts {
    fn next_packet(&mut self) -> Planned {
        let Video { bits_per_second, packet_len, burst, .. } = self.video;
        let (number, place) = (self.sent / burst, self.sent % burst);
        let burst_bits = u128::from(burst) * 8 * packet_len as u128;
        let at_ns = u128::from(number) * burst_bits * 1_000_000_000 / u128::from(bits_per_second);
        self.sent += 1;
        let at = self.phase + Duration::from_nanos(at_ns as u64);
        let len = self.video.len(number, burst, burst - 1 - place);
        Planned { at, start: place == 0, end: place + 1 == burst, len }
    }
}

/// A packet every 20 ms, of about 48 kbit/s.
#[derive(Clone, Debug)]
pub struct Audio {
    phase: Duration,
    sent: u64,
}

impl Audio {
    fn next_packet(&mut self) -> Planned {
        let at = self.phase + AUDIO_INTERVAL * self.sent as u32;
        // An encoder at a variable rate: no two packets in a row are of one size.
        let len = AUDIO_LEN - AUDIO_LEN_SPREAD + (self.sent as usize * 37) % (2 * AUDIO_LEN_SPREAD + 1);
        self.sent += 1;
        Planned { at, start: true, end: true, len }
    }
}

/// The shift of a publisher's plans: even over one frame, and the same in each run with the same seed.
pub(super) fn phase(seed: u64, publisher: usize) -> Duration {
    // SplitMix64's finish over a Weyl step.
    let mut word = seed.wrapping_add((publisher as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_nanos((word ^ (word >> 31)) % (1_000_000_000 / FRAMES_PER_SECOND))
}

const FRAMES_PER_SECOND: u64 = 30;
const TICK: Duration = Duration::from_millis(5);
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// RTP header included.
const AUDIO_LEN: usize = 132;
const AUDIO_LEN_SPREAD: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn video(pacing: Pacing, burst: u64) -> Video {
        Video { bits_per_second: 1_500_000, packet_len: 1200, pacing, burst, uneven: false }
    }

    fn of_ten_seconds(mut plan: Plan) -> Vec<Planned> {
        std::iter::from_fn(|| Some(plan.next_packet()))
            .take_while(|planned| planned.at < Duration::from_secs(10))
            .collect()
    }

    fn moments(planned: &[Planned]) -> Vec<Duration> {
        let mut moments: Vec<Duration> = planned.iter().map(|planned| planned.at).collect();
        moments.dedup();
        moments
    }

    #[test]
    fn every_plan_keeps_the_bit_rate() {
        for (pacing, burst) in [(Pacing::Libwebrtc, 1), (Pacing::Frame, 1), (Pacing::Burst, 1), (Pacing::Burst, 8)] {
            let bits = of_ten_seconds(Plan::video(video(pacing, burst), Duration::ZERO)).len() * 1200 * 8;
            assert!((14_900_000..15_080_000).contains(&bits), "{bits} bits in ten seconds of {}", pacing.name());
        }
    }

    #[test]
    fn every_frame_starts_and_ends_once() {
        let planned = of_ten_seconds(Plan::video(video(Pacing::Libwebrtc, 1), Duration::ZERO));
        assert_eq!(planned.iter().filter(|planned| planned.start).count(), 300);
        assert!(planned.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(planned.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }

    #[test]
    fn libwebrtc_sends_about_two_packets_a_tick() {
        let planned = of_ten_seconds(Plan::video(video(Pacing::Libwebrtc, 1), Duration::ZERO));
        let mean = planned.len() as f64 / moments(&planned).len() as f64;
        assert!((1.5..2.2).contains(&mean), "{mean} packets a tick");
    }

    #[test]
    fn a_frame_leaves_at_once_when_it_is_not_paced() {
        let planned = of_ten_seconds(Plan::video(video(Pacing::Frame, 1), Duration::ZERO));
        assert_eq!(moments(&planned).len(), 300);
    }

    #[test]
    fn a_burst_has_its_size_and_bursts_are_evenly_apart() {
        let planned = of_ten_seconds(Plan::video(video(Pacing::Burst, 4), Duration::ZERO));
        assert!(planned.chunks_exact(4).all(|burst| burst[0].start && burst[3].end && burst[0].at == burst[3].at));
        assert_eq!(moments(&planned)[..3], [0, 25_600, 51_200].map(Duration::from_micros));
    }

    #[test]
    fn a_browsers_frame_ends_with_its_longer_packets() {
        let video = Video { uneven: true, ..video(Pacing::Burst, 4) };
        let planned = of_ten_seconds(Plan::video(video, Duration::ZERO));
        let lens: Vec<usize> = planned.iter().map(|planned| planned.len).collect();
        assert_eq!(lens[..8], [1199, 1199, 1199, 1199, 1199, 1199, 1199, 1200]);
        assert_eq!(lens[8..16], [1199, 1199, 1200, 1200, 1199, 1200, 1200, 1200]);
    }

    #[test]
    fn audio_is_fifty_small_packets_a_second() {
        let planned = of_ten_seconds(Plan::audio(Duration::ZERO));
        let mean = planned.iter().map(|planned| planned.len).sum::<usize>() / planned.len();
        assert_eq!((planned.len(), mean), (500, AUDIO_LEN));
        assert!(planned.windows(2).all(|pair| pair[0].len != pair[1].len));
    }

    #[test]
    fn publishers_are_out_of_phase_and_a_seed_repeats_it() {
        let phases: Vec<Duration> = (0..100).map(|publisher| phase(7, publisher)).collect();
        assert_eq!(phases, (0..100).map(|publisher| phase(7, publisher)).collect::<Vec<_>>());
        let early = phases.iter().filter(|phase| **phase < Duration::from_micros(16_666)).count();
        assert!((35..65).contains(&early) && phase(8, 0) != phases[0]);
    }
}
