//! A client's line: what came from it, and what is on its way to it, across all the sockets that it has in its life.
//!
//! What is for the client waits in a queue and is numbered only when a socket takes it; from then on it is kept until the
//! client has seen it, for a socket that comes to resume. So what is given up was never numbered, and leaves no gap.
//! A client that does not read costs no more than the bounds: beyond them messages are given up first, then every event
//! about its channels; both are counted, and when all that was left has been taken the line is due for the count and for
//! the state of each channel. Answers, and what is told of the client's own connections, are never given up: their number
//! is bounded by the requests that a client may have in flight, and by one offer or demand a connection, and while their
//! bytes are more than the bound no request is admitted. Pure.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tidewire_core::id::ConnectionKey;
use tidewire_core::message::client::EndReason;
use tidewire_core::message::lane::{Arrived, Inbox, Outbox, Strange};
use tidewire_core::time::Instant;

use crate::limits::{
    LINE_BYTES_MAX, LINE_FRAMES_MAX, MESSAGE_EVERY, MESSAGES_BURST, REQUEST_EVERY, REQUESTS_BURST,
    REQUESTS_IN_FLIGHT_MAX, TAKEN_LEN_MAX, WINDOW,
};

#[derive(Debug)]
pub struct Line {
    inbox: Inbox,
    /// The number up to which the client knows that its frames were seen.
    acknowledged: u64,
    /// Numbered, and not seen by the client yet.
    outbox: Outbox<Arc<str>>,
    /// The highest number that the present socket has taken.
    taken: u64,
    queue: VecDeque<Item>,
    held: Held,
    lost: Option<Lost>,
    in_flight: usize,
    messages: Allowance,
    requests: Allowance,
    /// The socket that is served, by a number that each has for itself.
    socket: Option<u64>,
    ended: Option<EndReason>,
}

/// One thing for the client: the text of the frame's `m`.
#[derive(Clone, Debug)]
pub struct Item {
    pub text: Arc<str>,
    pub kind: Kind,
}

/// What may become of an item when the client does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a request; never given up.
    Answer,
    /// About the client's own connections and seats; never given up.
    Own,
    /// An offer, which takes the place of an older one of the same connection.
    Offer(ConnectionKey),
    /// What is wanted of an upstream, likewise.
    Demand(ConnectionKey),
    /// Of a channel; its state can stand for it.
    Event,
    Message,
}

/// What was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub messages: u64,
    pub events: u64,
    /// Whether events are given up too, until the client has caught up.
    takes_events: bool,
}

/// What a socket is to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub frames: Vec<String>,
    /// Whether there is more at once.
    pub has_more: bool,
    /// Ends the socket, once the frames are out.
    pub end: Option<EndReason>,
}

impl Line {
    /// The line of a client that registered by its first frame, which has been read.
    pub fn new(socket: u64) -> Self {
        let mut inbox = Inbox::default();
        inbox.take(1);
        Self {
            inbox,
            acknowledged: 0,
            outbox: Outbox::new(WINDOW),
            taken: 0,
            queue: VecDeque::new(),
            held: Held::default(),
            lost: None,
            in_flight: 1,
            messages: Allowance::default(),
            requests: Allowance::default(),
            socket: Some(socket),
            ended: None,
        }
    }

    /// Whether a frame of this number is to be looked at.
    pub fn arrived(&mut self, n: u64) -> Arrived {
        self.inbox.take(n)
    }

    /// Forgets what the client has seen.
    pub fn acknowledge(&mut self, seen: u64) -> Result<(), Strange> {
        // What this socket was not sent cannot have been seen by it.
        if seen > self.taken { Err(Strange) } else { self.outbox.acknowledge(seen) }
    }

    /// Another socket goes on where the client stands. Gives what of the client's was seen.
    pub fn resume(&mut self, socket: u64, seen: u64) -> Result<u64, Strange> {
        self.outbox.beyond(seen).map(drop)?;
        self.outbox.acknowledge(seen)?;
        self.taken = seen;
        self.socket = Some(socket);
        self.acknowledged = self.inbox.seen();
        Ok(self.acknowledged)
    }

    /// Whether this socket is the one that is served.
    pub fn is_on(&self, socket: u64) -> bool {
        self.socket == Some(socket)
    }

    pub fn hang(&mut self) {
        self.socket = None;
    }

    pub fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    pub fn end(&mut self, reason: EndReason) {
        self.ended.get_or_insert(reason);
    }

    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// A request begins. False when too many wait to be answered, or their answers to be taken, or when they come too fast.
    pub fn admit(&mut self, now: Instant) -> bool {
        self.in_flight += 1;
        // A large channel makes a large answer: few are enough to fill the memory.
        let has_room = self.in_flight <= REQUESTS_IN_FLIGHT_MAX && self.held.own_bytes <= LINE_BYTES_MAX;
        has_room && self.requests.take(now, REQUEST_EVERY, REQUESTS_BURST)
    }

    /// Whether the client goes on asking while it takes no answers: refusals would pile up in their place.
    pub fn is_flooded(&self) -> bool {
        self.in_flight > 2 * REQUESTS_IN_FLIGHT_MAX
    }

    /// Whether another message may be sent now, or another change told to others.
    pub fn may_send(&mut self, now: Instant) -> bool {
        self.messages.take(now, MESSAGE_EVERY, MESSAGES_BURST)
    }

    /// Puts an item behind the others, or gives up what there is no room for. Returns what was given up, in messages and
    /// events.
    pub fn push(&mut self, item: Item) -> (u64, u64) {
        match item.kind {
            Kind::Answer | Kind::Own => self.queue_up(item),
            Kind::Offer(_) | Kind::Demand(_) => {
                self.strike(|queued| queued.kind == item.kind);
                self.queue_up(item);
            }
            Kind::Event | Kind::Message => return self.push_event(item),
        }
        (0, 0)
    }

    /// Whether everything that was left has been taken after something was given up. Taking the count makes the line
    /// whole again; the channels' states are to follow it at once.
    pub fn caught_up(&mut self) -> Option<Lost> {
        if self.queue.is_empty() { self.lost.take() } else { None }
    }

    /// What the socket is to write now: first what it has not been sent of what is numbered, then from the queue, as
    /// long as the client keeps acknowledging.
    pub fn take(&mut self) -> Taken {
        let mut frames = Vec::new();
        let mut bytes = 0;
        let (taken, outbox) = (self.taken, &self.outbox);
        for (n, text) in outbox.beyond(taken).into_iter().flatten() {
            if bytes >= TAKEN_LEN_MAX {
                return Taken { frames, has_more: true, end: None };
            }
            bytes += text.len();
            frames.push(frame(n, seen(&self.inbox, &mut self.acknowledged), text));
            self.taken = n;
        }
        while let Some(item) = self.queue.front() {
            if bytes >= TAKEN_LEN_MAX {
                return Taken { frames, has_more: true, end: None };
            }
            let Ok(n) = self.outbox.push(Arc::clone(&item.text), item.text.len()) else { break };
            bytes += item.text.len();
            frames.push(frame(n, seen(&self.inbox, &mut self.acknowledged), &item.text));
            self.taken = n;
            self.unqueue();
        }
        // When all that was left is taken, what was lost is told at once.
        let has_more = self.lost.is_some() && self.queue.is_empty();
        Taken { frames, has_more, end: self.ended }
    }

    /// An acknowledgement alone, when one is due.
    pub fn acknowledgement(&mut self) -> Option<String> {
        seen(&self.inbox, &mut self.acknowledged).map(|seen| format!("{{\"seen\":{seen}}}"))
    }

    /// Frames that came in since the client was last told which were seen.
    pub fn unacknowledged(&self) -> u64 {
        self.inbox.seen() - self.acknowledged
    }

    fn push_event(&mut self, item: Item) -> (u64, u64) {
        let before = self.lost.unwrap_or_default();
        let is_message = item.kind == Kind::Message;
        if let Some(lost) = self.lost.as_mut().filter(|lost| is_message || lost.takes_events) {
            lost.count(item.kind);
        } else if self.fits(&item) {
            self.queue_up(item);
        } else {
            self.give_up(item);
        }
        let after = self.lost.unwrap_or_default();
        (after.messages - before.messages, after.events - before.events)
    }

    fn give_up(&mut self, item: Item) {
        let messages = self.strike(|queued| queued.kind == Kind::Message);
        let lost = self.lost.get_or_insert_default();
        lost.messages += messages;
        if item.kind == Kind::Message {
            lost.messages += 1;
        } else if self.fits(&item) {
            self.queue_up(item);
        } else {
            let events = self.strike(|queued| queued.kind == Kind::Event);
            let lost = self.lost.get_or_insert_default();
            lost.events += events + 1;
            lost.takes_events = true;
        }
    }

    fn fits(&self, item: &Item) -> bool {
        // Neither answers nor a state count, nor what is on its way: a large state would cost the events behind it, and so
        // bring the next state, for ever.
        self.held.events < LINE_FRAMES_MAX && self.held.events_bytes + item.text.len() <= LINE_BYTES_MAX
    }

    fn queue_up(&mut self, item: Item) {
        self.held.add(&item);
        self.queue.push_back(item);
    }

    fn unqueue(&mut self) {
        let Some(item) = self.queue.pop_front() else { return };
        self.held.remove(&item);
        if item.kind == Kind::Answer {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }

    /// Takes what is described out of the queue; gives how much that was.
    fn strike(&mut self, described: impl Fn(&Item) -> bool) -> u64 {
        let before = self.queue.len();
        let held = &mut self.held;
        self.queue.retain(|item| {
            let is_struck = described(item);
            if is_struck {
                held.remove(item);
            }
            !is_struck
        });
        (before - self.queue.len()) as u64
    }
}

/// How much a queue holds: of what may be given up, and of the rest.
#[derive(Debug, Default)]
struct Held {
    events: usize,
    events_bytes: usize,
    own_bytes: usize,
}

impl Held {
    fn add(&mut self, item: &Item) {
        if item.kind.is_event() {
            self.events += 1;
            self.events_bytes += item.text.len();
        } else {
            self.own_bytes += item.text.len();
        }
    }

    fn remove(&mut self, item: &Item) {
        if item.kind.is_event() {
            self.events -= 1;
            self.events_bytes -= item.text.len();
        } else {
            self.own_bytes -= item.text.len();
        }
    }
}

impl Kind {
    /// Whether it may be given up.
    fn is_event(self) -> bool {
        matches!(self, Self::Event | Self::Message)
    }
}

impl Lost {
    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Message => self.messages += 1,
            _ => self.events += 1,
        }
    }
}

/// What is to be acknowledged with the next frame, if the client does not know it yet.
fn seen(inbox: &Inbox, acknowledged: &mut u64) -> Option<u64> {
    let seen = inbox.seen();
    (std::mem::replace(acknowledged, seen) < seen).then_some(seen)
}

/// A frame around a text that was written once for everybody: what `lane::Frame` writes.
fn frame(n: u64, seen: Option<u64>, text: &str) -> String {
    let mut frame = String::with_capacity(text.len() + 48);
    // Writing into a string cannot fail.
    _ = write!(frame, "{{\"n\":{n},");
    if let Some(seen) = seen {
        _ = write!(frame, "\"seen\":{seen},");
    }
    frame.push_str("\"m\":");
    frame.push_str(text);
    frame.push('}');
    frame
}

/// How much a client may do: a burst, then one thing at a time (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    /// When the bucket would be full again.
    full_at: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant, every: Duration, burst: u32) -> bool {
        let full_at = self.full_at.max(now) + every;
        let may = full_at.since(now) <= every * burst;
        if may {
            self.full_at = full_at;
        }
        may
    }
}
