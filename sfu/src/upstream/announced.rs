//! What a publisher announces of an encoding (the video layers allocation): whether it is sent, its spatial layers, and their
//! target rates and sizes.
//!
//! In go the layers that an allocation lists of the encoding; out comes what stands in for what is not measured yet. Any frame of
//! a section may bring an allocation, and it speaks for all encodings of the section. It is a stranger's word, bounded by its
//! syntax. Invariant: what is announced again is no news, so it takes nothing back that was measured since. What a layer was like
//! when it was listed last stays known: so it may be when it returns. It decides nothing.

use std::ops::Range;
use std::time::Duration;

use tidewire_core::codec::allocation::{ActiveLayer, Allocation, SPATIAL_MAX};
use tidewire_core::codec::{Target, Targets};
use tidewire_core::count::{Counter, Tally};
use tidewire_core::negotiate::Extension;
use tidewire_core::rtp::Header;
use tidewire_core::time::Instant;

use super::Upstream;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// Whether the encoding is sent.
    is_sent: Option<bool>,
    /// When something else was announced than before.
    since: Instant,
    /// Spatial layers that are listed, a bit each: those of the last allocation in which the encoding was sent.
    listed: Option<u8>,
    /// Spatial layers that are not sent, by what was announced and not contradicted since.
    quiet: u8,
    /// By spatial layer, as it was listed last.
    layers: [Option<ActiveLayer>; SPATIAL_MAX as usize],
}

impl Announced {
    /// Takes note of the layers that are sent of the encoding. Returns whether it is sent, if that is news.
    pub(super) fn hear<'a>(&mut self, now: Instant, layers: impl Iterator<Item = &'a ActiveLayer>) -> Option<bool> {
        let mut listed = 0;
        for layer in layers {
            listed |= 1 << (layer.spatial % SPATIAL_MAX);
            self.keep(layer);
        }
        if listed != 0 {
            self.list(now, listed);
        }
        let is_sent = listed != 0;
        if self.is_sent.replace(is_sent) == Some(is_sent) {
            return None;
        }
        self.since = now;
        Some(is_sent)
    }

    /// A short allocation leaves out what the pictures are like, since that has not changed.
    fn keep(&mut self, layer: &ActiveLayer) {
        let Some(known) = self.layers.get_mut(usize::from(layer.spatial)) else { return };
        let picture = layer.picture.or(known.as_ref().and_then(|before| before.picture));
        *known = Some(ActiveLayer { picture, ..layer.clone() });
    }

    fn list(&mut self, now: Instant, listed: u8) {
        let before = self.listed.replace(listed).unwrap_or(ALL);
        if before != listed {
            self.quiet = (self.quiet | before) & !listed;
            self.since = now;
        }
    }

    /// A frame of this spatial layer has come. Returns whether that contradicts what was announced, which holds no longer then.
    #[inline]
    pub(super) fn is_contradicted(&mut self, now: Instant, spatial: u8) -> bool {
        let bit = 1_u8.unbounded_shl(spatial.into());
        if self.quiet & bit == 0 || self.is_recent(now) {
            return false;
        }
        self.quiet &= !bit;
        true
    }

    /// Whether what comes now of the encoding may have been on its way when its end was announced.
    pub(super) fn has_just_ended(&self, now: Instant) -> bool {
        self.is_sent == Some(false) && self.is_recent(now)
    }

    fn is_recent(&self, now: Instant) -> bool {
        now.since(self.since) < ON_ITS_WAY
    }

    /// The targets that are sent, as far as this is announced; all, if it would be none.
    pub(super) fn active(&self, targets: &[Target]) -> Targets {
        if self.quiet == 0 {
            return Targets::ALL;
        }
        let is_quiet = |target: &Target| u32::from(self.quiet).unbounded_shr(target.spatial.into()) & 1 != 0;
        let quiet = (0..u32::BITS).zip(targets).filter(|(_, target)| is_quiet(target));
        let quiet = quiet.fold(0_u32, |quiet, (at, _)| quiet | 1 << at);
        if quiet.count_ones() as usize >= targets.len() { Targets::ALL } else { Targets(!quiet) }
    }

    /// The size of the largest pictures, where it is announced.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        let listed = self.listed?;
        (0..SPATIAL_MAX).rev().filter(|spatial| listed >> spatial & 1 != 0).find_map(|spatial| self.size_at(spatial))
    }

    pub(super) fn size_at(&self, spatial: u8) -> Option<(u16, u16)> {
        let picture = self.layers.get(usize::from(spatial))?.as_ref()?.picture?;
        Some((picture.width, picture.height))
    }

    /// Bits per second that the encoding is to take up to these layers; 0 where it is not announced.
    pub(super) fn rate_bps(&self, up_to: Target) -> u32 {
        let below = self.layers.iter().flatten().filter(|layer| layer.spatial <= up_to.spatial);
        let rates = below.filter_map(|layer| {
            let temporal = layer.rates_kbps.len().checked_sub(1)?.min(up_to.temporal.into());
            layer.rates_kbps.get(temporal)
        });
        // What builds on other layers takes no less than they do, whatever is announced.
        rates.max().copied().unwrap_or(0).saturating_mul(1_000)
    }
}

impl Upstream {
    /// Takes note of the allocation that came with the first packet of a frame, if one did: senders put none elsewhere. What comes
    /// late is not to be asked, it tells of before.
    #[inline]
    pub(super) fn hear_allocation(
        &mut self,
        now: Instant,
        track: u8,
        header: &Header,
        packet: &[u8],
        tally: &mut Tally,
    ) {
        let section = self.tracks.get(usize::from(track)).and_then(|one| self.sections.get(usize::from(one.section)));
        let Some(section) = section else { return };
        if let Some(bytes) = section.element(Extension::VideoLayersAllocation, header, packet) {
            self.read_allocation(now, usize::from(track), section.tracks(), bytes, tally);
        }
    }

    #[cold]
    fn read_allocation(&mut self, now: Instant, track: usize, tracks: Range<usize>, bytes: &[u8], tally: &mut Tally) {
        let own = track.saturating_sub(tracks.start);
        let allocation = Allocation::read(bytes).filter(|read| is_believed(read, own, tracks.len()));
        let (Some(allocation), Some(tracks)) = (allocation, self.tracks.get_mut(tracks)) else {
            return tally.count(Counter::AllocationsRefused);
        };
        tally.count(Counter::AllocationsReceived);
        for (at, track) in tracks.iter_mut().enumerate() {
            let layers = allocation.layers.iter().filter(|layer| usize::from(layer.encoding) == at);
            self.changed |= track.hear_announced(now, layers);
        }
    }
}

/// Whether a publisher that says this with a packet of encoding `own` counts its encodings as they were agreed on.
fn is_believed(allocation: &Allocation, own: usize, encodings: usize) -> bool {
    let says_nothing_is_sent = allocation.layers.is_empty();
    let is_known = |layer: &ActiveLayer| usize::from(layer.encoding) < encodings;
    says_nothing_is_sent || usize::from(allocation.encoding) == own && allocation.layers.iter().all(is_known)
}

/// Every spatial layer that can be listed; what cannot be is not denied by being left out.
const ALL: u8 = (1 << SPATIAL_MAX) - 1;

/// So long what was sent before something else was announced may be on its way: the longest round trip within a continent.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests;
