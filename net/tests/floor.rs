//! The floor (`examples/floor`) as a load tool sees it: registrations answered, packets forwarded bit by bit, in every way.
//!
//! The program is started and spoken to over real sockets; the clients' halves are sealed and opened with `core::srtp`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use tidewire_core::handshake::{MasterKey, Profile};
use tidewire_core::rtp::Header;
use tidewire_core::srtp::{Inbound, Outbound};

/// A running floor.
struct Floor {
    child: Child,
    address: SocketAddr,
}

impl Floor {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program().display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("floor ").unwrap().parse().unwrap();
        Self { child, address }
    }

    /// Closes its standard input, on which it ends.
    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // After `stop` it has ended; a test that failed leaves nothing running.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Cargo puts examples beside the directory of tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join("floor");
    assert!(program.exists(), "build it first: cargo build --release --package tidewire-net --example floor");
    program
}

/// A registered client.
struct Client {
    socket: UdpSocket,
    key: MasterKey,
}

impl Client {
    fn register(floor: SocketAddr, role: u8, group: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(floor).unwrap();
        let registration = [b"TWFLOOR", &[role][..], &group.to_be_bytes()].concat();
        let mut answer = [0; 64];
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            socket.send(&registration).unwrap();
            match socket.recv(&mut answer) {
                Ok(len) => break assert_eq!(answer[..len], registration),
                Err(_) => assert!(Instant::now() < deadline, "no answer"),
            }
        }
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let port = socket.local_addr().unwrap().port().to_be_bytes();
        let key = ArrayVec::from_iter(b"tidewire-floor".iter().copied().chain(port));
        let salt = ArrayVec::from_iter(b"floor-salt-".iter().copied().chain([role]));
        Self { socket, key: MasterKey { key, salt } }
    }

    /// Opens the next datagrams; gives back the plain packets.
    fn receive(&self, inbound: &mut Inbound, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.receive_one(inbound)).collect()
    }

    fn receive_one(&self, inbound: &mut Inbound) -> Vec<u8> {
        let mut datagram = vec![0; 2048];
        loop {
            let len = self.socket.recv(&mut datagram).unwrap();
            // A registration that was repeated is answered twice.
            if !datagram.starts_with(b"TWFLOOR") {
                datagram.truncate(len);
                break;
            }
        }
        let header = Header::parse(&datagram).unwrap();
        let opened = inbound.open_rtp(&header, &mut datagram).unwrap();
        datagram.truncate(opened.len);
        datagram
    }
}

/// A plain packet with an extension; sizes vary as those of a frame's packets do.
fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 0x80 | 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) / 8 * 3000).to_be_bytes());
    packet.extend([0xca, 0xfe, 0xf0, 0x0d, 0xbe, 0xde, 0, 1, 0x12, 1, 2, 3]);
    let len = if sequence % 8 == 7 { 300 } else { 1100 + usize::from(sequence.is_multiple_of(3)) };
    packet.extend((0..len).map(|index| (index as u16).wrapping_mul(sequence | 1).to_be_bytes()[1]));
    packet
}

fn seal(outbound: &Outbound, sequence: u16) -> Vec<u8> {
    let plain = packet(sequence);
    let header_len = Header::parse(&plain).unwrap().len;
    let mut sealed = plain[..header_len].to_vec();
    sealed.resize(plain.len() + outbound.rtp_overhead(), 0);
    outbound.seal_rtp(sequence.into(), header_len, &plain[header_len..], &mut sealed).unwrap();
    sealed
}

/// Every way of forwarding.
fn ways() -> Vec<Vec<&'static str>> {
    let mut ways = Vec::new();
    for io in ["mmsg", "uring"] {
        for connected in [&[][..], &["--connected"]] {
            for segments in ["1", "2", "64"] {
                for spin in ["0", "100"] {
                    ways.push([&["--io", io, "--segments", segments, "--spin-us", spin], connected].concat());
                }
            }
        }
    }
    ways
}

#[test]
fn every_viewer_of_a_group_gets_each_packet_bit_by_bit_in_every_way() {
    for way in ways() {
        let floor = Floor::start(&way);
        let viewers = [0, 1].map(|_| Client::register(floor.address, b'V', 7));
        let stranger = Client::register(floor.address, b'V', 8);
        let publisher = Client::register(floor.address, b'P', 7);
        let outbound = Outbound::new(PROFILE, &publisher.key);
        let mut inbounds = viewers.each_ref().map(|viewer| Inbound::new(PROFILE, &viewer.key));
        for burst in 0..BURSTS {
            let sequences = burst * BURST_LEN..(burst + 1) * BURST_LEN;
            for sequence in sequences.clone() {
                publisher.socket.send(&seal(&outbound, sequence)).unwrap();
            }
            for (viewer, inbound) in viewers.iter().zip(&mut inbounds) {
                let expected: Vec<_> = sequences.clone().map(packet).collect();
                let got = viewer.receive(inbound, usize::from(BURST_LEN));
                assert!(got == expected, "{way:?}: other packets in burst {burst}");
            }
        }
        // The floor does one thing after the other: with this answer all that came before is done.
        Client::register(floor.address, b'V', 9);
        assert_nothing_more(&stranger);
        floor.stop();
    }
}

#[test]
fn what_is_no_publishers_rtp_is_read_and_dropped() {
    for io in ["mmsg", "uring"] {
        let floor = Floor::start(&["--io", io]);
        let viewer = Client::register(floor.address, b'V', 1);
        let publisher = Client::register(floor.address, b'P', 1);
        let outbound = Outbound::new(PROFILE, &publisher.key);
        let mut forged = seal(&outbound, 0);
        *forged.last_mut().unwrap() ^= 1;
        let too_long = [&seal(&outbound, 0)[..], &[0; 4000]].concat();
        for junk in [&forged[..], &too_long, &[], &[0x80], &[0x81, 200, 0, 1], b"TWFLOORX0000", &[0, 1, 0, 0]] {
            publisher.socket.send(junk).unwrap();
        }
        viewer.socket.send(&seal(&Outbound::new(PROFILE, &viewer.key), 0)).unwrap();
        publisher.socket.send(&seal(&outbound, 1)).unwrap();
        let mut inbound = Inbound::new(PROFILE, &viewer.key);
        assert!(viewer.receive_one(&mut inbound) == packet(1), "{io}");
        assert_nothing_more(&viewer);
        floor.stop();
    }
}

#[test]
fn table_measures_every_way() {
    let arguments = "table --core 0 --driver-core 0 --rounds 1 --viewers 3 --bursts 2 --packets 1 --json";
    let output = Command::new(program()).args(arguments.split(' ')).output().unwrap();
    let (table, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    assert_eq!(table.lines().count(), 8, "{table}");
    assert!(table.lines().all(|row| row.contains(r#""viewers":3,"burst":2,"ns":"#)), "{table}");
}

fn assert_nothing_more(client: &Client) {
    let mut datagram = [0; 2048];
    client.socket.set_nonblocking(true).unwrap();
    while let Ok(len) = client.socket.recv(&mut datagram) {
        assert!(datagram[..len].starts_with(b"TWFLOOR"), "a packet for somebody else");
    }
}

const PROFILE: Profile = Profile::AeadAes128Gcm;

/// More than the receive slots of one wake-up, and few enough for the receive buffer of a plain socket.
const BURST_LEN: u16 = 80;
const BURSTS: u16 = 4;
const PATIENCE: Duration = Duration::from_secs(10);
