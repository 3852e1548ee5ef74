//! Listening: whose audio is forwarded, and who is told to speak.

use tidewire_core::codec::Kind;
use tidewire_core::count::Discard;
use tidewire_core::rtp::Header;
use tidewire_core::time::Instant;

use super::SessionTable;
use crate::command::{Event, PublicationId, SessionId};
use crate::speakers::{Admission, Level, Sound};
use crate::upstream::{Accepted, TrackKey, Upstream};

impl SessionTable {
    /// Listens to how loud an audio packet says it is, and refuses those of tracks that are not to be heard at present.
    pub(super) fn listen(
        &mut self,
        now: Instant,
        slot: u32,
        accepted: &Accepted,
        header: &Header,
        packet: &[u8],
    ) -> Result<(), Discard> {
        let Some(upstream) = self.upstreams.at_mut(slot) else { return Ok(()) };
        let id = upstream.session;
        let (Some(session), Some(track)) =
            (self.sessions.at_mut(id.0), upstream.tracks.get_mut(usize::from(accepted.track)))
        else {
            return Ok(());
        };
        let Some(section) = upstream.sections.get(usize::from(track.section)) else { return Ok(()) };
        let Accepted { epoch, sequence, timestamp, .. } = *accepted;
        let clock_rate = section.clock_rate(header.payload_type);
        let level = Level::read(header, packet, &section.extensions);
        let sound = Sound { epoch, sequence, timestamp, clock_rate, level };
        let admission = session.speakers.hear(now, TrackKey::new(slot, accepted.track), &sound, self.loudest);
        if admission == Admission::HeardAgain {
            track.resumed_at = accepted.sequence;
        }
        self.tell_speakers(now, id);
        if admission == Admission::Unheard { Err(Discard::NotAmongLoudest) } else { Ok(()) }
    }

    /// An upstream is gone, and whoever spoke by it.
    pub(super) fn listen_no_longer(&mut self, now: Instant, slot: u32, upstream: &Upstream) {
        let Some(session) = self.sessions.at_mut(upstream.session.0) else { return };
        for (at, _) in (0..=u8::MAX).zip(&upstream.tracks).filter(|(_, track)| track.kind == Kind::Audio) {
            session.speakers.forget(now, TrackKey::new(slot, at));
        }
        self.tell_speakers(now, upstream.session);
    }

    pub(super) fn speakers_timeout(&mut self, now: Instant, at: Instant, id: SessionId) {
        let Some(session) = self.sessions.at_mut(id.0).filter(|session| session.speakers.armed == Some(at)) else {
            return;
        };
        session.speakers.armed = None;
        session.speakers.handle_timeout(now, at);
        self.tell_speakers(now, id);
    }

    /// Tells control who speaks, if others do than it knows, and sees to it that a deadline wakes the shard.
    fn tell_speakers(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.at_mut(id.0) else { return };
        if let Some(tracks) = session.speakers.poll(now) {
            let mut speakers: Vec<PublicationId> = Vec::with_capacity(tracks.len());
            for upstream in tracks.iter().filter_map(|track| self.upstreams.at(track.upstream())) {
                // Whoever publishes several tracks of audio speaks once.
                if !speakers.contains(&upstream.publication) {
                    speakers.push(upstream.publication);
                }
            }
            self.notices.push(Event::Speakers { session: id, speakers });
        }
        let speakers = &mut session.speakers;
        if let Some(at) = speakers.deadline(now) {
            self.silences.arm(id, at, &mut speakers.armed);
        }
    }
}
