//! What a shard and the handshake threads say to each other.
//!
//! DTLS costs half a millisecond of CPU a join, so no shard runs it. A shard sends on the DTLS datagrams of
//! ICE-validated paths; a handshake thread answers with records to send and, once, with keys. The thread keeps the DTLS
//! association until it is told `Close`, so that a lost last flight is repeated and a close is announced properly.

use crate::id::ConnectionId;

/// From a shard to a handshake thread.
#[derive(Debug)]
pub enum Request {
    /// Before the first datagram of a connection: expect a client with this certificate.
    Start { connection: ConnectionId, fingerprint: Fingerprint },
    /// One DTLS datagram, from an ICE-validated path.
    Datagram { connection: ConnectionId, bytes: Box<[u8]> },
    /// Say goodbye (`close_notify`) and forget the connection.
    Close { connection: ConnectionId },
}

/// From a handshake thread to the shard.
#[derive(Debug)]
pub enum Progress {
    /// Send this datagram to the connection's current path.
    Records { connection: ConnectionId, bytes: Box<[u8]> },
    /// The handshake is complete and the client's certificate is the promised one.
    Keys { connection: ConnectionId, keys: SrtpKeys },
    /// The handshake failed, or the client closed: the connection ends.
    Ended { connection: ConnectionId, reason: EndReason },
}

/// Why a DTLS association is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client's certificate does not have the fingerprint its description promised (RFC 8827 6.5).
    WrongFingerprint,
    /// No SRTP profile in common, or a protocol error.
    HandshakeFailed,
    /// The handshake did not finish in time.
    HandshakeTimeout,
    /// The client sent `close_notify`.
    PeerClosed,
}

/// A certificate fingerprint from SDP (RFC 8122). Only SHA-256 is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// SRTP protection profiles that Tidewire speaks, in its order of preference (RFC 7714 14.2, RFC 5764 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    AeadAes256Gcm,
    AeadAes128Gcm,
    Aes128CmSha1_80,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::Aes128CmSha1_80];

    /// Bytes of one master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
        }
    }

    /// Bytes of one master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }
}

/// One direction's master key and salt.
#[derive(Clone)]
pub struct MasterKey {
    pub key: arrayvec::ArrayVec<u8, 32>,
    pub salt: arrayvec::ArrayVec<u8, 14>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// What DTLS-SRTP agreed on (RFC 5764 4.2), by direction as the server sees it.
#[derive(Clone, Debug)]
pub struct SrtpKeys {
    pub profile: Profile,
    /// Opens what the client sends.
    pub inbound: MasterKey,
    /// Seals what the server sends.
    pub outbound: MasterKey,
}

impl SrtpKeys {
    /// Splits exported keying material `client key | server key | client salt | server salt` for a DTLS server (RFC 5764 4.2).
    /// `None` unless `material` has exactly the profile's length.
    pub fn for_server(profile: Profile, material: &[u8]) -> Option<Self> {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        if material.len() != 2 * (key + salt) {
            return None;
        }
        let (keys, salts) = material.split_at(2 * key);
        let master = |side: usize| {
            Some(MasterKey {
                key: keys[side * key..][..key].try_into().ok()?,
                salt: salts[side * salt..][..salt].try_into().ok()?,
            })
        };
        Some(Self { profile, inbound: master(0)?, outbound: master(1)? })
    }
}
