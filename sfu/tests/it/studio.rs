//! A publisher with simulcast and its viewers, packet by packet: a test says which packets go out, in which order, and which are
//! lost, and sees each header and payload that a viewer gets. Over a network of its own nothing is lost and nothing takes time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tidewire_core::handshake::{Fingerprint, Profile, Progress as Handshake, Request as Shake};
use tidewire_core::id::{ConnectionId, ConnectionKey, Label, MediaId, Mid, ShardId};
use tidewire_core::machine::{Batch, Budget, Datagram, Machine, Path, Progress};
use tidewire_core::message::media::Preference;
use tidewire_core::message::quality::{EncodingDemand, Layer, LayerReason, Wish};
use tidewire_core::message::{Event, Request, Response, Want};
use tidewire_core::negotiate::{Extension, Extensions};
use tidewire_core::random::Seeded;
use tidewire_core::rebuild::{Fields, Form, HEADER_LEN_MAX};
use tidewire_core::rtcp::{self, Packet as Rtcp, SenderInfo, Writer};
use tidewire_core::rtp::Header;
use tidewire_core::sim::{Client, Collected, Heard, Peer, announced};
use tidewire_core::time::{Instant, Ntp};
use tidewire_sfu::{Command, Control, SessionTable, ShardPlan, TableConfig};

use crate::call::{channel_key, key_of};
use crate::sealed::{Seen, note};

const SERVER: &str = "192.0.2.1:10000";
const SECRET: [u8; 16] = [7; 16];
const RIDS: [&str; 3] = ["q", "h", "f"];
pub(crate) const FRAME_MS: u64 = 33;

/// Where the numbers of the encodings' pictures begin: far from each other, and two of them near their end.
const PICTURES: [u16; 3] = [100, 0x7ffe, 0x3000];

/// One encoding of the camera.
pub(crate) struct Encoding {
    pub(crate) ssrc: u32,
    pub(crate) next: u64,
    pub(crate) picture: u16,
    pub(crate) tl0: u8,
    pub(crate) frames: u32,
    /// What its key frames say; nothing where that is zero.
    pub(crate) size: (u16, u16),
    /// Whether its frames go out as time passes.
    pub(crate) runs: bool,
    pub(crate) key_frame_wanted: bool,
    pub(crate) key_frame_requests: u64,
    /// The number of the last request.
    heard: Option<u8>,
    timestamp_offset: u32,
}

/// A packet of the publisher's, not yet sent.
#[derive(Clone)]
pub(crate) struct Made {
    index: u64,
    header_len: usize,
    bytes: Vec<u8>,
}

/// A packet as a viewer got it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

/// What the payloads of [`Studio::frame`] say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) picture: u16,
    pub(crate) tl0: u8,
    pub(crate) temporal: u8,
    pub(crate) encoding: u8,
    /// Of the encoding, counted from 0.
    pub(crate) frame: u16,
    pub(crate) is_key: bool,
}

impl Got {
    /// `None` for padding alone.
    pub(crate) fn said(&self) -> Option<Said> {
        let [first, _, high, low, tl0, temporal, rest @ ..] = self.payload.as_slice() else { return None };
        let [frame, .., encoding, n1, n0] = rest else { return None };
        Some(Said {
            picture: u16::from_be_bytes([high & 0x7f, *low]),
            tl0: *tl0,
            temporal: temporal >> 6,
            encoding: *encoding,
            frame: u16::from_be_bytes([*n1, *n0]),
            is_key: first & 0x10 != 0 && frame & 1 == 0,
        })
    }
}

pub(crate) struct Watcher {
    pub(crate) key: ConnectionKey,
    id: ConnectionId,
    peer: Peer,
    /// Its video's SSRC and that of its repairs.
    pub(crate) ssrcs: (u32, Option<u32>),
    pub(crate) log: Vec<Got>,
    /// Payloads of retransmissions, with their original numbers in front.
    pub(crate) repairs: Vec<Vec<u8>>,
    pub(crate) layers: Vec<(Layer, LayerReason)>,
}

pub(crate) struct Studio {
    pub(crate) table: SessionTable,
    control: Control,
    pub(crate) now: Instant,
    server: SocketAddr,
    camera: Option<(ConnectionId, Peer)>,
    pub(crate) encodings: Vec<Encoding>,
    /// Temporal layers of each encoding.
    pub(crate) temporal_layers: u8,
    /// Video layers allocations, each to go with the first packet of an encoding's next frame.
    pub(crate) allocations: BTreeMap<usize, Vec<u8>>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) demands: Vec<Vec<EncodingDemand>>,
    seen: Seen,
    /// Paths that the table holds to be worth a backend's care.
    devoted: Vec<Path>,
    clients: u16,
}

impl Studio {
    /// A connected camera with so many encodings, which run.
    pub(crate) fn new(encodings: usize) -> Self {
        let mut studio = Self::quiet(encodings);
        studio.encodings.iter_mut().for_each(|encoding| encoding.runs = true);
        studio
    }

    /// The same before its first packet.
    pub(crate) fn quiet(encodings: usize) -> Self {
        let table = SessionTable::new(TableConfig { shard: ShardId(0), secret: SECRET, seed: 1, loudest: 0 });
        let mut entropy = Seeded::new(5);
        let entropy = Box::new(move |bytes: &mut [u8]| bytes.fill_with(|| entropy.next_u64() as u8));
        let server = SERVER.parse().unwrap();
        let plan = ShardPlan { shard: ShardId(0), candidates: vec![server] };
        let mut studio = Self {
            table,
            control: Control::new(vec![plan], &SECRET, Fingerprint([1; 32]), entropy),
            now: Instant::from_millis(1_000),
            server,
            camera: None,
            encodings: Vec::new(),
            temporal_layers: 1,
            allocations: BTreeMap::new(),
            watchers: Vec::new(),
            demands: Vec::new(),
            seen: Seen::new(),
            devoted: Vec::new(),
            clients: 0,
        };
        studio.publish(encodings);
        studio
    }

    fn client(&mut self, rtx: bool) -> Client {
        self.clients += 1;
        Client { number: self.clients, rtx, profile: Profile::AeadAes128Gcm }
    }

    fn publish(&mut self, encodings: usize) {
        let client = self.client(true);
        let mut offer = client.offer_to_send();
        offer.push_str("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
        offer.push_str("a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n");
        offer.push_str("a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n");
        offer.push_str("a=extmap:12 http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00\r\n");
        for rid in RIDS.iter().take(encodings) {
            offer.push_str(&format!("a=rid:{rid} send\r\n"));
        }
        offer.push_str(&format!("a=simulcast:send {}\r\n", RIDS[..encodings].join(";")));
        let request = Request::OpenUpstream {
            connection: key_of(&client),
            channel: channel_key("sea"),
            media_id: MediaId::main(),
            offer,
        };
        let (response, id) = self.request(request);
        let Response::Opened { answer } = response else { panic!("{response:?}") };
        let peer = client.publisher(&answer, self.server, Instant::ORIGIN).unwrap().peer;
        self.camera = Some((id.unwrap(), peer));
        let sizes = [(320, 180), (640, 360), (1280, 720)];
        self.encodings = (0..encodings)
            .map(|at| Encoding {
                ssrc: 7_000 + at as u32,
                next: 2_000 * (at as u64 + 1),
                picture: PICTURES[at],
                tl0: [10, 250, 77][at],
                frames: 0,
                size: sizes[at],
                runs: false,
                key_frame_wanted: true,
                key_frame_requests: 0,
                heard: None,
                timestamp_offset: 1_000_003 * at as u32,
            })
            .collect();
        self.pass(200);
    }

    /// Opens a viewer of the camera; returns its index.
    pub(crate) fn watch(&mut self, rtx: bool) -> usize {
        let client = self.client(rtx);
        let key = key_of(&client);
        let wants = vec![Want { media_id: MediaId::main(), audio: false, video: true }];
        let (response, _) =
            self.request(Request::OfferDownstream { connection: key, channel: channel_key("sea"), wants });
        let Response::Offered { revision, offer, .. } = response else { panic!("{response:?}") };
        let answer = client.answer_to(&offer, 0);
        let (_, id) = self.request(Request::AnswerDownstream { connection: key, revision, answer });
        let peer = client.viewer(&offer, self.server).unwrap().peer;
        let ssrcs = announced(&offer)[0];
        let ssrcs = (ssrcs.0, ssrcs.1.filter(|_| rtx));
        let (log, repairs, layers) = (Vec::new(), Vec::new(), Vec::new());
        self.watchers.push(Watcher { key, id: id.unwrap(), peer, ssrcs, log, repairs, layers });
        self.pass(200);
        self.watchers.len() - 1
    }

    pub(crate) fn prefer(&mut self, viewer: usize, wish: Wish) {
        let wishes = vec![Preference { media_id: MediaId::main(), wish }];
        let (response, _) = self.request(Request::Prefer { connection: self.watchers[viewer].key, wishes });
        assert_eq!(response, Response::Noted);
    }

    pub(crate) fn named(rid: &str) -> Wish {
        Wish { encoding: Label::new(rid).ok(), ..Wish::default() }
    }

    fn request(&mut self, request: Request) -> (Response, Option<ConnectionId>) {
        let handled = self.control.handle(request);
        let mut id = None;
        let mut egress = Collected::default();
        for (_, command) in handled.commands {
            id = id.or(match &command {
                Command::OpenUpstream(open) => Some(open.connection),
                Command::OpenDownstream(open) => Some(open.connection),
                _ => None,
            });
            self.table.handle_command(self.now, command, &mut egress);
        }
        self.settle(egress);
        (handled.response, id)
    }

    /// Lets time pass; encodings that run send a frame every 33 ms, a key frame where one was asked for.
    pub(crate) fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            let is_frame_time = (self.now.nanos() / 1_000_000).is_multiple_of(FRAME_MS);
            for at in 0..self.encodings.len() {
                let encoding = &mut self.encodings[at];
                if is_frame_time && encoding.runs {
                    let is_key = std::mem::take(&mut encoding.key_frame_wanted);
                    self.frame(at, is_key, 2).into_iter().for_each(|made| self.send(made));
                }
            }
            self.pump();
        }
    }

    /// Makes the next frame of an encoding, in this many packets.
    pub(crate) fn frame(&mut self, at: usize, is_key: bool, packets: usize) -> Vec<Made> {
        let (layers, now) = (self.temporal_layers, self.now);
        let mut allocation = self.allocations.remove(&at);
        let encoding = &mut self.encodings[at];
        let pattern: &[u8] = match layers {
            1 => &[0],
            2 => &[0, 1],
            _ => &[0, 2, 1, 2],
        };
        if is_key {
            encoding.frames = encoding.frames.next_multiple_of(pattern.len() as u32);
        }
        let temporal = pattern[encoding.frames as usize % pattern.len()];
        encoding.tl0 = encoding.tl0.wrapping_add(u8::from(temporal == 0));
        let (frame, number) = (encoding.picture & 0x7fff, encoding.frames as u16);
        let made = (0..packets).map(|part| {
            let mut payload = vec![if part == 0 { 0x90 } else { 0x80 }, 0xe0];
            payload.extend((0x8000 | frame).to_be_bytes());
            payload.extend([encoding.tl0, temporal << 6 | 0x20]);
            payload.push(u8::from(!is_key));
            if is_key && part == 0 && encoding.size != (0, 0) {
                let (width, height) = encoding.size;
                payload.extend([0, 0, 0x9d, 0x01, 0x2a]);
                payload.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
            }
            payload.resize(400 + 100 * at, part as u8);
            payload.push(at as u8);
            payload.extend(number.to_be_bytes());
            let fields = Fields {
                marker: part + 1 == packets,
                payload_type: 96,
                sequence: (encoding.next + part as u64) as u16,
                timestamp: timestamp(now).wrapping_add(encoding.timestamp_offset),
                ssrc: encoding.ssrc,
                padded: false,
            };
            dress(encoding.next + part as u64, &fields, (RIDS[at], allocation.take()), &payload)
        });
        let made = made.collect();
        encoding.next += packets as u64;
        encoding.picture += 1;
        encoding.frames += 1;
        made
    }

    /// Hands a packet of the camera to the table.
    pub(crate) fn send(&mut self, made: Made) {
        let (_, peer) = self.camera.as_mut().unwrap();
        peer.send_rtp(made.index, made.header_len, &made.bytes);
        self.pump();
    }

    /// The same, but what is to be forwarded goes on for so many slices alone.
    pub(crate) fn send_for(&mut self, made: &Made, slices: usize) {
        let (path, mut bytes) = self.sealed(made);
        let (mut batch, mut egress) = (Batch::new(), Collected::default());
        assert!(batch.push(Datagram { path, arrival: self.now, bytes: &mut bytes }).is_ok());
        self.table.handle(self.now, &mut batch, &mut egress);
        for _ in 0..slices {
            assert_eq!(self.table.forward(self.now, SLICE, &mut egress), Progress::More);
        }
        egress.datagrams.into_iter().for_each(|(path, bytes)| self.arrive(path.remote, bytes));
    }

    /// A packet of the camera as it is on the wire, to be handed over by the test itself.
    pub(crate) fn sealed(&mut self, made: &Made) -> (Path, Vec<u8>) {
        let (_, peer) = self.camera.as_mut().unwrap();
        peer.send_rtp(made.index, made.header_len, &made.bytes);
        (Path { local: 0, remote: peer.address }, peer.outbox.pop().unwrap())
    }

    /// The same of a viewer's request for these numbers.
    pub(crate) fn sealed_nack(&mut self, viewer: usize, lost: &[u16]) -> (Path, Vec<u8>) {
        let watcher = &mut self.watchers[viewer];
        let mut bytes = [0; 256];
        let mut writer = Writer::new(&mut bytes);
        writer.nack(1, watcher.ssrcs.0, lost);
        let len = writer.len();
        watcher.peer.send_rtcp(&bytes[..len]);
        (Path { local: 0, remote: watcher.peer.address }, watcher.peer.outbox.pop().unwrap())
    }

    /// The camera says how the encodings' timestamps relate to its clock.
    pub(crate) fn report(&mut self) {
        let ntp = Ntp((u128::from(self.now.nanos()) * (1 << 32) / 1_000_000_000) as u64);
        for encoding in &self.encodings {
            let timestamp = timestamp(self.now).wrapping_add(encoding.timestamp_offset);
            let info = SenderInfo { ntp, timestamp, packets: 0, octets: 0 };
            let mut bytes = [0; 128];
            let mut writer = Writer::new(&mut bytes);
            writer.sender_report(encoding.ssrc, &info);
            let len = writer.len();
            self.camera.as_mut().unwrap().1.send_rtcp(&bytes[..len]);
        }
        self.pump();
    }

    /// A viewer asks again for these numbers.
    pub(crate) fn nack(&mut self, viewer: usize, lost: &[u16]) {
        let (_, bytes) = self.sealed_nack(viewer, lost);
        self.watchers[viewer].peer.outbox.push(bytes);
        self.pump();
    }

    fn pump(&mut self) {
        let mut egress = Collected::default();
        for _ in 0..4 {
            let camera = self.camera.iter_mut().map(|(_, peer)| peer);
            let peers = camera.chain(self.watchers.iter_mut().map(|watcher| &mut watcher.peer));
            let mut sent = Vec::new();
            for peer in peers {
                if peer.deadline().is_some_and(|at| at <= self.now) {
                    peer.handle_timeout(self.now);
                }
                sent.extend(peer.outbox.drain(..).map(|bytes| (peer.address, bytes)));
            }
            if sent.is_empty() && self.table.poll_timeout().is_none_or(|at| at > self.now) {
                break;
            }
            for (remote, mut bytes) in sent {
                let mut batch = Batch::new();
                let datagram = Datagram { path: Path { local: 0, remote }, arrival: self.now, bytes: &mut bytes };
                assert!(batch.push(datagram).is_ok());
                self.table.handle(self.now, &mut batch, &mut egress);
            }
            self.table.handle_timeout(self.now, &mut egress);
            self.settle(std::mem::take(&mut egress));
        }
    }

    fn settle(&mut self, mut egress: Collected) {
        while let Some(request) = self.table.poll_handshake() {
            let Shake::Datagram { connection, .. } = request else { continue };
            let camera = self.camera.iter_mut().map(|(id, peer)| (*id, peer));
            let mut peers = camera.chain(self.watchers.iter_mut().map(|watcher| (watcher.id, &mut watcher.peer)));
            let keys = peers.find(|(id, _)| *id == connection).unwrap().1.keys.clone();
            self.table.handle_handshake(self.now, Handshake::Keys { connection, keys }, &mut egress);
            let bytes = Box::from([22, 254, 253, 0, 0]);
            self.table.handle_handshake(self.now, Handshake::Records { connection, bytes }, &mut egress);
        }
        while self.table.forward(self.now, SLICE, &mut egress) == Progress::More {}
        note(&mut self.seen, egress.datagrams.clone());
        egress.told.drain(..).for_each(|told| told.note(&mut self.devoted));
        for (path, bytes) in egress.datagrams {
            self.arrive(path.remote, bytes);
        }
        while let Some(event) = self.table.poll_event() {
            match self.control.handle_event(ShardId(0), event) {
                Some(Event::Demand { encodings, .. }) => self.demands.push(encodings),
                Some(Event::Layer { connection, layer, reason, .. }) => {
                    let watcher = self.watchers.iter_mut().find(|watcher| watcher.key == connection).unwrap();
                    watcher.layers.push((layer, reason));
                }
                _ => {}
            }
        }
    }

    fn arrive(&mut self, to: SocketAddr, mut bytes: Vec<u8>) {
        if let Some((_, peer)) = self.camera.as_mut().filter(|(_, peer)| peer.address == to) {
            if let Heard::Rtcp(datagram) = peer.handle(&mut bytes) {
                self.hear_wishes(&datagram);
            }
            return;
        }
        let Some(watcher) = self.watchers.iter_mut().find(|watcher| watcher.peer.address == to) else { return };
        if let Heard::Rtp(header, index, packet) = watcher.peer.handle(&mut bytes) {
            let payload = header.payload(&packet).unwrap().to_vec();
            let Header { ssrc, timestamp, marker, .. } = header;
            if ssrc == watcher.ssrcs.0 {
                watcher.log.push(Got { index, timestamp, marker, payload });
            } else {
                watcher.repairs.push(payload);
            }
        }
    }

    fn hear_wishes(&mut self, datagram: &[u8]) {
        for packet in rtcp::packets(datagram).unwrap() {
            let Rtcp::FullIntra { requests } = packet else { continue };
            for (media, sequence) in requests {
                let encodings = self.encodings.iter_mut().filter(|encoding| encoding.ssrc == media);
                // What comes under the same number is the same request.
                for encoding in encodings.filter(|encoding| encoding.heard != Some(sequence)) {
                    encoding.heard = Some(sequence);
                    encoding.key_frame_wanted = true;
                    encoding.key_frame_requests += 1;
                }
            }
        }
    }
}

/// Of a fan-out.
pub(crate) const SLICE: Budget = Budget { packets_max: 64 };

impl Made {
    /// As if another encoding had sent it.
    pub(crate) fn renamed(&self, ssrc: u32) -> Self {
        let mut bytes = self.bytes.clone();
        bytes[8..12].copy_from_slice(&ssrc.to_be_bytes());
        Self { bytes, ..self.clone() }
    }
}

fn timestamp(now: Instant) -> u32 {
    (u128::from(now.nanos()) * 90_000 / 1_000_000_000) as u32
}

/// A packet with its MID and RID, and an allocation where there is one.
fn dress(index: u64, fields: &Fields, (rid, allocation): (&str, Option<Vec<u8>>), payload: &[u8]) -> Made {
    let mut ids = Extensions::default();
    ids.bind(Extension::Mid, 4);
    ids.bind(Extension::Rid, 10);
    ids.bind(Extension::VideoLayersAllocation, 12);
    ids.mixed = true;
    let mut block = [&[Extension::Rid as u8, rid.len() as u8], rid.as_bytes()].concat();
    if let Some(allocation) = allocation {
        block.extend([Extension::VideoLayersAllocation as u8, allocation.len() as u8]);
        block.extend(allocation);
    }
    let mut header = [0; HEADER_LEN_MAX];
    let header_len = Form::new(&ids, &Mid::from("1").unwrap()).write(fields, &block, &mut header).unwrap();
    Made { index, header_len, bytes: [&header[..header_len], payload].concat() }
}
