use tidewire_core::random::Seeded;

use super::*;

fn item(text: &str, kind: Kind) -> Item {
    Item { text: text.into(), kind }
}

/// The client's end: what it has seen, by the rules of the lane.
#[derive(Default)]
struct Reader {
    inbox: Inbox,
    heard: Vec<String>,
}

impl Reader {
    fn read(&mut self, frames: &[String]) {
        for frame in frames {
            let frame: serde_json::Value = serde_json::from_str(frame).unwrap();
            match self.inbox.take(frame["n"].as_u64().unwrap()) {
                Arrived::New => self.heard.push(frame["m"].to_string()),
                Arrived::Again => {}
                Arrived::Gap => panic!("a frame is missing before {frame}"),
            }
        }
    }
}

#[test]
fn frames_are_what_the_lane_writes() {
    let mut line = Line::new(1);
    line.push(item("1", Kind::Answer));
    line.push(item("2", Kind::Event));
    assert_eq!(line.take().frames, [r#"{"n":1,"seen":1,"m":1}"#, r#"{"n":2,"m":2}"#]);
    assert_eq!(line.acknowledgement(), None);
    line.arrived(2);
    assert_eq!(line.acknowledgement().as_deref(), Some(r#"{"seen":2}"#));
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let mut line = Line::new(1);
    line.push(item("1", Kind::Event));
    assert_eq!(line.acknowledge(1), Err(Strange));
    line.take();
    assert_eq!(line.acknowledge(1), Ok(()));
    assert_eq!(line.resume(2, 0), Err(Strange), "it is not kept any longer");
    assert_eq!(line.resume(2, 2), Err(Strange), "it was never sent");
    assert_eq!(line.resume(2, 1), Ok(1));
    assert!(line.is_on(2) && !line.is_on(1));
}

#[test]
fn client_that_takes_nothing_costs_the_bounds_and_no_more() {
    let mut line = Line::new(1);
    line.push(item("0", Kind::Answer));
    let mut given_up = (0, 0);
    for n in 0..10_000 {
        let kind = if n % 2 == 0 { Kind::Message } else { Kind::Event };
        let (messages, events) = line.push(item("1", kind));
        given_up = (given_up.0 + messages, given_up.1 + events);
        assert!(line.queue.len() <= LINE_FRAMES_MAX + 1);
    }
    assert_eq!((line.queue.len(), given_up), (1, (5_000, 5_000)), "the answer is kept");
    assert_eq!(line.caught_up(), None, "the answer is still to be taken");
    assert_eq!(line.take(), Taken { frames: vec![r#"{"n":1,"seen":1,"m":0}"#.into()], has_more: true, end: None });
    let lost = line.caught_up().unwrap();
    assert_eq!((lost.messages, lost.events), (5_000, 5_000));
    line.push(item("2", Kind::Event));
    assert_eq!(line.take().frames, [r#"{"n":2,"m":2}"#], "what was given up left no gap");
}

#[test]
fn messages_are_given_up_before_events() {
    let mut line = Line::new(1);
    for n in 0..LINE_FRAMES_MAX {
        assert_eq!(line.push(item("1", if n == 7 { Kind::Event } else { Kind::Message })), (0, 0));
    }
    assert_eq!(line.push(item("2", Kind::Event)), (LINE_FRAMES_MAX as u64 - 1, 0));
    assert_eq!(line.queue.len(), 2);
    assert_eq!(line.push(item("3", Kind::Message)), (1, 0), "until the client has caught up");
    assert_eq!(line.take().frames.len(), 2);
    assert_eq!(line.caught_up().map(|lost| (lost.messages, lost.events)), Some((LINE_FRAMES_MAX as u64, 0)));
    assert_eq!(line.push(item("4", Kind::Message)), (0, 0));
}

#[test]
fn large_items_count_by_their_bytes() {
    let mut line = Line::new(1);
    let large = "1".repeat(LINE_BYTES_MAX / 4);
    for _ in 0..4 {
        assert_eq!(line.push(item(&large, Kind::Event)), (0, 0));
    }
    assert_eq!(line.push(item("2", Kind::Event)), (0, 5));
    assert_eq!(line.held.events_bytes, 0);
}

#[test]
fn what_a_client_hears_of_its_own_takes_no_room_from_events() {
    let mut line = Line::new(1);
    line.push(item(&"1".repeat(LINE_BYTES_MAX), Kind::Own));
    assert_eq!(line.push(item("2", Kind::Event)), (0, 0), "while it waits");
    assert_eq!(line.take().frames.len(), 1);
    assert_eq!(line.push(item("3", Kind::Event)), (0, 0), "while it is on its way");
}

#[test]
fn newer_offer_or_demand_takes_the_place_of_one_that_was_not_sent() {
    let (one, other) = (ConnectionKey(1), ConnectionKey(2));
    for kind in [Kind::Offer, Kind::Demand] {
        let mut line = Line::new(1);
        for (text, key) in [("1", one), ("2", other), ("3", one)] {
            line.push(item(text, kind(key)));
        }
        let taken = line.take().frames;
        assert_eq!(taken, [r#"{"n":1,"seen":1,"m":2}"#, r#"{"n":2,"m":3}"#]);
        line.push(item("4", kind(one)));
        assert_eq!(line.take().frames.len(), 1, "what was sent is not taken back");
    }
}

#[test]
fn no_more_is_on_its_way_than_the_window_holds() {
    let mut line = Line::new(1);
    for _ in 0..WINDOW.frames_max + 10 {
        line.push(item("1", Kind::Event));
    }
    assert_eq!(line.take().frames.len(), WINDOW.frames_max);
    assert_eq!(line.take(), Taken::default(), "nothing more before an acknowledgement");
    line.acknowledge(5).unwrap();
    assert_eq!(line.take().frames.len(), 5);
}

#[test]
fn messages_and_requests_have_an_allowance() {
    let mut line = Line::new(1);
    let start = Instant::from_millis(1_000);
    assert_eq!((0..100).filter(|_| line.may_send(start)).count(), MESSAGES_BURST as usize);
    let later = start + MESSAGE_EVERY * 3;
    assert_eq!((0..100).filter(|_| line.may_send(later)).count(), 3);
    let mut line = Line::new(1);
    line.push(item("1", Kind::Answer));
    line.take();
    assert_eq!((0..REQUESTS_IN_FLIGHT_MAX + 1).filter(|_| line.admit(start)).count(), REQUESTS_IN_FLIGHT_MAX);
    assert!(!line.is_flooded());
    assert_eq!((0..REQUESTS_IN_FLIGHT_MAX).filter(|_| line.admit(start)).count(), 0);
    assert!(line.is_flooded());
}

#[test]
fn requests_are_refused_while_answers_that_were_not_taken_hold_too_much() {
    let mut line = Line::new(1);
    let now = Instant::from_millis(1_000);
    line.push(item(&"1".repeat(LINE_BYTES_MAX), Kind::Answer));
    assert!(line.admit(now), "one answer goes beyond the bound");
    line.push(item("2", Kind::Answer));
    assert!(!line.admit(now), "and no other");
    line.push(item("3", Kind::Answer));
    assert_eq!(line.take().frames.len(), 1);
    assert!(line.admit(now));
}

/// A line, and what its client has to hear in the end.
struct Run {
    line: Line,
    random: Seeded,
    sent: Vec<String>,
    pushed: u64,
    lost: u64,
    /// How often the client was told that something was lost.
    told: u64,
}

impl Run {
    fn say(&mut self) {
        let kind = [Kind::Answer, Kind::Own, Kind::Event, Kind::Event, Kind::Message][self.random.below(5) as usize];
        self.line.push(item(&self.pushed.to_string(), kind));
        self.pushed += 1;
    }

    fn take(&mut self) -> Vec<String> {
        if let Some(lost) = self.line.caught_up() {
            assert!(lost.messages + lost.events > 0);
            self.lost += lost.messages + lost.events;
            self.told += 1;
            self.line.push(item("\"lost\"", Kind::Own));
        }
        // What is numbered stays; behind it comes what the queue holds.
        self.sent.truncate(self.line.outbox.last() as usize);
        self.sent.extend(self.line.queue.iter().map(|item| item.text.to_string()));
        self.line.take().frames
    }
}

/// Sockets lost at any point, stalls of any length: the client hears what was sent, in order and once, and of what it did
/// not hear it is told how much that was.
#[test]
fn both_ends_have_one_history_whatever_happens_to_the_sockets() {
    for seed in 0..40 {
        let random = Seeded::new(seed);
        let mut run = Run { line: Line::new(0), random, sent: Vec::new(), pushed: 0, lost: 0, told: 0 };
        let mut reader = Reader::default();
        for socket in 1..1_000 {
            match run.random.below(100) {
                0..70 => run.say(),
                70..72 => (0..run.random.below(1_500)).for_each(|_| run.say()),
                72..76 => {
                    // Frames that the socket took, of which the last ones do not arrive.
                    let taken = run.take();
                    let arrived = run.random.below(taken.len() as u64 + 1) as usize;
                    reader.read(taken.get(..arrived).unwrap());
                    run.line.resume(socket, reader.inbox.seen()).unwrap();
                }
                76..90 => reader.read(&run.take()),
                _ => run.line.acknowledge(reader.inbox.seen()).unwrap(),
            }
        }
        while run.line.lost.is_some() || !run.line.queue.is_empty() || reader.heard.len() < run.sent.len() {
            reader.read(&run.take());
            run.line.acknowledge(reader.inbox.seen()).unwrap();
        }
        assert_eq!(reader.heard, run.sent, "seed {seed}");
        assert_eq!(reader.heard.len() as u64 - run.told + run.lost, run.pushed, "seed {seed}");
    }
}
