//! A shard's life beside its packets: commands, timers, handshakes, ends.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidewire_core::handshake::{EndReason, Progress, Request};
use tidewire_core::id::ConnectionId;
use tidewire_core::limits::{COMMANDS_LEN, TURN_MAX};
use tidewire_net::count::{IoCounter, ShardGauge};
use tidewire_net::{DriverChoice, IoChoice, NetError, beside, probe};

use crate::echo::{Command, Event};
use crate::packets::echo_all;
use crate::rig::{COMBINATIONS, Combination, PATIENCE, Rig, config};

#[test]
fn command_wakes_a_sleeping_shard() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        for _ in 0..200 {
            // Asleep, or just about to be: the wake-up must not get lost in between.
            rig.command(Command::Report);
            assert!(matches!(rig.event(), Event::Age(_)));
            assert!(matches!(rig.event(), Event::Report { .. }), "{}", rig.name);
        }
        rig.stop();
    }
}

#[test]
fn timer_fires_after_its_time_and_not_before() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        for millis in [0, 1, 5, 20] {
            let wanted = Duration::from_millis(millis);
            let since = Instant::now();
            rig.command(Command::Timer(wanted));
            let Event::TimerFired(late) = rig.event() else { panic!("{}: not the timer", rig.name) };
            assert!(since.elapsed() >= wanted, "{}: early", rig.name);
            println!("{}: a timer of {wanted:?} was late by {late:?}", rig.name);
        }
        rig.stop();
    }
}

#[test]
fn full_queue_gives_the_command_back() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let (release, stall) = mpsc::channel();
        rig.command(Command::Stall(stall));
        assert!(matches!(rig.event(), Event::Ready));
        let accepted = (0..=COMMANDS_LEN).take_while(|_| rig.handle.command(Command::Timer(PATIENCE)).is_ok()).count();
        assert_eq!(accepted, COMMANDS_LEN, "{}", rig.name);
        drop(release);
        // All of them are worked off, however many turns that takes.
        let deadline = Instant::now() + PATIENCE;
        while rig.handle.command(Command::Report).is_err() {
            assert!(Instant::now() < deadline, "{}", rig.name);
            std::thread::yield_now();
        }
        assert!(matches!(rig.event(), Event::Age(_)), "{}", rig.name);
        rig.stop();
    }
}

#[test]
fn a_turn_that_stalls_is_counted_and_shown() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let before = rig.counter(IoCounter::TurnStalls);
        let (release, stall) = mpsc::channel();
        rig.command(Command::Stall(stall));
        assert!(matches!(rig.event(), Event::Ready));
        let stalled = Instant::now();
        while stalled.elapsed() <= TURN_MAX {
            std::thread::yield_now();
        }
        drop(release);
        rig.await_counter(IoCounter::TurnStalls, before + 1);
        // The gauges are published a moment after the counters.
        let deadline = Instant::now() + PATIENCE;
        while Duration::from_nanos(rig.gauge(ShardGauge::TurnMax)) <= TURN_MAX {
            assert!(Instant::now() < deadline, "{}", rig.name);
            std::thread::yield_now();
        }
        rig.stop();
    }
}

#[test]
fn handshake_requests_without_room_are_held_in_order() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        rig.command(Command::Handshakes(20));
        rig.await_counter(IoCounter::HandshakesHeld, 1);
        for wanted in 0..20 {
            let Ok(Request::Close { connection }) = rig.requests.recv_timeout(PATIENCE) else {
                panic!("{}: {wanted}", rig.name)
            };
            assert_eq!(connection.slot, wanted, "{}", rig.name);
        }
        rig.stop();
    }
}

#[test]
fn handshake_progress_reaches_the_machine() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let connection = ConnectionId { slot: 0, generation: 0 };
        rig.handle.progress().send(Progress::Ended { connection, reason: EndReason::PeerClosed }).unwrap();
        assert!(matches!(rig.event(), Event::Progress), "{}", rig.name);
        rig.stop();
    }
}

#[test]
fn stop_takes_less_than_a_second_asleep_and_under_load() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        rig.stop();
        let rig = Rig::start(combination);
        let client = rig.client();
        let viewers = vec![client.local_addr().unwrap(); 1_000_000];
        rig.command(Command::FanOut { viewers, packets: 1, len: 1000 });
        rig.await_counter(IoCounter::DatagramsOut, 1);
        // `stop` itself gives up after a second.
        rig.stop();
    }
}

#[test]
fn panic_ends_the_shard_and_no_other() {
    for combination in COMBINATIONS {
        let (rig, other) = (Rig::start(combination), Rig::start(combination));
        rig.command(Command::Panic);
        let deadline = Instant::now() + PATIENCE;
        while rig.handle.is_running() {
            assert!(Instant::now() < deadline, "{}", rig.name);
            std::thread::yield_now();
        }
        assert!(rig.handle.command(Command::Report).is_err());
        assert!(matches!(rig.handle.stop(), Err(NetError::Panicked)));
        echo_all(&other, &other.client(), 10, 3);
        other.stop();
    }
}

#[test]
fn address_in_use_is_an_error_at_once() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let mut config = config(combination);
        config.port = rig.handle.addresses()[0].port();
        let again = tidewire_net::spawn(&config, crate::echo::Echo::new, |_| Err, |_| {});
        assert!(matches!(again, Err(NetError::Bind(_))), "{}", rig.name);
        rig.stop();
    }
}

#[test]
fn auto_takes_what_the_probe_found() {
    let rig = Rig::start(Combination { io: IoChoice::Auto, driver: DriverChoice::Auto, company: false });
    let (io, driver) = match (&probe().uring, &probe().executor) {
        (Ok(()), Ok(())) => (IoChoice::Uring, DriverChoice::Executor),
        (Ok(()), Err(_)) => (IoChoice::Uring, DriverChoice::Plain),
        (Err(_), _) => (IoChoice::Epoll, DriverChoice::Plain),
    };
    assert_eq!((rig.handle.io(), rig.handle.driver()), (io, driver));
    println!("{:?}", probe());
    rig.stop();
}

#[test]
fn task_beside_the_packets_runs_while_the_shard_is_idle_and_under_load() {
    for combination in COMBINATIONS.into_iter().filter(|combination| combination.company) {
        let rig = Rig::start(combination);
        let await_ticks = |ticks: u64| {
            let deadline = Instant::now() + PATIENCE;
            while rig.ticks.load(Ordering::Relaxed) < ticks {
                assert!(Instant::now() < deadline, "{}: {ticks} ticks", rig.name);
                std::thread::yield_now();
            }
        };
        await_ticks(2);
        // Two by turns, so that no trains make the load light.
        let clients = [rig.client(), rig.client()];
        let viewers = clients.iter().map(|client| client.local_addr().unwrap()).cycle().take(1_000_000).collect();
        rig.command(Command::FanOut { viewers, packets: 1, len: 1000 });
        rig.await_counter(IoCounter::DatagramsOut, 1);
        await_ticks(5);
        assert!(rig.counter(IoCounter::DatagramsOut) < 1_000_000, "{}: the load was over too soon", rig.name);
        rig.stop();
    }
}

#[test]
fn task_beside_the_packets_needs_an_executor() {
    assert!(beside(async {}).is_err());
}
