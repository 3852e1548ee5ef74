//! How the numbers of one outgoing stream came about: which incoming packet each of them stands for.
//!
//! A stream's way is made of legs. Within one, an outgoing sequence number is the incoming one and a constant; a new leg begins
//! where packets were left out (dropped), where the stream turned to another target, and where it turned to another track.
//! The trail keeps the last legs, for packets that come late and for repairs: the same incoming packet gives the same outgoing
//! number, and that number the same bytes, or there is no answer. A packet in order never looks here.
//!
//! Invariant: legs follow each other in outgoing numbers, each number belongs to one leg, and in it to one incoming packet.

use std::collections::VecDeque;

use tidewire_core::codec::{Numbers, Shift};
use tidewire_core::ring::Meta;

use crate::upstream::TOP;

/// Legs that are remembered: with one layer left out a leg lasts for a frame or two, so this is a second at least.
const LEGS_MAX: usize = 64;

/// Bytes of a trail.
pub(crate) const BYTES: usize = size_of::<Trail>() + LEGS_MAX * size_of::<Leg>();

/// A stretch of a stream on which nothing changes but the numbers' count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    /// The first incoming sequence number, and the outgoing one that it has.
    pub(super) from: u64,
    pub(super) to: u64,
    /// The track within the upstream, and which of its successive streams.
    pub(super) track: u8,
    pub(super) epoch: u32,
    pub(super) timestamp_offset: u32,
    /// What is added to picture ids and their like.
    pub(super) shift: Shift,
    /// The target that the viewer has, and its highest spatial layer.
    pub(super) target: u8,
    pub(super) spatial: u8,
}

impl Leg {
    const fn outgoing(&self, incoming: u64) -> u64 {
        self.to + (incoming - self.from)
    }

    pub(super) const fn incoming(&self, outgoing: u64) -> u64 {
        self.from + (outgoing - self.to)
    }

    /// The spatial layer whose frames end the viewer's pictures; none for a viewer of all layers, whose pictures end where the
    /// publisher says so.
    pub(super) const fn last_spatial(&self) -> u8 {
        if self.target == TOP { u8::MAX } else { self.spatial }
    }

    pub(super) const fn is_of(&self, track: u8, epoch: u32) -> bool {
        self.track == track && self.epoch == epoch
    }
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Trail {
    /// All but the present one.
    past: VecDeque<Leg>,
    /// The numbers that are used up, as they went out: of the last packet in order, or of what may still come late.
    picture: Option<u16>,
    tl0: Option<u8>,
    frame: Option<u16>,
    /// The last picture, as it came in, that was closed over.
    closed: Option<u16>,
    /// The last packet in order, as it came in, if a picture ended with it.
    ended: Option<Numbers>,
    /// Pictures that passed since another target was wished for.
    pub(super) waited: u8,
}

impl Default for Trail {
    /// With all the memory that it ever needs.
    fn default() -> Self {
        Self {
            past: VecDeque::with_capacity(LEGS_MAX),
            picture: None,
            tl0: None,
            frame: None,
            closed: None,
            ended: None,
            waited: 0,
        }
    }
}

impl Trail {
    /// A leg ends. One on which nothing went is not kept.
    pub(super) fn leave(&mut self, ended: Leg, next: &Leg) {
        if ended.to == next.to {
            return;
        }
        if self.past.len() == LEGS_MAX {
            self.past.pop_front();
        }
        self.past.push_back(ended);
    }

    /// Nothing that went before can be asked for any longer.
    pub(super) fn forget(&mut self) {
        self.past.clear();
    }

    /// The leg on which an outgoing number lies, with the incoming one; `present` is the leg that is under way.
    pub(super) fn incoming(&self, present: &Leg, outgoing: u64) -> Option<(Leg, u64)> {
        let legs = std::iter::once(present).chain(self.past.iter().rev());
        let leg = legs.into_iter().find(|leg| leg.to <= outgoing)?;
        Some((*leg, leg.incoming(outgoing)))
    }

    /// The leg on which an incoming packet that came late lies, with its outgoing number. `None` for one that was left out
    /// already, or that is older than what is known.
    pub(super) fn outgoing(&self, present: &Leg, track: u8, epoch: u32, incoming: u64) -> Option<(Leg, u64)> {
        let mut end = u64::MAX;
        for leg in std::iter::once(present).chain(self.past.iter().rev()) {
            if leg.is_of(track, epoch) && leg.from <= incoming {
                let outgoing = leg.outgoing(incoming);
                return (outgoing < end).then_some((*leg, outgoing));
            }
            end = leg.to;
        }
        None
    }

    /// A packet in order went out, with this shift.
    pub(super) fn note(&mut self, meta: &Meta, shift: Shift) {
        self.pass(meta);
        self.keep(&meta.numbers, shift);
    }

    /// A packet in order passed, whether it went out or was left out.
    pub(super) fn pass(&mut self, meta: &Meta) {
        self.ended = meta.marker.then_some(meta.numbers);
    }

    /// What is missing before a packet that was left out may still come: with numbers up to those of the packet itself, or, where
    /// that begins its picture, of the one before. `shift` is the one behind it.
    pub(super) fn reserve(&mut self, meta: &Meta, shift: Shift) {
        let own = &meta.numbers;
        let before = u8::from(meta.frame_start);
        let picture_before = before & u8::from(meta.reach.spatial == 0);
        // A number that was closed over is less by one already.
        let picture = own.picture.wrapping_sub(if own.closes { 0 } else { picture_before.into() });
        let tl0_before = picture_before & u8::from(meta.reach.temporal == 0);
        let tl0 = own.tl0.map(|tl0| tl0.wrapping_sub(tl0_before));
        let frame = own.frame.map(|frame| frame.wrapping_sub(before.into()));
        self.keep(&Numbers { picture, tl0, frame, ..*own }, shift);
    }

    /// Whether no packet was noted yet: those before were sent without it.
    pub(super) const fn is_blank(&self) -> bool {
        self.picture.is_none() && self.tl0.is_none() && self.frame.is_none()
    }

    fn keep(&mut self, numbers: &Numbers, shift: Shift) {
        if numbers.picture_bits > 0 {
            self.picture = Some(numbers.picture.wrapping_add(shift.picture));
        }
        if let Some(tl0) = numbers.tl0 {
            self.tl0 = Some(tl0.wrapping_add(shift.tl0));
        }
        if let Some(frame) = numbers.frame {
            self.frame = Some(frame.wrapping_add(shift.frame));
        }
    }

    /// Whether nothing but packets of the same picture can be missing before this one.
    pub(super) fn is_within_next(&self, meta: &Meta) -> bool {
        self.ended.is_some_and(|last| meta.numbers.are_of_the_picture_after(&last, meta.reach.spatial))
    }

    /// The shift after a packet in order was left out. Where a receiver would wait for the picture, each that is left out moves
    /// it by one, whichever of its packets are seen.
    pub(super) fn close_over(&mut self, numbers: &Numbers, shift: Shift) -> Shift {
        if !numbers.closes || self.closed == Some(numbers.picture) {
            return shift;
        }
        self.closed = Some(numbers.picture);
        Shift { picture: shift.picture.wrapping_sub(1), ..shift }
    }

    /// The shift with which the numbers of another track go on, from its first packet.
    pub(super) fn go_on(&mut self, numbers: &Numbers) -> Shift {
        self.closed = None;
        let picture = self.picture.filter(|_| numbers.picture_bits > 0);
        let tl0 = self.tl0.zip(numbers.tl0);
        let frame = self.frame.zip(numbers.frame);
        Shift {
            picture: picture.map_or(0, |last| last.wrapping_add(1).wrapping_sub(numbers.picture)),
            tl0: tl0.map_or(0, |(last, first)| last.wrapping_add(1).wrapping_sub(first)),
            frame: frame.map_or(0, |(last, first)| last.wrapping_add(1).wrapping_sub(first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn leg(track: u8, from: u64, to: u64) -> Leg {
        Leg { from, to, track, epoch: 0, timestamp_offset: 0, shift: Shift::NONE, target: 0, spatial: 0 }
    }

    #[test]
    fn what_was_left_out_has_no_number_and_what_was_missing_keeps_its_own() {
        let mut trail = Trail::default();
        // 10 and 11 went out as 100 and 101, 12 was missing, 13 was left out; so 14 is 103.
        let (first, second) = (leg(1, 10, 100), leg(1, 14, 103));
        trail.leave(first, &second);
        let outgoing = |incoming| trail.outgoing(&second, 1, 0, incoming).map(|(_, outgoing)| outgoing);
        assert_eq!([12, 13, 14, 9].map(outgoing), [Some(102), None, Some(103), None]);
        let incoming = |outgoing| trail.incoming(&second, outgoing).map(|(_, incoming)| incoming);
        assert_eq!([99, 100, 102, 103].map(incoming), [None, Some(10), Some(12), Some(14)]);
        assert_eq!(trail.outgoing(&second, 2, 0, 12), None, "another track's");
    }

    #[test]
    fn pictures_are_closed_over_once_each_and_go_on_by_one_in_another_track() {
        let mut trail = Trail::default();
        let numbers = |picture, tl0| Numbers {
            picture,
            picture_bits: 15,
            closes: true,
            tl0: Some(tl0),
            frame: Some(picture * 2),
        };
        let noted = |picture, tl0| Meta { numbers: numbers(picture, tl0), ..Meta::default() };
        trail.note(&noted(40, 7), Shift::NONE);
        let once = trail.close_over(&numbers(41, 7), Shift::NONE);
        assert_eq!(trail.close_over(&numbers(41, 7), once), once, "its second packet");
        trail.note(&noted(42, 8), once);
        let shift = trail.go_on(&numbers(900, 200));
        assert_eq!(900_u16.wrapping_add(shift.picture), 42);
        assert_eq!(200_u8.wrapping_add(shift.tl0), 9);
        assert_eq!(1800_u16.wrapping_add(shift.frame), 85);
    }

    proptest! {
        /// Packets are sent, left out, missing and late at random; each number must have one packet, and find it again.
        #[test]
        fn each_number_has_one_packet(fates in prop::collection::vec(0u8..3, 1..60)) {
            let (mut trail, mut present, mut next) = (Trail::default(), leg(1, 0, 500), 500);
            let (mut sent, mut missing) = (BTreeMap::new(), Vec::new());
            for (incoming, fate) in (0u64..).zip(fates) {
                let outgoing = present.outgoing(incoming);
                match fate {
                    0 => {
                        prop_assert!(sent.insert(outgoing, incoming).is_none());
                        next = outgoing + 1;
                    }
                    1 => {
                        next = outgoing;
                        let after = leg(1, incoming + 1, next);
                        trail.leave(present, &after);
                        present = after;
                    }
                    _ => missing.push(incoming),
                }
            }
            for incoming in missing {
                let (_, outgoing) = trail.outgoing(&present, 1, 0, incoming).unwrap();
                if outgoing < next {
                    prop_assert!(sent.insert(outgoing, incoming).is_none(), "{} twice", outgoing);
                }
            }
            for (outgoing, incoming) in sent {
                prop_assert_eq!(trail.incoming(&present, outgoing).map(|(_, found)| found), Some(incoming));
            }
        }
    }
}
