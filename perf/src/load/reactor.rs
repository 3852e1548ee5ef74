//! The one thread of a load run: sends what the plan has due, reads what has arrived, keeps calls alive.
//!
//! A precise timer wakes it for the plan. Viewers' sockets are swept every few milliseconds and never waited for: on loopback
//! the server's core would pay for each wake-up of a reader (an interrupt to the other core), which over a network it does
//! not. Nothing is lost by reading late, since each datagram has the kernel's receive timestamp (SO_TIMESTAMPNS). Between two
//! sockets of a sweep the plan comes first.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::plan::{Plan, Planned};
use super::viewer::Viewer;
use crate::client::Publisher;
use crate::clock;

pub(super) struct Reactor {
    epoll: Epoll,
    timer: TimerFd,
    pub(super) publisher: Publisher,
    pub(super) viewers: Vec<Viewer>,
    sending: Option<Sending>,
    /// Planned send times by index: what delay is counted from.
    pub(super) planned_ns: Vec<u64>,
    /// Packets with an index in this range are measured.
    window: std::ops::Range<u64>,
    pub(super) delays: Histogram<u64>,
    pub(super) lateness: Histogram<u64>,
    next_tick: Instant,
    next_sweep: Instant,
    buffer: Box<[u8; 2048]>,
    control: Vec<u8>,
}

/// A plan on its way.
struct Sending {
    plan: Plan,
    started: Instant,
    started_ns: u64,
    packet_len: usize,
    next: Planned,
    key: bool,
}

impl Reactor {
    pub(super) fn new(publisher: Publisher) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        epoll.add(publisher.call.socket(), EpollEvent::new(EpollFlags::EPOLLIN, PUBLISHER))?;
        Ok(Self {
            epoll,
            timer,
            publisher,
            viewers: Vec::new(),
            sending: None,
            planned_ns: Vec::new(),
            window: 0..0,
            delays: histogram()?,
            lateness: histogram()?,
            next_tick: Instant::now(),
            next_sweep: Instant::now(),
            buffer: Box::new([0; 2048]),
            control: cmsg_space!(TimeSpec),
        })
    }

    pub(super) fn add(&mut self, viewer: Viewer) -> Result<()> {
        setsockopt(viewer.call.socket(), sockopt::ReceiveTimestampns, &true)?;
        self.viewers.push(viewer);
        Ok(())
    }

    /// Begins to send. The plan goes on until the reactor is dropped or `stop_sending`.
    pub(super) fn start_sending(&mut self, mut plan: Plan, packet_len: usize) -> Result<()> {
        let next = plan.next().context("an empty plan")?;
        self.sending =
            Some(Sending { plan, started: Instant::now(), started_ns: clock::unix_ns(), packet_len, next, key: true });
        Ok(())
    }

    pub(super) fn stop_sending(&mut self) {
        self.sending = None;
    }

    /// From here on packets are measured, until `close_window`.
    pub(super) fn open_window(&mut self) {
        self.window = self.planned_ns.len() as u64..u64::MAX;
        self.delays.reset();
        self.lateness.reset();
    }

    pub(super) fn close_window(&mut self) {
        self.window.end = self.planned_ns.len() as u64;
    }

    pub(super) fn window(&self) -> std::ops::Range<u64> {
        self.window.clone()
    }

    /// Works until `deadline`.
    pub(super) fn run_until(&mut self, deadline: Instant) -> Result<()> {
        while Instant::now() < deadline {
            self.turn(deadline)?;
        }
        Ok(())
    }

    /// Does what is due, then waits for the publisher's socket or the next due time, not beyond `limit`.
    pub(super) fn turn(&mut self, limit: Instant) -> Result<()> {
        self.send_due()?;
        self.tick_due()?;
        self.sweep_due()?;
        self.arm(self.next_due().min(limit))?;
        let mut events = [EpollEvent::empty(); 2];
        let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            match event.data() {
                PUBLISHER => self.publisher.serve(Instant::now())?,
                // Nothing to read means that it was set anew in the meantime.
                _ => self.timer.wait().or_else(|error| if error == Errno::EAGAIN { Ok(()) } else { Err(error) })?,
            }
        }
        Ok(())
    }

    /// Reads every viewer's socket until it is empty.
    fn sweep_due(&mut self) -> Result<()> {
        if Instant::now() < self.next_sweep {
            return Ok(());
        }
        for place in 0..self.viewers.len() {
            while self.read_viewer(place)? == DATAGRAMS_A_SLICE {
                self.send_due()?;
            }
            self.send_due()?;
        }
        self.next_sweep = Instant::now() + SWEEP_INTERVAL;
        Ok(())
    }

    fn next_due(&self) -> Instant {
        let regular = self.next_tick.min(self.next_sweep);
        self.sending.as_ref().map_or(regular, |sending| regular.min(sending.started + sending.next.at))
    }

    fn arm(&self, wake: Instant) -> Result<()> {
        // Zero would disarm the timer.
        let wait = wake.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        Ok(self.timer.set(Expiration::OneShot(TimeSpec::from_duration(wait)), TimerSetTimeFlags::empty())?)
    }

    fn send_due(&mut self) -> Result<()> {
        let Some(sending) = &mut self.sending else {
            return Ok(());
        };
        while sending.started + sending.next.at <= Instant::now() {
            let planned = sending.next;
            if planned.start {
                sending.key = self.publisher.key_frame_due(0);
            }
            let planned_ns = sending.started_ns + planned.at.as_nanos() as u64;
            self.publisher.send_packet(0, planned.position(sending.key), sending.packet_len, planned_ns)?;
            self.planned_ns.push(planned_ns);
            self.lateness.saturating_record(clock::unix_ns().saturating_sub(planned_ns));
            sending.next = sending.plan.next().context("the plan ended")?;
        }
        Ok(())
    }

    fn tick_due(&mut self) -> Result<()> {
        let now = Instant::now();
        if now < self.next_tick {
            return Ok(());
        }
        self.next_tick = now + TICK;
        self.publisher.tick(now)?;
        self.viewers.iter_mut().try_for_each(|viewer| viewer.tick(now))
    }

    /// Reads one slice and returns how many datagrams it had.
    fn read_viewer(&mut self, place: usize) -> Result<usize> {
        let viewer = &mut self.viewers[place];
        let now = Instant::now();
        for read in 0..DATAGRAMS_A_SLICE {
            let fd = viewer.call.socket().as_raw_fd();
            let Some((len, received_ns)) = receive(fd, &mut self.buffer[..], &mut self.control)? else {
                return Ok(read);
            };
            let Some(index) = viewer.accept(now, &self.buffer[..len]) else {
                continue;
            };
            if self.window.contains(&index)
                && let Some(planned_ns) = self.planned_ns.get(index as usize)
            {
                self.delays.saturating_record(received_ns.saturating_sub(*planned_ns));
            }
        }
        Ok(DATAGRAMS_A_SLICE)
    }
}

/// One datagram and the wall-clock time at which the kernel took it in.
fn receive(fd: i32, buffer: &mut [u8], control: &mut [u8]) -> Result<Option<(usize, u64)>> {
    let mut slices = [IoSliceMut::new(buffer)];
    match recvmsg::<()>(fd, &mut slices, Some(control), MsgFlags::MSG_DONTWAIT) {
        Ok(message) => {
            let stamp = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(time) => {
                    Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
                }
                _ => None,
            });
            Ok(Some((message.bytes, stamp.unwrap_or_else(clock::unix_ns))))
        }
        Err(Errno::EAGAIN | Errno::ECONNREFUSED | Errno::EINTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Nanoseconds up to a minute, three digits.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

const TIMER: u64 = u64::MAX;
const PUBLISHER: u64 = u64::MAX - 1;
const DATAGRAMS_A_SLICE: usize = 32;
const TICK: Duration = Duration::from_millis(20);
/// A socket's receive buffer holds seconds; this bounds only what one sweep has to do.
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);
