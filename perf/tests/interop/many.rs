//! One downstream of str0m's that carries two dozen upstreams, most of which come and go: those that stay notice nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tidewire_perf::client::publisher::Track;
use tidewire_perf::client::{Client, Profile, wait};
use tidewire_perf::clock;
use tidewire_perf::server::{Io, Server};

use crate::crowd::{Crowd, number_of};
use crate::member::Member;
use crate::scene::CHANNEL;
use crate::watcher::{Pauses, Watcher};

const UPSTREAMS: usize = 24;
const STAY: usize = 4;
const CHANGES: usize = 200;
/// What changes may cost those who stay, beyond what the machine does to them anyway.
const PAUSE_MAX: Duration = Duration::from_millis(400);
const NAP: Duration = Duration::from_millis(5);

#[test]
fn str0m_hears_every_packet_of_those_who_stay_while_others_come_and_go() -> Result<()> {
    let server = Server::start(&Server::default_binary(), Io::Uring, None, &[])?;
    let client = Client::new(&server.base(), &server.token(CHANNEL)?, Profile::AeadAes128Gcm)?;
    let crowd = Crowd::start(&client, CHANNEL, UPSTREAMS)?;
    let member = Member::register(server.http, &server.register_token(CHANNEL)?)?;
    let stay: BTreeSet<usize> = (0..STAY).collect();
    let mut watcher = Watcher::open(member, CHANNEL, stay.clone())?;
    watcher.turn_until("those who stay", |watcher| heard(watcher) == stay)?;

    let seed = clock::unix_ns();
    eprintln!("seed {seed}");
    let changing = Measured::of(&mut watcher, &server, |watcher| change(watcher, &stay, Dice(seed)))?;
    ensure!(heard(&watcher) == everybody(), "some were never heard: {:?}", heard(&watcher));
    // As many as were there at any time on average, so that forwarding costs what it cost.
    watcher.want(half())?;
    watcher.settle()?;
    let resting = Measured::of(&mut watcher, &server, |watcher| watcher.turn_for(changing.length))?;
    report(&watcher, &changing, &resting);
    let lately_ns = clock::unix_ns() - changing.length.as_nanos() as u64 / 2;
    assert_eq!(watcher.heard_since(lately_ns), half(), "what is not wanted is not sent");

    // A time is asserted here, since that nobody notices is the promise. It is held against the same machine without changes
    // and against the lateness of the publishers and of a thread that only sleeps, since none of it is the server's doing.
    let due = resting.pauses.heard.max(changing.pauses.sent) + changing.oversleep;
    assert!(changing.pauses.heard <= due + PAUSE_MAX, "{changing:?}, at rest {resting:?}");
    assert!(watcher.sections <= 2 * UPSTREAMS + 2, "{} sections: they are not used again", watcher.sections);
    let publishers = crowd.finish()?;
    for track in publishers[..STAY].iter().flat_map(|publisher| &publisher.tracks) {
        watcher.turn_until("the last packet", |watcher| is_whole(watcher, track))?;
    }
    assert_faultless(&watcher);
    let log = server.log();
    let is_calm = server.stop()?.success() && !log.contains("panicked") && !log.contains("ERROR");
    ensure!(is_calm, "the server's log:\n{log}");
    Ok(())
}

/// Every stream, however short, was in order and nothing but what was sent.
fn assert_faultless(watcher: &Watcher) {
    let broken: Vec<_> = watcher.streams.iter().filter(|(_, heard)| heard.breaks > 0).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!((watcher.mismatches, watcher.strays), (0, 0));
}

/// What a stretch of time was like for those who stay, and what it cost.
#[derive(Debug)]
struct Measured {
    length: Duration,
    pauses: Pauses,
    cpu: Duration,
    /// How late a thread came that only sleeps: what the machine does to anybody.
    oversleep: Duration,
}

impl Measured {
    fn of(watcher: &mut Watcher, server: &Server, play: impl FnOnce(&mut Watcher) -> Result<()>) -> Result<Self> {
        let stay = (0..STAY).collect();
        watcher.take_pauses(&stay);
        let (start, cpu_ns) = (Instant::now(), server.cpu_ns()?);
        let is_over = AtomicBool::new(false);
        let oversleep = thread::scope(|scope| {
            let sleeper = scope.spawn(|| oversleep_until(&is_over));
            let played = play(watcher);
            is_over.store(true, Ordering::Relaxed);
            played.and(sleeper.join().ok().context("the sleeper went on to the end")?)
        })?;
        let cpu = Duration::from_nanos(server.cpu_ns()?.saturating_sub(cpu_ns));
        Ok(Self { length: start.elapsed(), pauses: watcher.take_pauses(&stay), cpu, oversleep })
    }
}

/// Sleeps a little, again and again; the most that one sleep was longer than it should have been.
fn oversleep_until(is_over: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let start = Instant::now();
        wait::readable([], NAP)?;
        longest = longest.max(start.elapsed().saturating_sub(NAP));
    }
    Ok(longest)
}

/// Has everybody come, then others come and go, up to three changes at a time before anything was answered.
fn change(watcher: &mut Watcher, stay: &BTreeSet<usize>, mut dice: Dice) -> Result<()> {
    watcher.want(everybody())?;
    watcher.settle()?;
    watcher.turn_until("everybody", |watcher| heard(watcher) == everybody())?;
    // A section is free for another once the client has answered that it is. With some free, none has to be added.
    let mut wanted = half();
    watcher.want(wanted.clone())?;
    watcher.settle()?;
    let mut left = CHANGES - 2;
    while left > 0 {
        let at_once = left.min(1 + dice.below(3));
        for _ in 0..at_once {
            for _ in 0..1 + dice.below(4) {
                toggle(&mut wanted, STAY + dice.below(UPSTREAMS - STAY));
            }
            watcher.want(wanted.clone())?;
            watcher.turn_for(Duration::from_millis(dice.below(6) as u64))?;
        }
        left -= at_once;
        watcher.settle()?;
        watcher.turn_for(Duration::from_millis(20 + dice.below(60) as u64))?;
    }
    ensure!(stay.is_subset(&wanted), "those who stay were wanted all the time");
    Ok(())
}

fn toggle(wanted: &mut BTreeSet<usize>, number: usize) {
    if !wanted.remove(&number) {
        wanted.insert(number);
    }
}

fn everybody() -> BTreeSet<usize> {
    (0..UPSTREAMS).collect()
}

/// Those who stay, and half of the others.
fn half() -> BTreeSet<usize> {
    (0..STAY + (UPSTREAMS - STAY) / 2).collect()
}

fn heard(watcher: &Watcher) -> BTreeSet<usize> {
    watcher.streams.values().map(|heard| number_of(heard.stream)).collect()
}

/// Whether a track came under one number all the time, up to the last packet that was sent.
fn is_whole(watcher: &Watcher, track: &Track) -> bool {
    let mut streams = watcher.streams.values().filter(|heard| heard.stream == track.ssrc);
    streams.next().is_some_and(|heard| heard.next == track.sent) && streams.next().is_none()
}

fn report(watcher: &Watcher, changing: &Measured, resting: &Measured) {
    let Measured { length, pauses: Pauses { heard, sent }, cpu, oversleep } = changing;
    eprintln!(
        "{CHANGES} changes in {length:.1?}, {} answers outdated; {} media sections",
        watcher.outdated, watcher.sections
    );
    let rest = resting.pauses;
    eprintln!("longest pause of those who stay, in hearing: {heard:.1?}, without changes {:.1?}", rest.heard);
    eprintln!("the publishers' own, in sending: {sent:.1?}, without changes {:.1?}", rest.sent);
    eprintln!("a thread that only sleeps was late by {oversleep:.1?}, without changes {:.1?}", resting.oversleep);
    let signalling = cpu.saturating_sub(resting.cpu) / CHANGES as u32;
    eprintln!("server CPU: {signalling:.1?} a change ({cpu:.1?}, without changes {:.1?})", resting.cpu);
}

/// SplitMix64: the same seed, the same changes.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % bound as u64) as usize
    }
}
