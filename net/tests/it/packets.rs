//! Datagrams through a shard and back, bit by bit.

use std::net::UdpSocket;
use std::sync::mpsc;
use std::time::Duration;

use tidewire_core::limits::{DATAGRAM_LEN_MAX, RECEIVE_SLOTS};
use tidewire_net::count::IoCounter;
use tidewire_net::{IoChoice, Offload, ShardConfig};

use crate::echo::{Command, Event};
use crate::rig::{COMBINATIONS, PATIENCE, Rig, client_of, config, noise, send_trains};

/// Sends `count` datagrams of all sizes, a few at a time, and expects each back.
pub(crate) fn echo_all(rig: &Rig, client: &UdpSocket, count: u64, seed: u64) {
    /// As many as any receive buffer holds.
    const WINDOW: u64 = 50;
    let datagram = |number: u64| noise(seed << 32 | number, (number * 37 % 1400) as usize + 8);
    let mut buffer = [0; 2048];
    for start in (0..count).step_by(WINDOW as usize) {
        let numbers = start..count.min(start + WINDOW);
        numbers.clone().for_each(|number| assert!(client.send(&datagram(number)).is_ok()));
        for number in numbers {
            let len =
                client.recv(&mut buffer).unwrap_or_else(|error| panic!("{}: datagram {number}: {error}", rig.name));
            assert!(
                buffer[..len] == datagram(number),
                "{}: datagram {number} came back changed or out of order",
                rig.name
            );
        }
    }
}

#[test]
fn every_datagram_comes_back_unchanged_and_in_order() {
    for combination in COMBINATIONS {
        for (send, receive) in [(true, true), (false, false)] {
            let rig =
                Rig::with(&ShardConfig { offload: Offload { send, receive }, ..config(combination) }, combination);
            echo_all(&rig, &rig.client(), 3_000, 1);
            rig.stop();
        }
    }
}

#[test]
fn spinning_shard_echoes_as_well_and_still_sleeps() {
    for combination in COMBINATIONS {
        let config = ShardConfig { spin: Duration::from_micros(50), ..config(combination) };
        let rig = Rig::with(&config, combination);
        echo_all(&rig, &rig.client(), 1_000, 4);
        let sleeps = rig.counter(IoCounter::Sleeps);
        rig.await_counter(IoCounter::Sleeps, sleeps.max(1));
        rig.stop();
    }
}

#[test]
fn several_local_addresses_answer_from_where_they_were_asked() {
    for combination in COMBINATIONS {
        let mut config = config(combination);
        config.addresses = vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap(), "::1".parse().unwrap()];
        let rig = Rig::with(&config, combination);
        assert_eq!(rig.handle.addresses().len(), 3);
        for &address in rig.handle.addresses() {
            // A connected client takes answers from this address only.
            echo_all(&rig, &client_of(address), 200, 2);
        }
        rig.stop();
    }
}

#[test]
fn empty_and_oversized_datagrams_do_no_harm() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let client = rig.client();
        client.send(&[]).unwrap();
        assert_eq!(client.recv(&mut [0; 16]).unwrap(), 0, "{}", rig.name);
        client.send(&vec![1; DATAGRAM_LEN_MAX + 1]).unwrap();
        client.send(&vec![1; 65_507]).unwrap();
        client.send(&vec![7; DATAGRAM_LEN_MAX]).unwrap();
        let mut buffer = [0; 65_536];
        assert_eq!(client.recv(&mut buffer).unwrap(), DATAGRAM_LEN_MAX, "{}", rig.name);
        rig.await_counter(IoCounter::OversizedIn, 2);
        echo_all(&rig, &client, 100, 3);
        rig.stop();
    }
}

#[test]
fn trains_from_a_client_are_cut_into_their_datagrams() {
    for combination in COMBINATIONS {
        for receive in [true, false] {
            let rig = Rig::with(
                &ShardConfig { offload: Offload { send: true, receive }, ..config(combination) },
                combination,
            );
            let client = rig.client();
            let (train, size) = (noise(9, 1200 * 40 + 700), 1200);
            send_trains(&client, size as i32);
            let mut buffer = [0; 2048];
            for _ in 0..20 {
                client.send(&train).unwrap();
                for expected in train.chunks(size) {
                    let len = client.recv(&mut buffer).unwrap_or_else(|error| panic!("{}: {error}", rig.name));
                    assert!(buffer[..len] == *expected, "{}", rig.name);
                }
            }
            rig.await_counter(IoCounter::DatagramsIn, 20 * 41);
            let messages = rig.counter(IoCounter::MessagesIn);
            assert!(!receive || messages < 20 * 41, "{}: {messages} messages", rig.name);
            assert!(rig.counter(IoCounter::MessagesOut) < 20 * 41, "{}: a train in gives a train out", rig.name);
            rig.stop();
        }
    }
}

#[test]
fn fan_out_reaches_every_viewer_in_order_slice_by_slice() {
    for combination in COMBINATIONS {
        for send in [true, false] {
            let rig = Rig::with(
                &ShardConfig { offload: Offload { send, receive: true }, ..config(combination) },
                combination,
            );
            let clients: Vec<_> = (0..100).map(|_| rig.client()).collect();
            let viewers = clients.iter().map(|client| client.local_addr().unwrap()).collect();
            rig.command(Command::FanOut { viewers, packets: 20, len: 1200 });
            let mut buffer = [0; 2048];
            for client in &clients {
                for number in 0..20_u32 {
                    let len = client.recv(&mut buffer).unwrap_or_else(|error| panic!("{}: {error}", rig.name));
                    assert_eq!((len, &buffer[..4]), (1200, &number.to_be_bytes()[..]), "{}", rig.name);
                }
            }
            rig.await_counter(IoCounter::DatagramsOut, 2_000);
            let messages = rig.counter(IoCounter::MessagesOut);
            assert_eq!(messages, if send { 100 } else { 2_000 }, "{}", rig.name);
            rig.stop();
        }
    }
}

#[test]
fn burst_beyond_all_slots_is_received_to_the_last_datagram() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let (release, stall) = mpsc::channel();
        rig.command(Command::Stall(stall));
        assert!(matches!(rig.event(), Event::Ready));
        let client = rig.client();
        let burst = RECEIVE_SLOTS as u64 * 10;
        (0..burst).for_each(|number| assert!(client.send(&noise(number, 300)).is_ok()));
        release.send(()).unwrap();
        let mut buffer = [0; 2048];
        for number in 0..burst {
            let len =
                client.recv(&mut buffer).unwrap_or_else(|error| panic!("{}: datagram {number}: {error}", rig.name));
            assert!(buffer[..len] == noise(number, 300), "{}: datagram {number}", rig.name);
        }
        rig.await_counter(IoCounter::DatagramsIn, burst);
        if rig.handle.io() == IoChoice::Uring {
            assert!(rig.counter(IoCounter::SlotsExhausted) > 0, "{}", rig.name);
        }
        assert_eq!(rig.counter(IoCounter::DroppedIn), 0, "{}", rig.name);
        rig.stop();
    }
}

#[test]
fn arrival_is_when_the_kernel_took_the_datagram_not_when_we_did() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let client = rig.client();
        let (release, stall) = mpsc::channel();
        rig.command(Command::Stall(stall));
        assert!(matches!(rig.event(), Event::Ready));
        client.send(b"waits").unwrap();
        let sent = std::time::Instant::now();
        // The datagram waits in the socket until this much time has passed for sure.
        let waited = Duration::from_millis(20);
        while sent.elapsed() < waited {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
        client.recv(&mut [0; 16]).unwrap();
        rig.command(Command::Report);
        let Event::Age(age) = rig.event() else { panic!("{}: no age", rig.name) };
        assert!(age >= waited - Duration::from_millis(1) && age < PATIENCE, "{}: {age:?}", rig.name);
        rig.stop();
    }
}
