//! The decode targets of a stream whose packets name their spatial and temporal layer themselves (VP8, VP9).
//!
//! A target for each pair of layers that there is. Layers become known as they are seen: new targets go to the end, so that an
//! index keeps its meaning until the stream says, with a key frame, that there are fewer. Sets of targets are looked up, not
//! computed, since that is done for each packet.

use arrayvec::ArrayVec;

use super::{TARGETS_MAX, Target, Targets};

/// A VP9 descriptor can name as many.
const SPATIAL_MAX: u8 = 8;

/// What is left of a set's bits for each spatial layer; encoders know four at most. Layers above count as the highest.
const TEMPORAL_MAX: u8 = TARGETS_MAX as u8 / SPATIAL_MAX;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Grid {
    targets: ArrayVec<Target, TARGETS_MAX>,
    /// How many layers there are.
    spatial: u8,
    temporal: u8,
    /// For each layer the targets that end with it, and those that reach it.
    spatial_at: [u32; SPATIAL_MAX as usize],
    spatial_from: [u32; SPATIAL_MAX as usize],
    temporal_at: [u32; TEMPORAL_MAX as usize],
    temporal_from: [u32; TEMPORAL_MAX as usize],
}

impl Grid {
    pub(super) fn new() -> Self {
        let mut grid = Self {
            targets: ArrayVec::new(),
            spatial: 0,
            temporal: 0,
            spatial_at: [0; _],
            spatial_from: [0; _],
            temporal_at: [0; _],
            temporal_from: [0; _],
        };
        grid.grow(1, 1);
        grid
    }

    /// What is behind a packet's layers, which are the stream's from now on.
    #[inline]
    pub(super) fn place(&mut self, spatial: u8, temporal: u8) -> Place<'_> {
        let (spatial, temporal) = (spatial.min(SPATIAL_MAX - 1), temporal.min(TEMPORAL_MAX - 1));
        if spatial >= self.spatial || temporal >= self.temporal {
            self.grow(spatial + 1, temporal + 1);
        }
        Place { grid: self, spatial, temporal }
    }

    /// There are at least as many layers.
    pub(super) fn grow(&mut self, spatial: u8, temporal: u8) {
        let had = (self.spatial, self.temporal);
        self.spatial = self.spatial.max(spatial.min(SPATIAL_MAX));
        self.temporal = self.temporal.max(temporal.min(TEMPORAL_MAX));
        for temporal in 0..self.temporal {
            for spatial in 0..self.spatial {
                if spatial >= had.0 || temporal >= had.1 {
                    self.add(Target { spatial, temporal });
                }
            }
        }
    }

    /// With a key frame: there are so many spatial layers, and no more.
    pub(super) fn renew(&mut self, spatial: u8) {
        if spatial < self.spatial {
            let temporal = self.temporal;
            *self = Self::new();
            self.grow(spatial, temporal);
        }
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The targets up to a number of spatial layers.
    pub(super) fn below(&self, spatial: u8) -> Targets {
        Targets(self.spatial_at.iter().take(spatial.into()).fold(0, |all, at| all | at))
    }

    fn add(&mut self, target: Target) {
        let bit = 1 << self.targets.len();
        // Cannot fail: both maxima together make TARGETS_MAX.
        self.targets.push(target);
        let (spatial, temporal) = (usize::from(target.spatial), usize::from(target.temporal));
        self.spatial_at[spatial] |= bit;
        self.temporal_at[temporal] |= bit;
        self.spatial_from[..=spatial].iter_mut().for_each(|from| *from |= bit);
        self.temporal_from[..=temporal].iter_mut().for_each(|from| *from |= bit);
    }
}

/// A packet's pair of layers among the targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    grid: &'a Grid,
    spatial: u8,
    temporal: u8,
}

impl Place<'_> {
    /// The targets that end with the packet's spatial layer.
    pub(super) fn spatial_at(self) -> u32 {
        self.grid.spatial_at[usize::from(self.spatial)]
    }

    /// The targets that reach the packet's spatial layer.
    pub(super) fn spatial_from(self) -> u32 {
        self.grid.spatial_from[usize::from(self.spatial)]
    }

    /// The targets that reach the spatial layer below.
    pub(super) fn spatial_from_below(self) -> u32 {
        self.grid.spatial_from[usize::from(self.spatial.saturating_sub(1))]
    }

    pub(super) fn temporal_at(self) -> u32 {
        self.grid.temporal_at[usize::from(self.temporal)]
    }

    pub(super) fn temporal_from(self) -> u32 {
        self.grid.temporal_from[usize::from(self.temporal)]
    }

    pub(super) fn temporal_from_below(self) -> u32 {
        self.grid.temporal_from[usize::from(self.temporal.saturating_sub(1))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(grid: &Grid) -> Vec<(u8, u8)> {
        grid.targets().iter().map(|target| (target.spatial, target.temporal)).collect()
    }

    #[test]
    fn layers_that_appear_go_to_the_end() {
        let mut grid = Grid::new();
        assert_eq!(pairs(&grid), [(0, 0)]);
        grid.grow(2, 1);
        assert_eq!(pairs(&grid), [(0, 0), (1, 0)]);
        grid.place(0, 2);
        assert_eq!(pairs(&grid), [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn fewer_spatial_layers_make_a_new_grid_and_as_many_or_more_do_not() {
        let mut grid = Grid::new();
        grid.grow(3, 2);
        let all = pairs(&grid);
        grid.renew(3);
        grid.renew(4);
        assert_eq!(pairs(&grid), all);
        grid.renew(1);
        assert_eq!(pairs(&grid), [(0, 0), (0, 1)]);
    }

    #[test]
    fn every_layer_that_can_be_written_has_its_place() {
        let mut grid = Grid::new();
        let place = grid.place(7, 7);
        assert_eq!(place.spatial_at() & place.temporal_at(), 1 << 31);
        assert_eq!(grid.targets().len(), TARGETS_MAX);
        grid.place(255, 255);
        assert_eq!(grid.targets().len(), TARGETS_MAX);
    }

    #[test]
    fn sets_name_the_targets_that_reach_a_layer() {
        let mut grid = Grid::new();
        grid.grow(3, 3);
        for (index, target) in grid.targets().to_vec().into_iter().enumerate() {
            let place = grid.place(1, 2);
            assert_eq!(place.spatial_from() >> index & 1 == 1, target.spatial >= 1);
            assert_eq!(place.spatial_at() >> index & 1 == 1, target.spatial == 1);
            assert_eq!(place.temporal_from() >> index & 1 == 1, target.temporal >= 2);
            assert_eq!(place.temporal_from_below() >> index & 1 == 1, target.temporal >= 1);
            assert_eq!(grid.below(1).has(index as u8), target.spatial == 0);
        }
    }
}
