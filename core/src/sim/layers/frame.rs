//! A frame as an encoder hands it over, and the marks that a receiver finds on its packets.

use super::structure::Structure;

/// A frame with all numbers that a descriptor may tell.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) structure: Structure,
    /// Of all spatial layers.
    pub(super) sizes: Vec<(u16, u16)>,
    /// Counted from zero, and from the last key picture.
    pub(super) picture: u32,
    pub(super) since_key: u32,
    /// Counted over all layers.
    pub(super) frame: u32,
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    /// As the encoder numbers them on the wire.
    pub(super) picture_id: u16,
    pub(super) frame_number: u16,
    pub(super) tl0: u8,
    pub(super) key_index: u8,
    pub(super) sync: bool,
}

impl Frame {
    /// The base layer of the first picture, all numbers zero.
    pub(super) const fn first(structure: Structure, sizes: Vec<(u16, u16)>) -> Self {
        Self {
            structure,
            sizes,
            picture: 0,
            since_key: 0,
            frame: 0,
            spatial: 0,
            temporal: 0,
            picture_id: 0,
            frame_number: 0,
            tl0: 0,
            key_index: 0,
            sync: false,
        }
    }

    pub(super) fn size(&self) -> (u16, u16) {
        self.sizes.get(usize::from(self.spatial)).copied().unwrap_or_default()
    }

    /// The numbers of the frames that it leans on.
    pub(super) fn references(&self) -> Vec<u32> {
        let layers = u32::from(self.structure.spatial_layers);
        let base = self.frame - u32::from(self.spatial);
        let number = |(picture, spatial)| base - (self.since_key - picture) * layers + u32::from(spatial);
        self.structure.references((self.since_key, self.spatial)).into_iter().map(number).collect()
    }
}

/// What a packet's descriptor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) starts: bool,
    /// Where a descriptor says it.
    pub(super) ends: Option<bool>,
    /// Picture id, and its bits.
    pub(super) picture: Option<(u16, u8)>,
    pub(super) tl0: Option<u8>,
    /// Spatial and temporal.
    pub(super) layers: Option<(u8, u8)>,
    /// How far back the picture leans, where the packet says it of itself.
    pub(super) backs: Option<Vec<u8>>,
    /// How far back each picture of a group leans, where the packet says it.
    pub(super) group: Vec<Vec<u8>>,
}
