//! What senders really send, packet by packet: `fixtures/`, recorded by `e2e/captures/record.mjs`.
//!
//! A capture is the judge of what the machines say, as far as it can be: pictures begin and end where timestamps and markers
//! say so, layers are those that were asked for, and where a format writes down what a frame leans on (VP9 in flexible mode,
//! dependency descriptors), viewers of every target, and viewers that turn wherever they may, have had all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::codec::allocation::Allocation;
use crate::codec::bits::Bits;
use crate::rtp::extend_sequence;

/// A line of a capture.
struct Line {
    stream: u8,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    descriptor: Option<Vec<u8>>,
    allocation: Option<Vec<u8>>,
    payload: Vec<u8>,
}

impl Line {
    fn read(text: &str) -> Self {
        let fields: Vec<&str> = text.split(' ').collect();
        let [stream, sequence, timestamp, marker, _type, _rid, descriptor, allocation, len, payload] = fields[..]
        else {
            panic!("{text}")
        };
        // What was cut off is media, but its length counts.
        let mut payload = bytes(payload).unwrap();
        payload.resize(len.parse().unwrap(), 0);
        Self {
            stream: stream.parse().unwrap(),
            // Numbers of a capture lie close together, but may wrap.
            sequence: extend_sequence(1 << 16, sequence.parse().unwrap()),
            timestamp: timestamp.parse().unwrap(),
            marker: marker == "1",
            descriptor: bytes(descriptor),
            allocation: bytes(allocation),
            payload,
        }
    }

    fn packet(&self) -> Packet<'_> {
        Packet {
            sequence: self.sequence,
            marker: self.marker,
            payload: &self.payload,
            descriptor: self.descriptor.as_deref(),
        }
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (hex != "-").then(|| (0..hex.len()).step_by(2).map(digits).collect())
}

struct Capture {
    name: String,
    codec: Codec,
    /// By stream, in the order of arrival.
    streams: Vec<Vec<Line>>,
}

impl Capture {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let codec = match name.split('_').nth(1).unwrap() {
            "vp8" => Codec::Vp8,
            "vp9" => Codec::Vp9,
            "h264" => Codec::H264,
            "h265" => Codec::H265,
            "av1" => Codec::Av1,
            other => panic!("{other}"),
        };
        let mut streams = BTreeMap::<u8, Vec<Line>>::new();
        for line in std::fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let line = Line::read(line);
            streams.entry(line.stream).or_default().push(line);
        }
        Self { name, codec, streams: streams.into_values().collect() }
    }

    fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codec/fixtures");
        let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        let captures: Vec<_> = files.map(|path| Self::read(&path)).collect();
        assert!(captures.len() >= 20);
        captures
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|capture| capture.name == name).unwrap_or_else(|| panic!("no capture {name}"))
    }

    fn inspected<'a>(&self, lines: &'a [Line]) -> (Layering, Vec<(&'a Line, Inspection)>) {
        let mut layering = Layering::new(self.codec);
        let seen = lines.iter().map(|line| (line, layering.inspect(&line.packet()))).collect();
        (layering, seen)
    }
}

#[test]
fn pictures_begin_where_the_timestamp_changes_and_end_with_the_marker() {
    for capture in Capture::all() {
        for lines in &capture.streams {
            let (_, seen) = capture.inspected(lines);
            let mut before = None;
            for (line, seen) in seen {
                let place = format!("{} {}", capture.name, line.sequence);
                let begins = before != Some(line.timestamp);
                assert!(seen.frame_start || !begins, "{place}");
                assert!(seen.frame_end || !line.marker, "{place}");
                before = Some(line.timestamp);
            }
        }
    }
}

#[test]
fn key_frames_are_found_with_their_size() {
    for capture in Capture::all() {
        for lines in &capture.streams {
            let (layering, seen) = capture.inspected(lines);
            let keys: Vec<_> = seen.iter().filter(|(_, seen)| seen.key_frame).map(|(line, _)| line.timestamp).collect();
            assert_eq!(keys.first(), Some(&lines[0].timestamp), "{}: a stream begins with one", capture.name);
            let keys = keys.into_iter().collect::<BTreeSet<_>>().len();
            let pictures = lines.iter().map(|line| line.timestamp).collect::<BTreeSet<_>>().len();
            assert!(keys < pictures / 4 || keys <= 3, "{}: {keys} of {pictures} are key frames", capture.name);
            let highest = layering.targets().iter().map(|target| target.spatial).max().unwrap();
            // H.265 is not looked into, and ffmpeg's VP9 says nothing.
            if capture.codec != Codec::H265 && capture.name != "ffmpeg_vp9" {
                let (width, height) = layering.size(highest).unwrap_or_else(|| panic!("{} has no size", capture.name));
                // 240x135, but H.264 has an even number of lines.
                assert_eq!(u32::from(width) * 9 / 16, u32::from(height) + u32::from(height == 134), "{}", capture.name);
            }
        }
    }
}

/// Layers of each stream, spatial and temporal.
const LAYERS: [(&str, u8, u8); 14] = [
    ("chromium_vp8_simulcast", 1, 3),
    ("chromium_vp8_descriptor", 1, 3),
    ("chromium_vp9_l3t3", 3, 3),
    ("chromium_vp9_l3t3_key", 3, 3),
    ("chromium_vp9_l3t3_key_descriptor", 3, 3),
    ("chromium_h264", 1, 1),
    ("chromium_h264_descriptor", 1, 3),
    ("chromium_av1_plain", 1, 1),
    ("chromium_av1_l1t3", 1, 3),
    ("chromium_av1_l3t3", 3, 3),
    ("chromium_av1_l3t3_key", 3, 3),
    ("firefox_vp8", 1, 1),
    ("ffmpeg_vp9", 1, 1),
    ("gstreamer_h264", 1, 1),
];

#[test]
fn layers_are_those_that_were_asked_for() {
    for (name, spatial, temporal) in LAYERS {
        let capture = Capture::named(name);
        for lines in &capture.streams {
            let (layering, seen) = capture.inspected(lines);
            let mut targets = layering.targets().to_vec();
            targets.sort_unstable();
            let all = |spatial| (0..temporal).map(move |temporal| Target { spatial, temporal });
            assert_eq!(targets, (0..spatial).flat_map(all).collect::<Vec<_>>(), "{name}");
            let sent: BTreeSet<_> = seen.iter().map(|(_, seen)| (seen.reach.spatial, seen.reach.temporal)).collect();
            assert_eq!(sent.len(), targets.len(), "{name}: {sent:?}");
        }
    }
}

#[test]
fn picture_ids_and_frame_numbers_go_on_by_one_frame() {
    for capture in Capture::all().into_iter().filter(|capture| capture.codec == Codec::Vp8) {
        for lines in &capture.streams {
            let (_, seen) = capture.inspected(lines);
            let pictures = seen.iter().filter(|(_, seen)| seen.frame_start && seen.numbers.picture_bits > 0);
            let pictures: Vec<_> = pictures.map(|(_, seen)| seen.numbers).collect();
            for pair in pictures.windows(2) {
                let mask = ((1_u32 << pair[0].picture_bits) - 1) as u16;
                assert_eq!(pair[0].picture.wrapping_add(1) & mask, pair[1].picture, "{}", capture.name);
            }
        }
    }
}

#[test]
fn allocations_can_be_read_and_name_what_is_sent() {
    let mut read = 0;
    for capture in Capture::all() {
        for line in capture.streams.iter().flatten() {
            let Some(bytes) = &line.allocation else { continue };
            let allocation = Allocation::read(bytes).unwrap_or_else(|| panic!("{} {bytes:02x?}", capture.name));
            assert!(usize::from(allocation.encoding) < 3 && !allocation.layers.is_empty());
            read += 1;
        }
    }
    assert!(read > 30);
}

/// A layer frame as its sender describes it: by number, and by the numbers of what it leans on.
struct Frame {
    leans_on: Vec<u64>,
    reach: Reach,
}

/// Tells a frame's number, and the numbers of what it leans on.
type Teller<'a> = &'a mut dyn FnMut(&Line, &Inspection) -> (u64, Vec<u64>);

/// The frames of a stream, in order; numbers are of the descriptor, or made of VP9's picture id and spatial layer.
fn frames(seen: &[(&Line, Inspection)], leans_on: Teller<'_>) -> Vec<(u64, Frame)> {
    let starts = seen.iter().filter(|(_, seen)| seen.frame_start);
    let frame = |(line, seen): &(&Line, Inspection)| {
        let (number, leans_on) = leans_on(line, seen);
        (number, Frame { leans_on, reach: seen.reach })
    };
    starts.map(frame).collect()
}

/// Every viewer has had what its frames lean on: those of one target from the start, and those that turn from any target to any
/// other at each frame at which they may.
fn assert_decodable(name: &str, targets: usize, frames: &[(u64, Frame)]) -> usize {
    let all = || (0..targets as u8).flat_map(|old| (0..targets as u8).map(move |new| (old, new)));
    let mut turns = 0;
    for (old, new) in all() {
        let may_turn = |frame: &Frame| frame.reach.entry_to.has(new) && frame.reach.decodable_in.has(old);
        for at in (0..frames.len()).filter(|&at| may_turn(&frames[at].1)) {
            let before = frames[..at].iter().filter(|(_, frame)| frame.reach.part_of.has(old));
            let mut had: BTreeSet<u64> = before.map(|(number, _)| *number).collect();
            for (number, frame) in frames[at..].iter().filter(|(_, frame)| frame.reach.part_of.has(new)) {
                let whole = frame.leans_on.iter().all(|number| had.contains(number));
                assert!(whole, "{name}: {old} to {new} at {}, {number} leans on {:?}", frames[at].0, frame.leans_on);
                had.insert(*number);
            }
            turns += usize::from(old != new);
        }
    }
    turns
}

#[test]
fn whoever_turns_where_vp9_lets_it_can_decode() {
    for name in ["chromium_vp9_l3t3", "chromium_vp9_l3t3_key", "chromium_vp9_l3t3_key_descriptor"] {
        let capture = Capture::named(name);
        let (layering, seen) = plainly(&capture);
        let frames = frames(&seen, &mut |line, seen| flexible(&line.payload, seen));
        let turns = assert_decodable(name, layering.targets().len(), &frames);
        assert!(turns > frames.len(), "{name}: {turns}");
    }
}

/// The first stream of a capture, inspected without its descriptors, once its layers are known.
fn plainly(capture: &Capture) -> (Layering, Vec<(&Line, Inspection)>) {
    let mut layering = Layering::new(capture.codec);
    let mut inspect = |line: &Line| layering.inspect(&Packet { descriptor: None, ..line.packet() });
    let lines = &capture.streams[0];
    lines.iter().for_each(|line| assert_eq!(inspect(line).numbers.frame, None));
    let seen = lines.iter().map(|line| (line, inspect(line))).collect();
    (layering, seen)
}

/// What a VP9 frame in flexible mode leans on (RFC 9628 4.2): P_DIFFs count pictures, D means the layer below.
fn flexible(payload: &[u8], seen: &Inspection) -> (u64, Vec<u64>) {
    assert_eq!(payload[0] & 0xb0, 0xb0, "I, L and F are set");
    let number = |picture: u16, spatial: u8| u64::from(picture) << 3 | u64::from(spatial);
    let (picture, spatial) = (seen.numbers.picture, seen.reach.spatial);
    let mut leans_on = Vec::new();
    let mut at = if payload[1] & 0x80 == 0 { 2 } else { 3 };
    if payload[at] & 1 == 1 {
        leans_on.push(number(picture, spatial - 1));
    }
    let mut more = payload[0] & 0x40 != 0;
    while more {
        at += 1;
        leans_on.push(number(picture.wrapping_sub(u16::from(payload[at] >> 1)) & 0x7fff, spatial));
        more = payload[at] & 1 == 1;
    }
    (number(picture, spatial), leans_on)
}

#[test]
fn whoever_turns_where_a_descriptor_lets_it_can_decode() {
    for capture in described() {
        for lines in &capture.streams {
            let (layering, seen) = capture.inspected(lines);
            let mut templates = Templates::default();
            let frames = frames(&seen, &mut |line, _| templates.frame(line.descriptor.as_ref().unwrap()));
            let turns = assert_decodable(&capture.name, layering.targets().len(), &frames);
            assert!(turns > 0 || layering.targets().len() == 1, "{}", capture.name);
        }
    }
}

#[test]
fn packets_that_come_late_are_read_as_if_they_had_not() {
    for capture in described() {
        for (lines, lag) in capture.streams.iter().flat_map(|lines| [1, 5, 20].map(|lag| (lines, lag))) {
            let (_, in_order) = capture.inspected(lines);
            let mut layering = Layering::new(capture.codec);
            for at in disordered(lines.len(), lag) {
                let (line, expected) = &in_order[at];
                let seen = layering.inspect(&line.packet());
                // What overtakes its template structure is for everybody.
                let overtakes = in_order[at.saturating_sub(lag)..at].iter().any(|(_, before)| before.key_frame);
                let same = (seen.reach.part_of, seen.reach.entry_to, seen.numbers, seen.key_frame, seen.size)
                    == (
                        expected.reach.part_of,
                        expected.reach.entry_to,
                        expected.numbers,
                        expected.key_frame,
                        expected.size,
                    );
                assert!(
                    same || overtakes && [Reach::LONE, Reach::START].contains(&seen.reach),
                    "{} {lag}: {seen:?} {expected:?}",
                    capture.name
                );
            }
        }
    }
}

/// Every seventh packet comes so many places later.
fn disordered(count: usize, lag: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&at| 2 * if at % 7 == 0 { at + lag } else { at } + usize::from(at % 7 == 0));
    order
}

/// Captures with dependency descriptors.
fn described() -> Vec<Capture> {
    let captures: Vec<_> = Capture::all().into_iter().filter(|one| one.streams[0][0].descriptor.is_some()).collect();
    assert!(captures.len() >= 6);
    captures
}

#[test]
fn whoever_turns_where_vp8_lets_it_can_decode() {
    for name in ["chromium_vp8_simulcast", "firefox_vp8_simulcast", "firefox_vp8", "gstreamer_vp8"] {
        let capture = Capture::named(name);
        let (layering, seen) = plainly(&capture);
        let mut newest = [None; 4];
        let frames = frames(&seen, &mut |line, seen| (line.sequence, by_layers(line.sequence, seen, &mut newest)));
        let turns = assert_decodable(name, layering.targets().len(), &frames);
        assert!(turns > frames.len() / 2 || layering.targets().len() == 1, "{name}: {turns} of {}", frames.len());
    }
}

/// The most that a VP8 frame may lean on (RFC 7741 4.2): the newest of the lowest layer and, without Y, of all layers up to its own.
fn by_layers(number: u64, seen: &Inspection, newest: &mut [Option<u64>; 4]) -> Vec<u64> {
    let temporal = usize::from(seen.reach.temporal);
    if seen.key_frame {
        *newest = [None; 4];
    }
    let sync = temporal > 0 && seen.reach.decodable_in != seen.reach.part_of;
    let leans_on = newest[..=if sync { 0 } else { temporal }].iter().copied().flatten().collect();
    newest[temporal] = Some(number);
    leans_on
}

#[test]
fn beside_a_dependency_descriptor_chromium_leaves_the_numbers_of_vp8_out_and_those_of_vp9_in() {
    let numbers = |name| {
        let capture = Capture::named(name);
        let (_, seen) = capture.inspected(&capture.streams[0]);
        let mut bits = seen.iter().filter(|(_, seen)| seen.frame_start).map(|(_, seen)| seen.numbers.picture_bits);
        let first = bits.next().unwrap();
        assert!(bits.all(|bits| bits == first));
        assert!(seen.iter().all(|(_, seen)| seen.numbers.frame.is_some()));
        first
    };
    assert_eq!(numbers("chromium_vp8_descriptor"), 0);
    assert_eq!(numbers("chromium_vp9_l3t3_key_descriptor"), 15);
}

/// A second reading of descriptors, for what frames lean on alone.
#[derive(Default)]
struct Templates {
    offset: u32,
    targets: usize,
    differences: Vec<Vec<u64>>,
}

impl Templates {
    /// A frame's number, and those that it leans on.
    fn frame(&mut self, descriptor: &[u8]) -> (u64, Vec<u64>) {
        let mut bits = Bits::new(descriptor);
        bits.skip(2).unwrap();
        let (template, number) = (bits.read(6).unwrap(), u64::from(bits.read(16).unwrap()));
        let [structure, active, dtis, fdiffs, _chains] = [(); 5].map(|()| bits.flag().unwrap_or(false));
        if structure {
            self.read(&mut bits).unwrap();
        }
        let skipped = if active { self.targets } else { 0 } + if dtis { 2 * self.targets } else { 0 };
        bits.skip(if descriptor.len() > 3 { skipped } else { 0 }).unwrap_or(());
        let differences = if fdiffs {
            custom_differences(&mut bits)
        } else {
            self.differences[((template + 64 - self.offset) % 64) as usize].clone()
        };
        let leans_on = differences.into_iter().map(|difference| (number + 0x1_0000 - difference) % 0x1_0000);
        (number, leans_on.collect())
    }

    fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.offset = bits.read(6)?;
        self.targets = bits.read(5)? as usize + 1;
        let steps: Vec<u32> = std::iter::from_fn(|| bits.read(2).filter(|&step| step != 3)).collect();
        let templates = steps.len() + 1;
        bits.skip(2 * templates * self.targets)?;
        self.differences = (0..templates).map(|_| template_differences(bits)).collect();
        let chains = bits.non_symmetric(self.targets as u32 + 1)?;
        if chains > 0 {
            (0..self.targets).try_for_each(|_| bits.non_symmetric(chains).map(drop))?;
        }
        bits.skip(4 * templates * chains as usize)?;
        let sizes = if bits.flag()? { 1 + steps.iter().filter(|step| **step == 2).count() } else { 0 };
        bits.skip(32 * sizes)
    }
}

fn template_differences(bits: &mut Bits<'_>) -> Vec<u64> {
    std::iter::from_fn(|| if bits.flag()? { bits.read(4).map(|difference| u64::from(difference) + 1) } else { None })
        .collect()
}

fn custom_differences(bits: &mut Bits<'_>) -> Vec<u64> {
    let one = || match bits.read(2)? as usize {
        0 => None,
        size => bits.read(4 * size).map(|difference| u64::from(difference) + 1),
    };
    std::iter::from_fn(one).collect()
}
