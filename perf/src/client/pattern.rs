//! The payload pattern: every byte of a payload follows from a stamp at its end, so a receiver can check all of it.
//!
//! A payload is `prefix | filler | stamp`. The prefix is what the codec demands (descriptors, NAL headers), the filler is
//! a pseudo-random sequence grown from the stamp, the stamp says which packet this is and when it was meant to be sent.
//! A checksum over everything comes last. So the receiver needs no memory of what was sent.

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which stream of the run.
    pub stream: u32,
    /// The packet's place in its stream, counted from 0 without wrapping.
    pub index: u64,
    /// When it was to be sent, by the wall clock, in nanoseconds.
    pub planned_ns: u64,
    /// The RTP timestamp that it was sent with.
    pub timestamp: u32,
    pub position: Position,
    /// The marker bit that it was sent with.
    pub marker: bool,
    /// Bytes in front of the filler.
    pub prefix_len: u16,
    /// Where a picture id of two bytes stands in the prefix, 0 for none. A server may count pictures anew, so nothing is said
    /// of these bytes.
    pub picture_at: u8,
}

/// Where in its stream and frame a packet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub key: bool,
    pub start: bool,
    pub end: bool,
}

/// Why a payload is not what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Too short for a stamp, or no stamp where one should be.
    NoStamp,
    Checksum,
    Filler,
}

/// Bytes of a stamp: the least payload is this and the codec's prefix.
pub const STAMP_LEN: usize = 36;

const MAGIC: u32 = 0x5457_5031;

/// Writes filler and stamp behind the prefix that already stands in `payload`.
pub fn fill(payload: &mut [u8], stamp: &Stamp) {
    let body_end = payload.len() - STAMP_LEN;
    grow(stamp, &mut payload[usize::from(stamp.prefix_len)..body_end]);
    let trailer = &mut payload[body_end..];
    trailer[0..4].copy_from_slice(&MAGIC.to_be_bytes());
    trailer[4..8].copy_from_slice(&stamp.stream.to_be_bytes());
    trailer[8..16].copy_from_slice(&stamp.index.to_be_bytes());
    trailer[16..24].copy_from_slice(&stamp.planned_ns.to_be_bytes());
    trailer[24..28].copy_from_slice(&stamp.timestamp.to_be_bytes());
    trailer[28..30].copy_from_slice(&flags(stamp).to_be_bytes());
    trailer[30..32].copy_from_slice(&stamp.prefix_len.to_be_bytes());
    let end = payload.len();
    let checksum = checksum(&payload[..end - 4], stamp);
    payload[end - 4..].copy_from_slice(&checksum.to_be_bytes());
}

/// Checks every byte and returns the stamp.
pub fn verify(payload: &[u8]) -> Result<Stamp, Mismatch> {
    let (body, trailer) = payload.split_last_chunk::<STAMP_LEN>().ok_or(Mismatch::NoStamp)?;
    let u32_at = |at: usize| u32::from_be_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
    let u64_at = |at: usize| (u64::from(u32_at(at)) << 32) | u64::from(u32_at(at + 4));
    let flags = u16::from_be_bytes([trailer[28], trailer[29]]);
    let stamp = Stamp {
        stream: u32_at(4),
        index: u64_at(8),
        planned_ns: u64_at(16),
        timestamp: u32_at(24),
        position: Position { key: flags & 1 != 0, start: flags & 2 != 0, end: flags & 4 != 0 },
        marker: flags & 8 != 0,
        prefix_len: u16::from_be_bytes([trailer[30], trailer[31]]),
        picture_at: (flags >> 8) as u8,
    };
    if u32_at(0) != MAGIC {
        return Err(Mismatch::NoStamp);
    }
    if u32_at(32) != checksum(&payload[..payload.len() - 4], &stamp) {
        return Err(Mismatch::Checksum);
    }
    let filler = body.get(usize::from(stamp.prefix_len)..).ok_or(Mismatch::NoStamp)?;
    if is_grown(&stamp, filler) { Ok(stamp) } else { Err(Mismatch::Filler) }
}

/// Of everything but the picture id.
fn checksum(payload: &[u8], stamp: &Stamp) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let split = payload.split_at_checked(stamp.picture_at.into()).filter(|(front, _)| !front.is_empty());
    match split.and_then(|(front, rest)| Some((front, rest.split_first_chunk::<2>()?.1))) {
        Some((front, behind)) => [front, behind].into_iter().for_each(|part| hasher.update(part)),
        None => hasher.update(payload),
    }
    hasher.finalize()
}

fn grow(stamp: &Stamp, filler: &mut [u8]) {
    let mut words = Words::of(stamp);
    for chunk in filler.chunks_mut(8) {
        chunk.copy_from_slice(&words.next_word()[..chunk.len()]);
    }
}

fn is_grown(stamp: &Stamp, filler: &[u8]) -> bool {
    let mut words = Words::of(stamp);
    filler.chunks(8).all(|chunk| chunk == &words.next_word()[..chunk.len()])
}

/// SplitMix64: eight fresh bytes for a multiply and a few shifts, so that checking costs less than receiving.
struct Words(u64);

impl Words {
    fn of(stamp: &Stamp) -> Self {
        Self(stamp.index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (u64::from(stamp.stream) << 32))
    }

    fn next_word(&mut self) -> [u8; 8] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_be_bytes()
    }
}

fn flags(stamp: &Stamp) -> u16 {
    let position = stamp.position;
    u16::from(position.key)
        | u16::from(position.start) << 1
        | u16::from(position.end) << 2
        | u16::from(stamp.marker) << 3
        | u16::from(stamp.picture_at) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Stamp) {
        let stamp = Stamp {
            stream: 7,
            index: 1 << 40,
            planned_ns: 99,
            timestamp: 90_000,
            position: Position { key: true, start: true, end: false },
            marker: true,
            prefix_len: 4,
            picture_at: 0,
        };
        let mut payload = vec![0xab; 1188];
        fill(&mut payload, &stamp);
        (payload, stamp)
    }

    #[test]
    fn a_filled_payload_verifies_and_tells_its_stamp() {
        let (payload, stamp) = sample();
        assert_eq!(verify(&payload), Ok(stamp));
    }

    #[test]
    fn any_single_changed_byte_is_noticed() {
        let (payload, _) = sample();
        for at in 0..payload.len() {
            let mut bent = payload.clone();
            bent[at] ^= 0x10;
            assert!(verify(&bent).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_picture_may_be_counted_anew_and_nothing_else() {
        let (mut payload, stamp) = sample();
        let stamp = Stamp { picture_at: 2, ..stamp };
        fill(&mut payload, &stamp);
        (payload[2], payload[3]) = (0, 0);
        assert_eq!(verify(&payload), Ok(stamp));
        for at in (0..payload.len()).filter(|at| ![2, 3].contains(at)) {
            let mut bent = payload.clone();
            bent[at] ^= 0x10;
            assert!(verify(&bent).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_payload_cut_short_has_no_stamp() {
        let (payload, _) = sample();
        assert!(verify(&payload[..STAMP_LEN - 1]).is_err());
        assert!(verify(&payload[..payload.len() - 1]).is_err());
        assert!(verify(&[]).is_err());
    }
}
