//! What a viewer's end says of all that was sent to it, whatever the stream: the record from which its bandwidth will be
//! estimated.
//!
//! Feedback is cheap to send and dear to read, so each viewer has an allowance for it; what goes beyond is a discard.

use std::time::Duration;

use tidewire_core::count::Discard;
use tidewire_core::limits::{FEEDBACK_STATUSES_MIN, FEEDBACK_STATUSES_PER_SECOND_MAX};
use tidewire_core::rtcp::TransportFeedback;
use tidewire_core::time::Instant;

/// What one viewer reported so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Packets reported as arrived, and as missing. One that is reported twice counts twice.
    pub received: u64,
    pub lost: u64,
    /// The viewer's own last estimate of what it can receive (REMB), if it ever sent one.
    pub estimate_bps: Option<u64>,
    /// Until when its feedback has used up its allowance.
    spent_until: Instant,
}

impl Delivery {
    /// Takes a feedback into the record, if the viewer may still be listened to.
    pub(crate) fn hear(&mut self, now: Instant, feedback: &TransportFeedback<'_>) -> Result<(), Discard> {
        self.spend(now, feedback.status_count)?;
        self.received += u64::from(feedback.received());
        self.lost += u64::from(feedback.lost());
        Ok(())
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
