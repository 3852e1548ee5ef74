//! A viewer of a load run: accounts for every packet, and looks at as many as it must.
//!
//! The server maps a viewer's sequence numbers by a constant offset as long as nothing is dropped. So a viewer that has
//! decrypted one packet and read its stamp knows which packet any sequence number is. A witness decrypts all packets; a
//! counter reads all and decrypts one in so many; a sampler lets the kernel drop most and decrypts what it gets. Invariant:
//! an index is only believed while every opened packet confirms it.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;

use super::feedback::Reporter;
use super::filter::{SAMPLE, Sampling};
use super::heard::{Anchor, Heard};
use super::source::Source;
use super::tally::Tally;
use crate::client::rtcp::{self, Item, Reception};
use crate::client::rtp::{self, Packet};
use crate::client::{Arrival, Call, pattern, twcc};
use crate::clock;

/// How much of what arrives a viewer looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    /// Reads and decrypts every packet.
    Witness,
    /// Reads every packet and decrypts one in [`SAMPLE`].
    Counter,
    /// Reads and decrypts one in [`SAMPLE`]; the kernel drops the others.
    Sampler(Sampling),
}

pub(super) struct Viewer {
    pub(super) call: Call,
    /// Whom it watches.
    pub(super) source: usize,
    /// Whether its delays are recorded.
    pub(super) is_measured: bool,
    pub(super) faults: Faults,
    pub(super) opened: u64,
    /// When its first packet and the start of its first key frame arrived, by the wall clock.
    pub(super) first_ns: Option<u64>,
    pub(super) first_key_ns: Option<u64>,
    pub(super) reporter: Reporter,
    attention: Attention,
    tracks: Vec<Heard>,
    is_filtered: bool,
    /// The kernel's count of drops at this socket when the account was opened.
    drops_before: u64,
    last_delay_ns: u64,
    /// Under which id packets carry a transport-wide sequence number, where that was agreed.
    transport_id: Option<u8>,
    /// The last such number that was read, and when its packet arrived.
    latest_transport: Option<(u16, u64)>,
}

/// What no packet should ever show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) corrupt: u64,
    pub(super) misplaced: u64,
    pub(super) garbage: u64,
}

/// A packet that is new: its lane and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) index: u64,
}

impl Viewer {
    /// `source` is the publisher that it watches, whose streams it will recognise by their stamps.
    pub(super) fn new(call: Call, number: usize, source: &Source, attention: Attention, reporter: Reporter) -> Self {
        let tracks = source.publisher.tracks.iter();
        let transport_id = call.answer.media.iter().find_map(|media| media.extensions.get(twcc::URI)).copied();
        Self {
            call,
            source: number,
            is_measured: true,
            faults: Faults::default(),
            opened: 0,
            first_ns: None,
            first_key_ns: None,
            reporter,
            attention,
            tracks: tracks.map(|track| Heard::of(track.ssrc, track.codec.is_video())).collect(),
            is_filtered: false,
            drops_before: 0,
            last_delay_ns: 0,
            transport_id,
            latest_transport: None,
        }
    }

    /// Where the kernel counts its drops.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.call.socket().local_addr()?)
    }

    /// Takes a datagram; for an RTP packet that is new, returns which it is.
    pub(super) fn accept(&mut self, now: Instant, datagram: &[u8], received_ns: u64) -> Option<Place> {
        let Some(header) = plain_header(datagram) else {
            self.accept_other(now, datagram);
            return None;
        };
        self.first_ns.get_or_insert(received_ns);
        if self.reporter.listens() && !self.is_filtered {
            self.reporter.note(received_ns);
        }
        // The header is readable without a key.
        if let Some(number) = self.transport_id.and_then(|id| rtp::transport_number(datagram, id)) {
            self.latest_transport = Some((number, received_ns));
        }
        let known = self.tracks.iter_mut().position(|track| track.carries(header.ssrc));
        let place = match known {
            Some(lane) if self.may_trust(lane) => Place { lane, index: self.tracks[lane].index(header.sequence)? },
            _ => self.open(now, datagram, header, received_ns)?,
        };
        self.tracks[place.lane].hear(place.index).then_some(place)
    }

    /// The socket is empty: time to install the filter, if every stream is known by now.
    pub(super) fn settle_down(&mut self) -> Result<()> {
        let Attention::Sampler(sampling) = self.attention else {
            return Ok(());
        };
        if self.is_filtered {
            self.tracks.iter_mut().for_each(Heard::begin_to_sample);
        } else if self.tracks.iter().all(Heard::is_known) {
            sampling.attach(self.call.socket())?;
            self.is_filtered = true;
        }
        Ok(())
    }

    /// Consent, and feedback when it is due.
    pub(super) fn tick(&mut self, now: Instant, source: &Source) -> Result<()> {
        self.call.tick(now)?;
        if self.reporter.is_report_due(now) {
            let receptions: Vec<Reception> = self.tracks.iter().filter_map(|track| track.reception(now)).collect();
            self.reporter.send_report(now, &mut self.call, &receptions)?;
        }
        if self.reporter.is_transport_due(now) {
            self.assume_arrivals(source);
            let media = self.tracks.iter().find_map(Heard::ssrc).unwrap_or_default();
            // Whatever was assumed to come behind the last number that was read has the numbers behind it.
            let after = |(number, at): (u16, u64)| number.wrapping_add(self.reporter.noted_after(at));
            let latest = self.latest_transport.map(after);
            self.reporter.send_transport(now, &mut self.call, media, latest)?;
        }
        Ok(())
    }

    /// Whether every stream is known, and the filter in place if there is to be one.
    pub(super) fn is_settled(&self) -> bool {
        let is_sampler = matches!(self.attention, Attention::Sampler(_));
        self.tracks.iter().all(Heard::is_known) && is_sampler == self.is_filtered
    }

    pub(super) fn note_delay(&mut self, delay_ns: u64) {
        self.last_delay_ns = delay_ns;
    }

    /// Opens the account: nothing is on its way, `sent` packets went on each lane, the kernel counts so many drops here.
    pub(super) fn open_account(&mut self, sent: impl Iterator<Item = u64>, drops: u64) {
        self.tracks.iter_mut().zip(sent).for_each(|(track, sent)| track.open_account(sent));
        self.drops_before = drops;
        self.faults = Faults::default();
    }

    /// Closes it, with nothing on its way again. A viewer who heard nothing of a stream that it joined late owes nothing.
    pub(super) fn tally(&self, sent: impl Iterator<Item = u64>, drops: u64) -> Tally {
        let mut tally = Tally::default();
        for (track, sent) in self.tracks.iter().zip(sent) {
            let sampling = match self.attention {
                Attention::Sampler(sampling) if self.is_filtered => Some(sampling),
                _ => None,
            };
            tally.add(track.tally(sent, sampling));
        }
        tally.dropped = drops.saturating_sub(self.drops_before);
        // Without a filter only a full queue drops.
        tally.overrun = if self.is_filtered { 0 } else { tally.dropped };
        tally
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.tracks.iter().map(Heard::duplicates).sum()
    }

    /// What is not RTP.
    fn accept_other(&mut self, now: Instant, datagram: &[u8]) {
        match self.call.handle(now, datagram) {
            Arrival::Garbage => self.faults.garbage += 1,
            Arrival::Rtcp(compound) => {
                for item in rtcp::parse(&compound) {
                    if let Item::SenderReport { ssrc, ntp, .. } = item
                        && let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc() == Some(ssrc))
                    {
                        track.note_report((ntp >> 16) as u32, now);
                    }
                }
            }
            Arrival::Rtp(_) | Arrival::Transport => {}
        }
    }

    /// Whether this packet's sequence number will do.
    fn may_trust(&mut self, lane: usize) -> bool {
        match self.attention {
            Attention::Counter => self.tracks[lane].may_skip(),
            Attention::Witness | Attention::Sampler(_) => false,
        }
    }

    /// Decrypts, checks every byte, and holds the packet's index against its sequence number.
    fn open(&mut self, now: Instant, datagram: &[u8], header: PlainHeader, received_ns: u64) -> Option<Place> {
        let Arrival::Rtp(bytes) = self.call.handle(now, datagram) else {
            self.faults.garbage += 1;
            return None;
        };
        let stamp = Packet::parse(&bytes).and_then(|packet| pattern::verify(packet.payload()).ok());
        let lane = stamp.and_then(|stamp| self.tracks.iter().position(|track| track.stream == stamp.stream));
        let (Some(stamp), Some(lane)) = (stamp, lane) else {
            self.faults.corrupt += 1;
            return None;
        };
        self.opened += 1;
        let anchor = Anchor::new(header.ssrc, header.sequence, stamp.index);
        if !self.tracks[lane].confirm(anchor, u32::from(SAMPLE)) {
            self.faults.misplaced += 1;
        }
        if stamp.position.key && stamp.position.start && self.tracks[lane].is_video {
            self.first_key_ns.get_or_insert(received_ns);
        }
        Some(Place { lane, index: stamp.index })
    }

    /// A sampler reports what it did not read as if it had come as its samples did.
    fn assume_arrivals(&mut self, source: &Source) {
        let now_ns = clock::unix_ns();
        for (track, lane) in self.tracks.iter_mut().zip(&source.lanes) {
            let sent = lane.planned_ns.len();
            let since = std::mem::replace(&mut track.reported, sent).min(sent);
            if self.is_filtered {
                for planned_ns in &lane.planned_ns[since..] {
                    if self.reporter.listens() {
                        self.reporter.note((planned_ns + self.last_delay_ns).min(now_ns));
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct PlainHeader {
    sequence: u16,
    ssrc: u32,
}

/// The readable part of an SRTP packet; `None` for anything else.
fn plain_header(datagram: &[u8]) -> Option<PlainHeader> {
    match datagram {
        [128..=191, 192..=223, ..] => None,
        [128..=191, _, s1, s0, _, _, _, _, c3, c2, c1, c0, ..] => Some(PlainHeader {
            sequence: u16::from_be_bytes([*s1, *s0]),
            ssrc: u32::from_be_bytes([*c3, *c2, *c1, *c0]),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rtp_has_a_plain_header() {
        assert!(
            plain_header(&[0x80, 96, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9]).is_some_and(|h| h.sequence == 258 && h.ssrc == 9)
        );
        assert!(plain_header(&[0x80, 200, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9]).is_none());
        assert!(plain_header(&[22, 1, 2]).is_none() && plain_header(&[]).is_none());
    }
}
