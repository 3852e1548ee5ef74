//! The way of a media server that is a program of its own to its gateway: a WebSocket that is made again for ever.
//!
//! Two tasks: one holds the pure end of the link ([`MediaEnd`]), takes what the media server says and hands questions on;
//! the other connects, carries frames, and tries again when the socket ends. Invariant: the media server never waits for
//! the gateway; what it says is kept until a socket carries it. Decides nothing about media.

mod connect;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidewire_core::id::Label;
use tidewire_core::message::media::FromMedia;
use tidewire_gateway::limits::ASKS_MAX;
use tidewire_gateway::link::Ask;
use tidewire_gateway::link::media_end::{About, Broken, Link as Stands, MediaEnd, Step};
use tidewire_gateway::link::pump::Outgoing;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::health::Readiness;
use crate::settings::Apart;

/// A link to a gateway, or the attempt at one.
#[derive(Debug)]
pub(crate) struct Link {
    connecting: JoinHandle<()>,
}

/// What the socket brings.
#[derive(Debug)]
enum Input {
    Opened(mpsc::Sender<Outgoing>),
    Heard(String),
    Lost,
}

impl Link {
    /// Begins to connect; must be called inside a tokio runtime. `readiness` is that of the link. It ends once nobody is
    /// left to say anything by `said`.
    pub(crate) fn start(
        apart: &Apart,
        about: About,
        asks: mpsc::Sender<Ask>,
        said: mpsc::Receiver<FromMedia>,
        readiness: Readiness,
    ) -> Self {
        let (inputs, input) = mpsc::channel(INPUTS_LEN);
        let has_stood = Arc::new(AtomicBool::new(false));
        let connector = connect::Connector::new(apart, about.server.clone(), inputs, Arc::clone(&has_stood));
        let task = Task { end: MediaEnd::new(about), outgoing: None, asks, readiness, stands: false, has_stood };
        drop(tokio::spawn(task.run(said, input)));
        Self { connecting: tokio::spawn(connector.run()) }
    }

    /// Waits until what was said last has reached the gateway, for a moment at most.
    pub(crate) async fn finish(self) {
        if timeout(FINISH_MAX, self.connecting).await.is_err() {
            tracing::info!("the gateway was not reached for a goodbye");
        }
    }
}

struct Task {
    end: MediaEnd,
    /// The way to the present socket.
    outgoing: Option<mpsc::Sender<Outgoing>>,
    asks: mpsc::Sender<Ask>,
    readiness: Readiness,
    stands: bool,
    /// Set once greetings were exchanged: the next attempt need not wait.
    has_stood: Arc<AtomicBool>,
}

impl Task {
    async fn run(mut self, mut said: mpsc::Receiver<FromMedia>, mut inputs: mpsc::Receiver<Input>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = said.recv() => match message {
                    Some(message) => {
                        let frame = self.end.say(&message);
                        self.send(frame);
                    }
                    // The socket ends when its queue does, behind what is in it.
                    None => return,
                },
                Some(input) = inputs.recv() => self.input(input),
                _ = ticks.tick() => {
                    let frame = Ok(self.end.tick());
                    self.send(frame);
                }
            }
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Opened(outgoing) => {
                self.outgoing = Some(outgoing);
                let greeting = Ok(Some(self.end.greeting()));
                self.send(greeting);
            }
            // What a socket brings that was given up is of the link before.
            Input::Heard(_) if self.outgoing.is_none() => {}
            Input::Heard(text) => match self.end.hear(&text) {
                Ok(steps) => steps.into_iter().for_each(|step| self.carry_out(step)),
                Err(Broken) => self.send(Err(Broken)),
            },
            Input::Lost => self.lose(),
        }
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Send(frame) => self.send(Ok(Some(frame))),
            Step::Ask(ask) => self.hand_on(ask),
            Step::Linked(stands) => {
                match stands {
                    Stands::Enlisted => tracing::info!("link to the gateway stands"),
                    Stands::Resumed => tracing::info!("link to the gateway resumed"),
                }
                self.stands = true;
                self.has_stood.store(true, Ordering::Relaxed);
                self.readiness.begin();
            }
        }
    }

    fn hand_on(&mut self, ask: Ask) {
        // There is room for more than a gateway may have out, so only one that breaks the rules is refused here.
        if let Err(refused) = self.asks.try_send(ask) {
            let frame = self.end.refuse(refused.into_inner().n);
            self.send(frame);
        }
    }

    fn lose(&mut self) {
        self.outgoing = None;
        if std::mem::take(&mut self.stands) {
            tracing::info!("link to the gateway lost");
        }
        self.end.lose();
        self.readiness.pause();
    }

    /// Ends the socket where the link is broken or it takes no more.
    fn send(&mut self, frame: Result<Option<String>, Broken>) {
        let is_useless = match frame {
            Ok(None) => false,
            Ok(Some(frame)) => {
                self.outgoing.as_ref().is_some_and(|queue| queue.try_send(Outgoing::Frame(frame)).is_err())
            }
            Err(Broken) => {
                tracing::warn!("the two ends of the link remember different things; it begins anew");
                true
            }
        };
        if is_useless {
            self.lose();
        }
    }
}

/// This machine's own name, or one that is drawn where it has none.
pub(crate) fn host_name() -> Label {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Label::new(name.trim()).unwrap_or_else(|_| drawn_name())
}

fn drawn_name() -> Label {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        tracing::warn!("no name can be drawn: all zeros is one like any other");
    }
    let name = format!("media-{:016x}", u64::from_be_bytes(bytes));
    Label::new(&name).unwrap_or_else(|_| unreachable!("letters, digits and a dash are a label"))
}

/// What is acknowledged waits no longer than this.
const TICK: Duration = Duration::from_secs(1);

/// Frames of the gateway that wait for the task.
const INPUTS_LEN: usize = ASKS_MAX;

/// How long the goodbye may take.
const FINISH_MAX: Duration = Duration::from_millis(400);
