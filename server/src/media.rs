//! The media server's side of the program: shards, handshake threads, and the control loop between gateway and shards.
//!
//! The gateway's questions go to [`Control`], its commands to the shards, the shards' events back through control to the
//! gateway; whether that is in this process or at the other end of a link makes no difference here. The loop is the only
//! one that speaks to control, so nothing here is locked but the list of shards, which metrics read. Invariant: each
//! question has one answer, in their order, and what a connection is told of comes behind the answer that opened it.

mod owed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::rand;
use tidewire_core::handshake::Fingerprint;
use tidewire_core::id::ShardId;
use tidewire_core::limits::CONNECTIONS_MAX;
use tidewire_core::message::media::FromMedia;
use tidewire_core::message::{CloseReason, ErrorCode, Response};
use tidewire_gateway::link::Ask;
use tidewire_net::handshake::{Identity, Pool};
use tidewire_net::{ShardConfig, ShardHandle};
use tidewire_sfu::{self as sfu, Control, SessionTable, ShardPlan, TableConfig};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::owed::Owed;
use crate::addresses::Addresses;
use crate::cores;
use crate::metrics::{Counts, Owner};
use crate::report::Packets;
use crate::settings::Settings;

/// The running media server.
#[derive(Debug)]
pub(crate) struct Media {
    shards: Shards,
    packets: Packets,
    pool: Pool,
    orders: mpsc::Sender<Order>,
    /// Slots that are taken.
    taken: watch::Receiver<usize>,
    control: JoinHandle<()>,
}

/// What the control loop is told beside questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Drain,
    End,
}

/// The shards, for whoever reads their counters; emptied when they stop.
type Handles = Arc<Mutex<Vec<ShardHandle<sfu::Command>>>>;

#[derive(Clone, Debug)]
struct Shards(Handles);

/// An event and the shard that it is from.
type Told = (ShardId, sfu::Event);

/// By which way a shard's events reach the control loop.
#[derive(Clone, Debug)]
struct Outlet {
    tell: mpsc::Sender<Told>,
    /// Places that notices leave free.
    kept_free: usize,
}

impl Outlet {
    /// Sends an event. A notice that finds no room is dropped: a later one says how things stand then.
    fn send(&self, shard: ShardId, event: sfu::Event) {
        if event.is_notice() && self.tell.capacity() <= self.kept_free {
            return;
        }
        if self.tell.try_send((shard, event)).is_err() {
            tracing::error!(shard = shard.0, "an event was lost: the control loop has ended");
        }
    }
}

impl Media {
    /// Starts everything; must be called inside a tokio runtime.
    pub(crate) fn start(
        settings: &Settings,
        addresses: &Addresses,
        asks: mpsc::Receiver<Ask>,
        said: mpsc::Sender<FromMedia>,
    ) -> Result<Self> {
        let identity = Identity::generate().context("cannot make the DTLS certificate")?;
        let pool =
            Pool::start(&identity, settings.dtls, HANDSHAKE_THREADS).context("cannot start handshake threads")?;
        let secret = random()?;
        let shards = usize::from(settings.shards);
        // Two events for each slot of each shard that may not be lost, and a slot is used again only once both are read: for
        // these there is always room. Notices take what is beyond; between a shard's look at the room and its notice each of the
        // others may have sent one.
        let kept_free = 2 * CONNECTIONS_MAX * shards + shards;
        let (tell, told) = mpsc::channel(kept_free + NOTICES_LEN);
        let outlet = Outlet { tell, kept_free };
        let handles = (0..settings.shards)
            .map(|shard| start_shard(settings, addresses, ShardId(shard), secret, &pool, &outlet))
            .collect::<Result<Vec<_>>>()?;
        let packets = Packets::of(&handles, tidewire_net::probe()).context("there is no shard")?;
        let shards = Shards(Arc::new(Mutex::new(handles)));
        let control = control(&shards, addresses, &secret, identity.fingerprint());
        let (orders, ordered) = mpsc::channel(ORDERS_LEN);
        let (counted, taken) = watch::channel(0);
        let turn = Loop { control, shards: shards.clone(), said, counted, load: 0, owed: Owed::default() };
        let control = tokio::spawn(turn.run(asks, told, ordered));
        Ok(Self { shards, packets, pool, orders, taken, control })
    }

    /// What it runs on, for the report.
    pub(crate) fn packets(&self) -> Packets {
        self.packets.clone()
    }

    /// Asks every shard's published counters; never blocks.
    pub(crate) fn counts(&self) -> impl Fn() -> Counts + Send + Sync + 'static {
        let (shards, handshakes) = (self.shards.clone(), self.pool.tally_view());
        move || {
            let handshakes = (Owner::Handshakes, handshakes().values().collect());
            let shards = shards.lock();
            let of_shards = shards.iter().map(|shard| (Owner::Shard(shard.shard()), shard.counters()));
            of_shards.chain([handshakes]).collect()
        }
    }

    /// Asks for no new channels, and waits until no connection is left, or for so long.
    pub(crate) async fn drain(&self, patience: Duration) {
        if self.orders.send(Order::Drain).await.is_err() {
            return;
        }
        let mut taken = self.taken.clone();
        let idle = taken.wait_for(|taken| *taken == 0);
        if timeout(patience, idle).await.is_err() && !patience.is_zero() {
            tracing::warn!("connections are left after draining");
        }
    }

    /// Ends every connection properly and every thread, within `SHUTDOWN_MAX`.
    pub(crate) async fn stop(self) {
        // The loop is gone only if it panicked, and then there is nobody to say goodbye.
        if self.orders.send(Order::End).await.is_ok() && timeout(GOODBYE_MAX, self.control).await.is_err() {
            tracing::warn!("not every connection was closed in time");
        }
        let (pool, shards) = (self.pool, self.shards);
        let threads = tokio::task::spawn_blocking(move || {
            // The handshake threads first: what they say last goes out through the shards.
            pool.stop();
            let handles = std::mem::take(&mut *shards.lock());
            for handle in handles {
                if let Err(error) = handle.stop() {
                    tracing::error!(%error, "a shard ended badly");
                }
            }
        });
        if let Err(error) = threads.await {
            tracing::error!(%error, "the media threads ended badly");
        }
    }
}

impl Shards {
    fn lock(&self) -> MutexGuard<'_, Vec<ShardHandle<sfu::Command>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a command with a shard, whose queue may be full for a moment. Gives it back where it stays so.
    async fn command(&self, shard: ShardId, mut command: sfu::Command) -> Result<(), sfu::Command> {
        for _ in 0..COMMAND_TRIES {
            match self.offer(shard, command) {
                Err(refused) if self.is_running(shard) => command = refused,
                settled => return settled,
            }
            sleep(COMMAND_PAUSE).await;
        }
        Err(command)
    }

    /// The same, once.
    fn offer(&self, shard: ShardId, command: sfu::Command) -> Result<(), sfu::Command> {
        match self.lock().iter().find(|handle| handle.shard() == shard) {
            Some(handle) => handle.command(command).map_err(|refused| refused.0),
            None => Err(command),
        }
    }

    fn is_running(&self, shard: ShardId) -> bool {
        self.lock().iter().any(|handle| handle.shard() == shard && handle.is_running())
    }

    /// Those whose thread is gone.
    fn ended(&self) -> Vec<ShardId> {
        self.lock().iter().filter(|handle| !handle.is_running()).map(ShardHandle::shard).collect()
    }
}

/// The control loop and all that it speaks to.
struct Loop {
    control: Control,
    shards: Shards,
    said: mpsc::Sender<FromMedia>,
    counted: watch::Sender<usize>,
    /// The number of connections that the gateway was told last.
    load: usize,
    owed: Owed<sfu::Command>,
}

impl Loop {
    async fn run(
        mut self,
        mut asks: mpsc::Receiver<Ask>,
        mut told: mpsc::Receiver<Told>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some((shard, event)) = told.recv() => self.pass_on(shard, event).await,
                Some(ask) = asks.recv() => self.answer(ask).await,
                _ = ticks.tick() => self.look_after().await,
                order = orders.recv() => match order {
                    Some(Order::Drain) => self.say(FromMedia::Draining).await,
                    Some(Order::End) | None => break,
                },
            }
            self.counted.send_replace(self.control.slots_taken());
        }
        self.say_goodbye(&mut told).await;
    }

    async fn answer(&mut self, Ask { n, request }: Ask) {
        let mut handled = self.control.handle(request);
        for (shard, command) in handled.commands {
            if let Err(refused) = self.deliver(shard, command).await {
                tracing::error!(shard = shard.0, "a shard takes no commands");
                if let Some(connection) = refused.opens() {
                    self.control.handle_event(shard, sfu::Event::Closed { connection, reason: CloseReason::Shutdown });
                }
                let detail = "the media server takes no commands at present".to_owned();
                handled.response = Response::Refused { code: ErrorCode::MediaServerUnavailable, detail };
            }
        }
        self.say(FromMedia::Answer { to: n, response: handled.response }).await;
    }

    /// Leaves a command with a shard, behind what that one is owed. What must arrive is owed where it is not taken.
    async fn deliver(&mut self, shard: ShardId, command: sfu::Command) -> Result<(), sfu::Command> {
        self.owed.pay(|shard, command| self.shards.offer(shard, command));
        let left = if self.owed.is_owed(shard) { Err(command) } else { self.shards.command(shard, command).await };
        match left {
            Err(refused) if refused.must_arrive() => self.owed.owe(shard, refused),
            settled => settled,
        }
    }

    /// What is due now and then: debts, shards that are gone, and the load.
    async fn look_after(&mut self) {
        self.owed.pay(|shard, command| self.shards.offer(shard, command));
        for shard in self.shards.ended() {
            self.owed.forgive(shard);
            for event in self.control.shard_ended(shard) {
                self.say(FromMedia::Event { event }).await;
            }
        }
        self.tell_load().await;
    }

    async fn pass_on(&mut self, shard: ShardId, event: sfu::Event) {
        let Some(event) = self.control.handle_event(shard, event) else { return };
        tracing::debug!(?event, "connection");
        self.say(FromMedia::Event { event }).await;
    }

    /// Tells how many connections there are, when that has changed.
    async fn tell_load(&mut self) {
        let connections = self.control.connections();
        if std::mem::replace(&mut self.load, connections) != connections {
            self.say(FromMedia::Load { connections }).await;
        }
    }

    async fn say(&mut self, message: FromMedia) {
        if self.said.send(message).await.is_err() {
            tracing::debug!("the gateway hears nothing any more");
        }
    }

    /// Closes every connection and waits until the shards have said that they are closed.
    async fn say_goodbye(&mut self, told: &mut mpsc::Receiver<Told>) {
        let all: Vec<_> = self.shards.lock().iter().map(ShardHandle::shard).collect();
        for shard in all {
            if self.shards.command(shard, sfu::Command::Shutdown).await.is_err() {
                tracing::warn!(shard = shard.0, "a shard takes no command to close its connections");
            }
        }
        while self.control.slots_taken() > 0 {
            let Some((shard, event)) = told.recv().await else { return };
            self.pass_on(shard, event).await;
        }
    }
}

fn start_shard(
    settings: &Settings,
    addresses: &Addresses,
    shard: ShardId,
    secret: [u8; 16],
    pool: &Pool,
    outlet: &Outlet,
) -> Result<ShardHandle<sfu::Command>> {
    let config = ShardConfig {
        shard,
        addresses: addresses.local.clone(),
        port: port(settings, shard),
        io: settings.io,
        driver: settings.driver,
        offload: settings.trains,
        connected_max: settings.connected_max,
        core: cores::for_shard(shard, settings.shards),
        spin: settings.spin,
    };
    let table = TableConfig { shard, secret, seed: u64::from_ne_bytes(random()?), loudest: settings.loudest };
    let outlet = outlet.clone();
    let handle = tidewire_net::spawn(
        &config,
        move |_| SessionTable::new(table),
        |progress| {
            let sender = pool.sender_for(shard, progress);
            move |request| sender.send(request)
        },
        move |event| outlet.send(shard, event),
    );
    handle.with_context(|| {
        let mend = "choose another port with --udp-port, or other addresses with --media-ip";
        format!("cannot start shard {} on UDP port {}: {mend}", shard.0, config.port)
    })
}

/// Ports count up from the first; zero lets the system choose each.
fn port(settings: &Settings, shard: ShardId) -> u16 {
    if settings.udp_port == 0 { 0 } else { settings.udp_port.saturating_add(shard.0.into()) }
}

fn control(shards: &Shards, addresses: &Addresses, secret: &[u8; 16], fingerprint: Fingerprint) -> Control {
    let plan = |handle: &ShardHandle<sfu::Command>| ShardPlan {
        shard: handle.shard(),
        candidates: addresses.candidates(handle.addresses()),
    };
    let entropy = Box::new(|bytes: &mut [u8]| {
        // Without randomness there is no safe connection to offer; the library fails only where the system has none.
        rand::fill(bytes).unwrap_or_else(|_| unreachable!("the random source that made the certificate has failed"));
    });
    Control::new(shards.lock().iter().map(plan).collect(), secret, fingerprint, entropy)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok().context("the system gives no random bytes")?;
    Ok(bytes)
}

/// One thread takes two thousand handshakes a second.
const HANDSHAKE_THREADS: usize = 1;

/// How often, and how long apart, a command is offered to a shard whose queue is full.
const COMMAND_TRIES: usize = 100;
const COMMAND_PAUSE: Duration = Duration::from_millis(1);

/// How often the loop looks after its shards, and the gateway is told of a changed load at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Notices that wait for the control loop: what viewers and publishers of a few large channels are told in a second.
const NOTICES_LEN: usize = 4096;

/// To drain, and to end.
const ORDERS_LEN: usize = 2;

/// How long closing every connection may take.
const GOODBYE_MAX: Duration = Duration::from_millis(400);
