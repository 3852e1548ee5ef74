//! What a client knows of a channel, from what it found and what it heard, is what the book says.

use tidewire_core::message::client::{Channel, Member, Upstream};
use tidewire_core::random::Seeded;

use super::*;
use crate::limits::EXPIRED_AT_ONCE_MAX;

/// A channel as one client has put it together.
#[derive(Debug, Default, PartialEq)]
struct Model {
    members: BTreeMap<Label, Member>,
    upstreams: BTreeMap<UpstreamId, Upstream>,
}

impl From<Channel> for Model {
    fn from(channel: Channel) -> Self {
        Self {
            members: channel.members.into_iter().map(|member| (member.client_id.clone(), member)).collect(),
            upstreams: channel.upstreams.into_iter().map(|upstream| (upstream.upstream, upstream)).collect(),
        }
    }
}

type Models = BTreeMap<ChannelName, Model>;

fn learn(models: &mut Models, told: Told) {
    match told {
        Told::Reply { reply: Reply::Registered { channels, .. }, .. } => {
            models.extend(channels.into_iter().map(|channel| (channel.channel.clone(), channel.into())));
        }
        Told::Reply { reply: Reply::Joined { channel }, .. } | Told::Event { event: Heard::State { channel } } => {
            models.insert(channel.channel.clone(), channel.into());
        }
        Told::Event { event } => learn_event(models, event),
        _ => {}
    }
}

fn learn_event(models: &mut Models, event: Heard) {
    match event {
        Heard::Joined { channel, member } => {
            let known = models.get_mut(&channel).unwrap().members.insert(member.client_id.clone(), member);
            assert_eq!(known, None, "joined twice");
        }
        Heard::Updated { channel, member } => {
            models.get_mut(&channel).unwrap().members.insert(member.client_id.clone(), member).expect("known");
        }
        Heard::Left { channel, client_id, .. } => {
            models.get_mut(&channel).unwrap().members.remove(&client_id).expect("known");
        }
        Heard::UpstreamOpened { channel, upstream } => {
            let known = models.get_mut(&channel).unwrap().upstreams.insert(upstream.upstream, upstream);
            assert_eq!(known, None, "opened twice");
        }
        Heard::UpstreamUpdated { channel, upstream } => {
            models.get_mut(&channel).unwrap().upstreams.insert(upstream.upstream, upstream).expect("known");
        }
        Heard::UpstreamClosed { channel, upstream, .. } => {
            models.get_mut(&channel).unwrap().upstreams.remove(&upstream).expect("known");
        }
        Heard::Kicked { channel, .. } => drop(models.remove(&channel).unwrap()),
        _ => {}
    }
}

/// A run of whatever clients and media servers do.
struct Life {
    scene: Scene,
    random: Seeded,
    models: BTreeMap<LinkKey, Models>,
}

impl Life {
    fn step(&mut self) {
        let book = self.scene.hall.book();
        let has_socket = |key: &LinkKey| book.client(*key).is_some_and(|client| client.lease.is_none());
        let clients: Vec<_> = book.client_keys().filter(has_socket).collect();
        let Some(client) = clients.get(self.random.below(clients.len().max(1) as u64) as usize).copied() else {
            return self.come();
        };
        let channel = ["sea", "lake"][self.random.below(2) as usize];
        let connections: Vec<_> = self.scene.hall.book().connections().map(|(key, _)| key).collect();
        let connection = connections.get(self.random.below(connections.len().max(1) as u64) as usize).copied();
        match self.random.below(20) {
            0..4 => self.come(),
            4 => drop(self.scene.ask(client, json!({"type": "unregister"}))),
            5 => self.join(client, channel),
            6 => self.leave(client, channel),
            7 => drop(self.scene.ask(client, json!({"type": "update", "tag": self.random.below(9).to_string()}))),
            8..11 => drop(self.scene.ask(client, json!({"type": "openUpstream", "channel": channel, "offer": OFFER}))),
            11..15 => {
                connection.into_iter().for_each(|connection| self.scene.hall.event(&Event::Connected { connection }))
            }
            15 => connection.into_iter().for_each(|connection| {
                self.scene.hall.event(&Event::Closed { connection, reason: CloseReason::PeerClosed });
            }),
            16 => connection.into_iter().for_each(|connection| {
                drop(
                    self.scene
                        .ask(client, json!({"type": "updateUpstream", "connection": connection, "videoMuted": true})),
                );
            }),
            17 => self.kick(client, channel),
            18 => self.scene.hall.hang(client, 1, self.scene.now),
            _ if self.random.below(20) == 0 => self.scene.hall.media_lost(),
            _ => {
                self.scene.now += LEASE;
                self.scene.hall.tick(self.scene.now);
            }
        }
        self.scene.serve();
    }

    fn come(&mut self) {
        let user = format!("user{}", self.random.below(8));
        let claim = |random: &mut Seeded, channel: &str| ChannelClaim {
            can_kick: true,
            enable_hidden_observer_mode: random.below(6) == 0,
            disable_remote_client_events: random.below(8) == 0,
            disable_remote_upstream_connection_events: random.below(8) == 0,
            ..claim(channel)
        };
        let claims = vec![claim(&mut self.random, "sea"), claim(&mut self.random, "lake")];
        self.scene.client(&user, claims);
    }

    fn join(&mut self, client: LinkKey, channel: &str) {
        let claims = Claims::join(claim(channel));
        // Its answer is looked at with what comes behind it.
        self.scene.put(client, json!({"type": "join", "token": "t"}), Some(claims));
    }

    fn leave(&mut self, client: LinkKey, channel: &str) {
        let left = self.scene.ask(client, json!({"type": "leave", "channel": channel}));
        self.look();
        if left.is_ok() {
            self.models.get_mut(&client).unwrap().remove(&ChannelName::new(channel).unwrap());
        }
    }

    fn kick(&mut self, client: LinkKey, channel: &str) {
        let whom = format!("user{}-1", self.random.below(8));
        drop(self.scene.ask(client, json!({"type": "kick", "channel": channel, "clientId": whom})));
    }

    fn look(&mut self) {
        self.scene.deliver();
        for (client, (_, told)) in &mut self.scene.clients {
            told.drain(..).for_each(|told| learn(self.models.entry(*client).or_default(), told));
        }
    }

    /// Every client with a socket knows its channels as the book does.
    fn check(&mut self, seed: u64) {
        self.look();
        let book = self.scene.hall.book();
        for key in book.client_keys().filter(|key| book.client(*key).is_some_and(|client| client.lease.is_none())) {
            let client = book.client(key).unwrap();
            let truth: Models = client
                .channels
                .iter()
                .map(|channel| {
                    let seat = book.seat(key, channel).unwrap();
                    (channel.channel.clone(), channels::snapshot(book, channel, seat, key).into())
                })
                .collect();
            assert_eq!(self.models[&key], truth, "seed {seed}, {}", client.member.client_id);
        }
    }
}

#[test]
fn snapshots_and_events_add_up_to_the_book() {
    for seed in 0..30 {
        let mut life = Life { scene: Scene::new(), random: Seeded::new(seed), models: BTreeMap::new() };
        for _ in 0..400 {
            life.step();
            life.check(seed);
        }
        let keys: Vec<_> = life.scene.hall.book().client_keys().collect();
        for client in keys {
            life.scene.hall.violate(client);
        }
        life.scene.hall.media_lost();
        let Figures { clients, channels, connections, .. } = life.scene.hall.figures();
        assert_eq!((clients, channels, connections), (0, 0, 0), "seed {seed}: nothing is left behind");
    }
}

#[test]
fn who_registers_anew_takes_its_own_place() {
    let mut scene = Scene::new();
    let old = scene.client("alice", vec![claim("sea")]);
    let (connection, _) = scene.published(old, "sea", None);
    scene.heard(old);
    let new = scene.client("alice", vec![claim("sea")]);
    scene.collect();
    assert_eq!(scene.heard(old).last(), Some(&Told::Ended { reason: EndReason::Replaced }));
    assert!(scene.requests.contains(&Request::Close { connection }));
    let told = scene.heard(new);
    assert!(
        matches!(&told[..], [Told::Reply { reply: Reply::Registered { channels, .. }, .. }] if channels[0].members.is_empty())
    );
}

#[test]
fn ids_that_the_token_leaves_out_are_drawn() {
    let mut scene = Scene::new();
    let claims = Claims::register(Vec::new());
    let client = scene.registered(&claims).unwrap();
    let member = &scene.hall.book().client(client).unwrap().member;
    let ids = [&member.user_id, &member.device_id, &member.client_id].map(Label::as_str);
    assert!(ids.iter().all(|id| id.len() == 32) && ids[0] != ids[1] && ids[1] != ids[2]);
}

#[test]
fn client_lives_on_without_a_socket_for_its_lease_and_no_longer() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea")]);
    let bob = scene.client("bob", vec![claim("sea")]);
    scene.heard(bob);
    scene.hall.hang(alice, 1, scene.now);
    scene.hall.tick(scene.now + LEASE - std::time::Duration::from_millis(1));
    assert_eq!(scene.hall.resume(alice, 2, 1), Ok(1));
    scene.hall.tick(scene.now + LEASE);
    assert_eq!(scene.events(bob), [], "nobody saw that it was gone");
    scene.hall.hang(alice, 1, scene.now);
    scene.hall.tick(scene.now + LEASE);
    assert!(matches!(scene.events(bob)[..], [Heard::Left { reason: LeaveReason::LeaseExpired, .. }]));
    assert_eq!(scene.hall.resume(alice, 2, 1), Err(EndReason::ResumeUnknown));
}

#[test]
fn leases_that_end_together_end_so_many_at_a_time_and_are_told_to_those_who_are_left() {
    let mut scene = Scene::new();
    let witness = scene.client("witness", vec![claim("sea")]);
    let users = (0..EXPIRED_AT_ONCE_MAX + 6).map(|n| format!("user{n}"));
    let gone: Vec<_> = users.map(|user| scene.client(&user, vec![claim("sea")])).collect();
    scene.heard(witness);
    gone.into_iter().for_each(|client| scene.hall.hang(client, 1, scene.now));
    assert!(scene.hall.tick(scene.now + LEASE), "there are more");
    assert_eq!(
        (scene.hall.figures().clients, scene.hall.lines.len()),
        (7, 1),
        "nothing is kept for those who are next"
    );
    assert_eq!(scene.events(witness).len(), EXPIRED_AT_ONCE_MAX);
    assert!(!scene.hall.tick(scene.now + LEASE));
    assert_eq!((scene.hall.figures().clients, scene.events(witness).len()), (1, 6));
}

#[test]
fn who_did_not_read_is_told_how_much_it_lost_and_how_things_are() {
    let mut scene = Scene::new();
    let alice = scene.client("alice", vec![claim("sea"), claim("lake")]);
    let bob = scene.client("bob", vec![claim("sea")]);
    scene.heard(alice);
    let silent = scene.clients.remove(&alice).unwrap();
    for n in 0..1_500 {
        let request = if n % 3 == 0 {
            json!({"type": "update", "tag": n.to_string()})
        } else {
            json!({"type": "send", "channel": "sea", "text": "x"})
        };
        scene.ask(bob, request).unwrap();
    }
    scene.clients.insert(alice, silent);
    let told = scene.events(alice);
    let at = told.iter().position(|event| matches!(event, Heard::Lost { .. })).unwrap();
    let [Heard::Lost { messages, events }, Heard::State { .. }, Heard::State { channel }] = &told[at..] else {
        panic!("{:?}", &told[at..])
    };
    assert_eq!(at as u64 + messages + events, 1_500, "what was heard, and what was not");
    assert_eq!(channel.members[0].tag.as_ref().map(Label::as_str), Some("1497"));
    assert_eq!(scene.hall.figures().messages_given_up, *messages);
}
