//! Receives a browser's video with str0m and writes down the heads of its RTP packets, one to a line.
//!
//! Used by `e2e/captures/record.mjs`. Arguments: the address to receive on, how many packets, bytes to keep of each payload, the
//! name of a codec (`vp8`, `vp9`, `h264`, `av1`). The offer comes by standard input, to its end; the answer goes to standard
//! output, then a line `.`, then the packets: stream, sequence number, timestamp, marker, payload type, RID, dependency
//! descriptor, video layers allocation, length of the payload, its first bytes; `-` where there is none. Asks for a key frame
//! once a second. Ends when it has enough, or after half a minute.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use str0m::change::SdpOffer;
use str0m::media::{KeyframeRequestKind, Mid, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues, RtpPacket};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

const TIME_MAX: Duration = Duration::from_secs(30);
const KEY_FRAME_EVERY: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, packets, keep, codec] = arguments.as_slice() else { bail!("ADDRESS PACKETS KEEP CODEC") };
    let mut recorder = Recorder::new(address.parse()?, packets.parse()?, keep.parse()?, codec)?;
    let mut offer = String::new();
    std::io::stdin().read_to_string(&mut offer)?;
    let answer = recorder.rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer)?)?;
    println!("{}.", answer.to_sdp_string());
    std::io::stdout().flush()?;
    recorder.run()
}

struct Recorder {
    rtc: Rtc,
    socket: UdpSocket,
    left: usize,
    keep: usize,
    /// Streams by their SSRC, in the order in which they were heard.
    streams: HashMap<u32, usize>,
    encodings: Vec<(Mid, Option<Rid>)>,
}

impl Recorder {
    fn new(address: IpAddr, left: usize, keep: usize, codec: &str) -> Result<Self> {
        let config = RtcConfig::new().clear_codecs().set_rtp_mode(true);
        let config = match codec {
            "vp8" => config.enable_vp8(true),
            "vp9" => config.enable_vp9(true),
            "h264" => config.enable_h264(true),
            "av1" => config.enable_av1(true),
            other => bail!("{other} is no codec that is recorded"),
        };
        let config = config
            .set_extension(
                9,
                Extension::with_serializer(DESCRIPTOR, Raw(|bytes, values| values.set(Descriptor(bytes)))),
            )
            .set_extension(
                13,
                Extension::with_serializer(ALLOCATION, Raw(|bytes, values| values.set(Allocation(bytes)))),
            );
        let mut rtc = config.build(Instant::now());
        let socket = UdpSocket::bind((address, 0))?;
        rtc.add_local_candidate(Candidate::host(socket.local_addr()?, "udp")?);
        Ok(Self { rtc, socket, left, keep, streams: HashMap::new(), encodings: Vec::new() })
    }

    fn run(&mut self) -> Result<()> {
        let end = Instant::now() + TIME_MAX;
        let mut key_frame_at = Instant::now() + KEY_FRAME_EVERY;
        while self.left > 0 && Instant::now() < end {
            let due = self.drain()?;
            self.receive(due.min(key_frame_at))?;
            if Instant::now() >= key_frame_at {
                key_frame_at += KEY_FRAME_EVERY;
                self.ask_for_key_frames();
            }
        }
        Ok(())
    }

    /// Handles one datagram, or the time when none comes before `due`.
    fn receive(&mut self, due: Instant) -> Result<()> {
        let wait = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(wait))?;
        let mut buffer = [0; 2048];
        let input = match self.socket.recv_from(&mut buffer) {
            Ok((len, source)) => {
                let (destination, contents) = (self.socket.local_addr()?, buffer[..len].try_into()?);
                Input::Receive(Instant::now(), Receive { proto: Protocol::Udp, source, destination, contents })
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Input::Timeout(Instant::now())
            }
            Err(error) => return Err(error.into()),
        };
        self.rtc.handle_input(input).context("str0m")
    }

    fn drain(&mut self) -> Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    self.socket.send_to(&transmit.contents, transmit.destination)?;
                }
                Output::Event(Event::RtpPacket(packet)) => self.write(&packet)?,
                Output::Event(_) => {}
            }
        }
    }

    fn ask_for_key_frames(&mut self) {
        for &(mid, rid) in &self.encodings {
            if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, rid) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    }

    fn write(&mut self, packet: &RtpPacket) -> Result<()> {
        // Packets without payload are probes for bandwidth.
        if self.left == 0 || packet.payload.is_empty() {
            return Ok(());
        }
        self.left -= 1;
        let ssrc = *packet.header.ssrc;
        let (next, rid) = (self.streams.len(), self.encoding_of(packet));
        let stream = *self.streams.entry(ssrc).or_insert(next);
        let values = &packet.header.ext_vals.user_values;
        let descriptor = values.get::<Descriptor>().map_or_else(none, |bytes| hex(&bytes.0));
        let allocation = values.get::<Allocation>().map_or_else(none, |bytes| hex(&bytes.0));
        let header = &packet.header;
        println!(
            "{stream} {} {} {} {} {} {descriptor} {allocation} {} {}",
            header.sequence_number,
            header.timestamp,
            u8::from(header.marker),
            *header.payload_type,
            rid.map_or_else(none, |rid| rid.to_string()),
            packet.payload.len(),
            hex(&packet.payload[..packet.payload.len().min(self.keep)]),
        );
        Ok(())
    }

    fn encoding_of(&mut self, packet: &RtpPacket) -> Option<Rid> {
        let ssrc = packet.header.ssrc;
        let mut direct = self.rtc.direct_api();
        let encoding = direct.stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))?;
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
        encoding.1
    }
}

const DESCRIPTOR: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const ALLOCATION: &str = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00";

struct Descriptor(Arc<[u8]>);

struct Allocation(Arc<[u8]>);

/// An extension whose bytes are kept as they come.
struct Raw(fn(Arc<[u8]>, &mut str0m::rtp::UserExtensionValues));

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raw")
    }
}

impl ExtensionSerializer for Raw {
    fn write_to(&self, _: &mut [u8], _: &ExtensionValues) -> usize {
        0
    }

    fn parse_value(&self, bytes: &[u8], values: &mut ExtensionValues) -> bool {
        (self.0)(bytes.into(), &mut values.user_values);
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }
}

fn none() -> String {
    "-".to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
