//! The publisher's plan: at which moment each packet of the stream is to be sent, known before anything is sent.
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
}

impl Pacing {
    pub fn name(self) -> &'static str {
        match self {
            Self::Libwebrtc => "libwebrtc",
            Self::Frame => "frame",
        }
    }
}

/// One packet of the plan. Whether its frame is a key frame is only known when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub at: Duration,
    pub start: bool,
    pub end: bool,
}

impl Planned {
    pub fn position(&self, key: bool) -> Position {
        Position { key, start: self.start, end: self.end }
    }
}

/// The plan: an endless iterator.
#[derive(Clone, Debug)]
pub struct Plan {
    bits_per_second: u64,
    packet_len: u64,
    pacing: Pacing,
    frame: u64,
    /// Bits that the bit rate has granted and no packet has used.
    credit: u64,
    /// What is left of the current frame.
    left: u64,
    total: u64,
    tick: Duration,
    budget: i64,
}

impl Plan {
    pub fn new(bits_per_second: u64, packet_len: usize, pacing: Pacing) -> Self {
        Self {
            bits_per_second,
            packet_len: packet_len as u64,
            pacing,
            frame: 0,
            credit: 0,
            left: 0,
            total: 0,
            tick: Duration::ZERO,
            budget: 0,
        }
    }

    /// Begins the next frame that has at least one packet.
    fn begin_frame(&mut self) {
        while self.left == 0 {
            self.credit += self.bits_per_second / FRAMES_PER_SECOND;
            self.left = self.credit / (8 * self.packet_len);
            self.credit -= self.left * 8 * self.packet_len;
            self.total = self.left;
            // A frame that came while the last one was still being sent waits its turn.
            self.tick = self.tick.max(Duration::from_nanos(self.frame * 1_000_000_000 / FRAMES_PER_SECOND));
            self.budget = self.tick_bytes();
            self.frame += 1;
        }
    }

    fn tick_bytes(&self) -> i64 {
        (self.bits_per_second / 8 * 5 / 2 / (1000 / TICK.as_millis() as u64)) as i64
    }
}

impl Iterator for Plan {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        if self.left == 0 {
            self.begin_frame();
        } else if self.pacing == Pacing::Libwebrtc && self.budget <= 0 {
            // libwebrtc's interval budget: a packet may overdraw it, and the next tick pays.
            self.tick += TICK;
            self.budget += self.tick_bytes();
        }
        let start = self.left == self.total;
        self.left -= 1;
        self.budget -= self.packet_len as i64;
        Some(Planned { at: self.tick, start, end: self.left == 0 })
    }
}

const FRAMES_PER_SECOND: u64 = 30;
const TICK: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn of_one_second(pacing: Pacing) -> Vec<Planned> {
        Plan::new(1_500_000, 1200, pacing).take_while(|planned| planned.at < Duration::from_secs(10)).collect()
    }

    #[test]
    fn the_plan_keeps_the_bit_rate() {
        for pacing in [Pacing::Libwebrtc, Pacing::Frame] {
            let bits = of_one_second(pacing).len() * 1200 * 8;
            assert!((14_900_000..15_010_000).contains(&bits), "{} bits in ten seconds", bits);
        }
    }

    #[test]
    fn every_frame_starts_and_ends_once() {
        let planned = of_one_second(Pacing::Libwebrtc);
        let starts = planned.iter().filter(|planned| planned.start).count();
        assert_eq!(starts, 300);
        assert!(planned.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(planned.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }

    #[test]
    fn libwebrtc_sends_about_two_packets_a_tick() {
        let planned = of_one_second(Pacing::Libwebrtc);
        let mut ticks: Vec<Duration> = planned.iter().map(|planned| planned.at).collect();
        ticks.dedup();
        let mean = planned.len() as f64 / ticks.len() as f64;
        assert!((1.5..2.2).contains(&mean), "{mean} packets a tick");
    }

    #[test]
    fn a_frame_leaves_at_once_when_it_is_not_paced() {
        let planned = of_one_second(Pacing::Frame);
        let mut moments: Vec<Duration> = planned.iter().map(|planned| planned.at).collect();
        moments.dedup();
        assert_eq!(moments.len(), 300);
    }
}
