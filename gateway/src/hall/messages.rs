//! Messages between the members of a channel. No media server has a part in them.
//!
//! A message goes to everybody in the channel, its sender among them, or to those whom all of the ids given describe.
//! Who sent it is written here, from what the book knows. It is delivered to whoever is there now, and not kept; whether
//! anybody was described is not told, since that would give hidden observers away.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tidewire_core::id::{ChannelName, Label};
use tidewire_core::message::client::{Event, Member, Payload, Reply};

use super::book::Book;
use super::channels::seated;
use super::effects::{About, Caller, Effect};
use super::{Decision, refuse};
use crate::limits::MESSAGE_LEN_MAX;
use crate::problem::{Code, Problem};

/// Whom a message is for: everybody, or whom all ids that are given describe.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub user_id: Option<Label>,
    pub device_id: Option<Label>,
    pub client_id: Option<Label>,
}

pub fn send(book: &Book, caller: Caller, name: ChannelName, scope: &Scope, payload: Payload) -> Decision {
    let (channel, seat) = seated(book, caller.client, name)?;
    if !seat.rights.send_messages {
        return Err(refuse(Code::MessageForbidden));
    }
    check(&payload)?;
    let from = book.client(caller.client).ok_or_else(|| refuse(Code::NotRegistered))?.member.clone();
    let event = Event::Message { channel: channel.channel.clone(), from, to_all: scope.is_all(), payload };
    let mut effects = Vec::new();
    if scope.is_all() {
        effects.push(Effect::Announce { channel, about: About::Messages, but: None, event });
    } else {
        let seats = book.channel(&channel).into_iter().flat_map(|channel| channel.seats.keys());
        let meant = seats.filter(|key| book.client(**key).is_some_and(|client| scope.describes(&client.member)));
        effects.extend(meant.map(|key| Effect::Tell(*key, event.clone())));
    }
    effects.push(Effect::Answer(caller, Ok(Reply::Done)));
    Ok(effects)
}

fn check(payload: &Payload) -> Result<(), Problem> {
    let len = match payload {
        Payload::Text(text) => text.len(),
        Payload::Data(text) if text.len() > MESSAGE_LEN_MAX.div_ceil(3) * 4 => text.len(),
        Payload::Data(text) => BASE64_STANDARD.decode(text).map_err(|_| refuse(Code::MessageInvalid))?.len(),
    };
    if len > MESSAGE_LEN_MAX { Err(refuse(Code::MessageTooLarge)) } else { Ok(()) }
}

impl Scope {
    fn is_all(&self) -> bool {
        self.user_id.is_none() && self.device_id.is_none() && self.client_id.is_none()
    }

    fn describes(&self, member: &Member) -> bool {
        let ids = [
            (&self.user_id, &member.user_id),
            (&self.device_id, &member.device_id),
            (&self.client_id, &member.client_id),
        ];
        ids.into_iter().all(|(wanted, own)| wanted.as_ref().is_none_or(|wanted| wanted == own))
    }
}
