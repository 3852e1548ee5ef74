//! VP9 payloads (RFC 9628), in either mode: written by the simulated publisher, read by the model decoder.

use super::encoder::Payload;
use super::frame::{Frame, Marks};
use super::structure::PERIOD;

const HAS_PICTURE: u8 = 0x80;
const PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS: u8 = 0x08;
const ENDS: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
const NOT_FOR_UPPER: u8 = 0x01;

/// 4.2: the descriptor, with the scalability structure in the first packet of a key picture.
pub(super) fn write(frame: &Frame, payload: Payload, (first, last): (bool, bool)) -> Vec<u8> {
    let place = (frame.since_key, frame.spatial);
    let structured = first && place == (0, 0);
    let flexible = payload == Payload::Flexible;
    let for_upper = frame.spatial + 1 < frame.structure.spatial_layers
        && frame.structure.leans_down((frame.since_key, frame.spatial + 1));
    let flags = [
        (HAS_PICTURE | HAS_LAYERS, true),
        (PREDICTED, frame.since_key > 0),
        (FLEXIBLE, flexible),
        (BEGINS, first),
        (ENDS, last),
        (HAS_STRUCTURE, structured),
        (NOT_FOR_UPPER, !for_upper),
    ];
    let mut bytes = vec![flags.iter().filter(|(_, set)| *set).map(|(flag, _)| flag).sum()];
    let [high, low] = frame.picture_id.to_be_bytes();
    let id: &[u8] = if payload == Payload::ShortIds { &[low & 0x7f] } else { &[0x80 | high, low] };
    bytes.extend(id);
    let (up, down) =
        (u8::from(frame.structure.is_switching_up(frame.since_key)), u8::from(frame.structure.leans_down(place)));
    bytes.push(frame.temporal << 5 | up << 4 | frame.spatial << 1 | down);
    if flexible {
        write_differences(frame.structure.backs(frame.since_key), &mut bytes);
    } else {
        bytes.push(frame.tl0);
    }
    if structured {
        write_structure(frame, !flexible, &mut bytes);
    }
    bytes
}

/// 4.2: how far back each picture is that this one leans on, and whether another follows.
fn write_differences(backs: &[u32], bytes: &mut Vec<u8>) {
    let count = backs.len();
    bytes.extend(backs.iter().enumerate().map(|(at, back)| (*back as u8) << 1 | u8::from(at + 1 < count)));
}

/// 4.2.1: sizes of all spatial layers, and the group of pictures where there is one.
fn write_structure(frame: &Frame, grouped: bool, bytes: &mut Vec<u8>) {
    let structure = frame.structure;
    bytes.push((structure.spatial_layers - 1) << 5 | 0x10 | u8::from(grouped) << 3);
    for (width, height) in &frame.sizes {
        bytes.extend(width.to_be_bytes().into_iter().chain(height.to_be_bytes()));
    }
    if !grouped {
        return;
    }
    bytes.push(PERIOD as u8);
    for picture in 0..PERIOD {
        // The first of a group leans on the group before.
        let backs = structure.backs(if picture == 0 { PERIOD } else { picture });
        let up = u8::from(structure.is_switching_up(picture));
        bytes.push(structure.temporal(picture) << 5 | up << 4 | (backs.len() as u8) << 2);
        bytes.extend(backs.iter().map(|back| *back as u8));
    }
}

/// Reads a descriptor; also how long it is.
pub(super) fn read(payload: &[u8]) -> Option<(Marks, usize)> {
    let mut bytes = payload.iter().copied();
    let first = bytes.next()?;
    let mut marks = Marks { starts: first & BEGINS != 0, ends: Some(first & ENDS != 0), ..Marks::default() };
    if first & HAS_PICTURE != 0 {
        let high = bytes.next()?;
        let long = high & 0x80 != 0;
        let id = if long { u16::from(high & 0x7f) << 8 | u16::from(bytes.next()?) } else { high.into() };
        marks.picture = Some((id, if long { 15 } else { 7 }));
    }
    if first & HAS_LAYERS != 0 {
        let layers = bytes.next()?;
        marks.layers = Some((layers >> 1 & 7, layers >> 5));
        marks.tl0 = if first & FLEXIBLE == 0 { Some(bytes.next()?) } else { None };
    }
    if first & FLEXIBLE != 0 && first & PREDICTED != 0 {
        marks.backs = Some(read_differences(&mut bytes)?);
    }
    if first & HAS_STRUCTURE != 0 {
        marks.group = read_structure(&mut bytes)?;
    }
    Some((marks, payload.len() - bytes.len()))
}

fn read_differences(bytes: &mut impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let mut backs = Vec::new();
    loop {
        let byte = bytes.next()?;
        backs.push(byte >> 1);
        if byte & 1 == 0 {
            return Some(backs);
        }
    }
}

/// How far back each picture of the group leans.
fn read_structure(bytes: &mut impl Iterator<Item = u8>) -> Option<Vec<Vec<u8>>> {
    let first = bytes.next()?;
    if first & 0x10 != 0 {
        (0..4 * ((first >> 5) + 1)).try_for_each(|_| bytes.next().map(drop))?;
    }
    let count = if first & 0x08 != 0 { bytes.next()? } else { 0 };
    let mut group = Vec::new();
    for _ in 0..count {
        let picture = bytes.next()?;
        group.push((0..picture >> 2 & 3).map(|_| bytes.next()).collect::<Option<_>>()?);
    }
    Some(group)
}

#[cfg(test)]
mod tests {
    use super::super::structure::Structure;
    use super::*;

    #[test]
    fn the_group_of_pictures_tells_the_references() {
        let frame = Frame::first(Structure::L3T3, vec![(160, 90), (320, 180), (640, 360)]);
        let bytes = write(&frame, Payload::Usual, (true, false));
        let (marks, len) = read(&bytes).unwrap();
        assert_eq!((len, marks.layers, marks.starts, marks.ends), (bytes.len(), Some((0, 0)), true, Some(false)));
        let expected: Vec<Vec<u8>> =
            (8..16).map(|at| Structure::L3T3.backs(at).iter().map(|back| *back as u8).collect()).collect();
        assert_eq!(marks.group, expected);
    }
}
