//! Joins, many at a time, while media flows: real handshakes on threads that let the reactor's thread go first.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::reactor::Reactor;
use super::setup::Seat;
use super::target::Live;
use crate::client::Call;
use crate::machine::{self, Policy};

/// How many join at one time, and what is done once the threads that do it are there and wait for the word.
pub(super) struct Crowd<'a> {
    pub(super) joiners: usize,
    pub(super) begin: &'a mut dyn FnMut(&mut Reactor) -> Result<()>,
}

/// Takes all seats; each call goes to `admit` with its seat's number as soon as it has keys, or has failed.
pub(super) fn join_all(
    live: &Live,
    seats: &[Seat],
    crowd: Crowd<'_>,
    reactor: &mut Reactor,
    mut admit: impl FnMut(&mut Reactor, usize, Result<Call>) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let threads = crowd.joiners.min(seats.len());
    let gate = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let (tell, joined) = mpsc::sync_channel(seats.len());
        for _ in 0..threads {
            let (tell, next, gate) = (tell.clone(), &next, &gate);
            scope.spawn(move || {
                machine::yield_precedence();
                gate.wait();
                join_some(live, seats, next, &tell);
            });
        }
        drop(tell);
        let begun = (crowd.begin)(reactor);
        if begun.is_err() {
            next.store(seats.len(), Ordering::Relaxed);
        }
        gate.wait();
        let outcome = begun.and_then(|()| admit_all(&joined, seats.len(), reactor, &mut admit));
        // After a failure nobody else needs to try; at the end there is nobody left.
        next.store(seats.len(), Ordering::Relaxed);
        outcome
    })
}

/// Only where something else than the ordinary was asked for: a run within somebody else's policy stays in it.
pub(super) fn reschedule(asked: Policy, policy: Policy) -> Result<()> {
    if asked == Policy::Ordinary { Ok(()) } else { machine::schedule_this_thread(policy) }
}

fn join_some(live: &Live, seats: &[Seat], next: &AtomicUsize, tell: &SyncSender<(usize, Result<Call>)>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(seat) = seats.get(number) else { return };
        if tell.send((number, live.enter(seat))).is_err() {
            return;
        }
    }
}

fn admit_all(
    joined: &Receiver<(usize, Result<Call>)>,
    seats: usize,
    reactor: &mut Reactor,
    admit: &mut impl FnMut(&mut Reactor, usize, Result<Call>) -> Result<()>,
) -> Result<()> {
    let mut admitted = 0;
    while admitted < seats {
        match joined.try_recv() {
            Ok((number, call)) => {
                admit(reactor, number, call)?;
                admitted += 1;
                reactor.run_until(Instant::now() + BETWEEN_TWO, &mut || Ok(()))?;
            }
            Err(mpsc::TryRecvError::Empty) => reactor.run_until(Instant::now() + UNTIL_NEXT, &mut || Ok(()))?,
            Err(mpsc::TryRecvError::Disconnected) => bail!("the joining threads ended early"),
        }
    }
    Ok(())
}

/// What the reactor has at least between two newcomers, and how long it goes on until it looks for more.
const BETWEEN_TWO: Duration = Duration::from_micros(50);
const UNTIL_NEXT: Duration = Duration::from_millis(2);
