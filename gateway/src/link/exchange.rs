//! The exchange: the task in which a gateway's switchboard lives, and the queues around it.
//!
//! In go the gateway's questions, what media servers' sockets bring, and what a media server in this process says; out
//! go answers, events and frames. Decides nothing. Invariant: everything that the switchboard is told comes through one
//! task, and of all queues only that of events is waited for, whose reader never waits for the exchange.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidewire_core::id::Label;
use tidewire_core::message::media::FromMedia;
use tidewire_core::message::{Event, Response};
use tidewire_core::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::fleet::ServerId;
use super::pump::Outgoing;
use super::switchboard::{Effect, Note, Overview, Switchboard, Visitor};
use super::{Ask, MediaLink, Question, SocketId};
use crate::limits::{EVENTS_LEN, LINK_LEN, MEDIA_SERVERS_MAX};

/// The way into a running exchange; clones are the same one.
#[derive(Clone, Debug)]
pub struct Exchange {
    inputs: mpsc::Sender<Input>,
    overview: watch::Receiver<Overview>,
    sockets: Arc<AtomicU64>,
}

/// A media server in this process.
#[derive(Debug)]
pub struct Here {
    pub name: Label,
    pub connections_max: usize,
    /// Should have room for every question that may wait, and for a close of each connection.
    pub asks: mpsc::Sender<Ask>,
    pub told: mpsc::Receiver<FromMedia>,
}

/// What a media server's socket brings.
#[derive(Debug)]
pub(crate) enum Input {
    Opened(SocketId, mpsc::Sender<Outgoing>),
    Heard(Arc<Visitor>, String),
    Lost(SocketId),
}

impl Exchange {
    /// Starts one, with the gateway's two ends of it. Must be called inside a tokio runtime; it ends when the link does.
    pub fn start(lease: Duration, here: Option<Here>) -> (Self, MediaLink, mpsc::Receiver<Event>) {
        let (link, questions) = MediaLink::pair();
        let (events, events_heard) = mpsc::channel(EVENTS_LEN);
        let (inputs, input) = mpsc::channel(INPUTS_LEN);
        let (overview, overview_seen) = watch::channel(Overview::default());
        let task = Task::new(lease, here, events, overview);
        drop(tokio::spawn(task.run(questions, input)));
        (Self { inputs, overview: overview_seen, sockets: Arc::default() }, link, events_heard)
    }

    /// How many media servers and connections there are at present.
    pub fn overview(&self) -> Overview {
        *self.overview.borrow()
    }

    pub(crate) fn fresh_socket(&self) -> SocketId {
        SocketId(self.sockets.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn inputs(&self) -> mpsc::Sender<Input> {
        self.inputs.clone()
    }

    /// Tells the exchange; one that has ended hears nothing, and then the program is ending.
    pub(crate) async fn tell(&self, input: Input) {
        if self.inputs.send(input).await.is_err() {
            tracing::debug!("the exchange has ended");
        }
    }
}

struct Task {
    switchboard: Switchboard<oneshot::Sender<Response>>,
    here: Option<(ServerId, mpsc::Sender<Ask>, mpsc::Receiver<FromMedia>)>,
    sockets: BTreeMap<SocketId, mpsc::Sender<Outgoing>>,
    events: mpsc::Sender<Event>,
    overview: watch::Sender<Overview>,
    started: std::time::Instant,
}

impl Task {
    fn new(
        lease: Duration,
        here: Option<Here>,
        events: mpsc::Sender<Event>,
        overview: watch::Sender<Overview>,
    ) -> Self {
        let mut switchboard = Switchboard::new(lease);
        let here = here.map(|Here { name, connections_max, asks, told }| {
            (switchboard.add_here(name, connections_max), asks, told)
        });
        let started = std::time::Instant::now();
        Self { switchboard, here, sockets: BTreeMap::new(), events, overview, started }
    }

    async fn run(mut self, mut questions: mpsc::Receiver<Question>, mut inputs: mpsc::Receiver<Input>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.publish();
            let effects = tokio::select! {
                question = questions.recv() => match question {
                    Some((request, asker)) => self.switchboard.ask(request, asker),
                    None => return,
                },
                Some(input) = inputs.recv() => self.input(input),
                (server, message) = told(&mut self.here) => self.hear_here(server, message),
                _ = ticks.tick() => self.switchboard.tick(self.now()),
            };
            for effect in effects {
                self.carry_out(effect).await;
            }
        }
    }

    fn input(&mut self, input: Input) -> Vec<Effect<oneshot::Sender<Response>>> {
        match input {
            // One that is not kept is closed, since its queue has no other end.
            Input::Opened(socket, outgoing) => {
                if self.sockets.len() < SOCKETS_MAX {
                    self.sockets.insert(socket, outgoing);
                }
                vec![]
            }
            Input::Heard(visitor, text) => self.switchboard.hear(&visitor, &text),
            Input::Lost(socket) => {
                self.sockets.remove(&socket);
                self.switchboard.lose(socket, self.now())
            }
        }
    }

    fn hear_here(&mut self, server: ServerId, message: Option<FromMedia>) -> Vec<Effect<oneshot::Sender<Response>>> {
        match message {
            Some(message) => self.switchboard.hear_here(server, message),
            None => {
                self.here = None;
                self.switchboard.give_up(server)
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect<oneshot::Sender<Response>>) {
        match effect {
            Effect::Ask(ask) => self.hand_over(ask),
            Effect::Send(socket, text) => self.send(socket, Outgoing::Frame(text)),
            Effect::Drop(socket, farewell) => {
                self.send(socket, Outgoing::Close(farewell));
                self.sockets.remove(&socket);
            }
            // Whoever asked may have gone away, and then has closed what it opened.
            Effect::Answer(asker, response) => drop(asker.send(response)),
            Effect::Event(event) => {
                if self.events.send(event).await.is_err() {
                    tracing::debug!("the gateway hears no events any more");
                }
            }
            Effect::Note(name, note) => log(&name, note),
        }
    }

    fn hand_over(&mut self, ask: Ask) {
        let taken = self.here.as_ref().is_some_and(|(_, asks, _)| asks.try_send(ask).is_ok());
        if !taken {
            tracing::error!("the media server in this process takes no questions");
        }
    }

    /// A socket that takes no more is ended; what it did not carry is kept for the next.
    fn send(&mut self, socket: SocketId, outgoing: Outgoing) {
        let is_full = self.sockets.get(&socket).is_some_and(|queue| queue.try_send(outgoing).is_err());
        if is_full {
            self.sockets.remove(&socket);
        }
    }

    fn publish(&self) {
        let overview = self.switchboard.overview();
        self.overview.send_if_modified(|known| std::mem::replace(known, overview) != overview);
    }

    fn now(&self) -> Instant {
        Instant::ORIGIN + self.started.elapsed()
    }
}

/// The next that the media server in this process says, or that it has ended; waits for ever where there is none.
async fn told(
    here: &mut Option<(ServerId, mpsc::Sender<Ask>, mpsc::Receiver<FromMedia>)>,
) -> (ServerId, Option<FromMedia>) {
    match here {
        Some((server, _, told)) => (*server, told.recv().await),
        None => std::future::pending().await,
    }
}

fn log(name: &Label, note: Note) {
    match note {
        Note::Enlisted => tracing::info!(%name, "media server enlisted"),
        Note::Lost => tracing::info!(%name, "media server's link lost"),
        Note::Resumed => tracing::info!(%name, "media server's link resumed"),
        Note::Draining => tracing::info!(%name, "media server is draining"),
        Note::GivenUp { connections: 0 } => tracing::info!(%name, "media server left"),
        Note::GivenUp { connections } => {
            tracing::warn!(%name, connections, "media server is gone with its connections")
        }
    }
}

/// How often leases are looked at.
const TICK: Duration = Duration::from_secs(1);

/// A socket for each media server, and as many that have not greeted yet.
const SOCKETS_MAX: usize = 2 * MEDIA_SERVERS_MAX;

/// What sockets may bring before they wait: as many questions as the gateway may have.
const INPUTS_LEN: usize = LINK_LEN;
