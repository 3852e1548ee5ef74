//! Which frames lean on which: the prediction structures of the simulated encoders.
//!
//! A *picture* is what is captured at one instant, a *frame* its part in one spatial layer. Everything else is worked out from
//! the references alone, by trying: what a frame means to a decode target, whether it is a layer sync. So what a publisher
//! says on the wire does not rest on a table that somebody could have copied wrongly.

use std::collections::BTreeSet;

/// Where upper spatial layers lean on lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterLayer {
    Always,
    /// In key pictures alone (k-SVC).
    KeyPictures,
}

/// See the module's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    pub spatial_layers: u8,
    /// One or three.
    pub temporal_layers: u8,
    pub inter_layer: InterLayer,
}

/// What a frame is to a decode target (AV1 payload format, A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Indication {
    NotPresent,
    Discardable,
    Switch,
    Required,
}

/// A picture, counted from its key picture, and a spatial layer of it.
pub(super) type Place = (u32, u8);

/// Pictures after which the structure repeats itself.
pub(super) const PERIOD: u32 = 8;

impl Structure {
    pub const L1T1: Self = Self { spatial_layers: 1, temporal_layers: 1, inter_layer: InterLayer::Always };
    pub const L1T3: Self = Self { temporal_layers: 3, ..Self::L1T1 };
    pub const L3T3: Self = Self { spatial_layers: 3, ..Self::L1T3 };
    pub const L3T3_KEY: Self = Self { inter_layer: InterLayer::KeyPictures, ..Self::L3T3 };

    /// The temporal layer of a picture.
    pub fn temporal(self, picture: u32) -> u8 {
        const LAYERS: [u8; 4] = [0, 2, 1, 2];
        if self.temporal_layers == 1 { 0 } else { LAYERS[picture as usize % 4] }
    }

    /// How many pictures back a picture leans, in its own spatial layer.
    ///
    /// In the second half of a period the upper temporal layers lean on their own past, so that they can be entered in the
    /// first half alone.
    pub(super) fn backs(self, picture: u32) -> &'static [u32] {
        const BACKS: [&[u32]; PERIOD as usize] = [&[4], &[1], &[2], &[1], &[4], &[1, 2], &[2, 4], &[1, 2]];
        match (picture, self.temporal_layers) {
            (0, _) => &[],
            (_, 1) => &[1],
            (picture, _) => BACKS[(picture % PERIOD) as usize],
        }
    }

    /// Whether a frame leans on the one below it in the same picture.
    pub(super) fn leans_down(self, (picture, spatial): Place) -> bool {
        spatial > 0 && (picture == 0 || self.inter_layer == InterLayer::Always)
    }

    /// All frames that a frame leans on.
    pub(super) fn references(self, (picture, spatial): Place) -> Vec<Place> {
        let past = self.backs(picture).iter().map(|back| (picture - back, spatial));
        let below = self.leans_down((picture, spatial)).then(|| (picture, spatial - 1));
        past.chain(below).collect()
    }

    /// Decode targets, the lowest first.
    pub(super) fn targets(self) -> impl Iterator<Item = (u8, u8)> {
        (0..self.spatial_layers)
            .flat_map(move |spatial| (0..self.temporal_layers).map(move |temporal| (spatial, temporal)))
    }

    /// What a frame is to a target, found out by looking at all that comes within two periods.
    pub(super) fn indication(self, place: Place, target: (u8, u8)) -> Indication {
        // Later periods are alike; the first one behind the key picture is looked at as the second.
        let place = if place.0 == 0 { place } else { (PERIOD + place.0 % PERIOD, place.1) };
        if !self.is_part(place, target) {
            return Indication::NotPresent;
        }
        let later: Vec<Place> = self.after(place).filter(|later| self.is_part(*later, target)).collect();
        let leans: BTreeSet<Place> = later.iter().flat_map(|later| self.references(*later)).collect();
        let had = self.ancestors(place);
        if !leans.contains(&place) {
            Indication::Discardable
        } else if leans.iter().all(|on| *on >= place || had.contains(on)) {
            Indication::Switch
        } else {
            Indication::Required
        }
    }

    /// Whether a decoder of a target needs a frame.
    pub fn is_part(self, (picture, spatial): Place, target: (u8, u8)) -> bool {
        let needed = picture == 0 || self.inter_layer == InterLayer::Always || spatial == target.0;
        spatial <= target.0 && self.temporal(picture) <= target.1 && needed
    }

    /// RFC 7741 4.2, Y: an upper temporal layer that leans on the lowest one alone.
    pub(super) fn is_sync(self, picture: u32) -> bool {
        self.temporal(picture) > 0 && self.backs(picture).iter().all(|back| self.temporal(picture - back) == 0)
    }

    /// RFC 9628 4.2, U: no later picture of a higher temporal layer leans on one of a higher layer before this.
    pub(super) fn is_switching_up(self, picture: u32) -> bool {
        let picture = PERIOD + picture % PERIOD;
        let own = self.temporal(picture);
        let higher = |picture: u32| self.temporal(picture) > own;
        (picture + 1..picture + 2 * PERIOD)
            .filter(|later| higher(*later))
            .flat_map(|later| self.backs(later).iter().map(move |back| later - back))
            .all(|on| on >= picture || !higher(on))
    }

    /// Whether a frame is a link of the chain that protects the targets of a spatial layer (A.8.3.2).
    pub(super) fn is_in_chain(self, place: Place, chain: u8) -> bool {
        self.is_part(place, (chain, 0))
    }

    fn after(self, (picture, spatial): Place) -> impl Iterator<Item = Place> {
        (picture..picture + 2 * PERIOD)
            .flat_map(move |picture| (0..self.spatial_layers).map(move |spatial| (picture, spatial)))
            .filter(move |place| *place > (picture, spatial))
    }

    fn ancestors(self, place: Place) -> BTreeSet<Place> {
        let mut found = BTreeSet::new();
        let mut open = self.references(place);
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.references(next));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Indication::{Discardable, NotPresent, Required, Switch};

    fn indications(structure: Structure, place: Place) -> Vec<Indication> {
        structure.targets().map(|target| structure.indication(place, target)).collect()
    }

    #[test]
    fn temporal_layers_are_indicated_as_encoders_do() {
        let structure = Structure::L1T3;
        assert_eq!(indications(structure, (0, 0)), [Switch; 3]);
        assert_eq!(indications(structure, (8, 0)), [Switch; 3]);
        assert_eq!(indications(structure, (1, 0)), [NotPresent, NotPresent, Discardable]);
        assert_eq!(indications(structure, (2, 0)), [NotPresent, Switch, Switch]);
        // Its successors lean on upper layers before it.
        assert_eq!(indications(structure, (4, 0)), [Switch, Required, Required]);
    }

    #[test]
    fn an_upper_spatial_layer_is_entered_at_key_pictures_alone() {
        let structure = Structure::L3T3;
        assert_eq!(indications(structure, (0, 0)), [Switch; 9]);
        assert_eq!(indications(structure, (8, 0))[..3], [Switch; 3]);
        assert_eq!(indications(structure, (8, 0))[3..], [Required; 6]);
        assert_eq!(indications(structure, (8, 2))[6..], [Switch; 3]);
    }

    #[test]
    fn lower_layers_are_no_part_of_upper_targets_between_key_pictures_of_k_svc() {
        let structure = Structure::L3T3_KEY;
        assert_eq!(indications(structure, (8, 0))[..3], [Switch; 3]);
        assert_eq!(indications(structure, (8, 0))[3..], [NotPresent; 6]);
        assert_eq!(indications(structure, (0, 1))[..3], [NotPresent; 3]);
    }

    #[test]
    fn syncs_and_switching_points_follow_from_the_references() {
        let structure = Structure::L1T3;
        let of =
            |is: fn(Structure, u32) -> bool| (8..16).map(move |at| u8::from(is(structure, at))).collect::<Vec<_>>();
        assert_eq!(of(Structure::is_sync), [0, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(of(Structure::is_switching_up), [1, 1, 1, 1, 0, 1, 0, 1]);
    }
}
