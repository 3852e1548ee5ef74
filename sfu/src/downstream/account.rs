//! What was sent to a viewer, and what it says of it, as statistics tell it.

use tidewire_core::rtcp::Report;

use super::Downstream;
use super::stream::Stream;
use crate::statistics::{Account, Entry};

/// What is known of a stream beyond what each packet counts.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// Of the viewer's last reception report.
    lost: u64,
    jitter: u32,
    pub(super) repaired: u64,
    pub(super) key_frame_requests: u64,
    /// Packets and bytes as they were last extended beyond 32 bits.
    packets: u64,
    bytes: u64,
}

impl Downstream {
    /// Every stream that has sent anything, with its counts.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.streams.iter().filter(|stream| stream.course.packets > 0).map(|stream| Entry {
            key: stream.ssrc(),
            mid: stream.carried.media.mid,
            kind: stream.kind,
            encoding: None,
            account: stream.account(),
        })
    }

    /// The viewer needs a key frame of one of its streams.
    pub(crate) fn note_key_frame_request(&mut self, ssrc: u32) {
        if let Some(stream) = self.position(ssrc).and_then(|at| self.streams.get_mut(at)) {
            stream.feedback.key_frame_requests += 1;
        }
    }
}

impl Stream {
    /// Keeps what the viewer says of its reception, and extends what the 32 bits of a sender report count.
    pub(super) fn note_report(&mut self, report: &Report) {
        self.feedback.lost = report.cumulative_lost.max(0) as u64;
        self.feedback.jitter = report.jitter;
        (self.feedback.packets, self.feedback.bytes) = self.sent();
    }

    /// Packets and bytes of payload that were sent. A viewer that reports once in 30 minutes at 20 Mb/s is counted right.
    fn sent(&self) -> (u64, u64) {
        let extended = |before: u64, now: u32| before + u64::from(now.wrapping_sub(before as u32));
        (extended(self.feedback.packets, self.course.packets), extended(self.feedback.bytes, self.course.octets))
    }

    fn account(&self) -> Account {
        let ((packets, bytes), reported) = (self.sent(), &self.feedback);
        Account {
            packets,
            bytes,
            expected: packets,
            missed: reported.lost,
            // What was sent again has come, as far as anybody knows here.
            lost: reported.lost.saturating_sub(reported.repaired),
            repaired: reported.repaired,
            key_frame_requests: reported.key_frame_requests,
            jitter_ms: milliseconds(reported.jitter, self.clock_rate),
        }
    }
}

fn milliseconds(units: u32, clock_rate: u32) -> u32 {
    (u64::from(units) * 1000).checked_div(clock_rate.into()).unwrap_or(0).min(u32::MAX.into()) as u32
}
