//! VP8 payloads (RFC 7741): written by the simulated publisher, read by the model decoder.

use super::encoder::Payload;
use super::frame::{Frame, Marks};

const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const START: u8 = 0x10;
const HAS_PICTURE: u8 = 0x80;
const HAS_TL0: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;

/// 4.2: the descriptor with all that it can hold, or with nothing that it need not.
pub(super) fn write(frame: &Frame, payload: Payload, first: bool) -> Vec<u8> {
    let discardable = if frame.temporal == 2 { NON_REFERENCE } else { 0 };
    let flags = discardable | if first { START } else { 0 };
    let [high, low] = frame.picture_id.to_be_bytes();
    let id: &[u8] = match payload {
        Payload::Bare => return vec![flags],
        Payload::ShortIds => &[low & 0x7f],
        Payload::Usual | Payload::Flexible | Payload::Encrypted => &[0x80 | high, low],
    };
    let mut bytes = vec![EXTENDED | flags, HAS_PICTURE | HAS_TL0 | HAS_TID | HAS_KEY_INDEX];
    bytes.extend(id);
    bytes.extend([frame.tl0, frame.temporal << 6 | u8::from(frame.sync) << 5 | frame.key_index & 0x1f]);
    bytes
}

/// 4.3, and RFC 6386 9.1: the first bytes of a frame: whether it is a key frame, then its size.
pub(super) fn head(key: bool, first: bool, (width, height): (u16, u16)) -> Vec<u8> {
    match (first, key) {
        (false, _) => Vec::new(),
        (true, false) => vec![0x31, 0, 0],
        (true, true) => {
            let ([w0, w1], [h0, h1]) = (width.to_le_bytes(), height.to_le_bytes());
            vec![0x30, 0, 0, 0x9d, 0x01, 0x2a, w0, w1, h0, h1]
        }
    }
}

/// Reads a descriptor; also how long it is.
pub(super) fn read(payload: &[u8]) -> Option<(Marks, usize)> {
    let mut bytes = payload.iter().copied();
    let first = bytes.next()?;
    let mut marks = Marks { starts: first & START != 0, ..Marks::default() };
    let extension = if first & EXTENDED != 0 { bytes.next()? } else { 0 };
    if extension & HAS_PICTURE != 0 {
        let high = bytes.next()?;
        let long = high & 0x80 != 0;
        let id = if long { u16::from(high & 0x7f) << 8 | u16::from(bytes.next()?) } else { high.into() };
        marks.picture = Some((id, if long { 15 } else { 7 }));
    }
    if extension & HAS_TL0 != 0 {
        marks.tl0 = Some(bytes.next()?);
    }
    if extension & (HAS_TID | HAS_KEY_INDEX) != 0 {
        let byte = bytes.next()?;
        marks.layers = (extension & HAS_TID != 0).then_some((0, byte >> 6));
    }
    Some((marks, payload.len() - bytes.len()))
}
