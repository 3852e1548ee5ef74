//! What a track tells its publisher: what it has received, what it lacks, and that a key frame is wanted.
//!
//! Nothing is told of a stream that never came.

use std::time::Duration;

use tidewire_core::count::{Counter, Tally};
use tidewire_core::rtcp::{Report, Writer};
use tidewire_core::time::Instant;

use super::Track;
use crate::upstream::Section;
use crate::upstream::key_frames::Manner;

impl Track {
    pub(in crate::upstream) fn reception_report(&mut self, now: Instant) -> Option<Report> {
        let last = self.report.map(|report| (report.info.ntp.middle(), report.arrival));
        self.reception.report(now, self.primary?, last)
    }

    /// When there is something to tell; never before there is a stream of which it could be told.
    pub(in crate::upstream) fn deadline(&self) -> Option<Instant> {
        self.primary?;
        [self.gaps.deadline(), self.key_frames.deadline()].into_iter().flatten().min()
    }

    /// One of several encodings whose first key frame was lost wishes for another: nobody who could ask is sent any of it.
    pub(super) fn ask_for_beginning(&mut self, now: Instant) {
        if self.beginning.is_none_or(|since| now.since(since) < BEGUN_WITHIN) {
            return;
        }
        self.beginning = None;
        if self.key_frame_at.is_none() {
            self.key_frames.want(now);
        }
    }

    pub(in crate::upstream) fn write_feedback(
        &mut self,
        now: Instant,
        section: &Section,
        sender: u32,
        writer: &mut Writer<'_>,
        tally: &mut Tally,
    ) {
        let Some(media) = self.primary else { return };
        let lost = self.gaps.due(now);
        // Without NACK negotiated the list is still worked off, so that what is lost is counted as such.
        if !lost.is_empty() && section.formats.iter().any(|format| format.feedback.nack) {
            writer.nack(sender, media, &lost);
            tally.add(Counter::NacksSent, lost.len() as u64);
        }
        self.write_key_frame_request(now, section, (sender, media), writer, tally);
    }

    /// RFC 5104 4.3.1: full intra requests are for whoever comes or turns to a stream, and one can be told from the one before.
    /// Not everybody who agrees to them acts on them, so beside the first stands a picture loss indication where that was
    /// agreed on too: whoever knows both takes what comes in one datagram for one wish.
    fn write_key_frame_request(
        &mut self,
        now: Instant,
        section: &Section,
        (sender, media): (u32, u32),
        writer: &mut Writer<'_>,
        tally: &mut Tally,
    ) {
        let has_fir = section.formats.iter().any(|format| format.feedback.fir);
        let has_pli = section.formats.iter().any(|format| format.feedback.pli);
        let manner = if has_fir { Manner::Numbered } else { Manner::Unnumbered };
        let Some(due) = self.key_frames.ask(now, manner) else { return };
        if !due.is_repeated {
            tally.count(Counter::KeyFrameRequestsSent);
            self.traffic.key_frame_requests += 1;
        }
        if (has_pli || !has_fir) && !due.is_repeated {
            writer.picture_loss(sender, media);
        }
        if has_fir {
            writer.full_intra(sender, media, due.sequence);
        }
    }
}

/// An encoding that goes without a key frame for so long has lost the one that it began with, and is nothing to begin with for
/// anybody: its size, or even its layers, are not known.
const BEGUN_WITHIN: Duration = Duration::from_millis(150);
