//! Packets that cannot be read yet: their dependency descriptor needs a template structure that is still on its way.
//!
//! Nobody can say for which viewers such a packet is, and once it was forwarded or left out that cannot be taken back. So it counts
//! as missing, and is asked for again behind the structure, which was asked for before it.

use super::Track;
use crate::upstream::Section;

impl Track {
    /// Whether a packet can only be read by a structure that is still missing: it is asked for again with that, since nobody
    /// can say now for which viewers it is.
    pub(super) fn awaits_structure(&mut self, section: &Section, sequence: u64, descriptor: Option<&[u8]>) -> bool {
        let (Some(layering), Some(descriptor)) = (&self.layering, descriptor) else { return false };
        let repairs = section.formats.iter().any(|format| format.feedback.nack);
        let unread = !layering.can_read(sequence, descriptor);
        self.unread = if unread { self.unread.saturating_add(1) } else { 0 };
        unread && repairs && self.unread <= UNREAD_MAX
    }
}

/// After so many packets the structure is not lost but was never sent: then what the payload says has to do. It is a second of
/// video at 2.5 Mb/s.
const UNREAD_MAX: u16 = 256;
