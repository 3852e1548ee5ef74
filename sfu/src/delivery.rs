//! What a viewer's end says of all that was sent to it, whatever the stream, and what follows for the bandwidth of its path.
//!
//! Feedback is cheap to send and dear to read, so each viewer has an allowance for it; what goes beyond is a discard.

use std::time::Duration;

use tidewire_core::count::Discard;
use tidewire_core::limits::{FEEDBACK_STATUSES_MIN, FEEDBACK_STATUSES_PER_SECOND_MAX};
use tidewire_core::rtcp::TransportFeedback;
use tidewire_core::time::Instant;

use crate::departures::{Arrived, Departures};
use crate::estimate::Estimate;

/// What one viewer reported so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Packets reported as arrived, and as missing; none twice, and what comes late is missing no longer.
    pub received: u64,
    pub lost: u64,
    pub estimate: Estimate,
    /// Until when its feedback has used up its allowance.
    spent_until: Instant,
}

impl Delivery {
    /// Takes a feedback into the record, if the viewer may still be listened to and speaks of what it was sent. `departures`
    /// are none where its packets are not numbered.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        feedback: &TransportFeedback<'_>,
        departures: Option<&mut Departures>,
    ) -> Result<(), Discard> {
        self.spend(now, feedback.status_count)?;
        let departures = departures.ok_or(Discard::FeedbackImplausible)?;
        self.estimate.on_sent(departures.bytes());
        departures.hear(now, feedback, |news| self.learn(now, news))
    }

    fn learn(&mut self, now: Instant, news: &[Arrived]) {
        for packet in news {
            match packet.arrival_250us {
                Some(_) => {
                    self.received += 1;
                    self.lost = self.lost.saturating_sub(packet.was_lost.into());
                }
                None => self.lost += 1,
            }
        }
        self.estimate.on_feedback(now, news);
    }

    /// Each status uses up its share of a second; a second's worth may come at once.
    fn spend(&mut self, now: Instant, statuses: u16) -> Result<(), Discard> {
        let share = PER_STATUS * u32::from(statuses.max(FEEDBACK_STATUSES_MIN));
        let end = self.spent_until.max(now) + share;
        if end.since(now) > Duration::from_secs(1) {
            return Err(Discard::FeedbackBudget);
        }
        self.spent_until = end;
        Ok(())
    }
}

const PER_STATUS: Duration = Duration::from_nanos(1_000_000_000 / FEEDBACK_STATUSES_PER_SECOND_MAX);
