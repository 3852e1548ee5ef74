//! What is run, whoever it is run against: who publishes what, who watches whom, and how.

use super::feedback::Feedback;
use super::plan::{Plan, Video, phase};
use crate::client::offer::Retransmission;
use crate::client::{Codec, Direction, Offer, Profile};
use crate::machine::Policy;

/// A scenario's people and media.
#[derive(Clone, Debug)]
pub struct Setup {
    pub shape: Shape,
    pub video: Video,
    /// Each publisher sends Opus as well.
    pub audio: bool,
    pub profile: Profile,
    pub receivers: Receivers,
    pub feedback: Feedback,
    /// Viewers that decrypt and check every packet, of each target.
    pub witnesses: usize,
    /// Where the publishers' phases come from.
    pub seed: u64,
    /// Joins under way at one time.
    pub joiners: usize,
    /// The core that servers are pinned to.
    pub server_core: Option<usize>,
    /// How servers are scheduled, and the reactor while it measures.
    pub policy: Policy,
}

/// Who publishes and who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub rooms: usize,
    /// Of each room.
    pub publishers: usize,
    /// Calls that watch each publisher.
    pub viewers: usize,
}

/// How viewers take what is sent to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Receivers {
    /// The kernel drops all but one packet in 64, and counts what it drops.
    Filter,
    /// Every packet is read.
    Read,
}

/// A place in a room: one call.
#[derive(Clone, Debug)]
pub struct Seat {
    pub direction: Direction,
    pub room: usize,
    /// Which publisher of the whole run it is, or watches.
    pub source: usize,
    /// The media id, where a room has several.
    pub media: Option<String>,
    pub offer: Offer,
}

impl Shape {
    /// One publisher, many viewers.
    pub fn broadcast(viewers: usize) -> Self {
        Self { rooms: 1, publishers: 1, viewers }
    }

    /// Everybody publishes and watches all others.
    pub fn meeting(rooms: usize, people: usize) -> Self {
        Self { rooms, publishers: people, viewers: people.saturating_sub(1) }
    }

    pub fn sources(self) -> usize {
        self.rooms * self.publishers
    }

    /// Calls that watch.
    pub fn watching(self) -> usize {
        self.sources() * self.viewers
    }
}

impl Setup {
    pub fn publishing_seats(&self) -> Vec<Seat> {
        (0..self.shape.sources()).map(|source| self.seat(Direction::Send, source)).collect()
    }

    /// All publishers' first viewers, then their second ones, so that rooms fill evenly.
    pub fn watching_seats(&self) -> Vec<Seat> {
        (0..self.shape.watching()).map(|number| self.watching_seat(number)).collect()
    }

    /// The seat of this viewer: publishers take turns.
    pub fn watching_seat(&self, number: usize) -> Seat {
        self.seat(Direction::Receive, number % self.shape.sources().max(1))
    }

    /// One plan for each track of a publisher, in the order in which they are offered.
    pub fn plans(&self, source: usize) -> Vec<Plan> {
        let phase = phase(self.seed, source);
        let video = Plan::video(self.video, phase);
        if self.audio { vec![video, Plan::audio(phase)] } else { vec![video] }
    }

    pub(super) fn seat(&self, direction: Direction, source: usize) -> Seat {
        let codecs: &[Codec] = if self.audio { &[Codec::Vp8, Codec::Opus] } else { &[Codec::Vp8] };
        // Streams of the whole run are told apart by their SSRCs.
        let seed = 1000 + 100 * source as u32;
        let (room, number) = (source / self.shape.publishers, source % self.shape.publishers);
        let media = (self.shape.publishers > 1).then(|| format!("p{number}"));
        let offer = Offer::of(direction, codecs, Retransmission::InPlace, seed);
        Seat { direction, room, source, media, offer }
    }
}

impl Receivers {
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Read => "read",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::load::plan::Pacing;

    pub(in crate::load) fn setup(shape: Shape) -> Setup {
        Setup {
            shape,
            video: Video {
                bits_per_second: 1_500_000,
                packet_len: 1200,
                pacing: Pacing::Libwebrtc,
                burst: 1,
                uneven: false,
            },
            audio: false,
            profile: Profile::AeadAes128Gcm,
            receivers: Receivers::Filter,
            feedback: Feedback::Browser,
            witnesses: 1,
            seed: 1,
            joiners: 4,
            server_core: None,
            policy: Policy::Ordinary,
        }
    }

    #[test]
    fn in_a_meeting_everybody_is_watched_by_all_others() {
        let setup = setup(Shape::meeting(2, 10));
        let seats = setup.watching_seats();
        assert_eq!((setup.publishing_seats().len(), seats.len()), (20, 180));
        for source in 0..20 {
            let watching: Vec<&Seat> = seats.iter().filter(|seat| seat.source == source).collect();
            assert_eq!(watching.len(), 9);
            assert!(watching.iter().all(|seat| seat.room == source / 10));
            assert!(watching.iter().all(|seat| seat.media == Some(format!("p{}", source % 10))));
        }
    }

    #[test]
    fn a_broadcast_has_one_source_without_a_media_id() {
        let setup = setup(Shape::broadcast(7));
        assert_eq!(setup.publishing_seats().len(), 1);
        assert!(setup.watching_seats().iter().all(|seat| seat.source == 0 && seat.media.is_none()));
    }
}
