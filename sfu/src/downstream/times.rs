//! A viewer's own time, as it tells it to find out how far away this server is (RFC 3611 4.4), until it is answered (4.5).
//!
//! Times go in, of each source the newest; out come answers, one for each, with the next sender report: so nobody gets more than
//! it gets anyway. Browsers tell the time once for all sound and once for all pictures.

use arrayvec::ArrayVec;
use tidewire_core::rtcp::{Held, Writer};
use tidewire_core::time::{Instant, Ntp};

/// Sources of one viewer that are answered; another takes the place of the one that told its time longest ago.
const SOURCES_MAX: usize = 2;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Times(ArrayVec<Asked, SOURCES_MAX>);

#[derive(Clone, Copy, Debug)]
struct Asked {
    ssrc: u32,
    /// The middle of the time.
    reference: u32,
    at: Instant,
}

impl Times {
    pub(super) fn note(&mut self, now: Instant, ssrc: u32, time: Ntp) {
        self.0.retain(|one| one.ssrc != ssrc);
        if self.0.is_full() {
            self.0.remove(0);
        }
        self.0.push(Asked { ssrc, reference: time.middle(), at: now });
    }

    /// Writes the answers that are owed.
    pub(super) fn answer(&mut self, now: Instant, own_ssrc: u32, writer: &mut Writer<'_>) {
        let held: ArrayVec<Held, SOURCES_MAX> = self.0.drain(..).map(|asked| asked.held(now)).collect();
        writer.held(own_ssrc, &held);
    }
}

impl Asked {
    fn held(&self, now: Instant) -> Held {
        let delay = (now.since(self.at).as_nanos() << 16) / 1_000_000_000;
        Held { ssrc: self.ssrc, reference: self.reference, delay: u32::try_from(delay).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use tidewire_core::rtcp::{Packet, packets};

    use super::*;

    fn answers(times: &mut Times, now: Instant) -> Vec<Held> {
        let mut bytes = [0; 64];
        let mut writer = Writer::new(&mut bytes);
        times.answer(now, 1, &mut writer);
        let len = writer.len();
        match packets(&bytes[..len]).ok().and_then(|mut packets| packets.next()) {
            Some(Packet::Times { answers, .. }) => answers.collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_newest_time_of_each_source_is_answered_once() {
        let mut times = Times::default();
        let at = Instant::from_millis;
        for (millis, ssrc) in [(1_000, 7), (2_000, 8), (3_000, 7)] {
            times.note(at(millis), ssrc, Ntp(millis << 32));
        }
        let held = |ssrc, reference_ms: u32, delay| Held { ssrc, reference: reference_ms << 16, delay };
        assert_eq!(answers(&mut times, at(3_500)), [held(8, 2_000, 3 << 15), held(7, 3_000, 1 << 15)]);
        assert_eq!(answers(&mut times, at(4_000)), []);
    }

    #[test]
    fn of_more_sources_than_are_answered_the_last_ones_are() {
        let mut times = Times::default();
        for ssrc in 0..100 {
            times.note(Instant::from_millis(1_000), ssrc, Ntp(1 << 32));
        }
        let answered: Vec<u32> = answers(&mut times, Instant::from_millis(1_000)).iter().map(|one| one.ssrc).collect();
        assert_eq!(answered, [98, 99]);
    }
}
