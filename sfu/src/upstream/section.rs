//! One media section of a publisher, as it was negotiated: what its payload types and header extensions mean, and which
//! tracks carry it.
//!
//! Nothing in it changes while the connection lasts. A section without simulcast has one track, one with it a track for each
//! encoding (RFC 8853), told apart by their RIDs (RFC 8852) and by nothing else: SSRCs that were announced say nothing then.

use std::ops::Range;

use tidewire_core::codec::Kind;
use tidewire_core::id::{Mid, Rid};
use tidewire_core::negotiate::{Extension, Extensions, Format, Media};
use tidewire_core::rtp::Header;

use super::sources::Role;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    pub(crate) mid: Mid,
    pub(crate) formats: Vec<Format>,
    pub(crate) extensions: Extensions,
    /// The encodings' names in the order of the offer; empty where there is one stream alone.
    pub(crate) rids: Vec<Rid>,
    /// Of its tracks, among all of the upstream's.
    first: u8,
}

impl Section {
    pub(super) fn new(media: &Media, first: u8) -> Self {
        Self {
            kind: media.kind,
            mid: media.mid,
            formats: media.formats.clone(),
            extensions: media.extensions.clone(),
            rids: media.rids.clone(),
            first,
        }
    }

    /// The indices of its tracks.
    pub(crate) fn tracks(&self) -> Range<usize> {
        let first = usize::from(self.first);
        first..first + self.rids.len().max(1)
    }

    /// Ticks of a second in the timestamps of this payload type; 0 where it is none of the section's.
    pub(crate) fn clock_rate(&self, payload_type: u8) -> u32 {
        let format = self.formats.iter().find(|format| format.payload_type == payload_type);
        format.map_or(0, |format| format.spec.clock_rate)
    }

    pub(super) fn role_of(&self, payload_type: u8) -> Option<Role> {
        self.formats.iter().find_map(|format| {
            if format.payload_type == payload_type {
                Some(Role::Primary)
            } else {
                (format.rtx == Some(payload_type)).then_some(Role::Repair)
            }
        })
    }

    /// Whether the packet says that it is of this section (RFC 8843 9.2).
    pub(super) fn is_named_by(&self, header: &Header, packet: &[u8]) -> bool {
        self.element(Extension::Mid, header, packet) == Some(self.mid.as_bytes())
    }

    /// The track that a packet of this section is of. Where there are several, its RID says so, or, of a repair, the repaired
    /// one (RFC 8852 3).
    pub(super) fn track_of(&self, role: Role, header: &Header, packet: &[u8]) -> Option<usize> {
        if self.rids.is_empty() {
            return Some(usize::from(self.first));
        }
        let extension = match role {
            Role::Primary => Extension::Rid,
            Role::Repair => Extension::RepairedRid,
        };
        let name = self.element(extension, header, packet)?;
        let at = self.rids.iter().position(|rid| rid.as_bytes() == name)?;
        Some(usize::from(self.first) + at)
    }

    pub(super) fn element<'a>(&self, extension: Extension, header: &Header, packet: &'a [u8]) -> Option<&'a [u8]> {
        let wanted = self.extensions.id(extension)?;
        header.extensions(packet).find(|(id, _)| *id == wanted).map(|(_, data)| data)
    }
}
