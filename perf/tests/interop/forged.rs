//! A running call under forged traffic: no packet of it is lost, nothing grows, and every forged datagram is accounted for.
//!
//! The forger knows everything that is readable on the wire: ports, user names, SSRCs, sequence numbers, sealed packets. It
//! sends from sockets of its own and from the very address of the publisher.

use std::net::UdpSocket;

use anyhow::{Context as _, Result, ensure};
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::rtp::Header;
use tidewire_perf::client::{Call, Codec, Profile, rtcp};
use tidewire_perf::server::{Io, Metrics};

use crate::scene::Scene;

/// A seeded source of everything that a forger needs.
struct Forger {
    state: u64,
}

impl Forger {
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }

    /// Bends a datagram by changed bits (among the first `signed_len` bytes), a cut, or an added tail; its first byte stays,
    /// so that it keeps its protocol.
    fn bend(&mut self, mut datagram: Vec<u8>, signed_len: usize) -> Vec<u8> {
        match self.below(4) {
            0 => datagram.truncate(1 + self.below(datagram.len() - 1)),
            1 => {
                let len = 1 + self.below(40);
                datagram.extend(self.bytes(len));
            }
            _ => {
                for _ in 0..=self.below(8) {
                    let at = 1 + self.below(signed_len - 1);
                    datagram[at] ^= 1 << self.below(8);
                }
            }
        }
        datagram
    }
}

/// What is bent, made anew for each datagram.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Random,
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

impl Kind {
    const ALL: [(Self, usize); 5] =
        [(Self::Random, 10_000), (Self::Stun, 1_000), (Self::Dtls, 1_000), (Self::Rtp, 1_000), (Self::Rtcp, 1_000)];

    fn datagram(self, forger: &mut Forger, samples: &Samples) -> Vec<u8> {
        match self {
            Self::Random => {
                let len = forger.below(1500);
                forger.bytes(len)
            }
            // RFC 8489 14.5: FINGERPRINT stands behind what is signed; one that became an unknown attribute is to be ignored.
            Self::Stun => bent_and_invalid(forger, &samples.stun, samples.stun.len() - 8),
            Self::Dtls => {
                let sample = samples.dtls[forger.below(samples.dtls.len())].clone();
                let len = sample.len();
                forger.bend(sample, len)
            }
            Self::Rtp => bent_and_invalid(forger, &samples.rtp, samples.rtp.len()),
            Self::Rtcp => bent_and_invalid(forger, &samples.rtcp, samples.rtcp.len()),
        }
    }
}

/// What changed must not, by two flips of the same bit, be the original again.
fn bent_and_invalid(forger: &mut Forger, sample: &[u8], signed_len: usize) -> Vec<u8> {
    loop {
        let bent = forger.bend(sample.to_vec(), signed_len);
        if bent != sample {
            return bent;
        }
    }
}

/// Genuine datagrams of the call, never sent as they are.
struct Samples {
    stun: Vec<u8>,
    rtp: Vec<u8>,
    rtcp: Vec<u8>,
    dtls: Vec<Vec<u8>>,
}

impl Samples {
    fn of(call: &mut Call, ssrc: u32) -> Result<Self> {
        let header = Header { marker: false, payload_type: 96, sequence: 30_000, timestamp: 1, ssrc, mid: None };
        Ok(Self {
            stun: call.binding_request_sample()?,
            rtp: call.sealed_sample(&header.write(&[7; 900]))?,
            rtcp: call.sealed_sample(&rtcp::write_receiver_report(ssrc, &[], "forged"))?,
            dtls: dtls_records(),
        })
    }
}

/// Plain records of epoch 0 that look like a new handshake, an alert or a change of cipher, and one of epoch 1.
fn dtls_records() -> Vec<Vec<u8>> {
    let record = |kind: u8, epoch: u16, body: &[u8]| {
        let mut bytes = vec![kind, 0xfe, 0xfd];
        bytes.extend_from_slice(&epoch.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 9]);
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    };
    let mut hello = vec![1, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 60, 0xfe, 0xfd];
    hello.extend_from_slice(&[0x5a; 32]);
    hello.extend_from_slice(&[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    hello.resize(12 + 60, 0);
    let finished = [&[20, 0, 0, 12, 0, 9, 0, 0, 0, 0, 0, 12][..], &[0x33; 12]].concat();
    vec![
        record(22, 0, &hello),
        record(22, 0, &finished),
        record(21, 0, &[2, 40]),
        record(21, 0, &[1, 0]),
        record(20, 0, &[1]),
        record(21, 1, &[0x77; 26]),
        record(23, 1, &[0x77; 60]),
    ]
}

/// Every discard that ends the way of a datagram that came in; the others are about packets that were to go out.
const INGRESS: &[&str] = &[
    "empty",
    "truncated",
    "unknown_protocol",
    "stun_malformed",
    "stun_unexpected",
    "stun_unknown_user",
    "stun_bad_integrity",
    "unknown_source",
    "dtls_unexpected",
    "handshake_queue_full",
    "no_keys",
    "rtp_malformed",
    "rtcp_malformed",
    "bad_authentication",
    "replayed",
    "too_old",
    "unknown_ssrc",
    "too_many_ssrcs",
    "unknown_payload_type",
    "not_sending",
    "padding_only",
    "rtx_useless",
    "duplicate",
];

const ACCEPTED: &[&str] = &["stun_answered", "dtls_handed_over", "rtp_accepted", "rtx_accepted", "rtcp_accepted"];

fn received(metrics: &Metrics) -> u64 {
    metrics.sum("tidewire_received_datagrams") as u64
}

/// What the shard did with them; the handshake threads' own counts are about datagrams that were handed over to them.
fn accounted(metrics: &Metrics) -> u64 {
    let discarded = |reason: &&str| metrics.labelled("tidewire_discards", &[("shard", ""), ("reason", reason)]);
    let accepted = |name: &&str| metrics.labelled(&format!("tidewire_{name}"), &[("shard", "")]);
    (INGRESS.iter().map(discarded).sum::<f64>() + ACCEPTED.iter().map(accepted).sum::<f64>()) as u64
}

fn sent_by_clients(scene: &Scene) -> u64 {
    let players = scene.players.iter().map(|player| player.call.datagrams_sent).sum::<u64>();
    players + scene.publisher.call.datagrams_sent
}

/// The sizes of tables, as far as the server shows them.
fn gauges(metrics: &Metrics) -> Vec<(String, f64)> {
    let is_size =
        |name: &str| ["connections", "sessions", "upstreams", "downstreams"].iter().any(|word| name.contains(word));
    let all = metrics.starting_with("tidewire_").filter(|(name, _)| is_size(name) && !name.contains("_total"));
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn forged_traffic_is_without_effect(io: Io) -> Result<()> {
    let mut scene = Scene::open(io, Profile::AeadAes128Gcm, &[Codec::Vp8, Codec::Opus], Retransmission::Rtx, 2)?;
    // The call itself fills its retransmission rings (1 MiB of video); what grows after that grows by something else.
    while scene.publisher.tracks[0].sent < 2_000 {
        scene.send_frames()?;
    }
    let samples = Samples::of(&mut scene.publisher.call, scene.publisher.tracks[0].ssrc)?;
    // What a first flood claims once and for all (buffers, page tables) is claimed before the count begins.
    let mut forger = Forger { state: 1 };
    flood(&mut scene, &mut forger, &samples, 20)?;
    let before = quiet_metrics(&mut scene)?;
    let (sent_before, memory_before) = (sent_by_clients(&scene), scene.server.usage()?.resident_bytes);

    let forged = flood(&mut scene, &mut forger, &samples, 1)?;

    let after = quiet_metrics(&mut scene)?;
    scene.settle()?;
    scene.assert_faultless();
    let genuine = sent_by_clients(&scene) - sent_before;
    let arrived = received(&after) - received(&before);
    assert_eq!(accounted(&after) - accounted(&before), arrived, "{}", scene.state());
    ensure!(arrived >= forged, "{arrived} datagrams arrived, {forged} forged and {genuine} genuine ones were sent");
    ensure!(arrived <= forged + genuine + 2, "{arrived} arrived of {forged} forged and {genuine} genuine ones");
    assert_eq!(gauges(&before), gauges(&after));
    let grown = scene.server.usage()?.resident_bytes.saturating_sub(memory_before);
    ensure!(grown <= MEMORY_GROWTH_MAX, "{grown} bytes more than before");
    for track in &scene.publisher.tracks {
        assert_eq!(track.nacked, 0, "the server missed packets of {:?}", track.codec);
    }
    scene.play(200)?;
    scene.close()
}

/// All kinds from strangers' sockets and from the publisher's own address, while the call goes on. `share` of them is left out.
fn flood(scene: &mut Scene, forger: &mut Forger, samples: &Samples, share: usize) -> Result<u64> {
    let strangers: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let own = scene.publisher.call.socket().try_clone()?;
    let mut sent = 0;
    for (kind, count) in Kind::ALL {
        for number in 0..count / share {
            let datagram = kind.datagram(forger, samples);
            let socket = strangers.get(number % (strangers.len() + 1)).unwrap_or(&own);
            send(socket, &datagram, scene)?;
            sent += 1;
            if number.is_multiple_of(BATCH) {
                scene.send_frames()?;
                catch_up(scene)?;
            }
        }
    }
    Ok(sent)
}

fn send(socket: &UdpSocket, datagram: &[u8], scene: &Scene) -> Result<()> {
    match socket.send_to(datagram, scene.server.media) {
        Ok(_) => Ok(()),
        // A connected socket takes no address.
        Err(error) if error.raw_os_error() == Some(nix::libc::EISCONN) => {
            socket.send(datagram).map(drop).context("send")
        }
        Err(error) => Err(error.into()),
    }
}

/// The kernel must not lose what the server has no chance to count: the next batch waits until this one was taken.
fn catch_up(scene: &mut Scene) -> Result<()> {
    let media = scene.server.media.port();
    scene.turn_until("the server to have read its socket", |_| Ok(queued(media)? == 0))
}

/// Bytes that wait at a UDP port of this machine.
fn queued(port: u16) -> Result<u64> {
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let own = format!(":{port:04X}");
    let waiting =
        table.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&own)));
    let bytes = waiting.filter_map(|line| {
        line.split_whitespace().nth(4)?.split_once(':').map(|(_, queue)| u64::from_str_radix(queue, 16))
    });
    Ok(bytes.sum::<Result<u64, _>>()?)
}

/// Metrics once everything that was sent has been counted: two readings that agree but for reports.
fn quiet_metrics(scene: &mut Scene) -> Result<Metrics> {
    catch_up(scene)?;
    let mut last = None;
    let mut found = None;
    scene.turn_until("the counters to stand still", |scene| {
        let metrics = scene.server.metrics()?;
        let now = (received(&metrics), accounted(&metrics));
        let still = last.replace(now) == Some(now) && now.0 == now.1;
        found = Some(metrics);
        Ok(still)
    })?;
    found.context("no metrics")
}

#[test]
fn forged_traffic_is_without_effect_over_uring() -> Result<()> {
    forged_traffic_is_without_effect(Io::Uring)
}

#[test]
fn forged_traffic_is_without_effect_over_epoll() -> Result<()> {
    forged_traffic_is_without_effect(Io::Epoll)
}

/// Forged datagrams between two batches: well within any receive buffer.
const BATCH: usize = 50;

/// The allocator's and the page tables' own coming and going; 14,000 datagrams of any leak would show far above it.
const MEMORY_GROWTH_MAX: u64 = 512 * 1024;
