//! DTLS away from the shards: a pool of plain threads that own every DTLS association of this process.
//!
//! In goes `core::handshake::Request` from the shards, through one bounded mailbox a thread; out comes
//! `core::handshake::Progress`, into the mailbox of the shard that asked. A connection's requests all go to one thread, in
//! order, so an association has one owner and no lock. No request can make another connection wait: what one
//! association may cost is budgeted, and a panic in it ends it alone.
//!
//! The pool sends nothing itself, knows no addresses, and trusts the shard that a datagram came by an ICE-validated path.
//! RFC 6347, RFC 9147 (DTLS 1.2 and 1.3), RFC 5764 (DTLS-SRTP), RFC 8827 6.5 (the fingerprint decides).

mod association;
mod identity;
mod outline;
mod worker;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tidewire_core::count::Tally;
use tidewire_core::handshake::{Progress, Request};
use tidewire_core::id::{ConnectionId, ShardId};
use tidewire_core::limits::HANDSHAKE_QUEUE_LEN;

use self::association::Recipe;
pub use self::identity::Identity;
use self::worker::{Letter, Worker};
use crate::mailbox;
use crate::precedence;
use crate::wake::Waker;

/// The DTLS versions that clients may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// DTLS 1.2 alone, where the server has the word on the SRTP profile and takes AES-GCM.
    #[default]
    Dtls12,
    /// DTLS 1.3 where the client offers it, else 1.2. The SRTP profile is then the client's first: AES-CM with Chromium.
    Dtls13,
}

/// The handshake threads. Dropping it without `stop` leaves them running until every `Sender` is gone.
#[derive(Debug)]
pub struct Pool {
    threads: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    letters: mailbox::Sender<Letter>,
    waker: Waker,
    stopping: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    handle: JoinHandle<()>,
}

impl Pool {
    /// Starts `threads` threads (at least one), which all present `identity` to the clients.
    pub fn start(identity: &Identity, versions: Versions, threads: usize) -> io::Result<Self> {
        let recipe = Recipe::new(identity, versions)?;
        let threads =
            (0..threads.max(1)).map(|index| Thread::start(index, recipe.clone())).collect::<io::Result<_>>()?;
        Ok(Self { threads })
    }

    /// The way into the pool for one shard, and the shard's mailbox, which is the way back.
    pub fn sender_for(&self, shard: ShardId, progress: mailbox::Sender<Progress>) -> Sender {
        Sender { shard, threads: self.threads.iter().map(|thread| thread.letters.clone()).collect(), progress }
    }

    /// What all threads have counted. It trails by a turn of theirs.
    pub fn tally(&self) -> Tally {
        self.tally_view()()
    }

    /// The same for whoever asks again and again, also once the pool is gone.
    pub fn tally_view(&self) -> impl Fn() -> Tally + Send + Sync + use<> {
        let tallies: Vec<_> = self.threads.iter().map(|thread| Arc::clone(&thread.tally)).collect();
        move || {
            let mut sum = Tally::default();
            for tally in &tallies {
                sum.merge(&tally.lock().unwrap_or_else(PoisonError::into_inner));
            }
            sum
        }
    }

    /// Lets the threads work off what they were sent, says `close_notify` to whoever is left, and ends them.
    pub fn stop(self) {
        for thread in &self.threads {
            thread.stopping.store(true, Ordering::SeqCst);
            thread.waker.wake();
        }
        for thread in self.threads {
            if thread.handle.join().is_err() {
                tracing::error!("a handshake thread had panicked");
            }
        }
    }
}

impl Thread {
    fn start(index: usize, recipe: Recipe) -> io::Result<Self> {
        let waker = Waker::new()?;
        let (letters, receiver) = mailbox::bounded(HANDSHAKE_QUEUE_LEN, waker.clone());
        let (stopping, tally) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let worker = Worker::new(recipe, receiver, waker.clone(), Arc::clone(&stopping), Arc::clone(&tally));
        let handle = thread::Builder::new().name(format!("handshake-{index}")).spawn(move || {
            precedence::control();
            worker.run();
        })?;
        Ok(Self { letters, waker, stopping, tally, handle })
    }
}

/// One shard's way into the pool.
#[derive(Clone, Debug)]
pub struct Sender {
    shard: ShardId,
    threads: Vec<mailbox::Sender<Letter>>,
    progress: mailbox::Sender<Progress>,
}

impl Sender {
    /// Hands a request over; gives it back when the thread's mailbox is full or the pool has stopped. Never blocks.
    ///
    /// A refused datagram may be forgotten, for DTLS sends it again; a refused `Start` or `Close` has to be retried.
    pub fn send(&self, request: Request) -> Result<(), Request> {
        let letter = Letter { shard: self.shard, progress: self.progress.clone(), request };
        // A slot keeps its thread over all its generations. The pool has at least one thread.
        let index = connection_of(&letter.request).slot as usize % self.threads.len();
        self.threads[index].send(letter).map_err(|letter| letter.request)
    }
}

fn connection_of(request: &Request) -> ConnectionId {
    match request {
        Request::Start { connection, .. } | Request::Datagram { connection, .. } | Request::Close { connection } => {
            *connection
        }
    }
}
