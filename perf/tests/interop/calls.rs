//! Publish and play: each SRTP profile, each packet I/O, each codec, each peer. Every byte of every payload is checked.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use str0m::media::Direction as Str0mDirection;
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::{Client, Codec, Direction, Offer, Player, Profile, Publisher, wait};
use tidewire_perf::server::{Io, Server};

use crate::scene::{CHANNEL, Scene};
use crate::str0m_peer::Str0mPeer;

fn every_profile(io: Io) -> Result<()> {
    for profile in Profile::ALL {
        let mut scene = Scene::open(io, profile, &[Codec::Vp8, Codec::Opus], Retransmission::Rtx, 2)?;
        scene.play(400).with_context(|| format!("{} over {}", profile.name(), io.name()))?;
        scene.assert_faultless();
        scene.close()?;
    }
    Ok(())
}

#[test]
fn every_payload_is_bit_exact_in_every_profile_over_uring() -> Result<()> {
    every_profile(Io::Uring)
}

#[test]
fn every_payload_is_bit_exact_in_every_profile_over_epoll() -> Result<()> {
    every_profile(Io::Epoll)
}

#[test]
fn every_codec_is_forwarded_bit_exact_from_a_key_frame_on() -> Result<()> {
    for codec in Codec::ALL {
        let mut scene = Scene::open(Io::Uring, Profile::AeadAes128Gcm, &[codec], Retransmission::InPlace, 1)?;
        scene.play(200).with_context(|| format!("{codec:?}"))?;
        scene.assert_faultless();
        scene.close()?;
    }
    Ok(())
}

#[test]
fn a_viewer_who_comes_late_starts_with_a_key_frame_that_was_asked_for() -> Result<()> {
    let mut scene = Scene::open(Io::Uring, Profile::AeadAes256Gcm, &[Codec::Vp8, Codec::Opus], Retransmission::Rtx, 1)?;
    scene.play(300)?;
    let asked = scene.publisher.tracks[0].key_frame_requests;
    scene.add_player(Retransmission::Rtx)?;
    scene.play(600)?;
    scene.assert_faultless();
    assert!(scene.publisher.tracks[0].key_frame_requests > asked);
    scene.close()
}

#[test]
fn a_viewer_who_goes_and_returns_hears_everything_again() -> Result<()> {
    let mut scene = Scene::open(Io::Epoll, Profile::AeadAes128Gcm, &[Codec::Vp8], Retransmission::Rtx, 2)?;
    scene.play(100)?;
    assert_eq!(scene.players.pop().unwrap().call.leave()?, 200);
    scene.add_player(Retransmission::Rtx)?;
    scene.play(300)?;
    scene.assert_faultless();
    scene.close()
}

#[test]
fn a_publisher_who_takes_anothers_place_is_heard_in_the_same_sequence() -> Result<()> {
    let mut scene = Scene::open(Io::Uring, Profile::AeadAes128Gcm, &[Codec::Vp8], Retransmission::Rtx, 2)?;
    scene.play(200)?;
    let (first, sent) = (scene.publisher.tracks[0].ssrc, scene.publisher.tracks[0].sent);
    let offer = Offer::of(Direction::Send, &[Codec::Vp8], Retransmission::Rtx, 9000);
    let second = Publisher::new(scene.client.join(CHANNEL, &offer)?, &offer)?;
    let mut replaced = std::mem::replace(&mut scene.publisher, second);
    wait::until("the first publisher to be told", LIMIT, || {
        scene.turn(Duration::from_millis(5))?;
        replaced.serve(Instant::now())?;
        Ok(replaced.call.is_closed_by_server().then_some(()))
    })?;
    scene.play(200)?;
    scene.assert_faultless();
    for player in &scene.players {
        let (before, after) = (player.heard(first).unwrap(), player.heard(scene.publisher.tracks[0].ssrc).unwrap());
        let (last, next) = (before.sequence_of(sent - 1), after.sequence_of(after.first.unwrap().index));
        assert_eq!(next, last.wrapping_add(1), "a hole, or a step back, between two publishers");
    }
    scene.close()
}

/// str0m publishes, our client and str0m play.
fn str0m_publishes(io: Io) -> Result<()> {
    let server = Server::start(&Server::default_binary(), io, None, &[])?;
    let client = Client::new(&server.base(), &server.token(CHANNEL)?, Profile::AeadAes128Gcm)?;
    let mut publisher = Str0mPeer::new(|config| config)?;
    let mid = publisher.join(&client.endpoint, &format!("/whip/{CHANNEL}"), Str0mDirection::SendOnly)?;
    let offer = Offer::of(Direction::Receive, &[Codec::Vp8], Retransmission::Rtx, 0);
    let mut player = Player::new(client.join(CHANNEL, &offer)?);
    let mut peer = Str0mPeer::new(|config| config)?;
    peer.join(&client.endpoint, &format!("/whep/{CHANNEL}"), Str0mDirection::RecvOnly)?;
    let deadline = Instant::now() + LIMIT;
    while player.packets(1) < 300 || peer.heard.len() < 300 {
        ensure!(Instant::now() < deadline, "{} and {} packets\n{}", player.packets(1), peer.heard.len(), server.log());
        publisher.send_frame(mid, 3, 1000)?;
        publisher.wait(Duration::from_millis(3))?;
        publisher.serve()?;
        peer.serve()?;
        player.serve(Instant::now())?;
    }
    let sent = publisher.sent();
    wait::until("both players to have everything", LIMIT, || {
        publisher.serve()?;
        peer.serve()?;
        player.serve(Instant::now())?;
        let ours = player.heard(1).is_some_and(|heard| heard.end == sent && heard.lost() == 0);
        Ok((ours && peer.heard.last() == Some(&(sent - 1))).then_some(()))
    })?;
    let heard = player.heard(1).unwrap();
    assert!(heard.is_faultless() && player.mismatches.is_empty() && heard.first.unwrap().position.key, "{heard:?}");
    assert_whole(&peer, sent);
    Ok(())
}

fn assert_whole(peer: &Str0mPeer, sent: u64) {
    let first = peer.first.unwrap();
    assert!(first.position.key && first.position.start, "{first:?}");
    assert_eq!((peer.mismatches, peer.duplicates), (0, 0));
    assert_eq!(peer.heard.len() as u64, sent - first.index, "packets are missing");
}

/// Our client publishes, str0m plays.
fn str0m_plays(io: Io) -> Result<()> {
    let server = Server::start(&Server::default_binary(), io, None, &[])?;
    let client = Client::new(&server.base(), &server.token(CHANNEL)?, Profile::Aes128CmSha1_80)?;
    let offer = Offer::of(Direction::Send, &[Codec::Vp8], Retransmission::Rtx, 7000);
    let mut publisher = Publisher::new(client.join(CHANNEL, &offer)?, &offer)?;
    let mut peer = Str0mPeer::new(|config| config)?;
    peer.join(&client.endpoint, &format!("/whep/{CHANNEL}"), Str0mDirection::RecvOnly)?;
    let deadline = Instant::now() + LIMIT;
    while peer.heard.len() < 300 {
        ensure!(Instant::now() < deadline, "{} packets\n{}", peer.heard.len(), server.log());
        publisher.send_frame(0, 3, 1100, 0)?;
        peer.wait(Duration::from_millis(3))?;
        peer.serve()?;
        publisher.serve(Instant::now())?;
    }
    let sent = publisher.tracks[0].sent;
    wait::until("str0m to have everything", LIMIT, || {
        publisher.serve(Instant::now())?;
        peer.serve()?;
        Ok((peer.heard.last() == Some(&(sent - 1))).then_some(()))
    })?;
    assert_whole(&peer, sent);
    Ok(())
}

#[test]
fn str0m_publishes_over_uring() -> Result<()> {
    str0m_publishes(Io::Uring)
}

#[test]
fn str0m_publishes_over_epoll() -> Result<()> {
    str0m_publishes(Io::Epoll)
}

#[test]
fn str0m_plays_over_uring() -> Result<()> {
    str0m_plays(Io::Uring)
}

#[test]
fn str0m_plays_over_epoll() -> Result<()> {
    str0m_plays(Io::Epoll)
}

const LIMIT: Duration = Duration::from_secs(20);
