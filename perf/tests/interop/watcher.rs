//! str0m behind a registered client: one downstream, every offer of which it answers, and what comes by it.
//!
//! Out of it come, stream by stream, whether packets were in order and whole, and how long the pause between two was.
//! Invariant: an answer is refused only where a newer offer was made already.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use str0m::media::Mid;
use tidewire_perf::client::pattern::{self, Stamp};
use tidewire_perf::client::wait;

use crate::crowd::{media_id, number_of};
use crate::member::Member;
use crate::str0m_peer::{Arrived, Str0mPeer};

pub(crate) struct Watcher {
    pub(crate) peer: Str0mPeer,
    member: Member,
    connection: Value,
    /// Publishers that were asked for last, by number.
    wanted: BTreeSet<usize>,
    /// What the newest offer carries: media ids, by the MIDs of their sections.
    carried: BTreeMap<String, String>,
    revision: u64,
    /// Requests without a reply so far.
    asked: BTreeSet<u64>,
    answers: BTreeSet<u64>,
    /// Answers that came after a newer offer was made.
    pub(crate) outdated: u64,
    /// Media sections of the newest offer.
    pub(crate) sections: usize,
    /// By the SSRC that the server sends with.
    pub(crate) streams: BTreeMap<u32, Reception>,
    /// Payloads that are not what was sent.
    pub(crate) mismatches: u64,
    /// Streams that began without a MID (RFC 9143 15), or in the section of another.
    pub(crate) strays: u64,
}

/// What came under one SSRC.
#[derive(Debug)]
pub(crate) struct Reception {
    /// The publisher's SSRC.
    pub(crate) stream: u32,
    /// The index of the next packet, if none is missing.
    pub(crate) next: u64,
    sequence_next: u64,
    /// When the kernel took in the last one, and when it was sent, by the wall clock.
    last_ns: u64,
    planned_ns: u64,
    /// The longest since they were looked at last.
    pauses: Pauses,
    /// Packets that came out of order, twice, after a missing one, or under a number that does not fit.
    pub(crate) breaks: u64,
}

/// The longest that nothing came, and the longest that nothing was sent, which is not the server's doing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses {
    pub(crate) heard: Duration,
    pub(crate) sent: Duration,
}

impl Watcher {
    /// Opens a downstream that carries these, and waits until it stands.
    pub(crate) fn open(mut member: Member, channel: &str, wanted: BTreeSet<usize>) -> Result<Self> {
        let peer = Str0mPeer::new(|config| config.enable_opus(true, false))?;
        let open = member.ask(&json!({ "type": "openDownstream", "channel": channel, "wants": wants(&wanted) }))?;
        let mut watcher = Self {
            peer,
            member,
            connection: Value::Null,
            wanted,
            carried: BTreeMap::new(),
            revision: 0,
            asked: BTreeSet::from([open]),
            answers: BTreeSet::new(),
            outdated: 0,
            sections: 0,
            streams: BTreeMap::new(),
            mismatches: 0,
            strays: 0,
        };
        watcher.peer.inbox = Some(Vec::new());
        watcher.settle()?;
        watcher.turn_until("str0m to be connected", |watcher| watcher.peer.connected)?;
        Ok(watcher)
    }

    /// Asks for another list, as a whole; what comes of it is seen in later turns.
    pub(crate) fn want(&mut self, wanted: BTreeSet<usize>) -> Result<()> {
        let wants = wants(&wanted);
        let change = json!({ "type": "changeDownstream", "connection": self.connection, "wants": wants });
        self.asked.insert(self.member.ask(&change)?);
        self.wanted = wanted;
        Ok(())
    }

    /// Turns until what is carried is what is wanted, and every answer is taken.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.turn_until("what is wanted to be carried", |watcher| {
            let carried: BTreeSet<&String> = watcher.carried.values().collect();
            let are_carried = watcher.wanted.iter().all(|number| carried.contains(&media_id(*number)));
            watcher.asked.is_empty() && are_carried && carried.len() == watcher.wanted.len()
        })
    }

    pub(crate) fn turn_for(&mut self, length: Duration) -> Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()).min(TURN))?;
        }
        Ok(())
    }

    pub(crate) fn turn_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !condition(self) {
            ensure!(Instant::now() < deadline, "waited {LIMIT:?} for {what}: {}", self.state());
            self.turn(TURN)?;
        }
        Ok(())
    }

    /// The longest pauses of any stream of these publishers since this was asked last.
    pub(crate) fn take_pauses(&mut self, publishers: &BTreeSet<usize>) -> Pauses {
        let streams = self.streams.values_mut().filter(|heard| publishers.contains(&number_of(heard.stream)));
        streams.map(|heard| take(&mut heard.pauses)).fold(Pauses::default(), Pauses::longer)
    }

    /// Publishers of whom something has come since then.
    pub(crate) fn heard_since(&self, then_ns: u64) -> BTreeSet<usize> {
        let streams = self.streams.values().filter(|heard| heard.last_ns >= then_ns);
        streams.map(|heard| number_of(heard.stream)).collect()
    }

    /// Waits a little for something to arrive, and handles it.
    fn turn(&mut self, limit: Duration) -> Result<()> {
        wait::readable([self.peer.socket().as_fd(), self.member.as_fd()], limit)?;
        self.peer.serve()?;
        for arrived in self.peer.inbox.as_mut().map(take).unwrap_or_default() {
            self.hear(&arrived);
        }
        for told in self.member.hear()? {
            self.take(&told).with_context(|| told["type"].to_string())?;
        }
        Ok(())
    }

    fn hear(&mut self, arrived: &Arrived) {
        match pattern::verify(&arrived.packet.payload) {
            Ok(stamp) => match self.streams.get_mut(&*arrived.packet.header.ssrc) {
                Some(heard) => heard.note(arrived, stamp),
                None => self.begin(arrived, stamp),
            },
            Err(_) => self.mismatches += 1,
        }
    }

    fn begin(&mut self, arrived: &Arrived, stamp: Stamp) {
        let header = &arrived.packet.header;
        let carries = |mid: Mid| self.carried.get(&mid.to_string());
        let is_astray = |mid| carries(mid).is_some_and(|carried| *carried != media_id(number_of(stamp.stream)));
        self.strays += u64::from(header.ext_vals.mid.is_none_or(is_astray));
        self.streams.insert(*header.ssrc, Reception::beginning(arrived, stamp));
    }

    fn take(&mut self, told: &Value) -> Result<()> {
        match told["type"].as_str() {
            Some("reply") => {
                let to = told["to"].as_u64().context("a reply to nothing")?;
                ensure!(self.asked.remove(&to) || self.answers.remove(&to), "nobody asked {to}");
                if told["reply"]["type"] == "downstreamOpened" {
                    self.connection = told["reply"]["connection"].clone();
                }
            }
            Some("refused") => {
                let is_answer = told["to"].as_u64().is_some_and(|to| self.answers.remove(&to));
                ensure!(is_answer && told["code"] == "answerOutdated", "refused: {told}");
                self.outdated += 1;
            }
            Some("event") if told["event"]["type"] == "offer" => self.answer(&told["event"])?,
            Some("event") if told["event"]["type"] == "closed" => bail!("the downstream ended: {told}"),
            Some("event") => {}
            _ => bail!("an unknown message: {told}"),
        }
        Ok(())
    }

    fn answer(&mut self, event: &Value) -> Result<()> {
        let revision = event["revision"].as_u64().context("an offer without a revision")?;
        ensure!(revision > self.revision, "offer {revision} came after {}", self.revision);
        let offer = event["offer"].as_str().context("an offer without text")?;
        let sections = event["sections"].as_array().context("an offer without sections")?;
        let answer = self.peer.answer(offer).with_context(|| format!("str0m does not take\n{offer}"))?;
        let answer = json!({ "type": "answer", "connection": self.connection, "revision": revision, "answer": answer });
        self.answers.insert(self.member.ask(&answer)?);
        self.revision = revision;
        self.sections = offer.lines().filter(|line| line.starts_with("m=")).count();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        self.carried = sections.iter().filter_map(|of| Some((text(&of["mid"])?, text(&of["mediaId"])?))).collect();
        Ok(())
    }

    fn state(&self) -> String {
        let Self { wanted, carried, asked, answers, revision, .. } = self;
        format!("wanted {wanted:?}, carried {carried:?}, asked {asked:?}, answers {answers:?}, revision {revision}")
    }
}

impl Reception {
    fn beginning(arrived: &Arrived, stamp: Stamp) -> Self {
        Self {
            stream: stamp.stream,
            next: stamp.index + 1,
            sequence_next: *arrived.packet.seq_no + 1,
            last_ns: arrived.at_ns,
            planned_ns: stamp.planned_ns,
            pauses: Pauses::default(),
            breaks: 0,
        }
    }

    fn note(&mut self, arrived: &Arrived, stamp: Stamp) {
        let sequence = *arrived.packet.seq_no;
        let fits = (stamp.stream, stamp.index, sequence) == (self.stream, self.next, self.sequence_next);
        self.breaks += u64::from(!fits);
        (self.next, self.sequence_next) = (stamp.index + 1, sequence + 1);
        let sent = Duration::from_nanos(stamp.planned_ns.saturating_sub(self.planned_ns));
        let heard = Duration::from_nanos(arrived.at_ns.saturating_sub(self.last_ns));
        self.pauses = self.pauses.longer(Pauses { heard, sent });
        (self.last_ns, self.planned_ns) = (arrived.at_ns, stamp.planned_ns);
    }
}

impl Pauses {
    fn longer(self, other: Self) -> Self {
        Self { heard: self.heard.max(other.heard), sent: self.sent.max(other.sent) }
    }
}

/// A whole list, as `changeDownstream` has it.
fn wants(wanted: &BTreeSet<usize>) -> Vec<Value> {
    wanted.iter().map(|number| json!({ "mediaId": media_id(*number) })).collect()
}

const TURN: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(20);
