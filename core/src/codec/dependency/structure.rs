//! The template structure of a dependency descriptor: the decode targets of a stream and the kinds of frames that it is made of.
//!
//! In: its bits. Out: templates, as sets of targets; the layers of each target; the sizes of spatial layers. Bounded by what the
//! syntax can say (64 templates, 32 targets) and by the layers of AV1 (4 spatial, 8 temporal).

use arrayvec::ArrayVec;

use crate::codec::bits::Bits;
use crate::codec::{TARGETS_MAX, Target, Targets};

/// AOMedia's "RTP Payload Format For AV1", A.8.2.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// The id of the first template.
    offset: u8,
    templates: ArrayVec<Template, TEMPLATES_MAX>,
    targets: ArrayVec<Target, TARGETS_MAX>,
    /// By spatial layer; none where nothing is said.
    sizes: ArrayVec<(u16, u16), SPATIAL_MAX>,
}

/// A kind of frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Template {
    pub(super) layer: Target,
    pub(super) indications: Indications,
    /// Which frames before it such a frame leans on: bit n stands for the one that came n + 1 before.
    pub(super) differences: u16,
}

/// What a frame is to each of the targets, as sets of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Indications {
    /// All but those that it is no part of.
    pub(super) present: u32,
    /// Those that can be gone on with from here.
    pub(super) switch: u32,
}

impl Structure {
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let offset = bits.read(6)? as u8;
        let targets = bits.read(5)? as usize + 1;
        let mut templates = read_layers(bits)?;
        for template in &mut templates {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in &mut templates {
            template.differences = read_differences(bits)?;
        }
        skip_chains(bits, targets, templates.len())?;
        let sizes = if bits.flag()? { read_sizes(bits, templates.last()?.layer.spatial)? } else { ArrayVec::new() };
        let targets = (0..targets).map(|index| layers_of(&templates, index)).collect();
        Some(Self { offset, templates, targets, sizes })
    }

    /// A.8.2: ids count on from the offset, modulo 64.
    pub(super) fn template(&self, id: u8) -> Option<&Template> {
        self.templates.get(usize::from(id.wrapping_sub(self.offset) % TEMPLATES_MAX as u8))
    }

    /// active_decode_targets_bitmask: the lowest bit is that of the first target.
    pub(super) fn read_active(&self, bits: &mut Bits<'_>) -> Option<Targets> {
        bits.read(self.targets.len()).map(Targets)
    }

    /// frame_dtis, where a frame differs from its template.
    pub(super) fn read_indications(&self, bits: &mut Bits<'_>) -> Option<Indications> {
        Indications::read(bits, self.targets.len())
    }

    pub(super) fn targets(&self) -> &[Target] {
        if self.targets.is_empty() { &[Target { spatial: 0, temporal: 0 }] } else { &self.targets }
    }

    pub(super) fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        self.sizes.get(usize::from(spatial)).copied()
    }
}

impl Indications {
    fn read(bits: &mut Bits<'_>, targets: usize) -> Option<Self> {
        let mut read = Self::default();
        for target in 0..targets {
            let indication = bits.read(2)?;
            read.present |= u32::from(indication != NOT_PRESENT) << target;
            read.switch |= u32::from(indication == SWITCH) << target;
        }
        Some(read)
    }
}

/// template_layers: each template's layers, as a step from those of the one before.
fn read_layers(bits: &mut Bits<'_>) -> Option<ArrayVec<Template, TEMPLATES_MAX>> {
    let mut templates = ArrayVec::new();
    let mut layer = Target::default();
    loop {
        templates.try_push(Template { layer, ..Template::default() }).ok()?;
        match bits.read(2)? {
            SAME_LAYER => {}
            NEXT_TEMPORAL => layer.temporal += 1,
            NEXT_SPATIAL => layer = Target { spatial: layer.spatial + 1, temporal: 0 },
            _ => return Some(templates),
        }
        if usize::from(layer.spatial) >= SPATIAL_MAX || layer.temporal >= TEMPORAL_MAX {
            return None;
        }
    }
}

/// template_fdiffs, of one template: numbers of 4 bits, each announced by a bit.
fn read_differences(bits: &mut Bits<'_>) -> Option<u16> {
    let mut differences = 0;
    while bits.flag()? {
        differences |= 1 << bits.read(4)?;
    }
    Some(differences)
}

/// template_chains: which chain protects which target, and how far back each template's frame before it in a chain is.
fn skip_chains(bits: &mut Bits<'_>, targets: usize, templates: usize) -> Option<()> {
    let chains = bits.non_symmetric(targets as u32 + 1)?;
    if chains == 0 {
        return Some(());
    }
    for _ in 0..targets {
        bits.non_symmetric(chains)?;
    }
    bits.skip(4 * templates * chains as usize)
}

/// render_resolutions: width and height, less one, of each spatial layer.
fn read_sizes(bits: &mut Bits<'_>, spatial_max: u8) -> Option<ArrayVec<(u16, u16), SPATIAL_MAX>> {
    let mut sizes = ArrayVec::new();
    for _ in 0..=spatial_max {
        let size = (bits.read(16)? as u16, bits.read(16)? as u16);
        sizes.try_push((size.0.saturating_add(1), size.1.saturating_add(1))).ok()?;
    }
    Some(sizes)
}

/// decode_target_layers: a target reaches as high as the highest of the templates that are part of it.
fn layers_of(templates: &[Template], index: usize) -> Target {
    let part = templates.iter().filter(|template| template.indications.present >> index & 1 == 1);
    part.fold(Target::default(), |reached, template| Target {
        spatial: reached.spatial.max(template.layer.spatial),
        temporal: reached.temporal.max(template.layer.temporal),
    })
}

const TEMPLATES_MAX: usize = 64;
const SPATIAL_MAX: usize = 4;
const TEMPORAL_MAX: u8 = 8;

const NOT_PRESENT: u32 = 0;
const SWITCH: u32 = 2;

const SAME_LAYER: u32 = 0;
const NEXT_TEMPORAL: u32 = 1;
const NEXT_SPATIAL: u32 = 2;
