use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::{ConnectionId, ShardId};
use crate::stun::{Outcome, REQUEST_LEN_MAX, RESPONSE_LEN_MAX, Request, Response};

const PASSWORD: &str = "server-password-of-some-length";
const START: Instant = Instant::from_millis(1_000);

#[test]
fn first_check_validates_and_selects() {
    let mut agent = agent();
    assert_eq!(agent.selected(), None);
    let answer = Check::on(path(1)).ask(&mut agent, START).unwrap();
    assert_eq!(answer.outcome, Outcome::Success(path(1).remote));
    assert_eq!(answer.events, [IceEvent::Validated(path(1)), IceEvent::Selected(path(1))]);
    assert!(agent.is_validated(&path(1)) && !agent.is_validated(&path(2)));
    assert_eq!(agent.selected(), Some(path(1)));
}

#[test]
fn repeated_check_changes_nothing_but_consent() {
    let mut agent = agent();
    Check::on(path(1)).ask(&mut agent, START).unwrap();
    let later = START + Duration::from_secs(5);
    assert_eq!(Check::on(path(1)).ask(&mut agent, later).unwrap().events, []);
    assert_eq!(agent.consent_deadline(), later + CONSENT_TIMEOUT);
}

#[test]
fn nomination_decides_and_a_later_one_replaces_it() {
    let mut agent = agent();
    Check::on(path(1)).ask(&mut agent, START).unwrap();
    assert_eq!(Check::on(path(2)).ask(&mut agent, START).unwrap().events, [IceEvent::Validated(path(2))]);
    assert_eq!(Check::on(path(2)).nominating().ask(&mut agent, START).unwrap().events, [IceEvent::Selected(path(2))]);
    assert_eq!(Check::on(path(1)).ask(&mut agent, START).unwrap().events, []);
    assert_eq!(agent.selected(), Some(path(2)));
    Check::on(path(1)).nominating().ask(&mut agent, START).unwrap();
    assert_eq!(agent.selected(), Some(path(1)));
}

#[test]
fn same_address_on_another_socket_is_another_path() {
    let mut agent = agent();
    Check::on(path(1)).ask(&mut agent, START).unwrap();
    assert!(!agent.is_validated(&Path { local: 1, ..path(1) }));
}

#[test]
fn wrong_password_changes_nothing() {
    let mut agent = agent();
    let check = Check { password: "guess", ..Check::on(path(1)) };
    assert_eq!(check.ask(&mut agent, START + Duration::from_secs(9)), Err(Discard::StunBadIntegrity));
    assert_eq!((agent.selected(), agent.consent_deadline()), (None, START + CONSENT_TIMEOUT));
}

#[test]
fn other_fragments_are_refused_before_the_integrity() {
    let mut agent = agent();
    let wrong_remote = Check { sender: "else", password: "guess", ..Check::on(path(1)) };
    let wrong_local = Check { receiver: "nobody", password: "guess", ..Check::on(path(1)) };
    assert_eq!(wrong_remote.ask(&mut agent, START), Err(Discard::StunUnknownUser));
    assert_eq!(wrong_local.ask(&mut agent, START), Err(Discard::StunUnknownUser));
}

#[test]
fn client_that_claims_to_be_controlled_is_told_the_role_conflict() {
    let mut agent = agent();
    let answer = Check { role: Role::Controlled(u64::MAX), ..Check::on(path(1)) }.ask(&mut agent, START).unwrap();
    assert_eq!(answer.outcome, Outcome::Error(487));
    assert_eq!((answer.events, agent.selected()), (vec![], None));
}

#[test]
fn answer_that_does_not_fit_changes_nothing() {
    let mut agent = agent();
    let mut bytes = [0; REQUEST_LEN_MAX];
    let len = Check::on(path(1)).write(&mut bytes);
    let binding = Binding::parse(&bytes[..len]).unwrap();
    assert_eq!(agent.handle(START, &path(1), &binding, &mut [0; 20]), Err(Discard::EgressFull));
    assert_eq!(agent.selected(), None);
}

#[test]
fn old_credentials_serve_until_the_first_check_with_new_ones() {
    let mut agent = agent();
    Check::on(path(1)).nominating().ask(&mut agent, START).unwrap();
    Check::on(path(2)).ask(&mut agent, START).unwrap();
    agent.restart(credentials("new!", "new-password"), credentials("NEW!", ""));
    assert_eq!(agent.selected(), Some(path(1)));

    let later = START + Duration::from_secs(20);
    assert_eq!(Check::on(path(1)).ask(&mut agent, later).unwrap().events, []);
    assert_eq!(agent.consent_deadline(), later + CONSENT_TIMEOUT);

    let renewed = Check { receiver: "new!", sender: "NEW!", password: "new-password", ..Check::on(path(2)) };
    assert_eq!(renewed.ask(&mut agent, later).unwrap().events, [IceEvent::Selected(path(2))]);
    assert_eq!(Check::on(path(1)).ask(&mut agent, later), Err(Discard::StunUnknownUser));
}

#[test]
fn old_and_new_fragments_do_not_mix() {
    let mut agent = agent();
    agent.restart(credentials("new!", "new-password"), credentials("NEW!", ""));
    let mixed = Check { receiver: "new!", password: "new-password", ..Check::on(path(1)) };
    assert_eq!(mixed.ask(&mut agent, START), Err(Discard::StunUnknownUser));
}

#[test]
fn restart_of_an_unused_restart_keeps_the_credentials_in_use() {
    let mut agent = agent();
    Check::on(path(1)).ask(&mut agent, START).unwrap();
    agent.restart(credentials("new1", "unused"), credentials("NEW1", ""));
    agent.restart(credentials("new2", "password-2"), credentials("NEW2", ""));
    assert!(Check::on(path(1)).ask(&mut agent, START).is_ok());
    let unused = Check { receiver: "new1", sender: "NEW1", password: "unused", ..Check::on(path(1)) };
    assert_eq!(unused.ask(&mut agent, START), Err(Discard::StunUnknownUser));
    let renewed = Check { receiver: "new2", sender: "NEW2", password: "password-2", ..Check::on(path(1)) };
    assert!(renewed.ask(&mut agent, START).is_ok());
}

#[test]
fn path_too_many_takes_the_place_of_the_oldest_that_is_not_selected() {
    let mut agent = agent();
    for port in 1..=PATHS_PER_CONNECTION_MAX as u16 {
        Check::on(path(port)).ask(&mut agent, START + Duration::from_millis(port.into())).unwrap();
    }
    let later = START + Duration::from_secs(1);
    Check::on(path(2)).ask(&mut agent, later).unwrap();
    let events = Check::on(path(99)).ask(&mut agent, later).unwrap().events;
    assert_eq!(events, [IceEvent::Forgotten(path(3)), IceEvent::Validated(path(99))]);
    assert_eq!((agent.paths().count(), agent.selected()), (PATHS_PER_CONNECTION_MAX, Some(path(1))));
}

#[test]
fn selected_path_that_is_checked_no_more_gives_way_to_one_that_is() {
    let mut agent = agent();
    Check::on(path(1)).nominating().ask(&mut agent, START).unwrap();
    let soon = START + CONSENT_TIMEOUT;
    assert_eq!(Check::on(path(2)).ask(&mut agent, soon).unwrap().events, [IceEvent::Validated(path(2))]);
    let late = soon + Duration::from_secs(1);
    assert_eq!(Check::on(path(2)).ask(&mut agent, late).unwrap().events, [IceEvent::Selected(path(2))]);
}

#[test]
fn forgotten_path_leaves_the_selection_to_the_last_one_checked() {
    let mut agent = agent();
    for port in 1..=3 {
        Check::on(path(port)).ask(&mut agent, START + Duration::from_millis(port.into())).unwrap();
    }
    assert_eq!(agent.forget(&path(2)), None);
    assert_eq!(agent.forget(&path(1)), Some(IceEvent::Selected(path(3))));
    assert_eq!(agent.forget(&path(3)), None);
    assert_eq!(agent.selected(), None);
}

#[test]
fn ufrag_of_another_server_is_nobodys() {
    let ufrag = Ufrags::new(&[1; 16]).encode(ShardId(0), ConnectionId { slot: 1, generation: 2 }, 0);
    assert_eq!(Ufrags::new(&[2; 16]).decode(&ufrag), None);
}

#[test]
fn password_is_as_long_as_it_has_to_be() {
    assert_eq!(password(&[0xff; 18]), "/".repeat(24));
}

proptest! {
    #[test]
    fn ufrag_names_its_owner(shard: u8, slot: u32, generation: u32, restart: u8) {
        let ufrags = Ufrags::new(&[7; 16]);
        let owner = (ShardId(shard), ConnectionId { slot, generation });
        let ufrag = ufrags.encode(owner.0, owner.1, restart);
        // RFC 8839 5.4: 4 to 256 ice-chars.
        prop_assert!(ufrag.len() == 22 && ufrag.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b)));
        prop_assert_eq!(ufrags.decode(&ufrag), Some(owner));
        prop_assert_ne!(&ufrags.encode(owner.0, owner.1, restart.wrapping_add(1)), &ufrag);
    }

    #[test]
    fn altered_ufrag_is_nobodys(slot: u32, at in 0usize..22, other in "[a-zA-Z0-9+/=:é]") {
        let ufrags = Ufrags::new(&[7; 16]);
        let mut ufrag = ufrags.encode(ShardId(0), ConnectionId { slot, generation: 0 }, 0);
        prop_assume!(ufrag[at..=at] != other);
        ufrag.replace_range(at..=at, &other);
        prop_assert_eq!(ufrags.decode(&ufrag), None);
    }

    #[test]
    fn any_text_is_decoded_without_panic(text in ".{0,64}") {
        prop_assert_eq!(Ufrags::new(&[7; 16]).decode(&text), None);
    }

    #[test]
    fn selected_path_is_always_validated(checks in prop::collection::vec((0u16..20, any::<bool>(), 0u64..40), 1..200)) {
        let mut agent = agent();
        let mut now = START;
        let mut indexed = std::collections::BTreeSet::new();
        for (port, nominating, seconds) in checks {
            now += Duration::from_secs(seconds);
            let check = if nominating { Check::on(path(port)).nominating() } else { Check::on(path(port)) };
            for event in check.ask(&mut agent, now).unwrap().events {
                match event {
                    IceEvent::Validated(path) => prop_assert!(indexed.insert(path.remote)),
                    IceEvent::Forgotten(path) => prop_assert!(indexed.remove(&path.remote)),
                    IceEvent::Selected(path) => prop_assert_eq!(agent.selected(), Some(path)),
                }
            }
            prop_assert!(agent.is_validated(&agent.selected().unwrap()));
            prop_assert_eq!(&agent.paths().map(|path| path.remote).collect::<std::collections::BTreeSet<_>>(), &indexed);
        }
    }
}

/// A client's check, right in everything that a test does not change.
struct Check {
    path: Path,
    receiver: &'static str,
    sender: &'static str,
    password: &'static str,
    role: Role,
    use_candidate: bool,
}

#[derive(Debug, PartialEq)]
struct Heard {
    outcome: Outcome,
    events: Vec<IceEvent>,
}

impl Check {
    fn on(path: Path) -> Self {
        let role = Role::Controlling(1);
        Self { path, receiver: "ours", sender: "THEIRS", password: PASSWORD, role, use_candidate: false }
    }

    fn nominating(self) -> Self {
        Self { use_candidate: true, ..self }
    }

    fn write(&self, out: &mut [u8]) -> usize {
        let request = Request {
            transaction: [5; 12],
            receiver_ufrag: self.receiver,
            sender_ufrag: self.sender,
            priority: 1,
            role: self.role,
            use_candidate: self.use_candidate,
        };
        request.write(self.password.as_bytes(), out).unwrap()
    }

    fn ask(&self, agent: &mut IceLite, now: Instant) -> Result<Heard, Discard> {
        let mut bytes = [0; REQUEST_LEN_MAX];
        let len = self.write(&mut bytes);
        let mut out = [0; RESPONSE_LEN_MAX];
        let answer = agent.handle(now, &self.path, &Binding::parse(&bytes[..len])?, &mut out)?;
        let response = Response::parse(&out[..answer.len]).unwrap();
        response.verify(self.password.as_bytes()).unwrap();
        assert_eq!(response.transaction, [5; 12]);
        Ok(Heard { outcome: response.outcome, events: answer.events.to_vec() })
    }
}

fn agent() -> IceLite {
    IceLite::new(credentials("ours", PASSWORD), credentials("THEIRS", "unused by a lite agent"), START)
}

fn credentials(ufrag: &str, password: &str) -> Credentials {
    Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() }
}

fn path(port: u16) -> Path {
    Path { local: 0, remote: SocketAddr::from(([192, 0, 2, 1], port)) }
}
