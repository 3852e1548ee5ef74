//! How a client makes itself known, and which keys it has: everything follows from its role and its port.
//!
//! A registration is 12 bytes: `TWFLOOR`, the role, the group as a big-endian number; it is answered with the same bytes.
//! Keys that anybody can compute protect nothing. They are here because sealing is the work that is measured.

use std::net::SocketAddrV4;

use arrayvec::ArrayVec;
use tidewire_core::handshake::{MasterKey, Profile};

pub(crate) const REGISTRATION_LEN: usize = 12;

/// The profile of all clients.
pub(crate) const PROFILE: Profile = Profile::AeadAes128Gcm;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Viewer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) role: Role,
    pub(crate) group: u32,
}

impl Registration {
    /// Reads a datagram; `None` if it is something else.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let bytes: &[u8; REGISTRATION_LEN] = datagram.try_into().ok()?;
        let (&[role], group) = bytes.strip_prefix(MARK)?.split_first_chunk()?;
        let role = [Role::Publisher, Role::Viewer].into_iter().find(|one| one.letter() == role)?;
        Some(Self { role, group: u32::from_be_bytes(group.try_into().ok()?) })
    }

    /// The datagram, which is its answer as well.
    pub(crate) fn write(&self) -> [u8; REGISTRATION_LEN] {
        let mut bytes = [0; REGISTRATION_LEN];
        let parts = MARK.iter().copied().chain([self.role.letter()]).chain(self.group.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        bytes
    }
}

impl Role {
    const fn letter(self) -> u8 {
        match self {
            Self::Publisher => b'P',
            Self::Viewer => b'V',
        }
    }
}

/// The one master key of a client, for what it sends or for what it is sent.
pub(crate) fn master_key(role: Role, client: SocketAddrV4) -> MasterKey {
    let key = b"tidewire-floor".iter().copied().chain(client.port().to_be_bytes());
    let salt = b"floor-salt-".iter().copied().chain([role.letter()]);
    MasterKey { key: ArrayVec::from_iter(key), salt: ArrayVec::from_iter(salt) }
}

const MARK: &[u8] = b"TWFLOOR";
