//! The dependency descriptor (AOMedia's "RTP Payload Format For AV1", appendix A): a header extension that tells a forwarder the
//! layers of a frame and what it leans on, whatever the codec, and even where the payload is encrypted end to end.
//!
//! In: the descriptors of one stream. Out: each frame's layers and number, and for which decode targets it is. A template structure,
//! which comes with key frames, is what all others are read by; it is kept with the one before it, by which late packets are read.
//! What cannot be read gives nothing and changes nothing. Chains are not looked at: whether a viewer lost anything is seen from
//! sequence numbers here.

mod structure;

use self::structure::Structure;
use super::bits::Bits;
use super::numbers::Shift;
use super::{Inspection, Numbers, Reach, Target, Targets};

/// The state of one stream; see the module's description.
#[derive(Debug, Default)]
pub(super) struct Dependency {
    structure: Structure,
    /// The packet that brought it; those with lower numbers belong to the one before.
    since: u64,
    before: Structure,
    active: Targets,
    /// The packet that told which targets are active.
    active_since: u64,
    frames: Frames,
}

impl Dependency {
    /// A stream begins to be readable with a template structure.
    pub(super) fn open(descriptor: &[u8]) -> Option<Self> {
        let &flags = descriptor.get(MANDATORY_LEN)?;
        (flags & STRUCTURE_PRESENT != 0).then(Self::default)
    }

    pub(super) fn read(&mut self, sequence: u64, descriptor: &[u8]) -> Option<Frame> {
        let mut bits = Bits::new(descriptor);
        let mandatory = Mandatory::read(&mut bits)?;
        let extended = if descriptor.len() > MANDATORY_LEN { Extended::read(&mut bits)? } else { Extended::NONE };
        if extended.structure {
            return self.read_structured(sequence, mandatory, extended, bits);
        }
        let late = sequence < self.since;
        let structure = if late { &self.before } else { &self.structure };
        let read = Definition::read(structure, &self.frames, mandatory, extended, &mut bits)?;
        self.note(sequence, &read, late);
        Some(read.frame)
    }

    /// Whether the template that a descriptor names is known, or comes with it.
    pub(super) fn can_read(&self, sequence: u64, descriptor: &[u8]) -> bool {
        let structured = descriptor.get(MANDATORY_LEN).is_some_and(|flags| flags & STRUCTURE_PRESENT != 0);
        let structure = if sequence < self.since { &self.before } else { &self.structure };
        let named =
            Mandatory::read(&mut Bits::new(descriptor)).and_then(|mandatory| structure.template(mandatory.template));
        structured || named.is_some()
    }

    pub(super) fn targets(&self) -> &[Target] {
        self.structure.targets()
    }

    pub(super) const fn active(&self) -> Targets {
        self.active
    }

    pub(super) fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        self.structure.size(spatial)
    }

    /// A frame with a new template structure, by which it is read itself.
    fn read_structured(
        &mut self,
        sequence: u64,
        mandatory: Mandatory,
        extended: Extended,
        mut bits: Bits<'_>,
    ) -> Option<Frame> {
        let structure = Structure::read(&mut bits)?;
        let mut read = Definition::read(&structure, &self.frames, mandatory, extended, &mut bits)?;
        read.frame.size = structure.size(read.frame.spatial);
        // A.8.2: it starts a coded video sequence, unless it leans on anything all the same.
        read.frame.key_frame = read.frame.start && read.leans_on_nothing;
        let late = sequence < self.since;
        if !late {
            self.before = std::mem::replace(&mut self.structure, structure);
            (self.since, self.frames) = (sequence, Frames::default());
            // A.8.3: all are active with a new structure.
            read.active = read.active.or(Some(Targets::ALL));
        }
        self.note(sequence, &read, late);
        Some(read.frame)
    }

    fn note(&mut self, sequence: u64, read: &Definition, late: bool) {
        if late {
            return;
        }
        self.frames.insert(read.frame.number, read.frame.reach.part_of);
        if let Some(active) = read.active.filter(|_| sequence >= self.active_since) {
            (self.active, self.active_since) = (active, sequence);
        }
    }
}

/// What a descriptor says of its packet's frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) start: bool,
    pub(super) end: bool,
    pub(super) key_frame: bool,
    number: u16,
    pub(super) spatial: u8,
    pub(super) reach: Reach,
    size: Option<(u16, u16)>,
}

impl Frame {
    /// Beside the numbers and the size that the payload has.
    pub(super) fn inspection(&self, payload: Inspection) -> Inspection {
        Inspection {
            key_frame: self.key_frame,
            frame_start: self.start,
            frame_end: self.end,
            reach: self.reach,
            numbers: Numbers { frame: Some(self.number), ..payload.numbers },
            size: self.size.or(payload.size),
        }
    }
}

/// Shifts the frame number; what a frame leans on is written as differences, which stay.
pub(super) fn renumber(descriptor: &mut [u8], by: Shift) {
    if let Some([_, high, low]) = descriptor.first_chunk_mut::<MANDATORY_LEN>() {
        [*high, *low] = u16::from_be_bytes([*high, *low]).wrapping_add(by.frame).to_be_bytes();
    }
}

/// A.8.2, mandatory_descriptor_fields: in each descriptor.
#[derive(Clone, Copy)]
struct Mandatory {
    start: bool,
    end: bool,
    template: u8,
    number: u16,
}

impl Mandatory {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        Some(Self {
            start: bits.flag()?,
            end: bits.flag()?,
            template: bits.read(6)? as u8,
            number: bits.read(16)? as u16,
        })
    }
}

/// A.8.2, extended_descriptor_fields: what follows, each announced by its flag.
#[derive(Clone, Copy)]
struct Extended {
    structure: bool,
    active: bool,
    custom_dtis: bool,
    custom_fdiffs: bool,
}

impl Extended {
    const NONE: Self = Self { structure: false, active: false, custom_dtis: false, custom_fdiffs: false };

    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let read = Self {
            structure: bits.flag()?,
            active: bits.flag()?,
            custom_dtis: bits.flag()?,
            custom_fdiffs: bits.flag()?,
        };
        // Custom chains are the last field of all.
        bits.skip(1)?;
        Some(read)
    }
}

/// A.8.2, frame_dependency_definition: a frame by its template, and by what it says otherwise.
struct Definition {
    frame: Frame,
    leans_on_nothing: bool,
    active: Option<Targets>,
}

impl Definition {
    fn read(
        structure: &Structure,
        frames: &Frames,
        mandatory: Mandatory,
        extended: Extended,
        bits: &mut Bits<'_>,
    ) -> Option<Self> {
        let Mandatory { start, end, number, .. } = mandatory;
        let active = if extended.active { Some(structure.read_active(bits)?) } else { None };
        let template = structure.template(mandatory.template)?;
        let indications = if extended.custom_dtis { structure.read_indications(bits)? } else { template.indications };
        let (common, leans_on_nothing) = if extended.custom_fdiffs {
            custom_common(frames, number, bits)?
        } else {
            (frames.common(number, template.differences), template.differences == 0)
        };
        let reach = Reach {
            part_of: Targets(indications.present),
            entry_to: Targets(indications.switch),
            // A target's frames lean on nothing outside of it.
            decodable_in: Targets(common | indications.present),
            spatial: template.layer.spatial,
            temporal: template.layer.temporal,
        };
        let spatial = template.layer.spatial;
        let frame = Frame { start, end, key_frame: false, number, spatial, reach, size: None };
        Some(Self { frame, leans_on_nothing, active })
    }
}

/// A.8.2, frame_fdiffs: the targets that all frames which this one leans on are part of, and whether there are none such.
fn custom_common(frames: &Frames, number: u16, bits: &mut Bits<'_>) -> Option<(u32, bool)> {
    let mut common = Targets::ALL.0;
    let mut none = true;
    loop {
        let size = bits.read(2)? as usize;
        if size == 0 {
            return Some((common, none));
        }
        let difference = bits.read(4 * size)? as u16 + 1;
        common &= frames.part_of(number.wrapping_sub(difference));
        none = false;
    }
}

/// The last frames, and the targets that they were part of. A frame that is not here was lost, or is long ago.
#[derive(Debug)]
struct Frames([Option<(u16, Targets)>; FRAMES_LEN]);

impl Frames {
    fn insert(&mut self, number: u16, part_of: Targets) {
        self.0[usize::from(number) % FRAMES_LEN] = Some((number, part_of));
    }

    fn part_of(&self, number: u16) -> u32 {
        match self.0[usize::from(number) % FRAMES_LEN] {
            Some((kept, part_of)) if kept == number => part_of.0,
            Some(_) | None => 0,
        }
    }

    /// The targets that all of the frames before `number` at these differences are part of: bit n stands for n + 1.
    fn common(&self, number: u16, differences: u16) -> u32 {
        let mut common = Targets::ALL.0;
        let mut left = differences;
        while left != 0 {
            let difference = left.trailing_zeros() as u16 + 1;
            common &= self.part_of(number.wrapping_sub(difference));
            left &= left - 1;
        }
        common
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self([None; FRAMES_LEN])
    }
}

/// Three seconds of 30 pictures with three spatial layers, or the same of three encodings that count together; frames further
/// back are leaned on by long-term references alone.
const FRAMES_LEN: usize = 256;

const MANDATORY_LEN: usize = 3;
const STRUCTURE_PRESENT: u8 = 0x80;

#[cfg(test)]
mod tests;
