//! A machine that returns every datagram, and does on command what the tests want to see a shard do.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use tidewire_core::count::{Counter, Tally};
use tidewire_core::handshake::{self, Request};
use tidewire_core::id::ConnectionId;
use tidewire_core::machine::{Batch, Budget, Egress, Machine, Path, Progress};
use tidewire_core::time::Instant;

use crate::allocations;

#[derive(Debug)]
pub(crate) enum Command {
    /// Say `Ready`, then sleep on the shard's thread until the other end sends or is gone.
    Stall(mpsc::Receiver<()>),
    /// Say `TimerFired` when this much time has passed.
    Timer(Duration),
    /// Say what the shard's thread has used so far.
    Report,
    /// Send numbered datagrams of `len` bytes to each of `viewers`, viewer by viewer, as fan-out.
    FanOut {
        viewers: Vec<SocketAddr>,
        packets: u32,
        len: usize,
    },
    /// Media goes to this client of the socket with this number from now on.
    Devote(u8, SocketAddr),
    Release(u8, SocketAddr),
    /// Ask the handshake threads for this many things at once.
    Handshakes(u32),
    /// From now on datagrams are counted and not returned.
    Mute,
    Panic,
}

#[derive(Debug)]
pub(crate) enum Event {
    Ready,
    /// How late the timer was.
    TimerFired(Duration),
    Report {
        allocations: u64,
        cpu: Duration,
    },
    Progress,
    /// The largest age that a datagram had when it was handled, since the last report.
    Age(Duration),
}

pub(crate) struct Echo {
    tally: Tally,
    events: VecDeque<Event>,
    requests: VecDeque<Request>,
    stall: Option<mpsc::Receiver<()>>,
    timer: Option<Instant>,
    fan_out: Option<FanOut>,
    age_max: Duration,
    mute: bool,
}

struct FanOut {
    viewers: Vec<SocketAddr>,
    packets: u32,
    len: usize,
    next: usize,
}

impl Echo {
    pub(crate) fn new(_: &[SocketAddr]) -> Self {
        Self {
            tally: Tally::default(),
            events: VecDeque::with_capacity(64),
            requests: VecDeque::with_capacity(64),
            stall: None,
            timer: None,
            fan_out: None,
            age_max: Duration::ZERO,
            mute: false,
        }
    }
}

impl Machine for Echo {
    type Command = Command;
    type Event = Event;

    fn handle<E: Egress>(&mut self, now: Instant, batch: &mut Batch<'_>, egress: &mut E) {
        for datagram in batch.iter_mut() {
            assert!(datagram.arrival <= now, "nothing arrives in the future");
            self.age_max = self.age_max.max(now.since(datagram.arrival));
            self.tally.count(Counter::Received);
            if self.mute {
                continue;
            }
            if let Some(answer) = egress.reserve(&datagram.path, datagram.bytes.len()) {
                answer.copy_from_slice(datagram.bytes);
                egress.commit(datagram.bytes.len());
            }
            datagram.bytes.fill(0xee);
        }
    }

    fn handle_command<E: Egress>(&mut self, now: Instant, command: Command, egress: &mut E) {
        match command {
            Command::Devote(local, remote) => egress.devote(&Path { local, remote }),
            Command::Release(local, remote) => egress.release(&Path { local, remote }),
            Command::Stall(release) => {
                self.events.push_back(Event::Ready);
                self.stall = Some(release);
            }
            Command::Timer(after) => self.timer = Some(now + after),
            Command::Report => {
                self.events.push_back(Event::Age(std::mem::take(&mut self.age_max)));
                self.events.push_back(Event::Report { allocations: allocations::of_this_thread(), cpu: thread_cpu() });
            }
            Command::FanOut { viewers, packets, len } => self.fan_out = Some(FanOut { viewers, packets, len, next: 0 }),
            Command::Handshakes(count) => {
                let connection = |slot| ConnectionId { slot, generation: 0 };
                self.requests.extend((0..count).map(|slot| Request::Close { connection: connection(slot) }));
            }
            Command::Mute => self.mute = true,
            Command::Panic => panic!("as the test wishes"),
        }
    }

    fn handle_handshake<E: Egress>(&mut self, _: Instant, _: handshake::Progress, _: &mut E) {
        self.events.push_back(Event::Progress);
    }

    fn handle_timeout<E: Egress>(&mut self, now: Instant, _: &mut E) {
        if let Some(deadline) = self.timer.take_if(|deadline| *deadline <= now) {
            self.events.push_back(Event::TimerFired(now.since(deadline)));
        }
    }

    fn forward<E: Egress>(&mut self, _: Instant, budget: Budget, egress: &mut E) -> Progress {
        let Some(fan_out) = &mut self.fan_out else { return Progress::Done };
        let mut sealed = 0;
        while let Some(&remote) = fan_out.viewers.get(fan_out.next) {
            if sealed >= budget.packets_max {
                return Progress::More;
            }
            for number in 0..fan_out.packets {
                let path = Path { local: 0, remote };
                if let Some(bytes) = egress.reserve(&path, fan_out.len) {
                    bytes.fill(0);
                    bytes[..4].copy_from_slice(&number.to_be_bytes());
                    egress.commit(fan_out.len);
                    self.tally.count(Counter::Forwarded);
                }
                sealed += 1;
            }
            fan_out.next += 1;
        }
        self.fan_out = None;
        Progress::Done
    }

    fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        // Everything before the stall has been said.
        if let Some(release) = self.stall.take_if(|_| event.is_none()) {
            // An error says that the other end is gone, which releases as well.
            release.recv().ok();
        }
        event
    }

    fn poll_handshake(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timer
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

pub(crate) fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
