//! Very many clients of one channel that talk over the gateway's WebSocket: how late a message is, and what it costs.
//!
//! Messages are sent when they are due, whoever waits for what (open loop); each carries the moment it was planned for, and
//! its delay counts from there until a client has read it. All clients are this one thread's, so the last of a thousand
//! is read when all others have been: what the tool itself takes is told beside it. Some clients may be told never to read.

mod member;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, sleep_until};

use self::member::{Address, Member};
use crate::clock::unix_ns;
use crate::load::Points;
use crate::server::{Io, Server};
use crate::usage::Usage;

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    pub clients: usize,
    /// Clients among them that never read once they are registered.
    pub deaf: usize,
    /// Messages to the whole channel, each second.
    pub a_second: f64,
    pub length: Duration,
    pub server_core: Option<usize>,
}

/// What was found.
#[derive(Debug)]
pub struct Talked {
    talk: Talk,
    /// From the planned time of a message to its being read, in nanoseconds.
    delays: Histogram<u64>,
    /// From a message's planned time to its being sent.
    lateness: Histogram<u64>,
    /// From opening the socket to being registered.
    joins: Histogram<u64>,
    sent: u64,
    /// By those who read.
    heard: u64,
    /// Frames that came twice or not at all.
    out_of_order: u64,
    /// Events that clients were told they lost.
    given_up: u64,
    /// Of a core, while the messages went.
    server_share: f64,
    tool_share: f64,
    server_bytes_per_client: u64,
}

/// What all clients write down.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) delays: Histogram<u64>,
    pub(crate) joins: Histogram<u64>,
    pub(crate) heard: u64,
    pub(crate) out_of_order: u64,
    pub(crate) given_up: u64,
}

pub(crate) type SharedBook = Rc<RefCell<Book>>;

/// Plays it against a server of its own.
pub fn talk(binary: &Path, talk: Talk) -> Result<Talked> {
    ensure!(talk.clients > talk.deaf, "somebody must read");
    let server = Server::start(binary, Io::Epoll, talk.server_core, &[])?;
    let address = Address { http: server.http, token: server.register_token(member::CHANNEL)? };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let talked = LocalSet::new().block_on(&runtime, play(&server, address, talk))?;
    server.stop()?;
    Ok(talked)
}

async fn play(server: &Server, address: Address, talk: Talk) -> Result<Talked> {
    let book = Rc::new(RefCell::new(Book::new()?));
    let before = server.usage()?;
    let members = join(&address, talk, &book).await?;
    sleep(SETTLE).await;
    let joined = server.usage()?;
    let (own, started) = (Usage::own()?, Instant::now());
    let (sent, lateness) = speak(&members, talk).await?;
    let passed = started.elapsed().as_nanos() as f64;
    let (after, own_after) = (server.usage()?, Usage::own()?);
    wait_for_the_last(&book, sent * (talk.clients - talk.deaf) as u64).await;
    let share = |from: Usage, to: Usage| to.cpu_ns.saturating_sub(from.cpu_ns) as f64 / passed;
    let grown = joined.resident_bytes.saturating_sub(before.resident_bytes);
    let book = book.borrow();
    Ok(Talked {
        talk,
        delays: book.delays.clone(),
        lateness,
        joins: book.joins.clone(),
        sent,
        heard: book.heard,
        out_of_order: book.out_of_order,
        given_up: book.given_up,
        server_share: share(joined, after),
        tool_share: share(own, own_after),
        server_bytes_per_client: grown / talk.clients as u64,
    })
}

/// Registers everybody, some at a time.
async fn join(address: &Address, talk: Talk, book: &SharedBook) -> Result<Vec<Member>> {
    let mut members = Vec::with_capacity(talk.clients);
    let mut joining = JoinSet::new();
    for number in 0..talk.clients {
        joining.spawn_local(Member::register(address.clone(), number < talk.deaf, Rc::clone(book)));
        if joining.len() >= JOINING_MAX {
            members.push(joining.join_next().await.context("nobody is joining")???);
        }
    }
    while let Some(member) = joining.join_next().await {
        members.push(member??);
    }
    eprintln!("{} clients are registered", members.len());
    Ok(members)
}

/// Sends each message when it is due, from one client after another.
async fn speak(members: &[Member], talk: Talk) -> Result<(u64, Histogram<u64>)> {
    let mut lateness = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let interval = Duration::from_secs_f64(1.0 / talk.a_second);
    let (start, start_unix) = (Instant::now(), unix_ns());
    let count = (talk.length.as_secs_f64() * talk.a_second) as u64;
    let speakers = members.iter().filter(|member| !member.is_deaf()).cycle();
    for (number, speaker) in (1..=count).zip(speakers) {
        let due = interval.mul_f64(number as f64);
        sleep_until((start + due).into()).await;
        let planned = start_unix + due.as_nanos() as u64;
        speaker.say(&planned.to_string())?;
        lateness.saturating_record(unix_ns().saturating_sub(planned));
    }
    Ok((count, lateness))
}

async fn wait_for_the_last(book: &SharedBook, expected: u64) {
    let deadline = Instant::now() + LAST_MAX;
    while book.borrow().heard < expected && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
}

impl Book {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(1_000, 60_000_000_000, 3);
        Ok(Self { delays: histogram()?, joins: histogram()?, heard: 0, out_of_order: 0, given_up: 0 })
    }
}

impl Talked {
    /// A message that did not reach somebody who reads, or reached it twice.
    pub fn failures(&self) -> Vec<String> {
        let expected = self.sent * (self.talk.clients - self.talk.deaf) as u64;
        let mut failures = Vec::new();
        if self.heard != expected {
            failures.push(format!("{} of {expected} messages were heard", self.heard));
        }
        if self.out_of_order > 0 || self.given_up > 0 {
            let Self { out_of_order, given_up, .. } = self;
            failures.push(format!("{out_of_order} frames out of order, {given_up} given up, by those who read"));
        }
        failures
    }

    pub fn line(&self) -> Value {
        json!({
            "kind": "talk", "clients": self.talk.clients, "deaf": self.talk.deaf, "aSecond": self.talk.a_second,
            "seconds": self.talk.length.as_secs_f64(), "sent": self.sent, "heard": self.heard,
            "delayUs": Points::of(&self.delays), "latenessUs": Points::of(&self.lateness), "joinUs": Points::of(&self.joins),
            "serverShare": self.server_share, "toolShare": self.tool_share,
            "cpuNsPerDelivery": self.cpu_ns_per_delivery(), "serverBytesPerClient": self.server_bytes_per_client,
            "failures": self.failures(),
        })
    }

    pub fn table(&self) -> String {
        let ms = |histogram: &Histogram<u64>| {
            let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e6;
            format!(
                "p50 {:.2}  p90 {:.2}  p99 {:.2}  p99.9 {:.2}  max {:.2}",
                at(0.5),
                at(0.9),
                at(0.99),
                at(0.999),
                at(1.0)
            )
        };
        let Talk { clients, deaf, a_second, .. } = self.talk;
        format!(
            "{clients} clients of one channel, {deaf} of them deaf, {a_second} messages a second\n\
             delay of a message, ms       {}\ntool's lateness, ms          {}\nregistering, ms              {}\n\
             deliveries                   {}, of {} messages\n\
             server's share of a core     {:.1} %, {:.1} us a delivery\ntool's share of a core       {:.1} %\n\
             server's memory a client     {:.1} KiB\n",
            ms(&self.delays),
            ms(&self.lateness),
            ms(&self.joins),
            self.heard,
            self.sent,
            100.0 * self.server_share,
            self.cpu_ns_per_delivery() / 1e3,
            100.0 * self.tool_share,
            self.server_bytes_per_client as f64 / 1024.0,
        )
    }

    fn cpu_ns_per_delivery(&self) -> f64 {
        self.server_share * self.talk.length.as_nanos() as f64 / (self.heard as f64).max(1.0)
    }
}

/// Clients that are registering at one time.
const JOINING_MAX: usize = 32;

/// What joins leave behind is over by then.
const SETTLE: Duration = Duration::from_secs(2);

/// A message that has not come by then does not come.
const LAST_MAX: Duration = Duration::from_secs(10);
