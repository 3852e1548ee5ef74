//! A channel with one video in layers, as tests set it up: its publisher, and viewers whose model decoder finds fault.

use std::collections::BTreeSet;
use std::time::Duration;

use tidewire_core::codec::Codec;
use tidewire_core::count::Counter;
use tidewire_core::id::{ConnectionKey, Label, MediaId, ShardId};
use tidewire_core::machine::Machine;
use tidewire_core::message::media::Preference;
use tidewire_core::message::quality::Wish;
use tidewire_core::message::{Request, Response, Want};
use tidewire_core::random::Seeded;
use tidewire_core::rtp::Header;
use tidewire_core::sim::{
    Actor, Decoder, DecodingViewer, Encoding, LayeredPublisher, Layers, Link, Media, Payload, Structure, Truth,
};
use tidewire_core::time::Instant;
use tidewire_sfu::{Command, Event};

use crate::call::{Call, Wishes, channel_key, key_of};
use crate::sealed::{Seen, note};

/// How a publisher sends its video.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) codec: Codec,
    pub(crate) structure: Structure,
    pub(crate) encodings: usize,
    /// Whether packets carry the dependency descriptor. Then every other viewer reads it.
    pub(crate) described: bool,
    pub(crate) payload: Payload,
}

const fn family(codec: Codec, structure: Structure, encodings: usize) -> Family {
    Family { codec, structure, encodings, described: false, payload: Payload::Usual }
}

impl Family {
    const fn described(self) -> Self {
        Self { described: true, ..self }
    }

    const fn of(self, payload: Payload) -> Self {
        Self { payload, ..self }
    }
}

pub(crate) const VP8_PLAIN: Family = family(Codec::Vp8, Structure::L1T1, 1);
pub(crate) const VP9_PLAIN: Family = family(Codec::Vp9, Structure::L1T1, 1);
pub(crate) const AV1_PLAIN: Family = family(Codec::Av1, Structure::L1T1, 1).described();
pub(crate) const VP8: Family = family(Codec::Vp8, Structure::L1T3, 1);
pub(crate) const VP8_SIMULCAST: Family = family(Codec::Vp8, Structure::L1T3, 3);
pub(crate) const VP8_SIMULCAST_DESCRIBED: Family = VP8_SIMULCAST.described();
pub(crate) const VP8_SIMULCAST_SHORT: Family = VP8_SIMULCAST.of(Payload::ShortIds);
pub(crate) const VP8_SIMULCAST_BARE: Family = VP8_SIMULCAST.described().of(Payload::Bare);
pub(crate) const VP8_SIMULCAST_ENCRYPTED: Family = VP8_SIMULCAST.described().of(Payload::Encrypted);
pub(crate) const VP9_SIMULCAST: Family = family(Codec::Vp9, Structure::L1T3, 3);
pub(crate) const VP9_SIMULCAST_SHORT: Family = VP9_SIMULCAST.of(Payload::ShortIds);
pub(crate) const VP9_SIMULCAST_FLEXIBLE: Family = VP9_SIMULCAST.of(Payload::Flexible);
pub(crate) const VP9_SIMULCAST_ENCRYPTED: Family = VP9_SIMULCAST.described().of(Payload::Encrypted);
pub(crate) const VP9_SVC: Family = family(Codec::Vp9, Structure::L3T3, 1);
pub(crate) const VP9_SVC_SHORT: Family = VP9_SVC.of(Payload::ShortIds);
pub(crate) const VP9_SVC_FLEXIBLE: Family = VP9_SVC.of(Payload::Flexible);
pub(crate) const VP9_SVC_DESCRIBED: Family = VP9_SVC.described();
pub(crate) const VP9_SVC_ENCRYPTED: Family = VP9_SVC.described().of(Payload::Encrypted);
pub(crate) const VP9_KEY_SVC: Family = family(Codec::Vp9, Structure::L3T3_KEY, 1);
pub(crate) const H264_SIMULCAST: Family = family(Codec::H264, Structure::L1T1, 3);
pub(crate) const H264_SIMULCAST_DESCRIBED: Family = family(Codec::H264, Structure::L1T3, 3).described();
pub(crate) const H264_SIMULCAST_ENCRYPTED: Family = H264_SIMULCAST_DESCRIBED.of(Payload::Encrypted);
pub(crate) const H265: Family = family(Codec::H265, Structure::L1T1, 1);
pub(crate) const AV1: Family = family(Codec::Av1, Structure::L1T3, 1).described();
pub(crate) const AV1_SIMULCAST: Family = family(Codec::Av1, Structure::L1T3, 3).described();
pub(crate) const AV1_SVC: Family = family(Codec::Av1, Structure::L3T3, 1).described();
pub(crate) const AV1_SVC_ENCRYPTED: Family = AV1_SVC.of(Payload::Encrypted);
pub(crate) const AV1_KEY_SVC: Family = family(Codec::Av1, Structure::L3T3_KEY, 1).described();

pub(crate) const RIDS: [&str; 3] = ["q", "h", "f"];

/// What a viewer is to get: encoding, spatial and temporal layer.
pub(crate) type Goal = (u8, u8, u8);

impl Family {
    fn layers(&self, announced: bool) -> Layers {
        let encoding = |at: usize| Encoding {
            codec: self.codec,
            structure: self.structure,
            payload: self.payload,
            described: self.described,
            sizes: (0..self.structure.spatial_layers).map(|spatial| size(at + usize::from(spatial))).collect(),
            packets: 1 + at as u8,
            len: 80 + 60 * at,
        };
        Layers { encodings: (0..self.encodings).map(|at| (RIDS[at], encoding(at))).collect(), announced }
    }

    /// Whether upper temporal layers are told of by nothing but the frames with which they can be entered from the one below.
    pub(crate) fn climbs(&self) -> bool {
        self.codec == Codec::Vp8 && !self.described
    }

    /// Its name as a number, so that each family has networks of its own.
    fn salt(&self) -> u64 {
        format!("{self:?}").bytes().fold(0, |salt, byte| Seeded::new(salt ^ u64::from(byte)).next_u64())
    }

    pub(crate) fn top(&self) -> Goal {
        (self.encodings as u8 - 1, self.structure.spatial_layers - 1, self.structure.temporal_layers - 1)
    }

    /// A wish drawn at random, and what has to come of it; `None` for nothing.
    pub(crate) fn draw(&self, random: &mut Seeded) -> (Wish, Option<Goal>) {
        let (mut wish, mut goal) = (Wish::default(), self.top());
        if random.chance(100_000) {
            return (Wish { paused: true, ..wish }, None);
        }
        let level = random.below(3) as u8;
        match random.below(4) {
            0 if self.encodings > 1 => {
                goal.0 = level;
                wish.encoding = Some(Label::new(RIDS[usize::from(level)]).unwrap());
            }
            0 => {
                goal.1 = goal.1.min(level);
                wish.spatial = Some(level);
            }
            1 => {
                // Whatever it is that differs in size.
                (goal.0, goal.1) = (goal.0.min(level), goal.1.min(level));
                let (width, height) = size(usize::from(level));
                (wish.width, wish.height) = (Some(width), Some(height));
            }
            _ => (),
        }
        if random.chance(500_000) {
            let temporal = random.below(3) as u8;
            goal.2 = goal.2.min(temporal);
            wish.temporal = Some(temporal);
        }
        (wish, Some(goal))
    }
}

/// A description by somebody who does not know dependency descriptors.
fn without_descriptors(description: &str) -> String {
    description.split_inclusive('\n').filter(|line| !line.contains("dependency-descriptor")).collect()
}

const fn size(level: usize) -> (u16, u16) {
    (160 << level, 90 << level)
}

pub(crate) struct Scene {
    pub(crate) call: Call,
    pub(crate) family: Family,
    pub(crate) viewers: Vec<ConnectionKey>,
    /// Whether the publisher sends what is wanted and nothing else.
    pub(crate) obedient: bool,
    pub(crate) demands: usize,
}

impl Scene {
    /// A publisher that sends until `until`.
    pub(crate) fn new(family: Family, seed: u64, link: Link, until: Instant) -> Self {
        let mut call = Call::new(seed ^ family.salt(), link);
        call.world.sent = Some(Vec::new());
        let mut scene = Self { call, family, viewers: Vec::new(), obedient: false, demands: 0 };
        // One kind of browser names its SSRCs, another its RIDs alone.
        scene.publish(seed.is_multiple_of(2) || family.encodings == 1, until);
        scene
    }

    /// Somebody else publishes in place of whoever did.
    pub(crate) fn publish(&mut self, announced: bool, until: Instant) {
        let (layers, call) = (self.family.layers(announced), &mut self.call);
        let client = call.client(Wishes::default());
        let (connection, offer) = (key_of(&client), client.offer_to_send_layers(&layers));
        let (channel, media_id) = (channel_key("sea"), MediaId::main());
        let (answer, id) = call.open(Request::OpenUpstream { connection, channel, media_id, offer });
        let publisher = client.layered_publisher(&layers, &answer, call.server, until).unwrap();
        call.world.actors.push(Actor { connection: id, media: Media::PublishesLayers(Box::new(publisher)) });
    }

    pub(crate) fn watch(&mut self) {
        let call = &mut self.call;
        let client = call.client(Wishes::default());
        let (connection, channel) = (key_of(&client), channel_key("sea"));
        let wants = vec![Want { media_id: MediaId::main(), audio: false, video: true }];
        let response = call.request(Request::OfferDownstream { connection, channel, wants });
        let Response::Offered { revision, offer, .. } = response else { panic!("{response:?}") };
        let mut answer = client.answer_to(&offer, 0);
        let mut description = offer;
        if self.viewers.len() % 2 == 1 {
            [&mut answer, &mut description].into_iter().for_each(|text| *text = without_descriptors(text));
        }
        let handled = call.control.handle(Request::AnswerDownstream { connection, revision, answer });
        assert_eq!(handled.response, Response::Answered);
        for (_, command) in handled.commands {
            if let Command::OpenDownstream(open) = &command {
                let viewer = client.decoding_viewer(&description, self.family.codec, call.server).unwrap();
                let media = Media::Decodes(Box::new(viewer));
                call.world.actors.push(Actor { connection: open.connection, media });
            }
            call.world.command(command);
        }
        self.viewers.push(connection);
    }

    pub(crate) fn prefer(&mut self, viewer: usize, wish: Wish) {
        let wishes = vec![Preference { media_id: MediaId::main(), wish }];
        let response = self.call.request(Request::Prefer { connection: self.viewers[viewer], wishes });
        assert_eq!(response, Response::Noted);
    }

    /// Runs for this long; the publisher hears what is wanted of it.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.call.world.now + duration;
        while self.call.world.now < end {
            let until = end.min(self.call.world.now + Duration::from_millis(50));
            self.call.world.run_until(until);
            for event in std::mem::take(&mut self.call.world.events) {
                if let Event::Demand { encodings, .. } = &event {
                    self.demands += 1;
                    if self.obedient {
                        self.publisher().obey(encodings);
                    }
                }
                self.call.control.handle_event(ShardId(0), event);
            }
        }
    }

    pub(crate) fn publisher(&mut self) -> &mut LayeredPublisher {
        self.call.world.layered_publishers().next().unwrap()
    }

    pub(crate) fn viewer(&self, viewer: usize) -> &DecodingViewer {
        self.call.world.decoding_viewers().nth(viewer).unwrap()
    }

    pub(crate) fn decoder(&self, viewer: usize) -> &Decoder {
        self.viewer(viewer).decoders().next().unwrap().1
    }

    /// No viewer was given what its decoder stumbled over, no number was left open but for a packet that never came, and none
    /// was sealed with two contents.
    pub(crate) fn assert_sound(&mut self, what: &str) {
        let log: Vec<Truth> = self.call.world.layered_publishers().flat_map(|one| one.log.iter().cloned()).collect();
        let tally = self.call.world.machine.tally();
        let came = tally.of(Counter::RtpAccepted) + tally.of(Counter::RtxAccepted);
        let never_came = log.len().saturating_sub(came as usize);
        for viewer in 0..self.viewers.len() {
            let decoder = self.decoder(viewer);
            assert_eq!(decoder.faults, Vec::<String>::new(), "{what}, viewer {viewer}");
            let wrong = decoder.gaps().iter().find(|gap| !gap.is_right(&log));
            assert!(wrong.is_none(), "{what}, viewer {viewer}: {wrong:?}");
            let open = self.left_open(viewer);
            assert!(open.len() <= never_came, "{what}, viewer {viewer}: {open:?} never sent, {never_came} never came");
        }
        note(&mut Seen::new(), self.call.world.sent.take().unwrap());
    }

    /// What a viewer saw between two times is what it was to see, and all of that.
    pub(crate) fn assert_shown(
        &self,
        what: &str,
        viewer: usize,
        goal: Option<Goal>,
        (since, until): (Instant, Instant),
    ) {
        let shown: Vec<_> =
            self.decoder(viewer).log.iter().filter(|shown| shown.at >= since && shown.at < until).collect();
        let Some((encoding, spatial, temporal)) = goal else {
            assert!(shown.is_empty(), "{what}, viewer {viewer}: {} pictures while paused", shown.len());
            return;
        };
        let layers: BTreeSet<_> = shown.iter().map(|shown| (shown.truth.encoding, shown.truth.spatial)).collect();
        assert_eq!(layers, BTreeSet::from([(encoding, spatial)]), "{what}, viewer {viewer}, {} pictures", shown.len());
        let highest = shown.iter().map(|shown| shown.truth.temporal).max();
        assert_eq!(highest, Some(temporal), "{what}, viewer {viewer}, {} pictures", shown.len());
    }

    /// How long after `since` a viewer has what it is to see, and nothing else from then on: the picture's size, and with it
    /// the temporal layer, too. `None` for what never comes.
    pub(crate) fn reached(
        &self,
        viewer: usize,
        goal: Option<Goal>,
        (since, until): (Instant, Instant),
    ) -> (Option<Duration>, Option<Duration>) {
        let shown: Vec<_> = self.decoder(viewer).log.iter().filter(|shown| shown.at < until).collect();
        let Some((encoding, spatial, temporal)) = goal else {
            let last = shown.last().map_or(Duration::ZERO, |last| last.at.since(since));
            return (Some(last), Some(last));
        };
        let from = |fits: &dyn Fn(&Truth) -> bool| {
            let settled = shown.iter().rposition(|shown| !fits(&shown.truth)).map_or(0, |last| last + 1);
            shown[settled..].iter().filter(move |shown| shown.at >= since)
        };
        let is_sized = |truth: &Truth| (truth.encoding, truth.spatial) == (encoding, spatial);
        let sized = from(&is_sized).next();
        let whole =
            from(&|truth| is_sized(truth) && truth.temporal <= temporal).find(|shown| shown.truth.temporal == temporal);
        (sized.map(|shown| shown.at.since(since)), whole.map(|shown| shown.at.since(since)))
    }

    /// Numbers of a viewer's video that were never sent, though later ones were.
    fn left_open(&self, viewer: usize) -> Vec<u64> {
        let own = self.viewer(viewer);
        let (ssrc, decoder) = own.decoders().next().unwrap();
        let all = self.call.world.sent.iter().flatten().filter(|(path, _)| path.remote == own.peer.address);
        let headers = all.filter_map(|(_, bytes)| Header::parse(bytes).ok()).filter(|header| header.ssrc == ssrc);
        let sent: BTreeSet<u16> = headers.map(|header| header.sequence).collect();
        decoder.holes().into_iter().filter(|number| !sent.contains(&(*number as u16))).collect()
    }
}
