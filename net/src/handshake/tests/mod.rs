//! A dimpl client against our associations: over a seeded network in virtual time, and through a running pool.

mod association;
mod pool;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, Output, SrtpProfile};
use tidewire_core::count::Tally;
use tidewire_core::handshake::{EndReason, Fingerprint, Profile, Progress, SrtpKeys};
use tidewire_core::id::ConnectionId;

use super::association::{Association, Recipe, Turn};
use super::{Identity, Versions};

const CONNECTION: ConnectionId = ConnectionId { slot: 3, generation: 1 };
const BOTH: [Versions; 2] = [Versions::Dtls12, Versions::Dtls13];

/// The other end: a dimpl client and what it has learnt.
struct Client {
    identity: Identity,
    engine: Dtls,
    timer: Instant,
    keys: Option<(Vec<u8>, SrtpProfile)>,
    closed: bool,
    /// The engine gave up.
    broken: bool,
}

impl Client {
    fn new(versions: Versions, mtu: usize, now: Instant) -> Self {
        let identity = Identity::generate().unwrap();
        let config =
            Config::builder().mtu(mtu).flight_start_rto(Duration::from_millis(50)).flight_retries(12).build().unwrap();
        let (config, certificate) = (Arc::new(config), identity.certificate.clone());
        let mut engine = match versions {
            Versions::Dtls12 => Dtls::new_12(config, certificate, now),
            Versions::Dtls13 => Dtls::new_13(config, certificate, now),
        };
        engine.set_active(true);
        engine.handle_timeout(now).unwrap();
        Self { identity, engine, timer: now, keys: None, closed: false, broken: false }
    }

    /// Takes everything that the client has to say; returns what it sends.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let (mut buffer, mut sent) = ([0; 4096], Vec::new());
        loop {
            match self.engine.poll_output(&mut buffer) {
                Output::Packet(bytes) => sent.push(bytes.to_vec()),
                Output::KeyingMaterial(material, profile) => self.keys = Some((material.to_vec(), profile)),
                Output::CloseNotify => self.closed = true,
                Output::Connected | Output::PeerCert(_) | Output::ApplicationData(_) => {}
                Output::Timeout(at) => {
                    self.timer = at;
                    return sent;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.broken = self.broken || self.engine.handle_timeout(now).is_err();
    }

    fn handle(&mut self, bytes: &[u8], now: Instant) {
        self.handle_timeout(now);
        self.broken = self.broken || self.engine.handle_packet(bytes).is_err();
    }
}

/// Splitmix64: small, seeded, good enough for dice.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll() as u8).collect()
    }
}

/// What a network does to datagrams, in percent of them.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    loss: u64,
    duplication: u64,
    /// Delays are drawn from this many milliseconds, so that whatever is in flight overtakes.
    jitter_ms: u64,
}

/// One association, one client, and the network between them, in virtual time.
struct World {
    now: Instant,
    dice: Dice,
    weather: Weather,
    recipe: Recipe,
    association: Association,
    client: Client,
    /// By arrival and order of sending; `true`: towards the server.
    flying: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    sent: u64,
    progress: Vec<Progress>,
    tally: Tally,
}

impl World {
    fn new(versions: Versions, mtu: usize, weather: Weather, seed: u64) -> Self {
        let now = Instant::now();
        let client = Client::new(versions, mtu, now);
        let expected = client.identity.fingerprint();
        Self::expecting(expected, client, versions, weather, seed, now)
    }

    fn expecting(
        expected: Fingerprint,
        client: Client,
        versions: Versions,
        weather: Weather,
        seed: u64,
        now: Instant,
    ) -> Self {
        let recipe = Recipe::new(&Identity::generate().unwrap(), versions).unwrap();
        let (mut progress, mut tally) = (Vec::new(), Tally::default());
        let turn = &mut Turn { now, recipe: &recipe, progress: &mut progress, tally: &mut tally };
        let association = Association::new(CONNECTION, expected, turn);
        let (dice, flying) = (Dice(seed), BTreeMap::new());
        Self { now, dice, weather, recipe, association, client, flying, sent: 0, progress, tally }
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Association, &mut Turn<'_>) -> R) -> R {
        let turn =
            &mut Turn { now: self.now, recipe: &self.recipe, progress: &mut self.progress, tally: &mut self.tally };
        act(&mut self.association, turn)
    }

    fn throw(&mut self, to_server: bool, bytes: Vec<u8>) {
        let copies = if self.dice.percent(self.weather.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if self.dice.percent(self.weather.loss) {
                continue;
            }
            let delay = Duration::from_micros(500 + 1000 * self.dice.below(self.weather.jitter_ms + 1));
            self.sent += 1;
            self.flying.insert((self.now + delay, self.sent), (to_server, bytes.clone()));
        }
    }

    /// Puts on the network what both ends have to say.
    fn collect(&mut self) {
        for bytes in self.client.drain() {
            self.throw(true, bytes);
        }
        let mut kept = Vec::new();
        for progress in std::mem::take(&mut self.progress) {
            match progress {
                Progress::Records { bytes, .. } => self.throw(false, bytes.into_vec()),
                other => kept.push(other),
            }
        }
        self.progress = kept;
    }

    /// Lets the next thing happen: an arrival or a deadline.
    fn step(&mut self) {
        self.collect();
        let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
        let deadline = self.association.poll_timeout().into_iter().chain([self.client.timer]).min().unwrap();
        if arrival.is_some_and(|at| at <= deadline) {
            let ((at, _), (to_server, bytes)) = self.flying.pop_first().unwrap();
            self.now = self.now.max(at);
            if to_server {
                // A refusal is for the tests that look at the tally.
                let _refused = self.with(|association, turn| association.handle(turn, &bytes)).is_err();
            } else {
                self.client.handle(&bytes, self.now);
            }
        } else {
            self.now = self.now.max(deadline);
            self.with(|association, turn| association.handle_timeout(turn));
            self.client.handle_timeout(self.now);
        }
        self.collect();
    }

    fn run_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..10_000 {
            if done(self) {
                return;
            }
            assert!(!self.client.broken, "the client gave up: {what}");
            self.step();
        }
        panic!("never: {what}; {:?}", self.progress);
    }

    fn is_connected(&self) -> bool {
        self.client.keys.is_some() && self.keys().is_some()
    }

    fn keys(&self) -> Option<&SrtpKeys> {
        self.progress.iter().find_map(|progress| match progress {
            Progress::Keys { keys, .. } => Some(keys),
            Progress::Records { .. } | Progress::Ended { .. } => None,
        })
    }

    fn ended(&self) -> Option<EndReason> {
        self.progress.iter().find_map(|progress| match progress {
            Progress::Ended { reason, .. } => Some(*reason),
            Progress::Records { .. } | Progress::Keys { .. } => None,
        })
    }

    fn assert_keys_agree(&self) {
        let (material, profile) = self.client.keys.as_ref().unwrap();
        let keys = self.keys().unwrap();
        assert_eq!((keys.profile, *profile), (Profile::AeadAes256Gcm, SrtpProfile::AEAD_AES_256_GCM));
        let parts = [&keys.inbound.key[..], &keys.outbound.key, &keys.inbound.salt, &keys.outbound.salt];
        assert_eq!(&parts.concat(), material);
    }
}
