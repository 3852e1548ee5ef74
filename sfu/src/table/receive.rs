//! First phase: a datagram finds its connection and proves itself, or is a discard.

use tidewire_core::codec::Kind;
use tidewire_core::count::{Counter, Discard};
use tidewire_core::demux::{self, Class};
use tidewire_core::handshake;
use tidewire_core::ice::IceEvent;
use tidewire_core::machine::{Datagram, Egress, Path};
use tidewire_core::stun::{self, Binding};
use tidewire_core::time::Instant;

use super::SessionTable;
use crate::fanout::Item;

impl SessionTable {
    pub(super) fn receive<E: Egress>(
        &mut self,
        now: Instant,
        datagram: &mut Datagram<'_>,
        egress: &mut E,
    ) -> Result<(), Discard> {
        match demux::classify(datagram.bytes)? {
            Class::Stun => self.receive_stun(now, datagram, egress),
            Class::Dtls => self.receive_dtls(datagram),
            Class::Rtp => self.receive_rtp(now, datagram),
            Class::Rtcp => self.receive_rtcp(now, datagram, egress),
        }
    }

    /// The slot of the connection that has validated this path. Nothing else may speak anything but STUN.
    pub(super) fn slot_of(&self, path: &Path) -> Result<u32, Discard> {
        self.paths.of(path).ok_or(Discard::UnknownSource)
    }

    /// RFC 8445 7.3: a check is answered, and shows a way to its sender. The user name is looked up before any HMAC.
    fn receive_stun<E: Egress>(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        egress: &mut E,
    ) -> Result<(), Discard> {
        let binding = Binding::parse(datagram.bytes)?;
        let (shard, id) = self.ufrags.decode(binding.local_ufrag).ok_or(Discard::StunUnknownUser)?;
        let known = self.connections.at_mut(id.slot).filter(|connection| shard == self.shard && connection.id == id);
        let connection = known.ok_or(Discard::StunUnknownUser)?;
        let out = egress.reserve(&datagram.path, stun::RESPONSE_LEN_MAX).ok_or(Discard::EgressFull)?;
        let answer = connection.ice.handle(now, &datagram.path, &binding, out)?;
        egress.commit(answer.len);
        self.tally.count(Counter::StunAnswered);
        for event in answer.events {
            self.follow(now, id.slot, event, egress);
        }
        if let Some(connection) = self.connections.at_mut(id.slot) {
            connection.devote(now, egress);
        }
        Ok(())
    }

    /// Keeps the index of paths in step with a connection's ICE.
    fn follow<E: Egress>(&mut self, now: Instant, slot: u32, event: IceEvent, egress: &mut E) {
        match event {
            IceEvent::Validated(path) => {
                let loser = self.paths.bind(path, slot).and_then(|loser| self.connections.at_mut(loser));
                if let Some(loser) = loser {
                    loser.ice.forget(&path);
                    loser.devote(now, egress);
                }
            }
            IceEvent::Forgotten(path) => self.paths.unbind(&path, slot),
            // Where to send is read from the connection's ICE at every send.
            IceEvent::Selected(_) => {}
        }
    }

    /// RFC 8445 and RFC 8842: handshakes begin only with who has shown the password; that is an ICE-validated path.
    fn receive_dtls(&mut self, datagram: &Datagram<'_>) -> Result<(), Discard> {
        let slot = self.slot_of(&datagram.path)?;
        let connection = self.connections.at_mut(slot).ok_or(Discard::UnknownSource)?;
        let (id, fingerprint) = (connection.id, connection.fingerprint);
        if !std::mem::replace(&mut connection.handshaking, true) {
            self.tell_handshake(handshake::Request::Start { connection: id, fingerprint })?;
        }
        self.tell_handshake(handshake::Request::Datagram { connection: id, bytes: Box::from(&*datagram.bytes) })?;
        self.tally.count(Counter::DtlsHandedOver);
        Ok(())
    }

    fn receive_rtp(&mut self, now: Instant, datagram: &mut Datagram<'_>) -> Result<(), Discard> {
        let slot = self.slot_of(&datagram.path)?;
        let connection = self.connections.at_mut(slot).ok_or(Discard::UnknownSource)?;
        let packet = connection.unprotect(datagram.bytes)?;
        let (id, arrival) = (connection.id, datagram.arrival.min(now));
        let bytes = datagram.bytes.get(..packet.len).ok_or(Discard::RtpMalformed)?;
        self.note_arrival(id, arrival, &packet.header, bytes);
        let upstream = self.upstreams.at_mut(slot).ok_or(Discard::NotSending)?;
        let accepted = upstream.accept(arrival, &packet.header, packet.index, bytes, &mut self.tally)?;
        let session = upstream.session;
        if upstream.take_changed() {
            // Before the packet goes out: it may be the key frame that somebody turns to.
            self.review_anew(now, slot);
        }
        self.arm_feedback(slot);
        if accepted.kind == Kind::Audio {
            self.listen(now, slot, &accepted, &packet.header, bytes)?;
        }
        self.queue(now, session, Item::Packet { upstream: slot, accepted });
        Ok(())
    }
}
