//! Whether the numbers of a viewer's frames go on as a receiver needs them: timestamps, picture ids, TL0PICIDX, frame numbers.

use std::collections::BTreeMap;

use super::descriptor::{Descriptor, DescriptorReader};
use super::frame::Marks;
use super::structure::Indication;
use super::truth::Truth;

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
    picture: Option<u16>,
    tl0: Option<u8>,
    frame_number: Option<u16>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    reader: DescriptorReader,
    last: Option<Last>,
    timestamp: Option<u32>,
    /// Fillers since the last frame: each may stand for a frame that was not for this viewer.
    fillers: u16,
    /// Frame numbers since the last key picture, by the frames of the truth.
    numbers: BTreeMap<u32, u16>,
    /// Picture ids since the last key picture that said how a group of pictures leans, by pictures since then.
    group: Vec<Vec<u8>>,
    pictures: BTreeMap<u32, u16>,
}

impl Continuity {
    /// A hole was leapt over: what comes next need not go on from what was before.
    pub(super) fn break_off(&mut self) {
        self.last = None;
    }

    pub(super) const fn fill(&mut self) {
        self.fillers = self.fillers.saturating_add(1);
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
        let own = Last {
            truth: truth.clone(),
            picture: numbered.marks.as_ref().and_then(|marks| marks.picture).map(|(id, _)| id),
            tl0: numbered.marks.as_ref().and_then(|marks| marks.tl0),
            frame_number: numbered.descriptor.as_ref().map(|descriptor| descriptor.number),
        };
        let same =
            last.as_ref().is_some_and(|last| (last.truth.stream, last.truth.picture) == (truth.stream, truth.picture));
        let timed = self.follow_time(timestamp, same);
        let counted = last.as_ref().map_or(Ok(()), |last| self.follow_numbers(last, &own, fillers, same));
        self.last = Some(own.clone());
        timed?;
        counted?;
        self.follow_pictures(&own, numbered)?;
        self.follow_frames(truth, numbered)
    }

    /// All layers of a picture have one timestamp, and each picture a later one.
    fn follow_time(&mut self, timestamp: u32, same: bool) -> Result<(), String> {
        let Some(before) = self.timestamp.replace(timestamp) else { return Ok(()) };
        let step = timestamp.wrapping_sub(before) as i32;
        if (same && step == 0) || (!same && step > 0) { Ok(()) } else { Err(format!("timestamps step by {step}")) }
    }

    fn follow_numbers(&self, last: &Last, own: &Last, fillers: u16, same: bool) -> Result<(), String> {
        if let (Some(before), Some(now)) = (last.picture, own.picture) {
            let step = now.wrapping_sub(before) & 0x7fff;
            let by_one = own.truth.since_key == 0 && step == 1;
            let fits = if same { step == 0 } else { by_one || self.steps(last, own, fillers).contains(&step) };
            if !fits {
                return Err(format!("picture ids step by {step}, behind {:?}", last.truth));
            }
        }
        if let (Some(before), Some(now)) = (last.tl0, own.tl0) {
            let step = now.wrapping_sub(before);
            let anew = !self.group.is_empty() && own.truth.since_key == 0 && !same;
            let fits =
                if anew { (1..0x80).contains(&step) } else { step == u8::from(!same && own.truth.temporal == 0) };
            if !fits {
                return Err(format!("TL0PICIDX goes from {before} to {now}"));
            }
        }
        if let (Some(before), Some(now)) = (last.frame_number, own.frame_number) {
            let step = now.wrapping_sub(before) as i16;
            if step <= 0 {
                return Err(format!("frame numbers step by {step}"));
            }
        }
        Ok(())
    }

    /// By how much picture ids may step. VP8's go on by one whatever was left out; others count what was left out as well, and
    /// just go up where a key picture starts anew. Of what was missing at the time nobody could know whether it would be for this
    /// viewer: a filler may stand for a picture.
    fn steps(&self, last: &Last, own: &Last, fillers: u16) -> std::ops::RangeInclusive<u16> {
        let counted = own.truth.picture.wrapping_sub(last.truth.picture) as u16;
        match (self.group.is_empty(), own.truth.since_key) {
            (true, _) => 1..=1 + fillers,
            (false, 0) => 1..=0x3fff,
            (false, _) => counted..=counted,
        }
    }

    /// RFC 9628: the pictures that the group's entry names were received.
    fn follow_pictures(&mut self, own: &Last, numbered: &Numbered) -> Result<(), String> {
        let (Some(marks), Some(id)) = (&numbered.marks, own.picture) else { return Ok(()) };
        if !marks.group.is_empty() {
            self.group.clone_from(&marks.group);
            self.pictures.clear();
        }
        let since = own.truth.since_key;
        if let Some(backs) = self.group.get(since as usize % self.group.len().max(1)).filter(|_| since > 0) {
            for back in backs {
                let named = id.wrapping_sub(u16::from(*back)) & 0x7fff;
                if self.pictures.get(&(since - u32::from(*back))) != Some(&named) {
                    return Err(format!("picture {id} leans on {named}, which was not received"));
                }
            }
        }
        self.pictures.insert(since, id);
        Ok(())
    }

    /// A.8: the frames that a descriptor names were received, and its target's chain is whole.
    fn follow_frames(&mut self, truth: &Truth, numbered: &Numbered) -> Result<(), String> {
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
