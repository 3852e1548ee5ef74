//! A model decoder: it takes a viewer's packets in the order of their numbers, and finds fault with whatever a real one would
//! stumble over.
//!
//! It waits where a number is missing. What it has taken in without a hole has to be decodable, by the truth that the packets
//! carry, and has to be numbered as the codec's specification wants it: a fault is always the server's. When it is
//! stuck for too long it asks for a key frame and goes on from there, as a browser does. It decodes no picture.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::continuity::{Continuity, Numbered};
use super::encoder::{head, hide};
use super::gap::Gap;
use super::truth::{FrameId, Truth};
use super::{vp8, vp9};
use crate::codec::Codec;
use crate::time::Instant;

/// How long a hole may last before a key frame is asked for, and how often then.
const PATIENCE: Duration = Duration::from_millis(200);

/// Faults that are kept of a run; the first one tells the most.
const FAULTS_MAX: usize = 20;

/// A packet as the viewer's transport hands it over.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub timestamp: u32,
    pub marker: bool,
    /// Empty where a number is filled and nothing more.
    pub payload: Vec<u8>,
    pub descriptor: Option<Vec<u8>>,
}

/// A picture that was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub at: Instant,
    pub timestamp: u32,
    /// The frame of its highest spatial layer.
    pub truth: Truth,
}

/// Where in a picture the decoder stands.
#[derive(Clone, Debug)]
struct Open {
    truth: Truth,
    timestamp: u32,
    /// Whether its last packet had the marker.
    marked: bool,
}

/// See the module's description.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    waiting: BTreeMap<u64, Arrived>,
    /// The number that is taken next, once a key frame has shown where to begin.
    next: Option<u64>,
    began: Option<u64>,
    blocked: Option<Instant>,
    asked: Option<Instant>,
    open: Option<Open>,
    decoded: BTreeSet<FrameId>,
    continuity: Continuity,
    /// All numbers that have ever come.
    numbers: BTreeSet<u64>,
    pub log: Vec<Shown>,
    pub faults: Vec<String>,
    /// Frames that ended before their last packet, for a key frame to come instead.
    pub cut: u64,
    /// Numbers that were waited for in vain.
    pub given_up: u64,
    pub fillers: u64,
}

impl Decoder {
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            waiting: BTreeMap::new(),
            next: None,
            began: None,
            blocked: None,
            asked: None,
            open: None,
            decoded: BTreeSet::new(),
            continuity: Continuity::new(codec),
            numbers: BTreeSet::new(),
            log: Vec::new(),
            faults: Vec::new(),
            cut: 0,
            given_up: 0,
            fillers: 0,
        }
    }

    /// Takes a packet that has not been here before.
    pub fn handle(&mut self, now: Instant, number: u64, packet: Arrived) {
        self.numbers.insert(number);
        match self.next {
            Some(next) if number < next => return,
            Some(_) => (),
            None if is_start(&packet) => {
                self.waiting = self.waiting.split_off(&number);
                (self.next, self.began) = (Some(number), Some(number));
            }
            None => (),
        }
        self.waiting.insert(number, packet);
        self.advance(now);
    }

    /// The first number that came, and the one at which it could begin.
    pub fn beginning(&self) -> Option<(u64, u64)> {
        Some((*self.numbers.first()?, self.began?))
    }

    /// Whether a key frame is to be asked for now.
    pub fn is_stuck(&mut self, now: Instant) -> bool {
        let stuck = self.deadline().is_some_and(|at| at <= now);
        if stuck {
            self.asked = Some(now);
            self.leap(now);
        }
        stuck
    }

    /// When it has waited for too long.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.blocked?;
        Some(self.asked.map_or(since, |asked| since.max(asked)) + PATIENCE)
    }

    /// Numbers between the first and the last that came of which nothing ever came.
    pub fn holes(&self) -> Vec<u64> {
        let (Some(first), Some(last)) = (self.numbers.first(), self.numbers.last()) else { return Vec::new() };
        (*first..*last).filter(|number| !self.numbers.contains(number)).collect()
    }

    /// Steps of picture ids and frame numbers across fillers, to be judged by the publisher's log.
    pub fn gaps(&self) -> &[Gap] {
        &self.continuity.gaps
    }

    /// How many numbers came.
    pub fn received(&self) -> usize {
        self.numbers.len()
    }

    fn advance(&mut self, now: Instant) {
        while let Some((next, packet)) = self.next.and_then(|next| self.waiting.remove_entry(&next)) {
            self.take(now, next, &packet);
            self.next = Some(next + 1);
        }
        self.blocked = if self.waiting.is_empty() { None } else { self.blocked.or(Some(now)) };
        if self.blocked.is_none() {
            self.asked = None;
        }
    }

    /// Goes on at a key frame behind the hole, if there is one.
    fn leap(&mut self, now: Instant) {
        let Some(next) = self.next else { return };
        let Some(start) = self.waiting.iter().find(|(_, packet)| is_start(packet)).map(|(number, _)| *number) else {
            return;
        };
        self.given_up += (next..start).filter(|number| !self.numbers.contains(number)).count() as u64;
        self.waiting = self.waiting.split_off(&start);
        self.next = Some(start);
        (self.blocked, self.open) = (None, None);
        self.continuity.break_off();
        self.advance(now);
    }

    fn take(&mut self, now: Instant, number: u64, packet: &Arrived) {
        if packet.payload.is_empty() {
            self.fillers += 1;
            self.continuity.fill(packet.timestamp);
            return;
        }
        let Some((truth, before)) = Truth::read(&packet.payload) else {
            return self.fault(format!("{number}: a body that nobody wrote"));
        };
        if let Err(fault) = self.join(&truth, packet, before) {
            self.fault(format!("{number}: {fault} in {truth:?}"));
        }
        let marked = packet.marker;
        self.open = Some(Open { truth: truth.clone(), timestamp: packet.timestamp, marked });
        if !truth.is_last() {
            return;
        }
        self.decode(number, &truth);
        if marked {
            self.log.push(Shown { at: now, timestamp: packet.timestamp, truth });
        }
    }

    /// Checks a packet against the one before it.
    fn join(&mut self, truth: &Truth, packet: &Arrived, before: &[u8]) -> Result<(), String> {
        let numbered = self.read(truth, packet, before)?;
        let open = self.open.take();
        if let Some(open) = open.as_ref().filter(|open| open.truth.id() == truth.id()) {
            let follows = open.truth.at + 1 == truth.at && open.timestamp == packet.timestamp && !open.marked;
            return if follows { Ok(()) } else { Err(format!("packet {} behind packet {}", truth.at, open.truth.at)) };
        }
        if truth.at != 0 {
            return Err("a frame without its first packet".to_owned());
        }
        if let Some(open) = &open {
            self.follow(open, truth, packet.timestamp)?;
        }
        if truth.is_start() {
            self.decoded.clear();
        }
        self.continuity.follow(truth, &numbered, packet.timestamp)
    }

    /// Checks a frame against the one before it.
    fn follow(&mut self, open: &Open, truth: &Truth, timestamp: u32) -> Result<(), String> {
        let same = open.truth.stream == truth.stream && open.truth.picture == truth.picture;
        if same {
            let up = open.truth.spatial < truth.spatial && !open.marked && open.truth.is_last();
            return if up && timestamp == open.timestamp {
                Ok(())
            } else {
                Err(format!("layers of a picture are torn: {open:?} before"))
            };
        }
        if !open.truth.is_last() || !open.marked {
            // Only a decoder that starts anew does not mind.
            if !truth.is_start() {
                return Err(format!("the picture before has no end: {open:?}"));
            }
            self.cut += 1;
        }
        Ok(())
    }

    fn decode(&mut self, number: u64, truth: &Truth) {
        let lacking: Vec<u32> = truth
            .references
            .iter()
            .copied()
            .filter(|frame| !self.decoded.contains(&FrameId { stream: truth.stream, frame: *frame }))
            .collect();
        if lacking.is_empty() {
            self.decoded.insert(truth.id());
        } else {
            self.fault(format!("{number}: cannot be decoded without {lacking:?}: {truth:?}"));
        }
    }

    /// Reads the descriptors, and checks that they still are what the publisher wrote, numbers apart.
    fn read(&mut self, truth: &Truth, packet: &Arrived, before: &[u8]) -> Result<Numbered, String> {
        let body_len = packet.payload.len() - before.len();
        let mut before = before.to_vec();
        hide(self.codec, truth, &mut before);
        let before = before.as_slice();
        let marks = match self.codec {
            Codec::Vp8 => Some(vp8::read(before).ok_or("a descriptor that cannot be read")?),
            Codec::Vp9 => Some(vp9::read(before).ok_or("a descriptor that cannot be read")?),
            _ => None,
        };
        let (marks, len) = marks.map_or((None, 0), |(marks, len)| (Some(marks), len));
        if before.get(len..) != Some(&head(self.codec, truth, body_len)) {
            return Err("something between descriptor and body".to_owned());
        }
        let numbered = self.continuity.read(marks, packet.descriptor.as_deref())?;
        numbered.check(truth)?;
        if packet.marker && !truth.is_last() {
            return Err("a marker before the end".to_owned());
        }
        Ok(numbered)
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

fn is_start(packet: &Arrived) -> bool {
    Truth::read(&packet.payload).is_some_and(|(truth, _)| truth.is_start())
}
