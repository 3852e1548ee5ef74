//! The numbers that a payload descriptor counts frames by, and how they are shifted for one viewer.
//!
//! A receiver that sees them jump waits for what never comes. Where a viewer turns from one encoding to another, or where frames
//! are left out that the numbers count, they are shifted so that they go on by one. A shift is added modulo the width in which
//! the publisher writes the number; nothing changes its length, so a packet stays as long as it was.

use super::{Codec, dependency, vp8, vp9};

/// What a packet's descriptors count its frame by. Zero or none where they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Picture id of the payload descriptor (VP8, VP9).
    pub picture: u16,
    /// Its bits: 7 or 15; 0 when there is none.
    pub picture_bits: u8,
    /// Whether a receiver takes a hole in it for a loss, so that what is left out has to be closed over (VP8).
    pub closes: bool,
    /// TL0PICIDX, which counts frames of the lowest temporal layer.
    pub tl0: Option<u8>,
    /// Frame number of the dependency descriptor, where that was read. It stands beside the picture id and runs at its own pace:
    /// each spatial layer counts, and Chromium counts the frames of all encodings together.
    pub frame: Option<u16>,
}

/// What is added to a packet's numbers for one viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    pub picture: u16,
    pub tl0: u8,
    pub frame: u16,
}

impl Numbers {
    pub const NONE: Self = Self { picture: 0, picture_bits: 0, closes: false, tl0: None, frame: None };

    /// Whether these, of a frame in this spatial layer, are of the very picture after the one that ended with `last`. Where frames
    /// of all encodings are counted together it cannot be told.
    pub const fn are_of_the_picture_after(&self, last: &Self, spatial: u8) -> bool {
        if self.picture_bits > 0 && self.picture_bits == last.picture_bits {
            let mask = u16::MAX >> (u16::BITS - self.picture_bits as u32);
            return self.picture.wrapping_sub(last.picture) & mask == 1;
        }
        match (self.frame, last.frame) {
            // The frames of its own picture below it are counted too.
            (Some(own), Some(last)) => {
                matches!(own.wrapping_sub(last), ahead if ahead > 0 && ahead <= 1 + spatial as u16)
            }
            _ => false,
        }
    }
}

impl Shift {
    pub const NONE: Self = Self { picture: 0, tl0: 0, frame: 0 };
}

/// Shifts the numbers in a payload's descriptor, and in the dependency descriptor where there is one.
///
/// Whatever is not there, or is cut off, stays as it is.
pub fn renumber(codec: Codec, payload: &mut [u8], descriptor: Option<&mut [u8]>, by: Shift) {
    match codec {
        Codec::Vp8 => vp8::renumber(payload, by),
        Codec::Vp9 => vp9::renumber(payload, by),
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::H264 | Codec::H265 | Codec::Av1 => {
        }
    }
    if let Some(descriptor) = descriptor {
        dependency::renumber(descriptor, by);
    }
}

/// A picture id and where it stands: 7 bits, or 15 when its first bit (M) says so (RFC 7741 4.2, RFC 9628 4.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct PictureId {
    pub(super) value: u16,
    pub(super) bits: u8,
    pub(super) at: usize,
}

impl PictureId {
    pub(super) fn read(payload: &[u8], at: usize) -> Option<Self> {
        let &first = payload.get(at)?;
        if first & 0x80 == 0 {
            return Some(Self { value: first.into(), bits: 7, at });
        }
        let &second = payload.get(at + 1)?;
        Some(Self { value: u16::from_be_bytes([first & 0x7f, second]), bits: 15, at })
    }

    /// Bytes that it takes.
    pub(super) const fn len(self) -> usize {
        if self.bits == 7 { 1 } else { 2 }
    }

    pub(super) fn shift(self, payload: &mut [u8], by: u16) {
        let value = self.value.wrapping_add(by);
        let [high, low] = value.to_be_bytes();
        match payload.get_mut(self.at..self.at + self.len()) {
            Some([only]) => *only = low & 0x7f,
            Some([first, second]) => (*first, *second) = (high | 0x80, low),
            Some(_) | None => {}
        }
    }
}

/// Shifts what a payload descriptor counts by: its picture id, and the byte of its TL0PICIDX.
pub(super) fn shift(payload: &mut [u8], picture: Option<PictureId>, tl0_at: Option<usize>, by: Shift) {
    if let Some(picture) = picture {
        picture.shift(payload, by.picture);
    }
    if let Some(tl0) = tl0_at.and_then(|at| payload.get_mut(at)) {
        *tl0 = tl0.wrapping_add(by.tl0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_after_is_told_by_picture_ids_else_by_frames() {
        let pictures = |picture, picture_bits| Numbers { picture, picture_bits, ..Numbers::NONE };
        let follows = |one: Numbers, other: Numbers, spatial| other.are_of_the_picture_after(&one, spatial);
        assert!(follows(pictures(127, 7), pictures(0, 7), 0) && follows(pictures(0x7fff, 15), pictures(0, 15), 2));
        assert!(!follows(pictures(5, 7), pictures(7, 7), 0) && !follows(pictures(5, 7), pictures(5, 7), 0));
        assert!(!follows(pictures(127, 7), pictures(128, 15), 0) && !follows(Numbers::NONE, Numbers::NONE, 0));
        let frames = |frame| Numbers { frame: Some(frame), ..Numbers::NONE };
        assert!(follows(frames(0xffff), frames(0), 0) && follows(frames(8), frames(10), 1));
        assert!(!follows(frames(8), frames(10), 0) && !follows(frames(8), frames(8), 2));
    }
}
