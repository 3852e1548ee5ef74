//! A str0m `Rtc` with its socket: the second independent peer, driven step by step from the test's own loop.
//!
//! RTP mode, OpenSSL for DTLS and ciphers. What arrives is checked against the payload pattern at once.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};
use tidewire_perf::client::http::{Endpoint, Session};
use tidewire_perf::client::media::Codec;
use tidewire_perf::client::pattern::{self, Position, STAMP_LEN, Stamp};
use tidewire_perf::client::wait;
use tidewire_perf::client::wire::widen;
use tidewire_perf::load::Inbox;

/// A packet, and when the kernel took it in, by the wall clock.
pub(crate) struct Arrived {
    pub(crate) packet: RtpPacket,
    pub(crate) at_ns: u64,
}

pub(crate) struct Str0mPeer {
    rtc: Rtc,
    socket: UdpSocket,
    timeout: Instant,
    pub(crate) session: Option<Session>,
    pub(crate) connected: bool,
    pub(crate) closed: bool,
    pub(crate) key_frame_requests: u64,
    /// Indices of packets whose every byte was right.
    pub(crate) heard: BTreeSet<u64>,
    pub(crate) duplicates: u64,
    pub(crate) mismatches: u64,
    pub(crate) first: Option<Stamp>,
    /// Packets to hand on, where this peer is part of a forwarder.
    pub(crate) inbox: Option<Vec<Arrived>>,
    reader: Inbox,
    /// When the kernel took in the datagram that is being handled.
    arrived_ns: u64,
    sent: u64,
    timestamp: u32,
    key_frame_due: bool,
}

impl Str0mPeer {
    /// An `Rtc` that knows VP8 alone, on a loopback socket of its own.
    pub(crate) fn new(configure: impl FnOnce(RtcConfig) -> RtcConfig) -> Result<Self> {
        let config = configure(RtcConfig::new().clear_codecs().enable_vp8(true).set_rtp_mode(true));
        let mut rtc = config.build(Instant::now());
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        widen(&socket)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        rtc.add_local_candidate(Candidate::host(socket.local_addr()?, "udp")?);
        Ok(Self {
            rtc,
            socket,
            timeout: Instant::now(),
            session: None,
            connected: false,
            closed: false,
            key_frame_requests: 0,
            heard: BTreeSet::new(),
            duplicates: 0,
            mismatches: 0,
            first: None,
            inbox: None,
            reader: Inbox::default(),
            arrived_ns: 0,
            sent: 0,
            timestamp: 0,
            key_frame_due: true,
        })
    }

    /// Answers an offer, as a server would.
    pub(crate) fn answer(&mut self, offer: &str) -> Result<String> {
        let answer = self.rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(offer)?)?;
        self.drain()?;
        Ok(answer.to_sdp_string())
    }

    /// Joins by WHIP (`SendOnly`) or WHEP (`RecvOnly`) and returns the media id once connected.
    pub(crate) fn join(&mut self, endpoint: &Endpoint, path: &str, direction: Direction) -> Result<Mid> {
        let mut change = self.rtc.sdp_api();
        let mid = change.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = change.apply().context("no change to offer")?;
        self.drain()?;
        let (session, answer) = endpoint.create(path, &offer.to_sdp_string())?;
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer)?)?;
        self.drain()?;
        self.session = Some(session);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.connected {
            anyhow::ensure!(Instant::now() < deadline, "str0m is not connected after 10 s");
            self.wait(Duration::from_millis(5))?;
            self.serve()?;
        }
        Ok(mid)
    }

    /// Sends a frame of the pattern, all of its packets at once.
    pub(crate) fn send_frame(&mut self, mid: Mid, packets: usize, payload_len: usize) -> Result<()> {
        let key = std::mem::take(&mut self.key_frame_due);
        self.timestamp = self.timestamp.wrapping_add(3000);
        for place in 0..packets {
            let position = Position { key, start: place == 0, end: place + 1 == packets };
            let payload = self.payload(position, payload_len);
            let pt = self.payload_type(mid)?;
            let mut direct = self.rtc.direct_api();
            let stream = direct.stream_tx_by_mid(mid, None).context("no stream to send on")?;
            let write = RtpWrite::new(pt, self.sent.into(), self.timestamp, Instant::now(), payload);
            stream.write_rtp(write.marker(position.end).nackable(true));
            self.sent += 1;
            self.drain()?;
            // RTP mode queues; time must pass for a packet to leave.
            self.rtc.handle_input(Input::Timeout(Instant::now()))?;
            self.drain()?;
        }
        Ok(())
    }

    /// Hands on a packet that another peer received, under the same sequence number.
    pub(crate) fn forward(&mut self, mid: Mid, packet: &RtpPacket) -> Result<()> {
        let pt = self.payload_type(mid)?;
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).context("no stream to send on")?;
        let write = RtpWrite::new(pt, packet.seq_no, packet.header.timestamp, packet.timestamp, packet.payload.clone());
        stream.write_rtp(write.marker(packet.header.marker).nackable(true));
        self.drain()?;
        self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        self.drain()
    }

    pub(crate) fn request_key_frame(&mut self, mid: Mid) -> Result<()> {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.drain()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Handles everything that has arrived and whatever is due.
    pub(crate) fn serve(&mut self) -> Result<()> {
        while wait::is_readable(&self.socket)? {
            // Whom it comes from is not asked of the kernel together with the time.
            let Ok((_, source)) = self.socket.peek_from(&mut [0]) else { break };
            let Some((datagram, at_ns)) = self.reader.receive(&self.socket)? else { break };
            self.arrived_ns = at_ns;
            let (destination, contents) = (self.socket.local_addr()?, datagram.try_into()?);
            let receive = Receive { proto: Protocol::Udp, source, destination, contents };
            self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
            self.drain()?;
        }
        if Instant::now() >= self.timeout {
            self.rtc.handle_input(Input::Timeout(Instant::now()))?;
            self.drain()?;
        }
        Ok(())
    }

    pub(crate) fn wait(&self, limit: Duration) -> Result<()> {
        let due = self.timeout.saturating_duration_since(Instant::now());
        wait::one_readable(&self.socket, limit.min(due))
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.timeout = at;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    self.socket.send_to(&transmit.contents, transmit.destination)?;
                }
                Output::Event(event) => self.accept(event)?,
            }
        }
    }

    fn accept(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Connected => self.connected = true,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                bail!("str0m: ICE disconnected")
            }
            Event::KeyframeRequest(_) => {
                self.key_frame_requests += 1;
                self.key_frame_due = true;
            }
            Event::RtpPacket(packet) => match &mut self.inbox {
                Some(inbox) => inbox.push(Arrived { packet, at_ns: self.arrived_ns }),
                None => self.hear(&packet.payload),
            },
            Event::Closed => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    fn hear(&mut self, payload: &[u8]) {
        match pattern::verify(payload) {
            Ok(stamp) => {
                self.first.get_or_insert(stamp);
                self.duplicates += u64::from(!self.heard.insert(stamp.index));
            }
            Err(_) => self.mismatches += 1,
        }
    }

    fn payload(&self, position: Position, len: usize) -> Vec<u8> {
        let picture = (self.timestamp / 3000) as u16 & 0x7fff;
        let mut payload = Codec::Vp8.prefix(position, picture, len);
        let prefix_len = payload.len() as u16;
        payload.resize(len.max(payload.len() + STAMP_LEN), 0);
        let stamp = Stamp {
            stream: 1,
            index: self.sent,
            planned_ns: 0,
            timestamp: self.timestamp,
            position,
            marker: position.end,
            prefix_len,
            picture_at: Codec::Vp8.picture_at(),
        };
        pattern::fill(&mut payload, &stamp);
        payload
    }

    fn payload_type(&self, mid: Mid) -> Result<Pt> {
        let media = self.rtc.media(mid).context("no such media")?;
        let vp8 = self.rtc.codec_config().params().iter().map(|params| params.pt());
        vp8.into_iter().find(|pt| media.remote_pts().contains(pt)).context("VP8 was not agreed")
    }
}
