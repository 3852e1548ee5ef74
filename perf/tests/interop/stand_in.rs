//! Our client and our load run against str0m in the server's place: no line of Tidewire is involved.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::{Client, Codec, Direction, Offer, Player, Profile, Publisher, wait};
use tidewire_perf::load::{Kind, Receivers, Rig, Running, Setup, Shape, Target};

use crate::fanout::{assert_whole, setup};
use crate::str0m_peer::Str0mPeer;

/// str0m behind a WHIP/WHEP endpoint that knows one call.
struct StandIn {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Packets that str0m has heard so far.
    heard: Arc<AtomicUsize>,
    thread: JoinHandle<Result<Str0mPeer>>,
}

impl StandIn {
    /// Serves one POST, then plays its part: hears until stopped or, for WHEP, sends `frames` frames of three packets.
    fn start(frames: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(AtomicUsize::new(0));
        let (flag, count) = (Arc::clone(&stop), Arc::clone(&heard));
        let thread = std::thread::spawn(move || {
            let mut peer = Str0mPeer::new(|config| config.set_ice_lite(true))?;
            serve_post(&listener, |_, offer| peer.answer(offer))?;
            let mut left = frames;
            while !flag.load(Ordering::Relaxed) {
                peer.wait(Duration::from_millis(2))?;
                peer.serve()?;
                count.store(peer.heard.len(), Ordering::Relaxed);
                if peer.connected && left > 0 {
                    left -= 1;
                    peer.send_frame("0".into(), 3, 1000)?;
                }
            }
            Ok(peer)
        });
        Ok(Self { address, stop, heard, thread })
    }

    fn finish(self) -> Result<Str0mPeer> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Reads one request and answers it. Returns its path.
fn serve_post(listener: &TcpListener, answer: impl FnOnce(&str, &str) -> Result<String>) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nonblocking(false)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut len = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            len = value.trim().parse()?;
        }
    }
    let mut offer = vec![0; len];
    reader.read_exact(&mut offer)?;
    let body =
        if request.starts_with("POST") { answer(&request, std::str::from_utf8(&offer)?)? } else { String::new() };
    let len = body.len();
    write!(stream, "HTTP/1.1 201 Created\r\nLocation: /s\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}")?;
    Ok(())
}

/// Serves WHIP and WHEP until stopped: one str0m publisher's packets go to every str0m viewer.
fn forward_until(stop: &AtomicBool, listener: &TcpListener) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mid = "0".into();
    let mut publisher = None;
    let mut viewers: Vec<Str0mPeer> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let sockets = viewers.iter().chain(&publisher).map(|peer: &Str0mPeer| peer.socket().as_fd());
        wait::readable(sockets.chain([listener.as_fd()]), Duration::from_millis(5))?;
        if wait::is_readable(listener)? {
            serve_post(listener, |request, offer| {
                let mut peer = Str0mPeer::new(|config| config.set_ice_lite(true))?;
                let answer = peer.answer(offer)?;
                peer.inbox = Some(Vec::new());
                if request.contains("/whip/") {
                    publisher = Some(peer)
                } else {
                    viewers.push(peer)
                }
                Ok(answer)
            })?;
        }
        let asked = |viewers: &[Str0mPeer]| viewers.iter().map(|viewer| viewer.key_frame_requests).sum::<u64>();
        let before = asked(&viewers);
        viewers.iter_mut().try_for_each(Str0mPeer::serve)?;
        let Some(publisher) = &mut publisher else { continue };
        if asked(&viewers) > before {
            publisher.request_key_frame(mid)?;
        }
        publisher.serve()?;
        for arrived in publisher.inbox.iter_mut().flat_map(std::mem::take) {
            viewers
                .iter_mut()
                .filter(|viewer| viewer.connected)
                .try_for_each(|viewer| viewer.forward(mid, &arrived.packet))?;
        }
    }
    Ok(())
}

#[test]
fn our_publisher_is_understood_by_str0m_in_every_profile() -> Result<()> {
    for profile in Profile::ALL {
        let stand_in = StandIn::start(0)?;
        let client = Client::new(&format!("http://{}", stand_in.address), "none", profile)?;
        let offer = Offer::of(Direction::Send, &[Codec::Vp8], Retransmission::Rtx, 1000);
        let mut publisher = Publisher::new(client.join("any", &offer)?, &offer)?;
        for _ in 0..50 {
            publisher.send_frame(0, 4, 1200, 0)?;
            wait::one_readable(&publisher, Duration::from_millis(2))?;
            publisher.serve(Instant::now())?;
        }
        wait::until("str0m to hear everything", Duration::from_secs(10), || {
            publisher.serve(Instant::now())?;
            Ok((stand_in.heard.load(Ordering::Relaxed) == 200).then_some(()))
        })?;
        let peer = stand_in.finish()?;
        assert_eq!((peer.heard.len(), peer.mismatches, peer.duplicates), (200, 0, 0), "{}", profile.name());
        assert!(peer.first.is_some_and(|first| first.position.key));
    }
    Ok(())
}

#[test]
fn our_player_understands_str0m_in_every_profile() -> Result<()> {
    for profile in Profile::ALL {
        let stand_in = StandIn::start(50)?;
        let client = Client::new(&format!("http://{}", stand_in.address), "none", profile)?;
        let offer = Offer::of(Direction::Receive, &[Codec::Vp8], Retransmission::Rtx, 0);
        let mut player = Player::new(client.join("any", &offer)?);
        let heard = wait_for(&mut player, 150).with_context(|| profile.name())?;
        assert!(
            heard,
            "{}: {:?}, {} garbage, {:?}",
            profile.name(),
            player.heard(1),
            player.garbage,
            player.mismatches
        );
        let heard = player.heard(1).unwrap();
        assert!(heard.is_faultless() && heard.lost() == 0 && player.mismatches.is_empty() && player.garbage == 0);
        stand_in.finish()?;
    }
    Ok(())
}

fn wait_for(player: &mut Player, packets: u64) -> Result<bool> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while player.packets(1) < packets {
        if Instant::now() > deadline {
            return Ok(false);
        }
        wait::one_readable(player, Duration::from_millis(10))?;
        player.serve(Instant::now())?;
    }
    Ok(true)
}

#[test]
fn a_load_run_finds_a_small_forwarder_of_str0m_whole() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let base = format!("http://{}", listener.local_addr()?);
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let forwarder = std::thread::spawn(move || forward_until(&flag, &listener));
    let setup = Setup { witnesses: 1, ..setup(Shape::broadcast(5), Receivers::Read) };
    let local_ip = [127, 0, 0, 1].into();
    let running = Running { base, token: "none".to_owned(), channel: "any".to_owned(), local_ip, pid: None };
    let mut rig = Rig::open(&Target { label: "str0m".to_owned(), kind: Kind::Running(running) }, &setup)?;
    let window = rig.measure(Duration::ZERO, Duration::from_secs(1), &mut || Ok(()))?;
    // str0m's endpoint knows no DELETE: nobody says goodbye.
    drop(rig);
    stop.store(true, Ordering::Relaxed);
    forwarder.join().unwrap()?;
    assert_whole(&window);
    assert!(window.meant > 5 * 150 && window.delays.len() == window.meant, "{:?}", window.tally);
    Ok(())
}
