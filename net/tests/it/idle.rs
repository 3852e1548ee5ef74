//! An idle shard sleeps: the CPU time of its thread over a second without traffic. The one place that asserts a time.

use std::time::{Duration, Instant};

use crate::echo::{Command, Event};
use crate::rig::{COMBINATIONS, PATIENCE, Rig};

fn cpu(rig: &Rig) -> Duration {
    rig.command(Command::Report);
    loop {
        if let Event::Report { cpu, .. } = rig.event() {
            return cpu;
        }
    }
}

#[test]
fn idle_shard_uses_less_than_a_hundredth_of_a_core() {
    for combination in COMBINATIONS {
        let rig = Rig::start(combination);
        let (since, before) = (Instant::now(), cpu(&rig));
        rig.command(Command::Timer(Duration::from_secs(1)));
        assert!(matches!(rig.events.recv_timeout(PATIENCE), Ok(Event::TimerFired(_))), "{}", rig.name);
        let (used, passed) = (cpu(&rig) - before, since.elapsed());
        println!("{}: {used:?} of CPU in {passed:?}", rig.name);
        assert!(used * 100 < passed, "{}: {used:?} of CPU in {passed:?}", rig.name);
        rig.stop();
    }
}
