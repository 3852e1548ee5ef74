//! How a stream turns: from one track to another, from one target of a track to another, and past what it leaves out.
//!
//! A choice goes in; the stream takes it up at once where nothing is under way, else with the first frame at which the viewer's
//! decoder can follow, and until then goes on as before. Invariant: whatever it turns to, its sequence numbers, timestamps,
//! picture ids and TL0 indices go on from what was sent. It seals nothing.

use arrayvec::ArrayVec;
use tidewire_core::codec::{Kind, Numbers, Shift, Target, Targets};
use tidewire_core::count::Discard;
use tidewire_core::limits::ENCODINGS_MAX;
use tidewire_core::ring::{Meta, Stored};
use tidewire_core::time::Instant;

use super::choice::{Aim, Candidate, Choice, choose};
use super::course::Stage;
use super::stream::Stream;
use super::trail::Leg;
use super::{Offered, Wanted};
use crate::upstream::{NO_LIMIT, Section, TOP, TrackKey, Upstream};

/// Pictures after which a key frame is asked for, where none has let the stream turn to another spatial layer.
const TURN_WITHIN_PICTURES: u8 = 2;

impl Stream {
    /// Chooses among the tracks of the section that it is bound to.
    pub(super) fn choose_from(&mut self, upstream: &Upstream, section: &Section) {
        let tracks = upstream.tracks_of(section);
        let candidates: ArrayVec<_, ENCODINGS_MAX> =
            tracks.iter().map(|(at, track)| Candidate::of(*at, track)).collect();
        let choice = choose(&candidates, &self.carried.wish, None, self.had());
        self.take_up(choice, upstream);
    }

    /// Adds what is wanted for this stream.
    pub(super) fn want(&self, wanted: &mut Wanted) {
        let until_then = [self.choice.aim.map(|aim| aim.track), self.heard().map(TrackKey::track)];
        let ideal = self.choice.wanted;
        let others = until_then.into_iter().flatten().filter(|track| ideal.is_none_or(|(best, _)| best != *track));
        for one in ideal.into_iter().chain(others.map(|track| (track, NO_LIMIT))) {
            if wanted.try_push(one).is_err() {
                return;
            }
        }
    }

    /// Takes up a choice among the section's tracks and their targets: at once where nothing is under way, else with the next
    /// frame at which the viewer's decoder can follow.
    fn take_up(&mut self, choice: Choice, upstream: &Upstream) {
        self.choice = choice;
        let keyed = |aim: Aim| Some((TrackKey::new(self.source()?.upstream, aim.track), aim));
        let Some((key, aim)) = choice.aim.and_then(keyed) else {
            self.remember(upstream);
            return self.course.turn_to(None, 0);
        };
        if self.course.heard == Some(key) {
            self.course.awaited = None;
            self.wish_for(aim.target);
            self.steps = self.steps_to(aim, upstream.track(key).map_or(&[], |track| track.targets()));
        } else if self.course.stage == Stage::Running {
            self.course.awaited = Some(key);
        } else {
            self.course.turn_to(Some(key), upstream.track(key).map_or(0, |track| track.epoch));
            self.wish_for(aim.target);
        }
    }

    /// Before a pause: notes the numbers of the last packet in order, where they were not noted on the way, so that they go on
    /// behind it.
    fn remember(&mut self, upstream: &Upstream) {
        if let Some((last, shift)) = self.last_unnoted(upstream) {
            self.trail.get_or_insert_default().note(&last, shift);
        }
    }

    /// The same before another publisher takes over. Of what went before nothing can be repaired then, so that without numbers
    /// there is nothing to note.
    pub(super) fn hand_over(&mut self, upstream: &Upstream) {
        if let Some((last, shift)) = self.last_unnoted(upstream).filter(|(last, _)| last.numbers != Numbers::NONE) {
            self.trail.get_or_insert_default().note(&last, shift);
        }
    }

    fn last_unnoted(&self, upstream: &Upstream) -> Option<(Meta, Shift)> {
        let leg = self.leg.filter(|leg| self.course.is_plain && self.course.next > leg.to)?;
        let track = self.heard().and_then(|heard| upstream.track(heard))?;
        let last = track.ring.get(leg.incoming(self.course.next - 1)).filter(|_| self.kind == Kind::Video)?;
        Some((last.meta, leg.shift))
    }

    /// Begins with this packet if it is of a track that has not begun here: video at a key frame, audio at once. Says whether
    /// it did.
    pub(super) fn enter(&mut self, offered: &Offered<'_>, now: Instant) -> Result<bool, Discard> {
        let is_awaited = self.course.awaited == Some(offered.key);
        if !is_awaited && self.course.epoch != offered.epoch {
            self.succeed(offered);
            self.course.epoch = offered.epoch;
            if self.course.stage == Stage::Running {
                self.course.stage = Stage::Between;
            }
        }
        if !is_awaited && self.course.stage == Stage::Running {
            return Ok(false);
        }
        if self.kind == Kind::Video && !offered.stored.meta.key_frame {
            return Err(Discard::AwaitingKeyFrame);
        }
        self.begin(offered, now);
        Ok(true)
    }

    /// With another stream of the track that is heard: notes where the numbers of the one before ended, where they were not noted
    /// on the way.
    #[cold]
    fn succeed(&mut self, offered: &Offered<'_>) {
        let is_next = |leg: &Leg| leg.track == offered.key.track() && leg.epoch.wrapping_add(1) == offered.epoch;
        let is_unnoted = self.course.is_plain && self.course.stage == Stage::Running;
        let (Some(leg), Some(last)) = (self.leg.filter(is_next), &offered.track.predecessor) else { return };
        if is_unnoted && last.numbers != Numbers::NONE {
            self.trail.get_or_insert_default().note(last, leg.shift);
        }
    }

    fn begin(&mut self, offered: &Offered<'_>, now: Instant) {
        let packet = &offered.stored;
        let timestamp_offset = match self.course.stage {
            Stage::New => 0,
            Stage::Between | Stage::Running => self.continued(offered, now).wrapping_sub(packet.meta.timestamp),
        };
        let shift = self.trail.as_mut().map_or(Shift::NONE, |trail| trail.go_on(&packet.meta.numbers));
        let aim = self.choice.aim.filter(|aim| aim.track == offered.key.track());
        let (target, spatial) = aim.map_or((TOP, 0), |aim| (aim.target, aim.spatial));
        let leg = Leg {
            from: packet.sequence,
            to: self.course.next,
            track: offered.key.track(),
            epoch: offered.epoch,
            timestamp_offset,
            shift,
            target,
            spatial,
        };
        self.set_out(leg);
        self.course.turn_to(Some(offered.key), offered.epoch);
        (self.course.stage, self.course.wished) = (Stage::Running, target);
    }

    /// Turns to the wished target, or to one on the way to it, if with this packet's frame the viewer's decoder can follow.
    pub(super) fn turn(&mut self, packet: &Stored<'_>) -> bool {
        if self.course.wished == self.course.target {
            return false;
        }
        let begins_at = self.beginning_of(packet);
        // Of a frame that is part of the present target the viewer has what came before, or will have: it may be turned within.
        let is_had = begins_at.is_some() || packet.meta.reach.part_of.has(self.course.target);
        if !is_had {
            return false;
        }
        let from = begins_at.unwrap_or(packet.sequence);
        let (next, spatial) = (self.next_target(packet, from), self.wished_spatial());
        let outgoing = self.course.outgoing(from);
        // From here on each packet is noted.
        self.course.is_plain = false;
        let trail = self.trail.get_or_insert_default();
        let (Some(leg), Some(target)) = (self.leg, next) else {
            trail.waited = trail.waited.saturating_add(u8::from(begins_at.is_some()));
            return false;
        };
        trail.waited = 0;
        // A step on the way is of the layer that is there already.
        let spatial = if target == self.course.wished { spatial } else { leg.spatial };
        self.set_out(Leg { from, to: outgoing, target, spatial, ..leg });
        true
    }

    /// Where the packet's frame begins, if none of it has passed: with the packet, or with those that are missing before it and
    /// can only be of its picture. What is missing has its number, and goes out for the target that is turned to.
    fn beginning_of(&self, packet: &Stored<'_>) -> Option<u64> {
        let expected = self.course.expected();
        let is_within_next = || self.trail.as_ref().is_some_and(|trail| trail.is_within_next(&packet.meta));
        if expected < packet.sequence && is_within_next() {
            return Some(expected);
        }
        packet.meta.frame_start.then_some(packet.sequence)
    }

    /// The target that can be turned to with this packet. Temporal layers are climbed one by one where a frame leans on the layer
    /// below: then a step is a frame that the present target has not.
    fn next_target(&self, packet: &Stored<'_>, from: u64) -> Option<u8> {
        let meta = &packet.meta;
        let (reach, present, wished) = (&meta.reach, self.course.target, self.course.wished);
        if !meta.key_frame && !reach.decodable_in.has(present) {
            return None;
        }
        // The end of the viewer's picture may have been marked already, unless it is still missing: it gets no layer above in that.
        let present_spatial = self.leg.map_or(0, |leg| leg.spatial);
        let is_below_missing = from < packet.sequence;
        if reach.spatial > present_spatial && self.wished_spatial() > present_spatial && !is_below_missing {
            return None;
        }
        if reach.entry_to.has(wished) {
            return Some(wished);
        }
        let steps = if reach.part_of.has(present) { 0 } else { reach.entry_to.0 & self.steps.0 };
        (steps != 0).then_some(steps.trailing_zeros() as u8)
    }

    /// Whether only a key frame lets the stream turn to another spatial layer. For a temporal one none is ever asked for.
    pub(super) fn is_stuck(&self) -> bool {
        let waits = self.trail.as_ref().is_some_and(|trail| trail.waited > TURN_WITHIN_PICTURES);
        let is_other_layer = || self.leg.is_some_and(|leg| leg.spatial != self.wished_spatial());
        waits && self.course.wished != self.course.target && is_other_layer()
    }

    /// Drops a packet in order: what follows takes its number. Those that are missing before it keep theirs.
    pub(super) fn leave_out(&mut self, packet: &Stored<'_>, now: Instant) {
        let Some(leg) = self.leg else { return };
        let outgoing = self.course.outgoing(packet.sequence);
        let trail = self.trail.get_or_insert_default();
        let shift = trail.close_over(&packet.meta.numbers, leg.shift);
        trail.pass(&packet.meta);
        let is_behind_missing = self.course.expected() < packet.sequence;
        if is_behind_missing {
            self.course.keep_time(packet.meta.timestamp, now);
        }
        if is_behind_missing || trail.is_blank() {
            trail.reserve(&packet.meta, shift);
        }
        self.course.next = outgoing;
        self.set_out(Leg { from: packet.sequence + 1, to: outgoing, shift, ..leg });
    }

    /// Goes on as if there had been nothing between the last packet and the one with which the track is heard again: to the
    /// viewer, whose timestamps keep the publisher's clock, it was a silence. Whatever is missing since then keeps its number.
    pub(super) fn close_over_silence(&mut self, offered: &Offered<'_>) {
        let is_behind_it = offered.stored.sequence >= offered.resumed_at && self.course.expected() < offered.resumed_at;
        if let Some(leg) = self.leg.filter(|_| is_behind_it) {
            self.set_out(Leg { from: offered.resumed_at, to: self.course.next, ..leg });
        }
    }

    /// Goes on by another leg.
    fn set_out(&mut self, leg: Leg) {
        if let (Some(trail), Some(ended)) = (&mut self.trail, self.leg.replace(leg)) {
            trail.leave(ended, &leg);
        }
        self.course.set_out(&leg);
        self.course.is_plain &= self.trail.is_none();
    }

    /// The targets of the present spatial layer that are not above the aim.
    fn steps_to(&self, aim: Aim, targets: &[Target]) -> Targets {
        let spatial = self.leg.map_or(0, |leg| leg.spatial);
        let highest = if aim.target == TOP { targets.iter().max() } else { targets.get(usize::from(aim.target)) };
        let is_step = |one: &Target| {
            one.spatial == spatial
                && highest.is_some_and(|top| one.spatial <= top.spatial && one.temporal <= top.temporal)
        };
        let indexed = (0..u32::BITS).zip(targets).filter(|(_, one)| is_step(one));
        Targets(indexed.fold(0, |steps, (at, _)| steps | 1 << at))
    }

    fn wish_for(&mut self, target: u8) {
        if self.course.wished != target {
            self.course.wished = target;
            if let Some(trail) = &mut self.trail {
                trail.waited = 0;
            }
        }
    }

    fn wished_spatial(&self) -> u8 {
        self.choice.aim.map_or(0, |aim| aim.spatial)
    }

    /// The timestamp with which another track goes on: by the sender reports of both, which count one clock, as long as that
    /// agrees with the time that has passed.
    fn continued(&self, offered: &Offered<'_>, now: Instant) -> u32 {
        let by_arrival = self.course.by_arrival(now, self.clock_rate);
        let is_near =
            |timestamp: &u32| timestamp.wrapping_sub(by_arrival).cast_signed().unsigned_abs() < self.clock_rate;
        self.course.later(self.by_clock(offered).filter(is_near).unwrap_or(by_arrival))
    }

    fn by_clock(&self, offered: &Offered<'_>) -> Option<u32> {
        let (ntp, timestamp) = self.clock?;
        let report = &offered.track.report.as_ref()?.info;
        let passed = i128::from(report.ntp.0.wrapping_sub(ntp.0).cast_signed());
        let ticks = (passed * i128::from(self.clock_rate)) >> 32;
        let since_report = offered.stored.meta.timestamp.wrapping_sub(report.timestamp);
        Some(timestamp.wrapping_add(ticks as u32).wrapping_add(since_report))
    }
}
