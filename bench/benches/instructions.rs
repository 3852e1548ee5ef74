//! Question: how many instructions does the pure machine take, and how many of them are its own?
//!
//! Each bench is one phase on a call that has been going on for a while, run once under callgrind. The floors are what
//! the ciphers of that phase take, straight through aws-lc over the same lengths; `src/bin/counts.rs` takes them off
//! and divides by packets. valgrind shows every program the same processor, whatever the machine, so a count is a count:
//! `xtask/instructions.txt` holds what each may be.
// What the attributes of gungraun unfold to names its paths in full.
#![allow(unused_qualifications)]

use std::hint::black_box;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use tidewire_bench::cipher::Cipher;
use tidewire_bench::client::{Burst, PASSWORD, Publisher, Viewer, check};
use tidewire_bench::stage::{Stage, stage, stage_before_start};
use tidewire_bench::{FLOOR_REPEATS, payload};
use tidewire_core::handshake::Profile;
use tidewire_core::machine::Path;
use tidewire_core::trains::Trains;

const PROFILE: Profile = Profile::AeadAes128Gcm;

/// Bytes of a full video packet's payload.
const PAYLOAD_LEN: usize = 1200;

/// Bytes of a header with three header extensions, as a viewer gets it, and with four, as a publisher sends it.
const OUTGOING_HEADER_LEN: usize = 28;
const INCOMING_HEADER_LEN: usize = 36;

/// Bytes of a retransmitted payload (RFC 4588 4).
const REPAIR_LEN: usize = 2 + PAYLOAD_LEN;

/// Bytes that RTCP leaves in the clear, and of the index behind (RFC 3711 3.4).
const RTCP_HEADER_LEN: usize = 8;
const RTCP_INDEX_LEN: usize = 4;

/// Turns before the one that is counted: by then nothing is done for the first time.
const TURNS_BEFORE: usize = 3;

/// The viewer whose feedback is counted; the last one served.
const VIEWER: u16 = 100;

/// A call, and what it is about to be given.
struct Call {
    stage: Stage,
    burst: Burst,
}

/// A call under way, with the next burst of its publisher.
fn under_way(packets: usize, viewers: u16, idle: u16) -> (Publisher, Call) {
    let (mut publisher, mut stage) = stage(PROFILE, viewers, &payload(PAYLOAD_LEN));
    stage.add_idle(PROFILE, viewers + 1..viewers + 1 + idle);
    for _ in 0..TURNS_BEFORE {
        stage.turn(&mut publisher.burst(packets));
    }
    let burst = publisher.burst(packets);
    (publisher, Call { stage, burst })
}

fn before_taking(packets: usize, viewers: u16, idle: u16) -> Box<Call> {
    Box::new(under_way(packets, viewers, idle).1)
}

fn before_forwarding(packets: usize, viewers: u16, idle: u16) -> Box<Call> {
    let mut call = before_taking(packets, viewers, idle);
    call.stage.take(&mut call.burst);
    call
}

/// Every viewer waits for the key frame that was just taken in.
fn before_the_first_frame(viewers: u16) -> Box<Call> {
    let (mut publisher, mut stage) = stage_before_start(PROFILE, viewers, &payload(PAYLOAD_LEN));
    let mut burst = publisher.key_frame();
    stage.take(&mut burst);
    Box::new(Call { stage, burst })
}

/// The same when everybody has it, and is to be told what it gets.
fn before_telling(viewers: u16) -> Box<Call> {
    let mut call = before_the_first_frame(viewers);
    call.stage.forward();
    call
}

/// What a viewer says; it is told the sequence number that it was sent last.
type Say = fn(&mut Viewer, u16) -> Vec<u8>;

/// A viewer of a call is about to be heard; it has been heard before.
fn before_hearing(say: Say) -> Box<Call> {
    let (mut publisher, Call { mut stage, .. }) = under_way(8, VIEWER, 0);
    let mut viewer = Viewer::new(PROFILE, VIEWER);
    let mut said = || {
        stage.turn(&mut publisher.burst(8));
        let [_, _, high, low, ..] = stage.last_sent() else { panic!("no packet was sent") };
        say(&mut viewer, u16::from_be_bytes([*high, *low]))
    };
    let (mut first, second) = (said(), said());
    stage.hear(VIEWER, &mut first);
    Box::new(Call { stage, burst: vec![second] })
}

fn report(viewer: &mut Viewer, _: u16) -> Vec<u8> {
    viewer.receiver_report()
}

fn transport_feedback(viewer: &mut Viewer, _: u16) -> Vec<u8> {
    viewer.transport_feedback()
}

fn nack(viewer: &mut Viewer, sent: u16) -> Vec<u8> {
    viewer.nack(sent)
}

fn consent(_: &mut Viewer, _: u16) -> Vec<u8> {
    check(VIEWER)
}

/// Datagrams that are to be cut into trains; as many as fit one flush.
struct Sealed {
    trains: Trains,
    packets: usize,
    viewers: Vec<Path>,
}

fn before_flushing(packets: usize, viewers: u16) -> Box<Sealed> {
    let viewers = (0..viewers).map(tidewire_bench::client::path).collect();
    let mut sealed = Sealed { trains: Trains::new(64), packets, viewers };
    sealed.cut();
    sealed.trains.clear();
    Box::new(sealed)
}

impl Sealed {
    fn cut(&mut self) {
        for path in &self.viewers {
            for _ in 0..self.packets {
                black_box(self.trains.reserve(path, PAYLOAD_LEN));
                self.trains.commit(PAYLOAD_LEN);
            }
        }
        black_box(self.trains.iter().map(|train| self.trains.bytes(train).len()).sum::<usize>());
    }
}

/// A cipher and packets of one shape.
struct Packets {
    cipher: Cipher,
    header_len: usize,
    plain: Vec<u8>,
    slots: Vec<Vec<u8>>,
}

/// Packets to be sealed.
fn plain(header_len: usize, body_len: usize) -> Box<Packets> {
    let cipher = Cipher::new(PROFILE);
    let plain = payload(body_len);
    let slot = vec![0; header_len + body_len + cipher.tag_len()];
    let mut packets = Packets { cipher, header_len, plain, slots: vec![slot; FLOOR_REPEATS as usize] };
    packets.seal();
    Box::new(packets)
}

/// Packets to be opened.
fn sealed(header_len: usize, body_len: usize) -> Box<Packets> {
    let mut packets = plain(header_len, body_len);
    packets.open();
    packets.seal();
    packets
}

/// Sealed RTCP of the length of what a viewer says. RFC 7714 9.2: the index is authenticated with the header.
fn sealed_rtcp(say: Say) -> Box<Packets> {
    let mut viewer = Viewer::new(PROFILE, VIEWER);
    let body_len = say(&mut viewer, 0).len() - RTCP_HEADER_LEN - RTCP_INDEX_LEN - Cipher::new(PROFILE).tag_len();
    sealed(RTCP_HEADER_LEN + RTCP_INDEX_LEN, body_len)
}

impl Packets {
    fn seal(&mut self) {
        for (index, slot) in (0..).zip(&mut self.slots) {
            self.cipher.seal(index, self.header_len, &self.plain, slot);
        }
    }

    fn open(&mut self) {
        for (index, slot) in (0..).zip(&mut self.slots) {
            self.cipher.open(index, self.header_len, slot);
        }
    }
}

/// A consent check and the answer to it.
fn check_and_answer() -> Box<[Vec<u8>; 2]> {
    let call = before_hearing(consent);
    sign(Box::new([check(VIEWER), call.stage.last_sent().to_vec()]))
}

#[library_benchmark]
#[bench::p8(args = (8, 100, 0), setup = before_taking)]
#[bench::p1(args = (1, 100, 0), setup = before_taking)]
#[bench::p8_idle(args = (8, 100, 1000), setup = before_taking)]
fn handle(mut call: Box<Call>) -> Box<Call> {
    call.stage.take(&mut call.burst);
    call
}

#[library_benchmark]
#[bench::p8_to_100(args = (8, 100, 0), setup = before_forwarding)]
#[bench::p1_to_100(args = (1, 100, 0), setup = before_forwarding)]
#[bench::p1_to_10(args = (1, 10, 0), setup = before_forwarding)]
#[bench::p8_to_100_idle(args = (8, 100, 1000), setup = before_forwarding)]
#[bench::start(args = (100), setup = before_the_first_frame)]
fn forward(mut call: Box<Call>) -> Box<Call> {
    call.stage.forward();
    call
}

#[library_benchmark]
#[bench::layers(args = (100), setup = before_telling)]
fn tell(mut call: Box<Call>) -> Box<Call> {
    call.stage.settle();
    call
}

// What a shard's flush has to do before the kernel is called: cut sealed datagrams into trains, viewer by viewer.
#[library_benchmark]
#[bench::p8_to_10(args = (8, 10), setup = before_flushing)]
fn flush(mut sealed: Box<Sealed>) -> Box<Sealed> {
    sealed.cut();
    sealed
}

#[library_benchmark]
#[bench::report(args = (report), setup = before_hearing)]
#[bench::feedback(args = (transport_feedback), setup = before_hearing)]
#[bench::nack(args = (nack), setup = before_hearing)]
#[bench::consent(args = (consent), setup = before_hearing)]
fn hear(mut call: Box<Call>) -> Box<Call> {
    call.stage.hear(VIEWER, &mut call.burst[0]);
    call
}

#[library_benchmark]
#[bench::rtp(args = (OUTGOING_HEADER_LEN, PAYLOAD_LEN), setup = plain)]
#[bench::repair(args = (OUTGOING_HEADER_LEN, REPAIR_LEN), setup = plain)]
fn seal(mut packets: Box<Packets>) -> Box<Packets> {
    packets.seal();
    packets
}

#[library_benchmark]
#[bench::rtp(args = (INCOMING_HEADER_LEN, PAYLOAD_LEN), setup = sealed)]
#[bench::report(args = (report), setup = sealed_rtcp)]
#[bench::feedback(args = (transport_feedback), setup = sealed_rtcp)]
#[bench::nack(args = (nack), setup = sealed_rtcp)]
fn open(mut packets: Box<Packets>) -> Box<Packets> {
    packets.open();
    packets
}

#[library_benchmark]
#[bench::consent(setup = check_and_answer)]
fn hmac(messages: Box<[Vec<u8>; 2]>) -> Box<[Vec<u8>; 2]> {
    sign(messages)
}

/// Signs both, each under a fresh key.
fn sign(messages: Box<[Vec<u8>; 2]>) -> Box<[Vec<u8>; 2]> {
    for _ in 0..FLOOR_REPEATS {
        for bytes in messages.iter() {
            let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
            black_box(aws_lc_rs::hmac::sign(&key, black_box(bytes)));
        }
    }
    messages
}

library_benchmark_group!(name = floor, benchmarks = [seal, open, hmac]);
library_benchmark_group!(name = machine, benchmarks = [handle, forward, tell, flush, hear]);
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [floor, machine]
);
