//! A virtual viewer of many: the server offers, it answers, and follows what it was offered.

use tidewire_core::id::{ConnectionId, ConnectionKey, MediaId};
use tidewire_core::message::{Request, Response, Section, Want};
use tidewire_core::sim::{Actor, Client, Media, Viewer, announced, server_credentials};
use tidewire_sfu::Command;

use crate::call::{Call, Wishes, channel_key, key_of};

pub(crate) struct Guest {
    pub(crate) key: ConnectionKey,
    client: Client,
    id: Option<ConnectionId>,
    restarts: u8,
}

/// An offer of the server's that waits for its answer.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) revision: u32,
    pub(crate) offer: String,
    pub(crate) sections: Vec<Section>,
}

impl Pending {
    pub(crate) fn mids(&self) -> Vec<String> {
        self.sections.iter().map(|section| section.mid.clone()).collect()
    }
}

/// Audio and video of each of these.
pub(crate) fn wants(media_ids: &[&str]) -> Vec<Want> {
    media_ids
        .iter()
        .map(|media_id| Want { media_id: MediaId::new(media_id).unwrap(), audio: true, video: true })
        .collect()
}

#[track_caller]
fn offered(response: Response) -> Pending {
    let Response::Offered { revision, offer, sections } = response else { panic!("{response:?}") };
    Pending { revision, offer, sections }
}

impl Guest {
    /// Asks for a downstream of these, and has its offer.
    pub(crate) fn ask(call: &mut Call, channel: &str, media_ids: &[&str]) -> (Self, Pending) {
        let client = call.client(Wishes::default());
        let key = key_of(&client);
        let (channel, wants) = (channel_key(channel), wants(media_ids));
        let response = call.request(Request::OfferDownstream { connection: key, channel, wants });
        (Self { key, client, id: None, restarts: 0 }, offered(response))
    }

    /// The same, answered.
    pub(crate) fn join(call: &mut Call, channel: &str, media_ids: &[&str]) -> Self {
        let (mut guest, pending) = Self::ask(call, channel, media_ids);
        guest.answer(call, &pending);
        guest
    }

    /// Wants these from now on; nothing else.
    pub(crate) fn change(&self, call: &mut Call, wants: Vec<Want>) -> Pending {
        offered(call.request(Request::ChangeDownstream { connection: self.key, wants }))
    }

    /// Wants these from now on, and answers.
    pub(crate) fn turn_to(&mut self, call: &mut Call, media_ids: &[&str]) -> Pending {
        let pending = self.change(call, wants(media_ids));
        self.answer(call, &pending);
        pending
    }

    /// Asks for an ICE restart, and has its offer.
    pub(crate) fn restart(&mut self, call: &mut Call) -> Pending {
        self.restarts += 1;
        offered(call.request(Request::RestartDownstream { connection: self.key }))
    }

    /// The text of its answer.
    pub(crate) fn text(&self, pending: &Pending) -> String {
        self.client.answer_to(&pending.offer, self.restarts)
    }

    /// Follows an offer, and answers it.
    pub(crate) fn answer(&mut self, call: &mut Call, pending: &Pending) {
        if self.id.is_some() {
            let local = self.client.credentials(self.restarts);
            let remote = server_credentials(&pending.offer).unwrap();
            let viewer = self.viewer_mut(call);
            viewer.peer.restart(local, remote);
            viewer.follow(&announced(&pending.offer));
        }
        let (connection, revision, answer) = (self.key, pending.revision, self.text(pending));
        let handled = call.control.handle(Request::AnswerDownstream { connection, revision, answer });
        assert_eq!(handled.response, Response::Answered);
        for (_, command) in handled.commands {
            if let Command::OpenDownstream(open) = &command {
                self.id = Some(open.connection);
                let viewer = self.client.viewer(&pending.offer, call.server).unwrap();
                call.world.actors.push(Actor { connection: open.connection, media: Media::Views(viewer) });
            }
            call.world.command(command);
        }
    }

    pub(crate) fn viewer<'a>(&self, call: &'a Call) -> &'a Viewer {
        let own = call.world.actors.iter().find(|actor| Some(actor.connection) == self.id);
        match own.map(|actor| &actor.media) {
            Some(Media::Views(viewer)) => viewer,
            _ => panic!("the guest has no connection yet"),
        }
    }

    fn viewer_mut<'a>(&self, call: &'a mut Call) -> &'a mut Viewer {
        let own = call.world.actors.iter_mut().find(|actor| Some(actor.connection) == self.id);
        match own.map(|actor| &mut actor.media) {
            Some(Media::Views(viewer)) => viewer,
            _ => panic!("the guest has no connection yet"),
        }
    }
}
