//! What the tasks of the edge share: the hall behind its lock, and the way from its decisions to links and sockets.
//!
//! The lock is held for a decision, never over an await. Whoever lets it go has first put every question to the media
//! server, in the order of the decisions, and woken every socket for which there is something to write. A question's
//! answer comes back by a task of its own.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use tidewire_core::id::LinkKey;
use tidewire_core::message::Request;
use tidewire_core::time::Instant;
use tokio::sync::Notify;

use super::Config;
use super::strangers::Strangers;
use crate::hall::effects::Ticket;
use crate::hall::{Hall, Room};
use crate::link::{MediaLink, Pending};
use crate::token::Applications;

pub(super) struct Shared {
    pub(super) config: Config,
    /// Whose tokens are taken at present.
    applications: RwLock<Arc<Applications>>,
    pub(super) link: MediaLink,
    pub(super) strangers: Strangers,
    floor: Mutex<Floor>,
    began: std::time::Instant,
    /// For the tasks that wait for answers.
    this: Weak<Self>,
}

pub(super) struct Floor {
    pub(super) hall: Hall,
    /// By client, what wakes the task of its socket.
    sockets: BTreeMap<LinkKey, (u64, Arc<Notify>)>,
    sockets_total: u64,
}

/// The floor while its lock is held.
pub(super) struct Held<'a> {
    shared: &'a Shared,
    floor: MutexGuard<'a, Floor>,
}

impl Shared {
    pub(super) fn new(config: Config, link: MediaLink) -> Arc<Self> {
        let hall = Hall::new(Room { connections_max: config.sessions_max });
        let floor = Floor { hall, sockets: BTreeMap::new(), sockets_total: 0 };
        let applications = RwLock::new(Arc::new(config.applications.clone()));
        Arc::new_cyclic(|this| Self {
            config,
            applications,
            link,
            strangers: Strangers::default(),
            floor: Mutex::new(floor),
            began: std::time::Instant::now(),
            this: Weak::clone(this),
        })
    }

    pub(super) fn floor(&self) -> Held<'_> {
        // No call on the hall leaves it half done, so a panic elsewhere in a holder spoils nothing.
        Held { shared: self, floor: self.floor.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Whose tokens are taken; the lock is held for no longer than it takes to ask.
    pub(super) fn applications(&self) -> Arc<Applications> {
        Arc::clone(&self.applications.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn verify_by(&self, applications: Applications) {
        *self.applications.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(applications);
    }

    /// The time as the hall reckons it.
    pub(super) fn now(&self) -> Instant {
        Instant::ORIGIN + self.began.elapsed()
    }
}

impl Floor {
    /// A number for a socket that is new.
    pub(super) fn number(&mut self) -> u64 {
        self.sockets_total += 1;
        self.sockets_total
    }

    /// The socket that serves a client from now on. The one before it hears so.
    pub(super) fn attend(&mut self, client: LinkKey, socket: u64) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        if let Some((_, before)) = self.sockets.insert(client, (socket, Arc::clone(&notify))) {
            before.notify_one();
        }
        notify
    }

    pub(super) fn leave(&mut self, client: LinkKey, socket: u64) {
        if self.sockets.get(&client).is_some_and(|(number, _)| *number == socket) {
            self.sockets.remove(&client);
        }
    }

    fn wake(&mut self) {
        while let Some(client) = self.hall.poll_woken() {
            if let Some((_, notify)) = self.sockets.get(&client) {
                notify.notify_one();
            }
        }
    }
}

impl Held<'_> {
    /// Puts what the hall asks to the media server, and wakes sockets.
    pub(super) fn flush(&mut self) {
        let shared = self.shared;
        while let Some((request, ticket)) = self.floor.hall.poll_ask() {
            match shared.link.ask(request) {
                Ok(pending) => drop(tokio::spawn(settle(Weak::clone(&shared.this), ticket, pending))),
                // The rest is put at the next flush, when there may be room.
                Err(_) if self.floor.hall.put_off(&ticket) => break,
                Err(problem) => self.floor.hall.settle(ticket, Err(problem)),
            }
        }
        self.hang_up();
        self.floor.wake();
    }

    /// Behind the questions that opened them. What does not fit into the link's queue now is tried again at each flush.
    fn hang_up(&mut self) {
        while let Some(connection) = self.floor.hall.poll_hang_up() {
            // Nobody waits for the answer.
            if self.shared.link.ask(Request::Close { connection }).is_err() {
                return self.floor.hall.owe(connection);
            }
        }
    }
}

/// Settles a question once it is answered. That about an offer is settled however late; who waits for it is told before.
async fn settle(shared: Weak<Shared>, mut ticket: Ticket, mut pending: Pending) {
    let response = match pending.in_time().await {
        Ok(response) => response,
        Err(late) if ticket.is_change() => {
            let Some(shared) = shared.upgrade() else { return };
            shared.floor().hall.tire(&mut ticket, &late);
            drop(shared);
            pending.at_last().await
        }
        Err(late) => Err(late),
    };
    if let Some(shared) = shared.upgrade() {
        shared.floor().hall.settle(ticket, response);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Deref for Held<'_> {
    type Target = Floor;

    fn deref(&self) -> &Floor {
        &self.floor
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Floor {
        &mut self.floor
    }
}
