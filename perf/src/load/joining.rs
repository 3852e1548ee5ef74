//! Joins, many at a time, while media flows: real handshakes on threads that let the reactor's thread go first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::reactor::Reactor;
use super::setup::Seat;
use super::target::Live;
use crate::client::Call;
use crate::machine;

/// Takes all seats, at most `joiners` at a time; each call goes to `admit` with its seat's number as soon as it has keys.
pub(super) fn join_all(
    live: &Live,
    seats: &[Seat],
    joiners: usize,
    reactor: &mut Reactor,
    mut admit: impl FnMut(&mut Reactor, usize, Call) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (tell, joined) = mpsc::sync_channel(seats.len());
        for _ in 0..joiners.min(seats.len()) {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || join_some(live, seats, next, tell));
        }
        drop(tell);
        let outcome = admit_all(&joined, seats.len(), reactor, &mut admit);
        // After a failure nobody else needs to try; at the end there is nobody left.
        next.store(seats.len(), Ordering::Relaxed);
        outcome
    })
}

fn join_some(live: &Live, seats: &[Seat], next: &AtomicUsize, tell: SyncSender<(usize, Result<Call>)>) {
    machine::yield_precedence();
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
    admit: &mut impl FnMut(&mut Reactor, usize, Call) -> Result<()>,
) -> Result<()> {
    let mut admitted = 0;
    while admitted < seats {
        match joined.try_recv() {
            Ok((number, call)) => {
                admit(reactor, number, call?)?;
                admitted += 1;
            }
            Err(mpsc::TryRecvError::Empty) => {
                reactor.run_until(Instant::now() + Duration::from_millis(2), &mut || Ok(()))?;
            }
            Err(mpsc::TryRecvError::Disconnected) => bail!("the joining threads ended early"),
        }
    }
    Ok(())
}
