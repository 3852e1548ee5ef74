//! What one packet costs a shard's thread in CPU time, for each packet I/O under each driver.
//!
//! Runs tiny with the other tests, so that it cannot rot. For figures:
//! `TIDEWIRE_COST_PACKETS=200000 cargo test --release -p tidewire-net --test it cost -- --nocapture`
//! Floors (1200 bytes, this kernel's own cost of a message): receive 520-550 ns, 115 in a train of 8; send 1,750-2,040 ns, 265-550
//! in a train of 8, both with the receiver's share on loopback; a wake-up 15-23 us. Nothing is sealed here.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tidewire_net::ShardConfig;
use tidewire_net::count::IoCounter;

use crate::echo::{Command, Event, thread_cpu};
use crate::rig::{COMBINATIONS, Rig, config, send_trains};

const LEN: usize = 1200;
const ROUNDS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Load {
    /// This many lone datagrams, then their echoes, over and over.
    Echo(usize),
    /// The same as one train.
    EchoTrain(usize),
    /// Bursts of this many lone datagrams, received and no more.
    Sink(usize),
    /// The same as one train.
    SinkTrain(usize),
    /// This many packets to each of this many viewers, which drop them.
    FanOut(usize, u32),
}

const LOADS: [Load; 10] = [
    Load::Echo(1),
    Load::Echo(8),
    Load::Echo(32),
    Load::EchoTrain(8),
    Load::Sink(8),
    Load::Sink(64),
    Load::SinkTrain(8),
    Load::FanOut(100, 1),
    Load::FanOut(100, 2),
    Load::FanOut(100, 8),
];

#[test]
fn cost_of_a_packet() {
    let packets = std::env::var("TIDEWIRE_COST_PACKETS").map_or(200, |text| text.parse().unwrap());
    for load in LOADS {
        let mut costs = COMBINATIONS.map(|_| Vec::new());
        // Interleaved, since the machine's speed drifts.
        for _ in 0..ROUNDS {
            for (combination, costs) in COMBINATIONS.into_iter().zip(&mut costs) {
                let rig = Rig::with(&ShardConfig { core: Some(0), ..config(combination) }, combination);
                costs.push(cost(&rig, load, packets));
                rig.stop();
            }
        }
        for (combination, mut costs) in COMBINATIONS.into_iter().zip(costs) {
            costs.sort_unstable();
            let (least, median, most) = (costs[0], costs[ROUNDS / 2], costs[ROUNDS - 1]);
            println!("{load:?}, {combination:?}: {median} ns a packet ({least} to {most})");
        }
    }
}

/// On loopback a sender pays for the kernel's search for the receiver's socket. That search must not lead through the viewers'.
#[test]
fn cost_of_a_strangers_datagram() {
    let packets = std::env::var("TIDEWIRE_COST_PACKETS").map_or(200, |text| text.parse().unwrap());
    let mut costs = STRANGERS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (connected, costs) in STRANGERS.into_iter().zip(&mut costs) {
            costs.push(cost_beside(connected, packets));
        }
    }
    for (connected, mut costs) in STRANGERS.into_iter().zip(costs) {
        costs.sort_unstable();
        let (least, median, most) = (costs[0], costs[ROUNDS / 2], costs[ROUNDS - 1]);
        println!("a stranger's datagram beside {connected} connected viewers: {median} ns ({least} to {most})");
    }
}

/// Connected viewers.
const STRANGERS: [usize; 3] = [0, 100, 1000];

fn cost_beside(connected: usize, packets: usize) -> u128 {
    let config = ShardConfig { connected_max: connected, ..config(COMBINATIONS[0]) };
    let rig = Rig::with(&config, COMBINATIONS[0]);
    rig.command(Command::Mute);
    for viewer in 0..connected {
        // Nobody is there, nor needs to be.
        let address = SocketAddr::from(([127, 0, 1, 1], 10_000 + viewer as u16));
        rig.command_in_time(|| Command::Devote(0, address));
    }
    rig.await_counter(IoCounter::Connected, connected as u64);
    let stranger = rig.client();
    let before = thread_cpu();
    (0..packets).for_each(|_| assert!(stranger.send(&[7; 100]).is_ok()));
    let cost = (thread_cpu() - before).as_nanos() / packets as u128;
    rig.stop();
    cost
}

fn cost(rig: &Rig, load: Load, packets: usize) -> u128 {
    match load {
        Load::Echo(burst) => echo(rig, &rig.client(), burst, packets, send_singly),
        Load::EchoTrain(burst) => echo(rig, &train_client(rig), burst, packets, send_train),
        Load::Sink(burst) => sink(rig, &rig.client(), burst, packets, send_singly),
        Load::SinkTrain(burst) => sink(rig, &train_client(rig), burst, packets, send_train),
        Load::FanOut(viewers, each) => fan_out(rig, viewers, each, packets),
    }
}

fn echo(rig: &Rig, client: &UdpSocket, burst: usize, packets: usize, send: fn(&UdpSocket, usize)) -> u128 {
    let mut buffer = [0; 2048];
    let mut run = |packets: usize| {
        for _ in 0..packets.div_ceil(burst) {
            send(client, burst);
            (0..burst).for_each(|_| assert_eq!(client.recv(&mut buffer).unwrap(), LEN));
        }
        packets.div_ceil(burst) * burst
    };
    run(packets / 10);
    let before = cpu(rig);
    let packets = run(packets);
    (cpu(rig) - before).as_nanos() / packets as u128
}

fn sink(rig: &Rig, client: &UdpSocket, burst: usize, packets: usize, send: fn(&UdpSocket, usize)) -> u128 {
    rig.command(Command::Mute);
    let mut sent = rig.counter(IoCounter::DatagramsIn);
    let mut run = |packets: usize| {
        for _ in 0..packets.div_ceil(burst) {
            send(client, burst);
            sent += burst as u64;
            rig.await_counter(IoCounter::DatagramsIn, sent);
        }
        packets.div_ceil(burst) * burst
    };
    run(packets / 10);
    let before = cpu(rig);
    let packets = run(packets);
    (cpu(rig) - before).as_nanos() / packets as u128
}

fn send_singly(client: &UdpSocket, burst: usize) {
    (0..burst).for_each(|_| assert!(client.send(&[7; LEN]).is_ok()));
}

fn send_train(client: &UdpSocket, burst: usize) {
    assert_eq!(client.send(&vec![7; LEN * burst]).unwrap(), LEN * burst);
}

fn train_client(rig: &Rig) -> UdpSocket {
    let client = rig.client();
    send_trains(&client, LEN as i32);
    client
}

fn fan_out(rig: &Rig, viewers: usize, each: u32, packets: usize) -> u128 {
    let sockets: Vec<UdpSocket> = (0..viewers).map(|_| drop_everything(rig.client())).collect();
    let viewers: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let round = viewers.len() * each as usize;
    let mut sent = 0;
    let mut run = |packets: usize| {
        for _ in 0..packets.div_ceil(round) {
            rig.command(Command::FanOut { viewers: viewers.clone(), packets: each, len: LEN });
            sent += round;
            rig.await_counter(IoCounter::DatagramsOut, sent as u64);
        }
        packets.div_ceil(round) * round
    };
    run(packets / 10);
    let before = cpu(rig);
    let packets = run(packets);
    (cpu(rig) - before).as_nanos() / packets as u128
}

fn cpu(rig: &Rig) -> Duration {
    rig.command(Command::Report);
    loop {
        if let Event::Report { cpu, .. } = rig.event() {
            return cpu;
        }
    }
}

/// A socket filter that takes nothing: what the receiver does is no concern of a sender's cost.
fn drop_everything(socket: UdpSocket) -> UdpSocket {
    let mut nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    // SAFETY: a program of one instruction, which the kernel copies.
    let result = unsafe {
        let len = size_of::<libc::sock_fprog>() as u32;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const program).cast(), len)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    socket
}
