//! A shard: one machine, its packet I/O and its mailboxes, turned by a driver on one thread.
//!
//! `turn` is one round: take letters, receive what came, forward one slice of the fan-out, run timers, flush. After each
//! call into the machine its events and handshake requests are drained. A turn is bounded in every part, so receiving is
//! looked at between slices however long the fan-out is. A shard owns all it touches; outside are only the mailboxes, the
//! published counters, and the flag that stops it. It does not sleep; the driver does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tidewire_core::handshake;
use tidewire_core::limits::{BATCHES_PER_TURN_MAX, LETTERS_PER_TURN_MAX, SLICE_PACKETS_MAX};
use tidewire_core::machine::{Batch, Budget, Machine, Progress};
use tidewire_core::time::Instant;

use crate::count::IoCounter;
use crate::io::PacketIo;
use crate::mailbox::Receiver;
use crate::stall::StallWatch;
use crate::wake::Waker;

/// What a turn says about the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more to do at once: turn again without sleeping.
    More,
    /// Something was done; nothing is left.
    Done,
    /// There was nothing to do.
    Idle,
}

/// What a shard hears from other threads.
pub(crate) struct Inlets<M: Machine> {
    pub(crate) waker: Waker,
    pub(crate) commands: Receiver<M::Command>,
    pub(crate) progress: Receiver<handshake::Progress>,
    pub(crate) stopping: Arc<AtomicBool>,
}

/// What a shard tells other threads. Called on the shard's thread: neither may block.
pub(crate) struct Outlets<M: Machine> {
    pub(crate) event: Box<dyn FnMut(M::Event)>,
    /// Gives the request back when there is no room for it now.
    pub(crate) handshake: Box<dyn FnMut(handshake::Request) -> Result<(), handshake::Request>>,
}

pub(crate) struct Shard<M: Machine, Io> {
    machine: M,
    io: Io,
    inlets: Inlets<M>,
    outlets: Outlets<M>,
    /// A handshake request for which there was no room.
    held: Option<handshake::Request>,
    /// Whether letters may wait although the waker did not ring again.
    letters_wait: bool,
    counters: Arc<[AtomicU64]>,
    published: Instant,
    stalls: StallWatch,
}

impl<M: Machine, Io: PacketIo> Shard<M, Io> {
    pub(crate) fn new(machine: M, io: Io, inlets: Inlets<M>, outlets: Outlets<M>) -> Self {
        let stalls = StallWatch::new();
        let values = machine.tally().values().chain(io.tally().values()).chain(stalls.gauges());
        let counters = values.map(AtomicU64::new).collect();
        let published = Instant::ORIGIN;
        Self { machine, io, inlets, outlets, held: None, letters_wait: false, counters, published, stalls }
    }

    /// The published values: the machine's counters, the packet I/O's, the gauges, each in the order of its registry.
    pub(crate) fn counters(&self) -> Arc<[AtomicU64]> {
        Arc::clone(&self.counters)
    }

    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        self.stalls.begin(now, self.io.tally_mut());
        self.io.tally_mut().count(IoCounter::Turns);
        self.io.collect();
        // Letters first: a client's first check may come in the same turn as the command that opens its connection.
        let letters = self.take_letters(now);
        let received = self.receive(now);
        let fan_out = self.forward(now);
        // Behind the media: no packet waits for a report.
        let due = self.run_timers(now, received);
        self.io.flush();
        if now.since(self.published) >= PUBLISH_EVERY {
            self.publish(now);
        }
        match (fan_out, self.letters_wait) {
            (Progress::More, _) | (_, true) => Turn::More,
            (Progress::Done, false) if received || letters || due => Turn::Done,
            (Progress::Done, false) => Turn::Idle,
        }
    }

    /// How long there is nothing to do unless something comes; `None` for ever.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        self.deadline(now).map(|deadline| deadline.since(now))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inlets.stopping.load(Ordering::Relaxed)
    }

    /// Publishes the counters before the driver sleeps, so that they are never stale while nothing happens.
    pub(crate) fn settle(&mut self, now: Instant) {
        let due = self.deadline(now);
        self.stalls.sleep(now, due, self.io.tally_mut());
        self.io.tally_mut().count(IoCounter::Sleeps);
        self.publish(now);
    }

    pub(crate) fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// When the shard has to go on though nothing comes.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let held = self.held.as_ref().map(|_| now + HELD_RETRY);
        [self.machine.poll_timeout(), self.stalls.deadline(), held].into_iter().flatten().min()
    }

    fn receive(&mut self, now: Instant) -> bool {
        let mut received = false;
        for _ in 0..BATCHES_PER_TURN_MAX {
            let mut batch = Batch::new();
            let egress = self.io.receive(now, &mut batch);
            if batch.is_empty() {
                break;
            }
            self.machine.handle(now, &mut batch, egress);
            drop(batch);
            self.drain();
            received = true;
        }
        received
    }

    fn take_letters(&mut self, now: Instant) -> bool {
        if self.inlets.waker.is_woken() {
            self.inlets.waker.clear();
            self.letters_wait = true;
        }
        if !self.letters_wait {
            return false;
        }
        let (commands, progress) = (self.take_commands(now), self.take_progress(now));
        self.letters_wait = commands == LETTERS_PER_TURN_MAX || progress == LETTERS_PER_TURN_MAX;
        commands + progress > 0
    }

    fn take_commands(&mut self, now: Instant) -> usize {
        for taken in 0..LETTERS_PER_TURN_MAX {
            let Some(command) = self.inlets.commands.receive() else { return taken };
            self.machine.handle_command(now, command, self.io.egress());
            self.drain();
        }
        LETTERS_PER_TURN_MAX
    }

    fn take_progress(&mut self, now: Instant) -> usize {
        for taken in 0..LETTERS_PER_TURN_MAX {
            let Some(progress) = self.inlets.progress.receive() else { return taken };
            self.machine.handle_handshake(now, progress, self.io.egress());
            self.drain();
        }
        LETTERS_PER_TURN_MAX
    }

    /// Whether the machine's deadline has come. What it has to do soon is done along with what came.
    fn run_timers(&mut self, now: Instant, received: bool) -> bool {
        let due = self.machine.poll_timeout().is_some_and(|deadline| deadline <= now);
        if due || received {
            self.machine.handle_timeout(now, self.io.egress());
        }
        if due || received || self.held.is_some() {
            self.drain();
        }
        due
    }

    fn forward(&mut self, now: Instant) -> Progress {
        let progress = self.machine.forward(now, Budget { packets_max: SLICE_PACKETS_MAX }, self.io.egress());
        self.drain();
        progress
    }

    /// Hands on everything that the machine has to say. A request without room is held, and those behind it stay in the
    /// machine, so that no connection's requests change their order.
    fn drain(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            (self.outlets.event)(event);
        }
        while let Some(request) = self.held.take().or_else(|| self.machine.poll_handshake()) {
            if let Err(refused) = (self.outlets.handshake)(request) {
                self.io.tally_mut().count(IoCounter::HandshakesHeld);
                self.held = Some(refused);
                return;
            }
        }
    }

    fn publish(&mut self, now: Instant) {
        if now.since(self.published) >= PUBLISH_EVERY {
            self.io.survey();
        }
        self.published = now;
        let values = self.machine.tally().values().chain(self.io.tally().values()).chain(self.stalls.gauges());
        for (counter, value) in self.counters.iter().zip(values) {
            counter.store(value, Ordering::Relaxed);
        }
    }
}

/// How stale the counters of a loaded shard may be.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// When a held handshake request is tried again.
const HELD_RETRY: Duration = Duration::from_millis(1);
