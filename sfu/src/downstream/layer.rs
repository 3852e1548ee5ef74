//! What a viewer is told of the layer that it gets.
//!
//! Told when it has changed, at most a few times a second, the last one wins: what comes in between waits for the next look.

use std::time::Duration;

use tidewire_core::codec::Target;
use tidewire_core::id::Label;
use tidewire_core::message::quality::{Layer, LayerReason};
use tidewire_core::time::Instant;

use super::choice::{Aim, halved};
use super::stream::Stream;
use crate::upstream::{TOP, TrackKey, Upstream};

/// More often than this nobody can read.
const INTERVAL_MIN: Duration = Duration::from_millis(250);

/// What a viewer was told last, in few bytes.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<(Instant, Got)>,
}

/// A track, the highest layers that come of it, and their size.
type Place = (u8, Target, Option<(u16, u16)>);

/// What a viewer gets: nothing while it has paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Got {
    at: Option<Place>,
    reason: LayerReason,
}

impl Stream {
    /// What the viewer gets now and why, if it is to be told.
    pub(super) fn tell(&mut self, now: Instant, upstream: &Upstream) -> Option<(Layer, LayerReason)> {
        let got = self.got(upstream)?;
        // Between nothing and something a viewer goes by its own wish, and waits for no next look: there may be none.
        let is_other = |before: Got| before.at.is_some() != got.at.is_some();
        let is_due =
            |(at, before): (Instant, Got)| before != got && (is_other(before) || now.since(at) >= INTERVAL_MIN);
        if !self.told.last.is_none_or(is_due) {
            return None;
        }
        self.told.last = Some((now, got));
        Some((layer(&got, upstream), got.reason))
    }

    /// `None` for a viewer whose first picture has not come yet, and for one that is about to leave what is sent no longer.
    fn got(&self, upstream: &Upstream) -> Option<Got> {
        if self.choice.reason == LayerReason::Paused {
            return Some(Got { at: None, reason: LayerReason::Paused });
        }
        if self.choice.reason == LayerReason::NotSent && !self.has_its_choice() {
            return None;
        }
        let Aim { track, target, .. } = self.had()?;
        let known = upstream.track(TrackKey::new(self.source()?.upstream, track))?;
        let (targets, active) = (known.targets(), known.active());
        let active = (0..=u8::MAX).zip(targets).filter(|(at, _)| active.has(*at));
        let highest = active.map(|(_, layers)| *layers).max();
        let own = targets.get(usize::from(target)).copied();
        let layers = if target == TOP { highest } else { own.min(highest) }.unwrap_or_default();
        let size = known.size_at(layers.spatial).or_else(|| halved(known.size()?, targets, layers.spatial));
        Some(Got { at: Some((track, layers, size)), reason: self.present_reason() })
    }

    fn present_reason(&self) -> LayerReason {
        match self.choice.reason {
            LayerReason::Best | LayerReason::Size | LayerReason::Wished if !self.has_its_choice() => {
                LayerReason::Waiting
            }
            reason => reason,
        }
    }
}

fn layer(got: &Got, upstream: &Upstream) -> Layer {
    let Some((track, layers, size)) = got.at else { return Layer::default() };
    let rid = upstream.tracks.get(usize::from(track)).and_then(|track| track.rid);
    Layer {
        encoding: rid.and_then(|rid| Label::new(&rid).ok()),
        spatial: layers.spatial,
        temporal: layers.temporal,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
    }
}
