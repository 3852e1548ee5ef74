//! The requests about downstreams that the server offers: offered, changed, answered, restarted.
//!
//! What such a connection carries is its `Offering`'s; here that is joined to channels, credentials, SDP and commands. A shard
//! hears of the connection with the client's first answer, and from then on of what begins and ends.

use tidewire_core::id::{ChannelKey, ConnectionId, ConnectionKey};
use tidewire_core::limits::WANTS_MAX;
use tidewire_core::message::media::Preference;
use tidewire_core::message::{ErrorCode, Response, Want};
use tidewire_core::negotiate::{Local, offer_downstream};

use super::offering::{Change, NotTaken, Offering, Stage, Taken};
use super::ssrcs::Ssrcs;
use super::{Control, Entry, Handled, Purpose, cname, mismatch, random, unknown};
use crate::command::{Command, OpenDownstream, Tells};

impl Control {
    pub(super) fn offer_downstream(
        &mut self,
        connection: ConnectionKey,
        channel: ChannelKey,
        wants: &[Want],
    ) -> Handled {
        if wants.len() > WANTS_MAX {
            return too_many();
        }
        let (shard, id) = match self.take_slot(connection, &channel) {
            Ok(taken) => taken,
            Err((code, detail)) => return Handled::refused(code, detail),
        };
        let local = self.credentials(shard, id, 0);
        let session = self.channels.enter(&channel, shard);
        let ssrcs = Ssrcs::new(random(&mut self.entropy));
        let offering = Offering::new(session, local, random(&mut self.entropy) >> 1, ssrcs);
        let purpose = Purpose::Offered(Box::new(offering));
        self.connections.insert(connection, Entry { shard, id, channel, purpose, restarts: 0 });
        self.change_downstream(connection, wants)
    }

    /// What is wanted no longer is not sent from now on; what is new is sent once the client has answered.
    pub(super) fn change_downstream(&mut self, connection: ConnectionKey, wants: &[Want]) -> Handled {
        if wants.len() > WANTS_MAX {
            return too_many();
        }
        let Self { connections, channels, entropy, shards, .. } = self;
        let Some(entry) = connections.get_mut(&connection) else { return unknown() };
        let Purpose::Offered(offering) = &mut entry.purpose else { return not_offered() };
        let watch = |media_id: &_| channels.watch(&entry.channel, media_id, || cname(entropy));
        let Some(Change { ended, left }) = offering.want(wants, watch) else {
            return Handled { response: Response::Unchanged, commands: Vec::new() };
        };
        for media_id in &left {
            channels.unwatch(&entry.channel, media_id);
        }
        let change = Command::ChangeDownstream { connection: entry.id, ended, begun: Vec::new() };
        let commands = if is_idle(&change) { Vec::new() } else { vec![(shards[entry.shard].plan.shard, change)] };
        Handled { response: self.offer(connection), commands }
    }

    pub(super) fn answer_downstream(&mut self, connection: ConnectionKey, revision: u32, answer: &str) -> Handled {
        let Some(entry) = self.connections.get_mut(&connection) else { return unknown() };
        let Purpose::Offered(offering) = &mut entry.purpose else { return not_offered() };
        let taken = match offering.take(revision, answer) {
            Ok(taken) => taken,
            Err(error @ NotTaken::Outdated) => return Handled::refused(ErrorCode::AnswerOutdated, error),
            Err(error) => return Handled::refused(ErrorCode::AnswerInvalid, error),
        };
        let shard = self.shards[entry.shard].plan.shard;
        let commands = commands(entry.id, offering, taken).into_iter().map(|command| (shard, command)).collect();
        Handled { response: Response::Answered, commands }
    }

    /// Wishes are noted where the part is, so that a stream which begins later begins with them.
    pub(super) fn prefer(&mut self, connection: ConnectionKey, wishes: Vec<Preference>) -> Handled {
        let Some(entry) = self.connections.get_mut(&connection) else { return unknown() };
        let Purpose::Offered(offering) = &mut entry.purpose else { return not_offered() };
        if let Some(stranger) = wishes.iter().find(|wish| !offering.carries_video(&wish.media_id)) {
            let detail = format!("{} is not a video that this downstream carries", stranger.media_id);
            return Handled::refused(ErrorCode::NotWanted, detail);
        }
        let wishes: Vec<_> = wishes.into_iter().filter_map(|one| offering.prefer(&one.media_id, one.wish)).collect();
        let command = Command::Prefer { connection: entry.id, wishes };
        let shard = self.shards[entry.shard].plan.shard;
        Handled { response: Response::Noted, commands: vec![(shard, command)] }
    }

    pub(super) fn restart_downstream(&mut self, connection: ConnectionKey) -> Handled {
        let Some(entry) = self.connections.get_mut(&connection) else { return unknown() };
        if !matches!(entry.purpose, Purpose::Offered(_)) {
            return not_offered();
        }
        entry.restarts = entry.restarts.wrapping_add(1);
        let (shard, id, restarts) = (entry.shard, entry.id, entry.restarts);
        let local = self.credentials(shard, id, restarts);
        if let Some(Entry { purpose: Purpose::Offered(offering), .. }) = self.connections.get_mut(&connection) {
            offering.restart(local);
        }
        Handled { response: self.offer(connection), commands: Vec::new() }
    }

    /// The newest offer of a downstream, written.
    fn offer(&self, connection: ConnectionKey) -> Response {
        let Some(Entry { shard, purpose: Purpose::Offered(offering), .. }) = self.connections.get(&connection) else {
            return unknown().response;
        };
        let local = Local {
            credentials: &offering.local,
            fingerprint: &self.fingerprint,
            candidates: &self.shards[*shard].plan.candidates,
            session_id: offering.session_id,
        };
        let offer = offer_downstream(&local, offering.revision, &offering.own_sections());
        Response::Offered { revision: offering.revision, offer, sections: offering.carriers() }
    }
}

/// What a shard is told of an answer.
fn commands(connection: ConnectionId, offering: &Offering, taken: Taken) -> Vec<Command> {
    let Taken { remote, fingerprint, stage, ended, begun } = taken;
    let local = offering.local.clone();
    let mut commands = Vec::new();
    match stage {
        Stage::Opens => {
            let session = offering.session;
            let (streams, tells) = (begun, Tells::Layers);
            let open = OpenDownstream { connection, session, local, remote, fingerprint, streams, tells };
            return vec![Command::OpenDownstream(Box::new(open))];
        }
        Stage::Restarts => commands.push(Command::Restart { connection, local, remote }),
        Stage::Continues => {}
    }
    let change = Command::ChangeDownstream { connection, ended, begun };
    if !is_idle(&change) {
        commands.push(change);
    }
    commands
}

/// Whether a change changes nothing for the shard.
fn is_idle(change: &Command) -> bool {
    matches!(change, Command::ChangeDownstream { ended, begun, .. } if ended.is_empty() && begun.is_empty())
}

fn too_many() -> Handled {
    Handled::refused(ErrorCode::TooManyWants, format!("one downstream carries at most {WANTS_MAX} media ids"))
}

fn not_offered() -> Handled {
    mismatch("the client offers on this connection, not the server")
}
