//! Carrying effects out, in memory: the book is written, what is told goes onto lines, questions wait to be polled.
//!
//! An event is written down once, for however many it is. After the effects of a decision each downstream that they may
//! have changed something for is looked at once, so that a decision costs a connection one question at most. What follows
//! for those is asked before what the decision itself asks: when a publisher opens, whoever may not receive it has been
//! taken off its media id, unless a question about that downstream is out already; then as soon as it is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use tidewire_core::id::{ChannelKey, ConnectionKey, LinkKey};
use tidewire_core::message::client::{EndReason, Event, Reply, Told};

use super::book::{Book, Role};
use super::downstreams::Next;
use super::effects::{About, Caller, Cause, Effect, Ticket};
use super::line::{Item, Kind, Lost};
use super::{Hall, channels, downstreams};
use crate::limits::TURNS_MAX;
use crate::problem::Problem;

impl Hall {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut touched = Touched::default();
        let mut asks = Vec::new();
        for effect in effects {
            touched.note(&self.book, &effect);
            match effect {
                Effect::Ask(request, ticket) => asks.push((request, ticket)),
                effect => self.perform(effect),
            }
        }
        for key in touched.downstreams(&self.book) {
            match downstreams::pursue(&self.book, key, false) {
                Next::Now(effects) => effects.into_iter().for_each(|effect| self.perform(effect)),
                Next::Later => drop(self.due.insert(key)),
            }
        }
        self.asks.extend(asks);
    }

    /// Lets those downstreams ask for which nobody waits, as many as may have a question out.
    pub(super) fn take_turns(&mut self) {
        while self.turns_out < TURNS_MAX
            && let Some(key) = self.due.pop_first()
        {
            let Next::Now(effects) = downstreams::pursue(&self.book, key, true) else { continue };
            self.turns_out += usize::from(effects.iter().any(asks_by_itself));
            effects.into_iter().for_each(|effect| self.perform(effect));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Answer(caller, outcome) => self.answer(caller, outcome),
            Effect::Tell(client, event) => self.tell(client, event),
            Effect::Announce { channel, about, but, event } => self.announce(&channel, about, but, event),
            Effect::End(client, reason) => self.part(client, reason),
            Effect::Ask(request, ticket) => self.asks.push_back((request, ticket)),
            Effect::HangUp(connection) => self.owe(connection),
            Effect::Enter(..)
            | Effect::Forget(_)
            | Effect::Lease(..)
            | Effect::Sit(..)
            | Effect::Rise(..)
            | Effect::Keep(..)
            | Effect::Drop(_)
            | Effect::Speak(..) => self.book.execute(effect),
        }
    }

    fn answer(&mut self, caller: Caller, outcome: Result<Reply, Problem>) {
        let Caller { client, to } = caller;
        let told = match outcome {
            Ok(reply) => Told::Reply { to, reply },
            Err(problem) => problem.told(to),
        };
        self.push(client, Item { text: text(&told), kind: Kind::Answer });
    }

    fn tell(&mut self, client: LinkKey, event: Event) {
        let kind = match &event {
            Event::Message { .. } => Kind::Message,
            Event::Offer { connection, .. } => Kind::Offer(*connection),
            Event::Demand { connection, .. } => Kind::Demand(*connection),
            Event::Connected { .. }
            | Event::Closed { .. }
            | Event::Kicked { .. }
            | Event::Lost { .. }
            | Event::State { .. } => Kind::Own,
            // Each of these is part of a channel's state, or will soon be told anew.
            Event::Joined { .. }
            | Event::Left { .. }
            | Event::Updated { .. }
            | Event::UpstreamOpened { .. }
            | Event::UpstreamUpdated { .. }
            | Event::UpstreamClosed { .. }
            | Event::RightsChanged { .. }
            | Event::Layer { .. }
            | Event::Speakers { .. }
            | Event::Statistics { .. } => Kind::Event,
        };
        self.push(client, Item { text: text(&Told::Event { event }), kind });
    }

    fn announce(&mut self, channel: &ChannelKey, about: About, but: Option<LinkKey>, event: Event) {
        let seats = self.book.channel(channel).into_iter().flat_map(|channel| &channel.seats);
        let meant = seats.filter(|(key, seat)| but != Some(**key) && seat.hears(about));
        let meant: Vec<_> = meant.map(|(key, _)| *key).collect();
        if meant.is_empty() {
            return;
        }
        let kind = if about == About::Messages { Kind::Message } else { Kind::Event };
        let item = Item { text: text(&Told::Event { event }), kind };
        for client in meant {
            self.push(client, item.clone());
        }
    }

    /// The count of what was given up, and the state of each channel as it is now.
    pub(super) fn restate(&mut self, client: LinkKey, lost: Lost) {
        let Lost { messages, events, .. } = lost;
        self.tell(client, Event::Lost { messages, events });
        let seats = self.book.client(client).into_iter().flat_map(|known| &known.channels);
        let seats = seats.filter_map(|channel| self.book.seat(client, channel).map(|seat| (channel, seat)));
        let states: Vec<_> =
            seats.map(|(channel, seat)| channels::snapshot(&self.book, channel, seat, client)).collect();
        for channel in states {
            self.tell(client, Event::State { channel });
        }
    }

    fn push(&mut self, client: LinkKey, item: Item) {
        let Some(line) = self.lines.get_mut(&client).filter(|line| !line.has_ended()) else { return };
        let (messages, events) = line.push(item);
        self.given_up.0 += messages;
        self.given_up.1 += events;
        if line.has_socket() {
            self.woken.insert(client);
        }
    }

    /// A line goes when its last words are out, or at once where nobody hears them.
    fn part(&mut self, client: LinkKey, reason: EndReason) {
        let Some(line) = self.lines.get_mut(&client) else { return };
        line.end(reason);
        if line.has_socket() {
            self.woken.insert(client);
        } else {
            self.lines.remove(&client);
        }
    }
}

fn asks_by_itself(effect: &Effect) -> bool {
    matches!(effect, Effect::Ask(_, Ticket::Offer { cause: Cause::Others, .. }))
}

/// For which downstreams something may have changed.
#[derive(Default)]
struct Touched {
    /// An upstream came or went.
    channels: BTreeSet<ChannelKey>,
    /// Its claim is another.
    clients: BTreeSet<LinkKey>,
    connections: BTreeSet<ConnectionKey>,
}

impl Touched {
    /// Looks at an effect before it is carried out.
    fn note(&mut self, book: &Book, effect: &Effect) {
        match effect {
            Effect::Keep(key, connection) => match &connection.role {
                Role::Upstream(_) if book.connection(*key).is_none() => {
                    self.channels.insert(connection.channel.clone());
                }
                Role::Downstream(_) => {
                    self.connections.insert(*key);
                }
                Role::Upstream(_) | Role::Watch => {}
            },
            Effect::Drop(key) => {
                let upstream = book.connection(*key).filter(|connection| connection.upstream().is_some());
                self.channels.extend(upstream.map(|connection| connection.channel.clone()));
            }
            Effect::Sit(client, ..) => {
                self.clients.insert(*client);
            }
            _ => {}
        }
    }

    fn downstreams(self, book: &Book) -> BTreeSet<ConnectionKey> {
        let of_channels = self.channels.iter().flat_map(|channel| book.connections_of(channel).map(|(key, _)| key));
        let of_clients = self.clients.iter().filter_map(|client| book.client(*client));
        let of_clients = of_clients.flat_map(|client| client.connections.iter().copied());
        let all = of_channels.chain(of_clients).chain(self.connections.iter().copied());
        all.filter(|key| book.connection(*key).is_some_and(|known| known.downstream().is_some())).collect()
    }
}

/// What a frame says, written once. The shapes of `core::message` can all be written as JSON.
fn text(told: &impl Serialize) -> Arc<str> {
    serde_json::to_string(told).unwrap_or_default().into()
}
