//! How loud one track is, as far as it is speech: from the levels of its packets, without a look at any sample.
//!
//! A level per packet goes in. Out come three things on three scales of time: whether this very packet is loud, whether
//! somebody has begun to speak, and how loud it has been over the last second in which it was. A packet is *loud* by its distance
//! from the track's own noise, which is learned: so a fan, a street or a cheap microphone is nobody speaking. Packets that do
//! not come (discontinuous transmission) are silence. It knows no other track.

use std::time::Duration;

use tidewire_core::time::Instant;

use super::level::Level;

/// So much louder than its noise is loud.
const ABOVE_NOISE_DB: u16 = 9;

/// What a track that looks for voice says is none has to be louder still: a keyboard, a door.
const NO_VOICE_DB: u16 = 6;

/// The noise that is believed of a track: -59 to -45 dBov, and -50 before anything was heard. Hence nothing below -50 dBov is
/// ever loud, and everything above -36 always is, as far as the publisher does not say that it is no voice.
const NOISE_MIN_DB: u16 = 127 - 59;
const NOISE_MAX_DB: u16 = 127 - 45;
const NOISE_START_DB: u16 = 127 - 50;

/// By how much noise is thought to grow in a second in which nothing is as quiet as it was. Speech has gaps, so that it
/// does not take itself for noise.
const NOISE_RISE_DB_PER_S: u64 = 3;

/// Loud sound of this length is somebody who has begun to speak; claps, clicks and doors are shorter.
const ATTACK_MS: u64 = 200;

/// A packet stands for the time since the one before it, up to this: the longest that encoders put into one.
const PACKET_MS_MAX: u64 = 120;

/// What a packet behind a silence stands for, and the first of all.
const PACKET_MS_USUAL: u64 = 20;

/// The span of the mean, which leaves out pauses between words: else whoever draws breath would be the quieter one.
const MEAN_MS: u64 = 1000;
const MEAN_START: u16 = NOISE_MIN_DB * PARTS as u16;
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Levels are reckoned in parts of a decibel, since they move by less than one with a packet.
const PARTS: u64 = 256;

/// An audio packet, as far as it matters how loud it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sound {
    /// Which of the track's successive streams it belongs to.
    pub(crate) epoch: u32,
    /// The extended sequence number in it.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    /// Ticks of the timestamp in a second.
    pub(crate) clock_rate: u32,
    pub(crate) level: Option<Level>,
}

#[cfg(test)]
impl Sound {
    /// Of a publisher that sends what it records at once, in one stream of Opus.
    pub(super) fn live(now: Instant, sequence: u64, level: Option<Level>) -> Self {
        Self { epoch: 0, sequence, timestamp: (now.nanos() * 48 / 1_000_000) as u32, clock_rate: 48_000, level }
    }
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Voice {
    /// Stream and sequence number.
    newest: (u32, u64),
    /// Stream and timestamp of the packet whose level was heard last.
    heard: Option<(u32, u32)>,
    loud_at: Instant,
    /// Parts of a decibel above silence.
    noise: u16,
    mean: u16,
    /// How much of the last moments was loud.
    loud_ms: u16,
    /// Whether the packet before was.
    is_loud: bool,
    /// Whether the publisher looks for voice: it has found some before.
    looks_for_voice: bool,
}

impl Voice {
    pub(super) const fn new() -> Self {
        Self {
            newest: (0, 0),
            heard: None,
            loud_at: Instant::ORIGIN,
            noise: NOISE_START_DB * PARTS as u16,
            mean: MEAN_START,
            loud_ms: 0,
            is_loud: false,
            looks_for_voice: false,
        }
    }

    /// Takes a packet; says whether it is the newest. One that comes late says nothing of the present.
    pub(super) fn hear(&mut self, now: Instant, sound: &Sound) -> bool {
        let place = (sound.epoch, sound.sequence);
        if place <= self.newest {
            return false;
        }
        self.newest = place;
        if let Some(level) = sound.level {
            let gap_ms = self.gap_ms(sound);
            self.heard = Some((sound.epoch, sound.timestamp));
            self.take(now, gap_ms, level);
        }
        true
    }

    /// From the sound that was heard last to this; `None` where timestamps do not say.
    fn gap_ms(&self, sound: &Sound) -> Option<u64> {
        let (_, timestamp) = self.heard.filter(|(epoch, _)| *epoch == sound.epoch)?;
        let ticks = i32::try_from(sound.timestamp.wrapping_sub(timestamp)).ok()?;
        (1000 * u64::from(ticks.unsigned_abs())).checked_div(u64::from(sound.clock_rate))
    }

    fn take(&mut self, now: Instant, gap_ms: Option<u64>, level: Level) {
        let stands_for_ms = match gap_ms {
            Some(gap_ms) if gap_ms > PACKET_MS_MAX => {
                self.fall_silent(now, gap_ms);
                PACKET_MS_USUAL
            }
            known => known.unwrap_or(PACKET_MS_USUAL),
        };
        self.looks_for_voice |= level.is_voice;
        self.learn_noise(level, stands_for_ms);
        self.is_loud = u16::from(level.loudness_db) >= self.threshold_db(level);
        if self.is_loud {
            self.loud_at = now;
            self.loud_ms = (self.loud_ms + stands_for_ms as u16).min(ATTACK_MS as u16);
            self.mean = towards(self.mean, u64::from(level.loudness_db) * PARTS, stands_for_ms, MEAN_MS);
        } else {
            self.fall_silent(now, stands_for_ms);
        }
    }

    /// Whether the newest packet is loud: it may be a word's first.
    pub(super) const fn is_loud(&self) -> bool {
        self.is_loud
    }

    /// Whether somebody speaks, and did so long enough to be sure.
    pub(super) const fn speaks(&self) -> bool {
        self.is_loud && self.loud_ms as u64 >= ATTACK_MS
    }

    pub(super) fn loud_at(&self) -> Instant {
        self.loud_at
    }

    /// How long nothing of it was loud.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        now.since(self.loud_at)
    }

    /// Whether what was loud of it has been louder than that of the other over the last second, by this much.
    pub(super) const fn exceeds(&self, other: &Self, by_db: u16) -> bool {
        self.mean >= other.mean.saturating_add(by_db * PARTS as u16)
    }

    pub(super) const fn mean(&self) -> u16 {
        self.mean
    }

    fn fall_silent(&mut self, now: Instant, for_ms: u64) {
        self.loud_ms = u64::from(self.loud_ms).saturating_sub(for_ms) as u16;
        if self.silent_for(now) > PAUSE_MAX {
            self.mean = towards(self.mean, u64::from(MEAN_START), for_ms.min(MEAN_MS), MEAN_MS);
        }
    }

    /// Noise is what is there when nothing else is: it falls at once, and rises slowly.
    fn learn_noise(&mut self, level: Level, stands_for_ms: u64) {
        let risen = u64::from(self.noise) + NOISE_RISE_DB_PER_S * PARTS * stands_for_ms / 1000;
        let quietest = risen.min(u64::from(level.loudness_db) * PARTS) as u16;
        self.noise = quietest.clamp(NOISE_MIN_DB * PARTS as u16, NOISE_MAX_DB * PARTS as u16);
    }

    const fn threshold_db(&self, level: Level) -> u16 {
        let refused = self.looks_for_voice && !level.is_voice;
        self.noise / PARTS as u16 + ABOVE_NOISE_DB + if refused { NO_VOICE_DB } else { 0 }
    }
}

/// A mean that has moved towards a value for so long, of the span that it is taken over.
const fn towards(mean: u16, value: u64, for_ms: u64, span_ms: u64) -> u16 {
    ((mean as u64 * (span_ms - for_ms) + value * for_ms) / span_ms) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears a packet of 20 ms at each of these levels; says after how many of them it speaks.
    fn hear(voice: &mut Voice, now: &mut Instant, levels: impl IntoIterator<Item = u8>) -> Option<usize> {
        levels.into_iter().enumerate().fold(None, |spoken, (at, dbov)| {
            *now += Duration::from_millis(20);
            let sound = Sound::live(*now, voice.newest.1 + 1, Some(Level::below(dbov)));
            voice.hear(*now, &sound);
            spoken.or(voice.speaks().then_some(at + 1))
        })
    }

    fn voice() -> (Voice, Instant) {
        (Voice::new(), Instant::from_millis(1000))
    }

    #[test]
    fn ten_loud_packets_are_somebody_who_speaks_and_nine_are_a_door() {
        let (mut voice, mut now) = voice();
        hear(&mut voice, &mut now, [60; 50]);
        assert_eq!(hear(&mut voice, &mut now, [15; 9]), None);
        hear(&mut voice, &mut now, [60; 20]);
        assert_eq!(hear(&mut voice, &mut now, [30; 20]), Some(10));
    }

    #[test]
    fn noise_is_learned_and_is_not_loud() {
        for dbov in 40..=127 {
            let (mut voice, mut now) = voice();
            hear(&mut voice, &mut now, [dbov; 100]);
            assert_eq!(hear(&mut voice, &mut now, [dbov; 1000]), None, "-{dbov} dBov");
        }
    }

    #[test]
    fn after_a_mute_the_noise_of_before_is_not_taken_for_speech_for_long() {
        let (mut voice, mut now) = voice();
        hear(&mut voice, &mut now, [127; 500]);
        hear(&mut voice, &mut now, [48; 75]);
        assert_eq!(hear(&mut voice, &mut now, [48; 500]), None);
    }

    #[test]
    fn speech_does_not_become_its_own_noise() {
        let (mut voice, mut now) = voice();
        // Words of 400 ms at -38 dBov, with 60 ms between them: quiet, but speech.
        for _ in 0..60 {
            hear(&mut voice, &mut now, [38; 20]);
            assert!(voice.speaks());
            hear(&mut voice, &mut now, [62; 3]);
        }
    }

    #[test]
    fn what_a_publisher_that_looks_for_voice_calls_none_has_to_be_louder() {
        let (mut knowing, mut now) = voice();
        hear(&mut knowing, &mut now, [0x80 | 30; 10]);
        hear(&mut knowing, &mut now, [60; 50]);
        hear(&mut knowing, &mut now, [47; 1]);
        assert!(!knowing.is_loud());
        hear(&mut knowing, &mut now, [0x80 | 47; 1]);
        assert!(knowing.is_loud());
    }

    #[test]
    fn packets_that_do_not_come_are_silence() {
        let (mut voice, mut now) = voice();
        hear(&mut voice, &mut now, [30; 50]);
        let mean = voice.mean();
        now += Duration::from_millis(400);
        assert_eq!(hear(&mut voice, &mut now, [30; 9]), None, "what was before the gap counts no longer");
        assert!(voice.mean() >= mean, "it was a pause");
        now += Duration::from_millis(600);
        hear(&mut voice, &mut now, [60]);
        assert!(voice.mean() < mean);
        now += Duration::from_secs(100_000);
        assert_eq!(hear(&mut voice, &mut now, [30; 10]), Some(10));
    }

    #[test]
    fn words_that_were_held_up_and_come_at_once_are_as_long_as_they_were_spoken() {
        let (mut voice, mut now) = voice();
        hear(&mut voice, &mut now, [60; 50]);
        let first = voice.newest.1 + 1;
        let spoken =
            |at: u64| Sound::live(now + Duration::from_millis(20 * (at + 1)), first + at, Some(Level::below(30)));
        let [came, held_up] = [now + Duration::from_millis(20), now + Duration::from_millis(200)];
        voice.hear(came, &spoken(0));
        for at in 1..9 {
            voice.hear(held_up, &spoken(at));
        }
        assert!(!voice.speaks());
        voice.hear(held_up, &spoken(9));
        assert!(voice.speaks());
    }

    #[test]
    fn timestamps_that_begin_anew_or_say_nothing_are_no_silence() {
        let oddities: [fn(&mut Sound); 3] =
            [|sound| sound.epoch += 1, |sound| sound.timestamp = 7, |sound| sound.clock_rate = 0];
        for odd in oddities {
            let (mut voice, mut now) = voice();
            hear(&mut voice, &mut now, [30; 9]);
            let mut next = Sound::live(now, voice.newest.1 + 1, Some(Level::below(30)));
            odd(&mut next);
            voice.hear(now, &next);
            assert!(voice.speaks(), "{next:?}");
        }
    }

    #[test]
    fn a_packet_that_comes_late_is_told() {
        let (mut voice, now) = voice();
        let mut hear = |epoch, sequence| voice.hear(now, &Sound { epoch, ..Sound::live(now, sequence, None) });
        assert!(hear(0, 7) && !hear(0, 6) && !hear(0, 7) && hear(1, 2));
    }
}
