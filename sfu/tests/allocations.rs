//! Forwarding allocates nothing after warm-up: receiving, accepting, fanning out, feedback and repair, over the pure
//! machine. A binary of its own, since it counts in the global allocator.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "it/call.rs"]
mod call;
#[path = "it/sealed.rs"]
mod sealed;
#[allow(dead_code)]
#[path = "it/studio.rs"]
mod studio;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use tidewire_core::count::{Counter, Discard};
use tidewire_core::machine::{Batch, Budget, Datagram, Egress, Machine, Path, Progress};
use tidewire_core::message::quality::Wish;
use tidewire_core::rtcp::Writer;
use tidewire_core::sim::{Link, Media};
use tidewire_core::time::Instant;
use tidewire_sfu::SessionTable;

use crate::call::{Call, Wishes};
use crate::studio::Studio;

thread_local! {
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Counts what this thread allocates while it is asked to.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get().map(|n| n + 1)));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    COUNT.with(|count| count.set(Some(0)));
    work();
    COUNT.with(|count| count.take()).unwrap()
}

/// Egress into one buffer, over and over.
struct Sink {
    buffer: Box<[u8]>,
    datagrams: u64,
}

impl Egress for Sink {
    fn reserve(&mut self, _: &Path, len: usize) -> Option<&mut [u8]> {
        self.buffer.get_mut(..len)
    }

    fn commit(&mut self, _: usize) {
        self.datagrams += 1;
    }
}

const PERFECT: Link =
    Link { loss: 0, doubling: 0, delay: Duration::from_millis(1), jitter: Duration::ZERO, ..Link::NONE };
const VIEWERS: usize = 20;

/// The publisher's next second of datagrams, and what a viewer that lost a tenth of it says, in the order of time.
fn prepare(call: &mut Call) -> Vec<(Instant, Path, Vec<u8>)> {
    let mut prepared = Vec::new();
    let start = call.world.now;
    for tick in 0..1_000 {
        let now = start + Duration::from_millis(tick);
        for actor in &mut call.world.actors {
            let remote = actor.peer().address;
            match &mut actor.media {
                Media::Publishes(publisher) => publisher.handle_timeout(now),
                Media::Views(viewer) if tick % 100 == 50 => {
                    let lost: Vec<u16> = viewer.log.iter().rev().take(10).rev().map(|d| d.sequence as u16).collect();
                    let ssrc = viewer.ssrcs().last().unwrap();
                    let mut bytes = [0; 256];
                    let mut writer = Writer::new(&mut bytes);
                    writer.nack(1, ssrc, &lost);
                    writer.picture_loss(1, ssrc);
                    let len = writer.len();
                    viewer.peer.send_rtcp(&bytes[..len]);
                }
                Media::Views(_) | Media::PublishesLayers(_) | Media::Decodes(_) => {}
            }
            let path = Path { local: 0, remote };
            prepared.extend(actor.peer().outbox.drain(..).map(|bytes| (now, path, bytes)));
        }
    }
    prepared
}

fn play(machine: &mut SessionTable, prepared: &mut [(Instant, Path, Vec<u8>)], sink: &mut Sink) {
    for (now, path, bytes) in prepared {
        let mut batch = Batch::new();
        assert!(batch.push(Datagram { path: *path, arrival: *now, bytes }).is_ok());
        machine.handle(*now, &mut batch, sink);
        machine.handle_timeout(*now, sink);
        while machine.forward(*now, Budget { packets_max: 64 }, sink) == Progress::More {}
    }
}

#[test]
fn forwarding_feedback_and_repair_allocate_nothing() {
    for rtx in [true, false] {
        let wishes = Wishes { rtx, ..Wishes::default() };
        let mut call = Call::new(1, PERFECT);
        call.publish("sea", wishes, Instant::from_millis(60_000));
        for _ in 0..VIEWERS {
            call.watch("sea", wishes);
        }
        call.run(Duration::from_secs(2));
        let mut sink = Sink { buffer: vec![0; 4096].into(), datagrams: 0 };
        let mut warm_up = prepare(&mut call);
        play(&mut call.world.machine, &mut warm_up, &mut sink);
        call.world.now += Duration::from_secs(1);
        let mut prepared = prepare(&mut call);
        let before = call.world.machine.tally().clone();
        let count = allocations(|| play(&mut call.world.machine, &mut prepared, &mut sink));
        let since = |counter| call.world.machine.tally().of(counter) - before.of(counter);
        assert!(since(Counter::Forwarded) > 100 * VIEWERS as u64);
        assert!(since(Counter::Repaired) > 0, "repairs were part of it");
        assert!(since(Counter::RtcpSent) > 0, "feedback was part of it");
        assert_eq!(count, 0, "rtx {rtx}");
    }
}

/// Three seconds of an encoding of three temporal layers, each frame in two packets, of which some come late; and what a viewer
/// asks for again. Not long enough for the publisher to be told again what is wanted, which is a message and may allocate.
fn prepare_layers(studio: &mut Studio, viewers: usize) -> Vec<(Instant, Path, Vec<u8>)> {
    let mut prepared = Vec::new();
    for frame in 0..100 {
        studio.now += Duration::from_millis(33);
        let mut made = studio.frame(0, false, 2);
        if frame % 10 == 3 {
            made.reverse();
        }
        for made in &made {
            let (path, bytes) = studio.sealed(made);
            prepared.push((studio.now, path, bytes));
        }
        if frame % 50 == 25 {
            for viewer in 0..viewers {
                let last = studio.watchers[viewer].log.last().map_or(0, |got| got.index as u16);
                let lost: Vec<_> = (0..8).map(|ahead| last.wrapping_add(ahead)).collect();
                let (path, bytes) = studio.sealed_nack(viewer, &lost);
                prepared.push((studio.now, path, bytes));
            }
        }
    }
    prepared
}

#[test]
fn leaving_layers_out_allocates_nothing() {
    for rtx in [true, false] {
        let mut studio = Studio::new(2);
        studio.temporal_layers = 3;
        for temporal in [0, 1, 2] {
            let viewer = studio.watch(rtx);
            let wish = Wish { temporal: Some(temporal), ..Studio::named("q") };
            studio.prefer(viewer, wish);
        }
        studio.pass(2_000);
        let mut sink = Sink { buffer: vec![0; 4096].into(), datagrams: 0 };
        let mut warm_up = prepare_layers(&mut studio, 3);
        play(&mut studio.table, &mut warm_up, &mut sink);
        let mut prepared = prepare_layers(&mut studio, 3);
        let before = studio.table.tally().clone();
        let count = allocations(|| play(&mut studio.table, &mut prepared, &mut sink));
        let tally = studio.table.tally();
        assert!(tally.of(Counter::Forwarded) - before.of(Counter::Forwarded) > 300);
        let dropped = tally.discarded(Discard::LayerDropped) - before.discarded(Discard::LayerDropped);
        assert!(dropped > 150, "{dropped} were left out");
        assert!(tally.of(Counter::Fillers) > before.of(Counter::Fillers), "padding was part of it");
        assert_eq!(count, 0, "rtx {rtx}");
    }
}
