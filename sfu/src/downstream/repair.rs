//! Answers to a viewer's NACKs.
//!
//! Where RTX was negotiated a repair is a new packet of the retransmission stream (RFC 4588); where not, it is the old
//! packet again, bit for bit, since the same nonce may seal nothing else. Which packet a number stands for, also of a track that
//! was left a moment ago, the stream's trail knows. Each packet is repeated at most once a round trip, and all repairs together
//! are paid from the viewer's credit.

use std::time::Duration;

use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::machine::Egress;

use super::{Downstream, ROUND_TRIP_GUESS, Way};
use crate::upstream::Upstream;

/// Below this a repeated request is the network's doubling, whatever the round trip.
const REPEAT_MIN: Duration = Duration::from_millis(5);

/// What padding is paid for: about its datagram, since there is nothing in it.
const FILLER_LEN: usize = 64;

impl Downstream {
    /// Repairs what the viewer lost of the stream `ssrc`. Every sequence number is counted as repaired or discarded.
    pub(crate) fn repair<E: Egress>(
        &mut self,
        ssrc: u32,
        lost: impl Iterator<Item = u16>,
        upstream: &Upstream,
        way: &mut Way<'_, E>,
        tally: &mut Tally,
    ) {
        let Some(at) = self.position(ssrc) else { return tally.discard(Discard::UnknownSsrc) };
        for sequence in lost {
            tally.count(Counter::NacksReceived);
            match self.repair_one(at, sequence, upstream, way) {
                Ok(()) => tally.count(Counter::Repaired),
                Err(reason) => tally.discard(reason),
            }
        }
    }

    fn repair_one<E: Egress>(
        &mut self,
        at: usize,
        sequence: u16,
        upstream: &Upstream,
        way: &mut Way<'_, E>,
    ) -> Result<(), Discard> {
        let stream = &mut self.streams[at];
        let (leg, outgoing, incoming) = stream.trace(sequence).ok_or(Discard::RepairGone)?;
        // A stream that came after has other packets under these numbers.
        let track = upstream.tracks.get(usize::from(leg.track)).filter(|track| track.epoch == leg.epoch);
        let packet = track.and_then(|track| track.ring.get(incoming)).ok_or(Discard::RepairGone)?;
        let round_trip = self.round_trip.unwrap_or(ROUND_TRIP_GUESS);
        if !stream.recent.admit(way.now, sequence, REPEAT_MIN.max(round_trip)) {
            return Err(Discard::RepairTooSoon);
        }
        let numbered = stream.number(&leg, &packet, outgoing)?;
        if !self.credit.spend(if numbered.is_filler { FILLER_LEN } else { packet.payload.len() }) {
            return Err(Discard::RepairBudget);
        }
        stream.feedback.repaired += 1;
        match (stream.rtx_ssrc, numbered.rtx_payload_type) {
            (Some(ssrc), Some(payload_type)) => stream.retransmit((ssrc, payload_type), &numbered, &packet, way),
            _ => stream.seal(&numbered, &packet, way).map(|_| ()),
        }
    }
}
