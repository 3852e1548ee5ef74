//! Gateway and media server as two programs: a call over both, through cuts of the link, and through the death of either.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tidewire_perf::client::http::Endpoint;
use tidewire_perf::client::offer::{Retransmission, TransportLines};
use tidewire_perf::client::stun::Credentials;
use tidewire_perf::client::{Client, Codec, Direction, Offer, Player, Profile, Publisher, wait};
use tidewire_perf::program::Program;
use tidewire_perf::server::{self, Io, Layout, Server};

use crate::relay::Relay;
use crate::scene::{CHANNEL, Scene};

#[test]
fn a_call_over_two_programs_is_bit_exact() -> Result<()> {
    let server = Server::start_as(Layout::Apart, &Server::default_binary(), Io::Uring, None, &[])?;
    let codecs = [Codec::Vp8, Codec::Opus];
    let mut scene = Scene::on(server, Profile::AeadAes256Gcm, &codecs, Retransmission::Rtx, 2)?;
    scene.play(400)?;
    scene.assert_faultless();
    scene.close()
}

/// Two programs with a wire between them that can be cut, and a call over them.
struct Bed {
    gateway: Option<Program>,
    media: Program,
    relay: Relay,
    client: Client,
    publisher: Publisher,
    player: Player,
}

impl Bed {
    fn new() -> Result<Self> {
        let binary = Server::default_binary();
        let gateway = server::start_gateway(&binary, Program::free_address()?)?;
        let relay = Relay::to(gateway.http)?;
        let media = server::free_media_address()?;
        let media = server::start_media(&binary, relay.address, media, Io::Epoll, None, &[])?;
        let client = Client::new(&gateway.base(), &server::token(&binary, CHANNEL)?, Profile::AeadAes128Gcm)?;
        let offer = Offer::of(Direction::Send, &[Codec::Vp8], Retransmission::Rtx, 7000);
        let publisher = Publisher::new(client.join(CHANNEL, &offer)?, &offer)?;
        let player = watch(&client)?;
        Ok(Self { gateway: Some(gateway), media, relay, client, publisher, player })
    }

    fn gateway(&self) -> Result<&Program> {
        self.gateway.as_ref().context("there is a gateway")
    }

    /// Sends so many frames and gives everybody time to take them.
    fn play(&mut self, frames: usize) -> Result<()> {
        for _ in 0..frames {
            self.publisher.send_frame(0, 3, 1000, 0)?;
            self.turn(Duration::from_millis(3))?;
        }
        Ok(())
    }

    fn turn(&mut self, limit: Duration) -> Result<()> {
        wait::readable([std::os::fd::AsFd::as_fd(&self.publisher), std::os::fd::AsFd::as_fd(&self.player)], limit)?;
        let now = std::time::Instant::now();
        self.publisher.serve(now)?;
        self.player.serve(now)
    }

    /// Every frame that was sent since the first that was heard has arrived, and is what it was.
    fn assert_unharmed(&mut self) -> Result<()> {
        let (ssrc, sent) = (self.publisher.tracks[0].ssrc, self.publisher.tracks[0].sent);
        wait::until("the viewer to have everything", LIMIT, || {
            self.turn(Duration::from_millis(5))?;
            Ok(self.player.heard(ssrc).is_some_and(|heard| heard.end == sent && heard.lost() == 0).then_some(()))
        })?;
        let heard = self.player.heard(ssrc).context("the viewer heard something")?;
        assert!(heard.is_faultless() && self.player.mismatches.is_empty(), "{heard:?}");
        assert!(!self.publisher.call.is_closed_by_server() && !self.player.call.is_closed_by_server());
        Ok(())
    }

    /// Connections as the gateway counts them.
    fn placed(&self) -> Result<f64> {
        Ok(self.gateway()?.metrics()?.sum("tidewire_connections_placed"))
    }
}

fn watch(client: &Client) -> Result<Player> {
    let offer = Offer::of(Direction::Receive, &[Codec::Vp8], Retransmission::Rtx, 0);
    Ok(Player::new(client.join(CHANNEL, &offer)?))
}

#[test]
fn a_link_cut_twenty_times_loses_no_request_no_event_and_no_frame() -> Result<()> {
    let mut bed = Bed::new()?;
    let requests = Requests::start(bed.client.endpoint.clone())?;
    for _ in 0..20 {
        bed.play(10)?;
        // Its end is an event that the gateway must hear of, whenever the link is there again.
        let gone = watch(&bed.client)?.call;
        let session = gone.session.url.clone();
        gone.hang_up()?;
        ensure!(bed.relay.cut() > 0, "there was a link to cut");
        let endpoint = bed.client.endpoint.clone();
        let bearer = endpoint.bearer();
        wait::until("the gateway to hear of an end", LIMIT, || {
            bed.play(1)?;
            let look = endpoint.request("GET", &session, &[("authorization", &bearer)], b"")?;
            Ok((look.status == 404).then_some(()))
        })?;
    }
    bed.assert_unharmed()?;
    let answered = requests.finish()?;
    ensure!(answered >= 20, "only {answered} requests were under way");
    wait::until("nothing to be left but the call", LIMIT, || Ok((bed.placed()? - 2.0).abs().lt(&0.5).then_some(())))?;
    let log = bed.gateway()?.log();
    assert_eq!(log.matches("link resumed").count(), log.matches("link lost").count(), "{log}");
    assert!(!log.contains("is gone"), "{log}");
    assert_eq!(bed.player.call.leave()?, 200);
    assert_eq!(bed.publisher.leave()?, 200);
    Ok(())
}

#[test]
fn a_gateway_that_is_restarted_harms_no_call_and_takes_new_ones() -> Result<()> {
    let mut bed = Bed::new()?;
    bed.play(20)?;
    let address = bed.gateway()?.http;
    // Dropped is killed.
    bed.gateway = None;
    wait::until("the media server to miss its gateway", LIMIT, || {
        bed.play(5)?;
        Ok((!bed.media.is_ready()).then_some(()))
    })?;
    bed.play(50)?;
    bed.gateway = Some(server::start_gateway(&Server::default_binary(), address)?);
    wait::until("the media server to enlist again", LIMIT, || {
        bed.play(5)?;
        Ok(bed.media.is_ready().then_some(()))
    })?;
    bed.assert_unharmed()?;
    let mut late = watch(&bed.client)?;
    wait::until("a viewer who came after to see the old publisher", LIMIT, || {
        bed.play(5)?;
        late.serve(std::time::Instant::now())?;
        Ok((late.packets(bed.publisher.tracks[0].ssrc) > 50).then_some(()))
    })?;
    assert_eq!(late.call.leave()?, 200);
    assert_eq!(bed.player.call.delete()?, 404, "the gateway has forgotten the session");
    bed.assert_unharmed()
}

#[test]
fn a_media_server_that_is_told_to_end_says_goodbye_to_clients_and_gateway() -> Result<()> {
    let mut bed = Bed::new()?;
    bed.play(20)?;
    bed.media.terminate()?;
    wait::until("both clients to be told", LIMIT, || {
        bed.turn(Duration::from_millis(5))?;
        Ok((bed.publisher.call.is_closed_by_server() && bed.player.call.is_closed_by_server()).then_some(()))
    })?;
    assert!(bed.media.wait_for_end(LIMIT)?.is_some_and(|status| status.success()), "{}", bed.media.log());
    assert_eq!(bed.player.call.delete()?, 404, "the gateway was told");
    let metrics = bed.gateway()?.metrics()?;
    let left = ["tidewire_media_servers", "tidewire_connections_placed"].map(|name| metrics.sum(name));
    assert!(left.iter().all(|number| number.abs() < 0.5), "{left:?}");
    let log = bed.gateway()?.log();
    assert!(log.contains("media server left") && !log.contains("link lost"), "{log}");
    Ok(())
}

/// Requests that go to the media server one after the other, each of which must be answered as if nothing happened.
struct Requests {
    is_over: Arc<AtomicBool>,
    asking: JoinHandle<Result<usize>>,
}

impl Requests {
    fn start(endpoint: Endpoint) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let asking = thread::spawn(move || {
            let mut answered = 0;
            while !seen.load(Ordering::Relaxed) {
                open_and_close(&endpoint)?;
                answered += 2;
            }
            Ok(answered)
        });
        Ok(Self { is_over, asking })
    }

    fn finish(self) -> Result<usize> {
        self.is_over.store(true, Ordering::Relaxed);
        self.asking.join().ok().context("the requests went to their end")?
    }
}

/// A viewer who is opened, and closed before it has sent anything.
fn open_and_close(endpoint: &Endpoint) -> Result<()> {
    let offer = Offer::of(Direction::Receive, &[Codec::Vp8], Retransmission::Rtx, 0);
    let credentials = Credentials { ufrag: "abcdefgh".into(), password: "abcdefghijklmnopqrstuvwx".into() };
    let fingerprint = ["AB"; 32].join(":");
    let candidate = SocketAddr::from(([127, 0, 0, 1], 9));
    let lines = TransportLines { credentials: &credentials, fingerprint: &fingerprint, candidate, cname: "nobody" };
    let (session, _) = endpoint.create(&format!("/whep/{CHANNEL}"), &offer.text(&lines))?;
    ensure!(endpoint.delete(&session)? == 200, "a session was not closed");
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(20);
