//! The loop of one handshake thread: letters in, progress out, deadlines in between.
//!
//! It owns its associations and sleeps when there is nothing to do. Letters are handled in order; after a slice of them
//! the deadlines get their turn, so that a join storm does not delay anybody's repeated flight. Records that a shard's
//! full mailbox refuses are dropped, as a network drops them; keys and ends are kept until they are taken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidewire_core::count::{Discard, Tally};
use tidewire_core::handshake::{EndReason, Fingerprint, Progress, Request};
use tidewire_core::id::{ConnectionId, ShardId};
use tidewire_core::limits::ASSOCIATIONS_MAX;

use super::association::{Association, Recipe, Turn};
use crate::mailbox;
use crate::wake::Waker;

/// A request with its sender's name and the way back.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) shard: ShardId,
    pub(super) progress: mailbox::Sender<Progress>,
    pub(super) request: Request,
}

type Key = (ShardId, ConnectionId);

pub(super) struct Worker {
    recipe: Recipe,
    letters: mailbox::Receiver<Letter>,
    waker: Waker,
    stopping: Arc<AtomicBool>,
    /// Where the pool reads what `tally` holds.
    published: Arc<Mutex<Tally>>,
    pub(super) tally: Tally,
    pub(super) associations: BTreeMap<Key, Entry>,
    /// One for each association that has a deadline.
    deadlines: BTreeSet<(Instant, Key)>,
    /// Keys and ends that a full mailbox refused: at most two of each association that was.
    owed: VecDeque<(mailbox::Sender<Progress>, Progress)>,
    /// What the call in progress brings forth; kept for its memory.
    progress: Vec<Progress>,
}

pub(super) struct Entry {
    association: Association,
    shard: mailbox::Sender<Progress>,
    /// As it stands in `deadlines`.
    deadline: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        recipe: Recipe,
        letters: mailbox::Receiver<Letter>,
        waker: Waker,
        stopping: Arc<AtomicBool>,
        published: Arc<Mutex<Tally>>,
    ) -> Self {
        Self {
            recipe,
            letters,
            waker,
            stopping,
            published,
            tally: Tally::default(),
            associations: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            owed: VecDeque::new(),
            progress: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            self.waker.clear();
            let stopping = self.stopping.load(Ordering::SeqCst);
            let handled = self.handle_letters();
            self.handle_timeouts(Instant::now());
            self.settle();
            self.published.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.tally);
            if handled == LETTERS_PER_SLICE {
                continue;
            }
            if stopping {
                return self.close_all();
            }
            self.waker.wait(self.sleep(Instant::now()));
        }
    }

    /// How long there is nothing to do, unless a letter comes.
    fn sleep(&self, now: Instant) -> Option<Duration> {
        let next = self.deadlines.first().map(|(at, _)| at.saturating_duration_since(now));
        let retry = (!self.owed.is_empty()).then_some(RETRY_INTERVAL);
        next.into_iter().chain(retry).min()
    }

    fn handle_letters(&mut self) -> usize {
        for handled in 0..LETTERS_PER_SLICE {
            let Some(letter) = self.letters.receive() else { return handled };
            self.handle_letter(letter);
        }
        LETTERS_PER_SLICE
    }

    pub(super) fn handle_letter(&mut self, Letter { shard, progress, request }: Letter) {
        let now = Instant::now();
        match request {
            Request::Start { connection, fingerprint } => self.start((shard, connection), progress, fingerprint, now),
            Request::Datagram { connection, bytes } => {
                let mut outcome = Err(Discard::DtlsUnexpected);
                self.with((shard, connection), now, |association, turn| outcome = association.handle(turn, &bytes));
                if let Err(reason) = outcome {
                    self.tally.discard(reason);
                }
            }
            Request::Close { connection } => self.with((shard, connection), now, Association::close),
        }
    }

    fn start(&mut self, key: Key, shard: mailbox::Sender<Progress>, expected: Fingerprint, now: Instant) {
        self.forget(key);
        let connection = key.1;
        if self.associations.len() >= ASSOCIATIONS_MAX {
            return self.deliver(&shard, Progress::Ended { connection, reason: EndReason::HandshakeFailed });
        }
        let turn = &mut Turn { now, recipe: &self.recipe, progress: &mut self.progress, tally: &mut self.tally };
        let association = Association::new(connection, expected, turn);
        self.associations.insert(key, Entry { association, shard, deadline: None });
    }

    fn handle_timeouts(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.deadlines.first()
            && at <= now
        {
            self.with(key, now, Association::handle_timeout);
        }
    }

    /// Calls one association, then delivers what it brought forth and keeps its deadline. A panic ends it, and it alone.
    pub(super) fn with(&mut self, key: Key, now: Instant, act: impl FnOnce(&mut Association, &mut Turn<'_>)) {
        let Some(entry) = self.associations.get_mut(&key) else { return };
        let turn = &mut Turn { now, recipe: &self.recipe, progress: &mut self.progress, tally: &mut self.tally };
        // Nothing is looked at again after a panic but the tally, the progress so far and the fact itself.
        let panicked = catch_unwind(AssertUnwindSafe(|| act(&mut entry.association, turn))).is_err();
        if panicked {
            tracing::error!(connection = ?key.1, "a DTLS association panicked");
            entry.association.end(turn, EndReason::HandshakeFailed);
        }
        let shard = entry.shard.clone();
        if entry.association.is_over() {
            self.forget(key);
        } else {
            self.keep_deadline(key);
        }
        let mut progress = std::mem::take(&mut self.progress);
        progress.drain(..).for_each(|letter| self.deliver(&shard, letter));
        self.progress = progress;
    }

    fn keep_deadline(&mut self, key: Key) {
        let Some(entry) = self.associations.get_mut(&key) else { return };
        let next = entry.association.poll_timeout();
        if let Some(at) = std::mem::replace(&mut entry.deadline, next) {
            self.deadlines.remove(&(at, key));
        }
        if let Some(at) = next {
            self.deadlines.insert((at, key));
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(entry) = self.associations.remove(&key)
            && let Some(at) = entry.deadline
        {
            self.deadlines.remove(&(at, key));
        }
    }

    fn deliver(&mut self, shard: &mailbox::Sender<Progress>, progress: Progress) {
        match progress {
            records @ Progress::Records { .. } => {
                if shard.send(records).is_err() {
                    self.tally.discard(Discard::HandshakeQueueFull);
                }
            }
            // In the order in which they came forth, so that no end overtakes its keys.
            kept @ (Progress::Keys { .. } | Progress::Ended { .. }) => {
                self.owed.push_back((shard.clone(), kept));
                self.settle();
            }
        }
    }

    /// Tries what is owed; what is refused stays, in order, and with it all that the same shard is owed.
    pub(super) fn settle(&mut self) {
        let mut deaf: Vec<mailbox::Sender<Progress>> = Vec::new();
        for _ in 0..self.owed.len() {
            let Some((shard, progress)) = self.owed.pop_front() else { return };
            if deaf.iter().any(|one| one.is_same(&shard)) {
                self.owed.push_back((shard, progress));
            } else if let Err(refused) = shard.send(progress) {
                deaf.push(shard.clone());
                self.owed.push_back((shard, refused));
            }
        }
    }

    fn close_all(&mut self) {
        let now = Instant::now();
        while let Some((&key, _)) = self.associations.first_key_value() {
            self.with(key, now, Association::close);
        }
    }
}

/// Letters between two looks at the deadlines.
const LETTERS_PER_SLICE: usize = 64;

/// How soon a full mailbox is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);
