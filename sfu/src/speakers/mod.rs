//! Who speaks in a session, who of them is the active speaker, and which tracks are heard where only the loudest are.
//!
//! Levels of packets go in, as publishers tell them (RFC 6464); out come a list of speakers, the active one first, whenever it
//! has changed, and for each packet whether it is forwarded. A track whose packets carry no level is never a speaker. All
//! decisions are made with hysteresis; the numbers stand here, in `voice` (what is speech) and in `loudest` (who is heard).
//! It is fed with the time, and says when it wants to be asked again. It decodes nothing, and knows no viewers.
//!
//! Over silence, whoever speaks is the active speaker after 200 ms of loud sound. Against somebody who speaks it takes a pause of
//! 400 ms, or to be louder by 6 dB over the last second; then at most every 2 s.

mod level;
mod loudest;
mod voice;

use std::time::Duration;

use arrayvec::ArrayVec;
use hashbrown::HashMap;
use tidewire_core::hashing::Folding;
use tidewire_core::time::Instant;

pub(crate) use self::level::Level;
pub(crate) use self::loudest::Admission;
use self::loudest::Loudest;
pub(crate) use self::voice::Sound;
use self::voice::Voice;
use crate::limits::SPEAKERS_MAX;
use crate::timers::Armed;
use crate::upstream::TrackKey;

/// Whoever was silent for so long does not speak any longer: more than a pause for breath.
const SILENT_AFTER: Duration = Duration::from_millis(1000);

/// While anybody speaks it is asked again at least this often. A deadline that comes so late says that this shard stood still, and
/// perhaps the whole machine with whoever speaks: what was not heard meanwhile is no silence. No stop that takes longer than
/// silence goes unnoticed.
const ASKED_EVERY: Duration = Duration::from_millis(400);
const STOOD_STILL: Duration = Duration::from_millis(200);

/// The active speaker's pause in which another takes its place: more than between two words.
const GIVES_WAY_AFTER: Duration = Duration::from_millis(400);

/// For so long the active speaker is talked over by nobody, and then only by one that is louder by this much.
const KEPT_FOR: Duration = Duration::from_secs(2);
const LOUDER_DB: u16 = 6;

/// Others than the active speaker are told of no sooner than this after anything was told. Active speakers change once in
/// [`GIVES_WAY_AFTER`] at most, so that all in all there are five lists a second.
const TOLD_EVERY: Duration = Duration::from_millis(400);

/// Looked up by track, never walked. One for each audio track of the session that has said how loud it is.
type Voices = HashMap<TrackKey, Voice, Folding>;

/// Bytes of a track's voice, in the table of those.
pub(crate) const VOICE_LEN: usize = size_of::<(TrackKey, Voice)>() + 1;

/// Tracks of which somebody speaks, the active speaker first, the others in the order in which they began.
type Speaking = ArrayVec<TrackKey, SPEAKERS_MAX>;

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    voices: Voices,
    speaking: Speaking,
    /// Since when the active speaker is that.
    active_since: Instant,
    /// Until then nobody is taken to be silent.
    trusted_until: Instant,
    told: Speaking,
    told_at: Option<Instant>,
    loudest: Loudest,
    pub(crate) armed: Armed,
}

impl Speakers {
    /// Takes an audio packet of a track. Says whether it is heard, where `places` tracks are at a time; 0 for all.
    pub(crate) fn hear(&mut self, now: Instant, track: TrackKey, sound: &Sound, places: usize) -> Admission {
        let Some(voice) = self.voice(track, sound.level) else {
            // Nobody can say how loud it is, and nobody is silenced for what its client does not know.
            return Admission::Heard;
        };
        let is_newest = voice.hear(now, sound);
        if is_newest && sound.level.is_some() && voice.speaks() {
            self.speak(now, track);
        }
        if places == 0 {
            return Admission::Heard;
        }
        self.loudest.admit(now, track, &self.voices, places, is_newest)
    }

    /// Lets go of whoever has fallen silent; `due` is when that was to be asked.
    pub(crate) fn handle_timeout(&mut self, now: Instant, due: Instant) {
        if now.since(due) >= STOOD_STILL {
            self.trusted_until = now + SILENT_AFTER;
        }
        self.let_go(now);
    }

    fn let_go(&mut self, now: Instant) {
        let Self { voices, speaking, trusted_until, .. } = self;
        let before = speaking.first().copied();
        speaking.retain(|track| voices.get(track).is_some_and(|voice| silent_at(voice, *trusted_until) > now));
        if speaking.first().copied() != before {
            self.active_since = now;
        }
    }

    /// Who speaks, if that has changed since it was told last, and may be told now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<&[TrackKey]> {
        if self.tell_at().is_none_or(|at| at > now) {
            return None;
        }
        self.told = self.speaking.clone();
        self.told_at = Some(now);
        Some(&self.told)
    }

    /// When to ask again, if nothing is heard before. What is armed already comes in time: silences only move away.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.armed.is_some() && self.speaking == self.told {
            return None;
        }
        let silent_at = |track: &TrackKey| Some(silent_at(self.voices.get(track)?, self.trusted_until));
        let soonest = self.speaking.iter().filter_map(silent_at).chain(self.tell_at()).min()?;
        Some(soonest.min(now + ASKED_EVERY))
    }

    /// A track is gone.
    pub(crate) fn forget(&mut self, now: Instant, track: TrackKey) {
        if self.voices.remove(&track).is_some() {
            self.loudest.forget(track);
            self.let_go(now);
        }
    }

    /// The voice of a track that has said how loud it is, now or before.
    fn voice(&mut self, track: TrackKey, level: Option<Level>) -> Option<&mut Voice> {
        match level {
            Some(_) => Some(self.voices.entry(track).or_insert_with(Voice::new)),
            None => self.voices.get_mut(&track),
        }
    }

    /// Somebody speaks: notes it among those who do, and perhaps as the active one.
    fn speak(&mut self, now: Instant, track: TrackKey) {
        let known = self.speaking.iter().position(|one| *one == track);
        let at = match known {
            Some(0) => return,
            Some(at) => at,
            None if self.speaking.try_push(track).is_ok() => self.speaking.len() - 1,
            // More than are ever told of: whoever begins now has to wait until one of them is silent.
            None => return,
        };
        if self.gives_way(now, track) {
            self.speaking[..=at].rotate_right(1);
            self.active_since = now;
        }
    }

    /// Whether the active speaker gives way to this track, which speaks.
    fn gives_way(&self, now: Instant, to: TrackKey) -> bool {
        let Some(active) = self.speaking.first().filter(|active| **active != to) else { return true };
        let (Some(active), Some(to)) = (self.voices.get(active), self.voices.get(&to)) else { return true };
        let is_talked_over = now.since(self.active_since) >= KEPT_FOR && to.exceeds(active, LOUDER_DB);
        active.silent_for(now) >= GIVES_WAY_AFTER || is_talked_over
    }

    /// When the list is to be told, if it is another than was told last. An active speaker is told of at once.
    fn tell_at(&self) -> Option<Instant> {
        if self.speaking == self.told {
            return None;
        }
        let waits = self.told_at.filter(|_| self.speaking.first() == self.told.first());
        Some(waits.map_or(Instant::ORIGIN, |at| at + TOLD_EVERY))
    }
}

/// When whoever speaks is taken to be silent if nothing loud comes.
fn silent_at(voice: &Voice, trusted_until: Instant) -> Instant {
    (voice.loud_at() + SILENT_AFTER).max(trusted_until)
}

#[cfg(test)]
mod tests;
