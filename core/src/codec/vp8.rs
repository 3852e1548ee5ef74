//! VP8 in RTP (RFC 7741): the payload descriptor, and the first bytes of a key frame behind it.
//!
//! In: a payload without padding. Out: where frames start, which of them are key frames and how large, and the temporal layers: the
//! descriptor numbers them (TID) and marks where a higher one can be entered (Y). The descriptor stays legible when the media
//! behind it is encrypted end to end. Picture id and TL0PICIDX are shifted in place.

use super::grid::Grid;
use super::numbers::{self, PictureId, Shift};
use super::{Inspection, Numbers, Packet, Reach, Target, Targets};

/// The temporal layers of one stream.
#[derive(Debug)]
pub(super) struct Layers {
    grid: Grid,
    size: Option<(u16, u16)>,
    /// The newest key frame's first packet.
    since: u64,
}

impl Layers {
    pub(super) fn new() -> Self {
        Self { grid: Grid::new(), size: None, since: 0 }
    }

    pub(super) fn inspect(&mut self, packet: &Packet<'_>) -> Inspection {
        self.read(packet).unwrap_or_default()
    }

    pub(super) fn targets(&self) -> &[Target] {
        self.grid.targets()
    }

    pub(super) const fn size(&self) -> Option<(u16, u16)> {
        self.size
    }

    fn read(&mut self, packet: &Packet<'_>) -> Option<Inspection> {
        let descriptor = Descriptor::read(packet.payload)?;
        let frame = packet.payload.get(descriptor.len..)?;
        // RFC 7741 4.3: P, the lowest bit of the frame's first byte, is 0 for a key frame (RFC 6386 9.1).
        let key_frame = frame.first()? & 0x01 == 0 && descriptor.frame_start;
        let size = if key_frame { size(frame) } else { None };
        if key_frame && packet.sequence >= self.since {
            (self.size, self.since) = (size.or(self.size), packet.sequence);
        }
        let reach = self.reach(&descriptor, key_frame);
        let numbers = descriptor.numbers();
        Some(Inspection {
            key_frame,
            frame_start: descriptor.frame_start,
            frame_end: packet.marker,
            reach,
            numbers,
            size,
        })
    }

    fn reach(&mut self, descriptor: &Descriptor, key_frame: bool) -> Reach {
        let place = self.grid.place(0, descriptor.temporal);
        if key_frame {
            return Reach::START;
        }
        // RFC 7741 4.2: with Y a frame leans on the lowest layer alone, so whoever has the layer below can go on with this one. Without,
        // it may lean on its own layer's past.
        let decodable = if descriptor.sync { place.temporal_from_below() } else { place.temporal_from() };
        Reach {
            part_of: Targets(place.temporal_from()),
            entry_to: Targets(place.temporal_at()),
            decodable_in: Targets(decodable),
            spatial: 0,
            temporal: descriptor.temporal,
        }
    }
}

/// What the descriptor counts its frame by.
pub(super) fn numbers(payload: &[u8]) -> Numbers {
    Descriptor::read(payload).map_or(Numbers::NONE, |descriptor| descriptor.numbers())
}

/// Shifts picture id and TL0PICIDX.
pub(super) fn renumber(payload: &mut [u8], by: Shift) {
    let Some(descriptor) = Descriptor::read(payload) else { return };
    numbers::shift(payload, descriptor.picture, descriptor.tl0.map(|(_, at)| at), by);
}

struct Descriptor {
    frame_start: bool,
    picture: Option<PictureId>,
    /// TL0PICIDX, and where it stands.
    tl0: Option<(u8, usize)>,
    temporal: u8,
    sync: bool,
    len: usize,
}

impl Descriptor {
    /// RFC 7741 4.2: X announces a byte that announces, one by one, what follows it.
    fn read(payload: &[u8]) -> Option<Self> {
        let &first = payload.first()?;
        // S marks the start of a partition, PID 0 is the first one, so both together start the frame.
        let frame_start = first & START != 0 && first & PARTITION == 0;
        let mut read = Self { frame_start, picture: None, tl0: None, temporal: 0, sync: false, len: 1 };
        if first & EXTENDED != 0 {
            read.extend(payload, *payload.get(1)?)?;
        }
        Some(read)
    }

    fn extend(&mut self, payload: &[u8], announced: u8) -> Option<()> {
        self.len = 2;
        if announced & PICTURE_ID != 0 {
            let picture = PictureId::read(payload, self.len)?;
            self.len += picture.len();
            self.picture = Some(picture);
        }
        if announced & TL0_PICTURE_INDEX != 0 {
            self.tl0 = Some((*payload.get(self.len)?, self.len));
            self.len += 1;
        }
        if announced & (TEMPORAL_ID | KEY_INDEX) != 0 {
            let &byte = payload.get(self.len)?;
            // Without T its bits, and Y with them, are to be ignored.
            if announced & TEMPORAL_ID != 0 {
                (self.temporal, self.sync) = (byte >> 6, byte & 0x20 != 0);
            }
            self.len += 1;
        }
        Some(())
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            picture: self.picture.map_or(0, |picture| picture.value),
            picture_bits: self.picture.map_or(0, |picture| picture.bits),
            closes: self.picture.is_some(),
            tl0: self.tl0.map(|(value, _)| value),
            frame: None,
        }
    }
}

/// RFC 6386 9.1: three bytes of frame tag, the start code, then 14 bits each of width and height, low byte first.
fn size(frame: &[u8]) -> Option<(u16, u16)> {
    let header: &[u8; 10] = frame.first_chunk()?;
    if header[3..6] != START_CODE {
        return None;
    }
    let fourteen_bits = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    Some((fourteen_bits(header[6], header[7]), fourteen_bits(header[8], header[9])))
}

const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;
const PARTITION: u8 = 0x07;

const PICTURE_ID: u8 = 0x80;
const TL0_PICTURE_INDEX: u8 = 0x40;
const TEMPORAL_ID: u8 = 0x20;
const KEY_INDEX: u8 = 0x10;

const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

#[cfg(test)]
mod tests;
