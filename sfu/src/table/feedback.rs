//! RTCP in both directions: what publishers report, what viewers miss and wish for.

use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::machine::{Datagram, Egress};
use tidewire_core::rtcp::{self, Packet, Reports, TransportFeedback};
use tidewire_core::time::{Instant, Ntp};

use super::SessionTable;
use crate::connection::Role;
use crate::fanout::Item;
use crate::upstream::TrackKey;

impl SessionTable {
    pub(super) fn receive_rtcp<E: Egress>(
        &mut self,
        now: Instant,
        datagram: &mut Datagram<'_>,
        egress: &mut E,
    ) -> Result<(), Discard> {
        let slot = self.slot_of(&datagram.path)?;
        let connection = self.connections.at_mut(slot).ok_or(Discard::UnknownSource)?;
        let len = connection.unprotect_rtcp(datagram.bytes)?;
        let from_viewer = matches!(connection.role, Role::Downstream(_));
        let packets = rtcp::packets(datagram.bytes.get(..len).ok_or(Discard::RtcpMalformed)?)?;
        self.tally.count(Counter::RtcpAccepted);
        for packet in packets {
            if from_viewer {
                self.hear_viewer(now, slot, &packet, egress);
            } else {
                self.hear_publisher(now, slot, &packet);
            }
        }
        Ok(())
    }

    /// A new sender report goes on to everybody who hears its track.
    fn hear_publisher(&mut self, now: Instant, slot: u32, packet: &Packet<'_>) {
        let Some(upstream) = self.upstreams.at_mut(slot) else { return };
        let session = upstream.session;
        if let Some(track) = upstream.read_rtcp(packet, now) {
            self.queue(now, session, Item::Report { upstream: slot, track });
        }
    }

    fn hear_viewer<E: Egress>(&mut self, now: Instant, slot: u32, packet: &Packet<'_>, egress: &mut E) {
        match packet {
            Packet::ReceiverReport { reports, .. } | Packet::SenderReport { reports, .. } => {
                let Some(Role::Downstream(downstream)) = self.connections.at_mut(slot).map(|one| &mut one.role) else {
                    return;
                };
                let round_trips = reports.clone().filter_map(|report| downstream.read_report(now, &report));
                let round_trip = round_trips.last();
                self.note_reports(slot, round_trip, reports.clone());
            }
            Packet::Nack { media, lost } => self.repair(now, slot, *media, lost.clone(), egress),
            Packet::PictureLoss { media } => self.wish(now, slot, *media),
            Packet::FullIntra { requests } => {
                for (media, _) in requests.clone() {
                    self.wish(now, slot, media);
                }
            }
            Packet::TransportWide(feedback) => self.hear_transport(now, slot, feedback),
            Packet::Estimate { bits_per_second } => {
                if let Some(delivery) = self.deliveries.at_mut(slot) {
                    delivery.estimate.on_remb(now, *bits_per_second);
                    self.tally.count(Counter::EstimatesReceived);
                }
            }
            Packet::Times { ssrc, reference: Some(reference), .. } => self.note_time(now, slot, *ssrc, *reference),
            // A viewer's goodbye says nothing that its consent does not say better, and its answers are to nobody.
            Packet::Goodbye { .. } | Packet::Times { .. } | Packet::Other => {}
        }
    }

    /// What reception reports say of the path, for the estimate of what it carries.
    fn note_reports(&mut self, slot: u32, round_trip: Option<Duration>, reports: Reports<'_>) {
        let Some(delivery) = self.deliveries.at_mut(slot) else { return };
        if let Some(round_trip) = round_trip {
            delivery.estimate.on_round_trip(round_trip);
        }
        if let Some(fraction_lost) = reports.map(|report| report.fraction_lost).max() {
            delivery.estimate.on_loss_report(fraction_lost);
        }
    }

    /// A viewer tells its time: it is answered with the next sender report.
    fn note_time(&mut self, now: Instant, slot: u32, ssrc: u32, time: Ntp) {
        if let Some(Role::Downstream(downstream)) = self.connections.at_mut(slot).map(|one| &mut one.role) {
            downstream.note_time(now, ssrc, time);
        }
    }

    fn hear_transport(&mut self, now: Instant, slot: u32, feedback: &TransportFeedback<'_>) {
        let (Some(delivery), Some(connection)) = (self.deliveries.at_mut(slot), self.connections.at_mut(slot)) else {
            return;
        };
        match delivery.hear(now, feedback, connection.departures.as_deref_mut()) {
            Ok(()) => {
                self.tally.count(Counter::TransportFeedbackReceived);
                self.tally.add(Counter::TransportFeedbackStatuses, feedback.status_count.into());
            }
            Err(reason) => self.tally.discard(reason),
        }
    }

    fn repair<E: Egress>(
        &mut self,
        now: Instant,
        slot: u32,
        media: u32,
        lost: impl Iterator<Item = u16>,
        egress: &mut E,
    ) {
        if self.behind {
            // A repair is answered at once, and so ahead of everybody who waits for what was never sent.
            for _ in lost {
                self.tally.count(Counter::NacksReceived);
                self.tally.discard(Discard::OverloadRepair);
            }
            return;
        }
        // An SSRC of nobody's is a discard; one whose publisher is gone has nothing to be repaired from.
        let upstream = self.upstream_behind(slot, media);
        let Some(upstream) = upstream.and_then(|slot| self.upstreams.at(slot)) else {
            return self.tally.discard(Discard::UnknownSsrc);
        };
        let Some(connection) = self.connections.at_mut(slot) else { return };
        if let Some((mut way, Role::Downstream(downstream))) = connection.way(now, egress) {
            downstream.repair(media, lost, upstream, &mut way, &mut self.tally);
        }
    }

    /// A viewer's decoder needs a key frame of what it gets as `media`.
    fn wish(&mut self, now: Instant, slot: u32, media: u32) {
        self.tally.count(Counter::KeyFrameRequestsReceived);
        if let Some(Role::Downstream(downstream)) = self.connections.at_mut(slot).map(|one| &mut one.role) {
            downstream.note_key_frame_request(media);
        }
        match self.track_behind(slot, media) {
            Some(key) => self.want_key_frame(now, key.upstream(), key.track()),
            None => self.tally.discard(Discard::UnknownSsrc),
        }
    }

    /// The upstream of what a viewer gets as `ssrc`.
    fn upstream_behind(&self, viewer: u32, ssrc: u32) -> Option<u32> {
        let Role::Downstream(downstream) = &self.connections.at(viewer)?.role else { return None };
        downstream.upstream_behind(ssrc)
    }

    /// The track that a viewer gets as `ssrc`.
    fn track_behind(&self, viewer: u32, ssrc: u32) -> Option<TrackKey> {
        let Role::Downstream(downstream) = &self.connections.at(viewer)?.role else { return None };
        downstream.track_behind(ssrc)
    }
}
