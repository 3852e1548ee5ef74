//! One client's transport: ICE, the hand-off of its DTLS, and the keys under which its media is opened and sealed.

use tidewire_core::count::Discard;
use tidewire_core::handshake::{Fingerprint, SrtpKeys};
use tidewire_core::ice::IceLite;
use tidewire_core::id::ConnectionId;
use tidewire_core::machine::{Egress, Path};
use tidewire_core::rtp::Header;
use tidewire_core::srtp::{Inbound, Outbound};
use tidewire_core::time::Instant;

use crate::departures::Departures;
use crate::devotion::Devotion;
use crate::downstream::{Downstream, Way};
use crate::table::slots::Presence;
use crate::timers::Armed;

/// Both directions' keys.
#[repr(C)]
pub(crate) struct Protection {
    pub(crate) outbound: Outbound,
    pub(crate) inbound: Inbound,
}

impl std::fmt::Debug for Protection {
    /// Keys are for no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Protection(..)")
    }
}

/// What a connection is for. An upstream's media lies in the table's upstreams, under the same slot.
#[derive(Debug)]
pub(crate) enum Role {
    Upstream,
    Downstream(Box<Downstream>),
}

/// See the module's description.
///
/// A viewer is served from two cache lines of this: the first, with its role and its path, and the one with its key.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Connection {
    pub(crate) role: Role,
    /// What left for a viewer that reports on its transport.
    pub(crate) departures: Option<Box<Departures>>,
    pub(crate) presence: Presence,
    pub(crate) ice: IceLite,
    pub(crate) protection: Option<Protection>,
    pub(crate) id: ConnectionId,
    pub(crate) fingerprint: Fingerprint,
    /// Whether a handshake thread knows of this connection.
    pub(crate) handshaking: bool,
    /// Whether media came before the keys.
    pub(crate) early_media: bool,
    pub(crate) consent: Armed,
    pub(crate) devotion: Devotion,
}

const _: () = assert!(
    size_of::<(Role, Option<Box<Departures>>, Presence)>() + size_of::<Option<Path>>() <= 64,
    "role, departures and path fit one cache line"
);

/// An RTP packet that was authenticated and decrypted in place.
pub(crate) struct Unprotected {
    pub(crate) header: Header,
    pub(crate) index: u64,
    pub(crate) len: usize,
}

impl Connection {
    /// Authenticates and decrypts an RTP packet in place.
    pub(crate) fn unprotect(&mut self, packet: &mut [u8]) -> Result<Unprotected, Discard> {
        if matches!(self.role, Role::Downstream(_)) {
            return Err(Discard::NotSending);
        }
        let header = Header::parse(packet)?;
        let Some(protection) = &mut self.protection else {
            self.early_media = true;
            return Err(Discard::NoKeys);
        };
        let opened = protection.inbound.open_rtp(&header, packet)?;
        Ok(Unprotected { header, index: opened.index, len: opened.len })
    }

    /// Authenticates and decrypts an RTCP datagram in place; returns its plain length.
    pub(crate) fn unprotect_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, Discard> {
        self.protection.as_mut().ok_or(Discard::NoKeys)?.inbound.open_rtcp(datagram)
    }

    pub(crate) fn protect(&mut self, keys: &SrtpKeys) {
        self.protection = Some(Protection {
            outbound: Outbound::new(keys.profile, &keys.outbound),
            inbound: Inbound::new(keys.profile, &keys.inbound),
        });
    }

    /// Whether this is a viewer who may hear any of the tracks with these bits.
    #[inline]
    pub(crate) fn may_hear(&self, tracks: u64) -> bool {
        match &self.role {
            Role::Upstream => false,
            Role::Downstream(downstream) => downstream.may_hear(tracks),
        }
    }

    /// Has fetched what serving this viewer will begin with: the first of three steps, each of which reads what was fetched
    /// in the one before.
    #[inline]
    pub(crate) fn expect<E: Egress>(&self, egress: &E) {
        egress.expect(&self.protection);
        if let Some(departures) = &self.departures {
            egress.expect(&**departures);
        }
        if let Role::Downstream(downstream) = &self.role {
            egress.expect(&**downstream);
        }
    }

    /// The second step: streams, key, and where the next departure is noted.
    #[inline]
    pub(crate) fn expect_more<E: Egress>(&self, egress: &E) {
        if let Role::Downstream(downstream) = &self.role {
            for stream in downstream.front() {
                stream.expect(egress);
            }
        }
        if let Some(departures) = &self.departures {
            departures.expect(egress);
        }
        if let Some(protection) = &self.protection {
            protection.outbound.expect(egress);
        }
    }

    /// The third, right before it is served.
    #[inline]
    pub(crate) fn expect_last<E: Egress>(&self, egress: &E) {
        if let Role::Downstream(downstream) = &self.role {
            for stream in downstream.front() {
                stream.expect_last(egress);
            }
        }
    }

    /// Has something set aside for the path on which this connection gets media: a viewer's, once it has keys.
    pub(crate) fn devote<E: Egress>(&mut self, now: Instant, egress: &mut E) {
        let is_served = matches!(self.role, Role::Downstream(_)) && self.protection.is_some();
        self.devotion.follow(now, self.ice.selected().filter(|_| is_served), egress);
    }

    /// Whether there is anything to send by: keys and a path. Another connection may have taken the path.
    pub(crate) fn has_way(&self) -> bool {
        self.protection.is_some() && self.ice.selected().is_some()
    }

    /// Lends what sending takes, beside the role; nothing before keys and a path are there.
    #[inline]
    pub(crate) fn way<'a, E>(&'a mut self, now: Instant, egress: &'a mut E) -> Option<(Way<'a, E>, &'a mut Role)> {
        let path = self.ice.selected()?;
        let outbound = &mut self.protection.as_mut()?.outbound;
        let departures = self.departures.as_deref_mut();
        Some((Way { now, outbound, path, egress, departures }, &mut self.role))
    }
}
