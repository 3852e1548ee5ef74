//! Answers to a viewer's NACKs.
//!
//! Where RTX was negotiated a repair is a new packet of the retransmission stream (RFC 4588); where not, it is the old
//! packet again, bit for bit, since the same nonce may seal nothing else. Each packet is repeated at most once a round
//! trip, and all repairs together are paid from the viewer's credit.

use std::time::Duration;

use tidewire_core::count::{Counter, Discard, Tally};
use tidewire_core::machine::Egress;
use tidewire_core::rebuild::{Fields, HEADER_LEN_MAX};
use tidewire_core::ring::Stored;

use super::stream::{Numbered, Stream};
use super::{Downstream, Way};
use crate::upstream::Upstream;

/// Below this a repeated request is the network's doubling, whatever the round trip.
const REPEAT_MIN: Duration = Duration::from_millis(5);

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
        let incoming = stream.incoming(sequence).ok_or(Discard::RepairGone)?;
        let track = stream.heard().and_then(|key| upstream.tracks.get(usize::from(key.track())));
        let packet = track.and_then(|track| track.ring.get(incoming)).ok_or(Discard::RepairGone)?;
        if !stream.recent.admit(way.now, sequence, REPEAT_MIN.max(self.round_trip)) {
            return Err(Discard::RepairTooSoon);
        }
        if !self.credit.spend(packet.payload.len()) {
            return Err(Discard::RepairBudget);
        }
        let numbered = stream.number(&packet)?;
        match (stream.rtx_ssrc, numbered.rtx_payload_type) {
            (Some(ssrc), Some(payload_type)) => stream.retransmit(ssrc, payload_type, &numbered, &packet, way),
            _ => stream.seal(&numbered, &packet, way).map(|_| ()),
        }
    }
}

impl Stream {
    /// RFC 4588 4: the original sequence number, then the original payload, in a stream of its own.
    fn retransmit<E: Egress>(
        &mut self,
        ssrc: u32,
        payload_type: u8,
        original: &Numbered,
        packet: &Stored<'_>,
        way: &mut Way<'_, E>,
    ) -> Result<(), Discard> {
        let body_len = 2 + packet.payload.len();
        let overhead = way.outbound.rtp_overhead();
        let out = way.egress.reserve(&way.path, HEADER_LEN_MAX + body_len + overhead).ok_or(Discard::EgressFull)?;
        let fields = Fields { payload_type, ssrc, sequence: self.rtx_next as u16, padded: false, ..original.fields };
        let header_len = self.write_header(&fields, packet, way.departures.as_deref(), out)?;
        let out = out.get_mut(..header_len + body_len + overhead).ok_or(Discard::TooLarge)?;
        let (osn, payload) = out[header_len..].split_at_mut(2);
        osn.copy_from_slice(&(original.sequence as u16).to_be_bytes());
        payload[..packet.payload.len()].copy_from_slice(packet.payload);
        let len = way.outbound.seal_rtp_in_place(self.rtx_next, header_len, body_len, out)?;
        self.rtx_next += 1;
        way.commit(&self.form, len);
        Ok(())
    }
}
