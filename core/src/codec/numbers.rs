//! The numbers that a payload descriptor counts frames by, and how they are shifted for one viewer.
//!
//! A receiver that sees them jump waits for what never comes. Where a viewer turns from one encoding to another, or where frames
//! are left out that the numbers count, they are shifted so that they go on by one. A shift is added modulo the width in which
//! the publisher writes the number; nothing changes its length, so a packet stays as long as it was.

use super::Codec;

/// What a packet's descriptor counts its frame by. Zero where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Picture id (VP8, VP9), or frame number (dependency descriptor).
    pub picture: u16,
    /// Its bits: 7, 15 or 16; 0 when there is none.
    pub picture_bits: u8,
    /// Whether a receiver takes a hole in it for a loss, so that what is left out has to be closed over (VP8).
    pub closes: bool,
    /// TL0PICIDX, which counts frames of the lowest temporal layer.
    pub tl0: Option<u8>,
}

/// What is added to a packet's numbers for one viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    pub picture: u16,
    pub tl0: u8,
}

impl Numbers {
    pub const NONE: Self = Self { picture: 0, picture_bits: 0, closes: false, tl0: None };
}

impl Shift {
    pub const NONE: Self = Self { picture: 0, tl0: 0 };
}

/// Shifts the numbers in a payload's descriptor, and in the dependency descriptor where there is one.
pub fn renumber(codec: Codec, payload: &mut [u8], descriptor: Option<&mut [u8]>, by: Shift) {
    let _ = (codec, payload, descriptor, by);
}
