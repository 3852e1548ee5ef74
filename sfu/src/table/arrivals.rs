//! Transport-wide feedback to publishers: each packet is noted when it has proved itself, and told of when its time has come.

use tidewire_core::count::Counter;
use tidewire_core::id::ConnectionId;
use tidewire_core::machine::Egress;
use tidewire_core::rtp::Header;
use tidewire_core::time::Instant;

use super::{OWN_NAME, SessionTable};
use crate::timers::{Reason, Timer};

/// Feedbacks in one go: a window, each of its parts as short as a delta allows, takes no more in earnest.
const FEEDBACKS_MAX: usize = 4;

impl SessionTable {
    /// Notes an authenticated packet, before anything is made of it.
    #[inline]
    pub(super) fn note_arrival(&mut self, connection: ConnectionId, arrival: Instant, header: &Header, packet: &[u8]) {
        let Some(arrivals) = self.arrivals.at_mut(connection.slot) else { return };
        if let Some(due) = arrivals.note(arrival, header, packet) {
            self.lenient.arm(Timer { connection, reason: Reason::Arrivals }, due, &mut arrivals.armed);
        }
    }

    pub(super) fn arrivals_timeout<E: Egress>(&mut self, now: Instant, at: Instant, id: ConnectionId, egress: &mut E) {
        if self.connection(id).is_none() {
            return;
        }
        let Some(arrivals) = self.arrivals.at_mut(id.slot).filter(|arrivals| arrivals.armed == Some(at)) else {
            return;
        };
        arrivals.armed = None;
        self.tell_arrivals(now, id.slot, egress);
        if let (Some(arrivals), Some(connection)) = (self.arrivals.at_mut(id.slot), self.connections.at(id.slot))
            && let Some(due) = arrivals.due().filter(|_| connection.has_way())
        {
            self.lenient.arm(Timer { connection: id, reason: Reason::Arrivals }, due, &mut arrivals.armed);
        }
    }

    fn tell_arrivals<E: Egress>(&mut self, now: Instant, slot: u32, egress: &mut E) {
        let (Some(arrivals), Some(connection)) = (self.arrivals.at_mut(slot), self.connections.at_mut(slot)) else {
            return;
        };
        let Some((mut way, _)) = connection.way(now, egress) else { return };
        for _ in 0..FEEDBACKS_MAX {
            if !arrivals.is_due(now) {
                return;
            }
            let sent = way.send_rtcp(|writer| {
                // RFC 3550 6.1: not every client has agreed to feedback alone (RFC 5506).
                writer.receiver_report(arrivals.sender(), &[]);
                writer.canonical_name(arrivals.sender(), OWN_NAME);
                arrivals.tell(now, writer);
            });
            if sent {
                self.tally.count(Counter::RtcpSent);
                self.tally.count(Counter::TransportFeedbackSent);
            }
        }
    }
}
