//! Which tracks of a session are heard, where no more than a few may be at a time.
//!
//! There are so many seats. A track takes a free one with its first packet. When all are taken, a loud packet takes the seat of
//! the track that has been silent for longest; only where everybody speaks at once, that of the quietest. So the packet with which
//! somebody begins is heard, and nobody is cut off in a word, nor between two. Sound is not decoded.

use std::time::Duration;

use arrayvec::ArrayVec;
use tidewire_core::time::Instant;

use super::Voices;
use super::voice::Voice;
use crate::limits::LOUDEST_MAX;
use crate::upstream::TrackKey;

/// A seat is kept through pauses between words. Longer ones are no loss: whoever goes on takes a seat again at once.
const SILENCE_KEPT: Duration = Duration::from_millis(500);

/// A seat whose track speaks is kept for this long at least, and then lost only to one that is louder by this much.
const SPEECH_KEPT: Duration = Duration::from_secs(2);
const LOUDER_DB: u16 = 6;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes on, as the one before it did.
    Heard,
    /// It goes on, and what came before it did not.
    HeardAgain,
    /// Others are heard.
    Unheard,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Loudest {
    seats: ArrayVec<Seat, LOUDEST_MAX>,
}

#[derive(Debug)]
struct Seat {
    track: TrackKey,
    since: Instant,
}

impl Loudest {
    /// Whether a track's packet is heard, where `places` tracks are at a time. `may_sit` is false for a packet that comes late.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        track: TrackKey,
        voices: &Voices,
        places: usize,
        may_sit: bool,
    ) -> Admission {
        if self.seats.iter().any(|seat| seat.track == track) {
            return Admission::Heard;
        }
        if !may_sit {
            return Admission::Unheard;
        }
        if self.seats.len() < places.min(LOUDEST_MAX) {
            self.seats.push(Seat { track, since: now });
            return Admission::HeardAgain;
        }
        let Some(voice) = voices.get(&track).filter(|voice| voice.is_loud()) else { return Admission::Unheard };
        let seat = self.silent(now, voices).or_else(|| self.quieter(now, voice, voices));
        let Some(seat) = seat.and_then(|at| self.seats.get_mut(at)) else { return Admission::Unheard };
        *seat = Seat { track, since: now };
        Admission::HeardAgain
    }

    pub(super) fn forget(&mut self, track: TrackKey) {
        self.seats.retain(|seat| seat.track != track);
    }

    /// The seat of whoever has been silent for longest, and for longer than between two words.
    fn silent(&self, now: Instant, voices: &Voices) -> Option<usize> {
        let silent_for = |seat: &Seat| voices.get(&seat.track).map_or(Duration::MAX, |voice| voice.silent_for(now));
        let silences = self.seats.iter().map(silent_for).enumerate();
        silences.filter(|(_, silence)| *silence >= SILENCE_KEPT).max_by_key(|(_, silence)| *silence).map(|(at, _)| at)
    }

    /// The seat of the quietest, if the newcomer has been louder for a while, and the quietest had its time.
    fn quieter(&self, now: Instant, newcomer: &Voice, voices: &Voices) -> Option<usize> {
        let known = |(at, seat): (usize, &Seat)| Some((at, seat.since, voices.get(&seat.track)?));
        let (at, since, quietest) =
            self.seats.iter().enumerate().filter_map(known).min_by_key(|(.., voice)| voice.mean())?;
        (now.since(since) >= SPEECH_KEPT && newcomer.exceeds(quietest, LOUDER_DB)).then_some(at)
    }
}
