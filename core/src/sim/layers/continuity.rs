//! Whether the numbers of a viewer's frames go on as a receiver needs them: timestamps, picture ids, TL0PICIDX, frame numbers.

use std::collections::BTreeMap;

use super::descriptor::{Descriptor, DescriptorReader};
use super::frame::Marks;
use super::gap::{Counted, Gap, ticks};
use super::structure::Indication;
use super::truth::Truth;
use crate::codec::Codec;

/// What a packet's descriptors say, in the payload and in the header.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbered {
    marks: Option<Marks>,
    descriptor: Option<Descriptor>,
}

impl Numbered {
    /// Whether both say what is true, as far as it is not a number that counts.
    pub(super) fn check(&self, truth: &Truth) -> Result<(), String> {
        let own = (truth.spatial, truth.temporal);
        if let Some(marks) = &self.marks {
            let ends = marks.ends.is_none_or(|ends| ends == truth.is_last());
            let layers = marks.layers.is_none_or(|(spatial, temporal)| (spatial, temporal) == own);
            if marks.starts != (truth.at == 0) || !ends || !layers {
                return Err(format!("a payload descriptor that lies: {marks:?}"));
            }
        }
        if let Some(descriptor) = &self.descriptor {
            let bounds = (descriptor.starts, descriptor.ends) == (truth.at == 0, truth.is_last());
            if !bounds || (descriptor.spatial, descriptor.temporal) != own {
                return Err(format!("a dependency descriptor that lies: {descriptor:?}"));
            }
        }
        Ok(())
    }
}

/// The frame before, as it was numbered.
#[derive(Clone, Debug)]
struct Last {
    truth: Truth,
    timestamp: u32,
    /// And its bits.
    picture: Option<(u16, u8)>,
    tl0: Option<u8>,
    frame_number: Option<u16>,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Continuity {
    codec: Codec,
    reader: DescriptorReader,
    last: Option<Last>,
    timestamp: Option<u32>,
    /// Timestamps of the fillers since the last frame: they may stand for frames that were not for this viewer.
    fillers: Vec<u32>,
    /// Frame numbers since the last key picture, by the frames of the truth.
    numbers: BTreeMap<u32, u16>,
    /// How each picture of a group leans, as the last key picture said, and picture ids since then.
    group: Vec<Vec<u8>>,
    pictures: BTreeMap<u32, u16>,
    /// Steps behind fillers, which only the publisher's log can tell to be right.
    pub(super) gaps: Vec<Gap>,
}

impl Continuity {
    pub(super) const fn new(codec: Codec) -> Self {
        Self {
            codec,
            reader: DescriptorReader::new(),
            last: None,
            timestamp: None,
            fillers: Vec::new(),
            numbers: BTreeMap::new(),
            group: Vec::new(),
            pictures: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }

    /// A hole was leapt over: what comes next need not go on from what was before.
    pub(super) fn break_off(&mut self) {
        self.last = None;
        self.fillers.clear();
    }

    pub(super) fn fill(&mut self, timestamp: u32) {
        self.fillers.push(timestamp);
    }

    /// Reads the header's descriptor, in the order of the stream.
    pub(super) fn read(&mut self, marks: Option<Marks>, descriptor: Option<&[u8]>) -> Result<Numbered, String> {
        let descriptor = match descriptor {
            Some(bytes) => {
                Some(self.reader.read(bytes).ok_or_else(|| format!("a descriptor without sense: {bytes:02x?}"))?)
            }
            None => None,
        };
        Ok(Numbered { marks, descriptor })
    }

    /// Checks a frame against the one before it.
    pub(super) fn follow(&mut self, truth: &Truth, numbered: &Numbered, timestamp: u32) -> Result<(), String> {
        let last = self.last.take();
        let fillers = std::mem::take(&mut self.fillers);
        // Where nobody but the receiver can read it, nobody has to keep it.
        let marks = numbered.marks.as_ref().filter(|_| self.codec == Codec::Vp8 || !truth.encrypted);
        let own = Last {
            truth: truth.clone(),
            timestamp,
            picture: marks.and_then(|marks| marks.picture),
            tl0: marks.and_then(|marks| marks.tl0),
            frame_number: numbered.descriptor.as_ref().map(|descriptor| descriptor.number),
        };
        let same =
            last.as_ref().is_some_and(|last| (last.truth.stream, last.truth.picture) == (truth.stream, truth.picture));
        let timed = self.follow_time(timestamp, same).map_err(|fault| format!("{fault} behind {last:?}"));
        let counted = last.as_ref().map_or(Ok(()), |last| self.follow_numbers(last, &own, &fillers));
        self.last = Some(own.clone());
        timed?;
        counted?;
        self.follow_picture(&own, numbered)?;
        self.follow_frame(truth, numbered)
    }

    /// All layers of a picture have one timestamp, and each picture a later one.
    fn follow_time(&mut self, timestamp: u32, same: bool) -> Result<(), String> {
        let Some(before) = self.timestamp.replace(timestamp) else { return Ok(()) };
        let step = timestamp.wrapping_sub(before) as i32;
        if (same && step == 0) || (!same && step > 0) { Ok(()) } else { Err(format!("timestamps step by {step}")) }
    }

    fn follow_numbers(&mut self, last: &Last, own: &Last, fillers: &[u32]) -> Result<(), String> {
        let same = (last.truth.stream, last.truth.picture) == (own.truth.stream, own.truth.picture);
        if let (Some((before, _)), Some((now, bits))) = (last.picture, own.picture) {
            let mask = u16::MAX >> (16 - bits);
            let step = now.wrapping_sub(before) & mask;
            let counted = own.truth.picture.wrapping_sub(last.truth.picture) as u16 & mask;
            let fits =
                if same { step == 0 } else { self.may_step(Counted::Pictures, step, counted, (last, own), fillers) };
            if !fits {
                return Err(format!("picture ids step by {step}, behind {:?}", last.truth));
            }
        }
        if let (Some(before), Some(now)) = (last.tl0, own.tl0) {
            let step = now.wrapping_sub(before).into();
            let counted = u16::from(!same && own.truth.temporal == 0);
            if step != counted
                && !(counted == 1 && self.may_step(Counted::LowestPictures, step, 1, (last, own), fillers))
            {
                return Err(format!("TL0PICIDX goes from {before} to {now}"));
            }
        }
        if let (Some(before), Some(now)) = (last.frame_number, own.frame_number) {
            let step = now.wrapping_sub(before);
            let counted = own.truth.frame.wrapping_sub(last.truth.frame) as u16;
            if !self.may_step(Counted::Frames, step, counted, (last, own), fillers) {
                return Err(format!("frame numbers step by {step}, behind {:?}", last.truth));
            }
        }
        Ok(())
    }

    /// By how much a number may step from frame to frame. VP8's picture ids go on by one whatever was left out. Others count what
    /// was left out as well, since by their differences a receiver knows what a frame leans on; but where a stream is begun
    /// with anew, at a key picture, they go on by one, too. Of what was missing at the time nobody could know whether it would be for
    /// this viewer: that is looked at when the publisher's log is at hand.
    fn may_step(
        &mut self,
        counted_in: Counted,
        step: u16,
        counted: u16,
        (last, own): (&Last, &Last),
        fillers: &[u32],
    ) -> bool {
        let goes_on =
            last.truth.stream == own.truth.stream && (self.codec != Codec::Vp8 || counted_in == Counted::Frames);
        if goes_on && (own.truth.since_key > 0 || step == counted) {
            return step == counted;
        }
        if fillers.is_empty() {
            return step == 1;
        }
        let sent = |timestamp: &u32| last.truth.sent + ticks(timestamp.wrapping_sub(last.timestamp));
        let closes = self.codec == Codec::Vp8 && counted_in == Counted::Pictures;
        let filled = fillers.iter().map(sent).collect();
        self.gaps.push(Gap { last: last.truth.clone(), counted: counted_in, closes, step, filled });
        true
    }

    /// RFC 9628: the pictures that the group's entry names were received.
    fn follow_picture(&mut self, own: &Last, numbered: &Numbered) -> Result<(), String> {
        let (Some(marks), Some((id, bits))) = (&numbered.marks, own.picture) else { return Ok(()) };
        if own.truth.is_start() {
            self.group.clone_from(&marks.group);
            self.pictures.clear();
        }
        let since = own.truth.since_key;
        let of_group = self.group.get(since as usize % self.group.len().max(1)).filter(|_| since > 0);
        for back in marks.backs.as_ref().or(of_group).into_iter().flatten() {
            let named = id.wrapping_sub(u16::from(*back)) & (u16::MAX >> (16 - bits));
            if self.pictures.get(&(since - u32::from(*back))) != Some(&named) {
                return Err(format!("picture {id} leans on {named}, which was not received"));
            }
        }
        self.pictures.insert(since, id);
        Ok(())
    }

    /// A.8: the frames that a descriptor names were received, and its target's chain is whole.
    fn follow_frame(&mut self, truth: &Truth, numbered: &Numbered) -> Result<(), String> {
        let Some(descriptor) = &numbered.descriptor else { return Ok(()) };
        if truth.is_start() {
            self.numbers.clear();
            let size = self.reader.sizes.get(usize::from(truth.spatial));
            if size.is_some_and(|size| *size != truth.size) {
                return Err(format!("a structure of another size: {size:?}"));
            }
        }
        let named: Vec<u16> = descriptor
            .differences
            .iter()
            .map(|difference| descriptor.number.wrapping_sub(*difference as u16))
            .collect();
        let owed: Vec<Option<u16>> = truth.references.iter().map(|frame| self.numbers.get(frame).copied()).collect();
        if named.iter().copied().map(Some).ne(owed.iter().copied()) {
            return Err(format!("frame {} names {named:?}, where {owed:?} were meant", descriptor.number));
        }
        self.follow_chain(truth, descriptor)?;
        self.numbers.insert(truth.frame, descriptor.number);
        Ok(())
    }

    /// The chain that protects the frame's own layer has every link.
    fn follow_chain(&self, truth: &Truth, descriptor: &Descriptor) -> Result<(), String> {
        let present = |indication: &u32| *indication != Indication::NotPresent as u32;
        let Some(target) = descriptor.indications.iter().position(present) else { return Ok(()) };
        let Some(difference) = self.reader.chain_of(target).and_then(|chain| descriptor.chains.get(chain)) else {
            return Ok(());
        };
        let link = descriptor.number.wrapping_sub(*difference as u16);
        if *difference == 0 || truth.since_key == 0 || self.numbers.values().any(|number| *number == link) {
            Ok(())
        } else {
            Err(format!("the chain before frame {} is broken: {link} was not received", descriptor.number))
        }
    }
}
