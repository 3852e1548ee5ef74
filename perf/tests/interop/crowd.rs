//! Many publishers that talk all the time, in a thread of their own: whoever listens cannot slow them down.
//!
//! Each sends fifty packets of sound a second under a media id of its own, every fourth pictures too. Their packets are
//! planned from the start (open loop), a quarter of the publishers every five milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::{Client, Codec, Direction, Offer, Publisher, wait};
use tidewire_perf::{clock, machine};

pub(crate) struct Crowd {
    is_over: Arc<AtomicBool>,
    talking: JoinHandle<Result<Vec<Publisher>>>,
}

impl Crowd {
    pub(crate) fn start(client: &Client, channel: &str, count: usize) -> Result<Self> {
        let join = |number| {
            let codecs = if has_pictures(number) { &[Codec::Opus, Codec::Vp8][..] } else { &[Codec::Opus] };
            let offer = Offer::of(Direction::Send, codecs, Retransmission::Rtx, SEED_STEP * (1 + number as u32));
            Publisher::new(client.join(&format!("{channel}/{}", media_id(number)), &offer)?, &offer)
        };
        let publishers = (0..count).map(join).collect::<Result<Vec<_>>>()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        Ok(Self { is_over, talking: thread::spawn(move || talk_until(&seen, publishers)) })
    }

    /// Ends the talking, and nothing else.
    pub(crate) fn finish(self) -> Result<Vec<Publisher>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.talking.join().ok().context("the publishers went on to the end")?
    }
}

pub(crate) fn media_id(number: usize) -> String {
    format!("voice-{number}")
}

/// Whose stream this is, by the SSRC that the publisher gave it.
pub(crate) fn number_of(stream: u32) -> usize {
    (stream / SEED_STEP) as usize - 1
}

fn has_pictures(number: usize) -> bool {
    number.is_multiple_of(4)
}

fn talk_until(is_over: &AtomicBool, mut publishers: Vec<Publisher>) -> Result<Vec<Publisher>> {
    machine::take_precedence();
    let start = Instant::now();
    for turn in 0.. {
        let due = start + TURN * turn;
        wait::readable([], due.saturating_duration_since(Instant::now()))?;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        for publisher in publishers.iter_mut().skip(turn as usize % TURNS).step_by(TURNS) {
            talk(publisher)?;
        }
    }
    Ok(publishers)
}

/// One frame of each track, and whatever has arrived.
fn talk(publisher: &mut Publisher) -> Result<()> {
    for track in 0..publisher.tracks.len() {
        let (packets, len) = if publisher.tracks[track].codec.is_video() { (2, 300) } else { (1, 100) };
        publisher.send_frame(track, packets, len, clock::unix_ns())?;
    }
    publisher.serve(Instant::now())
}

/// SSRCs of one publisher lie between two of these.
const SEED_STEP: u32 = 1000;

const TURN: Duration = Duration::from_millis(5);
const TURNS: usize = 4;
