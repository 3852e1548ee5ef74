//! What the tests have in common: a server, a publisher, some players, and one loop that turns them all.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tidewire_perf::client::offer::Retransmission;
use tidewire_perf::client::player::Heard;
use tidewire_perf::client::{Client, Codec, Direction, Offer, Player, Profile, Publisher, wait};
use tidewire_perf::clock;
use tidewire_perf::server::{Io, Server};

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) publisher: Publisher,
    pub(crate) players: Vec<Player>,
    pub(crate) codecs: Vec<Codec>,
    frames: u64,
}

pub(crate) const CHANNEL: &str = "interop";

impl Scene {
    /// A server with one publisher of `codecs` and `players` viewers, all joined, nothing sent yet.
    pub(crate) fn open(
        io: Io,
        profile: Profile,
        codecs: &[Codec],
        retransmission: Retransmission,
        players: usize,
    ) -> Result<Self> {
        let server = Server::start(&Server::default_binary(), io, None, &[])?;
        Self::on(server, profile, codecs, retransmission, players)
    }

    /// The same on a server that is there.
    pub(crate) fn on(
        server: Server,
        profile: Profile,
        codecs: &[Codec],
        retransmission: Retransmission,
        players: usize,
    ) -> Result<Self> {
        let client = Client::new(&server.base(), &server.token(CHANNEL)?, profile)?;
        let offer = Offer::of(Direction::Send, codecs, retransmission, 7000);
        let publisher = Publisher::new(client.join(CHANNEL, &offer).context("the publisher's join")?, &offer)?;
        let mut scene = Self { server, client, publisher, players: Vec::new(), codecs: codecs.to_vec(), frames: 0 };
        for _ in 0..players {
            scene.add_player(retransmission)?;
        }
        Ok(scene)
    }

    pub(crate) fn add_player(&mut self, retransmission: Retransmission) -> Result<()> {
        let offer = Offer::of(Direction::Receive, &self.codecs, retransmission, 0);
        self.players.push(Player::new(self.client.join(CHANNEL, &offer).context("a viewer's join")?));
        Ok(())
    }

    /// Sends a frame on every track and gives everybody a few milliseconds.
    pub(crate) fn send_frames(&mut self) -> Result<()> {
        self.frames += 1;
        for track in 0..self.publisher.tracks.len() {
            let (packets, len) = self.frame_shape(track);
            self.publisher.send_frame(track, packets, len, clock::unix_ns())?;
        }
        self.turn(Duration::from_millis(2))
    }

    /// Frames of one to six packets, from the smallest to the largest that travel.
    fn frame_shape(&self, track: usize) -> (usize, usize) {
        if self.codecs[track].is_video() {
            (1 + (self.frames % 6) as usize, 100 + (self.frames * 37 % 1101) as usize)
        } else {
            (1, 60 + (self.frames % 100) as usize)
        }
    }

    /// Waits up to `limit` for something to arrive anywhere, and handles it.
    pub(crate) fn turn(&mut self, limit: Duration) -> Result<()> {
        let sockets = self.players.iter().map(|player| player.as_fd()).chain([self.publisher.as_fd()]);
        wait::readable(sockets, limit)?;
        let now = Instant::now();
        self.publisher.serve(now)?;
        self.players.iter_mut().try_for_each(|player| player.serve(now))
    }

    /// Sends until every viewer has heard at least `packets` of every track, then waits until none lacks any.
    pub(crate) fn play(&mut self, packets: u64) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.everybody(|heard, _| heard.packets >= packets && heard.sender_reports > 0) {
            ensure!(Instant::now() < deadline, "no {packets} packets within {LIMIT:?}\n{}", self.state());
            self.send_frames()?;
        }
        self.settle()
    }

    /// Waits until every viewer has everything from its first packet to the last that was sent.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.everybody(|heard, sent| heard.end == sent && heard.lost() == 0) {
            ensure!(Instant::now() < deadline, "packets are missing after {LIMIT:?}\n{}", self.state());
            if !self.everybody(|heard, _| heard.packets > 0) {
                // Whoever came late waits for a key frame, and only frames bring one.
                self.send_frames()?;
            }
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Turns until `condition` holds.
    pub(crate) fn turn_until(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !condition(self)? {
            ensure!(Instant::now() < deadline, "waited {LIMIT:?} for {what}\n{}", self.state());
            self.turn(Duration::from_millis(5))?;
        }
        Ok(())
    }

    /// Nothing that any viewer heard was wrong, and every viewer began with a key frame.
    pub(crate) fn assert_faultless(&self) {
        for player in &self.players {
            assert!(
                player.mismatches.is_empty() && player.garbage == 0,
                "{:?}, {} garbage",
                player.mismatches,
                player.garbage
            );
            for track in &self.publisher.tracks {
                let heard = player.heard(track.ssrc).unwrap();
                assert!(heard.is_faultless(), "{:?}: {heard:?}", track.codec);
                let first = heard.first.unwrap();
                assert!(!track.codec.is_video() || (first.position.key && first.position.start), "{first:?}");
            }
        }
        assert_eq!(self.publisher.garbage, 0);
    }

    /// Everybody leaves, and the server knows what they mean.
    pub(crate) fn close(self) -> Result<()> {
        for player in self.players {
            assert_eq!(player.call.leave()?, 200);
        }
        assert_eq!(self.publisher.leave()?, 200);
        let log = self.server.log();
        let status = self.server.stop()?;
        ensure!(status.success(), "the server ended with {status}\n{log}");
        ensure!(!log.contains("panicked") && !log.contains("ERROR"), "the server's log:\n{log}");
        Ok(())
    }

    fn everybody(&self, holds: impl Fn(&Heard, u64) -> bool) -> bool {
        let tracks = &self.publisher.tracks;
        self.players.iter().all(|player| {
            tracks.iter().all(|track| player.heard(track.ssrc).is_some_and(|heard| holds(heard, track.sent)))
        })
    }

    /// For the message of a failure.
    pub(crate) fn state(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for track in &self.publisher.tracks {
            let (codec, sent, asked, nacked) = (track.codec, track.sent, track.key_frame_requests, track.nacked);
            lines.push(format!("{codec:?}: {sent} sent, {asked} key frames asked for, {nacked} nacked"));
            for (place, player) in self.players.iter().enumerate() {
                let (garbage, mismatches) = (player.garbage, player.mismatches.len());
                let heard = player.heard(track.ssrc).map(|heard| {
                    let Heard { packets, end, duplicates, repaired, sender_reports, .. } = heard;
                    let lost = heard.lost();
                    format!("{packets} packets, end {end}, {lost} lost, {duplicates} twice, {repaired} by RTX, {sender_reports} reports")
                });
                lines.push(format!("  viewer {place}: {heard:?}, {garbage} garbage, {mismatches} mismatches"));
            }
        }
        let metrics = self.server.metrics().unwrap_or_default();
        lines.extend(
            metrics
                .starting_with("tidewire_")
                .filter(|(_, value)| *value != 0.0)
                .map(|(key, value)| format!("{key} {value}")),
        );
        lines.push(self.server.log());
        lines.join("\n")
    }
}

const LIMIT: Duration = Duration::from_secs(20);
