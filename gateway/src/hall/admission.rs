//! Numbered frames of registered clients, in two steps, so that a token is verified between them: without the hall's
//! lock, and only for who may ask at all.
//!
//! [`Hall::admit`] looks at a frame's number and at its client's allowances, which costs next to nothing; [`Hall::handle`]
//! decides about what was admitted. Invariant: each frame that is new is answered once, by the one or by the other.

use tidewire_core::id::LinkKey;
use tidewire_core::message::client::Request;
use tidewire_core::message::lane::Arrived;
use tidewire_core::time::Instant;

use super::clients::Fresh;
use super::effects::{Caller, Effect};
use super::{Asked, Hall, refuse};
use crate::problem::{Code, Problem};

impl Hall {
    /// Whether a frame is to be handled: it is new, and its client may ask now. `request` is what it asks, as far as that
    /// could be read; its token has not been looked at.
    #[must_use]
    pub fn admit(&mut self, client: LinkKey, n: u64, request: Option<&Request>, now: Instant) -> bool {
        let Some(line) = self.lines.get_mut(&client).filter(|line| !line.has_ended()) else { return false };
        match line.arrived(n) {
            Arrived::New => {}
            // It was carried out when it came first, and its answer is on its way.
            Arrived::Again => return false,
            Arrived::Gap => {
                self.violate(client);
                return false;
            }
        }
        let has_room = line.admit(now);
        if line.is_flooded() {
            self.violate(client);
            return false;
        }
        let code = match request {
            _ if !has_room => Code::TooManyRequests,
            Some(request) if is_announced(request) && !line.may_send(now) => Code::TooManyMessages,
            _ => return true,
        };
        self.carry_out(vec![Effect::Answer(Caller { client, to: n }, Err(refuse(code)))]);
        false
    }

    /// A frame that was admitted. What cannot be read as a request, or has a token that is refused, comes as its refusal.
    pub fn handle(&mut self, client: LinkKey, n: u64, asked: Result<Asked, Problem>, fresh: &Fresh) {
        // It may have ended since.
        if self.lines.get(&client).is_none_or(|line| line.has_ended()) {
            return;
        }
        let caller = Caller { client, to: n };
        let decision = asked.and_then(|asked| self.decide(caller, asked, fresh));
        self.carry_out(decision.unwrap_or_else(|problem| vec![Effect::Answer(caller, Err(problem))]));
    }
}

/// Whether everybody in a channel may hear of a request that costs nothing else, or whoever asks hears of everybody.
/// Nobody leaves more often than it has joined.
fn is_announced(request: &Request) -> bool {
    use Request::{Join, Renew, Send, Update, UpdateUpstream};
    matches!(request, Send { .. } | Update { .. } | UpdateUpstream { .. } | Join { .. } | Renew { .. })
}
