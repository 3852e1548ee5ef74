//! The hall through its own doors: requests in, frames out, with a media server that answers as it is told.

mod claims;
mod media;
mod moderation;
mod presence;
mod quality;
mod refusals;
mod speakers;
mod turns;
mod whitelists;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidewire_core::id::{ChannelName, Label, UpstreamId};
use tidewire_core::message::client::{Event as Heard, Reply, Told};
use tidewire_core::message::lane::Frame;
use tidewire_core::message::{ErrorCode, Section};

use super::*;
use crate::token::{ChannelClaim, TokenType};

const OFFER: &str = "v=0\r\nm=audio 9 X 111\r\na=mid:0\r\nm=video 9 X 96\r\n";
const PASSWORD: &str = "abcdefghijklmnopqrstuv";

/// A hall and those in it.
struct Scene {
    hall: Hall,
    drawn: u128,
    now: Instant,
    /// By client: the number of its last request, and what it was told and has not looked at.
    clients: BTreeMap<LinkKey, (u64, VecDeque<Told>)>,
    /// What the media server was asked, answered or not.
    requests: Vec<Request>,
    /// Questions that are not answered yet.
    open: VecDeque<(Request, Ticket)>,
    revisions: BTreeMap<ConnectionKey, u32>,
}

impl Scene {
    fn new() -> Self {
        Self {
            hall: Hall::new(Room { connections_max: 1_000 }),
            drawn: 0,
            now: Instant::from_millis(1_000),
            clients: BTreeMap::new(),
            requests: Vec::new(),
            open: VecDeque::new(),
            revisions: BTreeMap::new(),
        }
    }

    fn fresh(&mut self) -> Fresh {
        self.drawn += 4;
        Fresh([self.drawn - 3, self.drawn - 2, self.drawn - 1, self.drawn])
    }

    /// A client of this user, in these channels.
    fn client(&mut self, user: &str, claims: Vec<ChannelClaim>) -> LinkKey {
        self.registered(&token(TokenType::Register, user, claims)).unwrap()
    }

    fn registered(&mut self, claims: &Claims) -> Result<LinkKey, Code> {
        let fresh = self.fresh();
        let client = self.hall.register(claims, Introduction::default(), &fresh, 1);
        let client = client.map_err(|problem| problem.code)?;
        self.clients.insert(client, (1, VecDeque::new()));
        self.deliver();
        Ok(client)
    }

    /// Asks, lets the media server answer, and gives the answer; events wait to be looked at.
    fn ask(&mut self, client: LinkKey, request: Value) -> Result<Reply, String> {
        let n = self.put(client, request, None);
        self.serve();
        self.answer(client, n)
    }

    /// With a token that was verified before.
    fn ask_with(&mut self, client: LinkKey, request: Value, claims: Claims) -> Result<Reply, String> {
        let n = self.put(client, request, Some(claims));
        self.serve();
        self.answer(client, n)
    }

    fn put(&mut self, client: LinkKey, request: Value, claims: Option<Claims>) -> u64 {
        // Nobody here asks faster than is allowed, unless that is the question.
        self.now += std::time::Duration::from_millis(100);
        self.put_at_once(client, request, claims)
    }

    fn put_at_once(&mut self, client: LinkKey, request: Value, claims: Option<Claims>) -> u64 {
        let fresh = self.fresh();
        let request = serde_json::from_value(request).unwrap();
        let entry = self.clients.get_mut(&client).unwrap();
        entry.0 += 1;
        let n = entry.0;
        if self.hall.admit(client, n, Some(&request), self.now) {
            self.hall.handle(client, n, Ok(Asked { request, claims }), &fresh);
        }
        self.collect();
        n
    }

    /// The answer among what the client was told.
    fn answer(&mut self, client: LinkKey, n: u64) -> Result<Reply, String> {
        self.deliver();
        let told = &mut self.clients.get_mut(&client).unwrap().1;
        let at =
            told.iter().position(|told| matches!(told, Told::Reply { to, .. } | Told::Refused { to, .. } if *to == n));
        match told.remove(at.expect("answered")).unwrap() {
            Told::Reply { reply, .. } => Ok(reply),
            Told::Refused { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    /// What a client was told since it was last asked about.
    fn heard(&mut self, client: LinkKey) -> Vec<Told> {
        self.deliver();
        self.clients.get_mut(&client).unwrap().1.drain(..).collect()
    }

    fn events(&mut self, client: LinkKey) -> Vec<Heard> {
        let events = self.heard(client).into_iter().filter_map(|told| match told {
            Told::Event { event } => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// Takes what sockets would write, and acknowledges it.
    fn deliver(&mut self) {
        for (client, (_, told)) in &mut self.clients {
            loop {
                let taken = self.hall.take(*client, 1);
                for frame in &taken.frames {
                    let Frame { n, m, .. } = serde_json::from_str::<Frame<Told>>(frame).unwrap();
                    told.extend(m);
                    self.hall.acknowledge(*client, n.unwrap());
                }
                let ended = taken.end.filter(|reason| *reason != EndReason::SocketReplaced);
                if let Some(reason) = ended {
                    told.push_back(Told::Ended { reason });
                    self.hall.hang(*client, 1, self.now);
                }
                if ended.is_some() || taken.frames.is_empty() && !taken.has_more {
                    break;
                }
            }
        }
    }

    fn collect(&mut self) {
        while let Some((request, ticket)) = self.hall.poll_ask() {
            self.requests.push(request.clone());
            self.open.push_back((request, ticket));
        }
        while let Some(connection) = self.hall.poll_hang_up() {
            self.requests.push(Request::Close { connection });
        }
    }

    /// Answers everything, as a media server does that refuses nothing.
    fn serve(&mut self) {
        self.collect();
        while let Some((request, ticket)) = self.open.pop_front() {
            let response = self.response(&request);
            self.hall.settle(ticket, Ok(response));
            self.collect();
        }
    }

    fn refuse_next(&mut self, code: ErrorCode) {
        let (_, ticket) = self.open.pop_front().unwrap();
        self.hall.settle(ticket, Ok(Response::Refused { code, detail: String::new() }));
        self.collect();
    }

    fn response(&mut self, request: &Request) -> Response {
        match request {
            Request::OpenUpstream { .. } | Request::OpenDownstream { .. } => Response::Opened { answer: "v=0".into() },
            Request::OfferDownstream { connection, wants, .. } | Request::ChangeDownstream { connection, wants } => {
                let revision = self.revisions.entry(*connection).or_default();
                *revision += 1;
                let section = |want: &tidewire_core::message::Want| Section {
                    mid: "0".into(),
                    kind: if want.audio {
                        tidewire_core::codec::Kind::Audio
                    } else {
                        tidewire_core::codec::Kind::Video
                    },
                    media_id: want.media_id.clone(),
                };
                let sections = wants.iter().map(section).collect();
                Response::Offered { revision: *revision, offer: "v=0".into(), sections }
            }
            Request::RestartDownstream { .. } => {
                Response::Offered { revision: 99, offer: "v=0".into(), sections: Vec::new() }
            }
            Request::AnswerDownstream { .. } => Response::Answered,
            Request::Prefer { .. } | Request::Observe { .. } => Response::Noted,
            Request::Restart { .. } => {
                Response::Restarted { ufrag: "serv".into(), password: PASSWORD.into(), candidates: Vec::new() }
            }
            Request::Close { .. } => Response::Closed,
        }
    }

    /// An upstream of this client's, with its keys in.
    fn published(&mut self, client: LinkKey, channel: &str, media_id: Option<&str>) -> (ConnectionKey, UpstreamId) {
        let mut request = json!({"type": "openUpstream", "channel": channel, "offer": OFFER});
        if let Some(media_id) = media_id {
            request["mediaId"] = media_id.into();
        }
        let Ok(Reply::UpstreamOpened { connection, upstream, .. }) = self.ask(client, request) else { panic!() };
        self.hall.event(&Event::Connected { connection });
        (connection, upstream)
    }

    fn watching(&mut self, client: LinkKey, channel: &str, wants: Value) -> ConnectionKey {
        let request = json!({"type": "openDownstream", "channel": channel, "wants": wants});
        let Ok(Reply::DownstreamOpened { connection }) = self.ask(client, request) else { panic!() };
        connection
    }
}

fn claim(channel: &str) -> ChannelClaim {
    ChannelClaim::of(ChannelName::new(channel).unwrap())
}

fn token(kind: TokenType, user: &str, channels: Vec<ChannelClaim>) -> Claims {
    Claims {
        kind,
        user_id: Some(label(user)),
        client_id: Some(label(&format!("{user}-1"))),
        channels,
        ..Claims::default()
    }
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}
