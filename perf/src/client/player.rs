//! A player on a call: checks every byte of every payload, and that sequence numbers, timestamps and markers agree with
//! what the publisher stamped into them.
//!
//! It asks for missing packets (NACK), for a key frame while it has none (PLI), and sends receiver reports. What it heard
//! stands in [`Heard`], one for each stream of the publisher, in plain counts that a test can compare.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::call::{Arrival, Call};
use super::pattern::{self, Mismatch, Stamp};
use super::publisher::MID_URI;
use super::rtcp::{self, Item, Reception};
use super::rtp::Packet;

/// What was heard of one stream.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Distinct packets whose every byte was right.
    pub packets: u64,
    /// Packets that came again though nobody had asked for them.
    pub duplicates: u64,
    /// Packets that came by RTX.
    pub repaired: u64,
    pub first: Option<Stamp>,
    /// One more than the highest index.
    pub end: u64,
    /// Packets whose sequence number is not as far from the first one's as their index.
    pub sequence_breaks: u64,
    pub timestamp_breaks: u64,
    pub marker_breaks: u64,
    pub mid_breaks: u64,
    pub sender_reports: u64,
    pub cname: Option<String>,
    pub first_at: Option<Instant>,
    missing: BTreeSet<u64>,
    sequence_zero: u16,
    timestamp_shift: u32,
    /// How often each packet was asked for; an answer may cross with the packet itself.
    asked: BTreeMap<u64, u8>,
}

impl Heard {
    /// Packets between the first and the last that never came.
    pub fn lost(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Every check on its own passed (loss apart).
    pub fn is_faultless(&self) -> bool {
        self.sequence_breaks + self.timestamp_breaks + self.marker_breaks + self.mid_breaks + self.duplicates == 0
    }
}

pub struct Player {
    pub call: Call,
    /// By the SSRC that the server sends with, and by the publisher's stream: another publisher may take its place.
    pub streams: BTreeMap<(u32, u32), Heard>,
    /// Decrypted packets whose payload was not what was sent.
    pub mismatches: Vec<Mismatch>,
    /// Datagrams that did not decrypt or were of no known protocol.
    pub garbage: u64,
    /// BYEs that the server sent.
    pub byes: u64,
    sender: u32,
    rtx: HashMap<u8, u8>,
    rtx_of: HashMap<u32, u32>,
    mids: HashMap<u8, (u8, String)>,
    next_report: Instant,
    next_nack: Instant,
}

impl Player {
    pub fn new(call: Call) -> Self {
        let media = &call.answer.media;
        let rtx = media.iter().flat_map(|section| section.apts.iter().map(|(rtx, apt)| (*rtx, *apt))).collect();
        let rtx_of = media.iter().filter_map(|section| section.fid).map(|(primary, rtx)| (rtx, primary)).collect();
        let mids = media
            .iter()
            .filter_map(|section| Some((*section.extensions.get(MID_URI)?, section)))
            .flat_map(|(id, section)| section.formats.iter().map(move |format| (*format, (id, section.mid.clone()))))
            .collect();
        let now = Instant::now();
        Self {
            call,
            streams: BTreeMap::new(),
            mismatches: Vec::new(),
            garbage: 0,
            byes: 0,
            sender: 1,
            rtx,
            rtx_of,
            mids,
            next_report: now + REPORT_INTERVAL,
            next_nack: now,
        }
    }

    /// Handles everything that has arrived and whatever is due.
    pub fn serve(&mut self, now: Instant) -> Result<()> {
        while let Some(arrival) = self.call.receive(now)? {
            self.accept(now, arrival);
        }
        self.tick(now)
    }

    /// Handles one datagram that the caller read.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        let arrival = self.call.handle(now, datagram);
        self.accept(now, arrival);
    }

    /// Consent, reports, and requests for what is missing.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        self.call.tick(now)?;
        if now >= self.next_nack {
            self.next_nack = now + NACK_INTERVAL;
            self.ask_again()?;
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_INTERVAL;
            self.report()?;
        }
        Ok(())
    }

    /// Asks for a key frame of every stream the answer announced.
    pub fn request_key_frames(&mut self) -> Result<()> {
        let primaries =
            self.call.answer.media.iter().filter(|section| section.kind == "video").filter_map(|section| {
                section.fid.map(|(primary, _)| primary).or_else(|| section.ssrcs.first().copied())
            });
        for media in primaries.collect::<Vec<_>>() {
            let compound =
                [rtcp::write_receiver_report(self.sender, &[], &self.call.cname), rtcp::write_pli(self.sender, media)]
                    .concat();
            self.call.send_rtcp(&compound)?;
        }
        Ok(())
    }

    /// The stream that carries the publisher's stream `stamped`.
    pub fn heard(&self, stamped: u32) -> Option<&Heard> {
        self.streams.values().find(|heard| heard.first.is_some_and(|first| first.stream == stamped))
    }

    /// Distinct, bit-exact packets of the publisher's stream `stamped`.
    pub fn packets(&self, stamped: u32) -> u64 {
        self.heard(stamped).map_or(0, |heard| heard.packets)
    }

    fn accept(&mut self, now: Instant, arrival: Arrival) {
        match arrival {
            Arrival::Rtp(packet) => self.accept_rtp(now, &packet),
            Arrival::Rtcp(compound) => self.accept_rtcp(&compound),
            Arrival::Garbage => self.garbage += 1,
            Arrival::Transport => {}
        }
    }

    fn accept_rtp(&mut self, now: Instant, bytes: &[u8]) {
        let Some(packet) = Packet::parse(bytes) else {
            self.garbage += 1;
            return;
        };
        if packet.payload().is_empty() {
            // Padding only: a probe.
            return;
        }
        if self.rtx.contains_key(&packet.payload_type()) {
            self.accept_rtx(now, &packet);
        } else {
            let mid_is_right = self.mid_is_right(&packet);
            let carried = Carried {
                ssrc: packet.ssrc(),
                sequence: packet.sequence(),
                payload: packet.payload(),
                packet,
                mid_is_right,
            };
            self.accept_payload(now, &carried);
        }
    }

    /// RFC 4588 4: the original sequence number stands in front of the payload.
    fn accept_rtx(&mut self, now: Instant, packet: &Packet<'_>) {
        let Some((original, payload)) = packet.payload().split_first_chunk::<2>() else {
            self.garbage += 1;
            return;
        };
        let Some(primary) = self.rtx_of.get(&packet.ssrc()).copied() else {
            self.garbage += 1;
            return;
        };
        let carried = Carried {
            ssrc: primary,
            sequence: u16::from_be_bytes(*original),
            payload,
            packet: *packet,
            mid_is_right: true,
        };
        if let Some(heard) = self.accept_payload(now, &carried) {
            heard.repaired += 1;
        }
    }

    /// The stream that the payload belongs to, if every byte of it is right.
    fn accept_payload(&mut self, now: Instant, carried: &Carried<'_>) -> Option<&mut Heard> {
        match pattern::verify(carried.payload) {
            Ok(stamp) => {
                let heard = self.streams.entry((carried.ssrc, stamp.stream)).or_default();
                heard.accept(now, carried, stamp);
                return Some(heard);
            }
            Err(mismatch) if self.mismatches.len() < MISMATCHES_MAX => self.mismatches.push(mismatch),
            Err(_) => {}
        }
        None
    }

    fn mid_is_right(&self, packet: &Packet<'_>) -> bool {
        let Some((id, mid)) = self.mids.get(&packet.payload_type()) else {
            return true;
        };
        // A sender may leave MID out once the receiver must have it (RFC 9143 15).
        packet.extension(*id).is_none_or(|value| value == mid.as_bytes())
    }

    fn accept_rtcp(&mut self, compound: &[u8]) {
        for item in rtcp::parse(compound) {
            match item {
                Item::SenderReport { ssrc, .. } => self.sent_with(ssrc).for_each(|heard| heard.sender_reports += 1),
                Item::Cname { ssrc, cname } => self.sent_with(ssrc).for_each(|heard| heard.cname = Some(cname.clone())),
                Item::Bye { .. } => self.byes += 1,
                Item::ReceiverReport { .. } | Item::Nack { .. } | Item::KeyFrameRequest { .. } => {}
                Item::TransportFeedback | Item::Bitrate => {}
            }
        }
    }

    fn sent_with(&mut self, ssrc: u32) -> impl Iterator<Item = &mut Heard> {
        self.streams.range_mut((ssrc, 0)..=(ssrc, u32::MAX)).map(|(_, heard)| heard)
    }

    fn ask_again(&mut self) -> Result<()> {
        for ((ssrc, _), heard) in &mut self.streams {
            let missing = heard.gaps_to_ask_for();
            if !missing.is_empty() {
                let compound = [
                    rtcp::write_receiver_report(self.sender, &[], &self.call.cname),
                    rtcp::write_nack(self.sender, *ssrc, &missing),
                ];
                self.call.send_rtcp(&compound.concat())?;
            }
        }
        Ok(())
    }

    fn report(&mut self) -> Result<()> {
        let receptions: Vec<Reception> = self
            .streams
            .iter()
            .take(RECEPTIONS_MAX)
            .map(|((ssrc, _), heard)| Reception {
                ssrc: *ssrc,
                lost: heard.lost() as u32,
                highest: heard.highest_sequence(),
                ..Reception::default()
            })
            .collect();
        let report = rtcp::write_receiver_report(self.sender, &receptions, &self.call.cname);
        self.call.send_rtcp(&report)?;
        if self.streams.is_empty() {
            self.request_key_frames()?;
        }
        Ok(())
    }
}

impl AsFd for Player {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.call.as_fd()
    }
}

/// A payload and the header it came under, RTX undone.
struct Carried<'a> {
    ssrc: u32,
    sequence: u16,
    payload: &'a [u8],
    packet: Packet<'a>,
    mid_is_right: bool,
}

impl Heard {
    /// The sequence number that belongs to an index of the publisher, as this viewer sees it.
    pub fn sequence_of(&self, index: u64) -> u16 {
        self.sequence_zero.wrapping_add(index as u16)
    }

    fn accept(&mut self, now: Instant, carried: &Carried<'_>, stamp: Stamp) {
        if self.first.is_none() {
            self.begin(now, carried, stamp);
        }
        self.mid_breaks += u64::from(!carried.mid_is_right);
        self.marker_breaks += u64::from(carried.packet.marker() != stamp.marker);
        self.timestamp_breaks +=
            u64::from(carried.packet.timestamp().wrapping_sub(stamp.timestamp) != self.timestamp_shift);
        self.sequence_breaks += u64::from(carried.sequence.wrapping_sub(self.sequence_zero) != stamp.index as u16);
        self.register(stamp.index);
    }

    fn begin(&mut self, now: Instant, carried: &Carried<'_>, stamp: Stamp) {
        self.first = Some(stamp);
        self.first_at = Some(now);
        self.end = stamp.index;
        self.sequence_zero = carried.sequence.wrapping_sub(stamp.index as u16);
        self.timestamp_shift = carried.packet.timestamp().wrapping_sub(stamp.timestamp);
    }

    fn register(&mut self, index: u64) {
        if index >= self.end {
            self.missing.extend(self.end..index);
            self.end = index + 1;
            self.packets += 1;
        } else if self.missing.remove(&index) {
            self.packets += 1;
        } else {
            self.duplicates += u64::from(!self.asked.contains_key(&index));
        }
    }

    /// Sequence numbers of gaps that were not asked for too often.
    fn gaps_to_ask_for(&mut self) -> Vec<u16> {
        let zero = self.sequence_zero;
        let asked = &mut self.asked;
        while asked.len() > ASKED_MAX {
            asked.pop_first();
        }
        let due = |index: &&u64| {
            let times = asked.entry(**index).or_default();
            *times += 1;
            *times <= NACKS_MAX
        };
        self.missing.iter().filter(due).take(NACK_ENTRIES_MAX).map(|index| zero.wrapping_add(*index as u16)).collect()
    }

    fn highest_sequence(&self) -> u32 {
        u32::from(self.sequence_zero).wrapping_add(self.end.saturating_sub(1) as u32)
    }
}

const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const NACK_INTERVAL: Duration = Duration::from_millis(20);
/// How often a packet is asked for.
const NACKS_MAX: u8 = 10;
const NACK_ENTRIES_MAX: usize = 64;
/// Packets that are remembered as asked for.
const ASKED_MAX: usize = 4096;
/// Report blocks that fit the five-bit count.
const RECEPTIONS_MAX: usize = 31;
/// Mismatches that are kept: one is already a failure.
const MISMATCHES_MAX: usize = 64;
