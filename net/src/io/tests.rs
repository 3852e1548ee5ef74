//! What every packet I/O does where the kernel refuses: by real refusals of a real kernel.

use std::net::UdpSocket;
use std::time::Duration;

use tidewire_core::machine::Path;

use super::epoll::Epoll;
use super::uring::Uring;
use super::*;
use crate::clock;
use crate::count::IoCounter;
use crate::socket::{Sockets, set_option};
use crate::wake::Waker;

fn sockets() -> Sockets {
    Sockets::bind(&["127.0.0.1".parse().unwrap()], 0).unwrap()
}

/// A socket that sends without checksums: the kernel refuses its trains (EINVAL) and takes its single datagrams.
fn sockets_without_trains() -> Sockets {
    let sockets = sockets();
    sockets.descriptors().for_each(|socket| set_option(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap());
    sockets
}

fn client() -> (UdpSocket, Path) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let path = Path { local: 0, remote: socket.local_addr().unwrap() };
    (socket, path)
}

fn put(io: &mut impl PacketIo, path: &Path, number: u8, len: usize) {
    io.egress().reserve(path, len).unwrap().fill(number);
    io.egress().commit(len);
}

fn send(io: &mut impl PacketIo) {
    io.flush();
    io.collect();
}

fn expect(client: &UdpSocket, number: u8, len: usize) {
    let mut buffer = [0; 2048];
    assert_eq!(client.recv(&mut buffer).unwrap(), len);
    assert!(buffer[..len].iter().all(|&byte| byte == number));
}

fn refused_train_goes_out_singly(mut io: impl PacketIo) {
    let (client, path) = client();
    let (other, other_path) = self::client();
    for number in 0..5 {
        put(&mut io, &path, number, 1000);
    }
    put(&mut io, &path, 5, 400);
    put(&mut io, &other_path, 6, 700);
    send(&mut io);
    (0..5).for_each(|number| expect(&client, number, 1000));
    expect(&client, 5, 400);
    expect(&other, 6, 700);
    assert_eq!(io.tally().of(IoCounter::TrainsRefused), 1);

    // The path is remembered: no second train is tried.
    (0..5).for_each(|number| put(&mut io, &path, number, 1000));
    send(&mut io);
    (0..5).for_each(|number| expect(&client, number, 1000));
    assert_eq!(io.tally().of(IoCounter::TrainsRefused), 1);
    assert_eq!(io.tally().of(IoCounter::SendFailed), 0);
}

#[test]
fn refused_train_goes_out_singly_over_epoll() {
    refused_train_goes_out_singly(Epoll::new(sockets_without_trains(), &Waker::new().unwrap(), 64, true).unwrap());
}

#[test]
fn refused_train_goes_out_singly_over_uring() {
    refused_train_goes_out_singly(Uring::new(sockets_without_trains(), &Waker::new().unwrap(), 64, true, 0).unwrap());
}

fn refused_datagram_is_counted_and_costs_no_other(mut io: impl PacketIo) {
    let (client, path) = client();
    // Port 0 is nobody's.
    let nowhere = Path { local: 0, remote: "127.0.0.1:0".parse().unwrap() };
    for number in 0..3 {
        put(&mut io, &path, number, 100);
        put(&mut io, &nowhere, number, 100);
    }
    send(&mut io);
    (0..3).for_each(|number| expect(&client, number, 100));
    assert_eq!(io.tally().of(IoCounter::SendFailed), 3);
    assert_eq!(io.tally().of(IoCounter::DatagramsOut), 6);
}

#[test]
fn refused_datagram_is_counted_and_costs_no_other_over_epoll() {
    refused_datagram_is_counted_and_costs_no_other(Epoll::new(sockets(), &Waker::new().unwrap(), 64, true).unwrap());
}

#[test]
fn refused_datagram_is_counted_and_costs_no_other_over_uring() {
    refused_datagram_is_counted_and_costs_no_other(Uring::new(sockets(), &Waker::new().unwrap(), 64, true, 0).unwrap());
}

/// More than the arena and the table of trains hold: it must be flushed under way, and nothing may be lost or changed.
fn full_egress_is_flushed_under_way(mut io: impl PacketIo) {
    let clients = [client(), client()];
    // By turns, so that every datagram is a train of its own.
    for number in 0..200 {
        clients.iter().for_each(|(_, path)| put(&mut io, path, number, 1400));
    }
    send(&mut io);
    for (client, _) in &clients {
        (0..u8::try_from(BURST).unwrap()).for_each(|number| expect(client, number, 1400));
    }
    assert!(io.tally().of(IoCounter::EarlyFlushes) > 0);
    assert_eq!(io.tally().of(IoCounter::DatagramsOut), 400);
}

/// Datagrams that fit the receive buffer of a plain socket.
const BURST: usize = 50;

#[test]
fn full_egress_is_flushed_under_way_over_epoll() {
    full_egress_is_flushed_under_way(Epoll::new(sockets(), &Waker::new().unwrap(), 64, true).unwrap());
}

#[test]
fn full_egress_is_flushed_under_way_over_uring() {
    full_egress_is_flushed_under_way(Uring::new(sockets(), &Waker::new().unwrap(), 64, true, 0).unwrap());
}

fn datagram_is_lent_where_it_arrived(mut io: impl PacketIo) {
    let (client, path) = client();
    client.send_to(b"hello", io.addresses()[0]).unwrap();
    io.wait(Some(Duration::from_secs(10)));
    let mut batch = Batch::new();
    io.receive(clock::now(), &mut batch);
    let datagrams: Vec<_> = batch.iter_mut().map(|datagram| (datagram.path, datagram.bytes.to_vec())).collect();
    assert_eq!(datagrams, [(path, b"hello".to_vec())]);
    drop(batch);
    // Nothing else has come, and a wait ends by its timeout.
    io.wait(Some(Duration::from_millis(1)));
    let mut batch = Batch::new();
    io.receive(clock::now(), &mut batch);
    assert!(batch.is_empty());
}

#[test]
fn datagram_is_lent_where_it_arrived_over_epoll() {
    datagram_is_lent_where_it_arrived(Epoll::new(sockets(), &Waker::new().unwrap(), 64, true).unwrap());
}

#[test]
fn datagram_is_lent_where_it_arrived_over_uring() {
    datagram_is_lent_where_it_arrived(Uring::new(sockets(), &Waker::new().unwrap(), 64, true, 0).unwrap());
}
