//! Redundant audio (RFC 2198) towards viewers who know it, and those who do not.

use std::collections::BTreeSet;
use std::time::Duration;

use tidewire_core::count::Counter;
use tidewire_core::machine::Machine;
use tidewire_core::sim::{Link, Viewer};

use crate::call::{Call, Wishes};
use crate::sealed::{Seen, note};
use crate::stage::{Speaker, run, with_redundancy};

const LOSSY: Link =
    Link { loss: 50_000, doubling: 0, delay: Duration::from_millis(5), jitter: Duration::from_millis(5), ..Link::NONE };

#[test]
fn a_publisher_with_redundancy_is_heard_by_everybody_and_each_nonce_seals_one_packet() {
    let mut call = Call::new(5, LOSSY);
    call.world.sent = Some(Vec::new());
    let mut speaker = Speaker::join(&mut call, "main");
    // By their order: without it, with it, and with it and another number for Opus.
    call.watch("sea", Wishes::default());
    call.watch_by("sea", Wishes::default(), |offer| with_redundancy(&offer));
    call.watch_by("sea", Wishes::default(), |offer| with_redundancy(&offer).replace("111", "109"));
    run(&mut call, 1000);
    let mut seen = Seen::new();
    for step in 0..1000 {
        speaker.is_redundant = step % 100 < 80;
        speaker.say(&mut call, 30);
        run(&mut call, 20);
        note(&mut seen, call.world.sent.replace(Vec::new()).unwrap());
    }
    run(&mut call, 1000);
    note(&mut seen, call.world.sent.replace(Vec::new()).unwrap());
    let viewers: Vec<&Viewer> = call.world.viewers().skip(1).collect();
    // The viewers of the simulator read Opus alone, and take what has blocks for damaged.
    let came = |viewer: &Viewer| viewer.log.iter().map(|one| one.content.number).collect::<BTreeSet<_>>();
    // Nobody can miss what was lost before the first packet that came, or behind the last.
    let heard = came(viewers[0]);
    let (first, last) = (heard.first().unwrap(), heard.last().unwrap());
    assert_eq!((last - first + 1, viewers[0].damaged), (heard.len() as u64, 0));
    assert!(heard.len() >= 998, "{}", heard.len());
    for viewer in &viewers[1..] {
        let (plain, redundant) = (came(viewer).len() as u64, viewer.damaged);
        assert!((198..=200).contains(&plain) && (998..=1000).contains(&(plain + redundant)), "{plain}, {redundant}");
    }
    assert!(call.world.machine.tally().of(Counter::Repaired) > 50);
}
