//! An idle server uses next to nothing; a server that is told to stop says goodbye and goes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::{Codec, Profile, wait};
use tidewire_perf::server::{Io, Server};

use crate::scene::Scene;

fn assert_idle(server: &Server) -> Result<()> {
    // The measurement is a window of time by nature; what is compared is CPU time, which other work does not touch.
    let before = server.usage()?.cpu;
    let window = Duration::from_secs(4);
    let end = Instant::now() + window;
    while Instant::now() < end {
        wait::readable([], end.saturating_duration_since(Instant::now()))?;
    }
    let used = server.usage()?.cpu - before;
    assert!(used < window / 100, "{used:?} of CPU time in {window:?}");
    Ok(())
}

#[test]
fn an_idle_server_uses_less_than_a_hundredth_of_a_core_over_uring() -> Result<()> {
    assert_idle(&Server::start(&Server::default_binary(), Io::Uring, None, &[])?)
}

#[test]
fn an_idle_server_uses_less_than_a_hundredth_of_a_core_over_epoll() -> Result<()> {
    assert_idle(&Server::start(&Server::default_binary(), Io::Epoll, None, &[])?)
}

fn ends_in_good_order(io: Io) -> Result<()> {
    let mut scene = Scene::open(io, Profile::AeadAes256Gcm, &[Codec::Vp8], Retransmission::Rtx, 2)?;
    scene.play(50)?;
    scene.server.terminate()?;
    scene.turn_until("close_notify at every client", |scene| {
        let closed = scene.players.iter().all(|player| player.call.is_closed_by_server());
        Ok(closed && scene.publisher.call.is_closed_by_server())
    })?;
    let status = scene.server.wait_for_end(Duration::from_secs(2))?.context("the server is still there")?;
    assert!(status.success(), "{status}\n{}", scene.server.log());
    Ok(())
}

#[test]
fn a_server_that_is_terminated_closes_every_connection_over_uring() -> Result<()> {
    ends_in_good_order(Io::Uring)
}

#[test]
fn a_server_that_is_terminated_closes_every_connection_over_epoll() -> Result<()> {
    ends_in_good_order(Io::Epoll)
}

#[test]
fn a_deleted_session_is_closed_by_the_server() -> Result<()> {
    let mut scene = Scene::open(Io::Uring, Profile::AeadAes128Gcm, &[Codec::Vp8], Retransmission::Rtx, 1)?;
    scene.play(50)?;
    assert_eq!(scene.players[0].call.delete()?, 200);
    scene.turn_until("close_notify at the viewer", |scene| Ok(scene.players[0].call.is_closed_by_server()))?;
    assert_eq!(scene.players[0].call.delete()?, 404);
    Ok(())
}

#[test]
fn a_client_that_hangs_up_without_a_word_to_the_gateway_leaves_no_session() -> Result<()> {
    let mut scene = Scene::open(Io::Epoll, Profile::AeadAes128Gcm, &[Codec::Vp8], Retransmission::Rtx, 2)?;
    scene.play(50)?;
    let call = scene.players.pop().context("a viewer")?.call;
    let session = call.session.url.clone();
    let endpoint = scene.client.endpoint.clone();
    let look = || -> Result<u16> {
        Ok(endpoint.request("GET", &session, &[("authorization", &endpoint.bearer())], b"")?.status)
    };
    assert_eq!(look()?, 204);
    call.hang_up()?;
    wait::until("the session to be gone", Duration::from_secs(5), || Ok((look()? == 404).then_some(())))?;
    scene.play(100)?;
    scene.assert_faultless();
    scene.close()
}
