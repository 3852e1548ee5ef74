//! One association through weather, forgery and goodbyes, in virtual time.

use std::time::{Duration, Instant};

use tidewire_core::count::{Counter, Discard};
use tidewire_core::handshake::{EndReason, Fingerprint, Progress};
use tidewire_core::limits::{HANDSHAKE_DATAGRAMS_BURST, HANDSHAKE_RESTARTS_MAX};

use super::{BOTH, Client, Dice, Weather, World};
use crate::handshake::Versions;
use crate::handshake::association::HANDSHAKE_TIMEOUT;

#[test]
fn handshake_survives_any_weather() {
    let weathers = [
        Weather::default(),
        Weather { jitter_ms: 30, ..Weather::default() },
        Weather { duplication: 50, jitter_ms: 5, ..Weather::default() },
        Weather { loss: 10, duplication: 10, jitter_ms: 30 },
        Weather { loss: 30, duplication: 20, jitter_ms: 100 },
    ];
    for versions in BOTH {
        for weather in weathers {
            for mtu in [200, 500, 1200] {
                // Small fragments are many, and all of a flight have to arrive in the end.
                let weather = Weather { loss: if mtu == 200 { weather.loss / 3 } else { weather.loss }, ..weather };
                for seed in 0..8 {
                    let mut world = World::new(versions, mtu, weather, seed);
                    let what = format!("keys at {versions:?}, {weather:?}, mtu {mtu}, seed {seed}");
                    world.run_until(&what, World::is_connected);
                    world.assert_keys_agree();
                    assert_eq!(world.ended(), None, "{what}");
                }
            }
        }
    }
}

#[test]
fn hello_in_reverse_order_is_put_together() {
    for versions in BOTH {
        let mut world = World::new(versions, 100, Weather::default(), 1);
        let hello = world.client.drain();
        assert!(hello.len() > 1, "{} fragments", hello.len());
        for fragment in hello.iter().rev() {
            world.with(|association, turn| association.handle(turn, fragment)).unwrap();
        }
        assert!(!world.progress.is_empty(), "no flight in answer");
        world.run_until("keys", World::is_connected);
        assert_eq!(world.tally.of(Counter::HandshakesRestarted), 0);
    }
}

#[test]
fn wrong_fingerprint_ends_without_keys() {
    for versions in BOTH {
        let now = Instant::now();
        let client = Client::new(versions, 1200, now);
        let mut world = World::expecting(Fingerprint([7; 32]), client, versions, Weather::default(), 1, now);
        world.run_until("the end", |world| world.ended().is_some());
        assert_eq!(world.ended(), Some(EndReason::WrongFingerprint));
        assert!(world.keys().is_none() && world.association.is_over());
        assert_eq!(world.tally.of(Counter::HandshakesFailed), 1);
    }
}

#[test]
fn silent_client_times_out_after_its_hello_and_not_before() {
    for versions in BOTH {
        let mut world = World::new(versions, 1200, Weather::default(), 1);
        assert_eq!(world.association.poll_timeout(), None, "waiting for a client costs nothing");
        world.now += Duration::from_secs(60);
        let (start, hello) = (world.now, world.client.drain());
        for fragment in &hello {
            world.with(|association, turn| association.handle(turn, fragment)).unwrap();
        }
        while let Some(at) = world.association.poll_timeout() {
            world.now = at;
            world.with(|association, turn| association.handle_timeout(turn));
        }
        assert_eq!(world.ended(), Some(EndReason::HandshakeTimeout));
        assert_eq!(world.now - start, HANDSHAKE_TIMEOUT);
    }
}

#[test]
fn goodbye_is_understood_both_ways() {
    for versions in BOTH {
        let mut world = World::new(versions, 1200, Weather::default(), 1);
        world.run_until("keys", World::is_connected);
        world.client.engine.close().unwrap();
        world.run_until("the end", |world| world.ended().is_some());
        assert_eq!(world.ended(), Some(EndReason::PeerClosed));

        let mut world = World::new(versions, 1200, Weather::default(), 2);
        world.run_until("keys", World::is_connected);
        world.with(|association, turn| association.close(turn));
        assert!(world.association.is_over());
        world.run_until("goodbye", |world| world.client.closed);
        assert_eq!(world.ended(), None, "who closed needs no telling");
    }
}

#[test]
fn lost_last_flight_is_repeated() {
    for versions in BOTH {
        let mut world = World::new(versions, 1200, Weather::default(), 1);
        world.run_until("the server's keys", |world| world.keys().is_some());
        world.flying.clear();
        world.client.keys = None;
        let before = world.tally.of(Counter::DtlsSent);
        match versions {
            Versions::Dtls12 => world.run_until("the client's keys", World::is_connected),
            // The client of 1.3 has its keys before the last flight, which is an acknowledgement.
            Versions::Dtls13 => world.run_until("a repetition", |world| world.tally.of(Counter::DtlsSent) > before),
        }
        assert_eq!(world.ended(), None);
    }
}

#[test]
fn strangers_hello_does_not_end_the_session() {
    for versions in BOTH {
        let mut world = World::new(versions, 1200, Weather::default(), 1);
        let mut stranger = Client::new(versions, 1200, world.now);
        for bytes in stranger.drain() {
            world.with(|association, turn| association.handle(turn, &bytes)).unwrap();
        }
        world.progress.clear();
        world.run_until("keys", World::is_connected);
        world.assert_keys_agree();
        assert_eq!(world.tally.of(Counter::HandshakesRestarted), 1);
    }
}

#[test]
fn forged_plaintext_does_not_end_the_handshake() {
    for versions in BOTH {
        let fatal_alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40];
        let mut header_only = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 2, 0, 12];
        header_only.extend([1, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut world = World::new(versions, 1200, Weather::default(), 1);
        world.with(|association, turn| association.handle(turn, &fatal_alert)).unwrap();
        assert_eq!(
            world.with(|association, turn| association.handle(turn, &header_only)),
            Err(Discard::DtlsUnexpected)
        );
        world.run_until("keys", World::is_connected);
        world.with(|association, turn| association.handle(turn, &fatal_alert)).unwrap();
        assert_eq!(world.ended(), None);
        world.assert_keys_agree();
    }
}

#[test]
fn handshake_that_breaks_too_often_ends() {
    let mut world = World::new(Versions::Dtls12, 1200, Weather::default(), 1);
    for attempt in 0..=u64::from(HANDSHAKE_RESTARTS_MAX) + 1 {
        assert_eq!(world.ended(), None, "attempt {attempt}");
        for bytes in Client::new(Versions::Dtls12, 1200, world.now).drain() {
            world.with(|association, turn| association.handle(turn, &bytes)).unwrap();
        }
    }
    assert_eq!(world.ended(), Some(EndReason::HandshakeFailed));
}

#[test]
fn flood_is_refused_and_the_allowance_comes_back() {
    let mut world = World::new(Versions::Dtls12, 1200, Weather::default(), 1);
    let hello = world.client.drain().remove(0);
    let refusals = |world: &mut World, count: u32| {
        (0..count).filter(|_| world.with(|association, turn| association.handle(turn, &hello)).is_err()).count()
    };
    assert_eq!(refusals(&mut world, HANDSHAKE_DATAGRAMS_BURST), 0);
    assert_eq!(refusals(&mut world, 100), 100);
    world.now += Duration::from_secs(1);
    assert_eq!(refusals(&mut world, 100), 100 - 16);
}

/// A datagram that is random, or a real one with wounds.
fn forged(dice: &mut Dice, real: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = match dice.below(4) {
        0 => {
            let len = dice.below(1400) as usize;
            let mut bytes = dice.bytes(len);
            if let Some(first) = bytes.first_mut() {
                *first = 20 + *first % 44;
            }
            return bytes;
        }
        _ => real[dice.below(real.len() as u64) as usize].clone(),
    };
    for _ in 0..=dice.below(4) {
        // Half of the wounds are in the headers, where they hurt most.
        let reach = if dice.percent(50) { bytes.len().min(40) } else { bytes.len() };
        let at = dice.below(reach as u64) as usize;
        bytes[at] = dice.roll() as u8;
    }
    if dice.percent(20) {
        bytes.truncate(dice.below(bytes.len() as u64) as usize);
    }
    bytes
}

#[test]
fn ten_thousand_forged_datagrams_leave_an_established_association_alive() {
    for versions in BOTH {
        let mut world = World::new(versions, 300, Weather::default(), 1);
        let mut real = Vec::new();
        while !world.is_connected() {
            world.collect();
            real.extend(world.flying.values().map(|(_, bytes)| bytes.clone()));
            world.step();
        }
        while !world.flying.is_empty() {
            world.step();
        }
        let mut refused = 0;
        for seed in 0..10_000 {
            let bytes = forged(&mut Dice(seed), &real);
            // Slowly enough that the allowance does not do the work of the engine.
            world.now += Duration::from_millis(100);
            refused += u32::from(world.with(|association, turn| association.handle(turn, &bytes)).is_err());
            world.progress.retain(|progress| !matches!(progress, Progress::Records { .. }));
        }
        assert!(refused > 1_000, "{refused}");
        assert_eq!(world.ended(), None, "{versions:?}");
        world.client.engine.handle_timeout(world.now).unwrap();
        world.client.engine.close().unwrap();
        world.run_until("the end", |world| world.ended().is_some());
        assert_eq!(world.ended(), Some(EndReason::PeerClosed), "the engine still listens");
    }
}

#[test]
fn forged_datagrams_among_the_real_ones_never_bring_wrong_keys() {
    let mut connected = 0;
    for seed in 0..200 {
        let versions = BOTH[seed as usize % 2];
        let mut world = World::new(versions, 300, Weather::default(), seed);
        let mut real = world.client.drain();
        real.iter().for_each(|bytes| world.throw(true, bytes.clone()));
        for _ in 0..400 {
            if world.is_connected() || world.ended().is_some() || world.client.broken {
                break;
            }
            world.collect();
            real.extend(world.flying.values().map(|(_, bytes)| bytes.clone()));
            let bytes = forged(&mut world.dice, &real);
            if world.dice.percent(20) {
                let _refused = world.with(|association, turn| association.handle(turn, &bytes)).is_err();
            }
            world.step();
        }
        if world.is_connected() {
            world.assert_keys_agree();
            connected += 1;
        }
    }
    // A forger who is heard on a validated path can delay a handshake, but seldom end it.
    assert!(connected > 100, "{connected} of 200");
}
