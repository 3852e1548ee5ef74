//! One connection's sending direction: encryption and the tag, from a shared plaintext or in place.
//!
//! The caller owns the layout: a finished header, room for the body, room for the overhead. The caller owns the indices
//! of its RTP streams as well; only the SRTCP index is kept here. One index of one SSRC seals one content, ever
//! (RFC 7714 8.3): debug builds remember what they sealed and end in an assertion otherwise.

use super::derivation::Protocol;
use super::transform::{PacketId, Transform};
use super::{RTCP_CLEAR_LEN, rtcp_ssrc};
use crate::count::Discard;
use crate::handshake::{MasterKey, Profile};
use crate::machine::Egress;
use crate::rtp;

/// The sending direction of one connection. The transform of its media has a cache line to itself: the others are seldom
/// asked for.
#[repr(C, align(64))]
pub struct Outbound {
    rtp: Transform,
    rtcp: Transform,
    next_rtcp_index: u64,
    #[cfg(any(test, debug_assertions))]
    ledger: super::ledger::Ledger,
}

impl Outbound {
    /// Panics if `master` has not the profile's lengths, which `SrtpKeys::for_server` has made sure of.
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        let transform = |protocol| Transform::derive(profile, master, protocol);
        Self::with_transforms(transform(Protocol::Srtp), transform(Protocol::Srtcp))
    }

    pub(super) fn with_transforms(rtp: Transform, rtcp: Transform) -> Self {
        Self {
            rtp,
            rtcp,
            next_rtcp_index: 0,
            #[cfg(any(test, debug_assertions))]
            ledger: super::ledger::Ledger::default(),
        }
    }

    /// Has its egress fetch what sealing a packet of media begins with: the key, once this itself is there.
    #[inline]
    pub fn expect<E: Egress>(&self, egress: &E) {
        self.rtp.expect(egress);
    }

    /// Bytes that sealing adds behind an RTP payload.
    #[inline]
    pub const fn rtp_overhead(&self) -> usize {
        self.rtp.rtp_overhead()
    }

    /// Bytes that sealing adds behind a compound RTCP packet.
    pub const fn rtcp_overhead(&self) -> usize {
        self.rtcp.rtcp_overhead()
    }

    /// Seals `payload` behind the finished header in `out[..header_len]`; returns the packet's length: that of `out`.
    ///
    /// `index` is ROC << 16 | SEQ of the header's SSRC. `TooLarge` unless `out` is exactly header, payload, overhead.
    #[inline]
    pub fn seal_rtp(&self, index: u64, header_len: usize, payload: &[u8], out: &mut [u8]) -> Result<usize, Discard> {
        let RtpRoom { id, header, body, tag } = self.rtp_room(index, header_len, payload.len(), out)?;
        #[cfg(any(test, debug_assertions))]
        self.ledger.enter(id, header, payload);
        self.rtp.seal_rtp(id, header, payload, body, tag).map_err(|_| Discard::TooLarge)?;
        Ok(out.len())
    }

    /// Seals the payload that already lies in `out[header_len..][..body_len]`; otherwise like `seal_rtp`.
    pub fn seal_rtp_in_place(
        &self,
        index: u64,
        header_len: usize,
        body_len: usize,
        out: &mut [u8],
    ) -> Result<usize, Discard> {
        let RtpRoom { id, header, body, tag } = self.rtp_room(index, header_len, body_len, out)?;
        #[cfg(any(test, debug_assertions))]
        self.ledger.enter(id, header, body);
        self.rtp.seal_rtp_in_place(id, header, body, tag).map_err(|_| Discard::TooLarge)?;
        Ok(out.len())
    }

    /// Seals the compound packet in `out[..packet_len]`; returns the length with its overhead.
    ///
    /// `TooLarge` unless `out` has room for the overhead.
    pub fn seal_rtcp(&mut self, packet_len: usize, out: &mut [u8]) -> Result<usize, Discard> {
        let len = packet_len.checked_add(self.rtcp_overhead()).ok_or(Discard::TooLarge)?;
        let (plain, trailer) = out.get_mut(..len).ok_or(Discard::TooLarge)?.split_at_mut(packet_len);
        let ssrc = rtcp_ssrc(plain)?;
        let (clear, body) = plain.split_at_mut_checked(RTCP_CLEAR_LEN).ok_or(Discard::Truncated)?;
        let id = PacketId { ssrc, index: self.next_rtcp_index };
        // RFC 3711 9.2: a key ends with 2^31 SRTCP packets.
        if id.index >> 31 != 0 {
            return Err(Discard::KeyExhausted);
        }
        self.next_rtcp_index += 1;
        self.rtcp.seal_rtcp(id, clear, body, trailer).map_err(|_| Discard::TooLarge)?;
        Ok(len)
    }

    /// Cuts `out` into the pieces of an SRTP packet.
    #[inline]
    fn rtp_room<'a>(
        &self,
        index: u64,
        header_len: usize,
        body_len: usize,
        out: &'a mut [u8],
    ) -> Result<RtpRoom<'a>, Discard> {
        let (header, rest) = out.split_at_mut_checked(header_len).ok_or(Discard::TooLarge)?;
        if rest.len().checked_sub(body_len) != Some(self.rtp_overhead()) {
            return Err(Discard::TooLarge);
        }
        // RFC 3711 9.2: a key ends with 2^48 SRTP packets.
        if index >> 48 != 0 {
            return Err(Discard::KeyExhausted);
        }
        let fixed: &[u8; rtp::FIXED_LEN] = header.first_chunk().ok_or(Discard::RtpMalformed)?;
        debug_assert_eq!(u16::from_be_bytes([fixed[2], fixed[3]]), index as u16, "the index of another packet");
        let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
        let (body, tag) = rest.split_at_mut(body_len);
        Ok(RtpRoom { id: PacketId { ssrc, index }, header, body, tag })
    }
}

/// The pieces of an SRTP packet that is being made.
struct RtpRoom<'a> {
    id: PacketId,
    header: &'a [u8],
    body: &'a mut [u8],
    tag: &'a mut [u8],
}

#[cfg(test)]
impl Outbound {
    /// As if that many compound packets had been sealed.
    pub(super) fn skip_rtcp_to(&mut self, index: u64) {
        self.next_rtcp_index = index;
    }
}
