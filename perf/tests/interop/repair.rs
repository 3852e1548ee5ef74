//! Loss on either side of the server, repaired by RTX where it was agreed and by the same packet again where it was not.

use std::time::Instant;

use anyhow::{Result, ensure};
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::pattern::Position;
use tidewire_perf::client::{Codec, Player, Profile};
use tidewire_perf::server::Io;

use crate::scene::Scene;

/// Reads what has arrived and loses one RTP datagram in `one_in`.
fn serve_with_loss(player: &mut Player, count: &mut u64, one_in: u64) -> Result<u64> {
    let mut lost = 0;
    let mut buffer = [0; 2048];
    while let Ok(len) = player.call.socket().recv(&mut buffer) {
        let is_rtp = buffer[0] >> 6 == 2 && !(192..=223).contains(&buffer[1]);
        *count += u64::from(is_rtp);
        if is_rtp && *count > 20 && (*count).is_multiple_of(one_in) {
            lost += 1;
        } else {
            player.handle(Instant::now(), &buffer[..len]);
        }
    }
    player.tick(Instant::now())?;
    Ok(lost)
}

fn loss_on_the_way_to_the_viewer(io: Io, retransmission: Retransmission) -> Result<()> {
    let mut scene = Scene::open(io, Profile::AeadAes128Gcm, &[Codec::Vp8], retransmission, 1)?;
    let ssrc = scene.publisher.tracks[0].ssrc;
    let (mut count, mut lost) = (0, 0);
    let mut player = scene.players.pop().unwrap();
    while player.packets(ssrc) < 500 {
        scene.send_frames()?;
        lost += serve_with_loss(&mut player, &mut count, 11)?;
    }
    scene.players.push(player);
    // A gap shows by what comes after it.
    scene.send_frames()?;
    scene.settle()?;
    scene.assert_faultless();
    ensure!(lost > 20, "only {lost} datagrams were lost");
    let repaired = scene.players[0].heard(ssrc).unwrap().repaired;
    assert_eq!(repaired > 0, retransmission == Retransmission::Rtx, "{repaired} by RTX");
    scene.close()
}

#[test]
fn a_viewer_gets_lost_packets_again_by_rtx() -> Result<()> {
    loss_on_the_way_to_the_viewer(Io::Uring, Retransmission::Rtx)
}

#[test]
fn a_viewer_without_rtx_gets_the_same_packets_again() -> Result<()> {
    loss_on_the_way_to_the_viewer(Io::Epoll, Retransmission::InPlace)
}

fn loss_on_the_way_to_the_server(io: Io, retransmission: Retransmission) -> Result<()> {
    let mut scene = Scene::open(io, Profile::AeadAes128Gcm, &[Codec::Vp8], retransmission, 2)?;
    scene.play(50)?;
    for _ in 0..40 {
        scene.send_frames()?;
        let whole = |start, end| Position { key: false, start, end };
        scene.publisher.send_packet(0, whole(true, false), 500, 0)?;
        scene.publisher.lose_packet(0, whole(false, false), 600, 0);
        scene.publisher.send_packet(0, whole(false, true), 700, 0)?;
    }
    scene.send_frames()?;
    scene.settle()?;
    scene.assert_faultless();
    ensure!(scene.publisher.tracks[0].nacked >= 40, "{} packets were asked for", scene.publisher.tracks[0].nacked);
    scene.close()
}

#[test]
fn the_server_asks_a_publisher_again_and_takes_rtx() -> Result<()> {
    loss_on_the_way_to_the_server(Io::Epoll, Retransmission::Rtx)
}

#[test]
fn the_server_asks_a_publisher_without_rtx_again() -> Result<()> {
    loss_on_the_way_to_the_server(Io::Uring, Retransmission::InPlace)
}
