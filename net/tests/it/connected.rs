//! Viewers with a socket of their own: they see and are seen as before, whatever becomes of them.

use std::net::{SocketAddr, UdpSocket};

use tidewire_net::count::IoCounter;
use tidewire_net::{IoChoice, ShardConfig};

use crate::echo::Command;
use crate::packets::echo_all;
use crate::rig::{COMBINATIONS, Combination, Rig, client_of, config};

const PACKETS: u32 = 20;

fn rig(combination: Combination, connected_max: usize) -> Rig {
    Rig::with(&ShardConfig { connected_max, ..config(combination) }, combination)
}

fn address_of(client: &UdpSocket) -> SocketAddr {
    client.local_addr().unwrap()
}

fn send_media(rig: &Rig, viewers: Vec<SocketAddr>) {
    rig.command(Command::FanOut { viewers, packets: PACKETS, len: 1000 });
}

/// A client is connected, so it hears nothing but what comes from the shard's own address and port.
fn expect_media(rig: &Rig, client: &UdpSocket) {
    let mut buffer = [0; 2048];
    for number in 0..PACKETS {
        let len = client.recv(&mut buffer).unwrap_or_else(|error| panic!("{}: {number}: {error}", rig.name));
        assert_eq!((len, &buffer[..4]), (1000, &number.to_be_bytes()[..]), "{}", rig.name);
    }
}

#[test]
fn devoted_viewers_hear_the_same_address_and_everybody_is_heard() {
    for combination in COMBINATIONS {
        let mut config = ShardConfig { connected_max: 400, ..config(combination) };
        config.addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let rig = Rig::with(&config, combination);
        // More than there are groups to be bound to.
        let viewers: Vec<_> = (0..300).map(|_| rig.client()).collect();
        viewers.iter().for_each(|viewer| rig.command(Command::Devote(0, address_of(viewer))));
        let beside = client_of(rig.handle.addresses()[1]);
        rig.command(Command::Devote(1, address_of(&beside)));
        send_media(&rig, viewers.iter().map(address_of).collect());
        viewers.iter().for_each(|viewer| expect_media(&rig, viewer));
        // What a viewer sends, what a stranger sends, and what is answered over either family.
        for client in [&viewers[0], &viewers[299], &rig.client(), &beside] {
            echo_all(&rig, client, 100, 7);
        }
        let uring = rig.handle.io() == IoChoice::Uring;
        rig.await_counter(IoCounter::Connected, if uring { 301 } else { 0 });
        assert_eq!(rig.counter(IoCounter::NotConnected), 0, "{}", rig.name);
        rig.stop();
    }
}

#[test]
fn viewers_beyond_the_places_share_the_shards_socket_until_one_is_free() {
    for combination in COMBINATIONS.into_iter().filter(|combination| combination.io == IoChoice::Uring) {
        let rig = rig(combination, 2);
        let viewers: Vec<_> = (0..3).map(|_| rig.client()).collect();
        let addresses: Vec<_> = viewers.iter().map(address_of).collect();
        addresses.iter().for_each(|address| rig.command(Command::Devote(0, *address)));
        rig.await_counter(IoCounter::NotConnected, 1);
        send_media(&rig, addresses.clone());
        viewers.iter().for_each(|viewer| expect_media(&rig, viewer));
        // Whoever is released is served all the same, and the place goes to another.
        rig.command(Command::Release(0, addresses[0]));
        rig.command(Command::Release(0, addresses[2]));
        rig.command(Command::Devote(0, addresses[2]));
        rig.await_counter(IoCounter::Connected, 3);
        send_media(&rig, addresses);
        viewers.iter().for_each(|viewer| expect_media(&rig, viewer));
        assert_eq!(rig.counter(IoCounter::NotConnected), 1, "{}", rig.name);
        rig.stop();
    }
}

#[test]
fn a_place_serves_a_thousand_viewers_one_after_another() {
    let rig = rig(COMBINATIONS[0], 1);
    for round in 1..=1000 {
        let viewer = rig.client();
        rig.command(Command::Devote(0, address_of(&viewer)));
        if round % 100 == 0 {
            send_media(&rig, vec![address_of(&viewer)]);
            expect_media(&rig, &viewer);
        }
        rig.command(Command::Release(0, address_of(&viewer)));
        rig.await_counter(IoCounter::Connected, round);
    }
    assert_eq!(rig.counter(IoCounter::NotConnected), 0);
    rig.stop();
}

#[test]
fn viewer_that_is_gone_costs_nobody_a_packet_and_the_shard_no_rest() {
    let rig = rig(COMBINATIONS[0], 8);
    let (gone, stays) = (rig.client(), rig.client());
    let addresses = vec![address_of(&gone), address_of(&stays)];
    addresses.iter().for_each(|address| rig.command(Command::Devote(0, *address)));
    rig.await_counter(IoCounter::Connected, 2);
    drop(gone);
    // Loopback answers what goes to a closed port with an ICMP error.
    for _ in 0..50 {
        send_media(&rig, addresses.clone());
        expect_media(&rig, &stays);
    }
    echo_all(&rig, &stays, 100, 8);
    assert_eq!((rig.counter(IoCounter::SendFailed), rig.counter(IoCounter::ReceiveFailed)), (0, 0));
    let (sleeps, turns) = (rig.counter(IoCounter::Sleeps), rig.counter(IoCounter::Turns));
    assert!(sleeps > 0 && turns < 5_000, "{turns} turns, {sleeps} sleeps");
    rig.stop();
}

#[test]
fn viewer_whom_the_kernel_would_send_from_elsewhere_is_not_connected() {
    let mut config = ShardConfig { connected_max: 8, ..config(COMBINATIONS[0]) };
    config.addresses = vec!["127.0.0.2".parse().unwrap()];
    let rig = Rig::with(&config, COMBINATIONS[0]);
    // Between addresses of loopback the kernel's own choice is the first.
    let viewer = UdpSocket::bind("127.0.0.1:0").unwrap();
    viewer.connect(rig.handle.addresses()[0]).unwrap();
    viewer.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
    rig.command(Command::Devote(0, address_of(&viewer)));
    rig.await_counter(IoCounter::NotConnected, 1);
    send_media(&rig, vec![address_of(&viewer)]);
    expect_media(&rig, &viewer);
    assert_eq!(rig.counter(IoCounter::Connected), 0);
    rig.stop();
}
