//! One connection's receiving direction: replay windows by SSRC, authentication, decryption in place.
//!
//! Order for each packet (RFC 3711 3.3): find the stream, estimate the index, ask the window, authenticate and decrypt,
//! and only then remember. A stream is made by its first authentic packet; `streams` bounds
//! how many there are.

use super::derivation::Protocol;
use super::replay::{RTCP_WORDS, RTP_WORDS, estimate_index};
use super::streams::Streams;
use super::transform::{PacketId, Transform};
use super::{RTCP_CLEAR_LEN, rtcp_ssrc};
use crate::count::Discard;
use crate::handshake::{MasterKey, Profile};
use crate::limits::{REPORTERS_PER_CONNECTION_MAX, SSRCS_PER_CONNECTION_MAX};
use crate::rtp;

/// The receiving direction of one connection.
pub struct Inbound {
    rtp: Transform,
    rtcp: Transform,
    rtp_streams: Streams<RTP_WORDS, SSRCS_PER_CONNECTION_MAX>,
    rtcp_streams: Streams<RTCP_WORDS, REPORTERS_PER_CONNECTION_MAX>,
}

/// An RTP packet that authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the plain packet, header included.
    pub len: usize,
    /// ROC << 16 | SEQ: the sequence number without its wraps.
    pub index: u64,
}

impl Inbound {
    /// Panics if `master` has not the profile's lengths, which `SrtpKeys::for_server` has made sure of.
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        let transform = |protocol| Transform::derive(profile, master, protocol);
        Self::with_transforms(transform(Protocol::Srtp), transform(Protocol::Srtcp))
    }

    pub(super) fn with_transforms(rtp: Transform, rtcp: Transform) -> Self {
        Self { rtp, rtcp, rtp_streams: Streams::default(), rtcp_streams: Streams::default() }
    }

    /// Authenticates and decrypts an SRTP packet in place; `header` was parsed from `packet`.
    ///
    /// The content of a packet that does not authenticate is lost.
    pub fn open_rtp(&mut self, header: &rtp::Header, packet: &mut [u8]) -> Result<Opened, Discard> {
        let len = packet.len().checked_sub(self.rtp.rtp_overhead()).ok_or(Discard::Truncated)?;
        let (plain, tag) = packet.split_at_mut(len);
        let (clear, body) = plain.split_at_mut_checked(header.len).ok_or(Discard::Truncated)?;
        let known = self.rtp_streams.window(header.ssrc)?;
        // RFC 3711 3.3.1: the rollover counter of a new stream is 0.
        let mut index = u64::from(header.sequence);
        if let Some(seen) = &known {
            index = estimate_index(seen.highest(), header.sequence);
            seen.check(index)?;
        }
        let id = PacketId { ssrc: header.ssrc, index };
        self.rtp.open_rtp(id, clear, body, tag).map_err(|_| Discard::BadAuthentication)?;
        match known {
            Some(seen) => seen.accept(index),
            None => self.rtp_streams.start(id),
        }
        Ok(Opened { len, index })
    }

    /// Authenticates and decrypts an SRTCP packet in place; returns the length of the plain compound packet.
    ///
    /// The content of a packet that does not authenticate is lost.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Discard> {
        let ssrc = rtcp_ssrc(packet)?;
        let len = packet.len().checked_sub(self.rtcp.rtcp_overhead()).ok_or(Discard::Truncated)?;
        let (plain, trailer) = packet.split_at_mut(len);
        let (clear, body) = plain.split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(Discard::Truncated)?;
        let word = self.rtcp.index_word(trailer);
        // RFC 8827 6.5 has no use for feedback in the clear, so it is malformed here.
        if !word.is_encrypted() {
            return Err(Discard::RtcpMalformed);
        }
        let id = PacketId { ssrc, index: word.index() };
        let known = self.rtcp_streams.window(ssrc)?;
        if let Some(seen) = &known {
            seen.check(id.index)?;
        }
        self.rtcp.open_rtcp(id, clear, body, trailer).map_err(|_| Discard::BadAuthentication)?;
        match known {
            Some(seen) => seen.accept(id.index),
            None => self.rtcp_streams.start(id),
        }
        Ok(len)
    }

    /// Gives the places of an SSRC back, after its stream has ended.
    ///
    /// Its replay windows go too: the connection should no longer take packets of that SSRC.
    pub fn forget(&mut self, ssrc: u32) {
        self.rtp_streams.forget(ssrc);
        self.rtcp_streams.forget(ssrc);
    }
}
