//! Connections come, get their keys, and go.

use arrayvec::ArrayVec;
use tidewire_core::count::Discard;
use tidewire_core::handshake::{self, EndReason, Fingerprint, SrtpKeys};
use tidewire_core::ice::IceLite;
use tidewire_core::id::ConnectionId;
use tidewire_core::limits::{CONNECTIONS_MAX, MEDIA_SECTIONS_MAX, PARTING_MAX};
use tidewire_core::machine::{Egress, Path};
use tidewire_core::message::CloseReason;
use tidewire_core::negotiate::{Agreement, Credentials};
use tidewire_core::time::Instant;

use super::SessionTable;
use crate::arrivals::Arrivals;
use crate::command::{Carried, Event, OpenDownstream, OpenUpstream, PublicationId, SessionId};
use crate::connection::{Connection, Role};
use crate::delivery::Delivery;
use crate::departures::Departures;
use crate::devotion::Devotion;
use crate::downstream::{Downstream, Stream};
use crate::session::Session;
use crate::table::slots::Presence;
use crate::upstream::{TrackKey, Upstream};

impl SessionTable {
    pub(super) fn open_upstream(&mut self, now: Instant, open: OpenUpstream) {
        let slot = open.connection.slot;
        let Agreement { remote, fingerprint, .. } = open.agreement;
        if !self.open(now, open.connection, (open.local, remote), fingerprint, Role::Upstream) {
            return;
        }
        let ssrc = self.random.next_u32();
        if let Some(arrivals) = Arrivals::agreed(&open.agreement.media, ssrc) {
            self.arrivals.put(slot, arrivals);
        }
        let upstream = Upstream::new(now, open.session, open.publication, &open.agreement.media, ssrc);
        self.upstreams.put(slot, upstream);
        if let Some(former) = self.session(open.session).publisher(open.publication) {
            self.detach_viewers(open.session, open.publication, former);
        }
        self.session(open.session).publish(open.publication, slot);
        self.attach_viewers(open.session, open.publication, slot);
    }

    pub(super) fn open_downstream(&mut self, now: Instant, open: OpenDownstream) {
        let publications = publications(&open.streams);
        let downstream = Downstream::new(open.session, open.streams, open.tells, &mut self.random);
        let role = Role::Downstream(Box::new(downstream));
        if self.open(now, open.connection, (open.local, open.remote), open.fingerprint, role) {
            self.deliveries.put(open.connection.slot, Delivery::default());
            self.claim_departures(open.connection.slot);
            self.watch(now, open.connection.slot, open.session, &publications);
        }
    }

    /// Ends some of a downstream's streams, and begins others. What begins asks for its key frames at once.
    pub(super) fn change_downstream<E: Egress>(
        &mut self,
        now: Instant,
        id: ConnectionId,
        ended: &[u32],
        begun: Vec<Carried>,
        egress: &mut E,
    ) {
        let Some(connection) = self.connections.at_mut(id.slot).filter(|connection| connection.id == id) else {
            return;
        };
        let Role::Downstream(downstream) = &mut connection.role else { return };
        let session = downstream.session;
        let ended = downstream.end(ended);
        let left: Vec<_> = ended.iter().map(Stream::publication).filter(|one| !downstream.watches(*one)).collect();
        let publications = publications(&begun);
        downstream.begin(begun, &mut self.random);
        if let Some((mut way, _)) = connection.way(now, egress) {
            way.say_goodbye(&ended);
        }
        let has_keys = connection.protection.is_some();
        self.claim_departures(id.slot);
        for publication in left {
            self.session(session).unwatch(publication, id.slot);
        }
        self.watch(now, id.slot, session, &publications);
        if has_keys {
            self.want_starving(now, id.slot, egress);
        }
        self.drop_if_empty(session);
    }

    /// Whoever reports on its transport has what leaves remembered from the first stream on that is numbered.
    fn claim_departures(&mut self, slot: u32) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let Role::Downstream(downstream) = &connection.role else { return };
        if connection.departures.is_none() && downstream.is_numbered() {
            connection.departures = Some(Departures::new());
        }
    }

    /// Keys are in: a viewer is served from now on, and its key frame is asked for at once.
    pub(super) fn connect<E: Egress>(&mut self, now: Instant, id: ConnectionId, keys: &SrtpKeys, egress: &mut E) {
        let Some(connection) = self.connection(id) else { return };
        connection.protect(keys);
        connection.devote(now, egress);
        let early_media = connection.early_media;
        let viewer = match &connection.role {
            Role::Upstream => None,
            Role::Downstream(downstream) => Some(downstream.session),
        };
        self.events.push_back(Event::Connected { connection: id });
        match viewer {
            None => {
                if early_media {
                    self.want_all_key_frames(now, id.slot);
                }
                self.send_feedback(now, id.slot, egress);
                self.arm_feedback(id.slot);
                self.review_anew(now, id.slot);
            }
            Some(session) => {
                self.session(session).add_viewer(id.slot);
                self.want_starving(now, id.slot, egress);
            }
        }
    }

    /// Ends a connection: goodbye to the client, everything about it given back, control told. Unknown ones are ignored.
    pub(super) fn close<E: Egress>(&mut self, now: Instant, id: ConnectionId, reason: CloseReason, egress: &mut E) {
        if self.connection(id).is_none() {
            return;
        }
        let Some(mut connection) = self.connections.take(id.slot) else { return };
        connection.devotion.follow(now, None, egress);
        if let Some((mut way, Role::Downstream(downstream))) = connection.way(now, egress) {
            downstream.say_goodbye(&mut way);
        }
        self.observations.take(id.slot);
        for path in connection.ice.paths() {
            self.paths.unbind(&path, id.slot);
        }
        match &connection.role {
            Role::Upstream => self.unpublish(now, id.slot),
            Role::Downstream(downstream) => self.leave(downstream, id.slot),
        }
        if connection.handshaking {
            // Not bounded by the queue's limit: one per connection, and the thread must not keep what nobody has.
            self.handshakes.push_back(handshake::Request::Close { connection: id });
            self.remember_parting(id, connection.ice.selected());
        }
        self.events.push_back(Event::Closed { connection: id, reason });
    }

    pub(super) fn shut_down<E: Egress>(&mut self, now: Instant, egress: &mut E) {
        let all: Vec<_> = self.connections.taken().filter_map(|slot| Some(self.connections.at(slot)?.id)).collect();
        for id in all {
            self.close(now, id, CloseReason::Shutdown, egress);
        }
    }

    pub(super) fn consent_timeout<E: Egress>(&mut self, now: Instant, at: Instant, id: ConnectionId, egress: &mut E) {
        let Some(connection) = self.connection(id).filter(|connection| connection.consent == Some(at)) else { return };
        connection.consent = None;
        if connection.ice.consent_deadline() <= now {
            self.close(now, id, CloseReason::ConsentExpired, egress);
        } else {
            self.arm_consent(id.slot);
        }
    }

    pub(super) fn feedback_timeout<E: Egress>(&mut self, now: Instant, at: Instant, id: ConnectionId, egress: &mut E) {
        if self.connection(id).is_none() {
            return;
        }
        let Some(upstream) = self.upstreams.at_mut(id.slot).filter(|upstream| upstream.armed == Some(at)) else {
            return;
        };
        upstream.armed = None;
        self.send_feedback(now, id.slot, egress);
        self.arm_feedback(id.slot);
    }

    /// Sends what a handshake thread wants sent; after a connection's end that is its `close_notify`.
    pub(super) fn send_records<E: Egress>(&mut self, id: ConnectionId, bytes: &[u8], egress: &mut E) {
        let open = self.connection(id).and_then(|connection| connection.ice.selected());
        let parting = || self.parting.iter().find(|(parted, _)| *parted == id).map(|(_, path)| *path);
        let Some(path) = open.or_else(parting) else { return };
        match egress.reserve(&path, bytes.len()) {
            Some(out) => {
                out.copy_from_slice(bytes);
                egress.commit(bytes.len());
            }
            None => self.tally.discard(Discard::EgressFull),
        }
    }

    /// Keeps the way of a connection that ended, for what its handshake thread says last.
    fn remember_parting(&mut self, id: ConnectionId, path: Option<Path>) {
        let Some(path) = path else { return };
        if self.parting.len() >= PARTING_MAX {
            self.parting.pop_front();
        }
        self.parting.push_back((id, path));
    }

    /// Takes a place for a connection; `credentials` are this end's and the client's.
    fn open(
        &mut self,
        now: Instant,
        id: ConnectionId,
        credentials: (Credentials, Credentials),
        fingerprint: Fingerprint,
        role: Role,
    ) -> bool {
        if id.slot as usize >= CONNECTIONS_MAX || self.connections.at(id.slot).is_some() {
            // Control hands out free slots only; were it wrong, the connection that is there has the better right.
            debug_assert!(false, "slot {id:?} is taken");
            return false;
        }
        let (local, remote) = credentials;
        let connection = Connection {
            id,
            ice: IceLite::new(local, remote, now),
            fingerprint,
            handshaking: false,
            protection: None,
            early_media: false,
            devotion: Devotion::default(),
            role,
            departures: None,
            presence: Presence::Here,
            consent: None,
        };
        self.connections.put(id.slot, connection);
        self.arm_consent(id.slot);
        true
    }

    fn session(&mut self, id: SessionId) -> &mut Session {
        if self.sessions.at(id.0).is_none() {
            self.sessions.put(id.0, Session::default());
        }
        self.sessions.at_mut(id.0).unwrap_or_else(|| unreachable!("the place was filled above"))
    }

    /// Everybody who watches the publication hears its new publisher.
    fn attach_viewers(&mut self, session: SessionId, publication: PublicationId, slot: u32) {
        let (Some(upstream), Some(session)) = (self.upstreams.at(slot), self.sessions.at(session.0)) else { return };
        for viewer in session.watchers(publication) {
            if let Some(Role::Downstream(downstream)) = self.connections.at_mut(*viewer).map(|one| &mut one.role) {
                downstream.attach(publication, slot, upstream);
            }
        }
    }

    /// Nobody hears the publisher in this slot any longer.
    fn detach_viewers(&mut self, session: SessionId, publication: PublicationId, slot: u32) {
        let (Some(upstream), Some(session)) = (self.upstreams.at(slot), self.sessions.at(session.0)) else { return };
        for viewer in session.watchers(publication) {
            if let Some(Role::Downstream(downstream)) = self.connections.at_mut(*viewer).map(|one| &mut one.role) {
                downstream.detach(publication, upstream);
            }
        }
    }

    fn unpublish(&mut self, now: Instant, slot: u32) {
        self.arrivals.take(slot);
        let Some(Upstream { session, publication, .. }) = self.upstreams.at(slot) else { return };
        let (session, publication) = (*session, *publication);
        if self.sessions.at(session.0).is_some_and(|known| known.publisher(publication) == Some(slot)) {
            self.detach_viewers(session, publication, slot);
        }
        let Some(upstream) = self.upstreams.take(slot) else { return };
        self.listen_no_longer(now, slot, &upstream);
        let Some(known) = self.sessions.at_mut(session.0) else { return };
        known.fan_out.forget(slot);
        known.unpublish(publication, slot);
        self.drop_if_empty(session);
    }

    /// A downstream watches these publications from now on, and hears whoever publishes them.
    fn watch(&mut self, now: Instant, slot: u32, session: SessionId, publications: &[PublicationId]) {
        for publication in publications {
            let known = self.session(session);
            known.watch(*publication, slot);
            let publisher = known.publisher(*publication);
            let found = publisher.and_then(|slot| Some((slot, self.upstreams.at(slot)?)));
            if let (Some((publisher, upstream)), Some(Role::Downstream(downstream))) =
                (found, self.connections.at_mut(slot).map(|one| &mut one.role))
            {
                downstream.attach(*publication, publisher, upstream);
            }
            if let Some(publisher) = publisher {
                self.ask_viewer(now, publisher, slot);
            }
        }
    }

    /// A downstream is gone.
    fn leave(&mut self, downstream: &Downstream, slot: u32) {
        self.deliveries.take(slot);
        if let Some(session) = self.sessions.at_mut(downstream.session.0) {
            session.remove_viewer(slot);
            for publication in downstream.publications() {
                session.unwatch(publication, slot);
            }
        }
        self.drop_if_empty(downstream.session);
    }

    pub(super) fn drop_if_empty(&mut self, id: SessionId) {
        if self.sessions.at(id.0).is_some_and(|session| session.is_empty() && !session.queued) {
            self.sessions.take(id.0);
        }
    }

    fn want_all_key_frames(&mut self, now: Instant, slot: u32) {
        if let Some(upstream) = self.upstreams.at_mut(slot) {
            for track in 0..upstream.tracks.len() {
                upstream.want_key_frame(now, track as u8);
            }
        }
    }

    /// Asks at once for every key frame that a viewer waits for.
    pub(super) fn want_starving<E: Egress>(&mut self, now: Instant, viewer: u32, egress: &mut E) {
        let Some(Role::Downstream(downstream)) = self.connections.at(viewer).map(|one| &one.role) else { return };
        let starving: ArrayVec<TrackKey, MEDIA_SECTIONS_MAX> = downstream.starving().take(MEDIA_SECTIONS_MAX).collect();
        for key in starving {
            if let Some(upstream) = self.upstreams.at_mut(key.upstream()) {
                upstream.want_key_frame(now, key.track());
            }
            self.send_feedback(now, key.upstream(), egress);
            self.arm_feedback(key.upstream());
        }
    }
}

/// The publications that streams are of, each once.
fn publications(streams: &[Carried]) -> Vec<PublicationId> {
    let mut publications: Vec<_> = streams.iter().map(|carried| carried.publication).collect();
    publications.sort_unstable();
    publications.dedup();
    publications
}

/// How the end of a DTLS association is told to the gateway.
pub(super) const fn close_reason(reason: EndReason) -> CloseReason {
    match reason {
        EndReason::WrongFingerprint => CloseReason::WrongFingerprint,
        EndReason::HandshakeFailed | EndReason::HandshakeTimeout => CloseReason::HandshakeFailed,
        EndReason::PeerClosed => CloseReason::PeerClosed,
    }
}
